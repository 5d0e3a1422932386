"What the claims of lesson 2 measure, for a seed"
import tempfile
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, RandomSplitter, Resize, get_image_files, parent_label, plt, set_seed
from PIL import Image

from fastclass.datablock import near_groups, stable_split
from fastclass.engine.packs.packs import pack
from fastclass.finetune import make_learner, quick_tune

BLOCKS = (ImageBlock, CategoryBlock)


def lakes(seed, each=12): return get_image_files(pack('lakes', seed=seed, each=each)).sorted()


def classes_elsewhere(seed):
    "Classes that are not where their folder is in a list of folders, drawn by chance"
    files = lakes(seed)
    names = np.random.default_rng(seed).permutation(sorted({file.parent.name for file in files}))
    ordered = [file for name in names for file in files if file.parent.name==name]
    vocab = DataBlock(BLOCKS, get_y=parent_label).datasets(ordered).vocab
    return sum(a!=b for a,b in zip(names, vocab))


def shown_of_a_batch(seed):
    "Share of a batch that `show_batch` draws, for batches of several sizes"
    matplotlib.use('agg')
    bs = 12+8*seed
    dls = DataBlock(BLOCKS, get_y=parent_label, splitter=RandomSplitter(.1, seed=seed), item_tfms=Resize(32)).dataloaders(lakes(seed), bs=bs, num_workers=0)
    dls.show_batch()
    shown = len(plt.gcf().axes)
    plt.close('all')
    return shown/bs


def same_after_new_names(seed, split):
    "Share of the validation pictures that are the same when files come in another order; `split` gives them"
    files = list(lakes(seed))
    with tempfile.TemporaryDirectory() as folder:
        again = []
        for number,at in enumerate(np.random.default_rng(seed).permutation(len(files))):
            again.append(Path(folder)/files[at].parent.name/f'{number:03}.jpg')
            again[-1].parent.mkdir(exist_ok=True)
            again[-1].write_bytes(files[at].read_bytes())
        before,after = ({file.read_bytes() for file in split(some, seed)} for some in (files, again))
    return len(before & after)/len(before)


def by_chance(files, seed): return [files[at] for at in RandomSplitter(.2, seed=42+seed)(files)[1]]
def by_content(files, seed): return stable_split(files, [file.parent.name for file in files], seed=seed).of('valid')


def bursts(seed, folder):
    "Four crops of each of 60 lakes, in class folders"
    rng = np.random.default_rng(seed)
    for file in lakes(100+seed):
        picture = Image.open(file)
        width,height = picture.size
        (folder/file.parent.name).mkdir(exist_ok=True)
        for number in range(4):
            left,top,light = rng.uniform([0, 0, .93], [.05, .05, 1.07])
            crop = picture.crop((int(left*width), int(top*height), int((left+.95)*width), int((top+.95)*height)))
            Image.eval(crop, lambda value: min(255, int(value*light))).save(folder/file.parent.name/f'{file.stem}_{number}.jpg', quality=88)
    return get_image_files(folder).sorted()


def outcome(files, splitter, seed):
    "Accuracy on validation pictures, on new ones, and on new ones that were padded"
    set_seed(seed)
    block = DataBlock(BLOCKS, get_y=parent_label, splitter=splitter, item_tfms=Resize(96, method='squish'))
    learn = make_learner(block.dataloaders(files, bs=32, num_workers=0), 'squeezenet1_1')
    padded = block.new(item_tfms=Resize(96, method='pad', pad_mode='zeros')).dataloaders(files, bs=32, num_workers=0)
    new = lakes(200+seed, each=20)
    with learn.no_bar(), learn.no_logging():
        quick_tune(learn, views=1)
        return [learn.validate(dl=dl)[1] for dl in (learn.dls.valid, learn.dls.test_dl(new, with_labels=True), padded.test_dl(new, with_labels=True))]


@lru_cache
def outcomes(seed):
    "Of a split by chance, and of one that keeps look-alikes together"
    with tempfile.TemporaryDirectory() as folder:
        files = bursts(seed, Path(folder))
        kinds = [file.parent.name for file in files]
        grouped = stable_split(files, kinds, groups=near_groups(files), seed=seed)
        return [outcome(files, splitter, seed) for splitter in (RandomSplitter(.2, seed=seed), grouped)]


def pretended(seed):
    (valid,new,_),(valid_grouped,new_grouped,_) = outcomes(seed)
    return (valid-new)-(valid_grouped-new_grouped)


def squished_less_padded(seed):
    _,new,padded = outcomes(seed)[1]
    return new-padded


MEASURES = {'2.a': classes_elsewhere, '2.b': shown_of_a_batch, '2.c': lambda seed: same_after_new_names(seed, by_chance), '2.d': lambda seed: same_after_new_names(seed, by_content),
            '2.e': pretended, '2.f': squished_less_padded}
