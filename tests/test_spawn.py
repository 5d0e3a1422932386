"Windows and Mac start new processes instead of copying this one, and take fewer names for files: the main job as it runs there"
import ast, json, os, re, subprocess, sys
from pathlib import Path

import pytest

from house import ROOT
from fastclass.engine.base.errors import DataError
from fastclass.engine.base.files import safe_folder
from fastclass.collect import collect

MODULES = sorted(o for o in (ROOT/'fastclass').rglob('*.py') if o.name!='_modidx.py')

# Everything in one fresh process, since importing torch takes a while. Workers are given on purpose: by itself fastclass takes none where processes are spawned.
SCRIPT = '''
import json, multiprocessing, sys
from pathlib import Path

def main(out):
    multiprocessing.set_start_method('spawn')
    import torch
    from fastclass.collect import collect
    from fastclass.engine.base.machine import quiet, worker_count
    from fastclass.engine.packs.packs import pack
    from fastclass.engine.finetune import features
    from fastclass.engine.predict.predictor import save_bundle
    from fastclass.engine.datablock.loaders import folder_dls
    from fastclass.engine.segment.masks import MaskOf, read_codes
    from fastclass.engine.finetune.speed import speed_up
    from fastclass.engine.finetune.weights import make_learner
    from fastclass.finetune import quick_tune
    from fastclass.interpret import predictions
    from fastclass.predict import predict_files
    from fastclass.segment import segment_dls
    quiet()
    torch.set_num_threads(1)
    said = dict(workers=worker_count('cpu'))
    collect({'CON': 'aldra', 'dots...': 'bremir'}, out/'set', 12, min_ok=1)
    said['labels'] = sorted(o.name for o in (out/'set').iterdir() if o.is_dir() and not o.name.startswith('.'))
    dls = folder_dls(out/'set', size=32, bs=8, workers=2)
    said['seen'] = sum(len(b[0]) for b in dls.valid), len(dls.valid_ds)
    features.cpu_count = lambda: 4 # with more processors than two, features are made from pictures that workers decode
    learn = make_learner(folder_dls(out/'set', size=32, bs=8, workers=1), 'squeezenet1_1', download=False)
    with learn.no_bar(), learn.no_logging():
        said['tuned'] = quick_tune(learn, 2).n_train
        with speed_up(learn, torch.float32) as settings: learn.fit(1)
        said['settings'] = str(settings)
        said['interpreted'] = len(predictions(learn))
    save_bundle(learn, out/'bundle')
    said['predicted'] = int((predict_files(out/'bundle', out/'set', csv=out/'table.csv', progress=False).error=='').sum())
    seg = pack('streets', photos=1, seg=4)/'seg'
    seg_dls = segment_dls(sorted((seg/'images').iterdir()), MaskOf(seg/'labels'), read_codes(seg/'codes.txt'), size=(32, 48), bs=2, workers=1)
    said['masks'] = [list(b[1].shape) for b in seg_dls.train]
    (out/'said.json').write_text(json.dumps(said), encoding='utf-8')

if __name__=='__main__': main(Path(sys.argv[1]))
'''


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    "`(folder, what the script said)`"
    out = tmp_path_factory.mktemp('spawn')
    (out/'script.py').write_text(SCRIPT, encoding='utf-8')
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]), 'OMP_NUM_THREADS': '1', 'FASTCLASS_DEVICE': 'cpu'}
    p = subprocess.run([sys.executable, '-W', 'ignore', str(out/'script.py'), str(out)], capture_output=True, text=True, timeout=500, env=env, cwd=out)
    assert p.returncode==0, p.stdout[-2000:]+p.stderr[-6000:]
    return out, json.loads((out/'said.json').read_text(encoding='utf-8'))


def test_the_main_job_needs_no_fork(run):
    said = run[1]
    assert said['seen'][0]==said['seen'][1]>0
    assert said['tuned']>0 and said['interpreted']==said['seen'][1] and said['predicted']>0
    assert said['masks']==[[2, 32, 48]]*2


def test_no_worker_and_nothing_kept_for_workers_where_processes_are_spawned(run):
    assert run[1]['workers']==0
    assert '1 processes that decode' in run[1]['settings'] and '0 of' in run[1]['settings'], 'a spawned worker would get a copy of all kept pictures'


RESERVED = {'con', 'prn', 'aux', 'nul', *(f'{o}{i}' for o in ('com', 'lpt') for i in range(1, 10))}


def trouble(name):
    "Why Windows would not take the name, or would take it for another one"
    return (re.search(r'[\x00-\x1f<>:"/\\|?*]', name) or name!=name.rstrip('. ') or name.split('.')[0].rstrip().lower() in RESERVED) and name


def test_every_file_that_was_written_has_a_name_for_every_system(run):
    out,said = run
    assert len(said['labels'])==2 and not {'CON', 'dots...'} & set(said['labels'])
    names = [p.name for p in out.rglob('*')]
    assert len(names)>20 and not [o for o in names if trouble(o)]


@pytest.mark.parametrize('label', ['C:/a?b', 'back\\slash', 'a"b', 'new\nline', '.hidden'])
def test_a_class_that_cannot_be_a_folder_is_refused_before_any_search(label, tmp_path):
    with pytest.raises(DataError, match='cannot be the name of a folder'): collect({label: 'aldra'}, tmp_path/'set')
    assert not list(tmp_path.iterdir())


