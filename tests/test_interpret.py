"Interpretation: tables that agree with fastai, intervals that hold, and figures for every eye and odd input"
import io, math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch.nn as nn
import fastai.callback.progress # gives Learner its no_bar
from PIL import Image
from fastai.data.block import DataBlock, MultiCategoryBlock, RegressionBlock
from fastai.data.transforms import get_image_files
from fastai.interpret import ClassificationInterpretation
from fastai.losses import FocalLossFlat, LabelSmoothingCrossEntropyFlat
from fastai.vision import models
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.data import ImageBlock, ImageDataLoaders
from fastai.vision.learner import vision_learner
from fastclass.engine.base.errors import DataError, UnsupportedError
from fastclass.interpret import (accuracy_interval, confusion, describe_confusion, describe_top_losses, most_confused,
    per_class, plot_confusion, plot_top_losses, predictions, review, find_label_issues, top_losses)

ODD = ["it's $x_1$", '100% "b"', 'größe\nneu']

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    root,rng = tmp_path_factory.mktemp('photos'),np.random.default_rng(0)
    for i,label in enumerate(ODD):
        for j in range(7):
            file = root/label/f'{j} $a_b^c$ ä\'s.{"png" if j%2 else "jpg"}'; file.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8)).resize((60+9*j, 80-5*j)).save(file)
    return root

def loaders(photos, kind='folder', **kwargs):
    files = sorted(get_image_files(photos)); labels = [o.parent.name for o in files]
    args = dict(valid_pct=.5, seed=3, item_tfms=Resize(40), batch_tfms=aug_transforms(), bs=4, num_workers=0) | kwargs
    if kind=='folder': return ImageDataLoaders.from_folder(photos, **args)
    if kind=='lists': return ImageDataLoaders.from_lists(photos, files, labels, **args)
    return ImageDataLoaders.from_df(pd.DataFrame({'n': [str(o.relative_to(photos)) for o in files], 'l': labels}), photos, **args)

def learner(dls, **kwargs): return vision_learner(dls, models.squeezenet1_1, pretrained=False, **kwargs)

@pytest.fixture(scope='module')
def learn(photos): return learner(loaders(photos))

@pytest.fixture(scope='module')
def frame(learn):
    with learn.no_bar(): return predictions(learn)

def table(actual, predicted, names=None, loss=None):
    kind = pd.CategoricalDtype(names or sorted({*actual, *predicted}))
    n = len(actual); actual,predicted = pd.Categorical(actual, dtype=kind), pd.Categorical(predicted, dtype=kind)
    return pd.DataFrame(dict(file=[f'{i}.jpg' for i in range(n)], actual=actual, predicted=predicted, correct=np.asarray(actual)==np.asarray(predicted),
                             probability=.5, probability_of_actual=.5, loss=np.arange(n, dtype=float) if loss is None else loss))

def drawn(fig, tmp_path):
    "The figure as a picture, which must not be blank"
    fig.savefig(tmp_path/'f.png', dpi=60)
    im = Image.open(tmp_path/'f.png').convert('L')
    assert np.asarray(im).std()>5
    return im

# ---- the table

@pytest.mark.parametrize('kind', ['folder', 'lists', 'df'])
def test_predictions_for_any_dataloaders(photos, kind):
    learn = learner(loaders(photos, kind))
    with learn.no_bar():
        frame = predictions(learn)
        probs,targets,losses = learn.get_preds(with_loss=True)
    vocab = list(learn.dls.vocab)
    assert list(frame.columns)==['file', 'actual', 'predicted', 'correct', 'probability', 'probability_of_actual', 'loss', *[f'p_{o}' for o in vocab]]
    assert [Path(o).parent.name for o in frame.file]==list(frame.actual) and all(Path(o).is_file() for o in frame.file)
    np.testing.assert_allclose(frame[[f'p_{o}' for o in vocab]], probs, atol=1e-5)
    np.testing.assert_allclose(frame.loss, losses, atol=1e-5)
    assert [vocab[int(o)] for o in targets]==list(frame.actual) and [vocab[int(o)] for o in probs.argmax(1)]==list(frame.predicted)
    np.testing.assert_allclose(frame.probability, probs.max(1).values, atol=1e-6)
    np.testing.assert_allclose(frame.probability_of_actual, probs[range(len(probs)), targets], atol=1e-6)

def test_one_pass(learn, frame):
    calls = []
    handle = learn.model.register_forward_hook(lambda *args: calls.append(1))
    with learn.no_bar(): f = predictions(learn)
    assert len(calls)==math.ceil(len(f)/4)
    for func in (top_losses, confusion, describe_confusion, most_confused, per_class, plot_confusion, plot_top_losses): func(f)
    assert len(calls)==math.ceil(len(f)/4)
    handle.remove()

