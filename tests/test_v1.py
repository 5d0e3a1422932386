"Old code, explained: no name of fastai v1 without a note, today's side of the table is there, and the calls that are shown really run"
import ast, builtins, csv, importlib, inspect, json, re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from fastclass.engine.base.errors import DataError
from fastclass.engine.datablock.v1 import explain_v1, v1_names

pytestmark = [pytest.mark.usefixtures('one_thread'), pytest.mark.filterwarnings('ignore::DeprecationWarning', 'ignore::FutureWarning', 'ignore::UserWarning')]
STAR = 'from fastai.vision import *\n'
SMALL = 'model = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))\n'


@pytest.fixture(autouse=True)
def quiet(capsys): return capsys


def told(code): return {o.was for o in explain_v1(code)}
def calls(code): return [o.call for o in explain_v1(code) if o.call]


# ---- the table

def rows(): return [o for name,o in v1_names().items() if not name.startswith('.')]
def functions(): return [o for o in rows() if '(' not in o.name and not o.gives.endswith('module') and o.gives!='other']


def test_names_are_told_as_they_stand():
    missing = []
    for o in functions():
        owner = o.name.split('.')[0]
        code = f'from fastai.basics import *\nx = {o.name}\n'
        if owner!='Path' and o.name not in told(code): missing.append(o.name)
    assert not missing


def test_modules_are_told():
    for o in rows():
        if o.gives.endswith('module') and o.name.startswith('fastai') and not o.name.endswith('.all'):
            assert o.name in told(f'from {o.name} import *\n') and o.name in told(f'import {o.name} as m\n')


def test_arguments_are_told():
    missing = []
    for o in functions():
        for argument in o.arguments.split():
            notes = told(f'{o.name}({argument}=some)\n')
            if f'{o.name}({argument}=)' not in notes: missing.append(f'{o.name}({argument}=)')
    assert not missing


RECORDED = '''ImageDataBunch ImageList SegmentationItemList PointsItemList ObjectItemList TextList TabularList CollabList DataBunch DatasetType
TextLMDataBunch TextClasDataBunch TabularDataBunch CollabDataBunch cnn_learner create_cnn unet_learner tabular_learner collab_learner text_classifier_learner
language_model_learner Learner Recorder LearnerCallback SaveModelCallback EarlyStoppingCallback ReduceLROnPlateauCallback CSVLogger ShowGraph MixUpCallback
get_transforms rotate zoom crop_pad flip_lr dihedral cutout symmetric_warp rand_resize_crop imagenet_stats open_image open_mask pil2tensor image2np show_image
download_images verify_images untar_data URLs accuracy accuracy_thresh error_rate fbeta dice KappaScore FBeta MultiLabelFbeta AUROC mean_squared_error
ClassificationInterpretation DatasetFormatter ImageCleaner FloatList CategoryList MultiCategoryList ResizeMethod load_learner add_datepart Categorify FillMissing
one_cycle_scheduler GeneralScheduler TrainingPhase hook_outputs model_sizes to_fp16 AdaptiveConcatPool2d conv_layer bn_drop_lin create_head create_body
split_model requires_grad to_np ifnone listify partition uniqueify defaults AWD_LSTM Tokenizer Vocab GANLearner CycleGANTrainer DynamicUnet'''.split()
METHODS = '''Learner.fit_one_cycle Learner.lr_find Learner.get_preds Learner.TTA Learner.validate Learner.predict Learner.export Learner.show_results Learner.freeze_to
Recorder.plot Recorder.plot_losses Recorder.plot_lr Recorder.plot_metrics Recorder.min_grad_lr DataBunch.show_batch DataBunch.add_test DataBunch.test_ds
DataBunch.one_batch ItemList.split_by_rand_pct ItemList.split_none ItemList.label_from_re ItemList.label_from_df ItemList.databunch
ClassificationInterpretation.plot_top_losses ClassificationInterpretation.most_confused Category.obj Vocab.itos Image.apply_tfms Callback.on_epoch_end'''.split()


def test_the_table_is_complete_for_what_books_use():
    assert not [o for o in RECORDED+METHODS if o not in v1_names()]
    assert len(rows())>2500


