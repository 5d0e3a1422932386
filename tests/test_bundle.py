"Bundles: the same answers as the learner, and nothing that a bundle holds can run, escape or fill the memory"
import errno, io, json, math, os, pickle, subprocess, sys, zipfile
from pathlib import Path

import numpy as np, pytest, torch
import torch.nn as nn
from PIL import Image
from torchvision.models import regnet_x_400mf
import fastai.callback.progress # gives Learner its no_bar
from fastai.callback.hook import hook_output
from fastai.data.block import CategoryBlock, DataBlock, MultiCategoryBlock, TransformBlock
from fastai.data.transforms import FuncSplitter, IntToFloatTensor, get_image_files, parent_label
from fastai.learner import Learner, load_learner
from fastai.losses import FocalLossFlat, LabelSmoothingCrossEntropy, LabelSmoothingCrossEntropyFlat
from fastai.vision.augment import (CropPad, FlipItem, RandomCrop, RandomResizedCrop, RandomResizedCropGPU, RatioResize, Resize, aug_transforms)
from fastai.vision.core import PILImage, PILImageBW
from fastai.vision.data import ImageBlock, ImageDataLoaders, Normalize, imagenet_stats
from fastai.vision.learner import vision_learner
from fastai.vision import models
from fastclass.engine.base import bundle_files, files
from fastclass.engine.predict import bundle_spec, predictor
from fastclass.engine.base.errors import BundleError, DataError, PictureError, StorageError, UnsupportedError
from fastclass.engine.datablock.items import item_files, item_labels
from fastclass.engine.predict.bundle_spec import data_card
from fastclass.engine.predict.predictor import load_bundle, save_bundle

CLASSES = ['a', 'b', 'c']

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    "Three classes of five smooth pictures of odd sizes, JPEG and PNG"
    root,rng = tmp_path_factory.mktemp('photos'),np.random.default_rng(0)
    for i,label in enumerate(CLASSES):
        for j in range(5):
            im = Image.fromarray(rng.integers(0, 256, (6, 7, 3), np.uint8)).resize((71+13*j, 113-9*j), Image.Resampling.BICUBIC)
            file = root/label/(f'{j}.png' if j%2 else f'{j} ä\'s.jpg'); file.parent.mkdir(exist_ok=True)
            im.save(file)
    return root

def make(photos, item=None, batch=None, arch=models.squeezenet1_1, **kwargs):
    dls = ImageDataLoaders.from_folder(photos, valid_pct=.4, seed=1, bs=4, num_workers=0, item_tfms=item or Resize(48), batch_tfms=batch)
    return vision_learner(dls, arch, pretrained=False, **kwargs)

@pytest.fixture(scope='module')
def learn(photos): return make(photos, batch=[Normalize.from_stats(*imagenet_stats, cuda=False)])

@pytest.fixture(scope='module')
def saved(learn, tmp_path_factory): return save_bundle(learn, tmp_path_factory.mktemp('bundle')/'model')

@pytest.fixture
def copy(saved, tmp_path):
    "A bundle that a test may damage"
    for o in saved.iterdir(): (tmp_path/o.name).write_bytes(o.read_bytes())
    return tmp_path

def agree(learn, predictor):
    theirs,_ = learn.get_preds()
    ours = predictor.predict_many(list(item_files(learn.dls.valid_ds)), bs=5)
    np.testing.assert_allclose([list(o.probabilities.values()) for o in ours], theirs.numpy(), atol=1e-4)

def change(folder, f):
    d = json.loads((folder/'bundle.json').read_text()); f(d)
    (folder/'bundle.json').write_text(json.dumps(d))

def description(path): return load_bundle(path).description

# ---- the same answers as the learner

@pytest.mark.parametrize('item', [Resize(48, 'squish'), Resize(48, 'crop'), Resize(48, 'pad'), Resize(48, 'pad', pad_mode='zeros'), Resize(200, 'pad', pad_mode='border'),
    Resize((40, 72)), Resize((40, 72), 'squish', resamples=(Image.Resampling.LANCZOS, 0)), RandomResizedCrop(48, min_scale=.3), RandomResizedCrop((40, 64), val_xtra=.3),
    [Resize(80), RandomCrop(48)], [FlipItem(), CropPad(64)]], ids=str)
