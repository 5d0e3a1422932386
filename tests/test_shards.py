"The round trip through img2dataset: its list, its shards, and what becomes of each address. With img2dataset itself where it is installed."
import io, json, os, shlex, shutil, signal, subprocess, sys, tarfile, threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chaos_server import ChaosServer, page, photo, picture, saved
from fastclass.engine.base.errors import DataError, UnsupportedError
from fastclass.engine.collect.collection import Collection
from fastclass.engine.collect.manifest import Manifest
from fastclass.engine.collect.shards import (SHARD_COLUMNS, Shards, collect_shards, export_hits, img2dataset_command,
    word_for, write_hits)
from fastclass.engine.collect.source import Hit
from fastclass.engine.collect.transport import FetchError
from fastclass.collect import collect_classes, collect_folder

PROGRAM = os.environ.get('FASTCLASS_IMG2DATASET') or shutil.which('img2dataset')
needs_program = pytest.mark.skipif(not PROGRAM, reason='img2dataset is not installed: put it into PATH, or its path into FASTCLASS_IMG2DATASET')
QUIET = dict(min_ok=0, progress=False)


def tree(folder): return {p.relative_to(folder).as_posix():p.read_bytes() for p in sorted(Path(folder).rglob('*')) if p.is_file()}
def statuses(made): return {(o['label'], o['url']):o['status'] for o in made.rows}


@pytest.fixture(autouse=True)
def no_checks_on_counts(monkeypatch):
    "Most addresses of these tests are bad on purpose; that a set with too few pictures is refused is tested with `gather`"
    monkeypatch.setattr('fastclass.engine.collect.collection.check_counts', lambda counts, min_ok: None)


@pytest.fixture(scope='module')
def pq(): return pytest.importorskip('pyarrow.parquet', reason='pyarrow is not installed: it comes with fastclass-course[shards]')


# ---- shards in the format of img2dataset 1.47, as the last test of this file finds it

class Writer:
    "Writes shards of either format"
    def __init__(self, folder, files=False): self.folder,self.files = folder,files; folder.mkdir(parents=True)
    def shard(self, name, rows, finished=True, extra=()):
        "`rows`: `(columns, picture)`, the picture None where it failed; `extra`: members of the archive that do not belong there"
        import pyarrow as pa, pyarrow.parquet as pq
        table = []
        for i,(row,data) in enumerate(rows):
            empty = dict(error_message=None, width=None, height=None, original_width=None, original_height=None, exif=None, sha256=None)
            table.append(dict.fromkeys(SHARD_COLUMNS, '') | dict(rank=i, key=f'{name}{i:02d}', status='success' if data else 'failed_to_download') | empty | row)
        pq.write_table(pa.Table.from_pylist(table), self.folder/f'{name}.parquet')
        members = [m for o,(_,data) in zip(table, rows) if data for m in self._members(o, data)]
        (self._write_files if self.files else self._write_tar)(name, [*members, *extra])
        if finished: (self.folder/f'{name}_stats.json').write_text(json.dumps(dict(count=len(rows))))
    def _members(self, row, data):
        return (f"{row['key']}.jpg", data), (f"{row['key']}.json", json.dumps(row).encode()), (f"{row['key']}.txt", row['caption'].encode())
    def _write_files(self, name, members):
        (self.folder/name).mkdir()
        for k,data in members: (self.folder/name/k).write_bytes(data)
    def _write_tar(self, name, members):
        with tarfile.open(self.folder/f'{name}.tar', 'w') as t:
            for k,data in members:
                m = tarfile.TarInfo(k)
                m.size,m.mode = len(data),0o444
                t.addfile(m, io.BytesIO(data))


def good(i, label='cat', **kwargs): return dict(url=f'http://e.org/{i}.jpg', caption=label, label=label, **kwargs),saved(photo(f'shard {i}'))
def bad(i, message, label='cat', **kwargs): return dict(url=f'http://e.org/{i}.jpg', caption=label, label=label, error_message=message, **kwargs),None


