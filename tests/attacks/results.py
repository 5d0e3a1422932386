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