def test_preprocessing_is_fastais(photos, tmp_path, item):
    learn = make(photos, item, [*aug_transforms(), Normalize.from_stats(*imagenet_stats, cuda=False)])
    agree(learn, load_bundle(save_bundle(learn, tmp_path/'m')))

@pytest.mark.parametrize('size', [32, (32, 48)])
def test_presizing_in_the_batch(photos, tmp_path, size):
    learn = make(photos, Resize(72), aug_transforms(size=size))
    path = save_bundle(learn, tmp_path/'m.zip')
    agree(learn, load_bundle(path))
    assert description(path)['input']['size']==([32, 32] if size==32 else [32, 48])

@pytest.mark.parametrize('arch', [models.resnet18, models.alexnet, models.xresnet.xresnet18, regnet_x_400mf])
def test_archs(photos, tmp_path, arch):
    learn = make(photos, Resize(64), arch=arch)
    agree(learn, load_bundle(save_bundle(learn, tmp_path/'m')))

@pytest.mark.parametrize('head', [dict(lin_ftrs=[32, 16], ps=[.1, .2, .3]), dict(concat_pool=False), dict(bn_final=True), dict(lin_first=True, first_bn=False),
    dict(custom_head=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 3))), dict(custom_head=nn.Sequential(nn.Sequential(nn.AdaptiveMaxPool2d(2)), nn.Flatten(), nn.Linear(2048, 3)))])
def test_heads(photos, tmp_path, head):
    learn = make(photos, **head)
    agree(learn, load_bundle(save_bundle(learn, tmp_path/'m')))

@pytest.mark.parametrize('loss', [LabelSmoothingCrossEntropy(), LabelSmoothingCrossEntropyFlat(), FocalLossFlat()], ids=lambda o: type(o).__name__)
def test_losses(photos, tmp_path, loss):
    learn = make(photos, loss_func=loss)
    agree(learn, load_bundle(save_bundle(learn, tmp_path/'m')))

def test_after_training_with_hooks_channels_last_and_half_frozen(photos, tmp_path):
    learn = make(photos, metrics=[])
    learn.model.to(memory_format=torch.channels_last)
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    with hook_output(learn.model[0]): path = save_bundle(learn, tmp_path/'m')
    modes = [m.training for m in learn.model.modules()]
    save_bundle(learn, path)
    assert modes==[m.training for m in learn.model.modules()]
    agree(learn, load_bundle(path))

def test_tied_weights_and_half_precision(photos, tmp_path):
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.Linear(512, 3))
    head[4].weight = head[2].weight
    learn = make(photos, custom_head=head)
    agree(learn, load_bundle(save_bundle(learn, tmp_path/'tied')))
    full = load_bundle(tmp_path/'tied').predict(Image.new('RGB', (50, 50), 'red'))
    learn.model.half()
    path = save_bundle(learn, tmp_path/'half')
    assert (path/'model.safetensors').stat().st_size < .6*(tmp_path/'tied'/'model.safetensors').stat().st_size
    half = load_bundle(path).predict(Image.new('RGB', (50, 50), 'red'))
    assert abs(full.probability-half.probability)<.01

def test_learner_that_came_from_export(learn, tmp_path):
    learn.export(tmp_path/'e.pkl')
    back = load_learner(tmp_path/'e.pkl')
    path = save_bundle(back, tmp_path/'m')
    agree(learn, load_bundle(path))
    assert description(path)['data_card']['train']['files']==0

def test_from_tables_and_lists_with_labels_that_are_numbers(photos, tmp_path):
    import pandas as pd
    files = sorted(get_image_files(photos)); df = pd.DataFrame({'name': [str(o.relative_to(photos)) for o in files], 'label': [CLASSES.index(o.parent.name) for o in files]})
    for dls in [ImageDataLoaders.from_df(df, photos, valid_pct=.4, seed=1, item_tfms=Resize(40), bs=4, num_workers=0),
                ImageDataLoaders.from_lists(photos, files, list(df.label), valid_pct=.4, seed=1, item_tfms=Resize(40), bs=4, num_workers=0)]:
        learn = vision_learner(dls, models.squeezenet1_1, pretrained=False)
        predictor = load_bundle(save_bundle(learn, tmp_path/'m'))
        agree(learn, predictor)
        assert predictor.vocab==[0, 1, 2]
        assert item_labels(dls.valid_ds)==[CLASSES.index(Path(o).parent.name) for o in item_files(dls.valid_ds)]