def some_rows():
    return [good(0, query='cat photo', source='openverse', title='Tom', creator='Ann', licence='CC BY 4.0', licence_url='https://e.org/by'), good(1, 'dog'),
            bad(2, 'HTTP Error 404: Not Found'), bad(3, '<urlopen error timed out>', 'dog'), good(0),  # an address twice
            (good(4)[0], saved(photo('shard 0'))), (good(5)[0], saved(photo('shard 0'), quality=40)), # copies of the first
            (good(6)[0], saved(photo('shard 6'))[:1500]), (good(7)[0], b'<html>no</html>'), good(8, 'dog')]


WANT = {0:'ok', 1:'ok', 2:'http_404', 3:'timeout', 4:'duplicate', 5:'near_duplicate', 6:'truncated', 7:'not_a_picture', 8:'ok'}


@pytest.fixture(params=[False, True], ids=['webdataset', 'files'])
def out(request, pq, tmp_path):
    "Two shards of ten addresses"
    w = Writer(tmp_path/'out', request.param)
    rows = some_rows()
    w.shard('00000', rows[:6])
    w.shard('00001', rows[6:])
    return w


def test_each_address_gets_its_word_and_keeps_what_is_known_of_it(out, tmp_path):
    made = collect_shards(out.folder, tmp_path/'set', **QUIET)
    assert {int(Path(o['url']).stem):o['status'] for o in made.rows}==WANT
    row = made._manifest.get('cat', 'http://e.org/0.jpg')
    assert [row[k] for k in ('query', 'source', 'title', 'creator', 'licence', 'licence_url')]==['cat photo', 'openverse', 'Tom', 'Ann', 'CC BY 4.0', 'https://e.org/by']
    assert (row['width'], row['height'])==(320, 240) and len(made.files('cat'))==1 and len(made.files('dog'))==2
    assert 'img2dataset: HTTP Error 404: Not Found'==made._manifest.get('cat', 'http://e.org/2.jpg')['message']
    assert 'Tom' in made.credits().read_text()


def test_the_pictures_are_those_of_a_download(out, tmp_path):
    "The same bytes by either way"
    made = collect_shards(out.folder, tmp_path/'set', **QUIET)
    (tmp_path/'own').mkdir()
    (tmp_path/'own/a.jpg').write_bytes(saved(photo('shard 8')))
    other = collect_folder(tmp_path/'own', tmp_path/'other', 'dog', progress=False)
    assert other.files()[0].read_bytes()==made._manifest.dest.joinpath(made._manifest.get('dog', 'http://e.org/8.jpg')['file']).read_bytes()


def test_a_second_import_changes_no_byte(out, tmp_path):
    collect_shards(out.folder, tmp_path/'set', **QUIET)
    before = tree(tmp_path/'set')
    collect_shards(out.folder, tmp_path/'set', **QUIET)
    assert tree(tmp_path/'set')==before


def test_the_shards_stay_as_they_are(out, tmp_path):
    before = tree(out.folder)
    collect_shards(out.folder, tmp_path/'set', **QUIET)
    assert tree(out.folder)==before


@pytest.mark.parametrize('n', [1, 3, 5])
def test_an_interrupted_import_goes_on(out, tmp_path, monkeypatch, n):
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '1700000000')
    whole = collect_shards(out.folder, tmp_path/'whole', **QUIET)
    read,asked = Shards.answer,[]
    def stops(self, url):
        asked.append(url)
        if len(asked)>n: raise KeyboardInterrupt
        return read(self, url)
    monkeypatch.setattr(Shards, 'answer', stops)
    with pytest.raises(KeyboardInterrupt): collect_shards(out.folder, tmp_path/'set', connections=1, **QUIET)
    cut = Collection(tmp_path/'set')
    assert len(cut.rows)==len(whole.rows) and any(o['status']=='waiting' for o in cut.rows)
    monkeypatch.setattr(Shards, 'answer', read)
    assert statuses(collect_shards(out.folder, tmp_path/'set', **QUIET))==statuses(whole)
    assert {k for k in tree(tmp_path/'set') if k.endswith('.jpg')}=={k for k in tree(tmp_path/'whole') if k.endswith('.jpg')}


def test_a_picture_in_later_shards_mends_a_failure_and_no_refusal(out, tmp_path):
    collect_shards(out.folder, tmp_path/'set', **QUIET)
    w = Writer(tmp_path/'later')
    w.shard('00000', [good(2), good(3, 'dog'), good(6), bad(8, 'HTTP Error 500: X', 'dog')])
    got = {int(Path(o['url']).stem):o['status'] for o in collect_shards(w.folder, tmp_path/'set', **QUIET).rows}
    assert got==WANT | {2:'ok', 3:'ok'} # 6 was looked at and refused, 8 is there


