"The first cell of a lesson: it adds fastclass on Colab and Kaggle, moves nothing that is there, and says what to switch on."
import json, os, re, shutil, subprocess, sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import first_cell
from fastclass.course import install
from house import ROOT, settings

RECORDED = {'kaggle':('3.12', 'kaggle_packages.txt'), 'colab':('3.13', 'colab_packages.txt')}
HELD = {'torch', 'torchvision', 'fastai', 'fastcore', 'pillow', 'ipywidgets', 'numpy'}
on_each = pytest.mark.parametrize('platform', RECORDED)


def packages(platform): # name to version, as recorded
    lines = (ROOT/'tests/recorded'/RECORDED[platform][1]).read_text(encoding='utf-8').splitlines()
    return {canonicalize_name(n):v for n,_,v in (o.partition('==') for o in lines if o and not o.startswith('#'))}


def requirements(): return [Requirement(o.strip()) for o in settings()['requirements'].splitlines() if o.strip()]
def missing(have): return [o for o in requirements() if canonicalize_name(o.name) not in have]
def unmet(have): # requirements that are there and too old: a plain `pip install` would move these
    return {canonicalize_name(o.name) for o in requirements() if (v := have.get(canonicalize_name(o.name))) and not o.specifier.contains(v, prereleases=True)}


# ---- the lists

@on_each
def test_list_is_whole_and_says_where_it_is_from(platform):
    head = ''.join(o for o in (ROOT/'tests/recorded'/RECORDED[platform][1]).read_text(encoding='utf-8').splitlines(True) if o.startswith('#'))
    assert f'Python {RECORDED[platform][0]}' in head and 'pip list --format=freeze' in head and re.search(r'(assembled|recorded) on 20\d\d-\d\d-\d\d', head)
    have = packages(platform)
    assert HELD <= have.keys() and all(Version(o) for o in have.values())


def test_lists_hold_the_known_facts():
    kaggle,colab = packages('kaggle'),packages('colab')
    assert Version(kaggle['fastcore'])<Version('2') and kaggle['ipywidgets']=='8.1.5'
    assert colab['ipywidgets']=='7.7.1' and colab['fastai']=='2.8.8'


# ---- without an index

@on_each
def test_requirements_move_nothing_that_is_there(platform): assert unmet(packages(platform))==set()


@on_each
def test_what_is_missing_is_none_of_the_held(platform):
    names = {canonicalize_name(o.name) for o in missing(packages(platform))}
    assert names and not names & HELD
    assert {'ddgs', 'duckduckgo-search'} <= names # the two that no image has: the list would be wrong otherwise


def test_an_old_package_is_noticed():
    have = {**packages('kaggle'), 'pillow':'10.4.0', 'fastai':'2.8.4'}
    assert unmet(have)=={'pillow', 'fastai'}


# ---- with pip's own resolver

def interpreter(version): # one of that version where there is one that runs
    found = shutil.which(f'python{version}')
    return found if found and subprocess.run([found, '--version'], capture_output=True).returncode==0 else sys.executable


def stand_in(tmp, platform): # an environment in which pip finds what the platform has
    subprocess.run([interpreter(RECORDED[platform][0]), '-m', 'venv', '--without-pip', tmp/'env'], check=True)
    python = tmp/'env'/('Scripts/python.exe' if os.name=='nt' else 'bin/python')
    site = subprocess.run([python, '-c', 'import sysconfig; print(sysconfig.get_paths()["purelib"])'], capture_output=True, text=True, check=True).stdout.strip()
    for name,v in packages(platform).items():
        info = Path(site)/f"{name.replace('-', '_')}-{v}.dist-info"
        info.mkdir()
        (info/'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {v}\n')
        for file,text in (('INSTALLER', 'pip\n'), ('RECORD', '')): (info/file).write_text(text)
    return python