def test_learner_with_upright_pictures(photos, tmp_path):
    from fastclass.engine.datablock.loaders import UprightImage
    import shutil
    shutil.copytree(photos, tmp_path/'p')
    exif = Image.Exif(); exif[0x0112] = 6
    big = Image.linear_gradient('L').resize((1500, 1100)).convert('RGB')
    for label in CLASSES: big.save(tmp_path/'p'/label/'turned.jpg', exif=exif); big.convert('P').save(tmp_path/'p'/label/'palette.png')
    dls = DataBlock((ImageBlock(UprightImage), CategoryBlock), get_items=get_image_files, get_y=parent_label, item_tfms=Resize(48),
                    splitter=FuncSplitter(lambda o: o.stem in ('turned', 'palette'))).dataloaders(tmp_path/'p', bs=4, num_workers=0)
    learn = vision_learner(dls, models.squeezenet1_1, pretrained=False)
    predictor = load_bundle(save_bundle(learn, tmp_path/'m'))
    assert predictor.prepare.near==UprightImage.near
    agree(learn, predictor)

def test_archs_of_timm(photos, tmp_path):
    learn = make(photos, arch='tf_efficientnet_lite0')
    path = save_bundle(learn, tmp_path/'m')
    agree(learn, load_bundle(path))
    learn.arch = 'hf-hub:someone/something'
    with pytest.raises(UnsupportedError, match='hf-hub:someone'): save_bundle(learn, tmp_path/'n')
    change(path, lambda d: d['arch'].update(name='hf-hub:someone/something'))
    with pytest.raises(BundleError, match='not known here'): load_bundle(path)

def test_fresh_process_without_the_data(saved, tmp_path, photos):
    file = next(get_image_files(photos).__iter__())
    code = f"from fastclass.engine.predict.predictor import load_bundle; p = load_bundle({str(saved)!r}).predict({str(file)!r}); print(repr((p.label, p.probability)))"
    out = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert out.returncode==0, out.stderr
    label,probability = eval(out.stdout.strip().splitlines()[-1])
    here = load_bundle(saved).predict(file)
    assert label==here.label and math.isclose(probability, here.probability, abs_tol=1e-4)

# ---- what is in it

def test_description(saved, learn):
    d = description(saved)
    assert d['vocabulary']==CLASSES and d['arch']==dict(library='torchvision', name='squeezenet1_1') and d['activation']=='softmax'
    assert d['input']['item'][0]['method']=='crop' and d['input']['size']==[48, 48]
    np.testing.assert_allclose(d['input']['batch']['mean'], imagenet_stats[0])
    card = d['data_card']
    assert sum(card['train']['counts'].values())==len(learn.dls.train_ds) and set(card['valid']['counts'])==set(CLASSES) and len(card['files_sha256'])==64
    assert d['versions']['fastai'] and d['versions']['torch']

def test_card_hash_moves_with_the_split_not_with_the_folder(photos, tmp_path):
    import shutil
    shutil.copytree(photos, tmp_path/'elsewhere')
    card = lambda p, seed: data_card(ImageDataLoaders.from_folder(p, valid_pct=.4, seed=seed, item_tfms=Resize(40), num_workers=0))['files_sha256']
    assert card(photos, 1)==card(photos, 1)!=card(photos, 2)

def test_metrics_and_card_of_the_caller(learn, tmp_path):
    path = save_bundle(learn, tmp_path/'m', metrics={'accuracy': np.float64(.9), 'f1': float('nan')}, data_card={'licence': 'CC0'}, weights_source='untrained')
    d = description(path)
    assert d['metrics']=={'accuracy': .9, 'f1': None} and d['data_card']['licence']=='CC0' and d['weights']['source']=='untrained'
    with pytest.raises(UnsupportedError, match='type object'): save_bundle(learn, path, metrics={'a': object()})

# ---- refused when saving, by name

def refuses(learn, tmp_path, match):
    with pytest.raises(UnsupportedError, match=match) as e: save_bundle(learn, tmp_path/'m')
    assert e.value.next and not (tmp_path/'m').exists()

@pytest.mark.parametrize('item,batch,match', [([Resize(48), RatioResize(40)], None, 'RatioResize'), (Resize(48), RandomResizedCropGPU(40), 'RandomResizedCropGPU')])
def test_transforms_that_are_refused(photos, tmp_path, item, batch, match): refuses(make(photos, item, batch), tmp_path, match)

