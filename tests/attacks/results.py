"The folder of the results, tables for a person, and what the commands print: whatever lies there already, and whatever files and classes are called"
import csv, hashlib, io, json, os
from functools import partial
from pathlib import Path

from attacks import Attack

MINE = 'mine, and not to be touched'


def state(folder) -> dict: # path -> what lies there
    "What is in a folder: the kind of each thing, the target of each link, the bytes of each file"
    found = {}
    for base,dirs,names in os.walk(folder):
        for name in dirs+names:
            o = Path(base, name)
            if o.is_symlink(): what = os.readlink(o)
            elif o.is_file(): what = hashlib.sha256(o.read_bytes()).hexdigest()
            else: what = 'folder' if o.is_dir() else 'special'
            found[str(o)] = what
    return found


def unchanged(call, folder):
    "Call it, and assert that afterwards all in `folder` is as it was"
    before = state(folder)
    try: return call(folder)
    finally: assert state(folder)==before, set(state(folder).items())^set(before.items())


def write(file, data=MINE):
    "A file with the folders that it lies in"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if isinstance(data, bytes) else data.encode())


def photos(folder, root='photos', classes=('bundle', 'figures')):
    "Class folders; nothing may come so far that it opens these files"
    for label in classes:
        for i in range(3): write(folder/root/label/f'{i}.jpg', f'{label} {i}')


# ---- places for the results

def own(*paths):
    "Photos, and files of the reader's own in the folder for the results"
    def make(folder):
        photos(folder)
        for o in paths: write(folder/'out'/o)
    return make


def linked(link, target, *paths):
    "Photos, files of the reader's own, and a link"
    def make(folder):
        photos(folder)
        for o in paths: write(folder/o)
        (folder/link).parent.mkdir(parents=True, exist_ok=True)
        (folder/link).symlink_to(os.path.relpath(folder/target, (folder/link).parent))
    return make


def listed(text):
    "A list of files as a run leaves it, but forged, beside a file of the reader's own"
    def make(folder):
        own('report.html', 'figures/mine.png')(folder)
        write(folder/'out'/'.fastclass'/'run.json', text)
    return make


def forged(value): return json.dumps(dict(format='fastclass run', version=1, files=value))
def of(data): return [len(data), hashlib.sha256(data.encode()).hexdigest()]


def split_layout(folder):
    "train and valid folders; one class is a link to a folder elsewhere"
    photos(folder, 'photos/train', ('cat',))
    photos(folder, 'photos/valid', ('cat', 'dog'))
    photos(folder, 'elsewhere', ('dog',))
    (folder/'photos'/'train'/'dog').symlink_to('../../elsewhere/dog')


def pipe(path):
    def make(folder):
        photos(folder)
        (folder/path).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(folder/path)
    return make


def old_run(changed):
    "What an earlier run left, and what somebody has done with it since"
    def make(folder):
        own('report.html', 'figures/a.png')(folder)
        write(folder/'out'/'.fastclass'/'run.json', forged({'report.html': of(MINE), 'figures/a.png': of(MINE)}))
        changed(folder/'out')
    return make


def into_link(out):
    (out/'figures').rename(out/'mine')
    (out/'figures').symlink_to('mine')


