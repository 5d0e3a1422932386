"What the claims of lesson 7 measure, for a seed"
import time
from functools import cache

import numpy as np
import pandas as pd
from fastai.tabular.all import Categorify, FillMissing, Normalize, TabularDataLoaders, accuracy, set_seed, tabular_learner

from fastclass.course.exercises.lesson07 import made_up_flats
from fastclass.engine.packs.packs import pack
from fastclass.tabular import compare_models, fit_rows, permutation_importance, split_rows, train_table

CATEGORIES = ['education', 'occupation', 'sector', 'household', 'region']
NUMBERS = ['age', 'hours']


@cache
def people(seed): return pd.read_csv(pack('census', seed=seed)/'census.csv')


@cache
def learner_of(seed):
    "A stock learner, untrained"
    df = people(seed)
    train,valid = split_rows(df, seed=seed)
    dls = TabularDataLoaders.from_df(df, procs=[Categorify, FillMissing, Normalize], cat_names=list(CATEGORIES), cont_names=list(NUMBERS), y_names='income',
                                     valid_idx=valid, bs=64)
    set_seed(seed)
    return tabular_learner(dls, metrics=accuracy)


@cache
def stock(seed):
    "Seconds and accuracy of two stock epochs"
    learn = learner_of(seed)
    start = time.perf_counter()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(2)
        seconds = time.perf_counter()-start
        return seconds, learn.validate()[1]


@cache
def trained(seed): return train_table(people(seed), 'income', seed=seed)


def above_commonest(seed):
    "Points of accuracy"
    df = people(seed)
    _,valid = split_rows(df, seed=seed)
    commonest = df.income.value_counts().index[0]
    return 100*(stock(seed)[1]-(df.income.iloc[valid]==commonest).mean())


def faster_epoch(seed):
    "Stock seconds an epoch over those of fit_rows"
    seconds,_ = stock(seed)
    fit_rows(tabular_learner(learner_of(seed).dls), 1) # the first training of a process loads more of torch
    again = tabular_learner(learner_of(seed).dls, metrics=accuracy)
    start = time.perf_counter()
    fit_rows(again, 4)
    return (seconds/2)/((time.perf_counter()-start)/4)


def gap_to_trees(seed):
    "Points by which the network is ahead of gradient boosting, in the mean of three splits of few and of all columns"
    gaps = []
    for split in range(3):
        for columns in ((CATEGORIES, NUMBERS), (None, None)):
            model = train_table(people(seed), 'income', *columns, seed=split)
            right = compare_models(model, ['gradient boosting'], split).accuracy
            gaps.append(right['network']-right['gradient boosting'])
    return 100*np.mean(gaps)


def importance_of_an_effect(seed):
    "Points by which the tax is more important than any other column"
    df = people(seed)
    rich = df.income=='>=50k'
    rng = np.random.default_rng(seed)
    tax = rng.normal(1000+800*rich, 400).round()
    model = train_table(df.assign(tax=tax), 'income', seed=seed)
    loss = permutation_importance(model, model.valid_rows).set_index('column').loss
    return 100*(loss['tax']-loss.drop('tax').max())


def sure_about_900_years(seed):
    "Mean probability of the predicted class"
    model = trained(seed)
    return model.predict(model.valid_rows.assign(age=900)).probability.mean()


def rent_error(seed):
    "RMSE of the network over that of the mean"
    rents = train_table(made_up_flats(500, seed), 'rent', seed=seed)
    rmse = compare_models(rents, ['mean'], seed).rmse
    return rmse['network']/rmse['mean']


MEASURES = {'7.a': above_commonest, '7.b': faster_epoch, '7.c': gap_to_trees, '7.d': importance_of_an_effect, '7.e': sure_about_900_years, '7.f': rent_error}
