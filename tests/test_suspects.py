"Suspects: wrong labels come first, doubles are found, calibration is honest; on drawn data and on the real bears"
from pathlib import Path

import numpy as np, pandas as pd, pytest, torch
import fastai.callback.progress # gives Learner its no_bar
from fastai.vision import models
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import vision_learner
from PIL import Image, ImageDraw
from fastclass.engine.base.errors import DataError, UnsupportedError
from fastclass.engine.datablock.folder import scan_folder
from fastclass.engine.datablock.loaders import folder_dls
from fastclass.engine.finetune.weights import make_learner
from fastclass.engine.interpret.calibration import (calibration_error, cross_tempered, describe_reliability,
    fit_temperature, plot_reliability, reliability, unavoidable_error, with_temperature)
from fastclass.engine.interpret.label_issues import (out_of_fold_probabilities, linear_classifier, find_label_issues,
    find_near_duplicates)

pytestmark = pytest.mark.usefixtures('one_thread')

def clouds(n=300, classes=3, d=20, seed=0):
    "Points around a centre for each class, and their true classes"
    rng = np.random.default_rng(seed); y = np.arange(n)%classes
    return rng.normal(0, 1.5, (classes, d))[y]+rng.normal(0, 2, (n, d)),y

# ---- ranking

@pytest.mark.parametrize('seed', range(3))
def test_wrong_labels_come_first(seed):
    x,y = clouds(seed=seed); at = np.random.default_rng(seed).choice(300, 15, replace=False)
    wrong = y.copy(); wrong[at] = (y[at]+1)%3
    p = out_of_fold_probabilities(x, wrong, 3, seed=seed)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    assert np.isin(np.argsort(p[range(300), wrong])[:30], at).sum()>=12

def test_own_training_hides_them():
    "Why others have to judge: with many features, a classifier agrees with the wrong labels that it was trained on"
    x,y = clouds(n=90, d=300); wrong = y.copy(); wrong[:6] = (y[:6]+1)%3
    own = linear_classifier(90, penalty=1e-4).fit(x, wrong).predict_proba(x)
    assert (own[range(6), wrong[:6]]>.5).all() and (out_of_fold_probabilities(x, wrong, 3)[range(6), wrong[:6]]<.5).sum()>=5

def test_twins_do_not_vouch_for_each_other():
    x,y = clouds(n=60, d=200); x[1] = x[0]; y[:2] = (y[0]+1)%3 # the same picture twice, both with the wrong label
    alone = out_of_fold_probabilities(x, y, 3, seed=1)[0, y[0]]
    assert out_of_fold_probabilities(x, y, 3, groups=[0, 0, *range(2, 60)], seed=1)[0, y[0]]<=alone+1e-6

def test_too_few():
    with pytest.raises(DataError, match='too few'): out_of_fold_probabilities(np.zeros((1, 3)), [0], 2)
    with pytest.raises(DataError, match='one class is left'): out_of_fold_probabilities(np.zeros((9, 3)), [0]*8+[1], 2)

def test_a_class_that_some_parts_lack():
    x,y = clouds(n=60)
    y[0] = 3
    p = out_of_fold_probabilities(x, y, 5)
    assert p.shape==(60, 5) and p[0, 3]==0 and not p[:,4].any()
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)

# ---- a learner

@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    root,rng = tmp_path_factory.mktemp('set'),np.random.default_rng(0)
    for label in ('disc', 'box'):
        (root/label).mkdir()
        for i in range(15):
            im = Image.fromarray(np.repeat(np.repeat(rng.integers(60, 200, (4, 4, 3), np.uint8), 16, 0), 16, 1)); draw = ImageDraw.Draw(im)
            (draw.ellipse if label=='disc' else draw.rectangle)((14, 14, 50, 50), fill='black')
            im.save(root/label/f'{label}{i}.png')
    (root/'box'/'copy.png').write_bytes((root/'disc'/'disc3.png').read_bytes())
    Image.open(root/'disc'/'disc5.png').save(root/'disc'/'again.jpg', quality=90)
    return root

