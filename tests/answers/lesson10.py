"Answers to the exercises of lesson 10: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
import math
from functools import lru_cache

import torch

from fastclass.datablock import folder_dls
from fastclass.engine.packs.packs import pack
from fastclass.pretrain import learner_on


def wins(table, one, other):
    wide = table.pivot(index='seed', columns='body', values='accuracy')
    return (wide[one]>wide[other]).sum()


def by_loop(table, one, other):
    count = 0
    for seed in table.seed.unique():
        rows = table[table.seed==seed].set_index('body').accuracy
        if rows[one]>rows[other]: count += 1
    return count


def by_rows(table, one, other):
    first,second = (table[table.body==name].accuracy.tolist() for name in (one, other))
    return sum(a>b for a,b in zip(first, second))


def by_number(table, one, other): return (table[table.body==one].accuracy>table[table.body==other].accuracy).sum()


def for_each_split(table, one, other):
    wide = table.pivot(index='seed', columns='body', values='accuracy')
    return wide[one]>wide[other]


def of_means(table, one, other): return table[table.body==one].accuracy.mean()>table[table.body==other].accuracy.mean()
def difference(table, one, other): return table[table.body==one].accuracy.mean()-table[table.body==other].accuracy.mean()
def in_place(table, one, other):
    table.sort_values('seed', inplace=True)
    return wins(table, one, other)


@lru_cache
def dls(n=5): return folder_dls(pack('lakes' if n==5 else 'streets'), size=64, seed=0, workers=0)


def learner(body='bundled', n=5, trained=False, frozen=True):
    learn = learner_on(dls(n), body)
    if not frozen: learn.unfreeze()
    if trained:
        with torch.no_grad(): list(learn.model[0].parameters())[0].mul_(1.01)
    return learn


def with_trained_head():
    learn = learner()
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1)
    return learn


def frozen_by_hand():
    learn = learner(frozen=False)
    learn.model[0].requires_grad_(False)
    return learn


ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '10.1': dict(right=['b', 'B.'], wrong=[('a', 'on each'), ('c', 'frozen'), ('d', 'by chance'), ('z', 'not one of'), (2, 'letter in quotes')]),
    '10.2': dict(
        right=[lambda: wins, lambda: by_loop],
        wrong=[(lambda: by_rows, 'by their seed'), (lambda: of_means, 'True and False'), (lambda: difference, 'difference of accuracies'),
               (lambda: lambda table, one, other: 5-wins(table, other, one), 'draw is no win'), (lambda: lambda table, one, other: wins(table, one, other)/5, 'a share'),
               (lambda: lambda table, one, other: wins(table, 'bundled', 'random'), 'use both names'), (lambda: in_place, 'changes the table'), (lambda: by_number, 'belong together'), (lambda: for_each_split, 'answer for each split'), (lambda: lambda table, one, other: None, 'return'),
               (3, 'not callable')]),
    '10.3': dict(
        right=[lambda: learner(), frozen_by_hand],
        wrong=[(lambda: learner('random'), 'other weights'), (lambda: learner('efficientnet_lite0'), 'another network'), (lambda: learner(frozen=False), 'not frozen'),
               (lambda: learner(trained=True), 'The body was trained'), (with_trained_head, 'Its head was trained'), (lambda: learner(n=2), '2 classes'), ('bundled', 'A `Learner` was expected')]),
    '10.4': dict(
        right=[lambda: math.log(19), 2.944, 2.94, lambda: -math.log(1/19)],
        wrong=[(lambda: math.log(20), 'with itself'), (lambda: math.log(10), 'two looks'), (lambda: math.log10(19), 'base 10'), (lambda: -math.log(19), 'above 0'), (2.9, 'two digits'), (19, 'logarithm of it'),
               (5.25, 'of the lesson'), (1/19, 'probability of a right guess'), ('log(19)', 'number was expected')]),
}
