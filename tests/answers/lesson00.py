"Answers to the exercises of lesson 0: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
from functools import cache

from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, RandomSplitter, Resize, parent_label, set_seed

from fastclass.datablock import folder_dls
from fastclass.engine.packs.packs import pack
from fastclass.finetune import make_learner, quick_tune

photos = pack('streets')/'photos'


@cache
def few(folder=pack('lakes'), kinds=('aldra', 'bremir')):
    "Sixty pictures of each class"
    return [file for kind in kinds for file in sorted((folder/kind).glob('*.jpg'))[:60]]


def block(size=128, **more):
    settings = dict(get_y=parent_label, splitter=RandomSplitter(seed=1), item_tfms=Resize(size, method='squish')) | more
    return DataBlock((ImageBlock, CategoryBlock), **settings)


def loaders(size=128, **more): return block(size, **more).dataloaders(few(), bs=8, num_workers=0)


def exam_in_training(items): return range(len(items)), range(0, len(items), 4)


def trained(dls=None):
    set_seed(0)
    learn = make_learner(dls or loaders(96))
    with learn.no_bar(), learn.no_logging(): quick_tune(learn, seconds=5)
    return learn


def of_the_lesson():
    return make_learner(block(64).dataloaders(few(photos, ('cyclist', 'pedestrian')), bs=8, num_workers=0), pretrained=False)


def untrained():
    set_seed(0)
    return make_learner(loaders(64), pretrained=False)


def of_other_labels():
    "Each label is drawn by the last digits of the name"
    return trained(loaders(64, get_y=lambda file: 'ab'[sum(file.stem.encode())%2]))


def by_loop(probs, vocab, name):
    for probability,known in zip(probs, vocab):
        if known==name: return probability


def gives_nothing(probs, vocab, name): probs[list(vocab).index(name)]


ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '0.1': dict(right=['a', ' A) '], wrong=[('b', 'none of them names a cyclist'), ('c', '`make_learner` makes the last layer'), ('d', 'Three epochs'), ('e', 'not one of a, b, c, d'),
                                            (1, 'a letter in quotes')]),
    '0.2': dict(right=[28, 28., '28', 32*(1-.125)], wrong=[(4, 'So many are wrong'), (.875, 'the share of right'), (87.5, 'in percent'), (12.5, 'share of wrong'), (31.875, 'from 0 to 1'),
                                                           (30, 'Take 0.125 of the 32'), ('most', 'A number was expected')]),
    '0.3': dict(
        right=[lambda: lambda probs, vocab, name: probs[list(vocab).index(name)], lambda: by_loop, lambda: lambda probs, vocab, name: probs[vocab.o2i[name]], lambda: lambda probs, vocab, name: dict(zip(vocab, probs.tolist()))[name]],
        wrong=[(lambda: lambda probs, vocab, name: probs[0], 'first class in the alphabet'),
               (lambda: lambda probs, vocab, name: probs.max(), 'probability of the answer'),
               (lambda: lambda probs, vocab, name: list(vocab).index(name), 'the place of the class'),
               (lambda: lambda probs, vocab, name: vocab[probs.argmax()], 'It gives a name'),
               (lambda: lambda probs, vocab, name: probs[sorted(vocab).index(name)], 'another order'),
               (lambda: lambda probs, vocab, name: probs[-1], 'last number'),
               (lambda: lambda probs, vocab, name: probs[vocab.index(name)], 'list(vocab)'), (lambda: lambda probs, vocab, name: probs[vocab[name]], 'from a place to a name'),
               (lambda: lambda probs, vocab, name: probs[name], 'IndexError'),
               (lambda: gives_nothing, 'return'),
               (.5, 'not callable')]),
    '0.4': dict(
        right=[loaders, lambda: folder_dls(photos, size=128, bs=8)],
        wrong=[(lambda: loaders(192), '192 x 192'),
               (lambda: loaders((64, 128)), '128 x 64'),
               (lambda: loaders(splitter=exam_in_training), 'in the exam and in the training'),
               (lambda: folder_dls(pack('lakes'), size=128), '5 classes'),
               (block, 'Call its `dataloaders(photos)`'),
               (lambda: make_learner(loaders(128), pretrained=False), 'hand in `learn.dls`'),
               (photos, '`DataLoaders` were expected')]),
    '0.5': dict(
        right=[trained, lambda: trained(loaders(112, splitter=RandomSplitter(seed=2)))],
        wrong=[(untrained, 'luck may do that too'), (of_other_labels, 'luck may do that too'), (lambda: trained(loaders(96, splitter=exam_in_training)), 'seen the answers'),
               (of_the_lesson, 'the two of the lesson'), (lambda: make_learner(folder_dls(pack('lakes'), size=64), pretrained=False), 'knows 5 classes'), (.97, 'A `Learner` was expected'), (loaders, 'A `Learner` was expected')]),
}
