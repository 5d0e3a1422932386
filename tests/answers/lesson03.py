"Answers to the exercises of lesson 3: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
import pandas as pd
import torch
from fastai.vision.all import (CategoryBlock, DataBlock, ImageBlock, ImageDataLoaders, RandomResizedCrop, Resize, accuracy, aug_transforms, get_image_files, parent_label,
                               set_seed)

from fastclass.datablock import folder_dls
from fastclass.engine.packs.packs import pack
from fastclass.finetune import make_learner, quick_tune

path = pack('lakes')
few = pack('lakes', each=16) # for what need not be good


def in_place(weight, gradient, rate):
    weight -= rate*gradient
    return weight


def gives_nothing(weight, gradient, rate): weight - rate*gradient


def on_a_copy(weight, gradient, rate):
    new = weight.clone()
    new -= rate*gradient
    return new


def written_out(weight, gradient, rate):
    step = -gradient*rate
    return step+weight


def of_another_pack(): return folder_dls(pack('crests', train=2)/'train', size=96)
def augmented(size=96, **more): return folder_dls(path, size=size, batch_tfms=aug_transforms(), **more)


def by_block():
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label, item_tfms=Resize(96, method='squish'), batch_tfms=aug_transforms())
    return block.dataloaders(path, bs=16, num_workers=0)


def by_table(**options):
    "The files as the column of a table"
    files = get_image_files(path)
    table = pd.DataFrame(dict(name=[str(o.relative_to(path)) for o in files], label=[o.parent.name for o in files]))
    return ImageDataLoaders.from_df(table, path, num_workers=0, bs=16, **options)


def only_cut(): return ImageDataLoaders.from_folder(path, valid_pct=.2, item_tfms=Resize(96), num_workers=0, bs=16)


def by_names_of_files():
    "The number in the name of each file is taken for its class"
    return ImageDataLoaders.from_name_func(path, get_image_files(path)[:40], lambda name: name.rsplit('.')[0][-1], item_tfms=Resize(96), num_workers=0, bs=16)


def on_both_sides():
    files = get_image_files(path)
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=lambda items: (range(len(items)), range(0, len(items), 5)), item_tfms=Resize(96),
                      batch_tfms=aug_transforms())
    return block.dataloaders(files, bs=16, num_workers=0)


def trained(dls=None, arch='efficientnet_lite0', **more):
    set_seed(0)
    learn = make_learner(dls or folder_dls(path, size=96), arch, metrics=accuracy)
    with learn.no_bar(), learn.no_logging(): quick_tune(learn, **more)
    return learn


def by_fastai():
    "DataLoaders of fastai's own, smaller pictures, more epochs"
    return trained(ImageDataLoaders.from_folder(path, valid_pct=.2, seed=1, item_tfms=Resize(80), num_workers=0, bs=32), epochs=12)


def untrained():
    set_seed(0)
    return make_learner(folder_dls(few, size=96), metrics=accuracy)


def of_other_labels():
    "Each picture has the name of the lake before its own: a list that slipped by one"
    files = get_image_files(few).sorted()
    names = sorted({file.parent.name for file in files})
    labels = [names[names.index(file.parent.name)-1] for file in files]
    dls = ImageDataLoaders.from_lists(few, files, labels, item_tfms=Resize(96), num_workers=0, bs=16)
    return trained(dls)


def trained_a_little():
    "Four updates from nothing"
    set_seed(0)
    learn = make_learner(folder_dls(few, size=48, bs=16), pretrained=False, metrics=accuracy)
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4)
    return learn


ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '3.1': dict(right=['b', ' B) '], wrong=[('a', 'too long'), ('c', 'cannot be negative'), ('d', 'where each one lands'), ('e', 'not one of a, b, c, d'), (2, 'a letter in quotes')]),
    '3.2': dict(
        right=[lambda: lambda weight, gradient, rate: weight-rate*gradient, lambda: written_out, lambda: on_a_copy],
        wrong=[(lambda: lambda weight, gradient, rate: weight+rate*gradient, 'It climbs'),
               (lambda: lambda weight, gradient, rate: weight-gradient, 'decided by the rate'),
               (lambda: lambda weight, gradient, rate: -rate*gradient, 'the step alone'),
               (lambda: lambda weight, gradient, rate: rate*gradient, 'length of the step alone'),
               (lambda: gives_nothing, 'return'),
               (lambda: in_place, 'changes the weights'),
               (lambda: lambda weight, gradient, rate: 1.7, 'gives 1.7'),
               (lambda: lambda weight, gradient: weight-gradient, 'TypeError'),
               (1.7, 'not callable')]),
    '3.3': dict(
        right=[(0, 0, 1), torch.tensor([0, 0, 1]), {'body: filters': 0., 'body: batch norm': 0., 'head': 1.}],
        wrong=[((0, 1, 1), 'train_bn=False'), ([1, 1, 1], 'nothing would be frozen'), ((1, 1, 0), 'other way round'), ((0, 0, 0), 'Something has to learn'),
               ((1, 0, 1), 'first to be frozen'), ((0, .5, 1), 'as a whole or not at all'), ((0, 1), 'three were expected'), (1, 'three were expected'), ('0, 0, 1', '0 numbers came')]),
    '3.4': dict(
        right=[augmented, by_block, lambda: by_table(item_tfms=Resize(96, 'squish'), batch_tfms=aug_transforms()), lambda: by_table(item_tfms=RandomResizedCrop(96))],
        wrong=[(lambda: folder_dls(path, size=96), 'no augmentation'),
               (only_cut, 'Only the cut differs'), (lambda: by_table(item_tfms=Resize(96)), 'Only the cut differs'),
               (lambda: augmented(64), '64 x 64'),
               (lambda: augmented(128), '128 x 128'),
               (on_both_sides, 'on both sides'),
               (of_another_pack, 'five lakes'), (lambda: folder_dls(pack('lakes', each=16), size=96, batch_tfms=aug_transforms()), '80 pictures of the 400'),
               (by_names_of_files, 'five lakes'),
               (lambda: augmented().train_ds, '`DataLoaders` were expected'),
               (path, '`DataLoaders` were expected')]),
    '3.5': dict(
        right=[trained, by_fastai],
        wrong=[(untrained, 'chance is 20%'), (of_other_labels, 'chance is 20%'), (trained_a_little, 'new pictures'),
               (lambda: torch.nn.Linear(2, 5), 'A `Learner` was expected'), (lambda: .9, 'A `Learner` was expected')]),
}
