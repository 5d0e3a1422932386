"Training on several processes: what two do is what one does, and when one of them ends, so do the others"
import json, multiprocessing, os, signal, subprocess, sys, time
from datetime import timedelta
from types import SimpleNamespace

import psutil
import pytest
import torch
from torch import nn

pytest.importorskip('accelerate', reason='pip install -e ".[dev]" brings accelerate')

from fastai.callback.core import Callback
from fastai.callback.schedule import Learner
from fastai.metrics import accuracy
from fastai.torch_core import num_distrib, rank_distrib
from chaos_server import free_port
from fastclass import train
from fastclass.engine.base.machine import Device, cpu_count, exit_after
from fastclass.engine.packs.packs import pack
from fastclass.engine.finetune import distributed
from fastclass.engine.base.errors import DataError, UnsupportedError
from fastclass.engine.datablock.folder import scan_folder
from fastclass.engine.datablock.loaders import folder_dls
from fastclass.engine.finetune.best_epoch import keep_best
from fastclass.engine.finetune.distributed import SharedLoader, in_parallel, launch, process_count

pytestmark = pytest.mark.skipif(cpu_count()<2, reason='needs two processors')
MAIN = 'from fastclass.course.cli import main; main()'


class Watch(Callback):
    "Which pictures this process looks at, the loss of the whole batch at each step, and how many answers are measured"
    order = 60
    def __init__(self, double): self.double,self.seen,self.losses,self.measured = double,[],[],0
    def before_batch(self):
        if self.double: self.learn.xb = tuple(o.double() for o in self.xb)
        if self.training: self.seen.append([round(float(o.double().sum()), 3) for o in self.xb[0]])
    def after_loss(self):
        loss = self.loss.detach().clone()
        if self.training and num_distrib()>1:
            torch.distributed.all_reduce(loss)
            loss /= num_distrib()
        if self.training: self.losses.append(float(loss))
    def after_batch(self):
        if not self.training and self.epoch==0: self.measured += len(self.yb[0])


def net():
    "Small, with batch norm of both kinds, and dropout"
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.BatchNorm1d(128), nn.Dropout(), nn.Linear(128, 5))


def job(path, double):
    "A network is trained, on one process or on several; plain values come back"
    torch.set_num_threads(1)
    dls = folder_dls(path, size=32, bs=8, workers=0)
    learn,watch = Learner(dls, net(), metrics=accuracy),Watch(double)
    if double: learn.model.double()
    with in_parallel(learn), learn.no_bar(), learn.no_logging():
        with keep_best(learn) as best: learn.fit_one_cycle(2, 1e-2, cbs=watch)
        values = [list(map(float, o)) for o in learn.recorder.values]
        learn.model.float()
        preds,targets = learn.get_preds()
    return dict(values=values, best=best.value, losses=watch.losses, seen=watch.seen, measured=watch.measured, types=[type(o).__name__ for o in learn.model.modules()],
                valid=[f.name for f in dls.valid_ds.items], preds=preds.tolist(), targets=targets.tolist(), weight=sum(p.detach().abs().sum().item() for p in learn.model.parameters()))


def refused(path):
    "What is said to a split of its own in each process, as a splitter without a seed makes it"
    learn = Learner(folder_dls(path, size=32, bs=8, workers=0, seed=rank_distrib()), net())
    try:
        with in_parallel(learn), learn.no_bar(): learn.fit(1)
    except DataError as e: return e.message


def both(path): return [job(path, double) for double in (True, False)] + [refused(path) if num_distrib()>1 else None]


@pytest.fixture(scope='module')
def path(): return pack('lakes', each=13) # 15 pictures for validation: a last batch of 7, which two cannot share evenly


@pytest.fixture(scope='module')
def runs(path, one_thread):
    "What one process did, and what each of two did: in 64-bit numbers, and in 32"
    return both(path),launch(both, path, processes=2)


def close(a, b, eps): assert len(a)==len(b) and max(abs(x-y) for x,y in zip(a, b))<eps


def test_losses_and_metrics_are_those_of_one_process(runs):
    for i,eps in ((0, 1e-6), (1, 1e-3)): # 64-bit: the same sums; 32-bit: rounding grows from step to step
        one = runs[0][i]
        for two in (o[i] for o in runs[1]):
            close([*one['losses'], one['best']], [*two['losses'], two['best']], eps)
            for a,b in zip(one['values'], two['values']): close(a, b, eps)
            assert one['weight']==pytest.approx(two['weight'], rel=eps)


def test_each_process_trains_on_its_own_part_of_the_same_batches(runs):
    one,(first,second) = runs[0][1]['seen'],[o[1]['seen'] for o in runs[1]]
    assert [len(o) for o in first]==[len(o) for o in second]==[4]*len(one)
    assert one==[a+b for a,b in zip(first, second)]