def test_other_loader_and_the_training_part(learn, photos):
    files = sorted(get_image_files(photos))[:5]
    with learn.no_bar():
        f = predictions(learn, learn.dls.test_dl(files, with_labels=True))
        assert list(f.file)==[str(o) for o in files] and list(f.actual)==[o.parent.name for o in files]
        assert len(predictions(learn, learn.dls.train))==len(learn.dls.train_ds)   # shuffled and drop_last, and still all of it, in order
        with pytest.raises(DataError, match='no labels'): predictions(learn, learn.dls.test_dl(files))

@pytest.mark.parametrize('loss', [nn.CrossEntropyLoss(), LabelSmoothingCrossEntropyFlat(), FocalLossFlat()], ids=lambda o: type(o).__name__)
def test_losses_give_probabilities(photos, loss):
    learn = learner(loaders(photos), loss_func=loss)
    with learn.no_bar(): f = predictions(learn)
    np.testing.assert_allclose(f.filter(like='p_').iloc[:, -3:].sum(axis=1), 1, atol=1e-5)
    assert f.loss.notna().all()

def test_other_tasks_are_refused(photos):
    blocks = [(MultiCategoryBlock, lambda o: [o.parent.name]), (RegressionBlock, lambda o: 1.)]
    for block,get_y in blocks:
        dls = DataBlock((ImageBlock, block), get_items=get_image_files, get_y=get_y, item_tfms=Resize(40)).dataloaders(photos, bs=4, num_workers=0)
        with pytest.raises(UnsupportedError, match='one class a picture'): predictions(learner(dls, n_out=3))

def test_a_csv_of_the_table_works_too(frame):
    back = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    assert confusion(back).equals(confusion(frame)) and describe_confusion(back)==describe_confusion(frame)
    with pytest.raises(DataError, match='no column predicted'): confusion(frame.drop(columns='predicted'))
    with pytest.raises(DataError, match='empty'): confusion(frame.iloc[:0])

# ---- mistakes

def test_top_losses_order_and_more_than_there_are(frame):
    assert top_losses(frame, 10**6).loss.is_monotonic_decreasing and len(top_losses(frame, 10**6))==len(frame)
    assert len(top_losses(frame, 2))==2
    with pytest.raises(DataError, match='k is 0'): top_losses(frame, 0)

@pytest.mark.parametrize('k', [1, 2, 3, 5, 1000])
def test_top_losses_figure(frame, tmp_path, k):
    fig = plot_top_losses(frame, k)
    drawn(fig, tmp_path)
    used = [ax for ax in fig.axes if ax.get_title()]
    assert len(used)==min(k, len(frame))
    worst = top_losses(frame, 1).iloc[0]
    assert f'said {worst.predicted}' in used[0].get_title() and f'is {worst.actual}' in used[0].get_title() and f'{worst.loss:.2f}' in used[0].get_title()
    assert 'probability' in fig._suptitle.get_text()

def test_top_losses_figure_with_pictures_that_are_gone(tmp_path):
    fig = plot_top_losses(table(list('aab'), list('aba')), 3)
    drawn(fig, tmp_path)
    assert [t.get_text() for ax in fig.axes for t in ax.texts]==['cannot be read']*3

# ---- confusion

def test_confusion_is_fastais(learn, frame):
    with learn.no_bar(): theirs = ClassificationInterpretation.from_learner(learn).confusion_matrix()
    assert (confusion(frame).to_numpy()==theirs).all()

def test_a_class_that_is_absent_keeps_its_place(tmp_path):
    f = table(list('aabb'), list('abbb'), names=['a', 'b', 'ghost'])
    m = confusion(f)
    assert list(m.index)==list(m.columns)==['a', 'b', 'ghost'] and m.loc['ghost'].sum()==0
    assert 'ghost: no pictures.' in describe_confusion(f)
    assert math.isnan(per_class(f).recall['ghost']) and math.isnan(per_class(f).precision['ghost'])
    drawn(plot_confusion(f), tmp_path)

def test_text_has_every_number_of_the_figure(frame, tmp_path):
    f = table(list('aaaaabbbbccc'), list('aabbcbbbaccc'))
    text,m = describe_confusion(f),confusion(f)
    assert text.splitlines()[0]=='12 pictures of 3 classes: 8 right (67%), 4 wrong.'
    for a in m.index:
        line = next(o for o in text.splitlines() if o.startswith(f'{a}:'))
        assert f'{m.loc[a].sum()} pictures, {m.at[a, a]} right' in line
        for p in m.columns:
            if a!=p: assert (f'{m.at[a, p]} called {p}' in line)==(m.at[a, p]>0)
    drawn(plot_confusion(frame), tmp_path)

