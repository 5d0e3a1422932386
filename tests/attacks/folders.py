"Folders with names, links and depths that nobody expects: in scans, checks, splits and predictions"
import os, subprocess
from pathlib import Path

from attacks import Attack
from attacks.pictures import good_neighbours, saved


class Asked:
    "A predictor without a model, made when it is called: it reads pictures as all others do"
    def __new__(cls, vocab=('cat', 'dog')):
        import torch
        from fastclass.engine.base.picture import read_picture
        from fastclass.engine.predict.predictor import Predictor

        class Silent(Predictor):
            "Half of the answers are never right"
            def __init__(self):
                self.vocab = list(vocab)
                self.prepare = None
                self.model = torch.nn.Linear(1, 1) # never asked
            def _read(self, x): return read_picture(x)
            def _run(self, items): return torch.full((len(items), len(self.vocab)), 1/len(self.vocab))

        return Silent()


# ---- names

ESCAPE = 'red\x1b[31m\x1b]0;title\x07fox'
LINES = 'cat\nok: 100%\r\nall is well'
LEFT = 'cat\u202egpj.exe'
SEPARATOR = 'a\u2028b\u2029c\x85d'
HALF = os.fsdecode(b'caf\xe9')
NAMES = dict(escape=ESCAPE, lines=LINES, right_to_left=LEFT, separators=SEPARATOR, no_utf8=HALF, formula='=cmd|calc', option='--help', quote='a"b\'c', blank=' ', tilde='~root', percent='%s%n{0}')


def class_called(name):
    "A third class of that name"
    def make(folder):
        good_neighbours(folder)
        (folder/name).mkdir()
        for i in range(2): (folder/name/f'{i}.png').write_bytes(saved('PNG', (50+i, 44)))
    return make


def file_called(name, data=None):
    "A file of that name among the cats"
    def make(folder):
        good_neighbours(folder)
        (folder/'cat'/name).write_bytes(saved('PNG') if data is None else data)
    return make


def scan(folder):
    from fastclass.engine.datablock.folder import scan_folder
    return scan_folder(folder, progress=False)


def scan_and_show(folder):
    "All words of a scan, as a command prints them"
    found = scan(folder)
    print(found, found.counts)
    for _,why,message in found.refused: print(why, message)
    return found


def loaders(folder, found=None):
    from fastclass.engine.datablock.loaders import folder_dls
    return folder_dls(found or scan(folder), size=32, bs=2, device='cpu', workers=0)


def check_and_show(folder):
    from fastclass.datablock import check_dls
    report = check_dls(loaders(folder))
    print(report)
    return report


def raw_labels(folder):
    "The check on loaders whose labels are the bare names of folders, as fastai takes them"
    from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, IndexSplitter, Resize, parent_label
    from fastclass.datablock import check_dls
    files = sorted(o for o in folder.rglob('*') if o.is_file())
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=IndexSplitter([0]), item_tfms=Resize(32))
    report = check_dls(block.dataloaders(files, path=folder, bs=2, num_workers=0))
    print(report)
    print(repr(report))
    assert report._repr_html_()
    return report


def predict_and_show(folder):
    "The command, without the progress bar, which goes back to the start of its line"
    from fastclass.engine.predict import predictor
    from fastclass.predict import predict
    predictor.progress_bar = lambda chunks, **how: chunks
    vocab = scan(folder).classes
    return predict(Asked(vocab), str(folder), csv=str(folder.parent/'work'/'table.csv'), as_json=True)


def splits(folder):
    "A split of all files, written and read again"
    from fastclass.datablock import read_split, save_split, stable_split
    found = scan(folder)
    split = stable_split(found.files, found.labels)
    again = read_split(save_split(split, folder/'split.csv'))
    assert [os.path.abspath(o) for o in again.files]==[os.path.abspath(o) for o in split.files] and again.sides==split.sides
    return again


def has_classes(n):
    def check(found, folder): assert len(found.classes)==n and '\n'.join(found.classes).encode(), found.classes
    return check


def has_cats(n):
    def check(found, folder): assert found.counts['cat']==n, found.counts
    return check


def kept_rows(n):
    def check(result, folder): assert result['pictures']==n and not result['failed'], result
    return check


ATTACKS = []
for kind,name in NAMES.items():
    ATTACKS.append(Attack(f'folder_class_{kind}_scan', class_called(name), scan_and_show, None, has_classes(3), prints=True))
    ATTACKS.append(Attack(f'folder_file_{kind}_scan', file_called(name), scan_and_show, None, has_cats(3), prints=True))
    ATTACKS.append(Attack(f'folder_file_{kind}_refused', file_called(name, b'<html>'), scan_and_show, None, has_cats(2), prints=True))
    ATTACKS.append(Attack(f'folder_file_{kind}_predict', file_called(name), predict_and_show, None, kept_rows(5), prints=True))
    ATTACKS.append(Attack(f'folder_file_{kind}_split', file_called(name), splits, None))
    if kind in ('escape', 'lines', 'no_utf8', 'right_to_left'):
        ATTACKS.append(Attack(f'folder_class_{kind}_check', class_called(name), check_and_show, None, prints=True))
        ATTACKS.append(Attack(f'folder_class_{kind}_raw_check', class_called(name), raw_labels, None, prints=True))
        ATTACKS.append(Attack(f'folder_class_{kind}_predict', class_called(name), predict_and_show, None, kept_rows(6), prints=True))


# ---- errors that name what a stranger named

def one_class(name):
    def make(folder):
        (folder/name).mkdir()
        for i in range(2): (folder/name/f'{i}.png').write_bytes(saved('PNG', (50+i, 44)))
    return make


