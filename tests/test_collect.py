"The collect lesson's functions, against the practice web on this machine: nothing lost, nothing doubled, nothing asked twice."
import json, subprocess, sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fastclass.collect import collect, collect_classes, collect_folder, collect_urls, rebuild
from fastclass.engine.collect import practice_server, search
from fastclass.engine.base.errors import BadQueryError, DataError, NothingFoundError
from fastclass.engine.collect.collection import Collection, check_counts, contact_sheet
from fastclass.engine.collect.url_lists import local_file, read_labelled, read_urls


def scene(seed, size=(160, 120)): # a picture that looks like no other
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)


def tree(folder): return {p.relative_to(folder).as_posix():p.read_bytes() for p in sorted(Path(folder).rglob('*')) if p.is_file()}


@pytest.fixture
def web(tmp_path, monkeypatch):
    "A practice web with two classes of 30 pictures"
    monkeypatch.setenv('FASTCLASS_HOME', str(tmp_path/'home'))
    monkeypatch.setenv('FASTCLASS_SOURCE', 'bundled')
    packs = {'toys':{}}
    for k,name in enumerate(('kite', 'ball')):
        (tmp_path/'src'/name).mkdir(parents=True)
        packs['toys'][name] = [tmp_path/'src'/name/f'{i:02d}.jpg' for i in range(30)]
        for i,p in enumerate(packs['toys'][name]): scene(1000*k+i).save(p)
    web = practice_server.PracticeWeb(packs)
    def running(): return web
    running.cache_info = lambda: SimpleNamespace(currsize=1)
    monkeypatch.setattr(practice_server, 'practice_web', running)
    search.default_sources.cache_clear()
    yield web
    web.close()
    search.default_sources.cache_clear()


TERMS = {'kite':'kite photo', 'ball':'ball photo'}


def test_a_second_run_asks_nobody_and_changes_no_byte(web, tmp_path):
    made = collect(TERMS, tmp_path/'set', n=33)
    asked,before = len(web.log),tree(tmp_path/'set')
    again = collect(TERMS, tmp_path/'set', n=33)
    assert len(web.log)==asked and again.requests==0 and tree(tmp_path/'set')==before
    assert made.requests>0 and made.counts==again.counts


def test_more_pictures_later_fetch_just_the_rest(web, tmp_path):
    collect(TERMS, tmp_path/'set', n=12)
    before,files = len(web.log),tree(tmp_path/'set')
    made = collect(TERMS, tmp_path/'set', n=33)
    assert set(web.log[before:]).isdisjoint(web.log[:before])
    assert all(tree(tmp_path/'set')[k]==v for k,v in files.items() if k.endswith('.jpg'))
    collect(TERMS, tmp_path/'at once', n=33)
    assert {p.name for p in made.files()}=={p.name for p in Collection(tmp_path/'at once').files()}


def test_every_address_has_one_row_and_the_faults_have_names(web, tmp_path):
    made = collect(TERMS, tmp_path/'set', n=33)
    assert made.table()['addresses'].tolist()==[33, 33] and len(made.rows)==66
    words = set(made.table().columns)
    assert {'ok', 'http_404', 'addresses'} <= words and len(words)>=5
    assert len(made.files())==len(set(made.files())) and all(p.is_file() for p in made.files())
    assert set(made.counts['kite'])>={'ok', 'http_404'} and made.counts['kite']['ok']>=24
    assert len(made.refused())==66-len(made)


def test_addresses_keep_their_queries(web, tmp_path):
    made = collect(TERMS, tmp_path/'set', n=33)
    asked = [o for o in made.rows if '?id=' in o['url']]
    assert asked and all(o['status']=='ok' for o in asked)


def test_a_kept_picture_never_gets_in(web, tmp_path):
    kept = tmp_path/'kept.png'
    Image.open(tmp_path/'src/kite/03.jpg').resize((200, 150)).save(kept) # another size, another format
    made = collect(TERMS, tmp_path/'set', n=33, kept=[kept])
    assert made.counts['kite']['kept_aside']==1
    assert not any('03.jpg' in o['url'] for o in made.rows_of('kite') if o['status']=='ok')