BLOCKED = 'is in the way' # and nothing was trained
PLACES = { # name: (what lies there, --out, a part of the message)
    'the_data':            (photos, 'photos', 'holds the data itself'),
    'a_class':             (photos, 'photos/figures', 'among the data'),
    'below_a_class':       (photos, 'photos/figures/new/er', 'among the data'),
    'above_the_data':      (photos, '.', 'holds the data'),
    'far_above':           (photos, '..', 'holds the data'),
    'by_dots':             (photos, 'photos/bundle/../../photos', 'holds the data itself'),
    'by_link':             (linked('link', 'photos'), 'link', 'holds the data itself'),
    'link_to_class':       (linked('link', 'photos/bundle'), 'link/x', 'among the data'),
    'class_is_link':       (linked('photos/third', 'elsewhere', 'elsewhere/1.jpg'), 'elsewhere', 'holds the data itself'),
    'below_linked_class':  (linked('photos/third', 'elsewhere', 'elsewhere/1.jpg'), 'elsewhere/x', 'among the data'),
    'linked_in_split':     (split_layout, 'elsewhere/dog', 'holds the data itself'),
    'above_linked':        (split_layout, 'elsewhere', 'holds the data'),
    'own_figures':         (own('figures/mine.png'), 'out', BLOCKED),
    'own_deep_figures':    (own('figures/a/b/mine.png'), 'out', BLOCKED),
    'own_hidden_figures':  (own('figures/.mine'), 'out', BLOCKED),
    'own_bundle':          (own('bundle/model.safetensors'), 'out', BLOCKED),
    'own_report':          (own('report.html'), 'out', BLOCKED),
    'own_table':           (own('predictions.csv'), 'out', BLOCKED),
    'figures_a_file':      (own('figures'), 'out', BLOCKED),
    'report_a_folder':     (own('report.html/mine.txt'), 'out', BLOCKED),
    'table_empty_folder':  (lambda o: (photos(o), (o/'out'/'predictions.csv').mkdir(parents=True)), 'out', BLOCKED),
    'figures_a_link':      (linked('out/figures', 'photos/figures'), 'out', BLOCKED),
    'report_a_link':       (linked('out/report.html', 'mine.txt', 'mine.txt'), 'out', BLOCKED),
    'table_to_nowhere':    (linked('out/predictions.csv', 'nowhere'), 'out', BLOCKED),
    'link_in_figures':     (linked('out/figures/x', 'photos'), 'out', BLOCKED),
    'report_a_pipe':       (pipe('out/report.html'), 'out', BLOCKED),
    'record_a_file':       (own('.fastclass'), 'out', BLOCKED),
    'record_a_link':       (linked('out/.fastclass', 'photos'), 'out', BLOCKED),
    'lock_a_link':         (linked('out/.fastclass/lock', 'mine.txt', 'mine.txt'), 'out', 'no lock'),
    'lock_to_nowhere':     (linked('out/.fastclass/lock', 'nowhere'), 'out', 'no lock'),
    'lock_with_text':      (own('.fastclass/lock'), 'out', 'no lock'),
    'lock_a_pipe':         (pipe('out/.fastclass/lock'), 'out', 'no lock'),
    'list_no_json':        (listed('{"files"'), 'out', BLOCKED),
    'list_of_numbers':     (listed('[1, 2]'), 'out', BLOCKED),
    'list_no_dict':        (listed(forged(['report.html'])), 'out', BLOCKED),
    'list_of_names':       (listed(forged({'report.html': None, 'figures/mine.png': 'yes'})), 'out', BLOCKED),
    'list_other_size':     (listed(forged({'report.html': [1, of(MINE)[1]]})), 'out', BLOCKED),
    'list_other_hash':     (listed(forged({'report.html': [len(MINE), 'f'*64]})), 'out', BLOCKED),
    'list_deep':           (listed('{"files":'+'['*100_000), 'out', BLOCKED),
    'list_large':          (listed('{"files": {}}'+' '*2_000_000), 'out', BLOCKED),
    'list_not_text':       (listed(b'\xff\xfe{'), 'out', BLOCKED),
    'list_large_number':   (listed('{"files": {"report.html": [1'+'0'*5000+', ""]}}'), 'out', BLOCKED),
    'list_a_pipe':         (lambda o: (own('report.html')(o), pipe('out/.fastclass/run.json')(o)), 'out', BLOCKED),
    'run_was_edited':      (old_run(lambda o: write(o/'report.html', 'my remark')), 'out', BLOCKED),
    'run_has_more':        (old_run(lambda o: write(o/'figures'/'b.png')), 'out', BLOCKED),
    'run_is_linked':       (old_run(into_link), 'out', BLOCKED),
    'a_file':              (own('x'), 'out/x', 'is a file'),
    'below_a_file':        (own('x'), 'out/x/y', 'is a file'),
    'a_pipe':              (pipe('out'), 'out', 'is a file'),
    'link_to_itself':      (linked('loop', 'loop'), 'loop', 'link'),
    'no_name':             (photos, '  ', 'no name'),
    'zero_byte':           (photos, 'a\0b', 'zero byte'),
    'of_nobody':           (photos, '~nobody-of-this-name/out', 'nobody here'),
    'long_name':           (photos, 'x'*300, 'too long'),
}


