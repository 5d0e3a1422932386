"Answers to the exercises of lesson 6: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
from functools import cache

import torch
from fastai.vision.all import get_image_files, set_seed

from fastclass.datablock import folder_dls
from fastclass.engine.packs.packs import pack
from fastclass.finetune import make_learner
from fastclass.segment import MaskLoss, MaskOf, quick_segment, read_codes, segment_dls, segment_learner


def loaders(every=2, codes=None):
    path = pack('streets')/'seg'
    return segment_dls(sorted(get_image_files(path/'images'))[::every], MaskOf(path/'labels'), codes or read_codes(path/'codes.txt'), size=(72, 96), workers=0)


@cache
def _trained(every, epochs, **settings):
    set_seed(0)
    learn = segment_learner(loaders(every), **settings)
    with learn.no_bar(), learn.no_logging(): quick_segment(learn, epochs, views=1)
    return learn


def trained(): return _trained(3, 10)


def with_another_loss(): return _trained(3, 14, fine=1, loss_func=MaskLoss(11, dice=0, even=0))


def untrained():
    set_seed(0)
    return segment_learner(loaders(20), 'squeezenet1_1')


def of_other_names():
    codes = read_codes(pack('streets')/'seg'/'codes.txt')
    return segment_learner(loaders(20, [f'thing {at}' for at in range(len(codes)-1)]+['Void']), 'squeezenet1_1')


def with_sums(truth, guess, code):
    both = ((truth==code)*(guess==code)).sum()
    return both/((truth==code).sum()+(guess==code).sum()-both)


def with_logic(truth, guess, code): return ((truth==code) & (guess==code)).sum()/((truth==code) | (guess==code)).sum()
def recall(truth, guess, code): return ((truth==code) & (guess==code)).sum()/(truth==code).sum()
def precision(truth, guess, code): return ((truth==code) & (guess==code)).sum()/(guess==code).sum()
def dice(truth, guess, code): return 2*((truth==code) & (guess==code)).sum()/((truth==code).sum()+(guess==code).sum())
def accuracy(truth, guess, code): return (truth==guess).mean()
def counted_twice(truth, guess, code): return ((truth==code) & (guess==code)).sum()/((truth==code).sum()+(guess==code).sum())
def upside_down(truth, guess, code): return 1/with_logic(truth, guess, code)
def a_mask(truth, guess, code): return (truth==code) & (guess==code)
def gives_nothing(truth, guess, code): with_logic(truth, guess, code)
def always_code_1(truth, guess, code): return with_logic(truth, guess, 1) if code!=2 else .4


def by_divmod(pairs):
    wrong = pairs.clone().fill_diagonal_(0)
    return divmod(int(wrong.argmax()), len(wrong))


def by_loop(pairs):
    best,found = -1, None
    for right in range(len(pairs)):
        for said in range(len(pairs)):
            if right!=said and pairs[right, said]>best: best,found = int(pairs[right, said]), [right, said]
    return found


def with_diagonal(pairs): return divmod(int(pairs.argmax()), len(pairs))
def swapped(pairs): return by_divmod(pairs)[::-1]
def in_place(pairs): return divmod(int(pairs.fill_diagonal_(0).argmax()), len(pairs))
def flat(pairs): return int(pairs.clone().fill_diagonal_(0).argmax())
def by_rows(pairs): return divmod(int((pairs.clone().fill_diagonal_(0)/pairs.sum(1, keepdim=True)).argmax())+1, len(pairs))


ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '6.1': dict(right=[.45, (90/100+0/10)/2, '0.45'],
                wrong=[(.9, 'the pixel accuracy'), (.5, 'recall'), (0, 'IoU of the cyclists'), (9/19, 'mean of Dice'), (45, 'in percent'), (.3, 'Take the IoU'), ('low', 'A number was expected')]),
    '6.2': dict(right=['b', ' B) '], wrong=[('a', 'opens it too'), ('c', 'there is none'), ('d', 'A later training'), ('e', 'not one of a, b, c, d'), (2, 'a letter in quotes')]),
    '6.3': dict(
        right=[lambda: with_sums, lambda: with_logic],
        wrong=[(lambda: recall, 'that is recall'), (lambda: precision, 'that is precision'), (lambda: dice, 'That is Dice'), (lambda: accuracy, 'of all classes'),
               (lambda: counted_twice, 'counts a pixel once'), (lambda: upside_down, 'other way round'), (lambda: a_mask, 'It gives a mask'), (lambda: gives_nothing, 'return'),
               (lambda: always_code_1, 'For another class'), (.4, 'not callable')]),
    '6.4': dict(
        right=[lambda: by_divmod, lambda: by_loop],
        wrong=[(lambda: with_diagonal, 'leave the diagonal out'), (lambda: swapped, 'in the other order'), (lambda: in_place, 'changes the table'), (lambda: flat, 'Two codes were expected'),
               (lambda: by_rows, 'it gives'), ((2, 1), 'not callable')]),
    '6.5': dict(
        right=[trained, with_another_loss],
        wrong=[(untrained, 'Has it been trained'), (of_other_names, 'not those of the drawn streets'), (lambda: make_learner(folder_dls(pack('lakes'), size=64), 'squeezenet1_1', pretrained=False), 'UnsupportedError'),
               (loaders, 'A `Learner` was expected'), (lambda: .62, 'A `Learner` was expected'), (lambda: torch.nn.Linear(2, 5), 'A `Learner` was expected')]),
}
