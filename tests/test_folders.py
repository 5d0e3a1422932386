"Folders as people have them: look-alikes on one side whichever command splits, layouts of all kinds, very small sets, output without a terminal"
import os, re, shutil, subprocess, sys, unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastclass.datablock import check_dls, folder_dls, item_files, near_groups, split_from_folder, stable_split
from fastclass.engine.base.errors import DataError
from fastclass.engine.base.lookalikes import connected_components, fingerprint, kin_pairs
from fastclass.engine.datablock.folder import scan_folder, split_folder

pytestmark = pytest.mark.usefixtures('one_thread')


def photo(seed, size=(120, 90)):
    "Coarse noise: a picture that looks like no other"
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def save(im, file, **kwargs):
    file.parent.mkdir(parents=True, exist_ok=True)
    im.save(file, **kwargs)
    return file


def pictures(root, *folders, n=4, first=0):
    "`n` pictures in each folder, no two alike"
    for k,folder in enumerate(folders):
        for i in range(n): save(photo(first+100*k+i), root/folder/f'{i}.png')
    return root


def scan(root): return scan_folder(root, progress=False)


def twins(root):
    "40 pictures: ten of each class, and of each a second one, smaller and saved again"
    for k,label in enumerate(('cat', 'dog')):
        for i in range(10):
            im = photo(100*k+i)
            save(im, root/label/f'{i}.jpg', quality=95)
            save(im.resize((80, 60)), root/label/f'{i} small.jpg', quality=60)
    return root


def moment(file): return Path(file).parent.name, Path(file).stem.split()[0]


# ---- look-alikes

@pytest.mark.parametrize('seed', [1, 42])
def test_twins_are_on_one_side_whoever_splits(tmp_path, seed, capsys):
    from fastclass.quickstart import _quick_learner
    from fastclass.train import _same_learner
    folder = scan(twins(tmp_path/'d'))
    wanted = {str(f) for f,v in zip(folder.files, split_folder(folder, .2, seed)) if v}
    dls = [folder_dls(tmp_path/'d', size=32, valid_pct=.2, seed=seed, workers=0),
           _quick_learner(folder, 'squeezenet1_1', .2, seed).dls,
           _same_learner(folder, arch='squeezenet1_1', size=32, bs=8, valid_pct=.2, seed=seed, drop=.5).dls]
    groups = near_groups(folder.files, labels=folder.labels)
    by_hand = stable_split(folder.files, folder.labels, groups=groups, seed=seed)
    assert groups==folder.groups and {str(f) for f in by_hand.of('valid')}==wanted and len(wanted)==8
    assert all(set(item_files(o.valid_ds))==wanted for o in dls)
    assert not {*map(moment, wanted)} & {*map(moment, set(map(str, folder.files))-wanted)}
    assert not {'leak', 'siblings'} & set(check_dls(dls[0]).kinds)
    assert 'Look-alikes: 40 pictures in 20 groups' in capsys.readouterr().out


def test_a_set_without_look_alikes_is_split_as_before(tmp_path):
    from fastclass.engine.datablock.sides import content_split
    folder = scan(pictures(tmp_path, 'cat', 'dog', n=12))
    assert split_folder(folder)==content_split(folder.labels, folder.hashes) and not folder.notes


def test_the_groups_of_a_manifest_are_heeded_whatever_a_picture_is_called(tmp_path):
    from fastclass.engine.collect.manifest import Manifest, new_row
    from fastclass.engine.collect.source import Hit
    pictures(tmp_path, 'cat', 'dog', n=10)
    folder = scan(tmp_path)
    rows = []
    for i,(file,label,digest) in enumerate(zip(folder.files, folder.labels, folder.hashes)):
        name = f'{label}/{digest[:16]}.jpg' # as a collection calls it
        group = f'{label}{int(file.stem)//5}'
        rows.append(new_row(label, label, Hit(url=f'https://example.org/{i}.jpg')) | dict(status='ok', file=name, hash=digest, group=group, bytes=file.stat().st_size, width=120, height=90, **fingerprint(file)))
        if i: file.rename(tmp_path/name)
    Manifest(tmp_path).add(rows)
    known = {digest: row['group'] for digest,row in zip(folder.hashes, rows)}
    folder = scan(tmp_path)
    valid = split_folder(folder)
    for group in set(known.values()): assert len({v for v,h in zip(valid, folder.hashes) if known[h]==group})==1
    assert any('named in manifest.jsonl' in o for o in folder.notes)
    (tmp_path/'manifest.jsonl').write_text('["what another tool wrote"]\n')
    folder = scan(tmp_path)
    assert not any(folder.groups) and any('groups of look-alikes in manifest.jsonl are not known' in o for o in folder.notes)


