"Where a lesson runs: every place, device, source and broken machine that this computer is not, made up"
import os, subprocess, sys, textwrap, time, warnings
from pathlib import Path

import pytest

from fastclass.course import doctor as dr
from fastclass.course.lesson import start_lesson
from fastclass.engine.base import machine as pl
from fastclass.engine.base.errors import StorageError, UnsupportedError

LIGHT = ('torch', 'fastai', 'numpy', 'rich', 'pandas', 'matplotlib')


def run(code, cwd=None, **env):
    "A second Python with `env` on top of this one's environment"
    return subprocess.run([sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True, timeout=120, cwd=cwd, env={**os.environ, **env})


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    "No variable of the surroundings decides here, and no answer is left from an earlier test"
    for name in ('FASTCLASS_DEVICE', 'FASTCLASS_SOURCE', 'KAGGLE_KERNEL_RUN_TYPE', 'COLAB_RELEASE_TAG', 'CI'): monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pl, '_ASKED', {})


def offline(monkeypatch, answer=False): monkeypatch.setattr(pl, '_ASKED', dict(answer=answer, when=time.monotonic()))


# Places

@pytest.mark.parametrize('env,place', [
    (dict(KAGGLE_KERNEL_RUN_TYPE='Interactive', COLAB_RELEASE_TAG='release-colab-2026'), 'kaggle'),
    (dict(KAGGLE_KERNEL_RUN_TYPE='Batch', CI='true'), 'kaggle'),
    (dict(COLAB_RELEASE_TAG='release-colab-2026', JPY_PARENT_PID='1'), 'colab'),
    (dict(CI='true', JPY_PARENT_PID='1'), 'ci'), (dict(CI='1'), 'ci'), (dict(JPY_PARENT_PID='77'), 'jupyter'), (dict(CI='false', JPY_PARENT_PID='1'), 'jupyter')])
def test_where(env, place): assert pl.where(env)==place


def test_where_is_local_without_a_kernel(): assert run('from fastclass.engine.base.machine import where; print(where({}))').stdout=='local\n'


# Folders

def test_cache_dir_is_made_under_fastclass_home(tmp_path, monkeypatch):
    monkeypatch.setenv('FASTCLASS_HOME', str(tmp_path/'not yet'/'ünï'))
    assert pl.cache_dir('a', 'b')==tmp_path/'not yet'/'ünï'/'a'/'b' and pl.cache_dir('a', 'b').is_dir()


def test_cache_dir_that_is_a_file_is_a_storage_error(tmp_path, monkeypatch):
    (tmp_path/'f').write_text('')
    monkeypatch.setenv('FASTCLASS_HOME', str(tmp_path/'f'))
    with pytest.raises(StorageError, match='FASTCLASS_HOME'): pl.cache_dir('x')


def test_user_cache_that_cannot_be_written_steps_down_with_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path/'f').write_text('')
    monkeypatch.delenv('FASTCLASS_HOME')
    monkeypatch.setattr('platformdirs.user_cache_path', lambda *a, **k: tmp_path/'f'/'fastclass')
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    first,second = pl.cache_dir('a'),pl.cache_dir('b')
    assert first.is_dir() and first.parent==second.parent and first.parent.parent==tmp_path
    assert capsys.readouterr().err.count('\n')==1


# Workers

@pytest.mark.parametrize('kind,cpus,start,shm,n', [('cuda', 4, 'fork', 9999, 4), ('cuda', 2, 'fork', 9999, 2), ('cuda', 64, 'fork', 9999, 8), ('cpu', 2, 'fork', 9999, 0),
    ('cpu', 8, 'fork', 9999, 4), (None, 1, 'fork', 9999, 0), ('cuda', 8, 'fork', 64, 0), ('cpu', 8, 'spawn', 9999, 0), ('cuda', 8, 'forkserver', 9999, 0)])
def test_workers(kind, cpus, start, shm, n): assert pl._workers(kind, cpus, start, shm)[0]==n


@pytest.mark.parametrize('limits,cpus', [({'cpu.max': '150000 100000'}, 1), ({'cpu.max': 'max 100000'}, 16), ({'cpu.max': '400000 100000'}, 4), ({}, 16),
    ({'cpu.cfs_quota_us': '200000\n', 'cpu.cfs_period_us': '100000\n'}, 2), ({'cpu.cfs_quota_us': '-1\n', 'cpu.cfs_period_us': '100000\n'}, 16)])
