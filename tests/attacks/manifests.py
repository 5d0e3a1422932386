"Manifests, folders of a set, address lists, shards and caches of strangers: what lesson 1 reads besides pictures."
import io, json, os, tarfile
from importlib.util import find_spec
from pathlib import Path

from attacks import Attack

HASH = '0123456789abcdef'*4
PLAIN = dict(label='cat', url='https://e.org/1.jpg', status='waiting')
PICTURE = PLAIN|dict(status='ok', file=f'cat/{HASH[:16]}.jpg', hash=HASH, raw_hash=HASH, bytes=7, phash=HASH[:16], tint=HASH+HASH[:32])
HUGE = 20_000_000_000 # Bytes of files that take no place on the disk


# ---- what a stranger writes

def line(row) -> bytes: return json.dumps(row).encode()+b'\n'


def written(data, name='set/manifest.jsonl'):
    "Writes one file"
    def make(folder):
        path = folder/name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return make


def manifest_row(**odd):
    "A manifest whose second row is odd"
    return written(line(PLAIN)+line(PICTURE|dict(url='https://e.org/2.jpg')|odd))


def rows(n, end=b'\n'): return end.join(line(PLAIN|dict(url=f'https://e.org/{i}.jpg')).rstrip(b'\n') for i in range(n))+end


def photo(path, seed=0):
    "A picture that passes every check"
    from PIL import Image
    path.parent.mkdir(parents=True, exist_ok=True)
    small = bytes((37*seed+91*i*i+13*i)%256 for i in range(9*12*3))
    Image.frombytes('RGB', (12, 9), small).resize((160, 120), Image.Resampling.BICUBIC).save(path)


def pipe(path): os.mkfifo(path)
def sparse(path):
    with open(path, 'wb') as f: f.truncate(HUGE)
def device(path): path.symlink_to('/dev/zero')
def link_out(path): path.symlink_to(path.parent.parent.parent/'canary.txt')
def folder_out(path): path.symlink_to(path.parent.parent.parent, target_is_directory=True)
def loop(path): path.symlink_to(path.name)
def directory(path): path.mkdir()
def dangling(path): path.symlink_to(path.parent.parent.parent/'made_by_the_attack')
def full(path):
    path.mkdir()
    (path/'mine.txt').write_text('mine')


def in_set(name, kind):
    "Own photos, and a set in which something odd lies at `name`"
    def make(folder):
        photo(folder/'own'/'cat'/'1.jpg')
        (folder/'set'/name).parent.mkdir(parents=True, exist_ok=True)
        kind(folder/'set'/name)
    return make


# ---- what a reader calls

def read(folder):
    from fastclass.engine.collect.manifest import Manifest
    return Manifest(folder/'set')


def own(folder):
    "Collect into the set what lies in own/"
    from fastclass.collect import collect_folder
    return collect_folder(folder/'own', folder/'set', progress=False)


def again(folder):
    "Read, write one row more, and compact"
    from fastclass.engine.collect.manifest import Manifest
    m = Manifest(folder/'set')
    m.add([PLAIN|dict(url='https://e.org/new.jpg')])
    m.compact()
    return Manifest(folder/'set')


def rebuilt(folder):
    from fastclass.collect import rebuild
    return rebuild(folder/'set', folder/'twin', progress=False)


def pages(folder):
    from fastclass.collect import Collection
    made = Collection(folder/'set')
    for page in (made.credits(), made.card()): print(page.read_text(encoding='utf-8'))
    print(made)
    return made


def listed(name):
    def run(folder):
        from fastclass.collect import collect_urls
        return collect_urls(folder/name if name.endswith('.csv') else {'cat': folder/name}, folder/'set', min_ok=0, progress=False)
    return run


def command(**options):
    def run(folder):
        from fastclass.collect import collect_classes
        from fastclass.engine.collect import download
        download._progress_bar = lambda n, progress: download._no_bar # it goes back to the start of its line, which `prints` would take for an attack
        os.environ['FASTCLASS_SOURCE'] = 'bundled'
        return collect_classes(**(dict(dest='set')|options))
    return run


# ---- what must come of it

def has(n):
    def check(result, folder): assert len(result)==n, len(result)
    return check