def test_one_group_that_is_most_of_a_class_is_warned_of(tmp_path):
    pictures(tmp_path, 'cat', 'dog', n=10)
    for i in range(30): save(photo(7).resize((100+i, 75+i)), tmp_path/'cat'/f'film {i}.jpg', quality=60+i)
    folder = scan(tmp_path)
    [warning] = [o for o in folder.notes if o.startswith('Warning')]
    assert '31 of 40 pictures of cat are one group of look-alikes' in warning and 'the other 9' in warning
    valid = [f.name for f,v in zip(folder.files, split_folder(folder)) if v]
    assert not any(o.startswith('film') for o in valid) and len(valid)==10


def test_a_class_that_is_one_group_is_split_all_the_same_and_said(tmp_path):
    pictures(tmp_path, 'cat', 'dog', n=10)
    for i in range(10): save(photo(777).resize((100+i, 75+i)), tmp_path/'emu'/f'film {i}.jpg', quality=60+i)
    folder = scan(tmp_path)
    assert any('10 of 10 pictures of emu' in o and 'memory' in o for o in folder.notes)
    valid = split_folder(folder)
    assert sum(v for v,label in zip(valid, folder.labels) if label=='emu')==2


def test_shapes_that_are_all_alike_are_no_moment():
    "Digits of one class chain together; a burst of as many frames does too, and is held together by copies"
    digits = pytest.importorskip('sklearn.datasets').load_digits()
    looks = [fingerprint(Image.fromarray((o*15.9).astype(np.uint8)).resize((28, 28))) for o in digits.images[:600]]
    kin = kin_pairs(looks, list(digits.target[:600]))
    first = connected_components(600, kin[:, :2])
    assert max(map(first.count, set(first)))<60


def test_real_frames_stay_together(shared):
    from fastclass.datablock import look_alikes
    folder = scan(shared/'photos'/'traffic')
    valid = split_folder(folder)
    assert all(valid[i]==valid[j] for i,j in look_alikes(folder.files)) and sum(valid)==70


# ---- layouts

SPLITS = dict(plain=('train', 'test'), ing=('Training', 'Testing'), sets=('training_set', 'test_set'), validation=('TRAIN', 'Validation'), kaggle=('seg_train/seg_train', 'seg_test/seg_test'),
              other_words=('lernen', 'prüfen'), doubled=('data/data/train', 'data/data/val'), wrapped=('archive/a', 'archive/b'))


@pytest.mark.parametrize('name', SPLITS)
def test_sides_are_known_by_the_classes_that_repeat(tmp_path, name, capsys):
    one, two = SPLITS[name]
    pictures(tmp_path, f'{one}/cat', f'{one}/dog', n=8)
    pictures(tmp_path, f'{two}/cat', f'{two}/dog', n=3, first=50)
    (tmp_path/'read me.txt').write_text('from the web')
    folder = scan(tmp_path)
    assert folder.counts=={'cat': 11, 'dog': 11} and sum(folder.given)==6
    assert any('16 pictures) for training' in o and '(6) for validation' in o and '--valid and --seed (in Python valid_pct and seed) do nothing' in o for o in folder.notes)
    assert split_folder(folder, .5, seed=1)==folder.given==[s=='valid' for s in split_from_folder(tmp_path).sides]
    dls = folder_dls(tmp_path, size=32, workers=0)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (16, 6) and 'hold the split' in capsys.readouterr().out


def test_a_test_without_classes_is_kept_for_prediction(tmp_path):
    pictures(tmp_path, 'train/cat', 'train/dog', n=8)
    pictures(tmp_path, 'test', n=5, first=500)
    folder = scan(tmp_path)
    assert folder.counts=={'cat': 8, 'dog': 8} and folder.given is None and len(folder.layout.held)==5
    assert any(o.startswith('Kept for prediction') and 'test, 5 files' in o for o in folder.notes)
    pictures(tmp_path, 'valid/cat', 'valid/dog', n=2, first=800)
    pictures(tmp_path, 'extra/things', n=2, first=900)
    (tmp_path/'notes').mkdir()
    (tmp_path/'notes'/'a.txt').write_text('text')
    split = split_from_folder(tmp_path)
    assert not any(label for label,side in zip(split.labels, split.sides) if side=='test')
    assert [split.sides.count(o) for o in ('train', 'valid', 'test')]==[16, 4, 5] and {o.name for o in scan(tmp_path).stray}=={'extra', 'notes'}