def call_quickstart(out, folder, **kwargs):
    from fastclass.quickstart import quickstart
    quickstart(data=folder/'photos', out=out, **kwargs)


def call_train(out, folder, **kwargs):
    from fastclass.train import train
    train(folder/'photos', out=out, processes=1, **kwargs)


CALLS = dict(quickstart=call_quickstart, train=call_train)
ATTACKS = [Attack(f'out_{command}_{name}', make, partial(unchanged, partial(call, out)), says)
           for name,(make, out, says) in PLACES.items() for command,call in CALLS.items()
           if command=='quickstart' or name in ('the_data', 'own_figures', 'class_is_link', 'run_was_edited')]


# ---- a run that is killed while it moves its results in

NAMES = ('bundle/bundle.json', 'bundle/model.safetensors', 'figures/a.png', 'predictions.csv', 'report.html')


def leave(out, what, names=NAMES):
    "A run that leaves some files"
    from fastclass.engine.base.run_folder import result_folder
    with result_folder(out) as work:
        for name in names: write(work/name, f'{name} {what}')


def killed(where, k, out):
    "A run in a process that dies before it does something for the `k`th time"
    from fastclass.engine.base import run_folder
    pid = os.fork()
    if pid: return os.waitpid(pid, 0)
    real,left = getattr(run_folder, where), [k]
    def die(*args):
        if not left[0]: os._exit(9)
        left[0] -= 1
        return real(*args)
    setattr(run_folder, where, die)
    try: leave(out, 'new')
    finally: os._exit(0)


def now(out): # name -> text
    "What lies in the folder for a reader"
    return {str(o.relative_to(out)): o.read_text() for o in out.rglob('*') if o.is_file() and '.fastclass' not in o.parts}


def whole(what, names=NAMES): return {o: f'{o} {what}' for o in names}


def die_then_look(where, k, folder):
    "What is there after a run died, and after the next one has begun"
    from fastclass.engine.base.run_folder import result_folder
    out = folder/'out'
    leave(out, 'old', NAMES+('figures/old.png',))
    write(out/'mine.txt')
    killed(where, k, out)
    try:
        with result_folder(out): raise KeyError
    except KeyError: pass
    found = now(out)
    assert found.pop('mine.txt')==MINE
    assert found==(whole('new') if where=='_move' or k else whole('old', NAMES+('figures/old.png',))), found
    assert sorted(o.name for o in (out/'.fastclass').iterdir())==['lock', 'run.json']
    leave(out, 'third')
    assert now(out)=={**whole('third'), 'mine.txt': MINE}


def nothing(folder): return None


ATTACKS += [Attack(f'killed_before_move_{k}', nothing, partial(die_then_look, '_move', k), None) for k in range(len(NAMES))]
ATTACKS += [Attack(f'killed_before_list_{k}', nothing, partial(die_then_look, '_write_list', k), None) for k in range(2)]
ATTACKS += [Attack('killed_before_finish', nothing, partial(die_then_look, '_finish', 0), None)]


# ---- folders as a stranger may have prepared them

def prepared(ready, work=None):
    "A folder that says that a run was killed while it moved these files in"
    def make(folder):
        write(folder/'secret'/'a.txt')
        write(folder/'out'/'notes.txt')
        write(folder/'out'/'.fastclass'/'ready.json', forged({o: of(MINE) for o in ready}))
        place = folder/'out'/'.fastclass'/'work'
        if work: place.symlink_to(folder/work)
        else:
            for o in ready:
                if '..' not in o and not o.startswith('/'): write(place/o)
    return make