def stays(name, text='mine'):
    def check(result, folder): assert (folder/name).read_text()==text
    return check


def kept_aside(result, folder):
    assert len(result)==3
    assert (folder/'set'/'manifest.unread.jsonl').read_bytes()==b'<<<<<<< ours\n'


def nothing_taken(result, folder):
    "No picture came in, and no byte of a canary"
    for file in folder.rglob('*'):
        if file.is_file() and not file.is_symlink() and file.stat().st_size<1e6: assert b'not to be touched' not in file.read_bytes(), file


# ---- one odd field

TEXTS = dict(number=7, list=['a'], long='x'*400_000)
HEXES = dict(climbs='../../avatar', short='abc', capitals=HASH.upper(), number=12, newline=HASH[:-1]+'\n')
NUMBERS = dict(text='7', negative=-1, huge=10**400, nan=float('nan'), infinite=float('inf'), half=.5, true=True, list=[7])
PATHS = dict(climbs=f'../{HASH[:16]}.jpg', climbs_twice='../../avatar.jpg', absolute='/etc/passwd', other_class=f'dog/{HASH[:16]}.jpg',
             other_name='cat/holiday.jpg', through_quarantine=f'.quarantine/../../../{HASH[:16]}.jpg', backslash=f'cat\\{HASH[:16]}.jpg',
             staged=f'.staged/{HASH[:16]}.jpg', nul=f'cat/\0{HASH[:16]}.jpg')
FIELDS = dict(hash=HEXES, raw_hash=HEXES, phash=HEXES, tint=HEXES, bytes=NUMBERS, width=NUMBERS, rank=NUMBERS, title=TEXTS,
              thumbnail=TEXTS, label=TEXTS|dict(surrogate='\ud800'), url=TEXTS, file=TEXTS|PATHS, status=TEXTS|dict(path='../x', escape='ok\x1b[2J'),
              noai=dict(number=1, text='yes'), note=dict(list=[1], object={'a': [[]]}, long='x'*400_000))

ODD_FIELDS = [Attack(f'manifest_{field}_{kind}', make=manifest_row(**{field: value}), run=read, says='manifest.jsonl, line 2')
              for field,values in FIELDS.items() for kind,value in values.items()]
MISSING = [Attack(f'manifest_picture_without_{field}', make=manifest_row(**{field: ''}), run=read, says=f'line 2: it has the status ok and no {field}')
           for field in ('hash', 'phash', 'tint', 'bytes')]

NO_ROWS = dict(list=b'[1, 2]\n', number=b'7\n', text=b'"cat"\n', null=b'null\n', object=b'{}\n', no_url=b'{"label": "cat", "status": "ok"}\n',
               null_label=b'{"label": null, "url": "u", "status": "ok"}\n')
NOT_ROWS = [Attack(f'manifest_row_is_{kind}', make=written(line(PLAIN)+data), run=read, says='line 2 is no entry') for kind,data in NO_ROWS.items()]

# ---- the file as a whole: nothing of it may be lost

N = 25
WHOLE = dict(
    blank_line=line(PLAIN)+b'\n'+rows(N), blank_lines=b'\n\n'+rows(N)+b'\n \n', carriage_returns=rows(N, b'\r'), windows=rows(N, b'\r\n'),
    mixed=rows(9, b'\r')+rows(N), byte_order_mark=b'\xef\xbb\xbf'+rows(N), no_last_end=rows(N).rstrip(b'\n'), torn=rows(N)+line(PLAIN)[:30],
    torn_early=rows(N)+b'{"la', zeros_at_the_end=rows(N)+bytes(5000), blank_between=b'\n\n'.join([rows(9), rows(N)]))
WHOLE_FILES = [Attack(f'manifest_{kind}_read', make=written(data), run=read, says=None, check=has(N)) for kind,data in WHOLE.items()]
WHOLE_FILES += [Attack(f'manifest_{kind}_written', make=written(data), run=again, says=None, check=has(N+1)) for kind,data in WHOLE.items()]
NO_MANIFESTS = dict(notes=b'my notes', notes_with_end=b'my notes\n', binary=bytes(range(256))*9, utf16=rows(9).decode().encode('utf-16'),
                    nested=b'['*200_000, deep_row=b'{"a":'*200_000+b'\n', digits=b'{"a":'+b'9'*5000+b'}\n', long_line=b'x'*9_000_000, array=b'[{"label": "a"}]')
