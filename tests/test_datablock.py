"Splits that do not flatter and a check that names what fastai lets pass, on made-up folders and on the real bears"
import json, pickle, random, shutil, subprocess, sys
from collections import Counter

import numpy as np
import pytest
import torch
from fastai.vision.all import (CategoryBlock, ColReader, DataBlock, ImageBlock, ImageDataLoaders, IndexSplitter, MaskBlock, RandomResizedCrop, RandomSplitter, Resize,
                               get_image_files, parent_label)
from fastai.tabular.all import TabularDataLoaders
from PIL import Image

from fastclass.engine.base.errors import DataError
from fastclass.engine.datablock.folder import scan_folder, split_folder
from fastclass.datablock import (check_dls, fitting_bs, look_alikes, manifest_items, near_groups, picture_files,
    read_split, save_split, split_from_column, stable_split)

pytestmark = [pytest.mark.usefixtures('one_thread'), pytest.mark.filterwarnings('ignore::FutureWarning', 'ignore::UserWarning')]


def draw(file, seed, size=(40, 40), mode='RGB', **kwargs):
    file.parent.mkdir(parents=True, exist_ok=True)
    im = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    im.convert(mode).save(file, **kwargs)
    return file


@pytest.fixture
def files(tmp_path): return [draw(tmp_path/('cat', 'dog', 'emu')[i%3]/f'{i}.png', i) for i in range(60)]


def kinds(files): return [f.parent.name for f in files]


def dls_of(files, valid=range(0, 60, 5), bs=8, block=(ImageBlock, CategoryBlock), item_tfms=Resize(32), get_y=parent_label, **kwargs):
    block = DataBlock(block, get_y=get_y, splitter=IndexSplitter([i for i in valid if i<len(files)]), item_tfms=item_tfms, **kwargs)
    return block.dataloaders(files, path=files[0].parent.parent, bs=bs, num_workers=0)


# ---- splits

@pytest.mark.parametrize('seed', range(5))
def test_every_class_gives_its_share_and_groups_stay_whole(files, seed):
    groups = [f'{k}{i//9}' if i%2 else '' for i,k in enumerate(kinds(files))]
    split = stable_split(files, kinds(files), valid=.2, test=.1, groups=groups, seed=seed)
    count = Counter(zip(kinds(files), split.sides))
    for k in ('cat', 'dog', 'emu'): assert 1<=count[k, 'test']<=2 and 2<=count[k, 'valid']<=4, count
    assert all(len({s for s,g in zip(split.sides, groups) if g==name})==1 for name in set(groups) if name)


def test_a_share_is_kept_where_nothing_is_grouped(files):
    split = stable_split(files, kinds(files), valid=.2, test=.2)
    assert Counter(zip(kinds(files), split.sides))=={(k, s):n for k in ('cat', 'dog', 'emu') for s,n in (('train', 12), ('valid', 4), ('test', 4))}
    assert not {*split.of('train')} & {*split.of('valid')} and len(split)==60


def test_names_places_and_order_do_not_matter(files, tmp_path):
    split = stable_split(files, kinds(files))
    order = random.Random(1).sample(range(60), 60)
    moved = [tmp_path/'again'/kinds(files)[i]/f'{n:03}.png' for n,i in enumerate(order)]
    for i,to in zip(order, moved): to.parent.mkdir(parents=True, exist_ok=True); shutil.copy(files[i], to)
    assert stable_split(moved, kinds(moved)).sides==[split.sides[i] for i in order]
    where = save_split(split, tmp_path/'split.csv')
    got = {moved[i].read_bytes() for i in read_split(where)(moved)[1]}
    assert got=={f.read_bytes() for f in split.of('valid')}


