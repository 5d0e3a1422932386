"Predictions of pictures in every shape, folders with bad files, uploads of two versions, the command line, and models that come back in a process of their own"
import json, os, shutil, subprocess, sys, warnings
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.vision.all import (DataBlock, ImageBlock, ImageDataLoaders, MultiCategoryBlock, Resize, aug_transforms, get_image_files, load_learner,
                               vision_learner)
from PIL import Image
from torchvision.models import squeezenet1_1

from fastclass.course import cli
from fastclass.engine.base.errors import BundleError, DataError, PictureError, StorageError, UnsupportedError
from fastclass.engine.predict.corruptions import CORRUPTIONS, SIDE, corrupt, scene_of, write_series
from fastclass.engine.predict.inputs import tta_views, predict_tta, uploads
from fastclass.engine.predict.predictor import as_predictor, load_bundle, save_bundle
from fastclass.predict import choose_threshold, predict_files, predict_one

pytestmark = pytest.mark.usefixtures('one_thread')
MODES = ['RGB', 'RGBA', 'L', 'LA', 'P', '1', 'CMYK', 'I;16', 'F']
MAIN = 'from fastclass.course.cli import main; main()'


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    "Three classes of six pictures: red, green, blue with some noise"
    root,rng = tmp_path_factory.mktemp('photos'),np.random.default_rng(0)
    for i,label in enumerate(('apple', 'leaf', 'sea')):
        (root/label).mkdir()
        for j in range(6):
            a = rng.integers(0, 90, (40, 50, 3)); a[..., i] += 150
            Image.fromarray(a.astype('u1')).save(root/label/f'{j}.png')
    return root

@pytest.fixture(scope='module')
def learn(photos):
    dls = ImageDataLoaders.from_folder(photos, valid_pct=.3, seed=0, item_tfms=Resize(32), batch_tfms=aug_transforms(), bs=4, num_workers=0)
    learn = vision_learner(dls, squeezenet1_1, pretrained=False)
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-2)
    return learn

@pytest.fixture(scope='module')
def bundle(learn, tmp_path_factory): return save_bundle(learn, tmp_path_factory.mktemp('bundle')/'model')

@pytest.fixture(params=['learner', 'bundle', 'path'])
def model(request, learn, bundle): return {'learner': learn, 'bundle': load_bundle(bundle), 'path': bundle}[request.param]

@pytest.fixture
def folder(photos, tmp_path):
    "Two good pictures, half of one, an empty file, text, a hidden file and one in a folder below"
    shutil.copy(photos/'sea'/'0.png', tmp_path/'a ü.png'); shutil.copy(photos/'leaf'/'0.png', tmp_path/'b.png')
    (tmp_path/'c.png').write_bytes((photos/'sea'/'1.png').read_bytes()[:900]); (tmp_path/'d.jpg').write_bytes(b'')
    (tmp_path/'e.txt').write_text('text'); (tmp_path/'.hidden').write_text(''); (tmp_path/'f').mkdir()
    shutil.copy(photos/'apple'/'0.png', tmp_path/'f'/'g.png')
    return tmp_path

def probs(p): return np.array(list(p.probabilities.values()))


# ---- one picture

def test_fastai_fails_on_pictures_that_are_not_rgb_and_we_do_not(learn, photos):
    im = Image.open(photos/'apple'/'0.png').convert('RGB')
    with learn.no_bar():
        learn.predict(im)
        for mode in ('RGBA', 'L', 'P'):
            with pytest.raises(Exception): learn.predict(im.convert(mode))
            assert predict_one(learn, im.convert(mode)).label in learn.dls.vocab

@pytest.mark.parametrize('mode', MODES)
def test_every_mode(model, photos, mode):
    im = Image.open(photos/'leaf'/'2.png')
    res = predict_one(model, im.convert('L').convert(mode) if mode in ('I;16', 'F') else im.convert(mode))
    assert abs(probs(res).sum()-1)<1e-5 and res.probability==max(res.probabilities.values())==res.probabilities[res.label]

def test_the_probability_is_that_of_the_answer_not_the_first_one(learn, photos):
    for file in get_image_files(photos):
        with learn.no_bar(): label,idx,theirs = learn.predict(file)
        res = predict_one(learn, file)
        assert res.label==label and abs(res.probability-float(theirs[idx]))<1e-4
        np.testing.assert_allclose(probs(res), theirs.numpy(), atol=1e-4)