NO_FILES = [Attack(f'manifest_is_{kind}', make=written(data), run=own, says='manifest') for kind,data in NO_MANIFESTS.items()]
def linked(name, kind, data=b''):
    "A manifest with something odd beside it, or in its place"
    def make(folder):
        written(data, 'set/manifest.jsonl')(folder)
        (folder/'set'/name).unlink(missing_ok=True)
        kind(folder/'set'/name)
    return make


def manifest_out(path):
    "A link to a file of the reader that could be a manifest"
    (path.parent.parent/'mine.jsonl').write_bytes(rows(3))
    path.symlink_to(path.parent.parent/'mine.jsonl')


KEPT = [Attack('manifest_added_to_through_a_link', make=linked('manifest.jsonl', manifest_out), run=again, says='is a link', check=stays('mine.jsonl', rows(3).decode())),
        *[Attack(f'manifest_unread_lines_go_to_{kind.__name__}', make=linked('manifest.unread.jsonl', kind, rows(2)+b'<<<<\n'), run=again, says='manifest.unread.jsonl is',
                 check=nothing_taken) for kind in (link_out, dangling, pipe, directory)],
        Attack('manifest_mark_of_git', make=written(rows(1)+b'<<<<<<< ours\n'+line(PLAIN|dict(url='https://e.org/b.jpg'))), run=again, says=None, check=kept_aside),
        Attack('manifest_of_another_tool', make=written(b'{"audio_filepath": "a.wav", "text": "hello"}\n'), run=again, says='line 1 is no entry',
               check=stays('set/manifest.jsonl', '{"audio_filepath": "a.wav", "text": "hello"}\n'))]

# ---- what lies where a run writes

PLACES = {'manifest.jsonl': [pipe, sparse, device, link_out, loop, directory, dangling], '.manifest.lock': [device, link_out, dangling, directory, pipe],
          '.staged': [pipe, folder_out, link_out], '.quarantine': [pipe, folder_out, dangling], 'cat': [pipe, folder_out, link_out, dangling],
          '.quarantine/cat': [folder_out, pipe], 'manifest.unread.jsonl': [link_out]}
ODD_PLACES = [Attack(f'set_{name.strip(".").replace("/", "_")}_{kind.__name__}', make=in_set(name, kind), run=own, says='', check=nothing_taken)
              for name,kinds in PLACES.items() for kind in kinds]
FULL = [Attack('set_staged_with_files_of_the_reader', make=in_set('.staged', full), run=own, says=None, check=stays('set/.staged/mine.txt')),
        Attack('set_half_written_file_of_the_reader', make=in_set('.thesis.part', lambda path: path.write_text('mine')), run=own, says=None,
               check=stays('set/.thesis.part'))]


def with_pages(kind):
    def make(folder):
        written(line(PICTURE))(folder)
        for name in ('ATTRIBUTION.md', 'DATASET.md'): kind(folder/'set'/name)
    return make


def page_stays(result, folder):
    assert all((folder/'set'/name).read_text()=='mine' for name in ('ATTRIBUTION.md', 'DATASET.md'))
    assert 'cat' in (folder/'set'/'DATASET-new.md').read_text()


PAGES = [Attack(f'page_is_{kind.__name__}', make=with_pages(kind), run=pages, says=None) for kind in (pipe, sparse, device, link_out, directory, dangling)]
PAGES.append(Attack('page_of_the_reader', make=with_pages(lambda path: path.write_text('mine')), run=pages, says=None, check=page_stays))

# ---- a manifest that names what a stranger has no business with

SOURCES = dict(file_url=dict(url='file:{canary}', source='files'), file_url_of_a_list=dict(url='file:{canary}', source='list'), private=dict(url='http://127.0.0.1:9/1.jpg'),
               bundled_without_path=dict(url='http://e.org', source='bundled'), bundled_broken=dict(url='http://[::1', source='bundled'),
               bundled_port=dict(url='0/a/b', source='bundled'), not_an_address=dict(url='\x1b[2J'), other_class=dict(label='../../avatar', file=''))


