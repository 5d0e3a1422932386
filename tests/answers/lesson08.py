"Answers to the exercises of lesson 8: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
import pandas as pd
import torch
from fastai.collab import CollabDataLoaders, collab_learner
from fastai.tabular.all import set_seed

from fastclass.collab import quick_collab, read_ratings
from fastclass.engine.packs.packs import pack

df = pd.read_csv(pack('ratings')/'ratings.csv').merge(pd.read_csv(pack('ratings')/'films.csv'))[['user', 'title', 'rating', 'timestamp', 'film']]
messy = df[['user', 'timestamp', 'rating', 'film']].head(1000).reset_index()
messy['user'] = messy.user.where(messy.index%2==0, messy.user.astype(str))
messy.loc[::4, 'rating'] = 0


def loop(user, film, user_bias, film_bias):
    total = user_bias+film_bias
    for a,b in zip(user, film): total = total+a*b
    return total


def of_messy(columns=('user', 'film', 'rating'), whole=True, rated=True, **more):
    "DataLoaders of the messy table, cleaned by hand"
    table = messy[messy.rating>0] if rated else messy
    if whole: table = table.assign(user=table.user.astype(int))
    return CollabDataLoaders.from_df(table[list(columns)], **more)


def thinned(change):
    "DataLoaders of the rated rows after one more change"
    table = change(messy[messy.rating>0].assign(user=lambda o: o.user.astype(int)))
    return CollabDataLoaders.from_df(table[['user', 'film', 'rating']])


def by_reading(**more):
    table = read_ratings(messy, **more).table
    return CollabDataLoaders.from_df(table, user_name='user', item_name='item', rating_name='rating', seed=0)


def as_floats():
    "Half of the users became 7.0"
    table = messy[messy.rating>0]
    users = [str(float(o)) if at%2 else str(o) for at,o in enumerate(table.user)]
    return CollabDataLoaders.from_df(table.assign(user=users)[['user', 'film', 'rating']])


def learner(table=df, factors=50):
    set_seed(0)
    dls = CollabDataLoaders.from_df(table[['user', 'title', 'rating']], seed=0, bs=64)
    learn = collab_learner(dls, n_factors=factors, y_range=(0, 5.5))
    return learn


def trained(table=df, factors=50, **more):
    learn = learner(table, factors)
    with learn.no_bar(), learn.no_logging(): quick_collab(learn, **more)
    return learn


def mixed_up():
    "Stars that belong to other rows"
    return trained(df.assign(rating=df.rating.sample(frac=1, random_state=0).to_numpy()))


def of_others(): return trained(df.assign(user='u'+df.user.astype(str), title='film '+df.film.astype(str)))


ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '8.1': dict(right=['c', 'C)'], wrong=[('a', 'validation loss, too'), ('b', 'holds the model back'), ('d', 'other way round'), ((.059, .91), 'a letter in quotes')]),
    '8.2': dict(
        right=[lambda: lambda user, film, user_bias, film_bias: (user*film).sum()+user_bias+film_bias, lambda: loop],
        wrong=[(lambda: lambda user, film, user_bias, film_bias: user*film+user_bias+film_bias, 'for each factor'),
               (lambda: lambda user, film, user_bias, film_bias: (user*film).sum(), 'Add both biases'),
               (lambda: lambda user, film, user_bias, film_bias: user@film+user_bias, 'bias of the film'),
               (lambda: lambda user, film, user_bias, film_bias: user@film+film_bias, 'bias of the user'),
               (lambda: lambda user, film, user_bias, film_bias: (user+film).sum(), 'pair by pair'),
               (lambda: lambda user, film, user_bias, film_bias: torch.sigmoid((user*film).sum()+user_bias+film_bias)*5.5, 'sigmoid'),
               (lambda: lambda user, film, user_bias, film_bias: print(user@film), 'return'),
               (lambda: lambda user, film, user_bias, film_bias: 11.375, 'gives 11.375'), (lambda: lambda user, film, user_bias, film_bias: (user*film+user_bias+film_bias).sum(), 'inside the sum'),
               (lambda: lambda user, film, user_bias, film_bias: user.mul_(film).sum()+user_bias+film_bias, 'changes the factors'),
               (11.25, 'not callable')]),
    '8.3': dict(right=[.4, 2/5], wrong=[(2/3, 'recall'), (2, 'Divide'), (40, 'percent'), (.6, 'not on the list'), (1/3, 'of five'), (.5, 'Count'), ('two', 'A number')]),
    '8.4': dict(
        right=[of_messy, by_reading, lambda: by_reading(catalogue=df)],
        wrong=[(lambda: CollabDataLoaders.from_df(messy), 'are times'),
               (lambda: of_messy(rated=False), 'not rated'),
               (lambda: of_messy(('film', 'user', 'rating')), 'swapped'),
               (lambda: of_messy(('index', 'film', 'rating')), 'number of the row'),
               (lambda: thinned(lambda o: o[o.rating>1]), 'of 750'), (lambda: thinned(lambda o: o.sample(700, random_state=0)), 'of 750'),
               (lambda: thinned(lambda o: o.assign(rating=4.)), 'All stars are 4'),
               (as_floats, 'there twice'),
               (lambda: of_messy(whole=False), 'there twice'),
               (lambda: of_messy(('user', 'timestamp', 'rating')), 'are these times'),
               (lambda: of_messy(('user', 'rating', 'film')), 'not the column of ratings'),
               (messy, '`DataLoaders` were expected')]),
    '8.5': dict(
        right=[trained, lambda: trained(factors=10, wd=.15)],
        wrong=[(learner, 'Has it been trained'), (lambda: trained(wd=0), 'by heart'), (mixed_up, 'Has it been trained'), (lambda: trained(epochs=1), '0.84'),
               (of_others, 'pack("ratings")'), (lambda: .8, 'A `Learner` was expected')]),
}
