"What the claims of lesson 8 measure, for a seed"
from functools import cache

import numpy as np
import pandas as pd
from fastai.collab import CollabDataLoaders, collab_learner
from fastai.tabular.all import set_seed

from fastclass.collab import add_user, factors_of, mean_and_bias, quick_collab, rank_report, rmse_of, similar
from fastclass.engine.packs.packs import pack

Y_RANGE = (0, 5.5)


@cache
def films(seed): return pd.read_csv(pack('ratings', seed=seed)/'films.csv')


@cache
def ratings(seed):
    table = pd.read_csv(pack('ratings', seed=seed)/'ratings.csv')
    return table.merge(films(seed))


@cache
def loaders(seed): return CollabDataLoaders.from_df(ratings(seed)[['user', 'title', 'rating']], seed=seed, bs=64)


def sides(seed):
    dls = loaders(seed)
    return ratings(seed).loc[dls.train.items.index], ratings(seed).loc[dls.valid.items.index]


def untrained(dls, seed):
    set_seed(seed)
    return collab_learner(dls, n_factors=50, y_range=Y_RANGE)


def quick(dls, seed, wd=.12):
    learn = untrained(dls, seed)
    with learn.no_bar(), learn.no_logging(): quick_collab(learn, wd=wd)
    return learn


@cache
def trained(seed): return quick(loaders(seed), seed)


def rmse(learn): return learn.recorder.values[-1][1]**.5


def untrained_above_mean(seed):
    "RMSE of an untrained model less that of the mean for all"
    train,valid = sides(seed)
    learn = untrained(loaders(seed), seed)
    with learn.no_bar(), learn.no_logging(): loss = learn.validate()[0]
    return loss**.5-rmse_of(np.full(len(valid), train.rating.mean()), valid.rating)


def without_decay(seed):
    "RMSE without weight decay less that with it"
    return rmse(quick(loaders(seed), seed, wd=0))-rmse(trained(seed))


def gain(seed):
    "RMSE of mean and bias less that of the model"
    train,valid = sides(seed)
    baseline = mean_and_bias(train, 'user', 'title', 'rating')
    return rmse_of(baseline.predict(valid.user, valid.title), valid.rating)-rmse(trained(seed))


def genre_ratio(seed):
    "How much more often the three nearest share the genre than films drawn by chance"
    known,genre = factors_of(trained(seed)),films(seed).set_index('title').genre
    same = [genre[film]==genre[other] for film in known.items for other in similar(known, film, 3).table['item']]
    return np.mean(same)/(genre.value_counts(normalize=True)**2).sum()


def precision(seed, **asked): return [o.precision for o in rank_report(trained(seed), sides(seed)[1], 'user', 'title', 'rating', **asked)]


def popular_ahead_of_stars(seed):
    "Precision at 5 of popularity less that of plain predictions, among all films"
    plain,_,popular = precision(seed, shrink=0)
    return popular-plain


def ahead_among_rated(seed):
    "Precision at 3 of recommend less that of popularity, among the films that were rated"
    model,_,popular = precision(seed, k=3, among='rated')
    return model-popular


def few_ratings_help(seed):
    "RMSE for new users of whom nothing is known less that after ten ratings"
    df = ratings(seed)
    outside = set(df.user.drop_duplicates().sample(frac=.2, random_state=seed))
    rest = df[~df.user.isin(outside)]
    inner = factors_of(quick(CollabDataLoaders.from_df(rest[['user', 'title', 'rating']], seed=seed, bs=64), seed))
    others = df[df.user.isin(outside) & df.title.isin(inner.items)]
    errors = {0: [], 10: []}
    for _,of_user in others.groupby('user'):
        of_user = of_user.sample(frac=1, random_state=seed)
        if len(of_user)<15: continue
        asked = of_user[10:]
        for told,known in ((0, inner.prior[0]), (10, add_user(inner, dict(zip(of_user.title[:10], of_user.rating[:10]))).theta)):
            places = [inner.at['item'][title] for title in asked.title]
            errors[told].append((inner.scores(known)[places]-asked.rating)**2)
    nothing,ten = (np.concatenate(o).mean()**.5 for o in errors.values())
    return nothing-ten


MEASURES = {'8.a': untrained_above_mean, '8.b': without_decay, '8.c': gain, '8.d': genre_ratio, '8.e': popular_ahead_of_stars, '8.f': ahead_among_rated, '8.g': few_ratings_help}