def test_split_is_the_same_and_each_validation_picture_is_counted_once(runs, path):
    one,two = runs[0][1],[o[1] for o in runs[1]]
    assert one['measured']==len(one['valid'])==15
    for o in two: assert o['measured']==15 and o['valid']==one['valid'] and o['targets']==one['targets']
    for a,b in zip(one['preds'], two[0]['preds']): close(a, b, 1e-3)


def test_model_is_stock_again(runs): assert all(o[0]['types']==[type(m).__name__ for m in net().modules()] for o in runs[1])


def test_a_split_that_differs_is_refused(runs):
    for o in runs[1]: assert 'do not have the same split' in o[2]


def test_fastai_alone_counts_some_pictures_twice(path):
    "The reason for `SharedLoader`: 15 pictures are 16 for fastai's two processes"
    from fastai.distributed import DistributedDL
    class Told(DistributedDL):
        def _broadcast(self, t, rank): return t # its own goes through a GPU
    valid = folder_dls(path, size=32, bs=8, workers=0).valid
    stock = sum([Told(valid, rank=r, world_size=2).get_idxs() for r in range(2)], [])
    assert (len(stock), len(set(stock)))==(16, 15)


# ---- an end for all

def fails(how):
    "One process does not do what the other waits for"
    if how=='dies': os._exit(7)
    if rank_distrib()==0: return torch.distributed.barrier()
    if how=='raises': raise DataError('The folder is empty.', next='Put pictures into it.')
    if how=='waits': time.sleep(60)


@pytest.mark.parametrize('how,processes,error,told', [('raises', 2, DataError, 'Put pictures into it'), ('waits', 2, UnsupportedError, 'waited 1 s in vain'),
                                                      ('dies', 1, UnsupportedError, 'fastclass 0 of 1 ended with code 7')])
def test_an_error_in_one_process_ends_all(how, processes, error, told):
    with pytest.raises(error, match=told): launch(fails, how, processes=processes, timeout=1 if how=='waits' else 60)
    assert not [p for p in multiprocessing.active_children() if p.name.startswith('fastclass')]


def test_waiting_in_vain_is_told_at_the_meeting_too():
    "The address book of torch, where the processes meet, has other words for it than gloo"
    store = torch.distributed.TCPStore('127.0.0.1', 0, is_master=True)
    with pytest.raises(RuntimeError) as late: store.wait(['nobody'], timedelta(milliseconds=50))
    error = distributed._told(late.value, 3)
    assert isinstance(error, UnsupportedError) and 'waited 3 s in vain' in str(error)
    other = RuntimeError('size mismatch')
    assert isinstance(distributed._told(other, 3), RuntimeError) and str(distributed._told(other, 3))==str(other)


def start(*args, **kwargs):
    "`fastclass train` in a process of its own"
    cmd = [sys.executable, '-W', 'ignore', '-c', MAIN, 'train', *map(str, args)]
    return subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)


@pytest.mark.skipif(os.name!='posix', reason='sends a signal')
def test_ctrl_c_ends_all_processes_and_leaves_nothing(path, tmp_path):
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) # a background job inherits that it is ignored
    with start(path, '--processes', 2, '--out', tmp_path/'out', start_new_session=True, preexec_fn=heard) as p:
        while 'Starting' not in p.stdout.readline(): pass
        while len(children := [o for o in psutil.Process(p.pid).children() if 'spawn_main' in ' '.join(o.cmdline())])<2: time.sleep(.1)
        time.sleep(1)
        os.killpg(p.pid, signal.SIGINT) # as a terminal does: to all of them
        _,err = p.communicate(timeout=90)
    assert psutil.wait_procs(children, timeout=15)[1]==[]
    assert p.returncode==130 and 'Stopped.' in err and 'Traceback' not in err and list(tmp_path.iterdir())==[]


def test_a_process_ends_when_its_parent_is_gone(monkeypatch):
    ended,(gone,kept) = [],os.pipe()
    os.close(kept)
    monkeypatch.setattr(distributed, 'parent_process', lambda: SimpleNamespace(sentinel=gone))
    monkeypatch.setattr(os, '_exit', ended.append)
    exit_after(distributed._wait_for_parent)
    until = time.monotonic()+10
    while not ended and time.monotonic()<until: time.sleep(.01)
    assert ended==[1]


# ---- the command

SLOW = 2e-6 # at 2e-4, rounding of 32 bits can turn a step of Adam around; the test in 64-bit numbers takes that rate


@pytest.fixture(scope='module')
def one(path, tmp_path_factory, one_thread):
    return train.train(path, processes=1, epochs=2, size=64, bs=16, lr=SLOW, out=tmp_path_factory.mktemp('one')/'out')


