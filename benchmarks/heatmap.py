"""Our heatmaps against the `grad-cam` package (pip install grad-cam), on the same batch of pictures and the same model, in one process.

    python benchmarks/heatmap.py [--arch efficientnet_lite0] [--pictures 64] [--json]

A learner as `fine_tune` leaves it (all layers open for training) has its pictures decoded before the clock starts; then both make maps of the same
class, at the size of the picture, from 0 to 1. `ratio` is the time of the package by ours, of the medians. Also printed: the largest
and the mean difference of the maps, and our time as a share of a plain pass in float32 plus a backward pass.
`score_ours` is the largest difference to the package's maps, `score_reference` that of the package to itself at half the batch.
"""
import argparse, json, time
from contextlib import redirect_stdout
from statistics import median
from sys import stderr

import numpy as np
import torch
from fastai.vision.all import set_seed
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from common import photos
from fastclass.engine.base.torch_tools import fast_dtype
from fastclass.engine.datablock.loaders import folder_dls
from fastclass.engine.finetune.weights import find_weights, make_learner
from fastclass.engine.interpret.gradcam import mapper, scaled


def timed(function, times):
    "`(median of the seconds, last result)` after one run to warm up"
    function()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        res = function()
        seconds.append(time.perf_counter()-start)
    return median(seconds), res


def ours(model, xb, classes, bs=8):
    "As `heatmaps` does it on a CPU, 8 pictures at a time"
    with mapper(model, xb) as maps_of:
        return torch.cat([scaled(maps_of(x, k)[0], xb.shape[2:]) for x, k in zip(xb.split(bs), classes.split(bs))]).numpy()


def package(model, xb, classes, bs=None):
    with GradCAM(model=model, target_layers=[model[0]]) as cam:
        parts = [cam(input_tensor=x, targets=[ClassifierOutputTarget(int(c)) for c in k]) for x, k in zip(xb.split(bs or len(xb)), classes.split(bs or len(xb)))]
    return np.concatenate(parts)


def plain_and_back(model, xb, classes):
    "One pass and one backward pass, as in training"
    model(xb).gather(1, classes[:, None]).sum().backward()
    model.zero_grad()


def batch(dls, n):
    "`n` validation pictures as the model gets them"
    files = (list(dls.valid_ds.items)+list(dls.train_ds.items))[:n]
    return torch.cat([torch.as_tensor(b[0]).as_subclass(torch.Tensor) for b in dls.test_dl(files, num_workers=0)])


def compare(folder, arch, n, times):
    set_seed(0)
    weights = find_weights(arch)
    dls = folder_dls(folder, size=192, workers=0, device='cpu')
    learn = make_learner(dls, arch)
    learn.unfreeze()
    model, xb = learn.model.eval(), batch(dls, n)
    with torch.no_grad(): classes = model(xb).argmax(1)
    t_ours, a = timed(lambda: ours(model, xb, classes), times)
    t_package, b = timed(lambda: package(model, xb, classes), times)
    t_pass, _ = timed(lambda: plain_and_back(model, xb, classes), times)
    half = package(model, xb, classes, n//2)
    return dict(arch=arch, weights=weights.source, pictures=n, ratio=t_package/t_ours, score_ours=float(np.abs(a-b).max()), score_reference=float(np.abs(half-b).max()),
                mean_difference=float(np.abs(a-b).mean()), of_pass_and_back=t_ours/t_pass, seconds_ours=t_ours, seconds_reference=t_package,
                seconds_pass_and_back=t_pass, dtype=str(fast_dtype('cpu')), threads=torch.get_num_threads())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--arch', default='efficientnet_lite0')
    parser.add_argument('--pictures', type=int, default=64)
    parser.add_argument('--times', type=int, default=3)
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    with redirect_stdout(stderr):
        res = compare(photos('streets', 'photos'), args.arch, args.pictures, args.times)
    print(f"{res['arch']}: {res['ratio']:.1f} times as fast as grad-cam ({res['seconds_ours']:.2f} s against {res['seconds_reference']:.2f} s for {args.pictures} pictures); "
          f"maps differ by {res['score_ours']:.4f} at most; {res['of_pass_and_back']:.2f} of a pass and back.", file=stderr)
    print(json.dumps(res) if args.json else f"ratio {res['ratio']:.1f}")


if __name__ == '__main__': main()
