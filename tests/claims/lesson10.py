"What the claims of lesson 10 measure, for a seed"
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from fastai.vision.all import set_seed

from fastclass.datablock import folder_dls, scan_folder
from fastclass.engine.packs.packs import pack
from fastclass.pretrain import compare_bodies, learner_on


@cache
def folder(): return scan_folder(pack('lakes'), progress=False)


@cache
def accuracy_on(body, seed): return compare_bodies(lambda _: folder_dls(folder(), size=128, seed=seed), [body], seeds=1).accuracy[0]


def nearest_alike(seed):
    "As in the lesson, for the bundled body"
    set_seed(seed)
    learn = learner_on(folder_dls(folder(), size=128, seed=seed), 'bundled')
    with torch.no_grad():
        parts = []
        for xb,_ in learn.dls.valid:
            maps = learn.model[0].eval()(xb)
            parts.append(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))
    rows = torch.cat(parts)
    rows = (rows-rows.mean(0))/(rows.std(0)+1e-6)
    nearest = torch.cdist(rows, rows).fill_diagonal_(torch.inf).topk(3, largest=False).indices.cpu()
    lakes = np.array([int(y) for _,y in learn.dls.valid_ds])
    return (lakes[nearest]==lakes[:,None]).mean()


def with_shuffled_names(seed):
    mixed = replace(folder(), labels=list(np.random.default_rng(seed).permutation(folder().labels)))
    return compare_bodies(lambda _: folder_dls(mixed, size=128, seed=seed), ['bundled'], seeds=1).accuracy[0]


MEASURES = {
    '10.a': lambda seed: accuracy_on('bundled', seed)-accuracy_on('random', seed),
    '10.b': lambda seed: accuracy_on('efficientnet_lite0', seed)-accuracy_on('bundled', seed),
    '10.c': nearest_alike,
    '10.d': lambda seed: accuracy_on('bundled', seed)-with_shuffled_names(seed)}