def trained(path, arch, processes):
    "The loss of each step and the results of each epoch of the command's own training, in 64-bit numbers"
    torch.set_num_threads(1)
    learn = train._same_learner(scan_folder(path), arch=arch, size=64, bs=16, valid_pct=.2, seed=42, drop=.5)
    learn.model.double()
    with learn.no_bar(), learn.no_logging(), learn.added_cbs(watch := Watch(True)): history = train._fit(learn, 2, 2e-4, processes)
    return watch.losses + [v for o in history for v in o.values()]


@pytest.mark.parametrize('arch', ['squeezenet1_1', 'efficientnet_lite0'])
def test_the_steps_of_train_are_those_of_one_process(path, arch, one_thread):
    "In 64-bit numbers: rounding of 32 bits can turn a step of Adam around, and then it can be seen"
    one = trained(path, arch, 1)
    for two in launch(trained, path, arch, 2, processes=2): close(one, two, 1e-5)


TRAIN = ['--epochs', '2', '--size', '64', '--bs', '16', '--lr', str(SLOW), '--json']


@pytest.mark.parametrize('way', ['--processes 2', 'accelerate launch'])
def test_train_on_two_processes_is_train_on_one(way, one, path, tmp_path):
    from fastclass.engine.predict.predictor import load_bundle
    out,ours = tmp_path/'out',['-W', 'ignore', '-c', MAIN, 'train', str(path), *TRAIN, '--out', str(tmp_path/'out')]
    # torch before 2.6 waits at port 0 for ever; on a machine without GPUs, accelerate starts several processes where it is told --multi_gpu; with --cpu it needs MPI
    before = ['-m', 'accelerate.commands.launch', '--multi_gpu', '--num_processes=2', '--num_machines=1', '--mixed_precision=no', '--dynamo_backend=no', f'--main_process_port={free_port()}', '--no_python', sys.executable]
    cmd = [sys.executable, *ours, '--processes', '2'] if way=='--processes 2' else [sys.executable, *before, *ours]
    p = subprocess.run(cmd, capture_output=True, text=True, timeout=200, env={**os.environ, 'FASTCLASS_DEVICE': 'cpu', 'OMP_NUM_THREADS': '1'})
    assert p.returncode==0, p.stderr[-3000:]
    assert p.stdout.count('\n')==1, p.stdout
    two = json.loads(p.stdout)
    assert two['processes']==2 and (two['n_train'], two['n_valid'], two['classes'])==(one['n_train'], one['n_valid'], one['classes'])
    for a,b in zip(one['history'], two['history'], strict=True): close(list(a.values()), list(b.values()), 1e-3)
    assert two['history'][-1]['accuracy']==pytest.approx(two['accuracy'])
    assert sorted(o.name for o in out.iterdir())==['.fastclass', 'bundle', 'figures', 'predictions.csv', 'report.html'] and list(tmp_path.iterdir())==[out]
    assert load_bundle(out/'bundle').vocab==two['classes']


# ---- how many

@pytest.mark.parametrize('kind,gpus,asked,want', [('cuda', 2, None, 2), ('cuda', 1, None, 1), ('cuda', 2, 2, 2), ('cpu', 0, None, 1), ('mps', 0, None, 1), ('mps', 0, 1, 1)])
def test_one_process_for_each_gpu(kind, gpus, asked, want, monkeypatch):
    monkeypatch.setattr(distributed, 'pick_device', lambda: Device(kind, 'made up', 'for a test'))
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    assert process_count(asked)==want


@pytest.mark.parametrize('kind,gpus,asked', [('cuda', 2, 3), ('mps', 0, 2), ('cpu', 0, 999)])
def test_more_processes_than_there_is_room_for_are_refused(kind, gpus, asked, monkeypatch):
    monkeypatch.setattr(distributed, 'pick_device', lambda: Device(kind, 'made up', 'for a test'))
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    with pytest.raises(UnsupportedError) as e: process_count(asked)
    assert f'{asked} processes' in e.value.message and 'Take ' in e.value.next


def test_a_launcher_and_an_option_that_disagree(monkeypatch, path):
    monkeypatch.setenv('WORLD_SIZE', '2')
    with pytest.raises(DataError, match='the launcher has started 2'): train.train(path, processes=3)


def test_without_accelerate_there_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(distributed, 'find_spec', lambda name: None)
    with pytest.raises(UnsupportedError, match='pip install'): launch(rank_distrib, processes=2)


def test_a_loader_without_numbered_items_is_refused(path):
    from fastai.data.load import DataLoader
    with pytest.raises(UnsupportedError, match='numbered items'): SharedLoader(DataLoader(iter(range(4)), bs=2), 0, 2)
