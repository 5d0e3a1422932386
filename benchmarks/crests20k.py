"""Twenty thousand pictures of twenty crests on a CPU: from a folder to a trained learner, part by part, beside the floor and the standard recipe.

    python benchmarks/crests20k.py [--pictures 20000] [--archs squeezenet1_1 efficientnet_lite0] [--batches 40] [--growth] [--predict] [--json]

The pictures are drawn by `write_series` (200 scenes of each bundled crest, 5 frames of each, 160 pixels). Each run is a process of its own, so that its peak of memory is its own, and counts from the folder:
finding the files, DataLoaders (128 pixels, no augmentation), a learner, `quick_tune`. Two splits: leaky (random: frames of one scene on both sides) and grouped (scenes stay together).
The floor is decoding alone plus the body alone, each with all threads, on a part of the same pictures. The reference is `vision_learner(...).fine_tune(1)` with 64 pictures a batch,
estimated from `--batches` measured batches of each of its two stages. crests20k.json beside this file is what a run with `--growth --json` printed. `--growth` runs 1,000 and 5,000 pictures too; `--predict` compares `predict_files` with `get_preds`.
"""
import argparse, json, random, resource, subprocess, sys, time
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from statistics import median
from sys import stderr
from tempfile import TemporaryDirectory

import numpy as np
import torch
from fastai.vision.all import (CategoryBlock, DataBlock, ImageBlock, RandomSplitter, Resize, error_rate, get_image_files, parent_label,
    set_seed, vision_learner)
from PIL import Image

from fastclass.engine.base.torch_tools import each_core, fast_dtype
from fastclass.engine.datablock.split import stable_split
from fastclass.engine.finetune.features import fast_body, pass_size, split_model
from fastclass.engine.finetune.head import batch_seconds
from fastclass.engine.finetune.weights import arch_name, find_arch, find_weights, load_body, make_learner
from fastclass.engine.packs.packs import pack
from fastclass.engine.predict.corruptions import scene_of, write_series
from fastclass.finetune import quick_tune

SIZE, FRAMES, SAMPLE = 128, 5, 4000


def draw(folder, n):
    "About `n` pictures: as many scenes of each crest as that takes"
    masters = pack('crests')/'masters'
    crests = len(list(masters.glob('*.png')))
    return write_series(masters, folder, scenes=max(2, round(n/crests/FRAMES)), frames=FRAMES)


def loaders(files, split, bs=64, seed=0):
    "The recipe's own DataLoaders"
    splitter = RandomSplitter(.2, seed=seed)
    if split=='grouped': splitter = stable_split(files, [parent_label(f) for f in files], groups=[scene_of(f) for f in files], seed=seed)
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=splitter, item_tfms=Resize(SIZE, 'squish'))
    return block.dataloaders(files, bs=bs, num_workers=0)


def chosen(folder, n):
    "`n` pictures of the folder, whole scenes, the same each time"
    files = sorted(get_image_files(folder))
    random.Random(0).shuffle(scenes := sorted({scene_of(f) for f in files}))
    keep = set(scenes[:max(1, round(n/FRAMES))])
    return [f for f in files if scene_of(f) in keep]


def trained(folder, arch, split, n):
    "From the folder to a trained learner: seconds of each part, the error, the peak of memory"
    start = time.perf_counter()
    set_seed(0)
    files = chosen(folder, n)
    learn = make_learner(loaders(files, split), arch, metrics=error_rate)
    ready = time.perf_counter()-start
    with learn.no_bar(), learn.no_logging(): did = quick_tune(learn)
    seconds = time.perf_counter()-start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024
    error = float(learn.recorder.values[-1][-1])
    return learn, dict(pictures=len(files), seconds=seconds, seconds_start=ready, seconds_body=did.seconds_body, seconds_head=did.seconds_head,
                       epochs=did.epochs, error=error, peak_mb=peak, weights=learn.weights.source)


def each(work, parts):
    "Seconds that all cores together take for `parts`, and what came of them"
    start = time.perf_counter()
    done = list(each_core(work, parts))
    return time.perf_counter()-start, done


def pixels(file): return np.asarray(Image.open(file).convert('RGB').resize((SIZE, SIZE), Image.BILINEAR))


def floor(learn, folder):
    "Pictures a second of reading, decoding and the body, each alone with all threads"
    files = chosen(folder, SAMPLE)
    body,_ = split_model(learn.model)
    read,_ = each(Path.read_bytes, files)
    decode,arrays = each(pixels, files)
    size = pass_size(learn.dls.valid)
    parts = [arrays[i:i+size] for i in range(0, len(arrays), size)]
    def forward(part): return run(torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2).float()/255)
    with fast_body(body, torch.device('cpu')) as run:
        forward(parts[0])
        passing,_ = each(forward, parts)
    return dict(read=len(files)/read, decode=len(files)/decode, body=len(files)/passing)