def test_a_port_that_changed_is_no_reason_to_fetch_again(web, tmp_path, monkeypatch):
    collect(TERMS, tmp_path/'set', n=12)
    before = tree(tmp_path/'set')
    other = practice_server.PracticeWeb(web._packs.__self__)
    def moved(): return other
    moved.cache_info = lambda: SimpleNamespace(currsize=1)
    monkeypatch.setattr(practice_server, 'practice_web', moved)
    collect(TERMS, tmp_path/'set', n=12)
    assert other.log==[] and tree(tmp_path/'set')==before
    other.close()


def test_no_progress_bar_goes_into_a_pipe(web, tmp_path, capsys):
    collect(TERMS, tmp_path/'set', n=12)
    assert capsys.readouterr()==('', '')


def test_too_few_pictures_stop_and_leave_what_is_there(web, tmp_path):
    with pytest.raises(DataError, match='Too few pictures: kite has') as e: collect(TERMS, tmp_path/'set', n=12, min_ok=50)
    assert 'n=' in e.value.next and len(Collection(tmp_path/'set'))>10


def test_more_than_half_refused_stops(web, tmp_path):
    good = [h.url for h in web.hits('kite')][:2]
    with pytest.raises(DataError, match='More than half was refused: kite 3 of 5.*http_404'):
        collect_urls({'kite':good+[f'{web.address}/toys/kite/no{i}.jpg' for i in range(3)]}, tmp_path/'set', min_ok=1)
    assert len(Collection(tmp_path/'set'))==2


def test_an_unknown_class_without_internet_says_what_there_is(web, tmp_path):
    with pytest.raises(NothingFoundError, match='kite, ball'): collect({'whale':'whale photo'}, tmp_path/'set')
    assert not (tmp_path/'set').exists()


@pytest.mark.parametrize('terms', [{}, None, ['kite'], {'../kite':'kite'}, {'':'kite'}, {'.git':'kite'}, {'a/b':'kite'}, {3:'kite'}, {' kite':'kite'}])
def test_names_that_are_no_folders_are_refused_before_anything_is_asked(web, tmp_path, terms):
    with pytest.raises(DataError): collect(terms, tmp_path/'set')
    assert not web.log and not (tmp_path/'set').exists()


@pytest.mark.parametrize('query', ['', 7, '?!', 'x'*300])
def test_a_bad_query_is_named(web, tmp_path, query):
    with pytest.raises((BadQueryError, DataError)): collect({'kite':query}, tmp_path/'set')


def test_lists_of_all_shapes_give_the_same_set(web, tmp_path):
    urls = [h.url for h in web.hits('kite')][:5]
    (tmp_path/'list.txt').write_bytes(('\r\n\r\n'+'\r\n\r\n'.join(urls)).encode())
    df = pd.DataFrame({'url':[*urls, None], 'label':['kite']*6})
    shapes = [{'kite':tmp_path/'list.txt'}, {'kite':str(tmp_path/'list.txt')}, {'kite':urls}, {'kite':df['url']}, {'kite':df}, df]
    sets = [{p.name for p in collect_urls(o, tmp_path/f'set{i}', min_ok=1).files()} for i,o in enumerate(shapes)]
    assert len(sets[0])==5 and all(o==sets[0] for o in sets)


def test_a_table_of_files_with_windows_paths(tmp_path):
    for k in ('a', 'b'):
        (tmp_path/k).mkdir()
        for i in range(3): scene(10*ord(k)+i).save(tmp_path/k/f'{i}.jpg')
    (tmp_path/'labels.csv').write_bytes(b'name,label\r\r\n'+b''.join(b'%s\\%d.jpg,%s\r\r\n' % (k, i, k) for k in (b'a', b'b') for i in range(4)) + b'..\\secret.jpg,a\r\r\n')
    made = collect_urls(tmp_path/'labels.csv', tmp_path/'set', min_ok=1)
    assert made.counts['b']=={'ok':3, 'missing':1} and made.counts['a']['ok']==3 and made.counts['a'].total()==5


