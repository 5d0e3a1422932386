"""`quick_segment` against fastai's U-net, and against itself without what finds thin things, on the same pictures, split and body, in one process.

    python benchmarks/segment.py [--seeds 3] [--full] [--json] [--thin [--data streets480]]

It takes CAMVID_TINY where `untar_data` has it (set FASTAI_HOME to a copy of ../shared/fastai_home), else the bundled streets, and says which.
The reference is `unet_learner(dls, squeezenet1_1).fine_tune(8)` with void left out of its loss, as ours has it. That takes over ten minutes on two cores.
So without --full a few of its batches are timed in both of its stages and counted up to the whole (one frozen epoch, eight more), and its accuracy is the
one that was measured once with --full on CAMVID_TINY (`MEASURED`), or null. With --full it is trained for each seed.

--thin leaves the U-net out and compares `quick_segment` with what it was before: cross-entropy alone, one name for each four by four pixels, and four fifths of the steps. It does so on the
same data, and on the street pictures of 480 x 360 in ../shared where they are in reach. Time is that of the processor, so that a busy machine counts less.
"""
import argparse, json, time
from contextlib import redirect_stdout
from statistics import mean, median
from sys import stderr

import pandas as pd
import torch
from fastai.vision.all import CrossEntropyLossFlat, Normalize, SegmentationDataLoaders, URLs, get_image_files, imagenet_stats, set_seed, unet_learner
from torchvision.models import squeezenet1_1

from fastclass.engine.collect.datasets import real_or_pack
from fastclass.engine.finetune.head import batch_seconds
from fastclass.engine.finetune.weights import find_weights
from fastclass.engine.packs.packs import pack
from fastclass.engine.segment.masks import MaskOf, PixelAccuracy, read_codes, void_code
from fastclass.segment import MaskLoss, quick_segment, score_masks, segment_dls, segment_learner

from common import SHARED, interval

MEASURED = .816 # Pixel accuracy of the reference on CAMVID_TINY with ImageNet weights, void left out: seed 0, 78 minutes on one thread (2026-11-22)


def stock_dls(path, codes, seed):
    "The reference's own DataLoaders, on the same split"
    set_seed(seed)
    files = sorted(get_image_files(path/'images'))
    return SegmentationDataLoaders.from_label_func(path, files, MaskOf(path/'labels'), codes=codes, bs=8, valid_pct=.2, seed=seed, num_workers=0,
                                                   batch_tfms=Normalize.from_stats(*imagenet_stats), device=torch.device('cpu'))


def reference(path, codes, seed, pretrained):
    "A fresh U-net"
    void = void_code(codes)
    return unet_learner(stock_dls(path, codes, seed), squeezenet1_1, pretrained=pretrained, loss_func=CrossEntropyLossFlat(axis=1, ignore_index=void), metrics=PixelAccuracy(void))


def counted_up(learn, n=2):
    "Seconds of one frozen epoch and eight more, from `n` batches of each; the optimizer and the validation, which come on top, are left out"
    def epoch(): return median(batch_seconds(learn, n))*len(learn.dls.train)
    learn.freeze()
    frozen = epoch()
    learn.unfreeze()
    return frozen+8*epoch()


def ours(path, codes, seed):
    "`(seconds, accuracy, interval)` of a fresh learner after `quick_segment`; the check of the masks and the making of the learner are not counted on either side"
    files = sorted(get_image_files(path/'images'))
    set_seed(seed)
    learn = segment_learner(segment_dls(files, MaskOf(path/'labels'), codes, seed=seed, workers=0, device='cpu'))
    with learn.no_bar(), learn.no_logging():
        start = time.perf_counter()
        quick_segment(learn)
        seconds = time.perf_counter()-start
    scores = score_masks(learn)
    return seconds, scores.accuracy, scores.interval


def data_sets():
    "Name to the folder, the ending of its masks, for each data set of `--thin`"
    found = real_or_pack(URLs.CAMVID_TINY, 'streets')
    sets = {'camvid_tiny': (found.path, '_P.png')} if found.real else {}
    sets['streets'] = pack('streets')/'seg', '_P.png'
    wide = SHARED/'streets480'
    if wide.is_dir(): sets['streets480'] = wide, '.png'
    return sets