def run_into(folder):
    leave(folder/'out', 'new')


def kept(result, folder):
    "What the reader had is there, and so is what the run left"
    assert (folder/'secret'/'a.txt').read_text()==MINE and (folder/'out'/'notes.txt').read_text()==MINE
    found = now(folder/'out')
    assert {k: v for k,v in found.items() if k in NAMES}==whole('new')
    assert set(found)<={*NAMES, 'notes.txt'}, found


PREPARED = {
    'climbs':        (['../x.txt'], None),
    'climbs_far':    (['figures/../../../../canary.txt'], None),
    'absolute':      (['/tmp/x.txt'], None),
    'own_file':      (['notes.txt'], None),
    'dots':          (['..'], None),
    'empty_name':    ([''], None),
    'zero_byte':     (['a\0b'], '.'),
    'half_character': (['\udcff'], '.'),
    'work_is_link':  (['a.txt'], 'secret'),
    'work_is_above': (['secret/a.txt'], '.'),
    'work_nowhere':  (['report.html'], 'nowhere'),
}
ATTACKS += [Attack(f'prepared_{name}', prepared(*how), run_into, None, kept) for name,how in PREPARED.items()]


def meanwhile(change, says, folder):
    "Something comes into the folder while the run goes on: it stays, and the results are kept aside"
    from fastclass.engine.base.errors import StorageError
    from fastclass.engine.base.run_folder import result_folder
    out = folder/'out'
    leave(out, 'old')
    try:
        with result_folder(out) as work:
            for name in NAMES: write(work/name, f'{name} new')
            change(out)
    except StorageError as e: assert says in str(e) and 'results' in e.next, e
    else: assert False, 'no error'
    assert {o.removeprefix('results/'): t for o,t in now(out).items() if o.startswith('results')}==whole('new')
    found = {o: t for o,t in now(out).items() if not o.startswith('results')}
    assert MINE in found.values() and sum(t.endswith(' old') for t in found.values())>=len(NAMES)-1, found


def disk_is_full(out):
    import errno
    from fastclass.engine.base import run_folder
    from fastclass.engine.base.errors import storage_guard
    def full(*args):
        with storage_guard(out): raise OSError(errno.ENOSPC, 'No space left on device')
    run_folder._write_list = full
    write(out/'mine.txt')


def other_disk(folder):
    "Every folder is another file system"
    import errno, os as system
    real = system.replace
    def replace(a, b):
        if Path(a).parent!=Path(b).parent: raise OSError(errno.EXDEV, 'Invalid cross-device link')
        real(a, b)
    system.replace = replace
    leave(folder/'out', 'old')
    leave(folder/'out', 'new')
    assert now(folder/'out')==whole('new')


def two_at_once(folder):
    "The second run is refused, and the first one ends well"
    from fastclass.engine.base.errors import StorageError
    from fastclass.engine.base.run_folder import result_folder
    with result_folder(folder/'out') as work:
        write(work/'report.html', 'first')
        try: leave(folder/'out', 'second')
        except StorageError as e: assert 'Another run' in str(e)
        else: assert False, 'no error'
    assert now(folder/'out')=={'report.html': 'first'}


def stopped(folder):
    "A run that is stopped leaves none of the folders that it made"
    from fastclass.engine.base.run_folder import result_folder
    try:
        with result_folder(folder/'new'/'er'/'out') as work:
            write(work/'figures'/'a.png')
            raise KeyboardInterrupt
    except KeyboardInterrupt: pass
    assert not list(folder.iterdir())


MEANWHILE = {
    'report_edited':  (lambda out: write(out/'report.html'), 'while the run was going on'),
    'figure_added':   (lambda out: write(out/'figures'/'mine.png'), 'while the run was going on'),
    'file_in_bundle': (lambda out: write(out/'bundle'/'sub'/'mine.txt'), 'while the run was going on'),
    'disk_full':      (disk_is_full, 'disk is full'),
}
ATTACKS += [Attack(f'meanwhile_{name}', nothing, partial(meanwhile, *how), None) for name,how in MEANWHILE.items()]
ATTACKS += [Attack(f'out_{o.__name__}', nothing, o, None) for o in (other_disk, two_at_once, stopped)]