def dry_run(python, tmp, *args): # name to version of what pip would install
    r = subprocess.run([sys.executable, '-m', 'pip', '--python', python, 'install', '--dry-run', '-q', '--only-binary=:all:', '--report', tmp/'report.json', *args],
                       capture_output=True, text=True)
    assert r.returncode==0, r.stderr[-2000:]
    return {canonicalize_name(o['metadata']['name']):o['metadata']['version'] for o in json.loads((tmp/'report.json').read_text(encoding='utf-8'))['install']}


@pytest.fixture(scope='module')
def index(tmp_path_factory):
    "Skips where pip reaches no index"
    r = subprocess.run([sys.executable, '-m', 'pip', 'install', '--dry-run', '-q', '--no-deps', '--ignore-installed', '--retries=0', 'fastdownload>=0.0.7'],
                       capture_output=True, text=True, timeout=120, cwd=tmp_path_factory.mktemp('index'))
    if r.returncode: pytest.skip(f'needs an index of packages, and pip reaches none: {r.stderr.strip()[-120:]}')


@on_each
def test_pip_would_move_none_of_the_held(platform, tmp_path, index):
    have,python = packages(platform),stand_in(tmp_path, platform)
    (tmp_path/'keep.txt').write_text('\n'.join(install.pins(lambda n: have.get(n, ''))))
    new = dry_run(python, tmp_path, '-c', tmp_path/'keep.txt', *map(str, missing(have)))
    assert {canonicalize_name(o.name) for o in missing(have)} <= new.keys()
    assert not new.keys() & HELD, f'moved: {({o:(have[o], new[o]) for o in new.keys() & HELD})}'
    assert not new.keys() & have.keys(), f'not held, and moved all the same: {({o:(have[o], new[o]) for o in new.keys() & have.keys()})}'


def test_pip_refuses_rather_than_moves(tmp_path, index):
    "The test above can fail: with the constraints a package that asks for a newer pillow is refused, without them pillow is moved"
    python = stand_in(tmp_path, 'kaggle')
    (tmp_path/'keep.txt').write_text('pillow==11.3.0')
    assert 'pillow' in dry_run(python, tmp_path, 'pillow==12.0.0')
    with pytest.raises(AssertionError, match='(?i)conflict|impossible'): dry_run(python, tmp_path, '-c', tmp_path/'keep.txt', 'pillow==12.0.0')


# ---- the cell

def code(path): return re.sub(r'\A#\| default_exp \S+\n', '', nbformat.read(path, 4).cells[1].source)


@pytest.mark.parametrize('path', first_cell.notebooks(), ids=lambda o: o.name)
def test_lesson_opens_with_the_cell(path): assert code(path)==first_cell.first_cell(), 'run: python tools/first_cell.py'


def test_cell_is_short_and_takes_its_address_from_the_settings():
    cell = first_cell.first_cell(dict(repository='https://github.com/some/course/', branch='v2', dist_name='some-course'))
    assert "'https://github.com/some/course/archive/v2.zip'" in cell and 'some_course-*.whl' in cell
    assert settings()['repository'] in first_cell.first_cell() and len(cell.splitlines())<13 and max(map(len, cell.splitlines()))<170


def test_cell_is_written_once_and_the_rest_stays(tmp_path):
    path = tmp_path/'a.ipynb'
    cells = [nbformat.v4.new_markdown_cell('# Title'), nbformat.v4.new_code_cell('#| default_exp a'), nbformat.v4.new_code_cell('1+1')]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    for _ in range(2): first_cell.put(path, first_cell.first_cell())
    nb = nbformat.read(path, 4)
    assert [o.source.splitlines()[0] for o in nb.cells]==['# Title', '#| default_exp a', '1+1'] and code(path)==first_cell.first_cell()
    assert first_cell.is_right(path, first_cell.first_cell()) and not first_cell.is_right(path, 'another')