def my_open(file): return PILImage.create(file)

def test_models_and_data_that_are_refused(photos, tmp_path, learn):
    class MyLayer(nn.ReLU): pass
    refuses(make(photos, custom_head=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), MyLayer(), nn.Linear(512, 3))), tmp_path, 'MyLayer')
    refuses(make(photos, loss_func=nn.MSELoss()), tmp_path, 'MSELoss')
    refuses(Learner(learn.dls, learn.model, loss_func=learn.loss_func), tmp_path, 'without an arch')
    refuses(make(photos, n_out=5, loss_func=nn.CrossEntropyLoss()), tmp_path, '5 outputs for 3 classes')
    def block(*blocks, **kwargs):
        return DataBlock(blocks, get_items=get_image_files, get_y=kwargs.pop('get_y', parent_label), item_tfms=Resize(40), **kwargs).dataloaders(photos, bs=4, num_workers=0)
    refuses(vision_learner(block(ImageBlock(PILImageBW), CategoryBlock), models.squeezenet1_1, pretrained=False, n_in=1), tmp_path, 'PILImageBW')
    refuses(vision_learner(block(TransformBlock(type_tfms=my_open, batch_tfms=IntToFloatTensor), CategoryBlock), models.squeezenet1_1, pretrained=False), tmp_path, 'opened by my_open')
    multi = block(ImageBlock, MultiCategoryBlock, get_y=lambda o: [o.parent.name])
    refuses(vision_learner(multi, models.squeezenet1_1, pretrained=False), tmp_path, 'MultiCategorize')

def test_a_model_that_was_changed_inside(photos, tmp_path):
    learn = make(photos)
    learn.model[0][0][1] = nn.GELU()   # no weights, so only its answers tell
    refuses(learn, tmp_path, 'probabilities differ')
    other = make(photos); other.arch = models.resnet18
    refuses(other, tmp_path, 'do not fit')

# ---- writing

def test_other_files_are_never_removed(learn, tmp_path):
    (tmp_path/'notes.txt').write_text('mine')
    with pytest.raises(BundleError, match='notes.txt'): save_bundle(learn, tmp_path)
    with pytest.raises(BundleError, match='is a file'): save_bundle(learn, tmp_path/'notes.txt')
    (tmp_path/'d.zip').mkdir()
    with pytest.raises(BundleError, match='is a folder'): save_bundle(learn, tmp_path/'d.zip')
    assert sorted(o.name for o in tmp_path.iterdir())==['d.zip', 'notes.txt']

FULL = OSError(errno.ENOSPC, 'No space left on device')

@pytest.mark.parametrize('name,fault,where', [('m', FULL, '_write'), ('m.zip', KeyboardInterrupt(), '_write_zip'), ('m.zip', FULL, '_move_in'),
                                              ('m', KeyboardInterrupt(), '_move_in'), ('m', KeyboardInterrupt(), '_check_same')])
def test_what_was_there_stays_when_saving_fails(learn, tmp_path, monkeypatch, name, fault, where):
    path = save_bundle(learn, tmp_path/name, metrics={'run': 1})
    def fail(*args): raise fault
    monkeypatch.setattr({'_check_same': predictor, '_move_in': files}.get(where, bundle_files), where, fail)
    with pytest.raises(StorageError if isinstance(fault, OSError) else KeyboardInterrupt): save_bundle(learn, path, metrics={'run': 2})
    assert [o.name for o in tmp_path.iterdir()]==[name] and description(path)['metrics']=={'run': 1}
    monkeypatch.undo()
    save_bundle(learn, path, metrics={'run': 2})
    assert [o.name for o in tmp_path.iterdir()]==[name] and description(path)['metrics']=={'run': 2}

def test_the_last_rename_fails(learn, tmp_path, monkeypatch):
    path,rename,calls = save_bundle(learn, tmp_path/'m', metrics={'run': 1}),os.rename,[]
    def second_fails(a, b):
        calls.append(a)
        if len(calls)==2: raise OSError(errno.EIO, 'I/O error')
        rename(a, b)
    monkeypatch.setattr(os, 'rename', second_fails)
    with pytest.raises(OSError): save_bundle(learn, path, metrics={'run': 2})
    assert description(path)['metrics']=={'run': 1} and [o.name for o in tmp_path.iterdir()]==['m']

