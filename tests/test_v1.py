"Old code, translated, really runs on today's fastai: each test executes what came out on a small folder"
import csv, functools, threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from fastclass.engine.base.errors import DataError
from fastclass.engine.datablock.translate import translate_v1

pytestmark = [pytest.mark.usefixtures('one_thread'), pytest.mark.filterwarnings('ignore::DeprecationWarning', 'ignore::FutureWarning', 'ignore::UserWarning')]
SMALL = 'model = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))\n'


def save(file, seed, size=(40, 36)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize(size).save(file)


@pytest.fixture
def path(tmp_path):
    "Two classes as class folders, as train, valid and test folders, as tables and as names"
    for i in range(20):
        kind = ('cat', 'dog')[i%2]
        save(tmp_path/'flat'/kind/f'{i}.png', i)
        save(tmp_path/'split'/('valid' if i<6 else 'train')/kind/f'{i}.png', i)
        save(tmp_path/'named'/f'{kind}_{i}.jpg', i)
    for i in range(3): save(tmp_path/'split'/'test'/f'{i}.png', 100+i)
    for name, labels in (('labels.csv', ('cat', 'dog')), ('tags.csv', ('cat small', 'dog big'))):
        with open(tmp_path/name, 'w', newline='') as f:
            csv.writer(f).writerows([('name', 'label'), *((f'{("cat", "dog")[i%2]}_{i}', labels[i%2]) for i in range(20))])
    return tmp_path


def run(code, path, star='from fastai.vision import *\n'):
    "Translate and execute; what the program defined"
    new = translate_v1(star+code)
    names = dict(path=path)
    exec(compile(new.code, 'translated', 'exec'), names)
    plt.close('all')
    assert not [n for n in new.notes if not n.new and n.why and 'left' in str(n) and n.old!='classes='], new.notes
    again = translate_v1(new.code)
    assert again.code==new.code and not again.notes, 'what was translated is translated'
    return names


def test_the_first_model_of_a_course(path, capsys):
    got = run('''np.random.seed(42)
data = ImageDataBunch.from_folder(path/'flat', train=".", valid_pct=0.2, ds_tfms=get_transforms(do_flip=False, max_zoom=1.), size=32, bs=4, num_workers=0).normalize(imagenet_stats)
data.show_batch(rows=2, figsize=(4, 4))
data.show_batch(rows=2, ds_type=DatasetType.Valid)
names = data.classes
n = len(data.train_ds), len(data.valid_ds), data.c
learn = cnn_learner(data, models.squeezenet1_1, pretrained=False, metrics=error_rate)
learn.fit_one_cycle(1, max_lr=slice(1e-4, 1e-3), moms=(0.9, 0.8))
learn.recorder.plot_losses()
learn.recorder.plot_lr()
learn.show_results(rows=2)
interp = ClassificationInterpretation.from_learner(learn, ds_type=DatasetType.Valid)
interp.plot_top_losses(4, figsize=(4, 4), heatmap=True)
interp.plot_confusion_matrix()
learn.export()
old = load_learner(path/'flat')
img = open_image(path/'flat'/'cat'/'0.png')
pred = old.predict(img)
pred2 = old.predict(Image.open(path/'flat'/'cat'/'0.png').convert('RGBA').to_thumb(24, 24))
''', path)
    assert list(got['names'])==['cat', 'dog'] and got['n']==(16, 4, 2)
    assert got['pred'][0] in ('cat', 'dog') and got['pred2'][0] in ('cat', 'dog')
    assert len(got['learn'].recorder.values)==1


def test_the_split_follows_the_old_seed(path):
    code = 'np.random.seed({})\ndata = ImageDataBunch.from_folder(path/"flat", valid_pct=.3, size=32, bs=4, num_workers=0)\nfiles = sorted(str(o) for o in data.valid_ds.items)'
    one, same, other = (run(code.format(s), path)['files'] for s in (1, 1, 2))
    assert one==same!=other


def test_test_folders(path):
    got = run('''data = ImageDataBunch.from_folder(path/'split', test='test', ds_tfms=get_transforms(), size=32, bs=4, num_workers=0)
'''+SMALL+'''learn = Learner(data, model, metrics=[accuracy], loss_func=CrossEntropyLossFlat())
preds, y = learn.get_preds(ds_type=DatasetType.Test)
valid, yv = learn.get_preds(ds_type=DatasetType.Valid)
train, yt = learn.get_preds(DatasetType.Train)
tta, _ = learn.TTA(ds_type=DatasetType.Valid)
''', path)
    assert [len(got[o]) for o in ('preds', 'valid', 'train', 'tta')]==[3, 6, 14, 6] and got['y'] is None
    got = run('''data = ImageDataBunch.from_folder(path/'split', size=32, bs=4, num_workers=0)
data.add_test(ImageList.from_folder(path/'split'/'test'))
'''+SMALL+'''learn = Learner(data, model, loss_func=CrossEntropyLossFlat())
preds, y = learn.get_preds(ds_type=DatasetType.Test)
''', path)
    assert len(got['preds'])==3


@pytest.mark.parametrize('call', [
    "from_df(path, pd.read_csv(path/'labels.csv'), folder='named', suffix='.jpg', valid_pct=.2",
    "from_df(path, pd.read_csv(path/'labels.csv'), 'named', None, .2, 7, suffix='.jpg'",
    "from_csv(path, folder='named', suffix='.jpg', csv_labels='labels.csv'",
    "from_csv(path, 'named', suffix='.jpg', label_delim=' ', csv_labels='tags.csv'",
    "from_lists(path, sorted((path/'named').iterdir()), [o.name[:3] for o in sorted((path/'named').iterdir())]",
    "from_name_func(path, get_image_files(path/'named'), label_func=func",
    "from_name_re(path, get_image_files(path/'named'), r'/([^/_]+)_[^/]+.jpg$'",
    "from_name_re(path, get_image_files(path/'named'), pat, classes=['cat', 'dog']",
])
def test_each_way_that_data_came(path, call):
    got = run(f'''def func(file): return file.name[:3]
pat = r'/([^/_]+)_[^/]+.jpg$'
tfms = get_transforms(True, False, 15., xtra_tfms=[crop_pad()])
data = ImageDataBunch.{call}, ds_tfms=tfms, size=32, bs=4, num_workers=0)
xb, yb = data.one_batch()
''', path)
    assert tuple(got['xb'].shape)==(4, 3, 32, 32)
    assert set(got['data'].vocab) in ({'cat', 'dog'}, {'cat', 'dog', 'big', 'small'})
    assert any(getattr(t, 'method', '')=='pad' for t in got['data'].train.after_item.fs)


@pytest.mark.parametrize('links, classes', [
    ("ImageList.from_folder(path/'flat').split_by_rand_pct(.2, seed=1).label_from_folder()", ['cat', 'dog']),
    ("ImageList.from_folder(path/'split').split_by_folder(train='train', valid='valid').label_from_folder()", ['cat', 'dog']),
    ("ImageList.from_folder(path/'named').split_by_idx([0, 1]).label_from_re(r'/([^/_]+)_[^/]+.jpg$')", ['cat', 'dog']),
    ("ImageList.from_folder(path/'named').split_by_valid_func(is_valid).label_from_func(kind)", ['cat', 'dog']),
    ("ImageList.from_df(pd.read_csv(path/'labels.csv'), path, folder='named', suffix='.jpg').split_by_rand_pct().label_from_df()", ['cat', 'dog']),
    ("ImageList.from_csv(path, 'tags.csv', folder='named', suffix='.jpg').random_split_by_pct(.2).label_from_df(label_delim=' ')", ['big', 'cat', 'dog', 'small']),
])
def test_the_old_data_block(path, links, classes):
    got = run(f'''def is_valid(o): return o.name in ('cat_0.jpg', 'dog_1.jpg')
def kind(o): return o.name[:3]
data = ({links}
        .transform(get_transforms(), size=32, resize_method=ResizeMethod.SQUISH)  # how large
        .databunch(bs=4, num_workers=0).normalize(imagenet_stats))
xb, yb = data.one_batch()
''', path)
    assert tuple(got['xb'].shape)==(4, 3, 32, 32) and list(got['data'].vocab)==classes
    assert 'Normalize' in [type(t).__name__ for t in got['data'].train.after_batch.fs]


def test_segmentation(path):
    for i in range(8):
        save(path/'seg'/'images'/f'{i}.png', i)
        (path/'seg'/'labels').mkdir(exist_ok=True)
        Image.fromarray(np.full((36, 40), i%2, dtype=np.uint8)).save(path/'seg'/'labels'/f'{i}_P.png')
    got = run('''get_y_fn = lambda x: path/'seg'/'labels'/f'{x.stem}_P.png'
codes = ['a', 'b']
src = path/'seg'/'images'
data = (SegmentationItemList.from_folder(src)
        .split_by_rand_pct(.25)
        .label_from_func(get_y_fn, classes=codes)
        .transform(get_transforms(), size=32, tfm_y=True)
        .databunch(bs=2, num_workers=0)
        .normalize(imagenet_stats))
xb, yb = data.one_batch()
mask = open_mask(get_y_fn(src/'0.png'))
''', path)
    assert tuple(got['xb'].shape)==(2, 3, 32, 32) and tuple(got['yb'].shape)==(2, 32, 32)


def test_callbacks(path, capsys, monkeypatch):
    monkeypatch.chdir(path)
    got = run('''data = ImageDataBunch.from_folder(path/'split', size=32, bs=4, num_workers=0)
'''+SMALL+'''learn = Learner(data, model, metrics=[accuracy, error_rate], loss_func=CrossEntropyLossFlat(), callback_fns=[ShowGraph, partial(CSVLogger, filename='log.csv')])
learn.fit_one_cycle(2, max_lr=1e-2, callbacks=[SaveModelCallback(learn, every='improvement', monitor='accuracy', name='best', mode='max'),
                                               EarlyStoppingCallback(learn, monitor='val_loss', patience=3)])
learn.fit(1, callbacks=[SaveModelCallback(learn, every='epoch', name='each')])
learn.mixup(alpha=.3)
learn.fit_one_cycle(1, 1e-3, callbacks=[ReduceLROnPlateauCallback(learn, patience=1)])
''', path)
    assert (path/'split'/'models'/'best.pth').is_file() and (path/'split'/'models'/'each_0.pth').is_file()
    assert (path/'split'/'log.csv').is_file() and hasattr(got['learn'], 'mix_up')


def test_lr_find(path, capsys):
    got = run('data = ImageDataBunch.from_folder(path/"split", size=32, bs=4, num_workers=0)\n'+SMALL+'''learn = Learner(data, model, loss_func=CrossEntropyLossFlat())
learn.lr_find()
learn.recorder.plot(suggestion=True)
''', path)
    assert len(got['learn'].recorder.lrs)>20


def test_pictures_from_the_web(path):
    save(path/'web'/'a.jpg', 1, (900, 600)), save(path/'web'/'b.jpg', 2)
    (path/'web'/'c.jpg').write_bytes(b'no picture')
    handler = type('Quiet', (SimpleHTTPRequestHandler,), dict(log_message=lambda *args: None))
    server = ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(handler, directory=path/'web'))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (path/'urls_cat.txt').write_text('\n'.join(f'http://127.0.0.1:{server.server_port}/{o}.jpg' for o in 'abc'))
    try:
        run('''for c in ['cat']:
    dest = path/c
    download_images(path/f'urls_{c}.txt', dest, max_pics=200, max_workers=2)  # get them
for c in ['cat']: verify_images(path/c, delete=True, max_size=500)
''', path)
    finally: server.shutdown(), server.server_close()
    sizes = sorted(max(Image.open(o).size) for o in (path/'cat').iterdir())
    assert sizes==[40, 500]