def test_path_text_bytes_open_file_and_pil_say_the_same(model, photos):
    file = photos/'sea'/'3.png'
    with open(file, 'rb') as f: same = [predict_one(model, o) for o in (file, str(file), file.read_bytes(), f, Image.open(file))]
    assert len({o.probability for o in same})==1

def test_transparent_pictures_are_on_white(learn):
    hidden = Image.new('RGBA', (40, 40), (255, 0, 0, 0)) # red that nobody can see
    assert predict_one(learn, hidden).probabilities==predict_one(learn, Image.new('RGB', (40, 40), 'white')).probabilities

def test_upright(learn, photos, tmp_path):
    im = Image.open(photos/'sea'/'0.png'); exif = Image.Exif(); exif[0x0112] = 6
    im.transpose(Image.Transpose.ROTATE_90).save(tmp_path/'t.png', exif=exif)
    np.testing.assert_allclose(probs(predict_one(learn, tmp_path/'t.png')), probs(predict_one(learn, im)), atol=1e-5)

@pytest.mark.parametrize('bad', ['not there.jpg', b'', b'text', 3, None])
def test_what_is_no_picture_is_an_error(model, bad):
    for tta in (0, 2):
        with pytest.raises(PictureError): predict_one(model, bad, tta=tta)

def test_more_than_one_picture(learn, photos):
    with pytest.raises(DataError, match='6 pictures'): predict_one(learn, photos/'sea')

@pytest.mark.parametrize('odd', [3, None, 'not there', [1]])
def test_what_is_no_model_is_an_error(odd, photos):
    with pytest.raises((UnsupportedError, BundleError)): predict_one(odd, photos/'sea'/'0.png')

def label_list(file): return [file.parent.name]

def test_a_learner_of_another_task_is_refused(photos):
    dls = DataBlock((ImageBlock, MultiCategoryBlock), get_items=get_image_files, get_y=label_list, item_tfms=Resize(32)).dataloaders(photos, bs=4, num_workers=0)
    with pytest.raises(UnsupportedError): predict_one(vision_learner(dls, squeezenet1_1, pretrained=False), photos/'sea'/'0.png')

@pytest.mark.parametrize('training', [True, False])
def test_the_learner_is_left_as_it_was(learn, photos, training):
    learn.model.train(training)
    before = [m.training for m in learn.model.modules()]
    first = predict_one(learn, photos/'sea'/'0.png')
    assert before==[m.training for m in learn.model.modules()] and predict_one(learn, photos/'sea'/'0.png')==first
    learn.model.eval()


# ---- uploads

def upload(version, *files):
    "A `FileUpload` of ipywidgets 7 or 8, as far as anybody looks at it"
    if version==7: return SimpleNamespace(value={n: {'metadata': {'name': n, 'size': len(d)}, 'content': d} for n,d in files}, data=[d for _,d in files])
    return SimpleNamespace(value=tuple({'name': n, 'type': 'image/png', 'size': len(d), 'content': memoryview(d)} for n,d in files))

@pytest.mark.parametrize('version', [7, 8])
def test_uploads(learn, photos, version):
    a,b = ((photos/o/'0.png').read_bytes() for o in ('sea', 'leaf'))
    one,two = upload(version, ('a.png', a)),upload(version, ('a.png', a), ('b.png', b))
    assert predict_one(learn, one).probabilities==predict_one(learn, one.value).probabilities==predict_one(learn, a).probabilities
    assert list(predict_files(learn, two, progress=False).file)==['a.png', 'b.png']
    assert uploads(two)==[('a.png', a), ('b.png', b)]
    with pytest.raises(DataError, match='[Nn]othing'): predict_one(learn, upload(version))

def test_the_real_widget(learn, photos):
    ipywidgets = pytest.importorskip('ipywidgets', reason='ipywidgets is not installed')
    data = (photos/'sea'/'0.png').read_bytes()
    widget = ipywidgets.FileUpload()
    with pytest.raises(DataError, match='[Nn]othing'): predict_one(learn, widget)
    if ipywidgets.__version__<'8': # what the browser's half sets there
        widget.set_trait('data', [data])
        widget.set_trait('value', {'a.png': {'metadata': {'name': 'a.png', 'type': 'image/png', 'size': len(data)}, 'content': data}})
    else: widget.set_trait('value', ({'name': 'a.png', 'type': 'image/png', 'size': len(data), 'content': memoryview(data), 'last_modified': datetime.now(timezone.utc)},))
    assert predict_one(learn, widget).probabilities==predict_one(learn, data).probabilities


# ---- many pictures