def test_table_of_a_learner(photos):
    dls = ImageDataLoaders.from_folder(photos, valid_pct=.3, seed=0, item_tfms=Resize(64), batch_tfms=aug_transforms(), bs=4, num_workers=0)
    learn = vision_learner(dls, models.squeezenet1_1, pretrained=False)
    t = find_label_issues(learn)
    assert list(t.columns)==['file', 'label', 'suggested', 'score', 'p_label', 'p_suggested', 'side', 'twin'] and len(t)==32
    assert {Path(o).name for o in t.file[:2]}=={'disc3.png', 'copy.png'} and (t.twin[:2]!='').all() and (t.twin[2:]=='').all()
    assert t.score[2:].is_monotonic_decreasing and (t.label!=t.suggested).all() and t.score.between(0, 1).all()
    assert set(t.side)=={'training', 'validation'} and (t.side=='validation').sum()==len(dls.valid_ds)
    pd.testing.assert_frame_equal(t, find_label_issues(learn)) # no chance in it, in spite of the augmentation
    learn.model[1].train(); assert find_label_issues(learn).score.equals(t.score)

def test_a_body_that_saw_the_labels_is_named(photos):
    dls = ImageDataLoaders.from_folder(photos, valid_pct=.3, seed=0, item_tfms=Resize(64), bs=4, num_workers=0)
    learn = vision_learner(dls, models.squeezenet1_1, pretrained=False); learn.unfreeze()
    with pytest.warns(UserWarning, match='fresh learner'): find_label_issues(learn)

def test_other_models_are_refused(photos):
    dls = ImageDataLoaders.from_folder(photos, valid_pct=.3, seed=0, item_tfms=Resize(64), bs=4, num_workers=0)
    from fastai.vision.learner import Learner
    with pytest.raises(UnsupportedError): find_label_issues(Learner(dls, torch.nn.Linear(3, 2), loss_func=torch.nn.functional.cross_entropy))

def test_twins(photos, tmp_path):
    (tmp_path/'no.png').write_bytes(b'no picture')
    files = [*sorted(o for o in photos.rglob('*') if o.is_file()), tmp_path/'no.png', tmp_path/'gone.png']
    t = find_near_duplicates(files, [o.parent.name for o in files])
    assert list(t.kind)==['two labels', 'same class'] and list(t.same_bytes)==[True, False] and t.bits[0]==0
    assert {Path(t.file[1]).name, Path(t.twin[1]).name}=={'disc5.png', 'again.jpg'}
    assert find_near_duplicates([], []).empty

# ---- calibration

def answers(z, truth):
    p = np.exp(z-z.max(1, keepdims=True)); p /= p.sum(1, keepdims=True); best = p.argmax(1)
    f = pd.DataFrame(dict(actual=truth.astype(str), predicted=best.astype(str), correct=best==truth, probability=p.max(1)))
    return f.assign(**{f'p_{i}': p[:, i] for i in range(p.shape[1])})

@pytest.fixture(scope='module')
def scores():
    rng = np.random.default_rng(0); z = rng.normal(0, 1.5, (3000, 3)); p = np.exp(z)/np.exp(z).sum(1, keepdims=True)
    return z,np.array([rng.choice(3, p=o) for o in p])

@pytest.mark.parametrize('sharp', [.5, 1, 2, 4])
def test_the_temperature_is_found(scores, sharp):
    f = answers(sharp*scores[0], scores[1]); t = fit_temperature(f)
    assert abs(t/sharp-1)<.12
    mended = with_temperature(f, t)
    assert calibration_error(mended)<.03 and list(mended.predicted.astype(str))==list(f.predicted)
    np.testing.assert_allclose(mended.filter(like='p_').sum(axis=1), 1)
    np.testing.assert_allclose(mended.probability, mended.filter(like='p_').max(axis=1))

def test_one_wrong_label_does_not_decide(scores):
    f = answers(scores[0][:100], scores[1][:100]); sure = int(f.probability.argmax())
    wrong = scores[1][:100].copy(); wrong[sure] = (int(f.predicted[sure])+1)%3
    assert fit_temperature(answers(scores[0][:100], wrong))/fit_temperature(f)<1.5