def test_what_somebody_took_out_stays_out(out, tmp_path):
    made = collect_shards(out.folder, tmp_path/'set', **QUIET)
    made.files('dog')[0].unlink()
    again = collect_shards(out.folder, tmp_path/'set', **QUIET)
    assert [o['status'] for o in again.rows].count('removed')==1 and len(again)==len(made)-1


def test_kept_pictures_do_not_get_in(out, tmp_path):
    (tmp_path/'kept.jpg').write_bytes(saved(photo('shard 1')))
    made = collect_shards(out.folder, tmp_path/'set', kept=[tmp_path/'kept.jpg'], **QUIET)
    assert made._manifest.get('dog', 'http://e.org/1.jpg')['status']=='kept_aside'


# ---- shards that are not as they should be

def test_an_unfinished_shard_is_left_out_and_named(pq, tmp_path, capsys):
    w = Writer(tmp_path/'out')
    w.shard('00000', [good(0)])
    w.shard('00001', [good(1)], finished=False)
    made = collect_shards(w.folder, tmp_path/'set', **QUIET)
    assert len(made.rows)==1 and 'Not finished, and left out: 00001' in capsys.readouterr().out
    (w.folder/'00001_stats.json').write_text('{}')
    assert len(collect_shards(w.folder, tmp_path/'set', **QUIET))==2


def test_names_that_lead_out_of_the_folder_write_nothing_there(pq, tmp_path):
    w = Writer(tmp_path/'deep/out')
    w.shard('00000', [good(0), (dict(url='http://e.org/e.jpg', caption='../../evil', label='../../evil'), saved(photo('evil')))],
            extra=[('../../evil.jpg', b'x'), ('/evil.jpg', b'x'), ('a/../../../evil.jpg', b'x')])
    made = collect_shards(w.folder, tmp_path/'deep/set', **QUIET)
    assert len(made)==2 and sorted(o.name for o in tmp_path.iterdir())==['deep'] and sorted(o.name for o in (tmp_path/'deep').iterdir())==['out', 'set']
    assert all(p.resolve().is_relative_to((tmp_path/'deep/set').resolve()) for p in made.files())


def test_keys_and_links_do_not_read_other_files(pq, tmp_path):
    (tmp_path/'secret.jpg').write_bytes(saved(photo('secret')))
    w = Writer(tmp_path/'out', files=True)
    w.shard('00000', [good(0), (dict(url='http://e.org/k.jpg', caption='cat', label='cat', key='../../secret', status='success'), None), good(1)])
    link = w.folder/'00000/0000002.jpg'
    link.unlink()
    link.symlink_to(tmp_path/'secret.jpg')
    got = {o['url'][-5:]:o['status'] for o in collect_shards(w.folder, tmp_path/'set', **QUIET).rows}
    assert got=={'0.jpg':'ok', 'k.jpg':'incomplete', '1.jpg':'incomplete'}


def test_what_is_no_web_address_is_no_picture(pq, tmp_path):
    "img2dataset opens files of its machine"
    w = Writer(tmp_path/'out')
    w.shard('00000', [good(0), (dict(url='file:///etc/passwd', caption='cat', label='cat'), saved(photo('passwd'))), (dict(url=None, caption='cat', label='cat', address=None), b'x')])
    assert statuses(collect_shards(w.folder, tmp_path/'set', **QUIET))=={('cat', 'http://e.org/0.jpg'):'ok', ('cat', 'file:///etc/passwd'):'bad_url', ('cat', ''):'bad_url'}


def test_an_archive_that_stops_early_gives_what_is_there(pq, tmp_path):
    w = Writer(tmp_path/'out')
    w.shard('00000', [good(i) for i in range(4)])
    tar = w.folder/'00000.tar'
    whole = tar.read_bytes()
    places = Shards(w.folder).places
    tar.write_bytes(whole[:places['http://e.org/2.jpg'][1]+100]) # in the middle of the third
    got = collect_shards(w.folder, tmp_path/'set', **QUIET)
    assert [got._manifest.get('cat', f'http://e.org/{i}.jpg')['status'] for i in range(4)]==['ok', 'ok', 'incomplete', 'incomplete']
    before = tree(tmp_path/'set')
    collect_shards(w.folder, tmp_path/'set', **QUIET)
    assert tree(tmp_path/'set')==before
    tar.write_bytes(whole)
    assert len(collect_shards(w.folder, tmp_path/'set', **QUIET))==4