@pytest.mark.parametrize('name', ['.m-12345678-old', '.m.12.345.part-old'])
def test_former_bundle_after_a_kill_between_the_renames(learn, tmp_path, name):
    path = save_bundle(learn, tmp_path/'m')
    path.rename(tmp_path/name)
    with pytest.raises(BundleError, match=name): load_bundle(path)

def test_what_is_no_bundle_of_ours_is_never_replaced(learn, tmp_path):
    with zipfile.ZipFile(tmp_path/'photos.zip', 'w') as z: z.writestr('holiday.jpg', b'mine')
    (tmp_path/'hub').mkdir(); (tmp_path/'hub'/'model.safetensors').write_bytes(b'somebody else\'s')
    (tmp_path/'js').mkdir(); (tmp_path/'js'/'bundle.json').write_text('{"format": "esm", "version": 3}')
    (tmp_path/'deep'/'bundle.json').mkdir(parents=True); (tmp_path/'deep'/'bundle.json'/'notes.txt').write_text('mine')
    before = {o: o.read_bytes() for o in tmp_path.rglob('*') if o.is_file()}
    for name in ('photos.zip', 'hub', 'js', 'deep'):
        with pytest.raises(BundleError, match='no bundle that could be replaced'): save_bundle(learn, tmp_path/name)
    assert {o: o.read_bytes() for o in tmp_path.rglob('*') if o.is_file()}==before

def test_a_link_to_a_folder_stays_a_link(learn, tmp_path):
    path = save_bundle(learn, tmp_path/'m', metrics={'run': 1})
    (tmp_path/'latest').symlink_to(path)
    save_bundle(learn, tmp_path/'latest', metrics={'run': 2})
    assert (tmp_path/'latest').is_symlink() and description(path)['metrics']=={'run': 2} and sorted(o.name for o in tmp_path.iterdir())==['latest', 'm']

def test_class_names_that_are_no_text(learn, tmp_path):
    d = description(save_bundle(learn, tmp_path/'m', data_card={'source': os.fsdecode(b'caf\xe9')}))
    assert d['data_card']['source']==r'caf\udce9'

def test_a_place_under_a_file(learn, tmp_path):
    (tmp_path/'f').write_text('')
    with pytest.raises(OSError): save_bundle(learn, tmp_path/'f'/'m')

# ---- hostile and broken bundles

class Bomb:
    def __init__(self, flag): self.flag = flag
    def __reduce__(self): return (Path.write_text, (Path(self.flag), 'ran'))

@pytest.mark.parametrize('kind', ['pickle', 'old pickle', 'torch'])
@pytest.mark.parametrize('zipped', [False, True])
def test_pickles_are_refused_and_not_run(copy, tmp_path, kind, zipped):
    flag,out = tmp_path/'flag',io.BytesIO()
    if kind=='torch': torch.save({'a': Bomb(flag)}, out)
    else: pickle.dump(Bomb(flag), out, protocol=4 if kind=='pickle' else 0)
    data = out.getvalue()
    pickle.loads(data) if kind!='torch' else torch.load(io.BytesIO(data), weights_only=False)
    assert flag.exists(); flag.unlink()   # it would run
    (copy/'model.safetensors').write_bytes(data)
    import hashlib
    change(copy, lambda d: d['weights'].update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))
    path = copy
    if zipped:
        path = tmp_path/'b.zip'
        with zipfile.ZipFile(path, 'w') as z: z.write(copy/'bundle.json', 'bundle.json'); z.write(copy/'model.safetensors', 'model.safetensors')
    with pytest.raises(BundleError, match='model.safetensors') as e: load_bundle(path)
    assert e.value.next and not flag.exists()

def test_module_never_unpickles():
    text = ''.join(Path(o.__file__).read_text() for o in (predictor, bundle_spec, bundle_files))
    assert not any(o in text for o in ['import pickle', 'torch.load', 'load_learner', ' eval(', ' exec(', 'extractall'])