def test_cpu_count_knows_container_limits(limits, cpus, monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(pl, 'system_text', lambda path: limits.get(Path(path).name, ''))
    assert pl.cpu_count()==cpus


# Devices

def gpu(*names): return lambda: [(n, f'the {n} one') for n in names]
def fails(text):
    def op(kind): raise RuntimeError(text)
    return op
def works(kind): pass
def only_mps(kind):
    if kind=='cuda': raise RuntimeError('CUDA error: no kernel image is available for execution on the device')


def test_a_gpu_without_kernels_is_passed_over(monkeypatch):
    op = fails('CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might be reported later')
    assert pl._pick(None, None, gpu('cuda'), op).type=='cpu'
    monkeypatch.setenv('KAGGLE_KERNEL_RUN_TYPE', 'Interactive')
    assert "choose T4 x2 in Kaggle's accelerator menu" in pl._pick(None, 'cuda', gpu('cuda'), op).why


def test_the_next_gpu_is_tried(): assert pl._pick(None, None, gpu('cuda', 'mps'), only_mps).type=='mps'
def test_a_gpu_that_works_is_taken(): assert pl._pick(None, None, gpu('cuda', 'mps'), works)==pl.Device('cuda', 'the cuda one', 'a real operation ran on it')
def test_preference_is_tried_first(): assert pl._pick(None, 'mps', gpu('cuda', 'mps'), works).type=='mps'
def test_full_memory_is_named(): assert 'no memory left' in pl._pick(None, None, gpu('cuda'), fails('CUDA out of memory. Tried to allocate')).why
def test_no_gpu(): assert pl._pick(None, None, gpu(), works).why=='no GPU is listed'


def test_a_gpu_that_hangs_is_passed_over():
    start = time.monotonic()
    assert 'does not answer' in pl._pick(None, None, gpu('cuda'), lambda kind: time.sleep(30), .05).why
    assert 'does not answer' in pl._pick(None, None, lambda: time.sleep(30), works, .05).why
    assert time.monotonic()-start<2


def test_forced_device(monkeypatch):
    with pytest.raises(UnsupportedError, match='FASTCLASS_DEVICE is cuda'): pl._pick('cuda', None, gpu('cuda'), fails('bad'))
    with pytest.raises(UnsupportedError, match='no such device'): pl._pick('mps', None, gpu('cuda'), works)
    monkeypatch.setenv('FASTCLASS_DEVICE', 'gpu')
    with pytest.raises(UnsupportedError, match='cuda, mps or cpu'): pl.pick_device()
    monkeypatch.setenv('FASTCLASS_DEVICE', 'CPU')
    assert pl.pick_device('cuda').type=='cpu'


def test_the_real_operation_runs_on_a_cpu_and_uses_no_random_number():
    import torch
    torch.manual_seed(1); a = torch.rand(1)
    torch.manual_seed(1); pl._real_op('cpu')
    assert torch.equal(a, torch.rand(1))
    with pytest.raises(RuntimeError): pl._real_op('meta')


# Internet

def test_hanging_name_lookup_costs_two_seconds_at_most_and_does_not_hold_the_process():
    code = '''
    import socket, time
    socket.getaddrinfo = lambda *a, **k: time.sleep(60)
    from fastclass.engine.base.machine import has_internet
    t = time.monotonic(); first = has_internet(); a = time.monotonic()-t
    t = time.monotonic(); again = has_internet(); b = time.monotonic()-t
    print(first, again, a, b)'''
    start = time.monotonic()
    out = run(code)
    first,again,a,b = out.stdout.split()
    assert (first, again)==('False', 'False') and 1<float(a)<2.5 and float(b)<.1 and out.stderr==''
    assert time.monotonic()-start<15


def test_one_host_is_enough():
    def reach(host, timeout):
        if host=='b': return
        time.sleep(20)
    start = time.monotonic()
    assert pl._probe_internet(2, ('a', 'b', 'c'), reach) and time.monotonic()-start<1


def test_all_refused_answers_at_once():
    def reach(host, timeout): raise ConnectionRefusedError
    start = time.monotonic()
    assert not pl._probe_internet(2, reach=reach) and time.monotonic()-start<1


def test_answer_is_kept_for_a_minute(monkeypatch):
    asked = []
    monkeypatch.setattr(pl, '_probe_internet', lambda timeout: asked.append(timeout) or True)
    assert pl.has_internet() and pl.has_internet() and len(asked)==1
    pl._ASKED['when'] -= 61
    assert pl.has_internet() and len(asked)==2


def test_a_wire_without_tls_is_not_the_internet(monkeypatch):
    "What a hotel's log-in page does: it accepts every connection, and cannot prove that it is the host"
    import socket, threading
    server = socket.create_server(('127.0.0.1', 0))
    def answer():
        while True:
            try: client,_ = server.accept()
            except OSError: return
            client.sendall(b'HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n'); client.close()
    threading.Thread(target=answer, daemon=True).start()
    for name in ('https_proxy', 'HTTPS_PROXY'): monkeypatch.setenv(name, f'http://127.0.0.1:{server.getsockname()[1]}')
    monkeypatch.setenv('no_proxy', '')
    assert not pl._probe_internet(2)
    server.close()


# Sources

@pytest.mark.parametrize('forced,internet,cached,name', [
    (None, True, True, 'live'), (None, False, True, 'cached'), (None, False, False, 'bundled'), ('auto', False, False, 'bundled'), ('', True, False, 'live'),
    ('live', False, False, 'live'), ('cached', True, False, 'cached'), ('bundled', True, True, 'bundled'), ('BUNDLED', True, True, 'bundled')])
def test_choose_source(forced, internet, cached, name, monkeypatch):
    offline(monkeypatch, internet)
    if forced is not None: monkeypatch.setenv('FASTCLASS_SOURCE', forced)
    assert pl.choose_source(cached).name==name


def test_cached_is_a_bool_a_function_or_a_path(tmp_path, monkeypatch):
    offline(monkeypatch)
    (tmp_path/'manifest.jsonl').write_text('')
    assert pl.choose_source(lambda: True).name==pl.choose_source(tmp_path/'manifest.jsonl').name==pl.choose_source(str(tmp_path)).name=='cached'
    assert pl.choose_source(lambda: False).name==pl.choose_source(tmp_path/'none').name=='bundled'


def test_a_bad_source_names_the_choices(monkeypatch):
    monkeypatch.setenv('FASTCLASS_SOURCE', 'cloud')
    with pytest.raises(UnsupportedError, match='live, cached, bundled or auto'): pl.choose_source()


def test_kaggle_is_told_of_its_switch(monkeypatch):
    offline(monkeypatch)
    monkeypatch.setenv('KAGGLE_KERNEL_RUN_TYPE', 'Interactive')
    assert 'side bar' in pl.choose_source().why


# The first cell

def test_start_lesson_is_one_line_and_seeds_everything(monkeypatch, capsys):
    import random
    import numpy as np
    import torch
    monkeypatch.setenv('FASTCLASS_SOURCE', 'bundled')
    monkeypatch.setenv('FASTCLASS_DEVICE', 'cpu')
    with warnings.catch_warnings():
        draws = [(start_lesson('Lesson', 5, seed=3), random.random(), np.random.rand(), torch.rand(1).item()) for _ in range(2)]
    assert draws[0]==draws[1]
    first,second = capsys.readouterr().out.splitlines()
    assert first==second
    for part in ('Lesson', 'cpu', 'bundled data (FASTCLASS_SOURCE says so)', 'fastclass ', 'fastai 2', 'torch 2', 'Python 3', 'about 5 minutes'): assert part in first
    from fastai.torch_core import default_device
    assert default_device().type=='cpu'
    assert not torch.are_deterministic_algorithms_enabled()


def test_start_lesson_with_a_broken_fastai_sends_to_the_doctor(tmp_path):
    broken(tmp_path)
    out = run('''
    from fastclass.course.lesson import start_lesson
    from fastclass.engine.base.errors import FastclassError
    try: start_lesson('x', 1)
    except FastclassError as e: print(e.message, e.next)''', PYTHONPATH=str(tmp_path), FASTCLASS_SOURCE='bundled', FASTCLASS_DEVICE='cpu')
    assert 'typedispatch' in out.stdout and 'fastclass doctor' in out.stdout


def test_quiet_keeps_other_warnings_and_does_not_pile_up():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        pl.quiet(); n = len(warnings.filters); pl.quiet()
        assert len(warnings.filters)==n
        warnings.warn("This package (`duckduckgo_search`) has been renamed to `ddgs`! Use `pip install ddgs` instead.", RuntimeWarning)
        warnings.warn('IProgress not found. Please update jupyter and ipywidgets.')
        warnings.warn('`torch.jit.script` is deprecated.', FutureWarning)
        warnings.warn('a tensor was copied', UserWarning)
    assert [str(w.message) for w in seen]==['a tensor was copied']


def test_quiet_takes_back_what_duckduckgo_search_does_to_everybody():
    out = run('''
    import warnings
    from duckduckgo_search import DDGS
    from fastclass.engine.base.machine import quiet
    quiet(); before = list(warnings.filters)
    DDGS(); quiet()
    print(sorted(map(str, before))==sorted(map(str, warnings.filters)))''')
    assert out.stdout=='True\n'


def test_import_is_light_and_silent():
    code = f'''
    import sys, time
    t = time.process_time()
    import fastclass
    t = time.process_time()-t
    import fastclass.engine.base.machine, fastclass.course.doctor
    print(t, [m for m in {LIGHT} if m in sys.modules])'''
    res = min((run(code) for _ in range(2)), key=lambda r: float(r.stdout.split()[0]))
    seconds,_,heavy = res.stdout.partition(' ')
    assert float(seconds)<.1 and heavy.strip()=='[]'
    out = subprocess.run([sys.executable, '-W', 'error', '-c', 'import fastclass.engine.base.machine, fastclass.course.doctor, fastclass.course.cli'], capture_output=True, text=True)
    assert (out.returncode, out.stderr)==(0, '')


# The doctor

def broken(folder):
    "A fastai that does not import"
    (folder/'fastai').mkdir()
    (folder/'fastai'/'__init__.py').write_text('raise ImportError("cannot import name typedispatch")')


def test_doctor_is_ok_unless_a_check_fails(capsys):
    notes = [dr.Check('Internet', 'note', 'none'), dr.Check('Widgets', 'warn', 'old', 'renew')]
    assert dr.doctor(found=notes)['ok'] and not dr.doctor(found=notes+[dr.Check('Disk', 'fail', 'full', 'free some')])['ok']
    out = capsys.readouterr().out
    assert 'Ready' in out and 'To be mended: Disk.' in out and 'free some' in out


def test_a_check_that_fails_itself_is_a_finding():
    def check_moon(): raise KeyError('no moon')
    found = dr.checks([check_moon], [], dict)
    assert (found[0].name, found[0].status)==('Moon', 'warn') and 'no moon' in found[0].found


@pytest.mark.parametrize('versions,status,fix', [
    ({'plum-dispatch': '2.10.0', 'fastai': '2.8.8'}, 'fail', 'plum-dispatch<2.10'), ({'plum-dispatch': '2.9.0', 'fastai': '2.8.8'}, 'ok', ''), ({'plum-dispatch': '2.10.1', 'fastai': '2.8.12'}, 'ok', ''),
    ({'fastai': '2.7.19', 'fastcore': '1.8.1'}, 'fail', 'fastai>=2.8.7'), ({'numpy': '2.0.2', 'torch': '2.2.2+cpu'}, 'fail', 'numpy<2'), ({'numpy': '2.0.2', 'torch': '2.3.0'}, 'ok', ''),
    ({'fastai': '2.8.7', 'fastcore': '2.2.39'}, 'fail', 'fastai>=2.8.12'), ({'fastai': '2.8.8', 'fastcore': '2.2.39'}, 'ok', ''), ({'numpy': '2.0.0', 'pandas': '2.2.1'}, 'fail', 'pandas>=2.2.2'),
    ({'numpy': '2.4.6', 'scipy': '1.12.0'}, 'fail', 'scipy>=1.13'), ({'numpy': '1.26.4', 'scipy': '1.12.0', 'pandas': '2.2.1'}, 'ok', ''), ({'numpy': '2.0.0', 'scikit-learn': '1.4.1.post1'}, 'fail', 'scikit-learn>=1.4.2'),
    ({'numpy': '2.0.0', 'pandas': '3.1.1'}, 'fail', 'numpy>=2.0.2'), ({'typer': '0.12.5', 'click': '8.5.1'}, 'warn', 'typer>=0.16'), ({'typer': '0.16.0', 'click': '8.5.1'}, 'ok', ''),
    ({'setuptools': '84.2.1', 'nbdev': '2.4.6'}, 'warn', 'setuptools<82'), ({'setuptools': '84.2.1', 'nbdev': '3.3.26'}, 'ok', ''),
    ({'nbdev': '2.4.6', 'fastcore': '2.2.39'}, 'warn', 'nbdev>=3.3'), ({'nbdev': '3.3.26', 'fastcore': '2.2.39'}, 'ok', ''),
    ({'torch': '2.9.0+cpu', 'torchvision': '0.24.0'}, 'warn', 'torch torchvision'), ({'torch': '2.9.0+cpu', 'torchvision': '0.24.0+cpu'}, 'ok', ''),
    ({'torch': '2.15.0', 'torchvision': '0.29.2'}, 'ok', ''), ({'gradio': '6.1', 'pillow': '13.0.0'}, 'warn', 'pillow>=11,<13'), ({'gradio': '5.50.0', 'pillow': '12.1'}, 'warn', 'pillow>=11,<12'), ({'ipywidgets': '7.7.1'}, 'note', ''), ({}, 'ok', '')])
def test_known_conflicts(versions, status, fix):
    found = dr.check_pairs(lambda name: versions.get(name, ''))
    assert found.status==status and fix in found.fix


def test_missing_library_is_a_failure(): assert dr.check_versions(lambda name: '' if name=='torch' else '1').status=='fail'


def test_requirements_that_are_not_met_are_named(monkeypatch):
    monkeypatch.setattr(dr.metadata, 'requires', lambda name: ['torch==2.15.0', 'plum-dispatch<2.10', 'pysam; extra == "x"'] if name=='torchvision' else [])
    monkeypatch.setattr(dr, 'version', {'torch': '2.14.0', 'plum-dispatch': '2.9'}.get)
    found = dr.check_requirements()
    assert (found.status, found.found, found.fix)==('warn', 'torchvision asks for torch==2.15.0, found 2.14.0', 'python -m pip install "torch==2.15.0"')


def test_kernel_of_another_environment(tmp_path, monkeypatch):
    for python,status in [('/opt/other/bin/python', 'warn'), (sys.executable, 'ok'), ('python', 'ok'), (None, 'warn')]:
        monkeypatch.setattr(dr, '_kernel', lambda: python)
        assert dr.check_kernel().status==status
    def absent(): raise ImportError
    monkeypatch.setattr(dr, '_kernel', absent)
    assert dr.check_kernel().status=='note'


def test_widgets_without_their_other_half(monkeypatch):
    monkeypatch.setattr(dr, 'version', {'ipywidgets': '8.1.5', 'jupyterlab': '4.2', 'jupyterlab_widgets': '1.1.0'}.get)
    assert dr.check_widgets().status=='warn'
    monkeypatch.setattr(dr, 'version', {'ipywidgets': '8.1.5'}.get)
    assert dr.check_widgets().status=='ok'


@pytest.mark.parametrize('code,word', [('import os; os._exit(3)', 'ended with the code 3'), ('import time; time.sleep(30)', 'no answer within'), ('1/0', 'ZeroDivisionError'),
    ('raise AttributeError("attribute __doc__ is read-only")', 'read-only')])
def test_a_torch_that_crashes_hangs_or_fails_is_named(code, word, tmp_path, monkeypatch):
    (tmp_path/'torch.py').write_text(code)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    found = dr.check_imports(dr.try_imports(seconds=5 if 'sleep' in code else 60))
    assert found.status=='fail' and found.found.startswith('torch: ') and word in found.found


def test_second_process_ends_with_the_first(tmp_path):
    (tmp_path/'torch.py').write_text("import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)")
    first = subprocess.Popen([sys.executable, '-c', 'from fastclass.course.doctor import try_imports; try_imports()'], cwd=tmp_path)
    def wait(done):
        end = time.monotonic()+30
        while not done() and time.monotonic()<end: time.sleep(.05)
        return done()
    def ended():
        try: os.kill(int((tmp_path/'pid').read_text()), 0)
        except ProcessLookupError: return True
        return 'State:\tZ' in pl.system_text(f"/proc/{(tmp_path/'pid').read_text()}/status")
    assert wait(lambda: (tmp_path/'pid').exists() and (tmp_path/'pid').read_text())
    first.kill(); first.wait()
    assert wait(ended)


def test_a_file_that_hides_a_library_is_named(tmp_path, monkeypatch):
    (tmp_path/'torch.py').write_text('from torch import nn')
    monkeypatch.chdir(tmp_path)
    found = dr.check_imports(dr.try_imports())
    assert 'torch.py of this folder' in found.found and 'Rename' in found.fix


def test_doctor_on_this_machine_and_with_a_fastai_that_does_not_import(tmp_path):
    broken(tmp_path)
    cmd = [sys.executable, '-c', 'from fastclass.course.cli import main; main()', 'doctor', '--json']
    both = [subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env}) for env in ({}, dict(PYTHONPATH=str(tmp_path)))]
    (good,_),(bad,_) = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both]==[0, 1], good+bad
    import json
    found = {c['name']: c for c in json.loads(bad)['checks']}
    assert 'typedispatch' in found['Imports']['found'] and found['Imports']['fix'] and found['Device']['status'] in ('ok', 'note')