def test_shards_of_others_are_understood_by_their_caption(pq, tmp_path):
    import pyarrow as pa
    w = Writer(tmp_path/'out')
    w.shard('00000', [good(0)])
    pq.write_table(pq.read_table(w.folder/'00000.parquet').select(['url', 'caption', 'key', 'status', 'error_message']), w.folder/'00000.parquet')
    assert [(o['label'], o['source'], o['status']) for o in collect_shards(w.folder, tmp_path/'set', **QUIET).rows]==[('cat', 'img2dataset', 'ok')]
    pq.write_table(pq.read_table(w.folder/'00000.parquet').drop_columns(['caption']), w.folder/'00000.parquet')
    with pytest.raises(DataError, match='which class .* is'): collect_shards(w.folder, tmp_path/'other', **QUIET)
    assert not (tmp_path/'other').exists()


def test_errors_name_what_to_do(pq, tmp_path):
    with pytest.raises(DataError, match='no finished shard'): collect_shards(tmp_path/'none', tmp_path/'set')
    w = Writer(tmp_path/'out')
    w.shard('00000', [good(0)])
    (w.folder/'00000.tar').unlink()
    with pytest.raises(UnsupportedError, match='--output_format webdataset'): collect_shards(w.folder, tmp_path/'set')
    (w.folder/'00000.tar').write_bytes(b'no archive at all'*100)
    with pytest.raises(DataError, match='00000.tar is no tar archive'): collect_shards(w.folder, tmp_path/'set')
    (w.folder/'00000.parquet').write_bytes(b'PAR1 no table')
    (w.folder/'00000.tar').write_bytes(bytes(10240))
    with pytest.raises(DataError, match='00000.parquet cannot be read'): collect_shards(w.folder, tmp_path/'set')
    assert not (tmp_path/'set').exists()


def test_without_pyarrow_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'pyarrow.parquet', None)
    with pytest.raises(UnsupportedError, match='python -m pip install "pyarrow>=') as e: export_hits([('cat', 'cat', Hit('http://e.org/1.jpg'))], {}, tmp_path/'set', tmp_path/'hits.parquet')
    assert e.value.next in ('python -m pip install "pyarrow>=16"',) and not (tmp_path/'set').exists()


def test_without_pyarrow_shards_say_what_to_install(pq, tmp_path, monkeypatch):
    w = Writer(tmp_path/'out')
    w.shard('00000', [good(0)])
    monkeypatch.setitem(sys.modules, 'pyarrow.parquet', None)
    with pytest.raises(UnsupportedError, match='needs? pyarrow') as e: collect_shards(w.folder, tmp_path/'set')
    assert 'pip install' in e.value.next


