"What the claims of lesson 6 measure, for a seed"
import random
from functools import lru_cache

import numpy as np
from fastai.vision.all import get_image_files

from fastclass.engine.packs.packs import pack
from fastclass.segment import (MaskLoss, MaskOf, count_pairs, open_mask, place_prior, quick_segment, read_codes, score_masks, scores_of, segment_dls,
                               segment_learner)

path = pack('streets')/'seg'
codes = read_codes(path/'codes.txt')
mask_of = MaskOf(path/'labels')
void = codes.index('Void')


@lru_cache(maxsize=1)
def loaders(seed):
    "Other streets and another split; fewer and smaller than in the lesson, to be quick"
    files = random.Random(seed).sample(sorted(get_image_files(path/'images')), 60)
    return segment_dls(files, mask_of, codes, size=(72, 96), seed=seed, workers=0)


def baseline(seed):
    "Mean IoU and pixel accuracy of the most frequent class of each place"
    dls = loaders(seed)
    guess = place_prior([open_mask(mask_of(file)) for file in dls.train_ds.items], len(codes), void)
    pairs = sum(count_pairs(guess, open_mask(mask_of(file)), len(codes), void) for file in dls.valid_ds.items)
    return float(np.nanmean(scores_of(pairs, codes).iou)), float(pairs.trace()/pairs.sum())


@lru_cache(maxsize=2)
def scores(seed, coarse=False):
    settings = dict(fine=1, loss_func=MaskLoss(void, dice=0, even=0)) if coarse else {}
    learn = segment_learner(loaders(seed), **settings)
    with learn.no_bar(), learn.no_logging(): quick_segment(learn)
    return score_masks(learn)


def flattery(seed):
    iou,accuracy = baseline(seed)
    return accuracy-iou


def gap(seed):
    "Pixel accuracy of a model, less the IoU of its worst class"
    before = scores(seed, coarse=True)
    return before.accuracy-before.classes.iou.min()


MEASURES = {'6.a': flattery,
            '6.b': lambda seed: scores(seed).mean_iou-baseline(seed)[0],
            '6.c': gap,
            '6.d': lambda seed: scores(seed).mean_iou-scores(seed, coarse=True).mean_iou}
