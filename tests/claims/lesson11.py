"What the claims of lesson 11 measure, for a seed"
from functools import cache

import numpy as np
from fastai.text.all import AWD_LSTM, accuracy, set_seed, text_classifier_learner

from fastclass.engine.packs.reviews import draw_reviews
from fastclass.text import fit_tfidf, quick_text, split_texts, stress_texts, text_dls

OPPOSITES = ['I expected to hate it and came to love it.', 'I expected to love it and came to hate it.']


@cache
def sides(seed, n=2000):
    "Other reviews and another split: the table, the training texts, the validation texts, and where these stand"
    df = draw_reviews(n, seed=seed)[0]
    train,held = split_texts(df.text, seed=seed)
    return df, df.iloc[train], df.iloc[held], held


@cache
def model(seed, pairs=True):
    df,_,_,held = sides(seed)
    return quick_text(text_dls(df, valid=held), pairs=pairs, seed=seed)


def right(model, texts, labels): return float(np.mean(model.predict_many(texts).prediction.to_numpy()==labels.to_numpy()))


def lstm_behind_tfidf(seed):
    "As in the lesson, with fewer texts"
    df,train,valid,held = sides(seed, 600)
    tfidf = fit_tfidf(train.text, train.label).score(valid.text, valid.label)
    set_seed(seed)
    learn = text_classifier_learner(text_dls(df, valid=held), AWD_LSTM, pretrained=False, metrics=accuracy)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 1e-2)
    return tfidf-learn.recorder.values[-1][2]


def near_gain(seed):
    valid = sides(seed)[2]
    near = valid[valid.kind=='near']
    return right(model(seed), near.text, near.label)-right(model(seed, pairs=False), near.text, near.label)


def gain_over_tfidf(seed):
    _,train,valid,_ = sides(seed)
    return right(model(seed), valid.text, valid.label)-fit_tfidf(train.text, train.label).score(valid.text, valid.label)


def gap_of_opposites(seed):
    one,other = model(seed).probabilities(OPPOSITES)
    return abs(one-other).max()


def turned_by_not(seed):
    valid = sides(seed)[2]
    return stress_texts(model(seed), valid.text, seed=seed).did['a "not" put in']


MEASURES = {'11.a': lstm_behind_tfidf, '11.b': near_gain, '11.c': gain_over_tfidf, '11.d': gap_of_opposites, '11.e': turned_by_not}
