"ImageNet's weights from installed packages: whole, the same network as the package's own, and good for all that a body is used for"
import os, shutil, subprocess, sys, zipfile
import numpy as np, pytest, torch
from importlib.util import find_spec
from pathlib import Path
from fastai.data.transforms import Normalize
from fastai.vision.learner import TimmBody
from torch import nn
from fastclass.engine.base.errors import UnsupportedError, WeightsError
from fastclass.engine.finetune import weights
from fastclass.engine.finetune.features import fast_body
from fastclass.engine.finetune.fold import folded
from fastclass.engine.finetune.packaged import PACKAGED, WEIGHTS_FOLDER, fill_body, packaged_file, packaged_state
from fastclass.engine.finetune.weights import DEFAULT_ARCH, arch_name, find_arch, find_weights, make_learner
from fastclass.datablock import folder_dls
from fastclass.engine.packs.packs import pack
from fastclass.finetune import compare_archs, most_exciting, plot_filters, quick_tune

timm = pytest.importorskip('timm')
LITE0 = PACKAGED['efficientnet_lite0']
HERE = [o for o in PACKAGED.values() if find_spec(o.module)]
pytestmark = pytest.mark.skipif(not find_spec(LITE0.module), reason='the package of the weights is not installed')


@pytest.fixture(scope='module')
def photos(tmp_path_factory): return pack('crests', root=tmp_path_factory.mktemp('crests'), train=6)/'train'


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    "Empty caches and no internet"
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path/'torch'))
    monkeypatch.setenv('HF_HUB_CACHE', str(tmp_path/'hub')); monkeypatch.setenv('FASTCLASS_SOURCE', 'bundled')


@pytest.fixture(autouse=True)
def nothing_was_said(): weights._print_once.cache_clear() # a process says it once


def dls_of(photos, size=64): return folder_dls(photos, size=size, bs=8, workers=0, device='cpu')


@pytest.mark.parametrize('package', HERE, ids=lambda o: o.arch)
def test_every_package_fits_timm(package):
    net = timm.create_model(package.timm_name)
    state = packaged_state(package, packaged_file(package))
    missing,unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and all(o.endswith('num_batches_tracked') for o in missing)
    assert not torch.equal(timm.create_model(package.timm_name).conv_stem.weight, net.conv_stem.weight)


def test_it_knows_what_it_sees():
    "An untrained network gives each of a thousand things about the same probability"
    net = timm.create_model(LITE0.timm_name).eval()
    fill_body(net, LITE0, packaged_file(LITE0))
    rows,cols = torch.meshgrid(torch.linspace(-1, 1, 224), torch.linspace(-1, 1, 224), indexing='ij')
    ball = ((rows**2+cols**2)<.5).float() # an orange ball on blue
    x = torch.stack([ball*2-1, ball*.2-.2, 1-ball*2])[None]
    with torch.no_grad(): p = net(x).softmax(1)
    assert p.max()>.02


def test_default_comes_from_the_package(nowhere, photos, capsys):
    assert DEFAULT_ARCH=='efficientnet_lite0' and find_arch(DEFAULT_ARCH)=='tf_efficientnet_lite0' and arch_name('tf_efficientnet_lite0')==DEFAULT_ARCH
    learn = make_learner(dls_of(photos))
    out = capsys.readouterr().out
    assert out.count('\n')==1 and "ImageNet's, from the installed package" in out and learn.weights.from_photos
    assert isinstance(learn.model[0], TimmBody) and len(learn.splitter(learn.model))==2
    norm = next(o for o in learn.dls.after_batch.fs if isinstance(o, Normalize))
    assert norm.mean.flatten().tolist()==[.5]*3==norm.std.flatten().tolist()
    frozen = [p for m in learn.model[0].modules() if not isinstance(m, nn.BatchNorm2d) for p in m.parameters(recurse=False)]
    assert frozen and not any(p.requires_grad for p in frozen)


def test_it_can_be_asked_for_untrained(photos, capsys):
    learn = make_learner(dls_of(photos), pretrained=False)
    assert learn.weights.source=='untrained' and 'As asked for' in capsys.readouterr().out
    assert all(p.requires_grad for p in learn.model.parameters())


def test_it_can_be_asked_not_to_normalize(photos):
    from fastai.data.transforms import Normalize
    for normalize in (True, False):
        learn = make_learner(folder_dls(photos, size=32, bs=4), normalize=normalize)
        assert any(isinstance(step, Normalize) for step in learn.dls.after_batch.fs)==normalize


def test_loaders_of_another_network_are_told(photos, capsys):
    dls = dls_of(photos)
    make_learner(dls, 'squeezenet1_1', download=False); capsys.readouterr()
    make_learner(dls)
    assert 'normalise with other numbers than efficientnet_lite0' in capsys.readouterr().out
    fresh = dls_of(photos)
    compare_archs(fresh, ['squeezenet1_1', 'efficientnet_lite0'])
    assert 'other numbers' not in capsys.readouterr().out and not any(isinstance(o, Normalize) for o in fresh.after_batch.fs)