def test_a_folder_with_bad_files(model, folder, capsys):
    table = predict_files(model, folder, csv=folder/'out.csv')
    assert [Path(o).name for o in table.file]==['a ü.png', 'b.png', 'c.png', 'd.jpg', 'e.txt', 'g.png']
    assert list(table.columns)==['file', 'prediction', 'confidence', 'error', 'p_apple', 'p_leaf', 'p_sea']
    bad = table.error!=''
    assert list(bad)==[False, False, True, True, True, False] and table[bad].prediction.isna().all() and table[bad].confidence.isna().all()
    good = table[~bad]
    assert (good.confidence==good.filter(like='p_').max(axis=1)).all() and np.allclose(good.filter(like='p_').sum(axis=1), 1, atol=1e-5)
    back = pd.read_csv(folder/'out.csv')
    assert list(back.file)==list(table.file) and np.allclose(back.p_sea[~bad], good.p_sea)

def test_a_list_of_everything(model, folder, photos):
    table = predict_files(model, [photos/'sea'/'0.png', (photos/'sea'/'0.png').read_bytes(), Image.open(photos/'sea'/'0.png').convert('RGBA'), 'missing.png', photos/'leaf'], progress=False)
    assert len(table)==4+6 and table.p_sea[:3].nunique()==1 and 'does not exist' in table.error[3]

def test_all_bad_still_has_every_column(learn, tmp_path):
    (tmp_path/'a.jpg').write_bytes(b'no')
    table = predict_files(learn, tmp_path, progress=False)
    assert 'p_sea' in table and table.p_sea.isna().all()

@pytest.mark.parametrize('nothing', [[], ()])
def test_nothing_to_predict(learn, tmp_path, nothing):
    for o in (nothing, tmp_path):
        with pytest.raises(DataError, match='no '): predict_files(learn, o)

def test_a_table_never_overwrites_a_picture(learn, photos):
    before = (photos/'sea'/'0.png').read_bytes()
    with pytest.raises(DataError, match=r'\.csv'): predict_files(learn, photos, csv=photos/'sea'/'0.png')
    assert (photos/'sea'/'0.png').read_bytes()==before

def test_a_table_is_written_whole_or_not_at_all(learn, photos, tmp_path, monkeypatch):
    (tmp_path/'t.csv').write_text('old')
    monkeypatch.setattr(os, 'replace', lambda *a: (_ for _ in ()).throw(OSError(28, 'No space left on device')))
    with pytest.raises(StorageError): predict_files(learn, photos/'sea', csv=tmp_path/'t.csv', progress=False)
    assert [o.name for o in tmp_path.iterdir()]==['t.csv'] and (tmp_path/'t.csv').read_text()=='old'

def test_batches_do_not_matter(learn, photos):
    a,b = (predict_files(learn, photos, bs=bs, progress=False) for bs in (1, 7))
    np.testing.assert_allclose(a.filter(like='p_'), b.filter(like='p_'), atol=1e-5)

def test_progress_can_be_seen(learn, photos, capsys, monkeypatch):
    monkeypatch.setattr('fastclass.engine.predict.predictor.shows_bars', lambda: True) # as in a terminal
    monkeypatch.setattr('fastclass.engine.predict.inputs.shows_bars', lambda: True)
    predict_files(learn, photos, bs=4)
    shown = capsys.readouterr().out
    predict_files(learn, photos, progress=False)
    assert shown and not capsys.readouterr().out

def test_threshold_adds_sure(learn, folder):
    table = predict_files(learn, folder, threshold=.5, progress=False)
    assert list(table.sure)==[c>=.5 for c in table.confidence] and not table.sure[table.error!=''].any()
    assert 'sure' not in predict_files(learn, folder, progress=False)


# ---- several looks

def test_looks_are_the_whole_and_crops_and_no_mirror():
    im = Image.new('RGB', (100, 60)); im.putpixel((0, 0), (255, 0, 0))
    assert [o.size for o in tta_views(im, 5)]==[(100, 60)]+[(90, 54)]*5
    assert [o.getpixel((0, 0))[0] for o in tta_views(im, 5)]==[255, 255, 0, 0, 0, 0]
    for n in (-1, 6):
        with pytest.raises(DataError): tta_views(im, n)

@pytest.mark.parametrize('bs', [1, 2, 32])
def test_tta_is_the_mean_over_looks(model, photos, bs):
    files = sorted(photos.rglob('*.png'))[::5]
    res = predict_tta(as_predictor(model), [*files, b'no'], 3, bs)
    byhand = [np.mean([probs(predict_one(model, v)) for v in tta_views(Image.open(f), 3)], 0) for f in files]
    np.testing.assert_allclose([probs(o) for o in res[:-1]], byhand, atol=1e-5)
    assert res[-1].error and res[-1].label is None
    np.testing.assert_allclose(probs(predict_one(model, files[0], tta=3)), byhand[0], atol=1e-5)

