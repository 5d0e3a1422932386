"Answers to the exercises of lesson 2: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
import re, shutil, tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, ImageDataLoaders, PILImage, RandomSplitter, Resize, Transform, get_image_files, parent_label
from PIL import Image

from fastclass.datablock import folder_dls, near_groups, stable_split
from fastclass.engine.packs.packs import pack

path = pack('lakes')


@lru_cache
def temporary(): # its folder goes when Python ends
    return tempfile.TemporaryDirectory()


@lru_cache
def burst():
    "Four crops of each of 60 lakes"
    folder = Path(temporary().name)/'burst'
    rng = np.random.default_rng(0)
    for lake in sorted(path.glob('*/')):
        for file in sorted(lake.glob('*.jpg'))[:12]:
            (folder/lake.name).mkdir(parents=True, exist_ok=True)
            for number in range(4):
                left,top = rng.integers(0, 8, 2)
                Image.open(file).crop((left, top, left+166, top+124)).save(folder/lake.name/f'{file.stem}_{number}.jpg', quality=88)
    return get_image_files(folder).sorted()


@lru_cache
def messy():
    "Twenty pictures of each of three lakes, a copy in another class, one beside the classes, a broken one and a folder of a tool"
    folder = Path(temporary().name)/'messy'
    for lake in ('aldra', 'bremir', 'cindral'):
        (folder/lake).mkdir(parents=True)
        for file in sorted((path/lake).glob('*.jpg'))[:20]: shutil.copy(file, folder/lake)
    first = sorted((path/'aldra').glob('*.jpg'))[0]
    (folder/'tmp').mkdir()
    for place in ('lost.jpg', 'tmp/a.jpg', 'bremir/copy.jpg'): shutil.copy(first, folder/place)
    (folder/'cindral'/'broken.jpg').write_bytes(first.read_bytes()[:500])
    return folder


@lru_cache
def tidy():
    "The same without the folder of a tool"
    return Path(shutil.copytree(messy(), Path(temporary().name)/'tidy'/'messy', ignore=shutil.ignore_patterns('tmp')))


def block_of(**more): return DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label, splitter=RandomSplitter(seed=3), **more)
def loaders(folder=path, **resize): return block_of(item_tfms=Resize(**{'size': 64, **resize})).dataloaders(folder, bs=16, num_workers=0)
def kinds(): return [file.parent.name for file in burst()]
def groups(): return near_groups(burst())
def split_of(**more): return stable_split(burst(), kinds(), groups=groups(), **more)


def into_the_middle(picture:PILImage):
    small = PILImage(picture.resize((64, 48)))
    white = PILImage.create(np.full((64, 64, 3), 255, dtype=np.uint8))
    white.paste(small, (0, 8))
    return white


def by_hand():
    "The good files of the messy folder, each of them once"
    unwanted = {'lost.jpg', 'copy.jpg', 'broken.jpg'}
    files = [file for file in get_image_files(messy()).sorted() if file.name not in unwanted and file.parent.name!='tmp']
    labels = [file.parent.name for file in files]
    split = stable_split(files, labels, groups=near_groups(files))
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=split, item_tfms=Resize(64))
    return block.dataloaders(files, bs=8, num_workers=0)


def with_a_pattern(name): return re.match(r'(.+)_\d+\.\w+$', name)[1]
def gives_nothing(name): name.rsplit('_', 1)[0]


ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '2.1': dict(right=['b', 'B'], wrong=[('a', "compare '1' and '10'"), ('c', 'They are text'), ('d', 'no number for fastai'), (1, 'a letter in quotes')]),
    '2.2': dict(
        right=[lambda: loaders(method='pad', pad_mode='zeros'),
               lambda: ImageDataLoaders.from_folder(path, valid_pct=.2, item_tfms=Resize(64, 'pad', 'zeros'), bs=8, num_workers=0)],
        wrong=[(lambda: loaders(method='squish'), 'squished'),
               (lambda: loaders(method='crop'), 'cropped'),
               (lambda: loaders(method='pad'), '`pad_mode`'),
               (lambda: loaders(size=96, method='pad', pad_mode='zeros'), '96 x 96'),
               (lambda: block_of(item_tfms=Transform(into_the_middle)).dataloaders(path, bs=8, num_workers=0), 'not black'),
               (lambda: ImageDataLoaders.from_lists(path, (files := get_image_files(path/'aldra')+get_image_files(path/'bremir')), [file.parent.name for file in files], bs=8,
                                                    num_workers=0, item_tfms=Resize(64, 'pad', 'zeros')), 'five lakes'),
               (lambda: Resize(64, 'pad', 'zeros'), '`DataLoaders` were expected')]),
    '2.3': dict(
        right=[lambda: lambda name: name.rsplit('_', 1)[0], lambda: with_a_pattern, lambda: lambda name: '_'.join(name.split('_')[:-1])],
        wrong=[(lambda: lambda name: name.split('_')[0], 'stops at the first underscore'),
               (lambda: lambda name: name.split('.')[0], 'a class for each picture'),
               (lambda: lambda name: name.split('_'), 'a list'),
               (lambda: lambda name: name.split('_')[-1], 'what is before it'),
               (lambda: lambda name: name[:-7], 'The last underscore'),
               (lambda: lambda name: name.split('_')[0]+'_'+name.split('_')[1], 'aldra_003.jpg'),
               (lambda: lambda file: parent_label(file), 'looks for a folder'),
               (lambda: gives_nothing, 'return'),
               ('aldra', 'not callable')]),
    '2.4': dict(
        right=[lambda: split_of(valid=.2, test=.2), lambda: split_of(test=.2), lambda: split_of(valid=.21, test=.19, seed=5)],
        wrong=[(lambda: stable_split(burst(), kinds(), valid=.2, test=.2), 'torn apart'),
               (lambda: split_of(), 'no test side'),
               (lambda: split_of(valid=.2, test=.4), 'The test side has'),
               (lambda: split_of(valid=.1, test=.2), 'The validation side has'),
               (lambda: stable_split(path.glob('*/*.jpg'), [file.parent.name for file in path.glob('*/*.jpg')], test=.2), 'the burst has 240'),
               (lambda: RandomSplitter(.2, seed=0)(burst()), 'A `Split` was expected')]),
    '2.5': dict(
        right=[lambda: folder_dls(tidy(), size=64), by_hand],
        wrong=[(lambda: loaders(messy()), 'What is stray'),
               (lambda: ImageDataLoaders.from_lists(messy(), (files := get_image_files(messy()/'aldra')+get_image_files(messy()/'bremir')+get_image_files(messy()/'cindral')),
                                                    [file.parent.name for file in files], item_tfms=Resize(64), bs=8, num_workers=0), 'still finds something bad'),
               (lambda: folder_dls(path, size=64), 'the folder has aldra, bremir and cindral'),
               (lambda: ImageDataLoaders.from_lists(messy(), (files := [file for lake in ('aldra', 'bremir', 'cindral') for file in sorted((messy()/lake).glob('0*.jpg'))[:8]]),
                                                    [file.parent.name for file in files], item_tfms=Resize(64), bs=8, num_workers=0), 'set only those aside'),
               (lambda: messy(), '`DataLoaders` were expected')]),
}