def test_own_photos_are_turned_upright_and_left_alone(tmp_path):
    folder = tmp_path/'own'/'bridge'
    folder.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010f] = 'Maker'
    scene(1, (200, 120)).save(folder/'IMG 0001 "é".JPG', exif=exif)
    (folder/'notes.txt').write_text('not a picture')
    (folder/'.DS_Store').write_bytes(b'x')
    before = tree(tmp_path/'own')
    made = collect_folder(tmp_path/'own', tmp_path/'set')
    assert [Image.open(p).size for p in made.files()]==[(120, 200)] and b'Maker' not in made.files()[0].read_bytes()
    assert tree(tmp_path/'own')==before and made.counts['bridge'].total()==2
    files = tree(tmp_path/'set')
    collect_folder(tmp_path/'own', tmp_path/'set')
    assert tree(tmp_path/'set')==files
    assert len(collect_folder(folder, tmp_path/'flat', label='x'))==1


@pytest.mark.parametrize('bad', ['nowhere', 'empty'])
def test_no_photos_is_an_error_with_a_next_step(tmp_path, bad):
    (tmp_path/'empty').mkdir()
    with pytest.raises(DataError) as e: collect_folder(tmp_path/bad, tmp_path/'set')
    assert e.value.next and not (tmp_path/'set').exists()


def test_rebuild_gives_the_same_set_and_names_what_changed(web, tmp_path):
    made = collect(TERMS, tmp_path/'set', n=12)
    same = rebuild(tmp_path/'set', tmp_path/'twin')
    assert same.changed==[] and {p.name for p in same.files()}=={p.name for p in made.files()}
    scene(77).save(tmp_path/'src/kite/00.jpg')
    changed = rebuild(tmp_path/'set'/'manifest.jsonl', tmp_path/'other')
    assert len(changed.changed)==1 and changed.changed[0].endswith('/00.jpg')


def test_credits_and_card_name_makers_and_licences(web, tmp_path):
    made = collect(TERMS, tmp_path/'set', n=12)
    text = made.credits().read_text(encoding='utf-8')
    assert 'Apache-2.0' in text and 'Drawn by fastclass' in text and text.count('- `')==len(made)
    card = made.card().read_text(encoding='utf-8')
    assert '"kite photo"' in card and f'| kite | {made.counts["kite"]["ok"]} | 12 |' in card
    files = tree(tmp_path/'set')
    collect(TERMS, tmp_path/'set', n=12)
    assert tree(tmp_path/'set')==files


def test_pictures_of_pictures(web, tmp_path):
    made = collect(TERMS, tmp_path/'set', n=12)
    assert made.sheet('kite', 8).size[0]>400 and contact_sheet([]).size[1]>=1
    assert len(made.plot().patches)>=4
    assert 'asked 12, got 12 (bundled packs 12)' in repr(made)


def test_the_command(web, tmp_path, capsys):
    res = collect_classes('kite=kite photo, ball', str(tmp_path/'set'), n=12, min_ok=3)
    assert res['ok'] and set(res['counts'])=={'kite', 'ball'} and (tmp_path/'set/ATTRIBUTION.md').is_file()
    assert json.dumps(res)
    with pytest.raises(DataError, match='no class'): collect_classes('', str(tmp_path/'other'))


def test_import_is_quick_and_light():
    code = "import sys, fastclass.collect; print([o for o in ('torch','fastai','pandas','matplotlib','numpy','ddgs') if o in sys.modules])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip()=='[]'


def test_shared_lists_are_read(shared):
    lists = shared/'url_lists'
    assert {p.name:len(read_urls(p)) for p in lists.glob('collins*')}=={f'collinswm_{k}.csv':80 for k in ('black', 'grizzly', 'panda', 'polar', 'teddy')}
    assert [len(read_urls(lists/f'urls_{k}.txt')) for k in ('black', 'grizzly', 'teddys')]==[320, 319, 319]
    assert all(u.startswith('https://') for p in lists.glob('urls_*.txt') for u in read_urls(p))
    assert any('%3A' in u for u in read_urls(lists/'collinswm_black.csv'))
    assert {k:len(v) for k,v in read_labelled(lists/'cleaned_windows_paths.csv').items()}=={'black':160, 'grizzly':160, 'teddys':160}
    assert local_file('black\\00000000.jpg', shared/'photos'/'bears').is_file()