def test_a_picture_of_one_pixel(model):
    assert predict_one(model, Image.new('RGB', (1, 1), 'red'), tta=5).label


# ---- "I don't know"

def frame(p, ok): return pd.DataFrame(dict(probability=p, correct=ok))

def test_threshold_keeps_its_promise_on_what_it_was_chosen_on():
    rng = np.random.default_rng(0)
    p = rng.uniform(.1, 1, 400).round(2); ok = rng.uniform(size=400)<p
    for want in (.5, .8, .95):
        t,share = choose_threshold(frame(p, ok), want)
        assert ok[p>=t].mean()>=want and share==(p>=t).mean()
        lower = [o for o in set(p) if o<t]
        assert not any(ok[p>=o].mean()>=want for o in lower) # none smaller would do

def test_threshold_of_a_model_that_is_never_right(): assert choose_threshold(frame([.9, .8], [False, False]))==(float('inf'), 0.)
def test_a_promise_that_cannot_be_kept_tells_the_best_one(capsys):
    assert choose_threshold(frame([.9]*10+[.6]*10, [True]*8+[False]*7+[True]*5))==(float('inf'), 0.)
    assert 'No confidence is high enough for 95%' in (said := capsys.readouterr().out) and '80%, from 0.90 on (10 of 20' in said
@pytest.mark.parametrize('accuracy', [0, 1, 95, -.1])
def test_threshold_refuses_what_is_no_share(accuracy):
    with pytest.raises(DataError): choose_threshold(frame([.9], [True]), accuracy)
def test_threshold_needs_pictures():
    with pytest.raises(DataError, match='empty'): choose_threshold(frame([], []))


# ---- the changes of the stress test

@pytest.mark.parametrize('kind', list(CORRUPTIONS))
@pytest.mark.parametrize('size', [(1, 1), (7, 300), (640, 480), (161, 97)])
def test_every_change_takes_every_size(kind, size):
    im = Image.effect_noise(size, 80).convert('RGB')
    for level in (0, .3, 1): assert max(corrupt(im, kind, level, 5).size)==min(SIDE, max(size))

@pytest.mark.parametrize('mode', ['RGBA', 'L', 'P', 'CMYK'])
def test_changes_take_every_mode(mode):
    for kind in CORRUPTIONS: assert corrupt(Image.new('RGB', (50, 40), 'teal').convert(mode), kind, .7).mode=='RGB'

def test_a_change_is_stronger_at_a_higher_level():
    im = Image.effect_noise((120, 120), 90).convert('RGB').resize((120, 120)); im.paste((200, 30, 30), (30, 30, 80, 90))
    for kind in ('blur', 'noise', 'monochrome', 'shadow', 'recolour'):
        far = [np.abs(np.asarray(corrupt(im, kind, l, 1), float)-np.asarray(im, float)).mean() for l in (0, .25, .5, 1)]
        assert far==sorted(far) and far[0]<1<far[-1], kind

def test_a_series_is_the_same_from_the_same_seed(tmp_path):
    (tmp_path/'m').mkdir(); Image.new('RGBA', (80, 90), (200, 10, 10, 255)).save(tmp_path/'m'/'club one.png')
    a,b,c = (write_series(tmp_path/'m', tmp_path/n, 2, 3, seed=s) for n,s in (('a', 0), ('b', 0), ('c', 1)))
    assert len(a)==6 and [o.read_bytes() for o in a]==[o.read_bytes() for o in b]!=[o.read_bytes() for o in c]
    assert len({scene_of(o) for o in a})==2 and {o.parent.name for o in a}=={'club one'}


# ---- export, load and a fresh process

CODE = '''
import json, sys, warnings
warnings.simplefilter('ignore')
from fastclass.predict import predict_one
from fastai.learner import load_learner
print(json.dumps([[p for p in predict_one(m, f).probabilities.values()] for m in (load_learner(sys.argv[1]), sys.argv[2]) for f in sys.argv[3:]]))
'''

def test_both_reload_in_a_fresh_process_with_the_same_probabilities(learn, bundle, photos, tmp_path):
    learn.export(tmp_path/'model.pkl')
    files = [str(photos/o/'1.png') for o in ('apple', 'leaf', 'sea')]
    out = subprocess.run([sys.executable, '-c', CODE, tmp_path/'model.pkl', bundle, *files], capture_output=True, text=True, cwd=tmp_path)
    assert out.returncode==0, out.stderr
    mine = [probs(predict_one(learn, f)) for f in files]
    np.testing.assert_allclose(json.loads(out.stdout.splitlines()[-1]), [*mine, *mine], atol=1e-4)

