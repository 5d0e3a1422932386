"Answers to the exercises of lesson 6: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from fastai.vision.all import get_image_files, load_learner, set_seed

from fastclass.engine.packs.packs import pack
from fastclass.segment import MaskOf, quick_segment, read_codes, segment_dls, segment_learner

path = pack('streets')/'seg'
files = sorted(get_image_files(path/'images'))
codes = read_codes(path/'codes.txt')
mask_of = MaskOf(path/'labels')


def loaders(given=files, **more): return segment_dls(given, mask_of, codes, **more)
def drives(first=0): return [(i+first)//2 for i in range(len(files))]


def on_both_sides():
    dls = loaders(groups=drives())
    dls.valid_ds.items.extend(dls.train_ds.items[:4])
    return dls


@cache
def trained(**more):
    set_seed(0)
    learn = segment_learner(loaders(files[:60], **more))
    with learn.no_bar(), learn.no_logging(): quick_segment(learn, epochs=6, views=1)
    return learn


def exported():
    with tempfile.TemporaryDirectory() as folder:
        learn = trained()
        path,learn.path = learn.path,Path(folder)
        learn.export('seg.pkl')
        learn.path = path
        return load_learner(Path(folder)/'seg.pkl')


def untrained():
    set_seed(0)
    return segment_learner(loaders(files[:12]))


def trained_a_little():
    set_seed(0)
    learn = segment_learner(loaders(files[:16]))
    with learn.no_bar(), learn.no_logging(): quick_segment(learn, epochs=2, views=1)
    return learn


def of_other_classes(): return segment_learner(segment_dls(files[:12], mask_of, [f'class {name}' for name in codes]))


def by_sets(truth, predicted, code):
    there = set(zip(*np.nonzero(truth==code)))
    said = set(zip(*np.nonzero(predicted==code)))
    return len(there & said)/len(there | said)


def by_counts(truth, predicted, code):
    both = np.sum((truth==code)*(predicted==code))
    return both/(np.sum(truth==code)+np.sum(predicted==code)-both)


def by_loop(truth, predicted, void):
    counted = [(a, b) for a,b in zip(truth.flatten(), predicted.flatten()) if a!=void]
    return sum(a==b for a,b in counted)/len(counted)


def in_place(truth, predicted, void):
    predicted[truth==void] = void
    return (truth==predicted)[truth!=void].mean()


def both(truth, said, code): return ((truth==code)&(said==code)).sum()
def gives_nothing(truth, predicted, code): both(truth, predicted, code)


ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '6.1': dict(right=['a', ' A) '], wrong=[('b', 'IoU of road'), ('c', 'other way round'), ('d', 'Nine of them have 0'), ('e', 'not one of a, b, c, d'), (.3, 'a letter in quotes')]),
    '6.2': dict(
        right=[lambda: by_counts, lambda: by_sets, lambda: lambda truth, said, code: torch.tensor(by_counts(truth, said, code))],
        wrong=[(lambda: lambda truth, said, code: both(truth, said, code)/(truth==code).sum(), 'recall'),
               (lambda: lambda truth, said, code: both(truth, said, code)/(said==code).sum(), 'precision'),
               (lambda: lambda truth, said, code: 2*both(truth, said, code)/((truth==code).sum()+(said==code).sum()), 'Dice'),
               (lambda: lambda truth, said, code: both(truth, said, code)/((truth==code).sum()+(said==code).sum()), 'counted twice'),
               (lambda: lambda truth, said, code: both(truth, said, code)/truth.size, 'not all pixels'),
               (lambda: lambda truth, said, code: (truth==said).mean(), 'pixel accuracy'),
               (lambda: lambda truth, said, code: both(truth, said, code), 'number of pixels where both'),
               (lambda: lambda truth, said, code: both(truth, said, 1)/((truth==1)|(said==1)).sum(), 'With code 0'),
               (lambda: lambda truth, said, code: (truth==said), '12 numbers came'),
               (lambda: gives_nothing, 'return'),
               (.4, 'not callable')]),
    '6.3': dict(
        right=[lambda: lambda truth, said, void: (truth==said)[truth!=void].mean(), lambda: by_loop],
        wrong=[(lambda: lambda truth, said, void: (truth==said).mean(), 'Void pixels are counted'),
               (lambda: lambda truth, said, void: (truth==said)[(truth!=void)&(said!=void)].mean(), 'void is *predicted*'),
               (lambda: lambda truth, said, void: (truth==said)[truth!=void].sum(), 'number of right pixels'),
               (lambda: lambda truth, said, void: (truth!=said)[truth!=void].mean(), 'share of wrong'),
               (lambda: lambda truth, said, void: (truth==said)[truth!=9].mean(), 'With void 0'),
               (lambda: in_place, 'changes the masks'),
               (lambda: lambda truth, said, void: None, 'return')]),
    '6.4': dict(
        right=[lambda: loaders(groups=drives()), lambda: loaders(groups=[f'drive {i//2}' for i in range(len(files))], seed=3)],
        wrong=[(loaders, 'have a picture on each side'),
               (lambda: loaders(groups=drives(1)), 'the pairs begin at picture 0'),
               (lambda: loaders(groups=list(range(len(files)))), 'have a picture on each side'),
               (lambda: loaders(groups=[i%50 for i in range(len(files))]), 'have a picture on each side'),
               (lambda: loaders(groups=drives(), valid_pct=.5), 'Take a fifth'),
               (lambda: loaders(files[:8], groups=drives()[:8]), 'all of `files`'),
               (lambda: drives(), '`DataLoaders` were expected')]),
    '6.5': dict(
        right=[lambda: trained(), lambda: trained(seed=5)],
        wrong=[(untrained, 'On 20 new streets'), (exported, 'it was loaded'), (trained_a_little, '0.35 is asked for'), (of_other_classes, 'It knows other classes'), (loaders, 'A `Learner` was expected'),
               (.64, 'A `Learner` was expected')]),
}
