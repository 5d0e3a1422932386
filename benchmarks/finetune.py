"""`quick_tune` against fastai's standard recipe, on the same pictures, split and architecture, in one process.

    python benchmarks/finetune.py [--data FOLDER] [--seeds 5] [--json]

Without --data it takes ../shared/photos/bears where that is, else the bundled pack. Both sides decode in this process (on two cores, worker
processes made the recipe slower: 62 s against 56 s on the bears). efficientnet_lite0 and squeezenet1_1, each with the best weights that can be had, are compared
in time and accuracy over all seeds, resnet18 without pretrained weights in time only (one seed). Also printed: the floor, which is one decode and one forward pass of every
picture, one after the other, by plain Pillow and the body in its fastest format.
"""
import argparse, json, time
from contextlib import redirect_stdout
from statistics import mean, median
from sys import stderr

import numpy as np
import torch
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, IndexSplitter, Resize, accuracy, set_seed
from PIL import Image

from common import photos
from fastclass.engine.base.torch_tools import fast_dtype
from fastclass.engine.datablock.folder import scan_folder, split_folder
from fastclass.engine.datablock.loaders import ClassOf
from fastclass.engine.finetune.features import fast_body
from fastclass.engine.finetune.weights import find_weights, make_learner
from fastclass.finetune import quick_tune

SIZE = 192


def dls_of(folder, valid):
    "The recipe's own DataLoaders: squished pictures, no augmentation; `valid` says of each picture whether it is for validation"
    items = [*[f for f, v in zip(folder.files, valid) if not v], *[f for f, v in zip(folder.files, valid) if v]]
    label = ClassOf(folder.files, folder.labels)
    block = DataBlock((ImageBlock, CategoryBlock), get_y=label, item_tfms=Resize(SIZE, method='squish'),
                      splitter=IndexSplitter(list(range(valid.count(False), len(items)))))
    return block.dataloaders(items, bs=32, num_workers=0)


def make_dls(folder, seed):
    "The same split for both sides"
    return dls_of(folder, split_folder(folder, seed=seed))


def fresh(folder, arch, seed, pretrained):
    "A learner; what it says of its weights goes to stderr"
    with redirect_stdout(stderr): return make_learner(make_dls(folder, seed), arch, metrics=accuracy, pretrained=pretrained)


def timed(train, folder, arch, seed, pretrained):
    "`(seconds, accuracy)` of a fresh learner after `train`"
    set_seed(seed)
    learn = fresh(folder, arch, seed, pretrained)
    with learn.no_bar(), learn.no_logging():
        start = time.perf_counter()
        train(learn)
        seconds = time.perf_counter()-start
        return seconds, float(learn.validate()[1])


def standard(learn): learn.fine_tune(3)


def floor(folder, arch, pretrained):
    "Seconds to decode every picture once and send it through the body once"
    start = time.perf_counter()
    xb = [torch.from_numpy(np.array(Image.open(f).convert('RGB').resize((SIZE, SIZE), Image.BILINEAR))) for f in folder.files]
    decode = time.perf_counter()-start
    body = fresh(folder, arch, 0, pretrained).model[0]
    with fast_body(body, torch.device('cpu')) as run:
        run(torch.zeros(16, 3, SIZE, SIZE))
        start = time.perf_counter()
        for i in range(0, len(xb), 16): run(torch.stack(xb[i:i+16]).permute(0, 3, 1, 2).float()/255)
    return decode, time.perf_counter()-start


def compare(folder, arch, seeds, pretrained):
    "Both sides in turn for each seed, and the floor"
    rows = []
    for s in seeds:
        rows.append(timed(quick_tune, folder, arch, s, pretrained) + timed(standard, folder, arch, s, pretrained))
        print(f'{arch} seed {s}: quick_tune {rows[-1][0]:.2f} s, accuracy {rows[-1][1]:.3f}; fine_tune(3) {rows[-1][2]:.2f} s, accuracy {rows[-1][3]:.3f}')
    decode, forward = min((floor(folder, arch, pretrained) for _ in range(3)), key=sum)
    ours, reference = median(r[0] for r in rows), median(r[2] for r in rows)
    res = dict(arch=arch, ratio=reference/ours, floor_ratio=ours/(decode+forward), score_ours=mean(r[1] for r in rows),
               score_reference=mean(r[3] for r in rows), seconds_ours=ours, seconds_reference=reference,
               floor_seconds=decode+forward, floor_decode=decode, floor_forward=forward, seeds=len(rows))
    print(f"{arch}: {res['ratio']:.1f} times as fast (medians), {res['floor_ratio']:.2f} times the floor of {decode+forward:.2f} s; "
          f"accuracy {res['score_ours']:.3f} against {res['score_reference']:.3f}")
    return res


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data')
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    with redirect_stdout(stderr):
        folder = scan_folder(args.data or photos('crests', 'train'), progress=False)
        print(f'{len(folder)} pictures of {folder.path.name}, {torch.get_num_threads()} threads, {fast_dtype("cpu")}')
        timed(quick_tune, folder, 'efficientnet_lite0', 0, True) # warm up: imports, caches of the system
        res = {arch: compare(folder, arch, range(args.seeds), True)|dict(weights=find_weights(arch).source) for arch in ('efficientnet_lite0', 'squeezenet1_1')}
        res['resnet18'] = compare(folder, 'resnet18', [0], False)
    if args.json: return print(json.dumps(res.pop('efficientnet_lite0')|res))
    for arch,row in res.items(): print(f"{arch}: ratio {row['ratio']:.1f}, floor ratio {row['floor_ratio']:.2f}")


if __name__ == '__main__': main()