def test_names_that_are_imported_one_by_one(path):
    got = run('''from pathlib import Path
from fastai.vision import ImageDataBunch, get_transforms, open_image
from fastai.vision.data import imagenet_stats
data = ImageDataBunch.from_folder(path/'split', ds_tfms=get_transforms(), size=32, bs=4, num_workers=0).normalize(imagenet_stats)
im = open_image(path/'flat'/'cat'/'0.png')
''', path, star='')
    assert tuple(got['data'].one_batch()[0].shape)==(4, 3, 32, 32)


def test_the_cpu(path):
    from fastai.torch_core import defaults
    before = defaults.use_cuda
    try: run('defaults.device = torch.device("cpu")', path)
    finally: defaults.use_cuda = before


def test_collab(path):
    got = run('''import pandas as pd
ratings = pd.DataFrame(dict(user=[0, 1, 2, 3]*8, film=[i//4 for i in range(32)], rating=[1., 2., 3., 4.]*8))
data = CollabDataBunch.from_df(ratings, seed=42, valid_pct=.2, bs=4)
learn = collab_learner(data, n_factors=3, y_range=(0, 5))
''', path, star='from fastai.collab import *\n')
    assert got['learn'].model is not None


def test_comments_magics_and_layout_survive():
    code = '''%%time
'''+'a\n'
    assert translate_v1(code).code==code
    code = '''%matplotlib inline
!pip install fastai
# The data
data = (ImageDataBunch   # old
    .from_folder(path,   # where
        ds_tfms=get_transforms(),   # vary

        size=224,        # pixels
        bs=16))          # few
learn?
'''
    new = translate_v1(code).code
    for o in ('%matplotlib inline', '!pip install fastai', '# The data', '# old', '# where', '# vary', '# pixels', '# few', 'learn?'): assert o in new
    assert new.count('\n')==code.count('\n')