@pytest.mark.parametrize('n', [1, 2, 9, 30, 31, 120])
def test_confusion_figure_of_many_classes(tmp_path, n):
    rng = np.random.default_rng(0); names = [f'class {i:03} with quite a long $name' for i in range(n)]
    actual = [names[i] for i in rng.integers(0, n, 300)]
    fig = plot_confusion(table(actual, actual[::-1], names))
    im = drawn(fig, tmp_path)
    assert max(im.size)<1300 and len(fig.axes[0].texts)==(n*n if n<=30 else 0)

def test_numbers_in_cells_can_be_read():
    from matplotlib.colors import to_rgb
    f = table(['a']*10+['b']*10, ['a']*6+['b']*4+['a']*1+['b']*9)
    ax = plot_confusion(f).axes[0]; image = ax.images[0]
    def light(c): return sum(w*(v/12.92 if v<=.04045 else ((v+.055)/1.055)**2.4) for w,v in zip((.2126, .7152, .0722), c))
    for t in ax.texts:
        j,i = (int(o) for o in t.get_position()); back,front = light(image.cmap(image.norm(image.get_array()[i, j]))[:3]),light(to_rgb(t.get_color()))
        assert (max(back, front)+.05)/(min(back, front)+.05)>=4.3
    shades = [light(image.cmap(v)[:3]) for v in np.linspace(0, 1, 50)]
    assert all(a>b for a,b in zip(shades, shades[1:]))   # one hue, darker and darker: it survives grey print and colour blindness

def test_most_confused():
    f = table(list('aaaabbbc'), list('abbbbaac'))
    m = most_confused(f)
    assert m.to_dict('list')=={'actual': ['a', 'b'], 'predicted': ['b', 'a'], 'count': [3, 2], 'share': [.75, 2/3]}
    assert len(most_confused(f, 3))==1 and most_confused(table(list('ab'), list('ab'))).empty

# ---- intervals

@pytest.mark.parametrize('correct,n,low,high', [(0, 10, 0, .2775), (10, 10, .7225, 1), (50, 100, .4038, .5962), (81, 263, .2553, .3662), (1, 29, .0061, .1718)])
def test_wilson_against_published_values(correct, n, low, high):
    "81/263 and 1/29 are in R. G. Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3"
    np.testing.assert_allclose(accuracy_interval(correct, n), (low, high), atol=1e-4)

@pytest.mark.parametrize('args', [(1, 0), (-1, 5), (6, 5), (1, 2, 0), (1, 2, 1), (1, 2, 95)])
def test_impossible_intervals(args):
    with pytest.raises(DataError): accuracy_interval(*args)

def test_per_class_adds_up(frame):
    t = per_class(frame)
    assert t.pictures.sum()==len(frame)==t.said.sum() and t.right.sum()==frame.correct.sum()
    assert ((t.low<=t.recall) & (t.recall<=t.high)).all()

# ---- words, review, and what the module takes with it

def test_top_losses_in_words(frame):
    said = describe_top_losses(frame, 1000); worst = top_losses(frame, 1).iloc[0]
    assert len(said.splitlines())>=len(frame) and f'is labelled {worst.actual}' in said.partition('\n2. ')[0] and f'loss {worst.loss:.2f}' in describe_top_losses(frame, 1)

def test_training_part_without_augmentation(photos):
    learn = learner(loaders(photos, batch_tfms=aug_transforms(max_rotate=90., p_affine=1.)))
    with learn.no_bar():
        a,b = (predictions(learn, learn.dls.train) for _ in range(2))
        assert a.equals(b)

def test_review_of_a_learner(photos, tmp_path):
    learn = learner(loaders(photos)); table = find_label_issues(learn)
    r = review(learn, k=5, table=table, log=tmp_path/'r.csv')
    assert len(r.rows)==5 and r.classes==sorted(ODD) and [photos/o['file'] for o in r.rows]==[Path(o) for o in table.file[:5]]
    assert len(review(learn, k=10**6, table=table, log=tmp_path/'r.csv').rows)==len(table)
    with pytest.raises(DataError, match='k is 0'): review(learn, 0, table=table)

def test_the_module_uses_what_it_imports():
    import ast, fastclass.interpret
    tree = ast.parse(Path(fastclass.interpret.__file__).read_text(encoding='utf-8'))
    names = {a.asname or a.name for o in tree.body if isinstance(o, (ast.Import, ast.ImportFrom)) for a in o.names}-{'annotations'}
    used = {o.id for o in ast.walk(tree) if isinstance(o, ast.Name)} | set(fastclass.interpret.__all__)
    assert names<=used and set(fastclass.interpret.__all__)<=set(dir(fastclass.interpret))
