"Answers to the exercises of lesson 7: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
from collections import Counter

import numpy as np
import pandas as pd
from fastai.tabular.all import CategoryBlock, Categorify, Normalize, TabularDataLoaders, TabularPandas, set_seed, tabular_learner
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from fastclass.course.exercises.lesson07 import made_up_flats
from fastclass.tabular import train_table

flats = made_up_flats()
PROCESSORS = [Categorify, Normalize]


def by_counter(train, valid):
    (commonest,_), = Counter(train).most_common(1)
    return np.mean([o==commonest for o in valid])


def share(train, valid): return valid.count(max(set(train), key=train.count))/len(valid)


def loaders(df=flats, procs=PROCESSORS, categories=('district',), numbers=('area', 'floor'), target='rent', **more):
    return TabularDataLoaders.from_df(df, procs=procs, cat_names=list(categories), cont_names=list(numbers), y_names=target, **more)


def by_pandas():
    sides = list(range(100, 500)),list(range(100))
    return TabularPandas(flats, PROCESSORS, ['district'], ['area', 'floor'], 'rent', splits=sides).dataloaders(bs=32)


class OfColumns:
    "A scikit-learn model of columns that a function makes, for a target that another one makes"
    def __init__(self, model, columns, target=lambda rent: rent):
        self.columns = columns
        self.inner = model.fit(columns(flats), target(flats.rent))
    def predict(self, rows): return self.inner.predict(self.columns(rows))


def plain(rows): return pd.get_dummies(rows[['area', 'floor', 'district']]).astype(float)
def only_area(rows): return rows[['area', 'floor']]


def with_products(rows):
    "Area times district, as columns"
    known = plain(rows)
    for name in ('centre', 'harbour', 'north'): known[f'area in {name}'] = known.area*known[f'district_{name}']
    return known


class TheMean:
    def predict(self, rows): return np.full(len(rows), flats.rent.mean())


def as_classes():
    quarters = pd.qcut(flats.rent, 4).astype(str)
    return train_table(flats.assign(rent=quarters), 'rent', epochs=2)


def untrained():
    set_seed(0)
    return tabular_learner(loaders())


def learner():
    "Stock fastai, with rents in thousands of its own inside"
    set_seed(0)
    learn = tabular_learner(loaders(bs=32, seed=0), layers=[50], y_range=(0, 3500))
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(40, 3e-2)
    return learn


ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '7.1': dict(right=['b', 'B.'], wrong=[('a', 'always names the common class'), ('c', 'never name the rare class'), ('d', 'plainer reason'), (.95, 'a letter in quotes')]),
    '7.2': dict(
        right=[lambda: share, lambda: by_counter],
        wrong=[(lambda: lambda train, valid: valid.count(max(set(valid), key=valid.count))/len(valid), 'commonest class of `valid`'),
               (lambda: lambda train, valid: valid.count(max(set(train), key=train.count)), 'Divide'),
               (lambda: lambda train, valid: 100*share(train, valid), 'percent'),
               (lambda: lambda train, valid: 1-share(train, valid), 'wrong'),
               (lambda: lambda train, valid: share(train, train), 'share in `train`'),
               (lambda: lambda train, valid: valid.count(max(set(train), key=train.count))/len(train), 'length of `train`'),
               (lambda: lambda train, valid: print(share(train, valid)), 'return'),
               (lambda: lambda train, valid: valid.count(train[0])/len(valid), 'gives 0.75'),
               (lambda: lambda train, valid: .2, 'gives 0.2'), (lambda: lambda train, valid: valid.count(max(train))/len(valid), 'gives 0.75'),
               (.62, 'not callable')]),
    '7.3': dict(right=['b', ' B) '], wrong=[('a', 'misleads'), ('c', 'tells lies'), ('d', 'look at the two'), (.116, 'a letter in quotes')]),
    '7.4': dict(
        right=[loaders, by_pandas],
        wrong=[(lambda: loaders(procs=[Categorify]), '`Normalize`'),
               (lambda: loaders(numbers=('area', 'floor', 'rent')), 'answer in hand'),
               (lambda: loaders(categories=('district', 'floor'), numbers=('area',)), 'Asked for are district'),
               (lambda: loaders(y_block=CategoryBlock()), 'like classes'),
               (lambda: loaders(target='area', numbers=('floor',)), 'the rent was asked for'),
               (lambda: loaders(df=pd.concat([flats, flats])), 'on both sides'),
               (lambda: loaders(valid_idx=list(range(400))), 'at least half'),
               (flats, '`DataLoaders` were expected')]),
    '7.5': dict(
        right=[lambda: train_table(flats, 'rent', epochs=60), lambda: OfColumns(Ridge(.1), with_products), learner],
        wrong=[(lambda: OfColumns(Ridge(), plain), 'product of area and district'),
               (lambda: OfColumns(RandomForestRegressor(20, random_state=0), only_area), 'does it not use'),
               (lambda: OfColumns(Ridge(.1), with_products, np.log), 'logarithm'),
               (lambda: TheMean(), 'Has it been trained'),
               (untrained, 'is it a logarithm?'),
               (as_classes, 'a class'),
               (lambda: 75, 'A trained model was expected')]),
}
