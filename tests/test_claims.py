"Each claim of a lesson is made by a cell, was tried over five seeds and held; `python -m pytest -m claims` tries and records them anew"
import importlib, json, os, platform, re, sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from scipy.stats import t

from fastclass import __version__
from fastclass.course.claim import CLAIMS_FILE, claims, recorded
from fastclass.engine.base.files import write_atomic
from fastclass.engine.base.machine import choose_source, version

torch = pytest.importorskip('torch')
ALL = claims()
LESSONS = sorted({claim.lesson for claim in ALL.values()}, key=int)
SEEDS = range(5)
sys.path.insert(0, str(Path(__file__).parent))


def measures(lesson): return importlib.import_module(f'claims.lesson{int(lesson):02}').MEASURES


def interval(values, most):
    "Student's interval of the mean; it ends where no number can be larger"
    mean = float(np.mean(values))
    half = float(t.ppf(.975, len(values)-1)*np.std(values, ddof=1)/len(values)**.5)
    return mean, mean-half, mean+half if most is None else min(mean+half, most)


def nearer_end(claim, low, high): return low if claim.side=='above' else high


def machine():
    "What it was measured on, in a few words"
    if torch.cuda.is_available(): return torch.cuda.get_device_name()
    return f'CPU, {os.cpu_count()} cores ({platform.machine()})'


def record(claim, values):
    "Write what was measured into the one file; several tests may do so at a time"
    mean,low,high = interval(values, claim.most)
    row = dict(values=values, mean=mean, low=low, high=high, says=claim.says, date=date.today().isoformat(), machine=machine(), source=choose_source().name,
               versions=dict(fastclass=__version__, fastai=version('fastai'), torch=version('torch')))
    with FileLock(f'{CLAIMS_FILE}.lock'):
        rows = json.loads(CLAIMS_FILE.read_text(encoding='utf-8')) if CLAIMS_FILE.is_file() else {}
        rows[claim.name] = row
        rows = {name: rows[name] for name in ALL if name in rows}
        write_atomic(CLAIMS_FILE, json.dumps(rows, indent=1).encode()+b'\n')
    return low,high


@pytest.mark.claims
@pytest.mark.parametrize('name', ALL)
def test_a_claim_holds_over_five_seeds(name, one_thread):
    claim = ALL[name]
    values = [float(measures(claim.lesson)[name](seed)) for seed in SEEDS]
    low,high = record(claim, values)
    assert claim.holds(nearer_end(claim, low, high), claim.bound), f'{claim.says} {claim.measures}: {values}'


@pytest.mark.parametrize('name', ALL)
def test_a_claim_was_recorded_as_it_stands_and_held(name):
    claim = ALL[name]
    known = recorded().get(name)
    assert known, 'never measured: python -m pytest -m claims'
    assert len(known.values)>=5
    assert known.says==claim.says, 'the sentence changed after it was measured'
    assert np.allclose(interval(known.values, claim.most), (known.mean, known.low, known.high))
    assert claim.holds(nearer_end(claim, known.low, known.high), claim.bound)
    assert {'fastai', 'torch'} <= known.versions.keys() and known.machine and date.fromisoformat(known.date)


def test_nothing_is_recorded_that_nobody_claims():
    assert set(recorded()) <= set(ALL)


@pytest.mark.parametrize('name', ALL)
def test_a_claim_is_whole(name):
    claim = ALL[name]
    assert re.fullmatch(r'\d+\.[a-z]', name)
    assert (claim.above is None)!=(claim.below is None), 'one bound'
    assert claim.says.endswith('.') and claim.measures and claim.data
    if claim.here is not None: assert claim.holds(claim.bound, claim.here) or claim.here==claim.bound, '`here` is the weaker one'
    assert name in measures(claim.lesson)


@pytest.mark.parametrize('lesson', LESSONS)
def test_a_lesson_makes_each_of_its_claims(lesson, root):
    notebook = next((root/'nbs').glob(f'{int(lesson):02}_*.ipynb'))
    cells = json.loads(notebook.read_text(encoding='utf-8'))['cells']
    code = '\n'.join(''.join(cell['source']) for cell in cells if cell['cell_type']=='code')
    prose = '\n'.join(''.join(cell['source']) for cell in cells if cell['cell_type']=='markdown')
    names = list(claims(lesson))
    made = re.findall(r"""claim\(['"]([^'"]+)['"],""", code)
    assert sorted(made)==sorted(names)
    for name in names: assert f'<!-- claim {name} -->' in prose, name
    assert set(measures(lesson))==set(names)


def test_every_numbered_lesson_makes_claims(root):
    numbers = {str(int(file.name[:2])) for file in (root/'nbs').glob('[0-9][0-9]_*.ipynb')}
    assert set(LESSONS)==numbers


def test_at_least_twelve_misconceptions_are_refuted():
    assert len({claim.misconception for claim in ALL.values() if claim.misconception})>=12