def today():
    "The names of today's fastai"
    import fastai.callback.all, fastai.collab, fastai.distributed, fastai.tabular.all, fastai.test_utils, fastai.text.all, fastai.vision.all, fastai.vision.gan
    import fastai.vision.models.xresnet, fastai.vision.widgets
    modules = [fastai.vision.all, fastai.text.all, fastai.tabular.all, fastai.collab, fastai.callback.all, fastai.distributed, fastai.vision.widgets, fastai.vision.gan,
               fastai.vision.models.xresnet, fastai.test_utils]
    return {name: getattr(m, name) for m in reversed(modules) for name in dir(m)}


def test_what_is_called_todays_is_there(path):
    from fastai.vision.all import ClassificationInterpretation, CrossEntropyLossFlat, ImageDataLoaders, Learner, Resize, accuracy, nn
    dls = ImageDataLoaders.from_folder(path/'split', item_tfms=Resize(32), bs=4, num_workers=0)
    learn = Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(3*32*32, 2)), loss_func=CrossEntropyLossFlat(), metrics=accuracy)
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    living = dict(DataLoaders=dls, DataLoader=dls.train, Datasets=dls.train_ds, Learner=learn, Recorder=learn.recorder, Numericalize=type('N', (), dict(o2i=0, encodes=0, decodes=0)))
    living |= dict.fromkeys(('Interpretation', 'ClassificationInterpretation'), ClassificationInterpretation.from_learner(learn))
    names,wrong = today(),[]
    for o in functions():
        if not o.now or o.now.isdigit() or o.now.startswith(('Callback.', 'TensorBoardCallback')): continue
        first,*rest = o.now.split('.')
        thing = living.get(first) if rest else None
        thing = names.get(first) if thing is None else thing
        if thing is None or not all(hasattr(thing, part) or hasattr(names.get(first), part) for part in rest): wrong.append((o.name, o.now))
    assert not wrong
    from fastai.callback.core import _events
    assert {o.now.split('.')[1] for o in functions() if o.name.startswith('Callback.on_')} <= set(_events)


def test_modules_of_today_can_be_imported():
    for o in rows():
        if o.gives.endswith('module') and o.now: importlib.import_module(o.now)


def test_names_in_calls_of_today_are_there():
    names,wrong = today(),[]
    for o in functions():
        text = re.sub(r'[<>]|!\w+:', '', o.today) if o.today else ''
        for word in re.findall(r'(?<![\w.\'"{])([A-Za-z_]\w*)(?=\()', text):
            if word not in names and not hasattr(builtins, word) and word!='o': wrong.append((o.name, word))
    assert not wrong


def test_arguments_of_today_are_there():
    "Where the call of today is one of a function: its arguments by name"
    names,wrong = today(),[]
    for o in functions():
        found = re.match(r'([A-Z]\w*\.)?(\w+)\(', o.today)
        if not found or '.dataloaders(' in o.today or o.today.startswith('+'): continue
        thing = names.get((found[1] or found[2]).rstrip('.'))
        thing = getattr(thing, found[2], None) if found[1] else thing
        try: parameters = inspect.signature(thing).parameters
        except (TypeError, ValueError): continue
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()): continue
        said = re.findall(r'^[<]?,?\s*(\w+)=', '\n'.join(re.split(r'(?=<,)', o.today)), re.M)
        wrong += [(o.name, key) for key in said if key not in parameters and key not in ('ps', 'embed_p', 'use_bn', 'bn_final', 'pad_mode', 'method', 'num_workers')]
    assert not wrong


# ---- reading

def test_nothing_is_lost_in_other_ways_to_name_it():
    assert 'ImageDataBunch.from_folder' in told('import fastai.vision as v\ndata = v.ImageDataBunch.from_folder(path)')
    assert 'ImageDataBunch.from_folder' in told('import fastai\nfastai.vision.ImageDataBunch.from_folder(path)')
    assert 'ImageDataBunch.from_folder' in told('from fastai.vision import ImageDataBunch as Bunch\nBunch.from_folder(path)')
    assert 'ImageDataBunch.from_folder' in told('from fastai import vision\nvision.ImageDataBunch.from_folder(path)')
    assert 'ImageDataBunch.from_folder' in told('from fastai import *\nBunch = ImageDataBunch\nBunch.from_folder(path)')
    assert {'Learner.fit_one_cycle', 'Learner.data', 'DataBunch.classes'} <= told('def f(model):\n    model.fit_one_cycle(1)\n    return model.data.classes')
    assert 'Learner.mixup' in told(STAR+'learn = cnn_learner(data, models.resnet18).mixup()')


