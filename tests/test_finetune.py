"quick_tune leaves a normal Learner whatever head, loss, metrics and callbacks it was given, or names what it cannot do"
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.vision.all import (BCEWithLogitsLossFlat, CutMix, DataBlock, FocalLossFlat, ImageBlock, ImageDataLoaders, L1LossFlat, LabelSmoothingCrossEntropyFlat,
                               Learner, MixUp, MultiCategoryBlock, Callback, RandomResizedCrop, RandomSplitter, RegressionBlock, Resize, SaveModelCallback,
                               accuracy, accuracy_multi, aug_transforms, error_rate, load_learner, mae, nn, parent_label, set_seed, vision_learner)
from PIL import Image
from torchvision.models import mobilenet_v3_small, resnet18

from fastclass.engine.base.errors import DataError, UnsupportedError
from fastclass.engine.base.torch_tools import fast_dtype, has_bfloat16
from fastclass.engine.finetune.features import FeatureStore
from fastclass.finetune import epochs_within, quick_tune, seconds_per_epoch

PICTURES = 40 # how many `files` makes
pytestmark = pytest.mark.usefixtures('one_thread')


def make_dls(files, **kwargs):
    return ImageDataLoaders.from_path_func('.', files, parent_label, seed=1, **{'item_tfms': Resize(48, method='squish'), 'bs': 8, 'num_workers': 0, **kwargs})


def learner(files, arch=resnet18, dls=None, **kwargs):
    set_seed(0)
    learn = vision_learner(dls or make_dls(files), arch, **{'pretrained': False, 'metrics': accuracy, **kwargs})
    learn.freeze()
    learn.remove_cb(learn.progress)
    learn.logger = lambda *args: None
    return learn


@pytest.fixture
def in_32_bits(monkeypatch):
    "Features as 32-bit numbers, also where the processor is faster with 16"
    monkeypatch.setattr('fastclass.engine.finetune.features.fast_dtype', lambda device: torch.float32)


def agree(learn, atol=1e-3):
    "The last line of the progress table is what `validate` finds with the whole model"
    table = list(learn.recorder.values[-1])[1:]
    np.testing.assert_allclose(learn.validate(), table, atol=atol)


def test_features_in_16_bits_change_the_loss_a_little(files, tmp_path, monkeypatch):
    monkeypatch.setattr('fastclass.engine.finetune.features.fast_dtype', lambda device: torch.bfloat16)
    learn = learner(files, path=tmp_path)
    quick_tune(learn, 12)
    agree(learn, atol=1e-2)


def test_the_table_says_what_validate_says_and_the_learner_is_whole(files, tmp_path, in_32_bits):
    learn = learner(files, path=tmp_path, metrics=[accuracy, error_rate])
    opt, dls = learn.opt, learn.dls
    tuned = quick_tune(learn, 12)
    assert (tuned.epochs, tuned.views, tuned.n_train, tuned.n_valid)==(12, 1, 32, 8)
    assert learn.dls is dls and learn.opt is opt and type(learn.model) is nn.Sequential
    assert len(learn.recorder.values)==12 and learn.recorder.metric_names[1:5]==['train_loss', 'valid_loss', 'accuracy', 'error_rate']
    agree(learn)
    assert learn.validate()[1]==1
    learn.recorder.plot_loss()


def test_body_is_untouched_and_only_the_head_learns(files):
    learn = learner(files, resnet18)
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    quick_tune(learn, 2)
    changed = {k for k, v in learn.model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(k.startswith('1.') for k in changed)


@pytest.mark.filterwarnings('ignore:load_learner', 'ignore:numpy.core')
def test_save_load_export_predict_and_train_on(files, tmp_path):
    learn = learner(files, path=tmp_path)
    quick_tune(learn, 4)
    want = learn.get_preds()[0]
    learn.save('m')
    learn.export()
    other = learner(files, path=tmp_path).load('m')
    torch.testing.assert_close(other.get_preds()[0], want)
    label, i, probs = load_learner(tmp_path/'export.pkl').predict(files[0])
    assert label==learn.dls.vocab[i] and probs[i]==probs.max()
    learn.fine_tune(1)
    assert all(p.requires_grad for p in learn.model.parameters())


def test_same_seed_same_result(files):
    res = []
    for _ in range(2):
        learn = learner(files)
        set_seed(3)
        quick_tune(learn, 3)
        res.append(learn.get_preds()[0])
    torch.testing.assert_close(*res)


@pytest.mark.parametrize('loss', [LabelSmoothingCrossEntropyFlat(), FocalLossFlat()])
def test_losses(files, loss):
    learn = learner(files, loss_func=loss)
    quick_tune(learn)
    assert learn.validate()[1]>=.75


@pytest.mark.parametrize('head', ['pooled', 'maps', 'module'])
def test_heads_of_ones_own(files, head, in_32_bits):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.out = nn.Conv2d(512, 8, 1), nn.Linear(8, 2)
        def forward(self, x): return self.out(self.conv(x).mean((2, 3)))
    own = dict(pooled=lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 2)),
               maps=lambda: nn.Sequential(nn.Conv2d(512, 8, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)), module=Own)[head]()
    learn = learner(files, custom_head=own)
    quick_tune(learn, 3)
    agree(learn)


