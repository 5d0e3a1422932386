"""Two recipes for crests, each told by its validation and by the stress test, over several seeds.

    python benchmarks/crests.py [--masters FOLDER] [--seeds 5] [--json]

FOLDER holds one PNG with transparency a class. Without it the real crests of ../shared/crests are taken where they are, else the bundled ones.
Training pictures are drawn from them by `engine.predict.corruptions.write_series`: scenes of the nuisance generator, several frames of each.
The usual recipe: a random split, so that frames of one scene lie on both sides, and no augmentation. Ours: a grouped split, and training pictures under
five of the eight changes of the stress test. The other three (background, blur, noise) tell what that is worth beyond its own tricks.
Both train the head of the same body with `quick_tune` and are asked about the same stressed pictures: every crest under eight changes at four levels.
"""
import argparse, json, time
from contextlib import redirect_stdout
from pathlib import Path
from sys import stderr
from tempfile import TemporaryDirectory

import pandas as pd
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, RandomSplitter, Resize, error_rate, parent_label, set_seed
from PIL import Image

from common import interval
from fastclass.engine.packs.packs import pack
from fastclass.engine.datablock.loaders import UprightImage
from fastclass.engine.datablock.split import stable_split
from fastclass.engine.finetune.weights import DEFAULT_ARCH, find_weights, make_learner
from fastclass.engine.predict.corruptions import scene_of, write_series
from fastclass.engine.predict.robustness import RandomCorruptions, holding, stress_table
from fastclass.finetune import quick_tune

SIZE, SEEN = 128, ('tilt', 'shadow', 'recolour', 'crop', 'monochrome') # SEEN: changes that our training makes; it never makes the other three


def learner(files, splitter, seed, tfms=(), **kwargs):
    "A trained learner"
    set_seed(seed)
    block = DataBlock((ImageBlock(cls=UprightImage), CategoryBlock), get_y=parent_label, splitter=splitter, item_tfms=[*tfms, Resize(SIZE, 'squish')])
    learn = make_learner(block.dataloaders(files, bs=32, num_workers=0), metrics=error_rate)
    with learn.no_bar(), learn.no_logging(): quick_tune(learn, **kwargs)
    return learn


def usual(files, seed): return learner(files, RandomSplitter(.2, seed=seed), seed, epochs=24)


def ours(files, seed):
    "Grouped split, stronger augmentation"
    split = stable_split(files, [parent_label(f) for f in files], groups=[scene_of(f) for f in files], seed=seed)
    return learner(files, split, seed, [RandomCorruptions(SEEN)], views=6, epochs=24)


def ask(learn, masters, seed):
    "`(validation error, share of stressed pictures that are right by change, seconds)`"
    with learn.no_bar(): claimed = float(learn.validate()[1])
    table = stress_table(learn, list(masters.values()), list(masters), seed=1000*seed)
    return dict(claimed=claimed, plain=float(table[table.change=='none'].holds.mean()), **{k: float(v) for k, v in holding(table)['all'].items()})


def compare(folder, seeds, scenes=6, frames=4):
    "A table: a row for each seed and recipe"
    masters = {f.stem: Image.open(f).convert('RGBA') for f in sorted(Path(folder).glob('*.png'))}
    rows = []
    for seed in range(seeds):
        with TemporaryDirectory() as tmp:
            files = write_series(folder, tmp, scenes, frames, seed=seed)
            for recipe in (usual, ours):
                start = time.perf_counter()
                rows.append(dict(recipe=recipe.__name__, seed=seed, **ask(recipe(files, seed), masters, seed), seconds=time.perf_counter()-start))
                print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    return pd.DataFrame(rows)


def report(table, kinds):
    "What the table says about the difference"
    table = table.assign(right=table[kinds].mean(axis=1), unlike=table[[k for k in kinds if k not in SEEN]].mean(axis=1))
    wide = {c: table.pivot(index='seed', columns='recipe', values=c) for c in ('right', 'unlike', 'claimed')}
    gain = {c: interval(wide[c].ours-wide[c].usual) for c in ('right', 'unlike')}
    score = wide['right'].mean()
    return dict(ratio=float(score.ours/score.usual), score_ours=float(score.ours), score_reference=float(score.usual), gain=gain['right'][0], gain_low=gain['right'][1],
                gain_high=gain['right'][2], gain_unlike=gain['unlike'][0], gain_unlike_low=gain['unlike'][1], gain_unlike_high=gain['unlike'][2],
                claimed_usual=float(wide['claimed'].usual.mean()), claimed_usual_worst=float(wide['claimed'].usual.max()), claimed_ours=float(wide['claimed'].ours.mean()),
                by_change={k: {r: float(g[k].mean()) for r, g in table.groupby('recipe')} for k in ('plain', *kinds)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--masters')
    parser.add_argument('--seeds', type=int, default=5, choices=range(1, 11))
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    with redirect_stdout(stderr):
        real = Path(__file__).parents[2]/'shared'/'crests'/'2021-22'
        folder = Path(args.masters) if args.masters else real if real.is_dir() else pack('crests')/'masters'
        table = compare(folder, args.seeds)
        res = report(table, [c for c in table.columns if c not in ('recipe', 'seed', 'claimed', 'plain', 'seconds')])
        res |= dict(seeds=args.seeds, weights=find_weights(DEFAULT_ARCH).source, data=folder.name)
        print('Right on stressed pictures: {score_ours:.3f} against {score_reference:.3f}; gain {gain:.3f}, 95% interval {gain_low:.3f} to {gain_high:.3f}; '
              'under changes that the augmentation does not make, gain {gain_unlike:.3f}, {gain_unlike_low:.3f} to {gain_unlike_high:.3f}. '
              'Claimed error of the usual recipe {claimed_usual:.3f} (worst {claimed_usual_worst:.3f}), of ours {claimed_ours:.3f}.'.format(**res))
    print(json.dumps(res) if args.json else f"gain {res['gain']:.3f} ({res['gain_low']:.3f} to {res['gain_high']:.3f})")


if __name__ == '__main__': main()
