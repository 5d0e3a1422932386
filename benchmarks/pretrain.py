"""What the bundled weights are worth: `quick_tune` on an untrained SqueezeNet body, on the one that comes with fastclass, and on ImageNet's.

    python benchmarks/pretrain.py [--data FOLDER ...] [--seeds 5] [--weights FILE] [--packs] [--record] [--json]

Without --data it takes ../shared/photos/bears and pets where they are. ImageNet's weights are taken from torch's cache (TORCH_HOME) and left out where
they are not there. --weights tries another file than the bundled one. --packs adds the bundled packs, each also against training from scratch
(a shallow network on small pictures) in the time that `quick_tune` took, and segmentation (CAMVID_TINY where `untar_data` has it, else the streets).
Always printed: the part of the photos that was held back while the weights were made (by their bytes, three in ten), the share of the way from untrained
to ImageNet, and the size and forward pass beside resnet18. --record writes all of it into the receipt beside the weights, from which lesson 10 tells it.
"""
import argparse, hashlib, json, time
from contextlib import redirect_stdout
from pathlib import Path
from statistics import mean
from sys import stderr

import torch
from fastai.vision.all import URLs, create_body, model_meta, set_seed
from torchvision.models import resnet18, squeezenet1_1

from common import SHARED, interval
from fastclass.engine.base.files import write_atomic
from fastclass.engine.packs.packs import pack
from fastclass.engine.collect.datasets import real_or_pack
from fastclass.engine.datablock.folder import scan_folder
from fastclass.engine.datablock.loaders import folder_dls
from fastclass.engine.finetune.features import fast_body
from fastclass.engine.finetune.packaged import PACKAGED
from fastclass.engine.finetune.weights import BUNDLED_FOLDER, find_weights, load_tensors, make_learner
from fastclass.engine.segment.masks import MaskOf, read_codes
from fastclass.segment import quick_segment, score_masks, segment_dls, segment_learner
from fastclass.pretrain import BODIES, compare_bodies
from fastclass.quickstart import _train
from finetune import SIZE, dls_of, make_dls

PACKS = {'crests': 'train', 'lakes': '', 'streets': 'photos'} # bundled packs of pictures, and where in them the folders of the classes lie


def told(rows):
    "Each kind with its mean and interval, as text"
    return ', '.join('{} {:.3f} ({:.3f} to {:.3f})'.format(k, *interval(v)) for k,v in rows.items())


def held_back(file):
    "Was this photo kept out of all choices while the weights were made? By its bytes, three in ten"
    return int(hashlib.blake2b(Path(file).read_bytes(), digest_size=4).hexdigest(), 16)%10<3


def scratch(folder, seed, seconds):
    "Accuracy of the best way from scratch that was found for small sets (a shallow network, small pictures and batches), in about `seconds`"
    dls = folder_dls(folder, size=80, bs=16, seed=seed)
    set_seed(seed, reproducible=True)
    learn = make_learner(dls, 'alexnet', download=False, ps=.25)
    with learn.no_bar(), learn.no_logging():
        _train(learn, None, seconds, seed)
        return float(learn.validate()[1])


def bodies(file): return dict(random='random', bundled=str(file), imagenet='imagenet')


def of_kinds(table, kinds, file): return {k: table[table.body==bodies(file)[k]].accuracy.tolist() for k in kinds}


def compare(folder, kinds, seeds, file, also_scratch):
    "Accuracies of each kind over the seeds, the same splits for all"
    table = compare_bodies(lambda s: make_dls(folder, s), [bodies(file)[k] for k in kinds], seeds)
    rows = of_kinds(table, kinds, file)
    if also_scratch: rows['scratch'] = [scratch(folder, s, table[table.seed==s].seconds.mean()) for s in range(seeds)]
    print(f'{folder.path.name}, {len(folder)} pictures: ' + told(rows))
    return rows


