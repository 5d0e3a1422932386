"""An ordinary `fine_tune` inside `speed_up` against the same `fine_tune` without, on the same pictures, split, seed and architecture, in one process.

    python benchmarks/tuned.py [--data FOLDER] [--arch efficientnet_lite0] [--epochs 3] [--seeds 3] [--json]

Without --data it takes ../shared/photos/bears where that is, else the bundled pack. Both sides decode in this process. What `speed_up` can gain
depends on the processor: with bfloat16 instructions (AVX-512 BF16, AMX) most, without them the layout, the memory and the kept pictures remain.
"""
import argparse, json, time
from contextlib import nullcontext, redirect_stdout
from statistics import mean, median
from sys import stderr

import torch
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, IndexSplitter, Resize, accuracy, set_seed

from common import photos
from fastclass.engine.base.torch_tools import fast_dtype
from fastclass.engine.datablock.folder import scan_folder, split_folder
from fastclass.engine.datablock.loaders import ClassOf
from fastclass.engine.finetune.speed import speed_up
from fastclass.engine.finetune.weights import find_weights, make_learner

SIZE = 192


def learner(folder, arch, seed, pretrained):
    "A fresh learner as the usual recipe makes it: squished pictures, no augmentation"
    set_seed(seed)
    valid = split_folder(folder, seed=seed)
    block = DataBlock((ImageBlock, CategoryBlock), get_y=ClassOf(folder.files, folder.labels), item_tfms=Resize(SIZE, method='squish'),
                      splitter=IndexSplitter([i for i, v in enumerate(valid) if v]))
    return make_learner(block.dataloaders(folder.files, bs=32, num_workers=0), arch, pretrained=pretrained, metrics=accuracy)


def timed(folder, arch, seed, pretrained, epochs, faster):
    "`(seconds, accuracy)`; the time that `speed_up` takes to begin and to end counts"
    learn = learner(folder, arch, seed, pretrained)
    with learn.no_bar(), learn.no_logging():
        start = time.perf_counter()
        with speed_up(learn) if faster else nullcontext('plain') as how: learn.fine_tune(epochs)
        seconds = time.perf_counter()-start
        score = float(learn.validate()[1])
    print(f'seed {seed}: {seconds:.1f} s, accuracy {score:.3f}. {how}')
    return seconds, score


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data')
    parser.add_argument('--arch', default='efficientnet_lite0')
    parser.add_argument('--epochs', type=int, default=3)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    with redirect_stdout(stderr):
        folder, weights = scan_folder(args.data or photos('crests', 'train'), progress=False), find_weights(args.arch)
        run = lambda seed, faster: timed(folder, args.arch, seed, weights.from_photos, args.epochs, faster)
        print(f'{len(folder)} pictures of {folder.path.name}, {weights} {torch.get_num_threads()} threads, {fast_dtype("cpu")}')
        rows = [(*run(s, True), *run(s, False)) for s in range(args.seeds)]
    ours, reference = median(r[0] for r in rows), median(r[2] for r in rows)
    res = dict(arch=args.arch, ratio=reference/ours, score_ours=mean(r[1] for r in rows), score_reference=mean(r[3] for r in rows), seconds_ours=ours,
               seconds_reference=reference, seeds=args.seeds, epochs=args.epochs, dtype=str(fast_dtype("cpu")).split('.')[1], weights=weights.source)
    print(json.dumps(res) if args.json else f"{res['ratio']:.2f} times as fast ({res['dtype']}); accuracy {res['score_ours']:.3f} against {res['score_reference']:.3f}")


if __name__ == '__main__': main()