def test_a_name_of_the_program_is_its_own():
    assert not told('def accuracy(a, b): return 1\nzoom = 3\nprint(accuracy(zoom, 2))')
    assert not told('from sklearn.metrics import accuracy_score as accuracy\naccuracy(1, 2)')
    assert not told('import numpy as np, pandas as pd\ndf = pd.read_csv(f)\ndf.fit(1)\nnp.random.seed(1)\nx = [1]\nx.sort()\ndf.plot()')
    assert 'accuracy' in told(STAR+'accuracy = accuracy(preds, y)')


def test_an_unknown_name_of_fastai_is_told():
    assert 'fastai.vision.no_such_thing' in told('from fastai.vision import no_such_thing')
    assert 'cnn_learner(no_such=)' in told('cnn_learner(data, models.resnet18, no_such=1)')


def test_arguments_behind_partial():
    assert {'fbeta(thresh=)', 'accuracy_thresh(thresh=)'} <= told(STAR+'a = partial(fbeta, thresh=.2)\nb = [partial(accuracy_thresh, thresh=.3)]')


def test_a_link_without_a_counterpart_is_told_by_hand():
    call = calls(STAR+'data = ImageList.from_folder(path).presort().split_none().label_from_folder().databunch()')[0]
    assert '# by hand: ItemList.presort\n' in call


def test_a_method_under_another_name_has_no_call_with_a_wrong_owner():
    assert {'Learner.fit', 'Learner.fit(epochs=)'} <= told(STAR+'f = learn.fit\nf(2)')
    assert calls(STAR+'f = learn.fit\nf(2)')==[]


def test_callbacks_of_ones_own():
    notes = told(STAR+'class Mine(LearnerCallback):\n    def on_batch_end(self, last_loss, **kwargs): return self.learn.data.train_ds\n')
    assert {'LearnerCallback', 'Callback.on_batch_end', 'last_loss', 'Learner.data', 'DataBunch.train_ds'} <= notes


def test_todays_program_has_only_what_is_left_of_v1():
    code = '''from fastai.vision.all import *
files = get_image_files(path)
dls = ImageDataLoaders.from_folder(path, valid_pct=.2, item_tfms=Resize(64), batch_tfms=aug_transforms())
learn = vision_learner(dls, resnet18, metrics=accuracy, cbs=SaveModelCallback(fname='a'))
learn.fine_tune(3, 1e-3)
learn.validate(dl=dls.valid)
learn.export()
'''
    assert not told(code)
    assert told(code+'tfms = get_transforms()\nlearn = cnn_learner(dls, models.resnet18)')=={'get_transforms', 'cnn_learner', 'models.resnet18'}


def test_a_program_without_fastai(capsys):
    assert explain_v1('x = 1')==[] and 'Nothing of fastai v1' in capsys.readouterr().out


def test_every_place_is_printed(capsys):
    notes = explain_v1(STAR+'learn = cnn_learner(data, models.resnet34)\nlearn.fit_one_cycle(4)')
    out = capsys.readouterr().out
    assert all(o.was in out for o in notes) and 'Line 2' in out and 'vision_learner(data, resnet34)' in out and 'learn.fit_one_cycle(4)' in out


def cells(*sources): return dict(nbformat=4, nbformat_minor=4, metadata={}, cells=[dict(cell_type='code', source=o, metadata={}, outputs=[]) for o in sources])