def test_zip_made_by_hand_slip_and_bomb(saved, tmp_path):
    path = tmp_path/'b.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
        z.write(saved/'bundle.json', 'model/bundle.json'); z.write(saved/'model.safetensors', 'model/model.safetensors')
        z.writestr('../../escaped.txt', 'x'); z.writestr('/absolute.txt', 'x')
    assert load_bundle(path).vocab==CLASSES
    assert [o.name for o in tmp_path.iterdir()]==['b.zip'] and not (tmp_path.parent/'escaped.txt').exists()
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
        z.write(saved/'bundle.json', 'bundle.json')
        with z.open('model.safetensors', 'w') as f:
            for _ in range(60): f.write(bytes(2**20))
    with pytest.raises(BundleError, match='larger than'): load_bundle(path)
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('bundle.json', b' '*(2**24+1))
    with pytest.raises(BundleError, match='larger than'): load_bundle(path)
    with pytest.warns(UserWarning), zipfile.ZipFile(path, 'w') as z: z.writestr('bundle.json', '{}'); z.writestr('bundle.json', '{}')
    with pytest.raises(BundleError, match='2 files'): load_bundle(path)
    path.write_bytes(b'PK nothing'); 
    with pytest.raises(BundleError, match='as a zip'): load_bundle(path)

@pytest.mark.parametrize('f,match', [
    (lambda d: d.update(version=2), 'format version 2'), (lambda d: d.update(version=True), 'version'), (lambda d: d.update(format='other'), 'other'),
    *[(lambda d, k=k: d.pop(k), k) for k in ['format', 'version', 'vocabulary', 'arch', 'head', 'input', 'weights', 'activation']],
    (lambda d: d.update(vocabulary=['a', 'b']), 'outputs for 2'), (lambda d: d.update(vocabulary=[['a'], 'b', 'c']), 'vocabulary'), (lambda d: d.update(activation='exec'), 'activation'),
    (lambda d: d['arch'].update(library='os', name='system'), 'not known'), (lambda d: d['arch'].update(name='list_models'), 'not known'), (lambda d: d['arch'].update(name='resnet34'), 'do not fit'),
    (lambda d: d['head'][-1].update(out_features=10**9), 'out_features'), (lambda d: d['head'][-1].update(out_features=10**6), 'do not fit'), (lambda d: d['head'][-1].update(in_features='x'), 'in_features'), (lambda d: d['head'][-1].update(in_features=-5), 'in_features'),
    (lambda d: d['head'].append({'type': 'exec'}), 'one of .*Linear'), (lambda d: d['head'].append(7), 'layer'), (lambda d: d['head'].append({'type': ['Linear']}), 'one of .*Linear'),
    (lambda d: d['input']['item'][0].update(size=[10**6, 10]), 'up to 4096'), (lambda d: d['input']['item'][0].update(method='warp'), 'method'), (lambda d: d['input']['item'].clear(), 'a list of 1 to 10'),
    (lambda d: d['input'].update(near=-4), 'near'), (lambda d: d['input'].update(near='x'), 'near'), (lambda d: d['input']['batch'].update(std=[1, 0, 1]), 'a number from 1e-08'), (lambda d: d['input']['batch'].update(std=[1, 1, float('nan')]), 'NaN'), (lambda d: d['input']['batch'].update(divide_by='x'), 'divide_by'), (lambda d: d['input']['batch'].update(resize=[5]), 'size'),
    (lambda d: d['weights'].update(sha256='0'), 'hash'), (lambda d: d['weights'].pop('bytes'), 'bytes')])
def test_descriptions_that_are_refused(copy, f, match):
    change(copy, f)
    with pytest.raises(BundleError, match=match) as e: load_bundle(copy)
    assert e.value.next

@pytest.mark.parametrize('text', ['', '[]', '{"a"', '7', '['*100_000, '\udcff'], ids=['empty', 'list', 'cut', 'number', 'deep', 'bytes'])
def test_json_that_is_refused(copy, text):
    (copy/'bundle.json').write_bytes(text.encode('utf8', 'surrogateescape'))
    with pytest.raises(BundleError, match='bundle.json'): load_bundle(copy)

def test_weights_that_are_refused(copy, tmp_path):
    import hashlib
    from safetensors.torch import load, save
    file = copy/'model.safetensors'; whole = file.read_bytes()
    def put(data):
        file.write_bytes(data)
        change(copy, lambda d: d['weights'].update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))
    file.write_bytes(whole[:-100])
    with pytest.raises(BundleError, match='does not match its hash'): load_bundle(copy)
    for data in [whole[:-100], b'', b'x'*100, b'\xff'*100]:
        put(data)
        with pytest.raises(BundleError, match='not safetensors'): load_bundle(copy)
    tensors = load(whole); name = list(tensors)[0]
    put(save({k: v for k,v in tensors.items() if k!=name}))
    with pytest.raises(BundleError, match='names differ'): load_bundle(copy)
    put(save({**tensors, name: torch.zeros(3)}))
    with pytest.raises(BundleError, match=name): load_bundle(copy)
    file.unlink()
    with pytest.raises(BundleError, match='no model.safetensors'): load_bundle(copy)
    with pytest.raises(BundleError, match='no bundle at'): load_bundle(tmp_path/'none')
    (tmp_path/'x.pkl').write_bytes(b'abc')
    with pytest.raises(BundleError): load_bundle(tmp_path/'x.pkl')