def one_run(path, ending, seed, before):
    "Scores and processor seconds of `quick_segment`, as it is or as it was before"
    codes,files = read_codes(path/'codes.txt'), sorted(get_image_files(path/'images'))
    void = void_code(codes)
    dls = segment_dls(files, MaskOf(path/'labels', ending), codes, seed=seed, workers=0, device='cpu')
    set_seed(seed)
    learn = segment_learner(dls, **(dict(fine=1, loss_func=MaskLoss(void, dice=0, even=0)) if before else {}))
    with learn.no_bar(), learn.no_logging():
        start = time.process_time()
        quick_segment(learn, epochs=_epochs_before(learn) if before else None)
        seconds = time.process_time()-start
    scores = score_masks(learn)
    said = {c: round(float(o), 3) for c,o in scores.classes.iou.dropna().items()}
    print(path.name, seed, 'before' if before else 'after', scores, f'{seconds:.1f} s', said, flush=True)
    return scores, seconds


def _epochs_before(learn):
    "How many epochs `quick_segment` took before"
    return int(min(30, max(4, round(120/max(1, len(learn.dls.train_ds)//8)))))


def thin(name, path, ending, seeds):
    "Both sides over the seeds: mean and 95% interval of the scores and of their differences, IoU of each class, ratio of time"
    runs = [[one_run(path, ending, s, before) for before in (True, False)] for s in range(seeds)]
    res = {}
    for what in ('mean_iou', 'accuracy'):
        values = [[getattr(scores, what) for scores,_ in pair] for pair in runs]
        before,after = zip(*values)
        res[what] = dict(before=interval(before), after=interval(after), gain=interval(b-a for a,b in values))
    classes = [pd.DataFrame([scores.classes.iou for scores,_ in side]) for side in zip(*runs)]
    share = pd.DataFrame([scores.classes.pixels/scores.classes.pixels.sum() for _,(scores,_) in runs]).mean()
    res['classes'] = {c: dict(share=share[c], before=classes[0][c].mean(), after=classes[1][c].mean(), least=classes[1][c].min()) for c in share.sort_values(ascending=False).index if share[c]}
    res['time'] = interval(after[1]/before[1] for before,after in runs)
    said = ', '.join(f"{c} {o['before']:.2f} -> {o['after']:.2f}" for c,o in res['classes'].items())
    print(f"{name}: mean IoU {res['mean_iou']}, accuracy {res['accuracy']}, time x {res['time']}; {said}")
    return res


def full(path, codes, seed, pretrained):
    "`(seconds, accuracy)` of the reference, trained to its end"
    set_seed(seed)
    learn = reference(path, codes, seed, pretrained)
    with learn.no_bar(), learn.no_logging():
        start = time.perf_counter()
        learn.fine_tune(8)
        seconds = time.perf_counter()-start
    return seconds, score_masks(learn).accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--thin', action='store_true', help='compare with what it was before it found thin things')
    parser.add_argument('--data', nargs='*', help='with --thin: the data sets to take; all without it')
    parser.add_argument('--full', action='store_true', help='train the reference to its end for each seed')
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    if args.thin:
        with redirect_stdout(stderr): res = {k: thin(k, *v, args.seeds) for k,v in data_sets().items() if not args.data or k in args.data}
        print(json.dumps(res) if args.json else '\n'.join(f"{k}: mean IoU {o['mean_iou']['before'][0]:.3f} -> {o['mean_iou']['after'][0]:.3f}" for k,o in res.items()))
        return
    with redirect_stdout(stderr):
        found = real_or_pack(URLs.CAMVID_TINY, 'streets')
        path,weights = found.path if found.real else found.path/'seg', find_weights('squeezenet1_1')
        codes,pretrained = read_codes(path/'codes.txt'), weights.from_photos
        print(found, weights, f'{torch.get_num_threads()} threads')
        rows = [ours(path, codes, s) for s in range(args.seeds)]
        for s,(seconds,accuracy,(low,high)) in enumerate(rows): print(f'quick_segment seed {s}: {seconds:.1f} s, {accuracy:.4f} ({low:.3f} to {high:.3f})')
        if args.full: theirs = [full(path, codes, s, pretrained) for s in range(args.seeds)]
        else: theirs = [(counted_up(reference(path, codes, 0, pretrained)), MEASURED if found.real and pretrained else None)]
        for o in theirs: print(f'U-net, fine_tune(8): {o[0]:.0f} s{"" if args.full else " counted up"}, accuracy {o[1]}')
    seconds,slow = median(r[0] for r in rows), median(o[0] for o in theirs)
    res = dict(ratio=slow/seconds, score_ours=mean(r[1] for r in rows), score_reference=None if theirs[0][1] is None else mean(o[1] for o in theirs),
               seconds_ours=seconds, seconds_reference=slow, seeds=args.seeds, reference='full' if args.full else 'counted up', real=found.real, weights=weights.source)
    print(json.dumps(res) if args.json else f"ratio {res['ratio']:.1f}: {seconds:.1f} s against {slow:.0f} s; accuracy {res['score_ours']:.3f} against {res['score_reference']}")


if __name__ == '__main__': main()