def test_notebooks(tmp_path):
    code = cells(['%matplotlib inline\n', '!pip install fastai\n', STAR], 'files = !ls\n%time learn.fit(1)\nlearn.lr_find?', '%%time\nlearn.unfreeze()', '%%bash\necho (')
    (tmp_path/'a.ipynb').write_text(json.dumps(code))
    for form in (code, json.dumps(code), tmp_path/'a.ipynb', str(tmp_path/'a.ipynb')):
        where = {(o.cell, o.line, o.was) for o in explain_v1(form)}
        assert {(1, 3, 'fastai.vision'), (2, 2, 'Learner.fit'), (2, 3, 'Learner.lr_find'), (3, 2, 'Learner.unfreeze')} <= where


def test_magics_do_not_hide_other_lines():
    code = 'x = 5\ny = (x\n     % 3)\ntext = """\n!not a command\n%nor this\n"""\n%load_ext autoreload\nif x:\n    !ls\nlearn.fit_one_cycle(1)'
    assert [o.line for o in explain_v1(code) if o.was=='Learner.fit_one_cycle' and not o.call]==[11]


@pytest.mark.parametrize('code, line', [('learn.fit_one_cycle(1)\nprint learn.data\nlearn.TTA()', 2), ('learn.fit_one_cycle(1)\nx = learn.lr_find(\n', 2),
                                        ('def f(:\n    learn.fit_one_cycle(1)', 1)])
def test_no_python(code, line, capsys):
    with pytest.raises(DataError, match=f'Line {line} is no Python'): explain_v1(code)
    out = capsys.readouterr().out
    assert 'Learner.fit_one_cycle' in out and (line!=2 or re.search('Learner.(data|lr_find)', out))


@pytest.mark.parametrize('code', [None, 3, b'x', [], 'no_such.py', 'no_such.ipynb', '{"cells": [', '{"cells": [{"cell_type": "code", "source": 3}]}', {'cells': 3}, {},
                                  {'nbformat': 3, 'worksheets': [{'cells': []}]}])
def test_what_is_no_program(code):
    with pytest.raises(DataError, match='no program'): explain_v1(code)


def test_odd_programs_end_in_notes_or_a_data_error(tmp_path):
    (tmp_path/'latin.py').write_bytes('# -*- coding: latin-1 -*-\nx = "é"\nlearn.TTA()'.encode('latin-1'))
    assert 'Learner.TTA' in told(tmp_path/'latin.py')
    for code in ('', '\n', '\ufefflearn.TTA()', 'a\x00b', '('*500, 'x'+'.a'*3000, 'x'+'.fit(1)'*900, 'x = '+'a+'*3000+'1', '-'*5000+'1', 'lambda *, learn=1: learn.fit(1)', 'cnn_learner(*a, **b)', 'partial()', 'learn.fit(*x)'):
        try: explain_v1(code)
        except DataError as e: assert e.next


# ---- today's calls