# ---- tables

FIRST = dict(equals='=', plus='+', minus='-', at='@', tab='\t', carriage_return='\r', new_line='\n', wide='＝', quote="'=", quotes="''=")
ODD = dict(half='a \udcff b', two_halves='\ud83d\ude00', escaped=r'\udcff', escaped_twice=r'\u005cudcff', zero='a\0b', quoted='"=1"', comma='a,=1',
           semicolon='a;=1', lines='a\r\n=1', old_line='a\r=1', empty='', number='01', nothing='NA', yes='True', space=' =1', long='x'*100_000)


def table_of(name):
    "A table of predictions in which all that may be called anything has this name"
    from fastclass.engine.base.csv_cells import as_frame
    names = ['file', 'actual', 'predicted', 'correct', 'probability', 'loss', f'p_{name}', 'p_other', name or 'x']
    return as_frame(names, [[name, 'b'], [name, 'other'], ['other', name], [False, True], [-.5, .25], [-1., 2.], [.1, .2], [.9, .8], [name, name]])


def round_trip(name, folder):
    "No cell starts as a formula does, and the table comes back"
    from fastclass.engine.base.csv_cells import csv_bytes, read_predictions
    frame = table_of(name)
    (folder/'t.csv').write_bytes(csv_bytes(frame))
    csv.field_size_limit(10**6)
    text = (folder/'t.csv').read_bytes().decode().replace('\0', '0')
    rows = list(csv.reader(io.StringIO(text, newline='')))
    assert len(rows)==3 and {len(o) for o in rows}=={9}, rows
    numbers = {'-0.5', '-1.0'}
    assert not [o for row in rows for o in row if o.startswith(tuple('=+-@\t\r\n＝＋－＠')) and o not in numbers]
    assert text.count('-0.5')==1 and "'-0.5" not in text
    back = read_predictions(folder/'t.csv')
    assert list(back.columns)==list(frame.columns)
    assert back.iloc[:, :8].values.tolist()==frame.iloc[:, :8].values.tolist()


ATTACKS += [Attack(f'cell_{k}', nothing, partial(round_trip, f'{v}cmd|calc'), None) for k,v in FIRST.items()]
ATTACKS += [Attack(f'name_{k}', nothing, partial(round_trip, v), None) for k,v in ODD.items()]


def read_table(folder):
    from fastclass.predict import read_predictions
    return read_predictions(folder/'t.csv')


TABLES = {
    'empty':       (b'', 'no table'),
    'blank_lines': (b'\n\n\n', 'no table'),
    'not_text':    (b'file,p_a\n\xff\xfe,1\n', 'no table'),
    'ragged':      (b'file,p_a\na,1\nb,2,3,4\n', 'no table'),
    'open_quote':  (b'file,p_a\n"a,1\n', 'no table'),
    'words':       (b'file,p_a\na,much\n', 'else than numbers'),
    'long_number': (b'file,p_a\na,1'+b'0'*400+b'\n', None),
    'wide':        (b','.join([b'p_%d' % i for i in range(2_000)])+b'\n', None),
    'only_header': (b'file,p_a\n', None),
    'twice':       (b'file,file\na,b\n', None),
    'utf16':       ('file,p_a\na,1\n'.encode('utf-16'), 'no table'),
}
ATTACKS += [Attack(f'table_{k}', lambda folder, data=data: write(folder/'t.csv', data), read_table, says) for k,(data,says) in TABLES.items()]
ATTACKS += [Attack('table_a_pipe', lambda folder: os.mkfifo(folder/'t.csv'), read_table, 'not a regular file'),
            Attack('table_a_folder', lambda folder: (folder/'t.csv').mkdir(), read_table, 'not a regular file'),
            Attack('table_to_itself', lambda folder: (folder/'t.csv').symlink_to('t.csv'), read_table, 'cannot be read'),
            Attack('table_endless', lambda folder: (folder/'t.csv').symlink_to('/dev/zero'), read_table, 'not a regular file'),
            Attack('table_sparse', lambda folder: os.truncate(os.open(folder/'t.csv', os.O_CREAT|os.O_WRONLY), 20<<30), read_table, 'at most')]


