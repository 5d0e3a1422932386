"Lesson 3: each call that it makes works on today's stack, and the faults of fastai's training loop are shown, with what we do about each"
import math

import numpy as np
import pytest
import torch
from fastai.vision.all import (Callback, DataLoader, DataLoaders, ImageDataLoaders, Learner, MSELossFlat, RandomResizedCrop, Resize, SaveModelCallback, SGD,
                               accuracy, aug_transforms, minimum, nn, parent_label, set_seed, slide, steep, valley, vision_learner)
from PIL import Image
from torchvision.models import resnet18, squeezenet1_1

from fastclass.engine.base.errors import DataError, PictureError, UnsupportedError
from fastclass.engine.base.torch_tools import fast_dtype
from fastclass.engine.datablock.loaders import folder_dls
from fastclass.engine.finetune.activations import first_filters, most_exciting
from fastclass.engine.finetune.best_epoch import is_better, keep_best
from fastclass.engine.finetune.speed import Precision, is_out_of_memory, speed_up, within_memory
from fastclass.finetune import compare_archs, how_long, quick_tune, seconds_per_epoch, what_trains

PICTURES = 32 # how many `files` makes
pytestmark = [pytest.mark.usefixtures('one_thread'), pytest.mark.filterwarnings('ignore:numpy.core', 'ignore:You are using `torch.load`')]


def make_dls(files, **kwargs):
    return ImageDataLoaders.from_path_func('.', files, parent_label, seed=1,
                                           **{'item_tfms': Resize(40, method='squish'), 'bs': 8, 'num_workers': 0, 'device': 'cpu', **kwargs})


def quiet(learn):
    learn.remove_cb(learn.progress)
    learn.logger = lambda *args: None
    return learn


def learner(files, arch=squeezenet1_1, dls=None, **kwargs):
    set_seed(0)
    return quiet(vision_learner(dls or make_dls(files), arch, **{'pretrained': False, 'metrics': accuracy, **kwargs}))


def line_learner(bs=16, n=48, path=None, model=None):
    "A line through points: trains in a moment"
    set_seed(1)
    data = [(a, 3*a) for a in torch.randn(64, 1)]
    dls = DataLoaders(DataLoader(data[:n], bs=bs, drop_last=True), DataLoader(data[48:], bs=bs), device='cpu')
    return quiet(Learner(dls, nn.Linear(1, 1) if model is None else model, loss_func=MSELossFlat(), path=path))


def worse_at_the_end(learn, cbs=None):
    "A good training and then one with a rate far too high, as the two stages of a fine_tune can be"
    learn.fit(3, 1e-2, cbs=cbs)
    learn.fit(1, 30., cbs=cbs)


# ---- calls of the lesson

def test_learning_by_hand_and_by_fastai_agree():
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 40)
    y = 2*x+.5+.2*torch.randn(40)
    w = torch.zeros(2, requires_grad=True)
    for _ in range(20):
        ((w[0]*x+w[1]-y)**2).mean().backward()
        with torch.no_grad(): w -= .1*w.grad
        w.grad.zero_()
    line, points = nn.Linear(1, 1), list(zip(x[:, None], y[:, None]))
    for p in line.parameters(): nn.init.zeros_(p)
    learn = quiet(Learner(DataLoaders(DataLoader(points, bs=40), DataLoader(points, bs=40), device='cpu'), line, loss_func=MSELossFlat(), opt_func=SGD))
    learn.fit(20, lr=.1)
    assert w.tolist()==pytest.approx([line.weight.item(), line.bias.item()], abs=1e-4)


def test_lr_find_gives_four_suggestions_and_puts_the_weights_back(files, tmp_path):
    learn = learner(files, path=tmp_path)
    before = [p.detach().clone() for p in learn.model.parameters()]
    found = learn.lr_find(num_it=40, suggest_funcs=(minimum, steep, valley, slide), show_plot=False)
    assert found._fields==('minimum', 'steep', 'valley', 'slide') and all(1e-8<o<11 for o in found)
    assert all(torch.equal(a, b) for a, b in zip(before, learn.model.parameters()))


def test_fine_tune_0_trains_head_and_batch_norm_and_leaves_an_empty_table(files):
    learn = learner(files, resnet18)
    assert what_trains(learn.fine_tune, 0)=={'body: batch norm': 1, 'body: filters': 0, 'head': 1}
    assert len(learn.recorder.values)==0
    assert set(what_trains(learn.fine_tune, 1).values())=={1}


def test_unfreeze_keeps_the_weights(files):
    learn = learner(files)
    learn.freeze()
    before = [p.detach().clone() for p in learn.model.parameters()]
    learn.unfreeze()
    assert all(torch.equal(a, b) and b.requires_grad for a, b in zip(before, learn.model.parameters()))


