"The environments of tools/versions.py: what holds them, that the workflow tests each, and that the doctor knows nothing against them."
import re, subprocess, sys
from types import SimpleNamespace

import pytest
from packaging.version import Version

import versions
from fastclass.course.doctor import check_pairs
from house import ROOT, settings

ALL = sorted(versions.WITHOUT_NBDEV)


def pinned(which): return {versions.name_of(o).lower():o.partition('==')[2] for o in versions.constraints(which) if '==' in o}


def test_every_requirement_has_a_lower_bound():
    found = [o for k,v in settings().items() if k.endswith('requirements') for o in v.split('\n') if o.strip() and '>=' not in o]
    assert not found


def test_lowest_is_what_settings_say():
    low = pinned('lowest')
    for o in versions.requirements('lowest'):
        name,_,bound = o.partition('>=')
        if name not in map(versions.name_of, versions.BESIDE): assert low[name.lower()]==bound
        else: assert Version(low[name.lower()])>=Version(bound), 'what goes with NumPy 2 lies above the bound'
    assert {versions.name_of(o) for o in versions.lines('dev_requirements')}-low.keys()=={'nbdev'}
    assert len(low)==len(versions.constraints('lowest')), 'a package is held twice'


def test_kaggle_holds_what_its_image_has():
    held = pinned('kaggle')
    assert held['fastai'] and held['fastcore'].startswith('1.') and not held['torch'].endswith('cu128') and 'pytest' not in held


@pytest.mark.parametrize('which', ALL)
def test_the_doctor_knows_nothing_against_it(which):
    assert check_pairs(lambda name: pinned(which).get(name.lower(), '')).status in ('ok', 'note') # the note is on ipywidgets 7


@pytest.mark.parametrize('which', ALL)
def test_the_workflow_runs_it(which):
    text = (ROOT/'.github/workflows/test.yml').read_text(encoding='utf-8')
    assert f'which: {which},' in text and 'python tools/versions.py ${{ matrix.which }} ../env' in text


@pytest.mark.parametrize('which', ALL)
def test_one_command_makes_it(which, tmp_path):
    "A real environment; what pip would be asked is written down instead"
    asked = []
    def run(command, cwd):
        held = [o for o in command if str(o).endswith(f'{which}.txt')]
        asked.append((command[1:], open(held[0]).read().split() if held else None))
        return SimpleNamespace(returncode=1 if 'check' in command else 0)
    assert versions.make(which, tmp_path/'env', run)==0 and (tmp_path/'env/pyvenv.cfg').is_file()
    assert asked[0][1]==versions.constraints(which) and set(versions.requirements(which)) <= set(asked[0][0])
    assert [o[0][2] for o in asked]==['install', 'install', 'check', 'list'] and str(ROOT) in asked[1][0] and '--no-deps' in asked[1][0]


def test_a_failed_install_is_a_failure(tmp_path):
    assert versions.make('lowest', tmp_path/'env', lambda command, cwd: SimpleNamespace(returncode=7))==7


def test_without_a_folder_it_prints_the_constraints():
    r = subprocess.run([sys.executable, ROOT/'tools/versions.py', 'lowest'], capture_output=True, text=True, check=True)
    assert r.stdout.split()==versions.constraints('lowest') and re.search(r'^fastai==2.8.7$', r.stdout, re.M)