def save(file, seed, size=(40, 36)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize(size).save(file)


@pytest.fixture
def path(tmp_path):
    "Two classes as class folders, as train and valid folders, as tables and as names"
    for i in range(20):
        kind = ('cat', 'dog')[i%2]
        save(tmp_path/'flat'/kind/f'{i}.png', i)
        save(tmp_path/'split'/('valid' if i<6 else 'train')/kind/f'{i}.png', i)
        save(tmp_path/'named'/f'{kind}_{i}.jpg', i)
    for name,label in (('labels.csv', ('cat', 'dog')), ('tags.csv', ('cat small', 'dog big')), ('marks.csv', ('1.5', '2.5'))):
        with open(tmp_path/name, 'w', newline='') as f:
            csv.writer(f).writerows([('name', 'label'), *((f'{("cat", "dog")[i%2]}_{i}', label[i%2]) for i in range(20))])
    return tmp_path


def run(code, path, before='', only=''):
    "Execute the calls of today that are shown; what they defined"
    names = dict(path=path)
    exec('from fastai.vision.all import *\n'+before, names)
    shown = [o.call for o in explain_v1(STAR+code) if o.call and only in o.call]
    for call in shown: exec(compile(call, 'today', 'exec'), names)
    plt.close('all')
    assert shown
    return names


@pytest.mark.parametrize('call', [
    "from_folder(path/'flat', train='.', valid_pct=.2", "from_folder(path/'split'", "from_folder(path/'flat', valid_pct=0.2, classes=['cat', 'dog'], seed=3",
    "from_df(path, pd.read_csv(path/'labels.csv'), folder='named', suffix='.jpg', valid_pct=.2",
    "from_df(path, pd.read_csv(path/'labels.csv'), 'named', None, .2, 7, suffix='.jpg'",
    "from_csv(path, folder='named', suffix='.jpg', csv_labels='labels.csv'", "from_csv(path, 'named', suffix='.jpg', label_delim=' ', csv_labels='tags.csv'",
    "from_lists(path, sorted((path/'named').iterdir()), [o.name[:3] for o in sorted((path/'named').iterdir())]",
    "from_name_func(path, get_image_files(path/'named'), label_func=func", "from_name_re(path, get_image_files(path/'named'), r'/([^/_]+)_[^/]+.jpg$'"])
@pytest.mark.parametrize('tfms', ['ds_tfms=tfms, size=32, bs=4, num_workers=0', 'bs=4, num_workers=0, size=(32, 32), resize_method=ResizeMethod.SQUISH, ds_tfms=get_transforms()',
                                  'num_workers=0, bs=4, size=32, ds_tfms=([flip_lr(p=.5), rotate(degrees=(-10, 10))], [])'])
def test_each_way_that_data_came(path, call, tfms):
    got = run(f'np.random.seed(42)\ntfms = get_transforms(True, False, 15., xtra_tfms=[crop_pad()])\ndata = ImageDataBunch.{call}, {tfms})\ndata.normalize(imagenet_stats)\n', path,
              'def func(file): return file.name[:3]\n')
    xb,yb = got['data'].one_batch()
    assert tuple(xb.shape)==(4, 3, 32, 32) and set(got['data'].vocab) in ({'cat', 'dog'}, {'cat', 'dog', 'big', 'small'})
    done = [type(t).__name__ for t in got['data'].train.after_batch.fs]
    assert 'Normalize' in done and {'Flip', 'AffineCoordTfm', 'Rotate'} & set(done)


@pytest.mark.parametrize('links, vocab', [
    ("ImageList.from_folder(path/'flat').split_by_rand_pct(.2, seed=1).label_from_folder()", ['cat', 'dog']),
    ("ImageList.from_folder(path/'flat').split_by_rand_pct().label_from_folder()", ['cat', 'dog']),
    ("ImageList.from_folder(path/'split').split_by_folder(train='train', valid='valid').label_from_folder(classes=['cat', 'dog'])", ['cat', 'dog']),
    ("ImageList.from_folder(path/'named').split_by_idx([0, 1]).label_from_re(r'/([^/_]+)_[^/]+.jpg$')", ['cat', 'dog']),
    ("ImageList.from_folder(path/'named').split_by_valid_func(is_valid).label_from_func(kind)", ['cat', 'dog']),
    ("ImageList.from_df(pd.read_csv(path/'labels.csv'), path, folder='named', suffix='.jpg').split_by_rand_pct().label_from_df()", ['cat', 'dog']),
    ("ImageList.from_csv(path, 'tags.csv', folder='named', suffix='.jpg').random_split_by_pct(.2).label_from_df(label_delim=' ')", ['big', 'cat', 'dog', 'small']),
    ("ImageList.from_csv(path, 'marks.csv', folder='named', suffix='.jpg').split_by_rand_pct(.2).label_from_df(cols='label', label_cls=FloatList)", None)])
@pytest.mark.parametrize('form', ['data = {}.transform(get_transforms(), size=32).databunch(bs=4, num_workers=0).normalize(imagenet_stats)',
                                  'tfms = get_transforms()\nsrc = {}\ndata = src.transform(tfms, size=32).databunch(bs=4, num_workers=0)\ndata.normalize(imagenet_stats)',
                                  'src = {}\nsrc = src.transform(get_transforms(), size=32)\ndata = src.databunch(num_workers=0, bs=4)\ndata = data.normalize()'])
def test_the_old_data_block_in_one_statement_or_several(path, links, vocab, form):
    got = run(form.format(links), path, 'def is_valid(o): return o.name in ("cat_0.jpg", "dog_1.jpg")\ndef kind(o): return o.name[:3]\n')
    xb,yb = got['data'].one_batch()
    assert tuple(xb.shape)==(4, 3, 32, 32)
    assert vocab is None and yb.dtype.is_floating_point and yb.min()>=1.5 or list(got['data'].vocab)==vocab
    assert 'Normalize' in [type(t).__name__ for t in got['data'].train.after_batch.fs]


def test_masks(path):
    for i in range(8):
        save(path/'seg'/'images'/f'{i}.png', i)
        (path/'seg'/'labels').mkdir(exist_ok=True)
        Image.fromarray(np.full((36, 40), i%2, dtype=np.uint8)).save(path/'seg'/'labels'/f'{i}_P.png')
    got = run('''data = (SegmentationItemList.from_folder(path/'seg'/'images').split_by_rand_pct(.25).label_from_func(get_y, classes=codes)
        .transform(get_transforms(), size=32, tfm_y=True).databunch(bs=2, num_workers=0).normalize(imagenet_stats))
mask = open_mask(get_y(path/'seg'/'images'/'0.png'))''', path, "codes = ['a', 'b']\ndef get_y(x): return x.parent.parent/'labels'/f'{x.stem}_P.png'\n")
    xb,yb = got['data'].one_batch()
    assert tuple(xb.shape)==(2, 3, 32, 32) and tuple(yb.shape)==(2, 32, 32)


def test_training_and_what_comes_after(path, monkeypatch):
    monkeypatch.chdir(path)
    got = run('''data = ImageDataBunch.from_folder(path/'split', size=32, bs=4, num_workers=0)
data.show_batch(rows=2, figsize=(4, 4))
learn = Learner(data, model, metrics=[accuracy, error_rate], loss_func=CrossEntropyFlat(), callback_fns=[ShowGraph, partial(CSVLogger, filename='log')])
learn.fit_one_cycle(2, max_lr=1e-2, moms=(.9, .8), callbacks=[SaveModelCallback(learn, every='improvement', monitor='accuracy', name='best', mode='max')])
learn.fit(1, callbacks=[EarlyStoppingCallback(learn, monitor='val_loss', patience=3), SaveModelCallback(learn, every='epoch', name='each')])
learn.recorder.plot_losses()
learn.recorder.plot_lr()
learn.show_results(rows=2)
loss = learn.validate(data.valid_dl)
preds, y = learn.get_preds(ds_type=DatasetType.Test)
valid, yv = learn.get_preds(DatasetType.Valid)
tta, _ = learn.TTA(ds_type=DatasetType.Valid)
interp = ClassificationInterpretation.from_learner(learn, ds_type=DatasetType.Valid)
interp.plot_top_losses(4, figsize=(4, 4), heatmap=True)
learn.export()
''', path, SMALL+"test_files = get_image_files(path/'split'/'valid')[:3]\n")
    assert [len(got[o]) for o in ('preds', 'valid', 'tta', 'loss')]==[3, 6, 6, 3]
    assert (path/'split'/'models'/'best.pth').is_file() and (path/'split'/'models'/'each_0.pth').is_file() and (path/'split'/'log.csv').is_file()


@pytest.mark.parametrize('code, shown', [
    ('learn = create_cnn(data, models.resnet18, metrics=[partial(fbeta, thresh=.2), KappaScore(), partial(accuracy_thresh, thresh=.3)])',
     "learn = vision_learner(data, resnet18, metrics=[FBetaMulti(2, thresh=0.2, average='samples'), CohenKappa(), partial(accuracy_multi, thresh=0.3)])"),
    ('learn = unet_learner(data, models.resnet34, metrics=dice, wd=wd)', 'learn = unet_learner(data, resnet34, metrics=Dice(), wd=wd)'),
    ('learn = tabular_learner(data, layers=[200, 100], ps=[.1, .2], emb_drop=.1, metrics=accuracy)',
     'learn = tabular_learner(data, layers=[200, 100], metrics=accuracy, config=tabular_config(ps=[0.1, 0.2], embed_p=0.1))'),
    ('learn = load_learner(path, "a.pkl")', "learn = load_learner(Path(path)/'a.pkl')"), ('learn = load_learner(path)', "learn = load_learner(Path(path)/'export.pkl')"),
    ('learn.fit_one_cycle(cyc_len=3, max_lr=slice(1e-4), wd=.1)', 'learn.fit_one_cycle(3, lr_max=slice(0.0001), wd=0.1)'),
    ('a, b = learn.fit(1), 2', 'learn.fit(1)'), ('x = [learn.TTA()]', 'learn.tta()'), ('x = f(learn.TTA())', 'learn.tta()'), ('a, b = learn.TTA()', 'a, b = learn.tta()'),
    ('learn = cnn_learner(data, models.resnet18, callback_fns=ShowGraph, callbacks=[MixUpCallback(learn, alpha=.3)])',
     'learn = vision_learner(data, resnet18, cbs=L([MixUp(0.3)])+L(ShowGraphCallback()))'),
    ('learn.fit(epochs=3, lr=lr)', 'learn.fit(3, lr=lr)'), ('learn.lr_find(start_lr=1e-6, wd=3)', '# by hand: wd=3\nlearn.lr_find(start_lr=1e-06)'),
    ("path = untar_data(URLs.PETS, dest=d)", "path = untar_data(URLs.PETS, data=d)"),
    ('download_images("u.csv", dest, max_workers=4)', "download_images(dest, url_file='u.csv', n_workers=4)")])
def test_calls_that_are_shown(code, shown):
    assert [re.sub(r'\s*\n\s+', ' ', o).replace('( ', '(') for o in calls(STAR+'learn = cnn_learner(data, models.resnet18)\n'+code)[1:]]==[shown]


def test_tables_and_ratings(path):
    code = '''from fastai.tabular import *
data = (TabularList.from_df(df, path=path, cat_names=['a'], cont_names=['b'], procs=[FillMissing, Categorify, Normalize])
        .split_by_idx(list(range(8))).label_from_df(cols='y').databunch(bs=8))
other = TabularDataBunch.from_df(path, df, 'y', valid_idx=range(8), procs=[Categorify], cat_names=['a'], cont_names=['b'], bs=8)
'''
    import pandas as pd
    names = dict(path=path, df=pd.DataFrame(dict(a=['u', 'v']*16, b=np.arange(32.), y=['p', 'q']*16)))
    exec('from fastai.tabular.all import *', names)
    for call in calls(code): exec(call, names)
    assert len(names['data'].valid_ds)==len(names['other'].valid_ds)==8 and list(names['data'].vocab)==['p', 'q']
    names = dict(ratings=pd.DataFrame(dict(user=[0, 1, 2, 3]*8, film=[i//4 for i in range(32)], rating=[1., 2., 3., 4.]*8)))
    exec('from fastai.collab import *\nfrom fastai.tabular.all import *', names)
    for call in calls('from fastai.collab import *\ndata = CollabDataBunch.from_df(ratings, seed=42, valid_pct=.2, bs=4)\nlearn = collab_learner(data, n_factors=3, y_range=(0, 5))'):
        exec(call, names)
    assert names['learn'].model is not None


def test_what_has_no_place_is_said():
    assert '# by hand: test=' in calls(STAR+"data = ImageDataBunch.from_folder(path, test='test', size=8)")[0]
    assert "# by hand: **kw" in calls(STAR+'learn = cnn_learner(data, models.resnet18, **kw)')[0]
    assert all(ast.parse(o) for o in calls(STAR+'cnn_learner(*a, **b)\naccuracy(*learn.get_preds())\ndata.show_batch(*n)'))


def test_a_name_that_stayed_is_told_once(capsys):
    explain_v1(STAR+'learn = cnn_learner(data, models.resnet18)\nlearn.fit(1)\nlearn.TTA(beta=.4)')
    out = capsys.readouterr().out
    assert '  Learner.fit. The learning rate' in out and 'Learner.fit -> Learner.fit' not in out
    for line in out.splitlines():
        was,arrow,now = line.partition(' -> ')
        assert not arrow or was.strip()!=now.partition('. ')[0]