def segmented(kind, seed, file):
    "Pixel accuracy of `quick_segment` with void left out"
    found = real_or_pack(URLs.CAMVID_TINY, 'streets')
    path = found.path if found.real else found.path/'seg'
    files = sorted((path/'images').iterdir())
    dls = segment_dls(files, MaskOf(path/'labels'), read_codes(path/'codes.txt'), seed=seed, workers=0, device='cpu')
    set_seed(seed, reproducible=True)
    learn = segment_learner(dls, kind if kind in PACKAGED else squeezenet1_1, download=False) # with ImageNet's weights where they are in the cache
    if kind in ('random', 'bundled'): learn.model[0].body.load_state_dict(squeezenet1_1(weights=None).features.state_dict())
    if kind=='bundled': load_tensors(learn.model[0].body, file)
    with learn.no_bar(), learn.no_logging(): quick_segment(learn)
    return score_masks(learn).accuracy


def passes(n=5):
    "Milliseconds of a forward pass of 16 pictures of 192 pixels, and millions of numbers, of both bodies"
    res = {}
    for arch in (squeezenet1_1, resnet18):
        body = create_body(arch(weights=None), pretrained=False, cut=model_meta[arch]['cut'])
        with fast_body(body, torch.device('cpu')) as run:
            times = []
            for _ in range(n):
                start = time.perf_counter()
                run(torch.zeros(16, 3, SIZE, SIZE))
                times.append(time.perf_counter()-start)
        res[arch.__name__] = dict(milliseconds=1000*min(times), parameters=sum(p.numel() for p in body.parameters())/1e6)
    return res


def way(rows):
    "Share of the way from untrained to ImageNet, from means; None without ImageNet"
    r,b,i = (mean(rows[k]) if k in rows else None for k in BODIES[:3])
    return None if i is None or i<=r else (b-r)/(i-r)


def record(receipt, measured):
    "Put what was measured into the receipt of the weights"
    write_atomic(receipt, json.dumps({**json.loads(receipt.read_text()), 'measured': measured}, indent=1).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', nargs='*', default=[str(p) for p in (SHARED/'photos'/'bears', SHARED/'photos'/'pets') if p.is_dir()])
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--weights', default=str(BUNDLED_FOLDER/'squeezenet1_1.safetensors'))
    parser.add_argument('--packs', action='store_true')
    parser.add_argument('--record', action='store_true')
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    with redirect_stdout(stderr):
        found = find_weights('squeezenet1_1', download=False)
        kinds = [k for k in BODIES if k!='imagenet' or found.source=='cache']
        sets = {Path(d).name: scan_folder(d, progress=False) for d in args.data}
        rows = {n: compare(f, kinds, args.seeds, args.weights, False) for n,f in sets.items()}
        both = {k: [mean(o) for o in zip(*(r[k] for r in rows.values()))] for k in kinds} if rows else {}
        held = {n: of_kinds(compare_bodies(lambda s: dls_of(f, [held_back(o) for o in f.files]), [bodies(args.weights)[k] for k in kinds], args.seeds), kinds, args.weights) for n,f in sets.items()}
        for n,r in held.items(): print(f'{n}, the part that was held back: ' + told(r))
        packs = {n: compare(scan_folder(pack(n)/part, progress=False), kinds, args.seeds, args.weights, True) for n,part in PACKS.items()} if args.packs else {}
        masks = {k: [segmented(k, s, args.weights) for s in range(args.seeds)] for k in kinds} if args.packs else {}
        if masks: print('segmentation: ' + told(masks))
        cost = passes()
    means = {k: mean(v) for k,v in both.items()}
    res = dict(**{k: means.get(k) for k in BODIES}, share=way(both) if both else None, seeds=args.seeds,
               sets={n: {k: interval(v) for k,v in r.items()} for n,r in {**rows, **packs}.items()}, held={n: {k: interval(v) for k,v in r.items()} for n,r in held.items()},
               segmentation={k: interval(v) for k,v in masks.items()}, cost=cost, bytes=Path(args.weights).stat().st_size)
    if args.record: record(Path(args.weights).with_suffix('.json'), dict(res, date=time.strftime('%Y-%m-%d')))
    if args.json: return print(json.dumps(res))
    print(told(both) or 'no photos: name some with --data', f"; share of the way {res['share']:.0%}" if res['share'] is not None else '')
    print(f"{res['bytes']/1e6:.2f} MB; " + ', '.join(f"{n}: {o['milliseconds']:.0f} ms for 16 pictures of {SIZE} pixels, {o['parameters']:.2f} million numbers" for n,o in cost.items()))


if __name__ == '__main__': main()