def test_the_same_split_in_a_fresh_process(files, tmp_path):
    code = ('import sys, json; from pathlib import Path; from fastclass.engine.datablock.split import stable_split\n'
            'files = [Path(o) for o in json.loads(sys.argv[1])]; print(json.dumps(stable_split(files, [f.parent.name for f in files]).sides)); assert "torch" not in sys.modules')
    out = subprocess.run([sys.executable, '-c', code, json.dumps([str(f) for f in files])], capture_output=True, text=True, check=True).stdout
    assert json.loads(out)==stable_split(files, kinds(files)).sides


def test_few_pictures_move_when_some_are_gone_and_none_with_keep(files):
    split = stable_split(files, kinds(files))
    rest = [f for i,f in enumerate(files) if i%7]
    was = [s for i,s in enumerate(split.sides) if i%7]
    assert sum(a!=b for a,b in zip(stable_split(rest, kinds(rest)).sides, was))<=3
    assert stable_split(rest, kinds(rest), keep=split).sides==was


def test_it_is_the_split_of_the_main_job(files, tmp_path):
    folder = scan_folder(tmp_path, progress=False)
    assert [s=='valid' for s in stable_split(folder.files, folder.labels).sides]==split_folder(folder)


def test_it_goes_into_a_data_block_and_through_a_pickle(files):
    split = pickle.loads(pickle.dumps(stable_split(files, kinds(files), test=.2)))
    dls = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=split, item_tfms=Resize(32)).dataloaders(files, bs=8, num_workers=0)
    assert set(dls.train_ds.items)=={*split.of('train')} and set(dls.valid_ds.items)=={*split.of('valid')}
    assert len(dls.test_dl(split.of('test'), with_labels=True).dataset)==12


def test_a_file_that_changed_is_not_taken_for_the_old_one(files):
    split = stable_split(files, kinds(files))
    draw(files[0], 999)
    with pytest.raises(DataError, match='1 of 60 files is not in the split'): split(files)
    assert stable_split(files, kinds(files), keep=split).sides[1:]==split.sides[1:]


def test_tables_whose_sides_are_text(files, tmp_path):
    import pandas as pd
    df = pd.DataFrame(dict(file=[str(f.relative_to(tmp_path)) for f in files], kind=kinds(files), is_valid=[str(i%5==0) for i in range(60)]))
    from fastai.data.transforms import ColSplitter
    assert len(ColSplitter('is_valid')(df)[1])==60, "fastai takes the text 'False' for true"
    split = split_from_column(df, 'file', labels='kind', root=tmp_path)
    dls = DataBlock((ImageBlock, CategoryBlock), get_x=ColReader('file', pref=tmp_path), get_y=ColReader('kind'), splitter=split, item_tfms=Resize(32)).dataloaders(df, bs=8, num_workers=0)
    assert (len(dls.train_ds), len(dls.valid_ds))==(48, 12)
    report = check_dls(dls)
    assert not report.bad, report


def test_names_with_commas_quotes_and_no_unicode(tmp_path):
    import os
    files = [draw(tmp_path/o, i) for i,o in enumerate(['a, "b".png', 'größe\n.png', 'c.png'])]
    raw = tmp_path/os.fsdecode(b'bad\xff.png')
    files.append(files[-1].rename(raw) if sys.platform=='linux' else files[-1])
    split = stable_split(files[:2]+files[-1:])
    assert read_split(save_split(split, tmp_path/'s.csv')).files==split.files


# ---- check_dls

def test_a_clean_folder_has_no_findings(files):
    assert check_dls(dls_of(files)).kinds==[]
    assert str(check_dls(dls_of(files)))=='48 training and 12 validation items: no findings.'


def test_nothing_is_changed_by_looking(files):
    dls = dls_of(files, item_tfms=RandomResizedCrop(32))
    before = random.getstate(), torch.get_rng_state(), dls.train.rng.getstate()
    check_dls(dls)
    assert random.getstate()==before[0] and torch.equal(torch.get_rng_state(), before[1]) and dls.train.rng.getstate()==before[2]