def test_memory_is_that_of_one_picture_and_not_of_the_shards(pq, tmp_path):
    "A hundred pictures of 1 MB each, in one archive"
    import tracemalloc
    w = Writer(tmp_path/'out')
    data = saved(photo('large'))+bytes(1_000_000)
    w.shard('00000', [(good(i)[0], data) for i in range(100)])
    tracemalloc.start()
    s = Shards(w.folder)
    for url in list(s.places)[:20]: assert len(s.answer(url))==len(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(s.places)==100 and peak<8_000_000
    with pytest.raises(FetchError): s.answer('http://e.org/unknown.jpg')


# ---- the list, and the command line

def test_the_list_has_what_is_to_be_fetched_and_what_is_known(pq, tmp_path, capsys):
    hits = [Hit('http://e.org/bär 1.jpg', title='Bär', licence='CC0', creator='Bo', source='commons', rank=2), Hit('http://e.org/2.jpg'), Hit('http://e.org/2.jpg'), Hit('file:///etc/passwd')]
    jobs = [('bear', 'bear photo', h) for h in hits]+[('two', 'two', hits[1])]
    told = export_hits(jobs, {'bear':'said'}, tmp_path/'set', tmp_path/'hits.parquet')
    rows = pq.read_table(tmp_path/'hits.parquet').to_pylist()
    assert [(o['url'], o['caption'], o['address']) for o in rows]==[('http://e.org/b%C3%A4r%201.jpg', 'bear', 'http://e.org/bär 1.jpg'),
        ('http://e.org/2.jpg', 'bear', 'http://e.org/2.jpg'), ('http://e.org/2.jpg', 'two', 'http://e.org/2.jpg')]
    assert rows[0] | dict(title='Bär', licence='CC0', creator='Bo', source='commons', rank=2, label='bear', query='bear photo')==rows[0]
    assert told['addresses']==3 and {o['status'] for o in Manifest(tmp_path/'set')}=={'waiting'} and [p.name for p in (tmp_path/'set').glob('*') if p.is_dir()]==[]
    assert told['command'] in capsys.readouterr().out and shlex.split(told['command'])==img2dataset_command(tmp_path/'hits.parquet', tmp_path/'hits-shards')


def test_what_is_there_is_not_listed_again(out, tmp_path, pq):
    made = collect_shards(out.folder, tmp_path/'set', **QUIET)
    n = export_hits([(o['label'], '', Hit(o['url'])) for o in made.rows], {}, tmp_path/'set', tmp_path/'again.parquet')['addresses']
    assert n==1 and pq.read_table(tmp_path/'again.parquet').to_pylist()[0]['url']=='http://e.org/3.jpg' # the time-out; a 404 does not pass


def test_on_the_command_line(pq, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('fastclass.collect.known_hits', lambda *a: None)
    def find(query, n, sources=None, safe=True):
        found = type('Found', (list,), dict(said='commons 2 of 2'))
        return found([Hit(f'http://e.org/{i}.jpg', source='commons', title=f'{query} {i}') for i in (0, 1)])
    monkeypatch.setattr('fastclass.collect.find_hits', find)
    told = collect_classes('cat=cat photo', str(tmp_path/'set'), hits_to=str(tmp_path/'hits.parquet'))
    assert told['addresses']==2 and 'nothing was downloaded' in capsys.readouterr().out
    w = Writer(tmp_path/'out')
    w.shard('00000', [(dict(good(i)[0], **{k:r[k] for k in SHARD_COLUMNS}), good(i)[1]) for i,r in enumerate(pq.read_table(tmp_path/'hits.parquet').to_pylist())])
    told = collect_classes(dest=str(tmp_path/'set'), shards=str(w.folder), min_ok=1)
    assert told['ok'] and told['counts']=={'cat':{'ok':2}}
    assert {(o['query'], o['title']) for o in Manifest(tmp_path/'set')}=={('cat photo', 'cat photo 0'), ('cat photo', 'cat photo 1')}


@pytest.mark.parametrize('message,word', [('HTTP Error 403: Forbidden', 'http_403'), ('HTTP Error 302: The HTTP server returned a redirect error that would lead to an infinite loop.\nX', 'redirect_loop'),
    ('The read operation timed out', 'timeout'), ('<urlopen error [Errno -3] Temporary failure in name resolution>', 'no_such_host'), ('<urlopen error [Errno 111] Connection refused>', 'connection'),
    ('<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed>', 'tls'), ('IncompleteRead(9 bytes read, 1 more expected)', 'incomplete'), ('<urlopen error no host given>', 'bad_url'),
    ('Use of image disallowed by X-Robots-Tag directive', 'opted_out'), ('', 'connection'), (None, 'connection')])
def test_words_for_its_sentences(message, word): assert word_for('failed_to_download', message)==word


# ---- img2dataset itself

SLOW = ('drip', 'stall', 'endless', 'bomb', 'huge', 'wait an hour', 'odd wait', 'for ever', 'wait until', 'wait a second')
OTHER = ('status 20', 'packed', 'private', 'loopback', 'metadata', 'decimals', 'to IPv6', 'link-local', 'localhost', 'noimageai', '6 times', 'to nonsense', 'a zero') # it follows other rules there


def run_program(list_path, folder, *more):
    "img2dataset in a process group of its own"
    env = {**os.environ, 'NO_ALBUMENTATIONS_UPDATE':'1', 'PYTHONPATH':'', 'no_proxy':'127.0.0.1'}
    command = img2dataset_command(list_path, folder)
    command[command.index('2', command.index('--retries'))] = '3'
    return subprocess.Popen([PROGRAM, *command[1:], '--timeout', '3', '--thread_count', '8', *map(str, more)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def finished(process):
    said = process.communicate(timeout=240)[0]
    assert process.returncode==0, said[-3000:]


@pytest.fixture(scope='module')
def served():
    server = ChaosServer()
    cases = [c for c in server.cases if not any(o in c[0] for o in (*SLOW, *OTHER))]
    yield server,cases
    server.close()


@needs_program
@pytest.mark.parametrize('kind', ['webdataset', 'files'])
def test_there_and_back(pq, served, tmp_path, kind):
    server,cases = served
    server.seen.clear()
    jobs = [(c[1], 'chaos', Hit(c[2], title=c[0], creator='Ann', licence='CC0', source='openverse')) for c in cases]
    told = export_hits(jobs, {}, tmp_path/'set', tmp_path/'hits.parquet')
    finished(run_program(tmp_path/'hits.parquet', tmp_path/'out', '--number_sample_per_shard', 20, '--output_format', kind))
    assert len(list((tmp_path/'out').glob('*_stats.json')))==-(-told['addresses']//20)
    asked = len(server.log)
    made = collect_shards(tmp_path/'out', tmp_path/'set', **QUIET)
    assert statuses(made)=={(c[1], c[2]):c[3] for c in cases} and len(server.log)==asked
    assert all((o['title'], o['creator'], o['licence'])==(c[0], 'Ann', 'CC0') for c in cases for o in [made._manifest.get(c[1], c[2])])
    before = tree(tmp_path/'set')
    collect_shards(tmp_path/'out', tmp_path/'set', **QUIET)
    assert tree(tmp_path/'set')==before


@needs_program
def test_img2dataset_that_was_killed_goes_on(pq, tmp_path):
    server,gate,visited = ChaosServer(),threading.Event(),threading.Event()
    def slow(c):
        visited.set()
        gate.wait(60)
        c.write(page(200, saved(photo('gate'))))
    try:
        server.answers = {f'p{i}':picture(f'killed {i}') for i in range(9)} | {'p7':slow}
        export_hits([('cat', '', Hit(f'{server.base}/p{i}')) for i in range(9)], {}, tmp_path/'set', tmp_path/'hits.parquet')
        process = run_program(tmp_path/'hits.parquet', tmp_path/'out', '--number_sample_per_shard', 3, '--timeout', 60)
        assert visited.wait(120)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        gate.set()
        counts = Counter(o['status'] for o in collect_shards(tmp_path/'out', tmp_path/'set', **QUIET).rows)
        assert 0<counts['ok']<9 and counts['waiting']==9-counts['ok']
        finished(run_program(tmp_path/'hits.parquet', tmp_path/'out', '--number_sample_per_shard', 3))
        asked = [o for o in server.log if server.log.count(o)>1]
        assert set(asked)<={'/p6', '/p7', '/p8'} and len(collect_shards(tmp_path/'out', tmp_path/'set', **QUIET))==9
    finally: server.close()


@needs_program
def test_without_our_option_it_lays_photos_on_their_side(pq, served, tmp_path, capsys):
    "Why the command says --disable_all_reencoding"
    server,_ = served
    upright = np.asarray(photo('exif 6').convert('L').resize((64, 64)), dtype=float)
    def looks(made): return np.asarray(Image.open(made.files()[0]).convert('L').resize((64, 64)), dtype=float)
    for again in ('True', 'False'):
        export_hits([('cat', '', Hit(f'{server.base}/EXIF%206'))], {}, tmp_path/f'set {again}', tmp_path/'hits.parquet')
        finished(run_program(tmp_path/'hits.parquet', tmp_path/again, '--resize_mode', 'no', '--disable_all_reencoding', again))
        near = np.abs(looks(collect_shards(tmp_path/again, tmp_path/f'set {again}', **QUIET))-upright).mean()<8
        assert near==(again=='True') and ('give it --disable_all_reencoding True' in capsys.readouterr().out)==(again=='False')
