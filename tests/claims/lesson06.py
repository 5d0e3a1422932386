"What the claims of lesson 6 measure, for a seed"
from functools import lru_cache

from fastai.vision.all import get_image_files, set_seed

from fastclass.course.lesson import pack
from fastclass.segment import MaskLoss, MaskOf, count_pairs, open_mask, place_prior, quick_segment, read_codes, score_masks, scores_of, segment_dls, segment_learner

VOID = 11 # Code of the pack's class that is not scored


def data(seed):
    "Other streets for each seed"
    path = pack('streets', seed=seed, photos=2, seg=100)/'seg'
    return sorted(get_image_files(path/'images')), MaskOf(path/'labels'), read_codes(path/'codes.txt')


@lru_cache(maxsize=5)
def baseline(seed):
    "Pixel accuracy and mean IoU of the most frequent class of each place"
    files,mask_of,codes = data(seed)
    dls = segment_dls(files, mask_of, codes, seed=seed)
    prior = place_prior([open_mask(mask_of(file)) for file in dls.train_ds.items], len(codes), VOID)
    pairs = sum(count_pairs(prior, open_mask(mask_of(file)), len(codes), VOID) for file in dls.valid_ds.items)
    return float(pairs.trace()/pairs.sum()), float(scores_of(pairs, codes).iou.mean())


@lru_cache(maxsize=10)
def trained(seed, plain=False):
    "Mean IoU of a decoder; with `plain` it has cross-entropy alone and cells of four by four pixels"
    set_seed(seed)
    settings = dict(fine=1, loss_func=MaskLoss(VOID, dice=0, even=0)) if plain else {}
    learn = segment_learner(segment_dls(*data(seed), seed=seed), **settings)
    with learn.no_bar(), learn.no_logging(): quick_segment(learn)
    return score_masks(learn).mean_iou


def flattery(seed):
    accuracy,iou = baseline(seed)
    return accuracy-iou


MEASURES = {'6.a': flattery,
            '6.b': lambda seed: trained(seed)-baseline(seed)[1],
            '6.c': lambda seed: trained(seed)-trained(seed, plain=True)}