@pytest.mark.parametrize('arch', [mobilenet_v3_small])
@pytest.mark.filterwarnings("ignore:The parameter 'pretrained':UserWarning", "ignore:Arguments other than a weight:UserWarning")
def test_other_architectures(files, arch, in_32_bits):
    learn = learner(files, arch)
    quick_tune(learn, 2)
    agree(learn)


def both(f): return [f.parent.name, 'any']
def brightness(f): return float(np.asarray(Image.open(f)).mean()/255)


def test_several_labels_a_picture(files):
    block = DataBlock((ImageBlock, MultiCategoryBlock), get_y=both, splitter=RandomSplitter(seed=1), item_tfms=Resize(48, method='squish'))
    learn = learner(files, dls=block.dataloaders(files, bs=8, num_workers=0), metrics=partial(accuracy_multi, thresh=.5))
    quick_tune(learn)
    assert isinstance(learn.loss_func, BCEWithLogitsLossFlat) and learn.validate()[1]>.8


def test_regression(files, in_32_bits):
    block = DataBlock((ImageBlock, RegressionBlock), get_y=brightness, splitter=RandomSplitter(seed=1), item_tfms=Resize(48, method='squish'))
    learn = learner(files, dls=block.dataloaders(files, bs=8, num_workers=0), metrics=mae, loss_func=L1LossFlat(), y_range=(0, 1))
    quick_tune(learn, 6)
    agree(learn)


@pytest.mark.parametrize('kwargs, views', [
    ({}, 1), ({'batch_tfms': aug_transforms()}, 3), ({'item_tfms': RandomResizedCrop(48, min_scale=.5)}, 3), ({'item_tfms': Resize(48)}, 3)])
def test_views_only_where_they_differ(files, kwargs, views):
    learn = learner(files, dls=make_dls(files, **kwargs))
    assert quick_tune(learn, 3, views=3).views==views


@pytest.mark.parametrize('seconds, views', [(1e-3, 1), (1e4, 4)])
def test_time_budget_decides_on_the_views(files, seconds, views):
    learn = learner(files, dls=make_dls(files, batch_tfms=aug_transforms()))
    assert quick_tune(learn, 1, seconds=seconds).views==views


def test_the_first_training_of_a_process_draws_the_random_numbers_that_later_ones_do():
    has_bfloat16.cache_clear()
    before = torch.get_rng_state()
    fast_dtype('cpu')
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize('flags, dtype', [('fma avx512f avx512_bf16', torch.bfloat16), ('fma avx2 avx512f', torch.float32), ('asimd bf16', torch.bfloat16)])
def test_the_processor_decides_on_the_number_format(flags, dtype, monkeypatch):
    monkeypatch.delenv('FASTCLASS_DTYPE', raising=False)
    monkeypatch.setattr('fastclass.engine.base.torch_tools.system_text', lambda path: f'flags : {flags}')
    has_bfloat16.cache_clear()
    assert fast_dtype('cpu')==dtype
    monkeypatch.setenv('FASTCLASS_DTYPE', 'float32')
    assert fast_dtype('cpu')==torch.float32
    has_bfloat16.cache_clear()