def test_shared_bears_through_the_windows_list(shared, tmp_path):
    made = collect_urls(shared/'url_lists'/'cleaned_windows_paths.csv', tmp_path/'set', root=shared/'photos'/'bears')
    assert sum(c.total() for c in made.counts.values())==480
    assert made.counts['black']['two_labels']>=1 and made.counts['grizzly']['two_labels']>=1 # one file is in both folders
    assert sum(c['duplicate'] for c in made.counts.values())>=2 # two files are doubled inside a class


def test_a_class_that_is_named_twice_has_both_searches(web, tmp_path):
    made = collect_classes('toy=kite, ball, toy=kite photo', str(tmp_path/'set'), n=20, min_ok=3)
    assert {o['query'] for o in Collection(tmp_path/'set').rows_of('toy')}=={'kite'} # the second search gave the same addresses
    assert made['said']['toy'].count('asked 10')==2 and made['counts']['toy']['ok']>3
    collect_classes('toy=kite, toy=ball', str(tmp_path/'both'), n=20, min_ok=3)
    assert {o['query'] for o in Collection(tmp_path/'both').rows_of('toy')}=={'kite', 'ball'}


@pytest.mark.parametrize('damage', ['blank line', 'carriage returns', 'windows', 'no last end', 'torn'])
def test_an_edited_manifest_loses_no_row(web, tmp_path, damage):
    collect(TERMS, tmp_path/'set', n=12)
    path,asked = tmp_path/'set'/'manifest.jsonl',len(web.log)
    before = path.read_bytes()
    first,_,rest = before.partition(b'\n')
    path.write_bytes({'blank line':first+b'\n\n'+rest, 'carriage returns':before.replace(b'\n', b'\r'), 'windows':before.replace(b'\n', b'\r\n'),
                      'no last end':before.rstrip(), 'torn':before+before[:40]}[damage])
    made = collect(TERMS, tmp_path/'set', n=12)
    assert path.read_bytes()==before and len(web.log)==asked and made.requests==0


def test_lines_that_cannot_be_read_are_kept_and_told(web, tmp_path):
    collect(TERMS, tmp_path/'set', n=12)
    path = tmp_path/'set'/'manifest.jsonl'
    before = path.read_bytes()
    first,_,rest = before.partition(b'\n')
    path.write_bytes(first+b'\n<<<<<<< ours\n'+rest)
    with pytest.warns(UserWarning, match='1 line of manifest.jsonl cannot be read, from line 2 on'): collect(TERMS, tmp_path/'set', n=12)
    assert path.read_bytes()==before and (tmp_path/'set'/'manifest.unread.jsonl').read_bytes()==b'<<<<<<< ours\n'


@pytest.mark.parametrize('hash', ['../../avatar', '../../holiday'])
def test_a_row_moves_nothing_out_of_the_set_or_into_it(web, tmp_path, hash):
    collect(TERMS, tmp_path/'set', n=12)
    path = tmp_path/'set'/'manifest.jsonl'
    (tmp_path/'holiday.jpg').write_bytes(b'mine')
    rows = [json.loads(o) for o in path.read_text().splitlines()]
    odd = next(o for o in rows if o['status']=='ok')
    odd['hash'],odd['bytes'] = hash,4
    path.write_text('\n'.join(map(json.dumps, rows)))
    before = tree(tmp_path)
    for run in (lambda: collect(TERMS, tmp_path/'set', n=12), lambda: rebuild(tmp_path/'set', tmp_path/'twin')):
        with pytest.raises(DataError, match=f'manifest.jsonl, line {rows.index(odd)+1}: the hash'): run()
    assert tree(tmp_path)==before