def test_labels_that_are_one_folder_on_windows_are_refused(tmp_path):
    from fastclass.collect import collect
    with pytest.raises(DataError, match='Bear and bear would be one folder'): collect({'Bear': 'aldra', 'bear': 'lune'}, tmp_path/'set')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('label', ['C:/a?b', 'a\\b', 'CON', 'con.txt', 'Com1', 'lpt9.old', 'nul ', 'dots...', 'dot. .', ' . ', 'tab\tline\n', 'a"b<c>d|e*f', '', '...', 'é'*200])
def test_folder_of_a_label_is_one_folder_on_every_system(label):
    assert not trouble(safe_folder(label)) and safe_folder(label)


# ---- what is written in the library

def functions(tree):
    "`(node, functions around it)` of everything in a module"
    def walk(node, around):
        for o in ast.iter_child_nodes(node):
            yield o, around
            yield from walk(o, [*around, o] if isinstance(o, (ast.FunctionDef, ast.AsyncFunctionDef)) else around)
    yield from walk(tree, [])


def name_of(call): return ast.unparse(call.func).rpartition('.')[2]


def sent(path, text): # `(line, what)` of functions without a name of their own that a worker process would have to get
    takers = re.compile(r'DataBlock|Block|DataLoaders?|TfmdDL|dataloaders|databunch|Datasets|TfmdLists|from_\w+_func|Process|Pool|spawn|launch|\w+_dls')
    found = [(o, a) for o,a in functions(ast.parse(text)) if isinstance(o, ast.Call) and takers.fullmatch(name_of(o))]
    for o,around in found:
        local = {n.name for f in around for n in ast.walk(f) if isinstance(n, ast.FunctionDef) and n is not f}
        for n in (m for v in [*o.args, *(k.value for k in o.keywords)] for m in ast.walk(v)):
            if isinstance(n, ast.Lambda) or isinstance(n, ast.Name) and n.id in local: yield f'{path}:{n.lineno} {ast.unparse(n)[:60]}'


POSIX = re.compile(r'os\.(fork\w*|wait|waitpid|kill|killpg|setsid|getuid|geteuid|getpgid|sysconf|sched_\w+|posix_\w+|mkfifo|nice|chown|statvfs|uname|pread)|signal\.(SIGALRM|SIGKILL|SIGHUP|SIGQUIT|SIGUSR\d|alarm|setitimer|pause)')
GUARD = re.compile(r"hasattr\(os|getattr\(os|hasattr\(signal|os\.name|sys\.platform")


def only_posix(path, text):
    "What is not there on Windows, in a function that does not ask"
    for o,around in functions(ast.parse(text)):
        if isinstance(o, ast.Attribute) and POSIX.fullmatch(ast.unparse(o)) and not any(GUARD.search(ast.unparse(f)) for f in around): yield f'{path}:{o.lineno} {ast.unparse(o)}'
        names = [a.name for a in o.names] if isinstance(o, ast.Import) else [o.module or ''] if isinstance(o, ast.ImportFrom) else []
        bad = {'fcntl', 'resource', 'pwd', 'grp', 'termios', 'posix', 'pty'} & {n.split('.')[0] for n in names}
        if bad and not any(GUARD.search(ast.unparse(f)) for f in around): yield f'{path}:{o.lineno} import {bad}'


def written(path, text):
    "Names of files with what Windows does not allow, put together with `/` from a text"
    for o,_ in functions(ast.parse(text)):
        if not (isinstance(o, ast.BinOp) and isinstance(o.op, ast.Div)): continue
        parts = [o.right.value] if isinstance(o.right, ast.Constant) and isinstance(o.right.value, str) else \
                [v.value for v in o.right.values if isinstance(v, ast.Constant)] if isinstance(o.right, ast.JoinedStr) else []
        yield from (f'{path}:{o.lineno} {p!r}' for p in parts if re.search(r'[<>:"\\|?*]', p))


@pytest.mark.parametrize('path', MODULES, ids=lambda o: o.relative_to(ROOT).as_posix())
def test_no_module_needs_a_fork_or_posix(path):
    text = path.read_text(encoding='utf-8')
    found = [*sent(path.name, text), *only_posix(path.name, text), *written(path.name, text)]
    assert not found, '\n'.join(found)


@pytest.mark.parametrize('check,text', [(sent, 'def f(): return DataBlock(get_y=lambda o: o.name)'), (sent, 'def f():\n  def g(o): return o\n  return DataBlock(b, get_y=[g])'),
    (sent, 'def f(): Process(target=lambda: 1)'), (only_posix, 'def f(): os.fork()'), (only_posix, 'import resource'), (only_posix, 'def f(): signal.signal(signal.SIGALRM, g)'),
    (written, "p = folder/f'{label}: {i}.jpg'"), (written, r"p = folder/'a\\b'")])
def test_the_checks_find_what_they_look_for(check, text): assert list(check('x', text))


def test_what_is_guarded_passes():
    assert not list(only_posix('x', "def f():\n  if hasattr(os, 'fork'): os.fork()"))
    assert not list(sent('x', 'def f(x):\n  def g(o): return o\n  return DataBlock(get_y=x.name)'))
