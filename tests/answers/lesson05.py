"Answers to the exercises of lesson 5: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
import atexit, shutil, tempfile
from functools import cache
from pathlib import Path

import pandas as pd
import torch
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, ImageDataLoaders, RandomSplitter, Resize, parent_label, set_seed

from fastclass.datablock import folder_dls, stable_split
from fastclass.engine.packs.packs import pack
from fastclass.finetune import make_learner, quick_tune
from fastclass.predict import choose_threshold, save_bundle, scene_of, write_series

made_up = pd.DataFrame(dict(probability=[.99, .9, .9, .6, .5], correct=[True, True, True, False, True]))


@cache
def here():
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def files(): return write_series(pack('crests')/'masters', here()/'series', scenes=5, frames=2)


def labelled(splitter, part=slice(None)):
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=splitter, item_tfms=Resize(128, 'squish'))
    return block.dataloaders(files()[part], bs=32, num_workers=0)


def grouped(groups, seed=0): return stable_split(files(), [parent_label(file) for file in files()], valid=.2, groups=groups, seed=seed)
def by_scene(): return labelled(grouped([scene_of(file) for file in files()]))


def by_table(last='scene04'):
    "The frames as a table with a column for the split"
    table = pd.DataFrame(dict(name=[str(o) for o in files()], label=[o.parent.name for o in files()], held=[o.name.startswith(last) for o in files()]))
    return ImageDataLoaders.from_df(table, path='/', valid_col='held', item_tfms=Resize(128, 'squish'), num_workers=0, bs=32)


def by_name(items):
    "The last scene of each crest is for validation"
    valid = [at for at,file in enumerate(items) if file.name.startswith('scene04')]
    return [at for at in range(len(items)) if at not in valid], valid


def whole_crests(items):
    names = sorted({file.parent.name for file in items})[:4]
    valid = [at for at,file in enumerate(items) if file.parent.name in names]
    return [at for at in range(len(items)) if at not in valid], valid


def most_for_validation(items):
    train,valid = by_name(items)
    return valid, train


@cache
def crests():
    "A model of the crests, on the packed training pictures"
    set_seed(0)
    learn = make_learner(labelled(RandomSplitter(.2, seed=0)))
    with learn.no_bar(), learn.no_logging(): quick_tune(learn, 8, views=1)
    return learn


def exported():
    crests().export(here()/'mine.pkl')
    return here()/'mine.pkl'


def a_zip(): return str(save_bundle(crests(), here()/'zipped.zip'))
def a_folder(): return save_bundle(crests(), here()/'bundle')


def untrained():
    set_seed(0)
    return save_bundle(make_learner(by_scene(), 'squeezenet1_1', pretrained=False), here()/'untrained')


def of_lakes(): return save_bundle(make_learner(folder_dls(pack('lakes'), size=64), 'squeezenet1_1', pretrained=False), here()/'lakes')


def an_empty_folder():
    (here()/'empty').mkdir(exist_ok=True)
    return here()/'empty'


def with_loop(probs, vocab, threshold):
    best,name = -1, None
    for probability,known in zip(probs.tolist(), vocab):
        if probability>best: best,name = probability, known
    return name if best>=threshold else "don't know"


def with_max(probs, vocab, threshold):
    probability,idx = probs.max(0)
    if probability<threshold: return "don't know"
    return vocab[idx]


def with_first(probs, vocab, threshold): return vocab[probs.argmax()] if probs[0]>=threshold else "don't know"
def strict(probs, vocab, threshold): return vocab[probs.argmax()] if probs.max()>threshold else "don't know"
def other_way(probs, vocab, threshold): return vocab[probs.argmax()] if probs.max()<threshold else "don't know"
def always(probs, vocab, threshold): return vocab[probs.argmax()]
def number(probs, vocab, threshold): return probs.max()
def printed(probs, vocab, threshold): vocab[probs.argmax()] if probs.max()>=threshold else "don't know"
def first_class(probs, vocab, threshold): return vocab[0] if probs.max()>=threshold else "don't know"


ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '5.1': dict(right=['c', ' C) '], wrong=[('a', 'the leak of this lesson'), ('b', 'siblings of the first'), ('d', 'never seen'), ('e', 'not one of a, b, c, d'), (3, 'a letter in quotes')]),
    '5.2': dict(
        right=[(.5, 1.), [.5, 1], torch.tensor([.5, 1.]), lambda: choose_threshold(made_up, .8)],
        wrong=[(lambda: choose_threshold(made_up), 'That is for 95%'), ((1., .5), 'in the other order'), ((.5, 5), 'a share of the pictures'), ((.5, .8), 'share of right answers'),
               ((.6, .8), 'three of four'), (.5, 'Two numbers'), ((.99, .2), 'Go down the table'), ((.5, 1., 5), 'not 3')]),
    '5.3': dict(
        right=[lambda: with_loop, lambda: with_max],
        wrong=[(lambda: with_first, 'keeps silent at'), (lambda: strict, 'At the threshold itself'), (lambda: other_way, 'keeps silent at'), (lambda: always, 'still answers dog'),
               (lambda: number, 'It gives a number'), (lambda: printed, 'return'), (lambda: first_class, 'largest probability'), ('cat', 'not callable')]),
    '5.4': dict(
        right=[by_scene, lambda: labelled(by_name), by_table],
        wrong=[(lambda: labelled(RandomSplitter(.2, seed=0)), 'that is the leak'), (lambda: by_table('scene04-frame0'), 'that is the leak'),
               (lambda: labelled(whole_crests), 'on one side only'), (lambda: labelled(by_name, slice(0, None, 2)), 'one frame of each scene'),
               (lambda: labelled(most_for_validation), 'little is left to learn from'),
               (lambda: labelled(lambda items: (range(len(items)), range(0, len(items), 5))), 'that is the leak'),
               (lambda: labelled(by_name).train_ds, '`DataLoaders` were expected'),
               (lambda: by_name(files()), '`DataLoaders` were expected')]),
    '5.5': dict(
        right=[a_folder, a_zip],
        wrong=[(exported, 'That is a pickle'), (untrained, 'of the 20 crests'), (of_lakes, 'are not the 20 crests'), (an_empty_folder, 'BundleError'),
               (lambda: crests(), 'Save the model and give the path'), (lambda: here()/'nowhere', 'There is nothing at nowhere'), (lambda: next(Path(a_folder()).glob('*.safetensors')), 'one file of a bundle')]),
}