def naming(odd):
    def make(folder):
        canary = (folder.parent/'holiday.jpg').as_posix()
        row = PICTURE|odd
        manifest_row(**{k: v.replace('{canary}', canary) for k,v in row.items() if isinstance(v, str)})(folder)
    return make


NAMED = [Attack(f'rebuild_{kind}', make=naming(odd), run=rebuilt, says='', check=nothing_taken) for kind,odd in SOURCES.items()]

# ---- address lists

HEAD = b'url,label\n'
LISTS = {
    'climbing_file_url.txt': (b'file:/../../../../../../../../../etc/passwd\n', 'refused'), 'climbing.txt': (b'../holiday.jpg\n', 'refused'),
    'climbing_windows.txt': (b'..\\holiday.jpg\n', 'refused'), 'absolute.txt': (b'/etc/passwd\n', 'refused'), 'drive.txt': (b'C:\\secret.jpg\n', 'refused'),
    'many_lines.txt': (b'ab\n'*11_000_000, 'lines and fields'), 'many_fields.csv': (HEAD+b'ab,'*11_000_000, 'lines and fields'), 'nul_name.txt': (b'a\0b.jpg\n', 'is no text'), 'binary.txt': (bytes(range(256)), 'is no text'), 'empty.txt': (b'', 'no address'), 'blank.txt': (b'\n \r\n\t\n', 'no address'),
    'long.txt': (b'http://e.org/'+b'a'*300_000+b'\n', 'characters'), 'long_name.txt': (b'a'*5000+b'\n', 'refused'), 'quote.txt': (b'http://127.0.0.1:9/"\nhttp://127.0.0.1:9/b\n', 'refused'),
    'open_quote.csv': (HEAD+b'"http://e.org/1.jpg,cat\nhttp://e.org/2.jpg,cat\n', 'never closed'), 'long_field.csv': (HEAD+b'"'+b'x'*200_000+b'",cat\n', 'field limit'),
    'odd_label.csv': (HEAD+b'http://e.org/1.jpg,../../cat\n', 'name of a folder'), 'escape_label.csv': (HEAD+b'http://e.org/1.jpg,cat\x1b[2J\n', 'name of a folder'),
    'long_label.csv': (HEAD+b'http://e.org/1.jpg,'+b'c'*100_000+b'\n', 'name of a folder'), 'bytes_label.csv': (HEAD+b'http://127.0.0.1:9/1.jpg,caf\xe9\n', 'private_address'),
    'no_label.csv': (b'url\nhttp://e.org/1.jpg\n', 'no column of labels'), 'twice.csv': (HEAD+b'http://e.org/1.jpg,cat\nhttp://e.org/2.jpg,CAT\n', 'one folder'),
    'utf16.txt': ('http://127.0.0.1:9/1.jpg\r\n'.encode('utf-16'), 'private_address'), 'ports.txt': (b'http://127.0.0.1:999999/\n', 'bad_url'), 'host.txt': (b'http://[::1\n', 'refused')}
ADDRESS_LISTS = [Attack(f'list_{name.replace(".", "_")}', make=written(data, name), run=listed(name), says=says, check=nothing_taken) for name,(data,says) in LISTS.items()]
LIST_FILES = [Attack(f'list_is_{kind.__name__}', make=lambda folder, kind=kind: kind(folder/'list.txt'), run=listed('list.txt'), says='') for kind in (pipe, sparse, device, loop, directory)]


def list_of_own(kind):
    "A list that names something odd beside it"
    def make(folder):
        (folder/'list.txt').write_text('odd.jpg\n')
        kind(folder/'odd.jpg')
    return make


LIST_FILES += [Attack(f'list_names_{kind.__name__}', make=list_of_own(kind), run=listed('list.txt'), says='refused', check=nothing_taken)
               for kind in (pipe, sparse, device, loop, directory, dangling)]
LIST_FILES.append(Attack('list_names_link_out', make=list_of_own(lambda path: path.symlink_to(path.parent.parent/'holiday.jpg')), run=listed('list.txt'), says='refused',
                         check=nothing_taken))

# ---- own photos

def odd_photos(kind):
    def make(folder):
        photo(folder/'own'/'cat'/'1.jpg')
        kind(folder/'own'/'cat'/'2.jpg')
    return make