def test_features_on_disk_give_the_same_and_leave_nothing(files, tmp_path, monkeypatch):
    monkeypatch.setenv('FASTCLASS_HOME', str(tmp_path))
    res = []
    for limit in (None, 1000):
        learn = learner(files)
        set_seed(3)
        quick_tune(learn, 2, memory_limit=limit)
        res.append(learn.get_preds()[0])
    torch.testing.assert_close(*res)
    assert [f for f in tmp_path.rglob('*') if f.is_file()]==[]


def test_features_on_disk_where_a_file_in_use_cannot_be_removed(tmp_path, monkeypatch):
    "As on Windows: it stays for now, and a later run removes it"
    monkeypatch.setenv('FASTCLASS_HOME', str(tmp_path))
    def in_use(self, missing_ok=False): raise PermissionError(13, 'The process cannot access the file because it is being used by another process')
    with monkeypatch.context() as m:
        m.setattr(Path, 'unlink', in_use)
        store = FeatureStore((3, 5), torch.float32, limit=10)
    store.data[1] = 7
    left = [f for f in tmp_path.rglob('*') if f.is_file()]
    assert len(left)==1 and store.data.sum()==35
    FeatureStore((3, 5), torch.float32, limit=10)
    assert left[0].exists() # it is young: somebody may just be filling it
    os.utime(left[0], (0, 0))
    FeatureStore((3, 5), torch.float32, limit=10)
    assert [f for f in tmp_path.rglob('*') if f.is_file()]==[] and store.data.sum()==35


@pytest.mark.filterwarnings('ignore:numpy.core')
def test_best_epoch_is_kept_whole(files, tmp_path):
    learn = learner(files, path=tmp_path)
    quick_tune(learn, 3, cbs=SaveModelCallback(monitor='accuracy', fname='best'))
    state = torch.load(tmp_path/'models'/'best.pth')
    assert set(state)==set(learn.model.state_dict())
    torch.testing.assert_close(state, dict(learn.model.state_dict()))


class Stop(Callback):
    "Ctrl-C after the first epoch"
    def after_epoch(self): raise KeyboardInterrupt


def test_interrupted_training_leaves_the_learner_as_it_was(files):
    learn = learner(files)
    dls, model, opt = learn.dls, learn.model, learn.opt
    with pytest.raises(KeyboardInterrupt): quick_tune(learn, 3, cbs=Stop())
    assert learn.dls is dls and learn.model is model and learn.opt is opt and not learn.cbs.filter(lambda cb: isinstance(cb, Stop))
    quick_tune(learn, 1)


def test_batch_size_above_the_training_set_still_trains(files):
    "fastai drops the only batch and trains on nothing, without a word"
    learn = learner(files[:10], dls=make_dls(files[:10], bs=64))
    assert len(learn.dls.train)==0
    before = [p.clone() for p in learn.model[1].parameters()]
    quick_tune(learn, 1)
    assert any(not torch.equal(a, b) for a, b in zip(before, learn.model[1].parameters()))


def test_what_it_cannot_do_is_refused_by_name(files):
    with pytest.raises(UnsupportedError, match='cut_mix'): quick_tune(learner(files, cbs=CutMix()))
    quick_tune(learner(files, cbs=MixUp()), 1)
    with pytest.raises(UnsupportedError, match='Linear'): quick_tune(Learner(make_dls(files), nn.Linear(2, 2), metrics=accuracy))
    weighted = make_dls(files, dl_type=type('OwnDL', (type(make_dls(files).train),), {}))
    with pytest.raises(UnsupportedError, match='OwnDL'): quick_tune(learner(files, dls=weighted))
    with pytest.raises(DataError, match='side of the split'): quick_tune(learner(files, dls=make_dls(files, valid_pct=0)))


def test_broken_file_in_the_middle_is_an_error_and_not_a_hang(files, tmp_path):
    bad = tmp_path/'stripes'/'bad.png'
    bad.parent.mkdir()
    bad.write_bytes(files[1].read_bytes())
    dls = make_dls([*files, bad])
    bad.write_bytes(b'no picture any more')
    with pytest.raises(OSError): quick_tune(learner(files, dls=dls))


def test_seconds_per_epoch_changes_nothing(files):
    learn = learner(files, resnet18)
    learn.unfreeze()
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    assert 0<seconds_per_epoch(learn)<60 and 1<=epochs_within(learn, 1)<=50
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items())
    with pytest.raises(DataError, match='no full batch'): seconds_per_epoch(learner(files, dls=make_dls(files, bs=64)))
