"What the claims of lesson 5 measure, for a seed"
import atexit, shutil, tempfile
from functools import lru_cache
from pathlib import Path

import pandas as pd
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, RandomSplitter, Resize, error_rate, parent_label, set_seed
from PIL import Image

from fastclass.datablock import stable_split
from fastclass.engine.packs.packs import pack
from fastclass.finetune import make_learner, quick_tune
from fastclass.predict import RandomCorruptions, holding, predict_files, scene_of, stress_table, write_series

SEEN = ['tilt', 'shadow', 'recolour', 'crop', 'monochrome']


@lru_cache(maxsize=1)
def frames():
    "Five scenes of each crest, three frames each"
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_series(pack('crests')/'masters', folder/'series', scenes=5, frames=3)


@lru_cache(maxsize=1)
def crests():
    "Each crest as it was drawn, and its name"
    masters = sorted((pack('crests')/'masters').glob('*.png'))
    return [Image.open(file).convert('RGBA') for file in masters], [file.stem for file in masters]


def random_split(seed): return RandomSplitter(.2, seed=seed)


def grouped(seed):
    files = frames()
    return stable_split(files, [parent_label(file) for file in files], valid=.2, groups=[scene_of(file) for file in files], seed=seed)


@lru_cache(maxsize=4)
def trained(seed, by_scene=False, varied=False, epochs=15):
    "The split, the first weights and the augmentation are those of the seed"
    set_seed(seed)
    changes = [RandomCorruptions(SEEN)] if varied else []
    splitter = grouped(seed) if by_scene else random_split(seed)
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=splitter, item_tfms=[*changes, Resize(128, 'squish')])
    learn = make_learner(block.dataloaders(frames(), bs=32, num_workers=0), metrics=error_rate)
    with learn.no_bar(), learn.no_logging(): quick_tune(learn, epochs, views=3 if varied else 1)
    return learn


def error_of(learn):
    with learn.no_bar(): return float(learn.validate()[1])


def hard_right(learn):
    "Is each hard picture of the pack named right?"
    hard = sorted((pack('crests')/'hard').rglob('*.jpg'))
    return predict_files(learn, hard, progress=False).prediction==[file.parent.name for file in hard]


def unseen(seed):
    learn = trained(seed)
    return (1-hard_right(learn).mean())-error_of(learn)


def siblings(seed):
    "Share of the validation pictures with a sibling in the training set"
    train,valid = random_split(seed)(frames())
    inside = {scene_of(frames()[at]) for at in train}
    return sum(scene_of(frames()[at]) in inside for at in valid)/len(valid)


def under_groups(seed): return error_of(trained(seed, by_scene=True))-error_of(trained(seed))


def held(learn):
    "Share of the answers that hold under stress, for every second crest"
    pictures,names = crests()
    return holding(stress_table(learn, pictures[::2], names[::2], levels=[.75]))['all'].mean()


def more_epochs(seed): return held(trained(seed, epochs=45))-held(trained(seed, epochs=5))


def surest(seed):
    "What the surer half of the answers under stress is right more often"
    pictures,names = crests()
    under = stress_table(trained(seed, by_scene=True, varied=True), pictures, names, levels=[.75])
    half = under.nlargest(len(under)//2, 'probability')
    return half.holds.mean()-under.holds.mean()


def odd_picture(seed):
    "Models that get one hard picture right, on the others, less any model on the others"
    answers = pd.DataFrame({at: hard_right(trained(3*seed+at)) for at in range(3)})
    rest = (answers.sum()-answers.astype(int))/(len(answers)-1)
    disputed = answers[answers.any(axis=1) & ~answers.all(axis=1)].index
    chosen = pd.Series([rest.loc[at][answers.loc[at]].mean() for at in disputed], dtype=float)
    return 0. if chosen.empty else chosen.mean()-rest.loc[disputed].to_numpy().mean()


MEASURES = {'5.a': unseen, '5.b': siblings, '5.c': under_groups, '5.d': more_epochs, '5.e': surest, '5.f': odd_picture}