def bytes_name(path):
    photo(path)
    os.rename(path, os.fsencode(path.parent)+b'/caf\xe9 \x1b[2J.jpg')


def odd_row(result, folder):
    assert len(result)==1 and [o['status'] for o in result.rows]==['duplicate', 'ok'] or [o['status'] for o in result.rows]==['ok', 'duplicate'], result.rows
    print(result.credits().read_text(), result.card().read_text())
    assert len(result.manifest)==2 and len(result.refused())==1


OWN = [Attack(f'own_{kind.__name__}', make=odd_photos(kind), run=own, says=None, check=has(1)) for kind in (pipe, sparse, device, loop, directory, dangling)]
OWN.append(Attack('own_name_of_bytes', make=odd_photos(bytes_name), run=own, says=None, check=odd_row, prints=True))
OWN.append(Attack('own_class_of_bytes', make=lambda folder: (photo(folder/'own'/'cat'/'1.jpg'), os.rename(folder/'own'/'cat', os.fsencode(folder/'own')+b'/caf\xe9')), run=own,
                  says='cannot be the name'))


def own_inside(folder):
    from fastclass.collect import collect_folder
    return collect_folder(folder/'own', folder/'own'/'set', progress=False)


OWN.append(Attack('own_set_inside', make=lambda folder: photo(folder/'own'/'cat'/'1.jpg'), run=own_inside, says='is inside the folder of your photos'))

# ---- what is printed

ESCAPES = dict(erase='cat\x1b[2J', up='cat\x1b[1A', line='cat\ndog', turned='cat\u202egpj', bell='cat\a', c1='cat\x9b2J', separator='cat\u2028dog', back='cat\b\b\b')
PRINTED = [Attack(f'prints_label_{kind}', make=written(line(PICTURE|dict(label=text, file=''))), run=pages, says=None, prints=True) for kind,text in ESCAPES.items()]
PRINTED += [Attack(f'prints_{field}', make=written(line(PICTURE|{field: '\x1b[2J\u202e\ud800'})), run=pages, says=None, prints=True)
            for field in ('title', 'licence', 'licence_url', 'page', 'creator', 'attribution', 'source', 'query', 'url')]
PRINTED += [Attack(f'prints_unread_line_{kind}', make=written(line(PLAIN)+text.replace('\n', '').encode()+b'\n'), run=again, says=None, prints=True)
            for kind,text in list(ESCAPES.items())[:2]]


def plotted(folder):
    import matplotlib
    matplotlib.use('agg')
    made = pages(folder)
    made.plot().figure.canvas.draw()
    return made


PRINTED += [Attack('plots_label_formula', make=written(line(PICTURE|dict(label=r'$\frac{$', file=''))), run=plotted, says=None)]

# ---- the command

COMMANDS = [Attack('command_no_class', make=lambda folder: None, run=command(classes=' , '), says='no class'),
            Attack('command_no_name', make=lambda folder: None, run=command(classes='=cyclist'), says='name of a folder'),
            Attack('command_escape', make=lambda folder: None, run=command(classes='cat\x1b[2J=cat'), says='name of a folder'),
            Attack('command_climbs', make=lambda folder: None, run=command(classes='../../avatar=cat'), says='name of a folder'),
            Attack('command_long', make=lambda folder: None, run=command(classes='c'*100_000), says='name of a folder'),
            Attack('command_shards_and_classes', make=lambda folder: None, run=command(classes='cat', shards='out'), says='The classes are those of the shards'),
            Attack('command_shards_and_list', make=lambda folder: None, run=command(hits_to='a.parquet', shards='out'), says='The classes are those of the shards'),
            Attack('command_list_is_a_file_of_the_reader', make=written(b'mine', 'thesis.txt'), run=command(classes='cyclist', hits_to='thesis.txt'), says='no list of img2dataset',
                   check=stays('thesis.txt')),
            Attack('command_list_is_a_folder', make=written(b'mine', 'figures/mine.txt'), run=command(classes='cyclist', hits_to='figures'), says='no list of img2dataset',
                   check=stays('figures/mine.txt')),
            Attack('command_query_of_bytes', make=lambda folder: None, run=command(classes='cat=caf\udce9'), says='no text'),
            Attack('command_huge_number', make=lambda folder: None, run=command(classes='cyclist', n=10**400, dest='/dev/null/set'), says='Part of the path is a file'),
            Attack('command_no_number', make=lambda folder: None, run=command(classes='cyclist', n=0), says='0 pictures were asked for'),
            Attack('command_no_shards', make=lambda folder: None, run=command(shards='out'), says='no finished shard')]

