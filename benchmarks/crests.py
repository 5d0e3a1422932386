"""Three recipes for crests, each told by its validation and by the stress test, over several seeds.

    python benchmarks/crests.py [--masters FOLDER] [--seeds 5] [--json]

FOLDER holds one PNG with transparency a class. Without it the real crests of ../shared/crests are taken where they are, else the bundled ones.
Training pictures are drawn from them by `engine.predict.corruptions.write_series`: scenes of the nuisance generator, several frames of each.
The usual recipe: a random split, so that frames of one scene lie on both sides, and no augmentation. Ours: a grouped split, and training pictures under
five of the eight changes of the stress test. The other three (background, blur, noise) tell what that is worth beyond its own tricks.
The third is ours with `RandomRedrawing` before these changes.
All train the head of the same body with `quick_tune` and are asked about the same stressed pictures: every crest under eight changes at four levels.
All are asked about redrawn crests too (`redrawn.py`): other colours, flat colours, outlines, line drawings, thicker and thinner strokes. No training picture of the first two had that.
crests.json beside this file is what runs with five seeds printed for the real and for the bundled crests; lesson 5 tells it.
"""
import argparse, json, time
from contextlib import redirect_stdout
from sys import stderr
from tempfile import TemporaryDirectory

import pandas as pd
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, RandomSplitter, Resize, error_rate, parent_label, set_seed

from common import crest_folder, crest_masters, interval
from fastclass.engine.datablock.loaders import UprightImage
from fastclass.engine.datablock.split import stable_split
from fastclass.engine.finetune.weights import DEFAULT_ARCH, find_weights, make_learner
from fastclass.engine.predict.corruptions import scene_of, write_series
from fastclass.engine.predict.robustness import RandomCorruptions, RandomRedrawing, holding, stress_table
from fastclass.engine.predict.predictor import as_predictor
from fastclass.finetune import quick_tune
from redrawn import redrawn_set

SIZE, SEEN = 128, ('tilt', 'shadow', 'recolour', 'crop', 'monochrome') # SEEN: changes that our training makes; it never makes the other three
REDRAWN = 'redrawn' # how the columns about redrawn crests begin
OTHER = ('flat', 'thicker', 'thinner') # ways to redraw that are not like what `RandomRedrawing` does: other colours and lines


def learner(files, splitter, seed, tfms=(), **kwargs):
    "A trained learner"
    set_seed(seed)
    block = DataBlock((ImageBlock(cls=UprightImage), CategoryBlock), get_y=parent_label, splitter=splitter, item_tfms=[*tfms, Resize(SIZE, 'squish')])
    learn = make_learner(block.dataloaders(files, bs=32, num_workers=0), metrics=error_rate)
    with learn.no_bar(), learn.no_logging(): quick_tune(learn, **kwargs)
    return learn


def usual(files, seed): return learner(files, RandomSplitter(.2, seed=seed), seed, epochs=24)


def varied(files, seed, tfms):
    "A learner for a grouped split and stronger augmentation"
    split = stable_split(files, [parent_label(f) for f in files], groups=[scene_of(f) for f in files], seed=seed)
    return learner(files, split, seed, tfms, views=6, epochs=24)


def ours(files, seed): return varied(files, seed, [RandomCorruptions(SEEN)])


def redrawing(files, seed): return varied(files, seed, [RandomRedrawing(), RandomCorruptions(SEEN)])


RECIPES = (usual, ours, redrawing)
PAIRS = (('ours', 'usual'), ('redrawing', 'usual'), ('redrawing', 'ours'))


def ask(learn, masters, seed, drawn):
    "What is right, as shares: the validation error, the plain crests, those under each change, those redrawn each way"
    with learn.no_bar(): claimed = float(learn.validate()[1])
    table = stress_table(learn, list(masters.values()), list(masters), seed=1000*seed)
    stressed = {k: float(v) for k, v in holding(table)['all'].items()}
    names, kinds, pictures = zip(*drawn)
    answers = as_predictor(learn).predict_many(list(pictures))
    right = pd.Series([a.label==name for a, name in zip(answers, names)]).groupby(list(kinds), sort=False).mean()
    return dict(claimed=claimed, plain=float(table[table.change=='none'].holds.mean()), **stressed, **{f'{REDRAWN} {k}': float(v) for k, v in right.items()})