def test_a_folder_stands_in_for_the_package(tmp_path, monkeypatch, nowhere):
    file = packaged_file(LITE0)
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path/'my'))
    with pytest.raises(WeightsError, match='no folder'): find_weights(DEFAULT_ARCH)
    (tmp_path/'my').mkdir()
    assert find_weights(DEFAULT_ARCH).path==file # an empty folder hides nothing
    with zipfile.ZipFile(tmp_path/'my'/f'{LITE0.module}-0.1.0-py2.py3-none-any.whl', 'w') as z: z.write(file, f'{LITE0.module}/models/{LITE0.file}')
    monkeypatch.setenv('FASTCLASS_HOME', str(tmp_path/'home'))
    out_of_wheel = find_weights(DEFAULT_ARCH).path
    assert out_of_wheel.is_relative_to(tmp_path/'home') and out_of_wheel.read_bytes()==file.read_bytes()
    shutil.copy(file, tmp_path/'my'/LITE0.file)
    assert find_weights(DEFAULT_ARCH).path==tmp_path/'my'/LITE0.file


def test_a_damaged_file_is_named(tmp_path, monkeypatch, photos):
    data = bytearray(packaged_file(LITE0).read_bytes()); data[5_000_000] ^= 1
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path)); (tmp_path/LITE0.file).write_bytes(data)
    with pytest.raises(WeightsError, match='not the file') as e: make_learner(dls_of(photos))
    assert LITE0.file in str(e.value) and 'pip install' in e.value.next


def test_without_the_package_it_says_so(nowhere, monkeypatch, photos, capsys):
    monkeypatch.setattr('fastclass.engine.finetune.weights.packaged_file', lambda package: None)
    learn = make_learner(dls_of(photos))
    assert learn.weights.source=='untrained' and f'{LITE0.install}' in capsys.readouterr().out


@pytest.fixture(scope='module')
def learn(photos):
    learn = make_learner(dls_of(photos))
    with learn.no_bar(), learn.no_logging(): quick_tune(learn, 3)
    return learn


def test_pass_without_batch_norms_is_the_same_pass(learn):
    x = torch.rand(4, 3, 64, 64)
    with fast_body(learn.model[0], torch.device('cpu')) as run: quick = run(x).float()
    with torch.no_grad(): plain = learn.model[0].eval()(x)
    assert not any(isinstance(o, nn.BatchNorm2d) for o in folded(learn.model[0]).modules()) and any(isinstance(o, nn.BatchNorm2d) for o in learn.model[0].modules())
    assert (quick-plain).abs().mean()<.02*plain.abs().mean()+.02


def test_what_a_body_is_used_for(learn, photos, tmp_path):
    from fastclass.interpret import heatmaps, predictions
    from fastclass.predict import load_bundle, predict_files, save_bundle
    frame = predictions(learn)
    assert np.isfinite(heatmaps(learn, list(frame.file[:2])).maps).all()
    assert len(most_exciting(learn, learn.model[0].model.blocks[4], 2))==2 and plot_filters(learn.model)
    files = list(frame.file)
    loaded = load_bundle(save_bundle(learn, tmp_path/'m.zip'))
    classes = [f'p_{o}' for o in learn.dls.vocab]
    np.testing.assert_allclose(predict_files(loaded, files)[classes], predict_files(learn, files)[classes], atol=1e-4)
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(1)


def test_many_pictures_get_the_answers_of_few(learn, photos):
    from fastclass.predict import as_predictor
    ask,files = as_predictor(learn),sorted(photos.rglob('*.*'))
    many = ask.predict_many((files*3)[:200], bs=4) # so many that the batch norms are folded
    learn.model.train()
    few = [ask.predict(o) for o in files[:5]]
    assert learn.model.training
    for a,b in zip(many, few): assert a.label==b.label and abs(a.probability-b.probability)<1e-3


def test_masks_at_its_scales_and_a_network_without_any():
    from fastclass.engine.segment.decoder import segment_model
    model = segment_model('efficientnet_lite0', 5, (64, 96)).eval()
    with torch.no_grad(): assert model(torch.rand(1, 3, 64, 96)).shape==(1, 5, 64, 96)
    with pytest.raises(UnsupportedError): segment_model('mixer_s16_224', 5, (64, 96))


def test_an_untouched_process_needs_no_network(tmp_path, photos):
    "As a user without internet and with empty caches would start it"
    code = ('import warnings; warnings.simplefilter("ignore")\nimport sys\nfrom fastclass.datablock import folder_dls\nfrom fastclass.finetune import make_learner\n'
            'print(make_learner(folder_dls(sys.argv[1], size=32, workers=0)).weights.source)')
    env = {**os.environ, 'TORCH_HOME':str(tmp_path), 'HF_HOME':str(tmp_path), 'FASTCLASS_SOURCE':'bundled', 'FASTCLASS_DEVICE':'cpu'}
    out = subprocess.run([sys.executable, '-c', code, photos], capture_output=True, text=True, env=env)
    assert out.stdout.splitlines()[-1]=='package', out.stderr[-800:]