def ask_for_table(name, folder):
    "predict looks at the place of its table before it opens the bundle"
    from fastclass.predict import predict
    predict('bundle', ['photos'], csv=name)


def csv_at(change):
    return lambda folder: (photos(folder), change(folder/'t.csv'))


CSVS = {
    'own_table':   (csv_at(lambda o: write(o, 'a,b\n1,2\n')), 't.csv', 'no table of this kind'),
    'of_a_run':    (csv_at(lambda o: write(o, 'file,actual,predicted\n')), 't.csv', 'no table of this kind'),
    'a_folder':    (csv_at(lambda o: write(o/'mine.txt')), 't.csv', 'no table of this kind'),
    'to_nowhere':  (csv_at(lambda o: o.symlink_to('nowhere')), 't.csv', 'no table of this kind'),
    'to_itself':   (csv_at(lambda o: o.symlink_to('t.csv')), 't.csv', 't.csv'),
    'a_pipe':      (csv_at(os.mkfifo), 't.csv', 'no table of this kind'),
    'endless':     (csv_at(lambda o: o.symlink_to('/dev/zero')), 't.csv', 'no table of this kind'),
    'below_file':  (csv_at(lambda o: write(o, 'file,prediction,confidence\n')), 't.csv/x.csv', 'could not write t.csv'),
    'a_picture':   (photos, 'photos/bundle/0.jpg', 'no name for a table'),
    'no_name':     (photos, '', 'no name for a table'),
}
ATTACKS += [Attack(f'csv_{k}', make, partial(unchanged, partial(ask_for_table, name)), says) for k,(make,name,says) in CSVS.items()]


# ---- what the commands print

LOUD = dict(colour='\x1b[31m', title='\x1b]0;x\x07', clear='\x1b[2J\x1b[H', one_byte_csi='\x9b31m', bell='\x07', back='safe\x08\x08\x08\x08', line='a\nError: b',
            over='a\rAccuracy 100%', turned='\u202egnp.exe', isolated='\u2066a', separator='a\u2028b', delete='\x7f', half='\udcff', zero='\0')


def folder_of(name, folder):
    from fastclass.engine.datablock.folder import Folder
    files = [folder/name/f'{name}.jpg', folder/'b'/'1.jpg']
    return Folder(folder, files, [name, 'b'], ['0'*64, '1'*64], refused=[(files[0], 'duplicate', name)], stray=[folder/name])


def say_folder(name, folder):
    from fastclass.report import describe_folder
    describe_folder(folder_of(name, folder))


def say_summary(name, folder):
    "The end of a run, from a table of predictions with this name in it"
    import pandas as pd
    from fastclass import report
    from fastclass.engine.base.csv_cells import as_frame
    frame = as_frame(['file', 'actual', 'predicted', 'probability', 'loss'], [[f'{folder}/{name}']*2, [name, 'b'], ['b', name], [.5, .5], [1., 2.]])
    pairs = as_frame(['actual', 'predicted', 'count'], [[name], ['b'], [2]])
    outcome = report.Outcome(frame.assign(correct=[False, True]), 0., 1., pairs, pd.DataFrame(), '')
    report._summary(outcome, folder_of(name, folder), folder/name, 'folder')


class Fake:
    "A model that answers with a name of a class, or an error of that name"
    def __init__(self, name): self.vocab = [name, 'b']
    def predict_many(self, sources, *args):
        from fastclass.predict import Prediction
        name = self.vocab[0]
        return [Prediction(name, .5, {name: .5, 'b': .5}), Prediction(error=name)]