def test_a_test_with_classes_keeps_them(tmp_path):
    for k,side in enumerate(('test', 'train', 'valid')): pictures(tmp_path, f'{side}/cat', f'{side}/dog', n=3, first=1000*k)
    split = split_from_folder(tmp_path)
    assert sorted(label for label,side in zip(split.labels, split.sides) if side=='test')==3*['cat']+3*['dog']


def test_sides_that_share_no_class_are_refused(tmp_path):
    pictures(tmp_path, 'train/cat', 'valid/dog')
    with pytest.raises(DataError, match='The train folder has no picture of dog. It alone has cat'): split_folder(scan(tmp_path))


def test_sides_below_classes(tmp_path):
    pictures(tmp_path, 'cat/train', 'cat/test', 'dog/train', 'dog/test')
    folder = scan(tmp_path)
    assert folder.counts=={'cat': 8, 'dog': 8} and sum(folder.given)==8


@pytest.mark.parametrize('folders', [('cat/2023', 'cat/2024', 'dog/2023', 'dog/2024'), ('bus', 'car', 'train/freight', 'train/people'), ('cat/old', 'dog/old'), ('test', 'pass'),
                                     ('a/x', 'a/y', 'b/x', 'b/y', 'c/x', 'c/y', 'd/x', 'd/y'), ('trainer', 'boot')])
def test_classes_stay_classes(tmp_path, folders):
    folder = scan(pictures(tmp_path, *folders))
    assert folder.classes==sorted({o.split('/')[0] for o in folders}) and folder.given is None


def test_the_same_folders_once_more_a_level_down(tmp_path):
    pictures(tmp_path, 'cat', 'dog')
    pictures(tmp_path, 'data/cat', 'data/dog')
    folder = scan(tmp_path)
    assert folder.counts=={'cat': 4, 'dog': 4} and [o.name for o in folder.stray]==['data']


def test_look_alikes_across_a_split_that_was_given_are_said(tmp_path):
    pictures(tmp_path, 'train/a', 'train/b', n=6)
    pictures(tmp_path, 'valid/a', 'valid/b', n=2, first=50)
    save(photo(0).resize((70, 50)), tmp_path/'valid'/'a'/'again.jpg', quality=70)
    assert any('1 of 5 validation pictures looks like a training picture' in o and '20.0 points' in o for o in scan(tmp_path).notes)


def test_a_copied_folder_is_named_as_the_reason(tmp_path):
    pictures(tmp_path, 'ant', 'bee')
    shutil.copytree(tmp_path/'ant', tmp_path/'ant - Copy')
    for more in ((), ('cat', 'dog')):
        for k,o in enumerate(more): pictures(tmp_path, o, first=1000*(k+1))
        with pytest.raises(DataError, match="All pictures of 'ant' lie in other classes too, most of them in 'ant - Copy'"): scan(tmp_path)


def test_one_name_in_two_unicode_forms_is_one_class(tmp_path):
    names = [unicodedata.normalize(form, 'café') for form in ('NFC', 'NFD')]
    pictures(tmp_path, *names)
    if len(os.listdir(tmp_path))==1: pytest.skip('this disk knows one form only')
    with pytest.raises(DataError, match='one class only.*two Unicode forms') as e: scan(tmp_path)
    assert f'2 folders are called {names[0]}, and' in str(e.value) and '\\' not in e.value.message.rpartition(str(tmp_path))[2]
    pictures(tmp_path, 'bar', first=900)
    assert scan(tmp_path).counts=={'bar': 4, names[0]: 8}


def test_copies_under_two_classes_are_said(tmp_path):
    pictures(tmp_path, 'ant', 'bee', n=6)
    for i in range(3): save(photo(i).resize((80, 60)), tmp_path/'bee'/f'again {i}.jpg', quality=70)
    assert any('3 pairs of the same picture lie in two classes, the closest in ant and bee' in o for o in scan(tmp_path).notes)


