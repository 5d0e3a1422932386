"What a user installs: the wheel and the source archive, built without the network."
import configparser, json, os, re, subprocess, sys, tarfile, zipfile
from email.parser import Parser
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

from house import ROOT, copy_tree, settings, tracked
from installed import Installed, build, user_env

NOTEBOOKS = 'fastclass/course/notebooks/'


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    "The archive of the tree, the wheel of the tree, and the wheel of the unpacked archive"
    tmp = tmp_path_factory.mktemp('packaging')
    tree = copy_tree(tmp/'tree')
    sdist,wheel = build(tree, 'sdist', tmp/'sdist'),build(tree, 'wheel', tmp/'wheel')
    with tarfile.open(sdist) as t: t.extractall(tmp/'unpacked', **({'filter': 'data'} if hasattr(tarfile, 'data_filter') else {})) # Python 3.11.4 and later
    again = build(next((tmp/'unpacked').iterdir()), 'wheel', tmp/'again')
    return sdist,wheel,again


def names(wheel):
    with zipfile.ZipFile(wheel) as z: return {o for o in z.namelist() if not o.endswith('/')}


def in_info(wheel, name):
    with zipfile.ZipFile(wheel) as z: return z.read(next(o for o in z.namelist() if o.endswith(f'.dist-info/{name}'))).decode()


def test_wheel_holds_every_module_and_weight(built):
    ours = {o.as_posix() for o in tracked() if o.parts[0]=='fastclass' and o.suffix in ('.py','.safetensors','.json','.csv','.toml')}
    assert ours == {o for o in names(built[1]) if '.dist-info/' not in o and not o.startswith(NOTEBOOKS)}


def test_wheel_holds_the_lessons_and_none_of_the_machinery(built):
    want = {o.relative_to('nbs').as_posix() for o in tracked() if o.parts[0]=='nbs' and o.suffix in ('.ipynb', '.jpg')
            and (o.parts[1] in ('projects', 'images') or re.match(r'\d\d_|quickstart|glossary', o.name))}
    assert want=={o.removeprefix(NOTEBOOKS) for o in names(built[1]) if o.startswith(NOTEBOOKS)}


def test_wheel_is_small(built): assert built[1].stat().st_size < 20_000_000


def test_archive_builds_the_same_wheel(built):
    sdist,wheel,again = built
    assert names(again)==names(wheel)
    assert in_info(again, 'METADATA')==in_info(wheel, 'METADATA')


def test_archive_carries_what_setup_reads(built):
    with tarfile.open(built[0]) as t: inside = {o.partition('/')[2] for o in t.getnames()}
    assert {'settings.ini','setup.py','pyproject.toml','README.md','LICENSE'} <= inside


def test_metadata_says_what_settings_say(built):
    cfg,meta = settings(),Parser().parsestr(in_info(built[1], 'METADATA'))
    for key,name in dict(Name='dist_name', Version='version', Summary='description').items(): assert meta[key]==cfg[name]
    assert meta['Requires-Python']==f">={cfg['min_python']}"
    assert cfg['license'] in (meta['License-Expression'], meta['License'])
    assert meta.get_payload().strip()==(ROOT/'README.md').read_text(encoding='utf-8').strip()


@pytest.mark.parametrize('extra', ['', 'lessons', 'dev', 'app', 'kaggle', 'parallel', 'shards'])
def test_requirements_reach_the_metadata(built, extra):
    meta = Parser().parsestr(in_info(built[1], 'METADATA'))
    want = [o.strip() for o in settings()[f'{extra}_requirements' if extra else 'requirements'].splitlines() if o.strip()]
    told = [o.partition(';') for o in meta.get_all('Requires-Dist')]
    got = [o.strip() for o,_,mark in told if (f'extra == "{extra}"' in mark if extra else 'extra ==' not in mark)]
    assert sorted(got)==sorted(want) and want
    if extra: assert extra in meta.get_all('Provides-Extra')


def test_developers_tools_stay_out_of_what_a_platform_installs():
    run_time = settings()['requirements'].lower()
    assert not [o for o in ('nbdev','jupyterlab','pytest','gradio','kaggle') if o in run_time]


def test_commands_lead_to_functions(built):
    entries = configparser.ConfigParser(delimiters=['='])
    entries.optionxform = str
    entries.read_string(in_info(built[1], 'entry_points.txt'))
    commands = dict(entries['console_scripts'])
    assert {'fastclass','nbdev_test','nbdev_export'} == commands.keys()
    env = {**os.environ, 'PYTHONPATH':str(ROOT)}
    if not find_spec('nbdev'): commands = {'fastclass':commands['fastclass']} # not beside the oldest versions
    for target in commands.values():
        code = "import sys; from importlib.metadata import EntryPoint; assert callable(EntryPoint('o', sys.argv[1], 'console_scripts').load())"
        subprocess.run([sys.executable, '-c', code, target], env=env, check=True)
    assert entries['nbdev']['fastclass']=='fastclass._modidx:d'


@pytest.mark.parametrize('name', ['fastclass', 'nbdev_test', 'nbdev_export'])
def test_commands_work_as_typed(name):
    "As installed beside this Python: each answers --help"
    if name!='fastclass': pytest.importorskip('nbdev', reason='nbdev is not installed in this environment')
    script = Path(sys.executable).with_name(name)
    if os.name=='nt': script = script.with_suffix('.exe')
    assert distribution(settings()['dist_name'])
    r = subprocess.run([script, '--help'], cwd=ROOT, env={**os.environ, 'PYTHONPATH':str(ROOT)}, capture_output=True, text=True)
    assert r.returncode==0 and 'usage' in r.stdout.lower(), r.stderr[-2000:]


# ---- in a fresh environment, outside the clone

@pytest.fixture(scope='module')
def installed(built, tmp_path_factory):
    "What a user has who installed the wheel of the unpacked archive"
    return Installed(tmp_path_factory.mktemp('user')/'venv', built[2])


def test_lessons_come_from_the_wheel(installed, tmp_path):
    run = installed.run('lessons', tmp_path/'my lessons', '--json', cwd=tmp_path)
    assert run.returncode==0, run.stderr
    found = {o.relative_to(tmp_path/'my lessons').as_posix() for o in (tmp_path/'my lessons').rglob('*.*') if o.is_file()} - {'.fastclass-lessons.json'}
    assert set(json.loads(run.stdout)['new'])==found and {'00_cyclists.ipynb', '05_predict.ipynb', 'projects/lakes.ipynb', 'quickstart.ipynb', 'glossary.ipynb'} < found
    code = 'import fastclass; print(fastclass.__file__)'
    where = subprocess.run([installed.python, '-c', code], cwd=tmp_path, env=user_env(), capture_output=True, text=True).stdout.strip()
    assert not Path(where).is_relative_to(ROOT)
