"What the claims of lesson 4 measure, for a seed"
import random, shutil, tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from fastai.vision.all import error_rate, get_image_files, set_seed

from fastclass.course.lesson import pack
from fastclass.datablock import folder_dls
from fastclass.finetune import make_learner, quick_tune
from fastclass.interpret import calibration_error, cross_tempered, find_label_issues, predictions

KINDS = ('cyclist', 'pedestrian')


def is_misplaced(file): return Path(file).name.split('-')[0]!=Path(file).parent.name


def put(folder, file, truth, label):
    "A copy of a picture in the folder of a label; its name tells the truth"
    place = folder/label
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, place/f'{truth}-{file.name}')


def trained(folder, seed):
    "As in the lesson"
    set_seed(seed)
    learn = make_learner(folder_dls(folder, size=128, seed=seed, workers=0), metrics=error_rate)
    with learn.no_bar(), learn.no_logging(): quick_tune(learn, seconds=10)
    return learn


@lru_cache(maxsize=5)
def outcome(seed):
    "Other pictures have wrong labels, the split and the head are others; all that is measured"
    with tempfile.TemporaryDirectory() as work:
        root = Path(work).resolve()
        pictures = [(file, kind) for kind in KINDS for file in sorted((pack('streets')/'photos'/kind).glob('*.jpg'))]
        random.Random(seed).shuffle(pictures)
        for at,(file,truth) in enumerate(pictures[:240]):
            label = KINDS[1-KINDS.index(truth)] if at<12 else truth
            put(root, file, truth, label)
        return results(root, seed)


def results(root, seed):
    "Train on a set with wrong labels, and ask the model"
    learn = trained(root, seed)
    with learn.no_bar():
        frame = predictions(learn)
        lakes = learn.dls.test_dl(get_image_files(pack('lakes'))[:60])
        sure_of_lakes = learn.get_preds(dl=lakes)[0].max(1).values.mean().item()
        first = find_label_issues(learn).head(30)
    found = sum(is_misplaced(file) for file in first.file)
    less_error = calibration_error(frame, 5)-calibration_error(cross_tempered(frame), 5)
    return dict(lakes=sure_of_lakes, found=found/12, less_error=less_error)


def far_off(seed):
    "The share of validation sets of 40 pictures whose accuracy is more than a point from the true 90%"
    rights = np.random.default_rng(seed).binomial(40, .9, size=4000)
    return float(np.mean(abs(rights/40-.9)>.01))


MEASURES = {
    '4.a': far_off,
    '4.b': lambda seed: outcome(seed)['lakes'],
    '4.c': lambda seed: outcome(seed)['less_error'],
    '4.d': lambda seed: outcome(seed)['found']}