def reference(folder, arch, n, batches):
    "Seconds of `fine_tune(1)`, estimated from some batches of the head's epoch and of the whole network's; validation counts as a third"
    dls = loaders(chosen(folder, n), 'leaky')
    learn = vision_learner(dls, find_arch(arch), pretrained=False, metrics=error_rate)
    found = find_weights(arch, download=False)
    if found.by_us: load_body(learn.model[0], found) # what they are makes no difference to the time
    seconds = 0
    for stage in (learn.freeze, learn.unfreeze):
        stage()
        seconds += median(batch_seconds(learn, batches))*(len(dls.train)+len(dls.valid)/3)
    return seconds


def predicted(learn, folder, n):
    "`predict_files` against `get_preds` on the same pictures: pictures a second of each, the largest difference, the peak of memory"
    from fastclass.predict import predict_files
    files = chosen(folder, n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024
    start = time.perf_counter()
    ours = predict_files(learn, files)
    seconds = time.perf_counter()-start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024
    start = time.perf_counter()
    with learn.no_bar(): probs,_ = learn.get_preds(dl=learn.dls.test_dl(files))
    slow = time.perf_counter()-start
    columns = [f'p_{o}' for o in learn.dls.vocab]
    apart = float(np.abs(ours[columns].to_numpy()-probs.numpy()).max())
    return dict(pictures=len(files), ours=len(files)/seconds, get_preds=len(files)/slow, ratio=slow/seconds, largest_difference=apart, grew_mb=peak-before)


def job(how):
    "One run, in this process"
    folder = Path(how['folder'])
    with redirect_stdout(stderr):
        if how['kind']=='reference': return dict(seconds=reference(folder, how['arch'], how['n'], how['batches']))
        learn,res = trained(folder, how['arch'], how['split'], how['n'])
        if how.get('floor'): res['rates'] = floor(learn, folder)
        if how.get('predict'): res['predict'] = predicted(learn, folder, how['n'])
        return res


def apart(**how):
    "`job` in a process of its own"
    run = subprocess.run([sys.executable, '-W', 'ignore', __file__, '--job', json.dumps(how)], stdout=subprocess.PIPE, text=True, check=True)
    res = json.loads(run.stdout.splitlines()[-1])
    print(how['kind'], how['arch'], how.get('split', ''), how['n'], res, file=stderr, flush=True)
    return res


def compare(folder, arch, args):
    "Both splits, the floor and the reference for one architecture"
    one = partial(apart, folder=str(folder), arch=arch)
    leaky = one(kind='train', split='leaky', n=args.pictures, floor=True, predict=args.predict)
    grouped = one(kind='train', split='grouped', n=args.pictures)
    slow = one(kind='reference', n=args.pictures, batches=args.batches)['seconds']
    rates,n = leaky['rates'],leaky['pictures']
    least = n/rates['decode']+n/rates['body']
    res = dict(arch=arch_name(arch), pictures=n, seconds=leaky['seconds'], peak_mb=leaky['peak_mb'], error_leaky=leaky['error'], error_grouped=grouped['error'],
               floor_seconds=least, floor_ratio=leaky['seconds']/least, seconds_reference=slow, reference='estimated', ratio=slow/leaky['seconds'],
               parts={k: leaky[f'seconds_{k}'] for k in ('start', 'body', 'head')}, pictures_a_second=rates | dict(head=n*leaky['epochs']/leaky['seconds_head']),
               weights=leaky['weights'])
    if args.growth: res['growth'] = [one(kind='train', split='leaky', n=m) for m in (1000, 5000)]+[leaky]
    if args.predict: res['predict'] = leaky['predict']
    return res


def machine():
    "What the figures were measured on"
    return dict(threads=torch.get_num_threads(), dtype=str(fast_dtype('cpu')).split('.')[1], torch=torch.__version__.partition('+')[0],
                date=time.strftime('%Y-%m-%d'))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--pictures', type=int, default=20_000)
    parser.add_argument('--archs', nargs='+', default=['squeezenet1_1', 'efficientnet_lite0'])
    parser.add_argument('--batches', type=int, default=40, help='of each stage of the reference')
    parser.add_argument('--growth', action='store_true')
    parser.add_argument('--predict', action='store_true')
    parser.add_argument('--json', action='store_true')
    parser.add_argument('--job', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job: return print(json.dumps(job(json.loads(args.job))))
    with redirect_stdout(stderr), TemporaryDirectory() as tmp:
        start = time.perf_counter()
        files = draw(tmp, args.pictures)
        print(f'{len(files):,} pictures drawn in {time.perf_counter()-start:.0f} s; {torch.get_num_threads()} threads, {fast_dtype("cpu")}', flush=True)
        rows = [compare(Path(tmp), arch, args) for arch in args.archs]
    for o in rows:
        print(f"{o['arch']}: {o['seconds']:.0f} s for {o['pictures']:,} pictures, {o['floor_ratio']:.2f} times the floor, {o['ratio']:.0f} times as fast as the recipe (estimated: "
              f"{o['seconds_reference']:.0f} s); error {o['error_leaky']:.4f} leaky, {o['error_grouped']:.4f} grouped; peak {o['peak_mb']:.0f} MB", file=stderr)
    if args.json: print(json.dumps(dict(rows[-1], others=rows[:-1], machine=machine()), indent=1))


if __name__ == '__main__': main()
