"Every test run has its own caches and needs no internet; real data is used where ../shared lies beside the repository."
import os, shutil, sys, tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'tools'))
from house import ROOT, SHARED, shared_homes


def pytest_addoption(parser):
    "Long tests on request"
    parser.addoption('--all', action='store_true', help='run the attacks that take long, too')


def pytest_configure(config):
    "Before anything imports fastai or torch: they read these variables once"
    config.fastclass_tmp = Path(tempfile.mkdtemp(prefix='fastclass-tests-'))
    os.environ['FASTCLASS_HOME'] = os.environ.get('FASTCLASS_TEST_HOME') or str(config.fastclass_tmp/'home')
    os.environ['MPLBACKEND'] = 'agg'
    os.environ['FASTCLASS_SOURCE'] = 'bundled' # a test of the choice itself deletes it with monkeypatch
    os.environ.update(shared_homes(config.fastclass_tmp))
    for name in [o for o in os.environ if o.lower() in ('http_proxy', 'https_proxy', 'all_proxy')]: del os.environ[name] # a test sets its own


def pytest_unconfigure(config):
    "Leave nothing behind"
    shutil.rmtree(config.fastclass_tmp, ignore_errors=True)


@pytest.fixture(scope='session')
def root() -> Path:
    "The root of the repository"
    return ROOT


@pytest.fixture(scope='session')
def shared() -> Path:
    "The real data beside the repository; read-only, so copy what a test wants to write to"
    if not SHARED.is_dir(): pytest.skip(f'needs the real data in ../shared, which is not beside {ROOT.name}')
    return SHARED


@pytest.fixture(scope='session')
def nbdev():
    "The notebooks are exported with nbdev 3.3, which does not go beside the oldest fastcore that learners have"
    return pytest.importorskip('nbdev', reason='nbdev is not installed in this environment')


@pytest.fixture(scope='module')
def one_thread():
    "Models as small as those of the tests lose time to more threads"
    import torch
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def files(request, tmp_path_factory):
    "Two classes: stripes and noise, as many pictures as `PICTURES` of the test module says"
    import numpy as np
    from PIL import Image
    root, rng, res = tmp_path_factory.mktemp('pics'), np.random.default_rng(0), []
    for i in range(request.module.PICTURES):
        f = root/('noise', 'stripes')[i%2]/f'{i}.png'
        f.parent.mkdir(exist_ok=True)
        a = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        if i%2: a[:] = (np.arange(50)[None, :, None]*(9+i)+i)%256
        Image.fromarray(a).save(f)
        res.append(f)
    return res