def test_slice_gives_the_first_layers_the_lowest_rate_and_bn_final_is_the_last_layer(files):
    learn = learner(files, resnet18, bn_final=True)
    learn.fit_one_cycle(1, lr_max=slice(1e-5, 1e-3))
    peaks = [max(h) for h in np.array([list(o) for o in learn.recorder.hps['lr']]).T] if np.ndim(learn.recorder.hps['lr'][0]) else None
    rates = [h['lr'] for h in learn.opt.hypers]
    assert rates==sorted(rates) and len(set(rates))==len(rates) and (peaks is None or peaks[-1]<=1e-3+1e-9)
    assert isinstance(learn.model[1][-1], nn.BatchNorm1d)


def test_save_and_load(files, tmp_path):
    learn = learner(files, path=tmp_path)
    learn.fit(1)
    assert learn.save('m')==tmp_path/'models'/'m.pth'
    torch.testing.assert_close(learner(files, path=tmp_path).load('m').get_preds()[0], learn.get_preds()[0])


# ---- fault: fine_tune(n, cbs=SaveModelCallback()) loses a better model of the frozen stage

def test_save_model_callback_loses_the_better_first_stage_and_keep_best_keeps_it(tmp_path, capsys):
    stock = line_learner(path=tmp_path)
    worse_at_the_end(stock, SaveModelCallback())
    ours = line_learner()
    with keep_best(ours) as best: worse_at_the_end(ours)
    assert stock.validate()[0] > 2*ours.validate()[0]
    assert (best.fit, best.epoch)==(1, 3) and ours.validate()[0]==pytest.approx(best.value)


def test_the_loss_is_real_with_fine_tune_itself(files, tmp_path, capsys):
    "The rate of the second stage is ruinous, so the best epoch is one of the first stage"
    stock = learner(files, path=tmp_path)
    callback = SaveModelCallback(monitor='valid_loss')
    stock.fine_tune(1, base_lr=3e-3, lr_mult=1e-5, freeze_epochs=3, cbs=callback)
    ours = learner(files)
    with keep_best(ours) as best: ours.fine_tune(1, base_lr=3e-3, lr_mult=1e-5, freeze_epochs=3)
    assert best.fit==1 and len(best.history)==4
    assert ours.validate()[0]==pytest.approx(best.value, abs=1e-4)
    assert not stock.validate()[0]<=best.value+1e-4


def test_keep_best_stopped_by_hand_keeps_what_was_best_until_then():
    class Stop(Callback):
        def after_epoch(self):
            if self.epoch==1: raise KeyboardInterrupt
    learn = line_learner()
    with pytest.raises(KeyboardInterrupt):
        with keep_best(learn) as best: learn.fit(5, 1e-2, cbs=Stop())
    assert best.history and learn.validate()[0]==pytest.approx(best.value)
    assert len(learn.cbs)==len(line_learner().cbs)


def test_keep_best_is_no_part_of_predictions_or_the_search_for_a_rate(files, tmp_path):
    learn = learner(files, path=tmp_path)
    with keep_best(learn, 'accuracy') as best:
        learn.lr_find(num_it=20, show_plot=False)
        learn.get_preds()
        quick_tune(learn, 2)
    assert [h[:2] for h in best.history]==[(1, 1), (1, 2)] and learn.validate()[1]==pytest.approx(best.value)


def test_keep_best_says_what_it_cannot_do():
    learn = line_learner()
    with pytest.raises(UnsupportedError, match='valid_loss'):
        with keep_best(learn, 'accuracy'): learn.fit(1)
    learn.dls = DataLoaders(learn.dls.train, DataLoader([], bs=2), device='cpu')
    with pytest.raises(DataError, match='no validation'):
        with keep_best(learn): learn.fit(1)


@pytest.mark.parametrize('new, old, monitor, better', [(1, None, 'accuracy', True), (math.nan, None, 'accuracy', False), (.1, .2, 'error_rate', True),
                                                       (.1, .2, 'accuracy', False), (.2, .2, 'valid_loss', False)])
def test_what_is_better(new, old, monitor, better): assert is_better(new, old, monitor)==better


# ---- fault: a batch size above the training set trains on nothing

def test_too_large_a_batch_trains_on_nothing_in_fastai_and_is_named_by_us(files):
    learn = learner(files, dls=make_dls(files, bs=64))
    before = [p.detach().clone() for p in learn.model.parameters()]
    learn.fit(1)
    assert len(learn.dls.train)==0 and all(torch.equal(a, b) for a, b in zip(before, learn.model.parameters()))
    for ask in (seconds_per_epoch, lambda o: how_long(o, 1)):
        with pytest.raises(DataError, match='no full batch'): ask(learn)
    assert len(folder_dls(files[0].parent.parent, size=40, bs=64, workers=0).train)==1


# ---- how long