def test_names_that_differ_between_sides_are_named(tmp_path):
    pictures(tmp_path, 'train/Cat', 'train/dog')
    pictures(tmp_path, 'valid/cat', 'valid/dog', first=500)
    with pytest.raises(DataError, match='The train folder has no picture of cat. It alone has Cat'): split_folder(scan(tmp_path))


@pytest.mark.parametrize('folders,says', [(('train', 'test'), 'no class folders'), (('pics',), 'one class only'), (('.',), 'side by side.*folder above')])
def test_no_classes_to_be_found(tmp_path, folders, says):
    with pytest.raises(DataError) as e: scan(pictures(tmp_path/'d', *folders))
    assert re.search(says, f'{e.value.message} {e.value.next}')


@pytest.mark.parametrize('copy', ['{}-Copy1', '{} - Copy', '{} (2)', 'Copy of {}', '{} copy', '{}_1'])
def test_the_plain_name_of_a_doubled_picture_is_kept(tmp_path, copy):
    from fastclass.collect import collect_folder
    pictures(tmp_path/'d', 'a', 'b')
    shutil.copy(tmp_path/'d'/'a'/'0.png', tmp_path/'d'/'a'/f'{copy.format(0)}.png')
    folder = scan(tmp_path/'d')
    assert [f.stem for f,why,_ in folder.refused if why=='duplicate']==[copy.format(0)] and tmp_path/'d'/'a'/'0.png' in folder.files
    rows = collect_folder(tmp_path/'d', tmp_path/'out', progress=False).manifest.to_dict('records')
    assert [o['title'] for o in rows if o['status']=='duplicate']==[f'a/{copy.format(0)}.png']


# ---- very small sets, and the report

def test_a_batch_above_the_set_is_said(tmp_path, capsys):
    pictures(tmp_path, 'a', 'b', n=10)
    assert folder_dls(tmp_path, size=32, bs=64, workers=0).bs==16 and 'batches of 64 are more than the 16 training pictures' in capsys.readouterr().out
    assert folder_dls(tmp_path, size=32, workers=0).bs==4 and not capsys.readouterr().out


def test_piped_output_of_a_small_run(tmp_path):
    "Said before training: too few; afterwards: no mistake that is none, look-alikes in the report, and no bar anywhere"
    twins(tmp_path/'d')
    for o in list((tmp_path/'d').rglob('*.jpg')):
        if int(o.stem.split()[0])>2: o.unlink()
    code = 'from fastclass.course.cli import main; main()'
    cmd = [sys.executable, '-W', 'ignore', '-c', code, 'quickstart', '--data', tmp_path/'d', '--arch', 'squeezenet1_1', '--epochs', '2', '--out', tmp_path/'out']
    res = subprocess.run(list(map(str, cmd)), capture_output=True, text=True, timeout=300)
    assert res.returncode==0, res.stderr[-2000:]
    assert not {'\r', '█'} & set(res.stdout+res.stderr)
    said = res.stdout.index('very few'), res.stdout.index('epoch'), res.stdout.index('Accuracy')
    assert sorted(said)==list(said) and 'Look-alikes: 12 pictures in 6 groups' in res.stdout
    page = (tmp_path/'out'/'report.html').read_text()
    assert 'Pictures that look alike' in page and '0 small.jpg' in page
    for text in (page, res.stdout):
        for label in ('cat', 'dog'): assert f'is {label}, taken for {label}' not in text


def test_a_second_quick_tune_is_said(tmp_path, capsys):
    from fastclass.finetune import make_learner, quick_tune
    learn = make_learner(folder_dls(pictures(tmp_path, 'a', 'b', n=8), size=32, workers=0), 'squeezenet1_1')
    said = []
    for _ in range(2):
        with learn.no_bar(), learn.no_logging(): quick_tune(learn, epochs=1, views=1)
        said.append('trained this head before' in capsys.readouterr().out)
    assert said==[False, True]


def test_a_batch_that_stock_loaders_cannot_fill_is_said(tmp_path, capsys):
    from fastai.vision.all import ImageDataLoaders, Resize
    from fastclass.finetune import make_learner
    pictures(tmp_path, 'a', 'b', n=8)
    for bs,warned in ((1000, True), (4, False)):
        make_learner(ImageDataLoaders.from_folder(tmp_path, valid_pct=.25, item_tfms=Resize(32), bs=bs, num_workers=0), 'squeezenet1_1')
        assert ('12 training items make no full batch of 1000' in capsys.readouterr().out)==warned