def compare(folder, seeds, scenes=6, frames=4):
    "A table: a row for each seed and recipe"
    masters = crest_masters(folder)
    rows = []
    for seed in range(seeds):
        drawn = list(redrawn_set(masters, seed))
        with TemporaryDirectory() as tmp:
            files = write_series(folder, tmp, scenes, frames, seed=seed)
            for recipe in RECIPES:
                start = time.perf_counter()
                rows.append(dict(recipe=recipe.__name__, seed=seed, **ask(recipe(files, seed), masters, seed, drawn), seconds=time.perf_counter()-start))
                print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    return pd.DataFrame(rows)


def parts(kinds):
    "The columns that each of the four questions takes: all changes, those unlike our training's, all redrawings, those unlike the third recipe's training"
    changes = [k for k in kinds if not k.startswith(REDRAWN)]
    drawn = [k for k in kinds if k not in changes]
    return dict(right=changes, unlike=[k for k in changes if k not in SEEN], redrawn=drawn, redrawn_unlike=[k for k in drawn if k.removeprefix(REDRAWN+' ') in OTHER])


def report(table, kinds):
    "What the table says about the differences; `kinds`: the columns of changes and of redrawings"
    res = dict(by_change={k: {r: float(g[k].mean()) for r, g in table.groupby('recipe')} for k in ('plain', *kinds)}, score={}, gains={})
    for part, columns in parts(kinds).items():
        wide = table.assign(share=table[columns].mean(axis=1)).pivot(index='seed', columns='recipe', values='share')
        res['score'][part] = {r: float(wide[r].mean()) for r in wide}
        res['gains'][part] = {f'{a} over {b}': interval(wide[a]-wide[b]) for a, b in PAIRS if {a, b}<=set(wide)}
    claimed = table.pivot(index='seed', columns='recipe', values='claimed')
    gain, low, high = res['gains']['right']['ours over usual']
    score = res['score']['right']
    return res | dict(gain=gain, gain_low=low, gain_high=high, ratio=score['ours']/score['usual'], claimed_usual=float(claimed.usual.mean()),
                      claimed_usual_worst=float(claimed.usual.max()), claimed_ours=float(claimed.ours.mean()))


def tell(res):
    "The report in words"
    asked = dict(right='stressed pictures', unlike='those under changes that no training makes', redrawn='redrawn crests',
                 redrawn_unlike='those redrawn in ways that no training comes near')
    for part, what in asked.items():
        shares = ', '.join(f'{recipe} {share:.3f}' for recipe, share in res['score'][part].items())
        print(f'Right on {what}: {shares}.')
        for pair, (gain, low, high) in res['gains'][part].items(): print(f'    {pair}: {gain:+.3f}, 95% interval {low:+.3f} to {high:+.3f}')
    print('Claimed error of the usual recipe {claimed_usual:.3f} (worst {claimed_usual_worst:.3f}), of ours {claimed_ours:.3f}.'.format(**res))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--masters')
    parser.add_argument('--seeds', type=int, default=5, choices=range(1, 11))
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    with redirect_stdout(stderr):
        folder = crest_folder(args.masters)
        table = compare(folder, args.seeds)
        res = report(table, [c for c in table.columns if c not in ('recipe', 'seed', 'claimed', 'plain', 'seconds')])
        res |= dict(seeds=args.seeds, weights=find_weights(DEFAULT_ARCH).source, data=folder.name)
        tell(res)
    print(json.dumps(res) if args.json else f"gain {res['gain']:.3f} ({res['gain_low']:.3f} to {res['gain_high']:.3f})")


if __name__ == '__main__': main()