def test_what_is_not_known_is_left_alone_with_a_note():
    for code, word in (('data = TextLMDataBunch.from_csv(path, "t.csv")', 'TextLMDataBunch'), ('data = (ImageList.from_folder(path).presort().databunch())', 'presort'),
                       ('x = learn.layer_groups', 'layer_groups'), ('ok = verify_images(path, delete=True)', 'steps of their own'), ('learn.get_preds(DatasetType.Test)', 'DatasetType.Test')):
        new = translate_v1(code)
        assert new.code==code and len(new.notes)==1 and not new.notes[0].new and word in str(new.notes[0]), new


def test_todays_code_and_other_code_is_not_touched():
    code = '''from fastai.vision.all import *
files = get_image_files(path)
dls = ImageDataLoaders.from_folder(path, valid_pct=.2, item_tfms=Resize(64), batch_tfms=aug_transforms())
learn = vision_learner(dls, resnet18, metrics=accuracy, cbs=SaveModelCallback(fname='a'))
learn.fine_tune(3, 1e-3)
verify_images(files)
download_images(dest, urls=urls)
plt.plot(losses); model.fit(x, y, epochs=3); clf.classes; df.data = 3
load_learner('export.pkl')
'''
    assert translate_v1(code).code==code and not translate_v1(code).notes


def test_code_that_is_none():
    with pytest.raises(DataError, match='Line 2'): translate_v1('a = 1\nprint data')
    with pytest.raises(DataError, match='NoneType'): translate_v1(None)
    assert translate_v1('').code==''


def test_text_is_shown_as_text():
    page = translate_v1("x = cnn_learner(data, models.resnet18)  # <script>alert(1)</script>")._repr_html_()
    assert '<script>' not in page and '&lt;script&gt;' in page