def test_each_finding(files, tmp_path):
    assert check_dls(dls_of(files, bs=49)).kinds==['no_batch']
    assert check_dls(dls_of(files, bs=33)).kinds==['dropped']
    assert check_dls(dls_of(files, valid=())).kinds[:1]==['empty']
    assert {'unknown_class', 'missing_class'} <= set(check_dls(dls_of(files, valid=range(0, 60, 3))).kinds)
    assert check_dls(dls_of(files[::3], valid=range(4))).kinds==['one_class']
    few = files[:3]+files[3::3]
    assert {'imbalance', 'few', 'missing_class'} <= set(check_dls(dls_of(few, valid=(3, 4, 5))).kinds)


def test_findings_about_files(files, tmp_path):
    odd = {'unreadable':draw(tmp_path/'cat'/'u.jpg', 200), 'tiny':draw(tmp_path/'cat'/'t.png', 201, (9, 9)), 'transparent':draw(tmp_path/'dog'/'c.png', 202, mode='RGBA'),
           'deep':tmp_path/'dog'/'d.png', 'stray':draw(tmp_path/'lost.png', 203), 'sizes':draw(tmp_path/'dog'/'w.png', 204, (80, 40))}
    odd['unreadable'].write_bytes(odd['unreadable'].read_bytes()[:300])
    Image.fromarray((np.random.default_rng(5).random((40, 40))*65535).astype(np.uint16)).save(odd['deep'])
    for kind,file in odd.items():
        report = check_dls(dls_of([*files, file], item_tfms=None if kind=='sizes' else Resize(32)))
        assert kind in report.kinds, (kind, report)
        if kind!='sizes': assert report[kind][0].files==[file]
        assert file.name in str(report) or kind=='sizes'
        if kind in ('unreadable', 'stray', 'sizes'):
            with pytest.raises(DataError): report.raise_if_bad()


def test_a_train_folder_taken_for_a_class(files, tmp_path):
    root = tmp_path/'sides'
    for i,f in enumerate(files): (root/('valid' if i%5==0 else 'train')).mkdir(parents=True, exist_ok=True); shutil.copy(f, root/('valid' if i%5==0 else 'train')/f'{kinds(files)[i]}_{i}.png')
    dls = ImageDataLoaders.from_path_func(root, get_image_files(root), parent_label, seed=1, bs=8, num_workers=0, item_tfms=Resize(32))
    assert [o.kind for o in check_dls(dls).bad]==['stray']


def test_other_kinds_of_data_are_let_be(files, tmp_path):
    import pandas as pd
    for f in files: draw(tmp_path/'masks'/f.name, 0, mode='L')
    def mask(file): return tmp_path/'masks'/file.name
    assert check_dls(dls_of(files, block=(ImageBlock, MaskBlock(['a', 'b'])), get_y=mask)).kinds==[]
    df = pd.DataFrame(dict(a=range(100), b=[0., 1.]*50))
    dls = TabularDataLoaders.from_df(df, cont_names=['a'], y_names='b', bs=16)
    assert check_dls(dls).kinds==[]


def test_the_report_shows_names_as_text(files, tmp_path):
    evil = [draw(tmp_path/'<b>x'/f'{i}.png', 300+i) for i in range(2)]
    page = check_dls(dls_of([*files, *evil]))._repr_html_()
    assert '<b>x' not in page and '&lt;b&gt;x' in page


