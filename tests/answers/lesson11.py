"Answers to the exercises of lesson 11: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pandas as pd

from fastclass.course.exercises.lesson11 import hand_made_model
from fastclass.engine.packs.reviews import draw_reviews
from fastclass.text import quick_text, text_dls, word_effects


def by_loop(tokens, vocab):
    numbers = []
    for token in tokens:
        if token in vocab: numbers.append(vocab.index(token))
        else: numbers.append(0)
    return numbers


def by_dict(tokens, vocab):
    at = {token: i for i,token in enumerate(vocab)}
    return np.array([at.get(token, 0) for token in tokens], int)


def without_unknown(tokens, vocab): return [vocab.index(o) for o in tokens if o in vocab]
def with_(unknown): return lambda tokens, vocab: [vocab.index(o) if o in vocab else unknown for o in tokens]
def from_one(tokens, vocab): return [vocab.index(o)+1 if o in vocab else 0 for o in tokens]
def index_alone(tokens, vocab): return [vocab.index(o) for o in tokens]
def gives_nothing(tokens, vocab): [vocab.index(o) for o in tokens if o in vocab]


def grows_the_vocab(tokens, vocab):
    for o in tokens:
        if o not in vocab: vocab.append(o)
    return [vocab.index(o) for o in tokens]


@lru_cache
def reviews(): return draw_reviews(440)[0]


def tables(): return reviews()[:210],reviews()[210:410]


@lru_cache
def trained(n=100, held=200, first=0):
    "`n` training texts, and others for validation"
    df = reviews()
    part = pd.concat([df[first:first+n], df[210:210+held]], ignore_index=True)
    return quick_text(text_dls(part, valid=range(n, n+held)), epochs=2)


def trained_by_column():
    df = reviews()[:410].drop(range(100, 210)).copy()
    df['held'] = df.index>=210
    return quick_text(text_dls(df, valid='held'), epochs=2, pairs=False)


def swapped():
    train,valid = tables()
    part = pd.concat([train[:100], valid], ignore_index=True)
    return quick_text(text_dls(part, valid=range(100)), epochs=2)


def trained_on_validation():
    df = reviews()
    part = pd.concat([df[:100], df[:160]], ignore_index=True)
    return quick_text(text_dls(part, valid=range(100, 260)), epochs=2, check=False)


def of_bundle():
    model = trained()
    return type(model)(model.model, model.plan)


def effect(model, text, word):
    said = model.predict(text)
    rest = ' '.join(o for o in text.split() if o!=word)
    return said.probabilities[said.label]-model.predict(rest).probabilities[said.label]


def by_columns(model, text, word):
    words = text.split()
    words.remove(word)
    before,after = model.probabilities([text, ' '.join(words)])
    return before.max()-after[before.argmax()]


def by_word_effects(model, text, word):
    found = word_effects(model, text)
    return found.effects[found.words.index(word)]


def without(text, word): return ' '.join(o for o in text.split() if o!=word)
def other_class(model, text, word): return model.predict(text).probability-model.predict(without(text, word)).probability
def letters(model, text, word):
    said = model.predict(text)
    return said.probability-model.predict(text.replace(word, '')).probabilities[said.label]


def first_try(model, text, word): return model.predict(text).probability-model.predict(text.replace(word, '')).probability


def for_positive(model, text, word):
    return model.predict(text).probabilities['positive']-model.predict(without(text, word)).probabilities['positive']


GOOD,BAD = 'The film is good, not bad.','The film is bad, not good.'

ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '11.1': dict(right=['b', ' B)'], wrong=[('a', 'row of weights'), ('c', 'gives an answer'), ('d', 'cuts at words'), ('x', 'not one of a, b, c, d'), (0, 'letter in quotes')]),
    '11.2': dict(
        right=[lambda: by_loop, lambda: by_dict],
        wrong=[(lambda: without_unknown, 'gone'), (lambda: with_(-1), 'not -1'), (lambda: with_(None), 'have no number'), (lambda: from_one, 'one too large'),
               (lambda: grows_the_vocab, 'changes the lists'), (lambda: index_alone, 'unknown token'), (lambda: lambda tokens, vocab: [vocab[o] for o in tokens], 'takes a place'), (lambda: lambda tokens, vocab: [2, 8, 0, 36, 10, 0], 'too large'), (lambda: gives_nothing, 'return'),
               (lambda: lambda tokens, vocab: [o if o in vocab else 'xxunk' for o in tokens], 'tokens still'),
               (lambda: lambda tokens, vocab: sorted({vocab.index(o) if o in vocab else 0 for o in tokens}), 'once only'), ([2, 4, 0, 3, 4, 0], 'not callable')]),
    '11.3': dict(
        right=[lambda: (hand_made_model(), GOOD, BAD), lambda: [hand_made_model(), 'Not bad, the good film!', 'bad not good: the film']],
        wrong=[(lambda: (hand_made_model(False), GOOD, BAD), 'know pairs'), (lambda: (hand_made_model(), GOOD, GOOD.upper()), 'the same order'),
               (lambda: (hand_made_model(), 'The film is good.', 'The film is bad.'), 'only one of the texts has bad, good'),
               (lambda: (hand_made_model(), 'not good good bad', 'not good bad'), 'more often'),
               (lambda: (hand_made_model(), 'superb, good, not bad', 'not superb, good, bad'), 'not far enough'),
               ((GOOD, BAD), 'three things'), ((GOOD, BAD, GOOD), 'The model comes first'), (lambda: (hand_made_model(), 1, 2), 'two texts')]),
    '11.4': dict(right=['c', 'C'], wrong=[('a', 'lies in the interval'), ('b', 'Nobody has shown'), ('d', 'begins at -0.4'), ('1.6', 'not one of')]),
    '11.5': dict(
        right=[lambda: (trained(), *tables()), lambda: [trained_by_column(), *tables()]],
        wrong=[(lambda: (trained(110), *tables()), 'on 110 texts'), (lambda: (swapped(), *tables()), 'swapped'), (lambda: (trained(100, 60), *tables()), '140 are missing'),
               (lambda: (trained(100, 230), *tables()), '30 of its 230'), (lambda: (trained(100, first=50), *tables()), 'not on the first 100'),
               (lambda: (trained_on_validation(), *tables()), 'are not in `valid`'), (lambda: (of_bundle(), *tables()), 'a bundle'), (lambda: trained(), 'three things'),
               (lambda: (trained().about, *tables()), 'not dict'), (lambda: (trained().learn, *tables()), 'not Learner'), (lambda: (trained(), 100, 200), 'two tables')]),
    '11.6': dict(
        right=[lambda: effect, lambda: by_columns, lambda: by_word_effects, lambda: lambda *given: round(effect(*given), 3)],
        wrong=[(lambda: lambda model, text, word: -effect(model, text, word), 'sign is turned'), (lambda: other_class, 'same class'), (lambda: letters, 'longer words'), (lambda: first_try, 'And compare'),
               (lambda: lambda model, text, word: model.predict(without(text, word)).probabilities['positive'], 'What did it lose'),
               (lambda: lambda model, text, word: model.predict(text).probability, 'ask again'), (lambda: lambda model, text, word: 100*effect(model, text, word), 'between -1 and 1'),
               (lambda: for_positive, 'not for the other'), (lambda: lambda model, text, word: None, 'return'), (lambda: lambda model, text, word: SimpleNamespace(effect=1), 'A number was expected')]),
}