# ---- what an earlier search left in the cache

CACHES = dict(list=b'[]', text=b'"a"', nested=b'['*100_000, huge_time=b'{"time": 1'+b'0'*400+b', "asked": 1, "hits": []}', no_hits=b'{"time": 1e12}',
              odd_hits=b'{"time": %d, "asked": 9, "hits": [7]}', odd_url=b'{"time": %d, "asked": 9, "hits": [{"url": 7}]}',
              odd_field=b'{"time": %d, "asked": 9, "hits": [{"url": "u", "colour": 7}]}', binary=bytes(range(256)))


def home(folder): (folder/'home'/'search').mkdir(parents=True)


def remembered(kind):
    "Look up a search whose answer is something odd"
    def run(folder):
        import time
        os.environ['FASTCLASS_HOME'] = str(folder/'home')
        from fastclass.engine.collect.search import _cache_path, remembered as asked
        from fastclass.engine.collect.sources import Commons
        path = _cache_path(Commons(), 'cat', True)
        if callable(kind): kind(path)
        else: path.write_bytes(kind.replace(b'%d', str(int(time.time())-9).encode()))
        return asked(Commons(), 'cat', 1, True)
    return run


def nothing(result, folder): assert result is None, result


SEARCHES = [Attack(f'search_cache_{name}', make=home, run=remembered(kind), says=None, check=nothing) for name,kind in CACHES.items()]
SEARCHES += [Attack(f'search_cache_is_{kind.__name__}', make=home, run=remembered(kind), says=None, check=nothing) for kind in (pipe, sparse, device, loop, directory)]


# ---- shards

def tar_of(*members) -> bytes:
    "An archive of `(name, data, more)`"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as t:
        for name,data,more in members:
            m = tarfile.TarInfo(name)
            m.size = len(data)
            for key,value in more.items(): setattr(m, key, value)
            t.addfile(m, io.BytesIO(data))
    return out.getvalue()


GOOD = dict(key='000', status='success', error_message=None, url='http://e.org/1.jpg', caption='cat')
ARCHIVE = tar_of(('000.jpg', b'x'*600, {}))


def shard(row=None, tar=ARCHIVE, table=None, drop=None):
    "A shard of one row, or of any bytes in place of its table"
    def make(folder):
        import pyarrow as pa, pyarrow.parquet as pq
        out = folder/'out'
        out.mkdir()
        (out/'00000_stats.json').write_text('{}')
        if callable(tar): tar(out/'00000.tar')
        else: (out/'00000.tar').write_bytes(tar)
        path = out/'00000.parquet'
        if callable(table): table(path)
        elif table is not None: path.write_bytes(table)
        else: pq.write_table(pa.Table.from_pylist([{k: v for k,v in (GOOD|(row or {})).items() if k!=drop}]), path)
    return make


def same_row(row, n, path):
    "A table that says one row very often, in few bytes"
    import numpy as np, pyarrow as pa, pyarrow.parquet as pq
    at = pa.array(np.zeros(n, np.int8))
    columns = {k: pa.DictionaryArray.from_arrays(at, pa.array([v or ''])) for k,v in row.items()}
    pq.write_table(pa.table(columns), path, compression='zstd', write_statistics=False)


def many_rows(path): same_row(GOOD, 1_500_000, path)
def long_text(path): same_row(GOOD|dict(caption='c'*60_000_000), 1000, path)


def escaped_class(folder):
    "A class whose name a terminal would obey, in shards"
    photo(folder/'a.jpg')
    shard(dict(caption='cat\x1b[2J\u202e'), tar=tar_of(('000.jpg', (folder/'a.jpg').read_bytes(), {})))(folder)


def shards(folder):
    from fastclass.engine.collect.shards import collect_shards
    return collect_shards(folder/'out', folder/'set', min_ok=0, progress=False)


