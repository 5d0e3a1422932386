"Answers to the exercises of lesson 9 that learners give: right ones written differently, and wrong ones with a part of what is said to them"
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image


def by_max(probabilities, threshold):
    best = max(probabilities, key=probabilities.get)
    return best if probabilities[best]>=threshold else 'not sure'


def by_sorting(probabilities, threshold):
    (name,share),*_ = sorted(probabilities.items(), key=lambda o: o[1], reverse=True)
    if share<threshold: return 'Not sure.'
    return name


def first_class(probabilities, threshold):
    name = next(iter(probabilities))
    return name if probabilities[name]>=threshold else 'not sure'


def strictly(probabilities, threshold):
    best = max(probabilities, key=probabilities.get)
    return best if probabilities[best]>threshold else 'not sure'


def turned_round(probabilities, threshold):
    best = max(probabilities, key=probabilities.get)
    return 'not sure' if probabilities[best]>=threshold else best


def by_name(probabilities, threshold):
    best = max(probabilities) # the last name in the alphabet
    return best if probabilities[best]>=threshold else 'not sure'


def takes_it_away(probabilities, threshold):
    best = max(probabilities, key=probabilities.get)
    share = probabilities.pop(best)
    probabilities[best] = 0.
    return best if share>=threshold else 'not sure'


def always(probabilities, threshold): return max(probabilities, key=probabilities.get)
def gives_nothing(probabilities, threshold): print(by_max(probabilities, threshold))
def gives_a_number(probabilities, threshold): return max(probabilities.values())
def one_argument(probabilities): return max(probabilities)


@cache
def made():
    "A learner of drawn crests, a picture of one's own, and a folder"
    from fastai.vision import models
    from fastai.vision.learner import vision_learner
    from fastclass.datablock import folder_dls
    from fastclass.engine.packs.packs import pack
    folder = Path(tempfile.mkdtemp(prefix='fastclass-answers-'))
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(noise).save(folder/'mine.png')
    dls = folder_dls(pack('crests', train=4)/'train', size=48, bs=8, workers=0)
    return vision_learner(dls, models.squeezenet1_1, pretrained=False),folder


def bundle(name, *credits):
    "A bundle with a picture of one's own for each credit"
    from fastclass.predict import pack_examples, save_bundle
    learn,folder = made()
    return save_bundle(learn, folder/name, examples=pack_examples([(folder/'mine.png', o) for o in credits]))


def with_credit(): return bundle('credit', 'Photo: Ann, CC BY 4.0')
def as_a_zip_in_a_text(): return str(bundle('credit.zip', 'Noise by me (CC0 1.0)', 'Me, public domain', 'CC0 by Ann', 'Drawn by me, Apache-2.0'))


def opened():
    from fastclass.app import open_view
    return open_view(with_credit())


def drawn_ones():
    from fastclass.predict import free_examples, save_bundle
    learn,folder = made()
    return save_bundle(learn, folder/'drawn', examples=free_examples(learn.dls))


def the_list():
    from fastclass.predict import pack_examples
    return pack_examples([(made()[1]/'mine.png', 'Me, CC0')])


def loaded():
    from fastclass.predict import load_bundle
    return load_bundle(with_credit())


def without(): return bundle('without')
def no_licence(): return bundle('no licence', 'Photo: Ann')
def not_free(): return bundle('not free', 'Photo: Ann, CC BY-NC 4.0')
def no_maker(credit='CC0'): return bundle('no maker', credit)
def no_credit(): return bundle('no credit', '')


ANSWERS = {
    '9.1': dict(right=['b', ' B) '], wrong=[('a', 'no confidence lies below 0'), ('c', 'like any other'), ('d', 'twenty classes'), (0., 'a letter in quotes'), ('e', 'not one of')]),
    '9.2': dict(right=['a', 'A.'], wrong=[('b', 'server on the web'), ('c', 'not to the same people'), ('d', 'no passwords'), ('0.0.0.0', 'not one of')]),
    '9.3': dict(right=[by_max, by_sorting], wrong=[
        (first_class, 'the first class'), (strictly, '`>=`'), (turned_round, 'other way round'), (by_name, 'not the likeliest'), (always, 'whatever the threshold is'), (lambda: lambda probabilities, threshold: by_max(probabilities, .5), 'whatever the threshold is'),
        (gives_nothing, 'nothing back'), (gives_a_number, 'no text'), (one_argument, 'stopped with TypeError'), (takes_it_away, 'changes the probabilities'), ('lion', 'A function was expected')]),
    '9.4': dict(right=[with_credit, as_a_zip_in_a_text, opened], wrong=[
        (without, 'has no examples'), (drawn_ones, 'of `free_examples`'), (the_list, 'list of examples'), (loaded, 'path of the bundle'), (no_licence, 'no licence'),
        (not_free, 'no licence'), (no_maker, 'who made'), (lambda: no_maker('Photo, under CC0, 2024'), 'who made'), (lambda: no_maker('licence: CC BY-SA 4.0'), 'who made'), (no_credit, 'empty'), ('nowhere', 'There is no bundle'), (7, 'not int')]),
    '9.5': dict(right=['b', 'B'], wrong=[('a', 'other gardens have other kinds'.capitalize()), ('c', 'tried on'), ('d', 'like those that it was chosen on'), (99, 'a letter in quotes')])}