def test_no_picture_has_a_say_in_its_own_temperature(scores):
    z,y = 3*scores[0][:40],scores[1][:40]
    a = cross_tempered(answers(z, y), folds=40)
    for i in (0, 7):
        other = y.copy(); other[i] = (other[i]+1)%3
        b = cross_tempered(answers(z, other), folds=40)
        np.testing.assert_allclose(a.probability[i], b.probability[i])

def test_counting(scores):
    f = answers(scores[0], scores[1]); t = reliability(f, 10)
    assert t.pictures.sum()==3000 and ((t['from']<=t.accuracy) & (t.accuracy<=t.to)).all() and (t.confidence.between(t.low, t.high)).all()
    by_hand = sum(abs(g.probability.mean()-g.correct.mean())*len(g) for _,g in f.groupby((f.probability*10).astype(int).clip(upper=9)))/3000
    assert calibration_error(f)==pytest.approx(by_hand)
    assert unavoidable_error(f.head(50))>2*unavoidable_error(f)
    assert calibration_error(f)==pytest.approx(unavoidable_error(f), abs=.015)

def test_words_and_figure(scores, tmp_path):
    f = answers(3*scores[0], scores[1]); fig = plot_reliability(f, 5)
    fig.savefig(tmp_path/'f.png', dpi=60)
    words = describe_reliability(f, 5)
    assert 'too sure' in words and len(words.splitlines())==1+len(reliability(f, 5)) and f'{calibration_error(f, 5):.3f}' in words
    for bad in (lambda: with_temperature(f, 0), lambda: reliability(f, 0), lambda: cross_tempered(f.head(1)), lambda: fit_temperature(f.drop(columns='p_0'))):
        with pytest.raises(DataError): bad()

# ---- the bears

@pytest.fixture(scope='module')
def bears(shared, request):
    "Features of all bears by SqueezeNet with its weights, once"
    from fastclass.engine.interpret.label_issues import _all_pictures
    import contextlib, io
    with contextlib.redirect_stdout(io.StringIO()):
        dls = folder_dls(scan_folder(shared/'photos'/'bears', progress=False), size=128, workers=0)
        learn = make_learner(dls, 'squeezenet1_1')
    if not learn.weights.from_photos: pytest.skip('needs the SqueezeNet weights in ../shared')
    x,files,labels,sides = _all_pictures(learn)
    return x,np.array([dls.vocab.o2i[o] for o in labels]),np.array(sides)

@pytest.mark.parametrize('seed', range(3))
def test_swapped_bears(bears, seed):
    "5% of the labels swapped: at least 60% of them in the first tenth (97% were found)"
    x,y,_ = bears; rng = np.random.default_rng(seed); at = rng.choice(len(y), round(.05*len(y)), replace=False)
    wrong = y.copy(); wrong[at] = (y[at]+rng.integers(1, 3, len(at)))%3
    p = out_of_fold_probabilities(x, wrong, 3, seed=seed)
    assert np.isin(np.argsort(p[range(len(y)), wrong])[:round(.1*len(y))], at).sum()/len(at)>=.6

def test_calibrated_bears(bears):
    "Every bear is judged by a classifier and a temperature from other bears: error at most 0.05"
    x,y,_ = bears; p = out_of_fold_probabilities(x, y, 3)
    f = answers(np.log(p.clip(1e-9)), y); honest = cross_tempered(f)
    assert calibration_error(honest)<=.05

def test_known_doubles_of_the_bears(shared):
    files = sorted((shared/'photos'/'bears').rglob('*.jpg'))
    t = find_near_duplicates(files, [o.parent.name for o in files])
    same = t[t.same_bytes]
    assert list(same.kind)==['two labels', 'same class', 'same class'] and {same.label.iloc[0], same.twin_label.iloc[0]}=={'black', 'grizzly'}
    assert {frozenset(map(Path, (a, b))).__len__() for a,b in zip(same.file, same.twin)}=={2}
