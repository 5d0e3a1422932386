"The bundled weights are whole, load everywhere, and are worth something; a pretraining run survives what happens to long runs"
import hashlib, json, signal, subprocess, sys, time

import pytest, torch
from fastai.vision.all import Normalize
from torchvision.models import squeezenet1_1

from fastclass.engine.base.errors import DataError, StorageError, WeightsError
from fastclass.engine.packs.packs import pack
from fastclass.engine.datablock.folder import scan_folder
from fastclass.engine.datablock.loaders import folder_dls
from fastclass.engine.finetune.weights import BUNDLED_FOLDER, bundled_archs, find_weights, load_tensors, make_learner
from fastclass.engine.pretrain.formulas import Bank, Dice, Recipe
from fastclass.engine.pretrain.pretrain import QUESTIONS, Plan, Run, go_on, loss_of, pretrain, twins_of, write_weights
from fastclass.engine.pretrain.scenes import draw_scenes
from fastclass.pretrain import compare_bodies, learner_on

SMALL = Recipe(contours=8, fractals=2, textures=6, palettes=8, drawings=2, pieces=2)
WEIGHTS = BUNDLED_FOLDER/'squeezenet1_1.safetensors'


@pytest.fixture(scope='module')
def lakes(): return scan_folder(pack('lakes', each=40), progress=False)


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    "A machine without torch's cache and without internet"
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path/'hub'))
    monkeypatch.setenv('FASTCLASS_SOURCE', 'bundled')


def test_the_file_is_the_one_of_the_receipt():
    receipt,data = json.loads(WEIGHTS.with_suffix('.json').read_text()),WEIGHTS.read_bytes()
    assert hashlib.sha256(data).hexdigest()==receipt['sha256'] and len(data)==receipt['bytes']<=6e6
    assert {'seed', 'contours'}<=set(receipt['plan']['recipe']) and receipt['hours']>0 and receipt['commit'] and receipt['machine'] and 'torch' in receipt
    assert receipt['scenes']>=.99*receipt['plan']['scenes'] # the run was done


def test_the_receipt_tells_what_the_weights_are_worth():
    measured = json.loads(WEIGHTS.with_suffix('.json').read_text())['measured']
    assert measured['seeds']>=5 and measured['random']<measured['bundled']<measured['imagenet']
    for name in ('bears', 'pets', 'crests', 'lakes', 'streets'): assert measured['sets'][name]['bundled'][0]>measured['sets'][name]['random'][0]
    for name in ('crests', 'lakes', 'streets'): assert measured['sets'][name]['bundled'][0]>measured['sets'][name]['scratch'][0]


def test_half_precision_under_torchvisions_names():
    from safetensors.torch import load_file
    state = load_file(WEIGHTS)
    assert {o.dtype for o in state.values()}=={torch.float16} and all(torch.isfinite(o).all() for o in state.values())
    assert {k: o.shape for k,o in state.items()}=={k: o.shape for k,o in squeezenet1_1(weights=None).features.state_dict().items()}


def test_no_map_is_dead(lakes):
    body = squeezenet1_1(weights=None).features
    load_tensors(body, WEIGHTS)
    dls = folder_dls(lakes, size=96, workers=0)
    learn = learner_on(dls, 'bundled')
    with torch.no_grad(): maps = learn.model[0].eval()(dls.valid.one_batch()[0])
    alive = (maps.amax((2, 3)).std(0)>0).float().mean()
    assert maps.shape[1]==512 and alive>.9


def test_offline_it_comes_before_untrained(no_cache, lakes, capsys):
    assert bundled_archs()==['squeezenet1_1'] and find_weights('squeezenet1_1').source=='bundled'
    assert 'efficientnet_lite0, the default, has its weights here' in find_weights('resnet18').why
    learn = make_learner(folder_dls(lakes, size=64, workers=0), 'squeezenet1_1')
    assert 'learned from drawings, not from photos' in capsys.readouterr().out
    assert sum(isinstance(o, Normalize) for o in learn.dls.after_batch.fs)==1
    assert not any(p.requires_grad for p in learn.model[0].parameters())
    assert learn.weights.pretrained and not learn.weights.from_photos


def test_it_is_better_than_chance_weights(lakes):
    table = compare_bodies(lambda seed: folder_dls(lakes, size=96, seed=seed, workers=0), ['random', 'bundled'], seeds=3)
    means = table.groupby('body').accuracy.mean()
    assert means.bundled>means.random+.03


def test_bodies_that_are_not_there(lakes, no_cache, tmp_path):
    dls = folder_dls(lakes, size=64, workers=0)
    with pytest.raises(DataError, match='is no body'): learner_on(dls, 'resnet')
    with pytest.raises(WeightsError, match='not on this machine'): learner_on(dls, 'imagenet')
    (tmp_path/'broken.safetensors').write_bytes(WEIGHTS.read_bytes()[:5000])
    with pytest.raises(WeightsError, match='broken'): learner_on(dls, tmp_path/'broken.safetensors')


@pytest.mark.parametrize('question', QUESTIONS[:3])
def test_each_question_teaches_alone(question, tmp_path):
    run = Run(Plan(scenes=16*30, batch=16, sizes=(32,), questions=(question,), recipe=SMALL), tmp_path, 'cpu')
    bank = Bank(SMALL)
    scenes = draw_scenes(bank, 16, 40, 'exam')
    twins = twins_of(scenes.pictures, 32, Dice('exam'))
    def exam():
        with torch.no_grad(): return float(loss_of(run.pupil, twins, scenes.names)[0])
    before = exam()
    assert go_on(run, bank) and exam()<before


def test_ctrl_c_and_going_on(tmp_path):
    "The run is stopped by a signal and ends with the same weights as one that was not"
    code = f'''import signal, sys, torch
signal.signal(signal.SIGINT, signal.default_int_handler) # a background job inherits that it is ignored
torch.set_num_threads(1)
from fastclass.engine.pretrain.pretrain import *
from fastclass.engine.pretrain.formulas import Bank, Recipe
recipe = {SMALL!r}
run = Run(Plan(scenes=8*60, batch=8, sizes=(32,), recipe=recipe), sys.argv[1], 'cpu')
print('from', run.step, flush=True)
go_on(run, Bank(recipe), save_every=0)
print(write_weights(run, sys.argv[1])['sha256'], flush=True)'''
    def start(folder): return subprocess.Popen([sys.executable, '-c', code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors='replace')
    first = start(tmp_path/'a')
    end = time.monotonic()+120
    while not (tmp_path/'a'/'run.pt').exists() and time.monotonic()<end: time.sleep(.02)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=120)
    out,err = start(tmp_path/'a').communicate(timeout=120)
    assert int(out.split()[1])>0, err
    whole,_ = start(tmp_path/'b').communicate(timeout=120)
    assert whole.startswith('from 0\n')
    from safetensors.torch import load_file
    for k,v in load_file(tmp_path/'a'/'squeezenet1_1.safetensors').items(): assert torch.allclose(v, load_file(tmp_path/'b'/'squeezenet1_1.safetensors')[k], atol=2e-3), k


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path/'file').write_text('')
    run = Run(Plan(scenes=8, batch=8, sizes=(32,), recipe=SMALL), tmp_path/'file', 'cpu')
    with pytest.raises(StorageError): write_weights(run, tmp_path/'file')


def test_no_scenes():
    with pytest.raises(DataError, match='teach nothing'): pretrain(scenes=0)