def run_cell(monkeypatch, returncode=0, wheels=(), env=None, there=False):
    "Run the cell as on a platform; returns pip's arguments, or None when pip was not asked"
    asked = []
    import builtins, glob
    real = builtins.__import__
    def importer(name, *args, **kw):
        if name=='fastclass.course' and not there: raise ModuleNotFoundError("No module named 'fastclass'")
        return real(name, *args, **kw)
    for o in ('COLAB_RELEASE_TAG', 'KAGGLE_KERNEL_RUN_TYPE'): monkeypatch.delenv(o, raising=False)
    for k,v in (env or {}).items(): monkeypatch.setenv(k, v)
    monkeypatch.setattr(builtins, '__import__', importer)
    monkeypatch.setattr(glob, 'glob', lambda *a, **k: list(wheels))
    monkeypatch.setattr(subprocess, 'call', lambda cmd: asked.append(cmd[1:]) or returncode)
    monkeypatch.setattr(install, 'install_missing', lambda: asked.append('missing'))
    exec(first_cell.first_cell(), {})
    return asked


def test_cell_does_nothing_where_fastclass_is(monkeypatch): assert run_cell(monkeypatch, there=True, env={'KAGGLE_KERNEL_RUN_TYPE':'Batch'})==[]


def test_cell_installs_without_dependencies_on_colab(monkeypatch):
    pip,then = run_cell(monkeypatch, env={'COLAB_RELEASE_TAG':'release'})
    assert '--no-deps' in pip and pip[-1].startswith(settings()['repository']) and then=='missing' and not {'-U', '--upgrade'} & set(pip)


def test_cell_takes_the_newest_wheel_of_a_data_set(monkeypatch):
    pip,_ = run_cell(monkeypatch, env={'KAGGLE_KERNEL_RUN_TYPE':'Interactive'}, wheels=['/in/b/fastclass_course-0.2.0.whl', '/in/a/fastclass_course-0.1.0.whl'])
    assert {'--no-deps', '--no-index'} <= set(pip) and pip[-1]=='/in/b/fastclass_course-0.2.0.whl'


def test_cell_says_what_to_switch_on(monkeypatch):
    with pytest.raises(ImportError, match='switch on Internet under Settings') as e: run_cell(monkeypatch, returncode=1, env={'KAGGLE_KERNEL_RUN_TYPE':'Interactive'})
    assert e.value.__suppress_context__ and '\n' not in str(e.value)


def test_cell_installs_nothing_on_a_computer_of_your_own(monkeypatch):
    with pytest.raises(ModuleNotFoundError, match='fastclass'): run_cell(monkeypatch)


# ---- what the lessons do without the packages that Kaggle lacks when it is offline

def test_library_imports_without_the_missing_packages():
    code = '''import sys
for o in ('ddgs', 'duckduckgo_search', 'imagehash'): sys.modules[o] = None
import fastclass.collect, fastclass.datablock, fastclass.engine.collect.search, fastclass.course.cli'''
    r = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], env={**os.environ, 'PYTHONPATH':str(ROOT)}, capture_output=True, text=True)
    assert r.returncode==0, r.stderr[-1500:]


def test_missing_packages_are_those_that_the_metadata_asks_for(monkeypatch, capsys):
    "From the metadata of fastclass itself: what is gone is installed, extras are left alone"
    gone = {'ddgs', 'ImageHash'}
    from fastclass.course import doctor
    monkeypatch.setattr(doctor, 'version', lambda n: '' if n in gone else {'pillow':'10.0'}.get(n) or metadata.version(n))
    asked = []
    assert install.install_missing(pip=lambda names, options: asked.append(SimpleNamespace(names=names, options=options)) or '', online=lambda: True)==[]
    assert {re.match(r'[\w-]+', o)[0] for o in asked[0].names}==gone and asked[0].options[0]=='-c' and '--no-index' not in asked[0].options
    out = capsys.readouterr().out
    assert 'Installed beside fastclass' in out and 'Left as it is: pillow 10.0' in out and 'nbdev' not in out