def say_predictions(name, folder):
    "The predict command"
    from fastclass import predict
    from fastclass.course import cli
    predict.as_predictor = lambda bundle: Fake(name)
    predict.named_sources = lambda files: [(name, 'x'), ('b', 'y')]
    assert cli.call('predict', dict(bundle=name, files=[name], csv='t.csv', threshold=.5))==0
    assert len(predict.read_predictions('t.csv'))==2
    assert cli.call('predict', dict(bundle=name, files=[name], as_json=True))==0


def say_error(name, folder):
    "An error, and one of the system, on the command line"
    from fastclass.course import cli
    from fastclass.engine.base.errors import DataError
    def ours(): raise DataError(f'The folder {name} is empty.', next=f'Fill {name}.')
    def theirs(): raise OSError(5, 'Input/output error', name)
    assert [cli.guarded(ours), cli.guarded(theirs)]==[2, 2]


ATTACKS += [Attack(f'{say.__name__}_{k}', nothing, partial(say, f'{v}x'), None, prints=True)
            for say in (say_folder, say_summary, say_predictions, say_error) for k,v in LOUD.items()]


# ---- numbers that cannot be meant

NAN,INF = float('nan'),float('inf')
NUMBERS = [('quickstart', dict(valid_pct=o), 'share for validation') for o in (NAN, INF, 0., 1., -1.)]
NUMBERS += [('quickstart', dict(seconds=o), 'no time') for o in (NAN, INF, 0., -1.)]
NUMBERS += [('quickstart', dict(epochs=o), 'epochs would') for o in (0, -1, 10**12)]
NUMBERS += [('quickstart', dict(seed=o), 'too large') for o in (2**63, -2**63, 10**400)]
NUMBERS += [('train', {k: v}, 'cannot be meant') for k,v in (('lr', NAN), ('lr', INF), ('lr', 0.), ('drop', NAN), ('size', 100_000), ('size', 1), ('bs', 1))]
NUMBERS += [('train', dict(timeout=o), 'no time') for o in (NAN, INF)]


def with_numbers(command, kwargs, folder):
    CALLS[command]('out', folder, **kwargs)


ATTACKS += [Attack(f'{command}_{k}_{str(v)[:12]}', photos, partial(unchanged, partial(with_numbers, command, {k: v})), says)
            for command,kwargs,says in NUMBERS for k,v in kwargs.items()]


# ---- splits and logs of a review are tables too

def split_trip(name, folder):
    "A split whose files, classes and groups are called so"
    from fastclass.engine.datablock.split import Split, read_split, save_split
    files = [folder/f'{name}.jpg', folder/'b.jpg']
    save_split(Split(files, ['train', 'valid'], [name, 'b'], ['0'*64, '1'*64], [name, '']), folder/'split.csv')
    rows = list(csv.reader(io.StringIO((folder/'split.csv').read_bytes().decode(), newline='')))
    assert not [o for row in rows for o in row if o.startswith(tuple('=+-@\t\r\n'))]
    back = read_split(folder/'split.csv')
    assert (list(back.files), list(back.labels), list(back.groups))==(files, [name, 'b'], [name, ''])


def log_trip(name, folder):
    "A log with two decisions about such a file"
    from fastclass.engine.interpret import review
    for decision,to in (('keep', ''), ('relabel', name)):
        review._append(folder/'log.csv', dict(time='1', file=name, label=name, decision=decision, to=to, hash='0f'))
    rows = list(csv.reader(io.StringIO((folder/'log.csv').read_bytes().decode(), newline='')))
    assert not [o for row in rows for o in row if o.startswith(tuple('=+-@\t\r\n'))]
    assert [(o['file'], o['label'], o['to']) for o in review.read_log(folder/'log.csv')]==[(name, name, ''), (name, name, name)]


CALLED = {k: f'{v}cmd|calc' for k,v in FIRST.items()} | {k: ODD[k] for k in ('half', 'escaped', 'lines', 'old_line', 'comma', 'quoted', 'nothing')}
ATTACKS += [Attack(f'{trip.__name__}_{k}', nothing, partial(trip, v), None) for trip in (split_trip, log_trip) for k,v in CALLED.items()]