def test_how_long_changes_nothing(files, capsys):
    learn = learner(files, resnet18)
    learn.freeze()
    before, opt, flags = [p.detach().clone() for p in learn.model.parameters()], learn.opt, [p.requires_grad for p in learn.model.parameters()]
    state = torch.get_rng_state()
    assert how_long(learn, 2)>0
    assert 'fine_tune(2): about' in capsys.readouterr().out
    assert learn.opt is opt and flags==[p.requires_grad for p in learn.model.parameters()] and torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(before, learn.model.parameters()))


# ---- speed_up

def trained(files, faster):
    "With plain gradient descent: Adam turns the sign of a gradient that is nearly zero into a whole step, so that rounding alone leads elsewhere"
    learn = learner(files, opt_func=SGD)
    set_seed(5)
    if not faster: learn.fine_tune(1)
    else:
        with speed_up(learn, torch.float32) as how: learn.fine_tune(1)
    return learn, how if faster else None


def test_speed_up_gives_the_same_and_leaves_nothing(files):
    plain, _ = trained(files, False)
    faster, how = trained(files, True)
    np.testing.assert_allclose(faster.recorder.values[-1], plain.recorder.values[-1], atol=5e-3)
    torch.testing.assert_close(faster.get_preds()[0], plain.get_preds()[0], atol=5e-3, rtol=0)
    assert (how.kept, how.total, how.workers, how.channels_last)==(32, 32, 0, True)
    assert not any('do_item' in vars(dl) for dl in faster.dls.loaders) and all(p.is_contiguous() for p in faster.model.parameters())
    assert [type(c) for c in faster.cbs]==[type(c) for c in plain.cbs]


@pytest.mark.parametrize('kwargs', [dict(item_tfms=RandomResizedCrop(40, min_scale=.4)), dict(item_tfms=Resize(40)), dict(batch_tfms=aug_transforms())])
def test_speed_up_keeps_chance_where_there_is_chance(files, kwargs):
    learn = learner(files, dls=make_dls(files, **kwargs))
    with speed_up(learn, torch.float32) as how:
        set_seed(1)
        a = learn.dls.train.new(shuffle=False, num_workers=0).one_batch()[0]
        items = [learn.dls.train.do_item(0)[0] for _ in range(6)]
        same = all(torch.equal(items[0], o) for o in items)
        assert same==('batch_tfms' in kwargs) and how.kept==32 and len(a)==8
        b, c = (learn.dls.valid.do_item(0)[0] for _ in range(2))
        assert torch.equal(b, c)


def test_speed_up_gives_new_loaders_their_own_pictures(files):
    learn = learner(files)
    with speed_up(learn, torch.float32):
        dl = learn.dls.test_dl(files[:4])
        direct = learner(files).dls.test_dl(files[:4])
        torch.testing.assert_close(dl.one_batch()[0], direct.one_batch()[0])


def test_speed_up_with_worker_processes(files):
    learn = learner(files, dls=make_dls(files, num_workers=2, item_tfms=RandomResizedCrop(40, min_scale=.4)))
    with speed_up(learn, torch.float32) as how: learn.fit(1)
    assert learn.dls.train.fake_l.num_workers==2 and (how.workers==2 or how.kept==0)
    learn = learner(files, dls=make_dls(files, num_workers=2))
    with speed_up(learn, torch.float32) as how: learn.fit(1)
    assert learn.dls.train.fake_l.num_workers==2 and (how.workers==0 or how.kept==0)


def test_speed_up_within_its_memory(files):
    learn = learner(files)
    with speed_up(learn, torch.float32, memory_limit=10*40*40*3) as how: learn.fit(1)
    assert 0<how.kept<=10
    with speed_up(learn, torch.float32, memory_limit=0) as how: learn.fit(1)
    assert how.kept==0


def test_speed_up_in_16_bits_learns_and_stops_cleanly(files):
    learn = learner(files)
    with speed_up(learn, torch.bfloat16) as how: learn.fine_tune(2)
    assert how.dtype=='bfloat16' and not hasattr(learn, 'precision') and all(p.dtype==torch.float32 for p in learn.model.parameters())
    loss = learn.validate()[0]
    assert math.isfinite(loss)
    def stop(*args): raise KeyboardInterrupt
    learn.loss_func = stop
    with pytest.raises(KeyboardInterrupt):
        with speed_up(learn, torch.bfloat16): learn.fit(1)
    assert not torch.is_autocast_enabled('cpu') and not any(isinstance(cb, Precision) for cb in learn.cbs)