def test_rebuild_reads_the_file_that_is_named(web, tmp_path):
    made = collect(TERMS, tmp_path/'set', n=12)
    (tmp_path/'downloads').mkdir()
    (tmp_path/'set'/'manifest.jsonl').rename(tmp_path/'downloads'/'toys.jsonl')
    assert len(rebuild(tmp_path/'downloads'/'toys.jsonl', tmp_path/'twin'))==len(made)


def test_rebuild_goes_on_after_the_port_changed(web, tmp_path, monkeypatch):
    collect(TERMS, tmp_path/'set', n=12)
    rebuild(tmp_path/'set', tmp_path/'twin')
    other = practice_server.PracticeWeb(web._packs.__self__)
    def moved(): return other
    moved.cache_info = lambda: SimpleNamespace(currsize=1)
    monkeypatch.setattr(practice_server, 'practice_web', moved)
    assert rebuild(tmp_path/'set', tmp_path/'twin').changed==[] and other.log==[]
    other.close()


def test_files_of_this_machine_are_rebuilt_only_where_the_reader_says_so(tmp_path):
    for i in range(3): (tmp_path/'own'/'cat').mkdir(parents=True, exist_ok=True), scene(i).save(tmp_path/'own'/'cat'/f'{i}.jpg')
    collect_folder(tmp_path/'own', tmp_path/'set')
    with pytest.raises(DataError, match='bad_url'): rebuild(tmp_path/'set', tmp_path/'twin')
    assert not (tmp_path/'twin'/'cat').exists()
    assert len(rebuild(tmp_path/'set', tmp_path/'mine', local_files=True))==3


def test_a_page_that_was_filled_in_stays(web, tmp_path):
    collect_classes('kite, ball', str(tmp_path/'set'), n=12, min_ok=3)
    card = tmp_path/'set'/'DATASET.md'
    card.write_text(card.read_text()+'For telling kites from balls.\n')
    collect_classes('kite, ball', str(tmp_path/'set'), n=20, min_ok=3)
    assert card.read_text().endswith('For telling kites from balls.\n') and '| kite | ' in (tmp_path/'set'/'DATASET-new.md').read_text()
    assert not (tmp_path/'set'/'ATTRIBUTION-new.md').exists()


def test_a_picture_that_was_changed_by_hand_stays(web, tmp_path):
    made = collect(TERMS, tmp_path/'set', n=12)
    row = made.rows_of('kite')[0]
    (tmp_path/'set'/row['file']).write_bytes(b'mine')
    again = collect_urls({'kite':[row['url']+'?again']}, tmp_path/'set', min_ok=0) # the same picture at another address
    assert (tmp_path/'set'/row['file']).read_bytes()==b'mine' and len(again.rows)==25


@pytest.mark.skipif(sys.platform=='win32', reason='links need rights there')
@pytest.mark.parametrize('place', ['.staged', '.quarantine', 'kite', '.manifest.lock', 'manifest.jsonl'])
def test_nothing_is_written_through_a_link(web, tmp_path, place):
    (tmp_path/'set').mkdir()
    (tmp_path/'mine').mkdir()
    for name in ('thesis.txt', '0123456789abcdef.jpg'): (tmp_path/'mine'/name).write_text('mine')
    (tmp_path/'set'/place).symlink_to(tmp_path/'mine'/('thesis.txt' if 'manifest' in place else ''))
    before = tree(tmp_path/'mine')
    with pytest.raises(DataError, match='is a link|no manifest'): collect(TERMS, tmp_path/'set', n=12)
    assert tree(tmp_path/'mine')==before


def test_counts_stop_only_where_they_should():
    from collections import Counter
    check_counts({'a':Counter(ok=10, http_404=10)})
    with pytest.raises(DataError, match='Too few'): check_counts({'a':Counter(ok=9)})
    with pytest.raises(DataError, match='More than half'): check_counts({'a':Counter(ok=10, http_404=11)})
    check_counts({'a':Counter(ok=1)}, min_ok=0)