class Mark:
    "What it is made from calls a function when a pickle of it is opened"
    def __init__(self, file): self.file = file
    def __reduce__(self): return Path.touch, (self.file,)

def test_a_pickle_runs_code_when_it_is_opened_and_a_bundle_does_not(bundle, tmp_path):
    torch.save(Mark(tmp_path/'ran'), tmp_path/'stranger.pkl')
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        with pytest.raises(Exception): load_learner(tmp_path/'stranger.pkl')
    assert (tmp_path/'ran').exists() and any('pickle' in str(o.message) for o in said) # a warning is all that fastai does
    (tmp_path/'ran').unlink()
    shutil.copytree(bundle, tmp_path/'bad'); shutil.copy(tmp_path/'stranger.pkl', tmp_path/'bad'/'model.safetensors')
    with pytest.raises(BundleError, match='pickle'): load_bundle(tmp_path/'bad')
    with pytest.raises(BundleError): predict_one(tmp_path/'bad', b'')
    assert not (tmp_path/'ran').exists()


# ---- the command line

def command(*args, **kwargs): return subprocess.run([sys.executable, '-c', MAIN, *map(str, args)], capture_output=True, text=True, **kwargs)

def test_command_help_names_arguments_and_options_without_torch():
    out = command('predict', '--help')
    assert out.returncode==0 and all(o in out.stdout for o in ('BUNDLE', 'FILES', '--csv', '--tta', '--threshold', '--json'))

def test_command_in_a_process_of_its_own(bundle, folder):
    out = command('predict', bundle, '.', 'missing.jpg', '--csv', cwd=folder)
    assert out.returncode==0, out.stderr
    assert '3 of 7 pictures predicted. Table: predictions.csv' in out.stdout and 'missing.jpg' in out.stdout
    assert '\r' not in out.stdout and '█' not in out.stdout # no progress bar where nobody sees it move
    assert len(pd.read_csv(folder/'predictions.csv'))==7

def run(monkeypatch, capsys, *args):
    "`(exit code, stdout, stderr)` of the command in this process"
    monkeypatch.setattr(sys, 'argv', ['fastclass', 'predict', *map(str, args)])
    with pytest.raises(SystemExit) as e: cli.main()
    return e.value.code, *capsys.readouterr()

def test_command_json_is_one_line(bundle, folder, monkeypatch, capsys):
    code,out,_ = run(monkeypatch, capsys, bundle, folder/'b.png', folder/'c.png', '--json', '--tta', '2')
    res = json.loads(out)
    assert code==0 and out.count('\n')==1 and (res['pictures'], res['failed'])==(2, 1)
    assert res['rows'][0]['prediction'] and res['rows'][1]['prediction'] is None and res['rows'][1]['error']

def test_command_says_dont_know(learn, folder, monkeypatch, capsys):
    unsure = save_bundle(vision_learner(learn.dls, squeezenet1_1, pretrained=False), folder/'unsure.zip') # it has learned nothing
    assert "don't know, perhaps" in run(monkeypatch, capsys, unsure, folder/'b.png', '--threshold', '1')[1]

@pytest.mark.parametrize('args,code,words', [(['FILES'], 2, 'Error'), (['nowhere', 'FILE'], 2, 'no bundle'), (['BUNDLE', 'BAD'], 1, '0 of 1'),
    (['BUNDLE', 'FILE', '--csv', 'out.png'], 2, '.csv'), (['BUNDLE', 'FILE', '--tta', '9'], 2, '9 more looks'), (['BUNDLE', 'FILE', '--threshold', '1.01'], 2, 'from 0 to 1')])
def test_command_errors(bundle, folder, monkeypatch, capsys, args, code, words):
    names = dict(BUNDLE=bundle, FILE=folder/'b.png', BAD=folder/'e.txt', FILES=folder/'b.png')
    got,out,err = run(monkeypatch, capsys, *(names.get(o, o) for o in args))
    assert got==code and words in out+err and 'Traceback' not in err

def test_an_option_without_its_value():
    assert cli.spelled_out(['--csv'])==['--csv', 'predictions.csv'] and cli.spelled_out(['--csv', 'a.csv'])==['--csv', 'a.csv']
    assert cli.spelled_out([])==[] and cli.spelled_out(['quickstart', '--json'])==['quickstart', '--json']