def test_speed_up_names_a_picture_that_cannot_be_read_and_puts_all_back(files, tmp_path):
    for i in range(8):
        f = tmp_path/f'{i%2}'/f'{i}.png'
        f.parent.mkdir(exist_ok=True)
        Image.effect_noise((40, 40), 50).save(f)
    dls = folder_dls(tmp_path, size=40, bs=2, workers=0, device='cpu')
    bad = dls.train_ds.items[0]
    bad.write_bytes(b'no picture')
    learn = learner(None, dls=dls)
    with pytest.raises(PictureError, match=bad.name):
        with speed_up(learn, torch.float32): learn.fit(1)
    assert not any('do_item' in vars(dl) for dl in dls.loaders) and all(p.is_contiguous() for p in learn.model.parameters())


def test_speed_up_inside_keep_best_and_within_memory(files):
    learn = learner(files)
    with keep_best(learn, 'accuracy') as best, speed_up(learn, torch.float32): assert within_memory(learn.fine_tune, 1)==8
    assert learn.validate()[1]==pytest.approx(best.value, abs=1e-4)


def test_number_format_is_one_that_the_device_has():
    assert fast_dtype('cpu') in (torch.float32, torch.bfloat16) and fast_dtype('mps')==torch.float32


# ---- fault: out of memory

class Cramped(nn.Module):
    "Raises what a GPU raises above `room` pictures"
    room = 4
    def __init__(self, error): super().__init__(); self.error = error
    def forward(self, x):
        if len(x)>self.room: raise self.error
        return x


@pytest.mark.parametrize('error', [torch.cuda.OutOfMemoryError('CUDA out of memory.'), RuntimeError('MPS backend out of memory (MPS allocated: 9 GB)'),
                                   RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate')])
def test_out_of_memory_is_tried_again_at_half_the_batch(files, error, capsys):
    learn = learner(files)
    learn.model = nn.Sequential(nn.Sequential(Cramped(error), learn.model[0]), learn.model[1])
    learn.splitter = lambda m: [list(m[0].parameters()), list(m[1].parameters())]
    with pytest.raises(RuntimeError): learn.fine_tune(1)
    assert within_memory(learn.fine_tune, 1)==4
    said = capsys.readouterr().out
    assert 'Out of memory (cpu) with 8 pictures a batch' in said and 'with 4' in said
    assert len(learn.recorder.values)==1 and learn.dls.valid.bs==4


def test_out_of_memory_starts_again_from_the_same_weights():
    "The error comes in the second epoch, when the weights have changed already"
    calls = []
    class Late(nn.Linear):
        def forward(self, x):
            calls.append(len(x))
            if len(x)==16 and len(calls)>6: raise torch.cuda.OutOfMemoryError('CUDA out of memory.')
            return super().forward(x)
    late = line_learner(model=Late(1, 1))
    start = {k: v.clone() for k, v in late.model.state_dict().items()}
    assert within_memory(late.fit, 3, lr=1e-2)==8
    plain = line_learner(bs=8)
    plain.model.load_state_dict(start)
    plain.fit(3, lr=1e-2)
    for a, b in zip(late.model.parameters(), plain.model.parameters()): torch.testing.assert_close(a, b)


def test_out_of_memory_even_with_two_is_named_and_other_errors_are_not_ours():
    learn = line_learner(model=nn.Sequential(Cramped(torch.cuda.OutOfMemoryError('CUDA out of memory.')), nn.Linear(1, 1)))
    learn.model[0].room = 0
    with pytest.raises(UnsupportedError, match='Not even 2 pictures'): within_memory(learn.fit, 1)
    assert [dl.bs for dl in learn.dls.loaders]==[16, 16]
    learn = line_learner(model=nn.Linear(2, 1))
    with pytest.raises(RuntimeError, match='shapes'): within_memory(learn.fit, 1)
    assert not is_out_of_memory(ValueError('out of memory'))


# ---- what a network sees

def test_filters_and_exciting_parts(files):
    learn = learner(files)
    assert first_filters(learn.model).shape==(64, 3, 3, 3)
    learn.model.train()
    found = most_exciting(learn, learn.model[0], channels=[1, 5], k=3)
    assert [o.channel for o in found]==[1, 5] and all(len(o.patches)==3 and o.values==sorted(o.values, reverse=True) for o in found)
    assert all(p.shape==(14, 14, 3) and 0<=p.min() and p.max()<=1 for o in found for p in o.patches)
    assert all(m.training for m in learn.model.modules())
    with pytest.raises(UnsupportedError, match='not maps'): most_exciting(learn, learn.model[1], channels=1)


# ---- architectures

def test_table_of_architectures(files, capsys):
    table = compare_archs(make_dls(files), ['squeezenet1_1', resnet18])
    assert list(table.index)==['squeezenet1_1', 'resnet18']
    assert table.accuracy.between(table.low, table.high).all() and (table.epoch_seconds>0).all() and table.parameters['resnet18']>10
    with pytest.raises(UnsupportedError, match='resnet'): compare_archs(make_dls(files), ['resnet19'])
