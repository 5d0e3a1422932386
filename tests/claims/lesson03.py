"What the claims of lesson 3 measure, for a seed"
from functools import lru_cache

import torch
from fastai.vision.all import accuracy, set_seed, vision_learner
from torchvision.models import resnet18

from fastclass.datablock import folder_dls
from fastclass.engine.packs.packs import pack
from fastclass.finetune import make_learner, quick_tune, what_trains


def head_after_fine_tune_0(seed):
    "Share of the head that changed"
    set_seed(seed)
    dls = folder_dls(pack('lakes', seed=seed, each=8), size=48, bs=8)
    learn = make_learner(dls, 'resnet18', pretrained=False)
    with learn.no_bar(), learn.no_logging(): return what_trains(learn.fine_tune, 0)['head']


def filters_of(learn): return torch.cat([p.detach().flatten() for p in learn.model[0].parameters() if p.ndim==4])


def move_of_filters(seed):
    "By one epoch of the head and one of everything"
    set_seed(seed)
    dls = folder_dls(pack('lakes', each=16), size=48, bs=16, seed=seed, workers=0)
    learn = vision_learner(dls, resnet18, pretrained=False, metrics=accuracy)
    before = filters_of(learn)
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(1)
    return float((filters_of(learn)-before).norm()/before.norm())


@lru_cache(maxsize=None)
def outcome(seed, epochs=None, pretrained=True):
    "Training loss, validation loss and accuracy of a trained head; the seed changes split and head"
    set_seed(seed)
    learn = make_learner(folder_dls(pack('lakes'), size=96, seed=seed, workers=0), pretrained=pretrained)
    with learn.no_bar(), learn.no_logging(): quick_tune(learn, epochs=epochs)
    return tuple(learn.recorder.values[-1])


def rise_of_validation_loss(seed):
    "From 8 to 32 epochs; the training loss has to fall, or it is no number"
    train_8,valid_8,_ = outcome(seed, 8)
    train_32,valid_32,_ = outcome(seed, 32)
    return valid_32-valid_8 if train_32<train_8/3 else float('nan')


def spread(seed):
    "Of five splits, all others for each seed"
    found = [outcome(10*seed+at)[2] for at in range(100, 105)]
    return max(found)-min(found)


MEASURES = {
    '3.a': head_after_fine_tune_0,
    '3.b': move_of_filters,
    '3.c': lambda seed: outcome(seed, 8)[2]-outcome(seed, 1)[2],
    '3.d': rise_of_validation_loss,
    '3.e': lambda seed: outcome(seed, 8)[2]-outcome(seed, 8, False)[2],
    '3.f': spread}