def broken_class(name):
    def make(folder):
        good_neighbours(folder)
        (folder/name).mkdir()
        (folder/name/'a.jpg').write_bytes(saved('JPEG')[:200])
    return make


for kind in ('escape', 'lines', 'no_utf8'):
    ATTACKS.append(Attack(f'folder_one_class_{kind}', one_class(NAMES[kind]), scan, 'one class only'))
    ATTACKS.append(Attack(f'folder_broken_class_{kind}', broken_class(NAMES[kind]), scan, 'no usable picture'))


# ---- links and depths

def deep(call, levels=1200):
    "Call it on folders that lie in each other, which are gone afterwards: the test itself could not look through them"
    def run(folder):
        os.chdir(folder/'cat')
        for _ in range(levels):
            os.mkdir('d')
            os.chdir('d')
        Path('deep.png').write_bytes(saved('PNG', (70, 50)))
        os.chdir(folder)
        try: return call(folder)
        finally: subprocess.run(['rm', '-r', str(folder/'cat'/'d')], check=True)
    return run


def linked(target, name='loop'):
    def make(folder):
        good_neighbours(folder)
        os.symlink(target, folder/'cat'/name)
    return make


def class_linked_to(target):
    def make(folder):
        good_neighbours(folder)
        os.symlink(target, folder/'zoo')
    return make


def predict_only(folder):
    from fastclass.predict import predict_files
    return predict_files(Asked(), folder, progress=False)


def rows(n):
    def check(table, folder): assert len(table)==n, table
    return check


ATTACKS += [
    Attack('folder_1200_deep_scan', good_neighbours, deep(scan), None, has_cats(3)),
    Attack('folder_1200_deep_predict', good_neighbours, deep(predict_only), None, rows(5)),
    Attack('folder_links_to_itself', linked('.'), scan, None, has_cats(2)),
    Attack('folder_links_to_its_parent', linked('..'), scan, None, has_cats(2)),
    Attack('folder_links_to_the_root', linked('/'), scan, None, has_cats(2)),
    Attack('folder_links_to_the_root_predict', linked('/'), predict_only, None, rows(4)),
    Attack('folder_endless_link', linked('loop'), scan, None, has_cats(2)),
    Attack('folder_class_is_an_endless_link', class_linked_to('zoo'), scan, None, has_cats(2)),
    Attack('folder_class_is_a_pipe', lambda folder: (good_neighbours(folder), os.mkfifo(folder/'zoo')), scan, None, has_cats(2)),
    Attack('folder_class_holds_only_pipes', lambda folder: (good_neighbours(folder), (folder/'zoo').mkdir(), os.mkfifo(folder/'zoo'/'a.jpg')), scan, None, has_cats(2)),
    Attack('folder_class_links_to_dev', class_linked_to('/dev/null'), scan, None, has_cats(2)),
    Attack('folder_codes_pipe', lambda folder: os.mkfifo(folder/'codes.txt'), lambda folder: codes(folder), 'There is no codes.txt'),
]


# ---- paths that are none

def codes(folder):
    from fastclass.segment import read_codes
    return read_codes(folder/'codes.txt')


def scan_path(path): return lambda folder: scan(path)


def list_path(path):
    def run(folder):
        from fastclass.datablock import picture_files
        return picture_files(path)
    return run


def ask_path(path):
    def run(folder):
        from fastclass.predict import predict_one
        return predict_one(Asked(), path)
    return run


PATHS = dict(nul='a\0b', long='x'*5000, long_part='y'*300, user='~nobody_of_this_name/pictures', empty_name='no such \x1b[2J', half=HALF)
for kind,path in PATHS.items():
    ATTACKS.append(Attack(f'folder_path_{kind}_scan', good_neighbours, scan_path(path), 'There is no folder', prints=True))
    ATTACKS.append(Attack(f'folder_path_{kind}_list', good_neighbours, list_path(path), 'There is no folder', prints=True))
    ATTACKS.append(Attack(f'folder_path_{kind}_predict', good_neighbours, ask_path(path), '', prints=True))


# ---- small files that come with folders

def text_file(name, data):
    def make(folder):
        good_neighbours(folder)
        (folder/name).write_bytes(data)
    return make


def read_a_split(folder):
    from fastclass.datablock import read_split
    return read_split(folder/'split.csv')


def sparse_file(name):
    def make(folder):
        with open(folder/name, 'wb') as f: f.truncate(20<<30)
    return make


CODES = dict(latin=b'Stra\xdfe\nHimmel\n', empty=b'', blank=b'Road\n\nCar', twice=b'Road\nRoad', utf16='Road\nCar'.encode('utf-16'))
ATTACKS += [Attack(f'folder_codes_{kind}', text_file('codes.txt', data), codes) for kind,data in CODES.items()]
SPLITS = dict(empty=b'', binary=bytes(range(256))*9, nul=b'file,side\ncat/0.png\0,train\n', short_row=b'side,file\ntrain\n', other_side=b'file,side\ncat/0.png,both\n', no_such_file=b'file,side\ncat/99.png,train\n',
              long_cell=b'file,side\n'+b'x'*200_000+b',train\n', long_name=b'file,side\n'+b'x'*5000+b',train\n', pipe_name=b'file,side\n/dev/zero,train\n')
ATTACKS += [Attack(f'folder_split_{kind}', text_file('split.csv', data), read_a_split) for kind,data in SPLITS.items()]
ATTACKS += [Attack('folder_split_sparse', sparse_file('split.csv'), read_a_split, 'at most'), Attack('folder_codes_sparse', sparse_file('codes.txt'), codes, 'at most')]