def test_bears(shared, tmp_path):
    "The known cross-class file and both doubled files are found, and an honest split keeps all three together"
    files = picture_files(shared/'photos'/'bears').sorted()
    known = {('black/00000169', 'grizzly/00000122'), ('grizzly/00000092', 'grizzly/00000185'), ('teddys/00000072', 'teddys/00000151')}
    def name(f): return f'{f.parent.name}/{f.stem}'
    assert {(name(files[i]), name(files[j])) for i,j in look_alikes(files)}==known
    dls = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=RandomSplitter(.2, seed=42), item_tfms=Resize(64)).dataloaders(files, bs=32, num_workers=0)
    report = check_dls(dls)
    assert sorted(map(name, report['two_labels'][0].files))==['black/00000169', 'grizzly/00000122']
    found = {name(f) for kind in ('leak', 'double') for o in report[kind] for f in o.files}
    assert {o for pair in known for o in pair if o.startswith(('grizzly/00000092', 'grizzly/00000185', 'teddys'))} <= found and not report.bad
    groups = near_groups(files)
    for seed in range(5):
        split = stable_split(files, kinds(files), groups=groups, seed=seed)
        side = dict(zip(map(name, files), split.sides))
        assert all(side[a]==side[b] for a,b in known)
        assert all(30<=n<=34 for n in Counter(k for k,s in zip(kinds(files), split.sides) if s=='valid').values())


def test_a_collection(files, tmp_path):
    from fastclass.collect import collect_folder
    root = tmp_path/'src'
    for f in files: (root/f.parent.name).mkdir(parents=True, exist_ok=True); Image.open(f).resize((80, 80)).save(root/f.parent.name/f.name)
    collect_folder(root, tmp_path/'set')
    got = manifest_items(tmp_path/'set')
    assert len(got[0])==len(got[1])==len(got[2])==60 and set(got[1])=={'cat', 'dog', 'emu'}
    stable_split(got[0], got[1], groups=got[2])
    with pytest.raises(DataError, match='no collected pictures'): manifest_items(tmp_path)


def test_a_batch_size_that_fits():
    assert [fitting_bs(n) for n in (1, 16, 100, 1000)]==[1, 2, 8, 64] and all(n//fitting_bs(n)>=1 for n in range(1, 300))


# ---- what strangers put into folders

def test_a_few_placeholders_are_set_aside(shared, tmp_path):
    for i in range(5):
        for k in ('cat', 'dog'): draw(tmp_path/k/f'{i}.png', 10*i+len(k)+ord(k[0]))
    shutil.copy(shared/'awkward_files'/'imageNotFound.gif', tmp_path/'cat')
    folder = scan_folder(tmp_path, progress=False)
    assert [(f.name, why) for f,why,_ in folder.refused]==[('imageNotFound.gif', 'placeholder')] and folder.counts=={'cat': 5, 'dog': 5}
    assert scan_folder(tmp_path, progress=False, placeholders=False).counts['cat']==6


def test_drawings_are_no_placeholders(tmp_path):
    from PIL import ImageDraw
    for i in range(12):
        im = Image.new('RGB', (90, 90), 'white')
        ImageDraw.Draw(im).line((9+i, 20, 60, 70-i), fill='black', width=3)
        (tmp_path/'ab'[i%2]).mkdir(exist_ok=True)
        im.save(tmp_path/'ab'[i%2]/f'{i}.png')
    assert scan_folder(tmp_path, progress=False).counts=={'a': 6, 'b': 6}


def test_a_class_without_a_name_is_not_stray(files):
    dls = dls_of(files, get_y=lambda o: '' if parent_label(o)=='cat' else parent_label(o))
    assert 'stray' not in check_dls(dls).kinds


def test_one_way_to_the_files_of_the_items(files):
    from fastclass.engine.datablock.checks import check_dls as check
    from fastclass.engine.datablock.items import item_files, item_sources
    dls = dls_of(files)
    sources,opener = item_sources(dls.train_ds.tls[0])
    assert item_files(dls.train_ds)==[str(o) for o in sources] and opener.__name__=='PILImage' and len(check(dls))>=0
    arrays = DataBlock(get_items=lambda o: o, splitter=IndexSplitter([0]), get_x=lambda o: np.zeros(3), get_y=lambda o: 1).datasets(list(range(4)))
    assert item_files(arrays.train)==['item 0', 'item 1', 'item 2']