def long_header() -> bytes: # An archive whose second header says that it has 8 GB of notes
    m = tarfile.TarInfo('notes')
    m.type,m.size = tarfile.XHDTYPE,8<<30
    return ARCHIVE[:1536]+m.tobuf(tarfile.GNU_FORMAT)+bytes(10240)


def going_back(size) -> bytes: # An archive whose notes say that a picture has less than no bytes, so that the next one is before it
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as t:
        m = tarfile.TarInfo('000.jpg')
        m.pax_headers = dict(size=str(size))
        t.addfile(m)
    return out.getvalue()


ODD_ROWS = dict(number_url=dict(url=7), bytes_url=dict(url=b'\xff\xfe'), list_url=dict(url=['a']), number_key=dict(key=7), number_status=dict(status=7),
                number_message=dict(status='failed_to_download', error_message=7), huge_rank=dict(rank=10**18), text_rank=dict(rank='first'), list_title=dict(title=['a']),
                nan_width=dict(width=float('nan')), climbing_key=dict(key='../../holiday'), file_url=dict(url='file:///etc/passwd'), climbing_label=dict(label='../../avatar'))
SHARDS = [Attack(f'shard_{kind}', make=shard(row), run=shards, says='refused') for kind,row in ODD_ROWS.items()]
SHARDS += [Attack(f'shard_without_{key}', make=shard(drop=key), run=shards, says=f'it has no column {key}') for key in ('url', 'key', 'status')]
SHARDS += [Attack('shard_without_class', make=shard(drop='caption'), run=shards, says='does not say which class'),
           Attack('shard_long_label', make=shard(dict(caption='c'*5000)), run=shards, says='name of a class'),
           Attack('shard_long_url', make=shard(dict(url='http://e.org/'+'a'*200_000)), run=shards, says='characters')]
TABLES = dict(empty=b'', text=b'PAR1 no table PAR1', zeros=bytes(5000), end=b'PAR1'+b'\xff'*200+b'\x40\0\0\0PAR1', pipe=pipe, sparse=sparse, device=device, directory=directory)
SHARDS += [Attack(f'shard_table_{kind}', make=shard(table=table), run=shards, says='00000.parquet') for kind,table in TABLES.items()]
SHARDS += [Attack('shard_table_many_rows', make=shard(table=many_rows), run=shards, says='over the limit'),
           Attack('shard_table_long_text', make=shard(table=long_text), run=shards, says='over the limit')]
ARCHIVES = dict(text=b'no archive'*99, long_header=long_header(), negative=ARCHIVE[:124]+b'\xff'*12+ARCHIVE[136:], going_back=going_back(-1536), going_back_once=going_back(-512), going_nowhere=going_back(-2048), pipe=pipe, device=device,
                link=tar_of(('000.jpg', b'', dict(type=tarfile.SYMTYPE, linkname='/etc/passwd'))), sparse=sparse, zeros=bytes(10240), half=ARCHIVE[:700])
SHARDS += [Attack(f'shard_archive_{kind}', make=shard(tar=tar), run=shards, says='', check=nothing_taken) for kind,tar in ARCHIVES.items()]


def shard_folder_out(folder):
    "The pictures of a shard are a link to the reader's own folder"
    shard(dict(key='holiday'))(folder)
    (folder/'out'/'00000.tar').unlink()
    (folder/'out'/'00000').symlink_to(folder.parent, target_is_directory=True)


SHARDS.append(Attack('shard_folder_out', make=shard_folder_out, run=shards, says='neither an archive nor a folder', check=nothing_taken))
SHARDS.append(Attack('shard_open_name_escape', make=lambda folder: (shard()(folder), (folder/'out'/'\x1b[2J.parquet').write_bytes(b'')), run=shards, says='refused', prints=True))
SHARDS.append(Attack('shard_class_escape', make=escaped_class, run=command(shards='out', min_ok=0), says=None, prints=True))
if not find_spec('pyarrow'): SHARDS = [] # an extra

ATTACKS = [*ODD_FIELDS, *MISSING, *NOT_ROWS, *WHOLE_FILES, *NO_FILES, *KEPT, *ODD_PLACES, *FULL, *PAGES, *NAMED, *ADDRESS_LISTS, *LIST_FILES, *OWN, *PRINTED, *COMMANDS,
           *SEARCHES, *SHARDS]