# ---- predicting

@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr', 'LAB', 'HSV', 'I', 'F', 'I;16', 'RGBa'])
def test_pictures_of_any_mode(saved, mode):
    base = Image.new('RGB', (60, 50), (10, 200, 30))
    if mode=='I;16': im = Image.fromarray(np.full((50, 60), 30000, np.uint16))
    elif mode=='RGBa': im = base.convert('RGBA').convert(mode)
    elif mode=='PA': im = base.convert('P').convert('PA')
    elif mode=='RGBX': im = Image.new('RGBX', (60, 50), (10, 200, 30, 0))
    elif mode=='LAB': im = Image.new('LAB', (60, 50), (100, 128, 128))
    else: im = base.convert(mode)
    assert im.mode==mode
    p = load_bundle(saved).predict(im)
    assert p.label in CLASSES and p.probability==max(p.probabilities.values()) and math.isclose(sum(p.probabilities.values()), 1, abs_tol=1e-5)

def test_path_text_bytes_and_picture_agree(saved, photos):
    file,predictor = sorted(get_image_files(photos))[1],load_bundle(saved)
    res = [predictor.predict(o) for o in (file, str(file), file.read_bytes(), Image.open(file))]
    for o in res: assert abs(o.probability-res[0].probability)<1e-6
    assert res[0].source==str(file) and res[2].source=='' and res[0].probabilities[res[0].label]==res[0].probability

@pytest.mark.parametrize('tag,turn', [(3, 180), (6, 270), (8, 90)])
def test_turned_photos(saved, photos, tag, turn):
    im = Image.open(photos/'a'/'1.png').convert('RGB'); out = io.BytesIO()
    exif = Image.Exif(); exif[0x0112] = tag
    im.rotate(-turn, expand=True).transpose(Image.Transpose.ROTATE_180).save(io.BytesIO(), 'PNG')
    stored = im.rotate({180: 180, 270: 90, 90: 270}[turn], expand=True)   # what a camera stores for this tag
    stored.save(out, 'PNG', exif=exif)
    predictor = load_bundle(saved)
    assert abs(predictor.predict(out.getvalue()).probability-predictor.predict(im).probability)<1e-5

def test_bad_files_have_their_own_rows(saved, photos, tmp_path):
    good = sorted(get_image_files(photos))[:5]
    (tmp_path/'empty.jpg').write_bytes(b''); (tmp_path/'cut.jpg').write_bytes((photos/'a'/"0 ä's.jpg").read_bytes()[:200]); (tmp_path/'t.txt').write_text('text')
    bad = [tmp_path/'empty.jpg', tmp_path/'missing.jpg', tmp_path/'cut.jpg', tmp_path/'t.txt', tmp_path]
    predictor = load_bundle(saved)
    rows = predictor.predict_many([bad[0], *good[:2], *bad[1:], *good[2:]], bs=3)
    assert [bool(o.error) for o in rows]==[True, False, False, True, True, True, True, False, False, False]
    assert [o.source for o in rows if not o.error]==[str(o) for o in good]
    alone = [predictor.predict(o) for o in good]
    np.testing.assert_allclose([o.probability for o in rows if not o.error], [o.probability for o in alone], atol=1e-5)
    assert [o.label is None for o in rows]==[bool(o.error) for o in rows] and all(set(o.probabilities)==set(CLASSES) for o in rows if not o.error)
    with pytest.raises(PictureError): predictor.predict(tmp_path/'empty.jpg')
    assert all(o.error for o in predictor.predict_many(bad))

def test_predict_many_of_nothing_and_of_one(saved):
    predictor = load_bundle(saved)
    assert predictor.predict_many([])==[]
    with pytest.raises(DataError, match='one picture'): predictor.predict_many('a.jpg')
    assert len(predictor.predict_many([Image.new('RGB', (1, 1))]*3, bs=2))==3
