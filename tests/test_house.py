"The rules of the house, as the design and the style guide state them, held by reading the tree."
import ast, builtins, dis, hashlib, importlib, io, json, os, re, subprocess, sys, tokenize, tomllib
from collections import Counter
from functools import lru_cache
from pathlib import Path

import nbformat
import pytest

from density import median
from house import ROOT, settings, tracked
from make_readme import lesson_facts, lessons, stale
from sync import clean_stale, export_stale

NBS = sorted(o for o in tracked() if o.suffix=='.ipynb')
MODULES = sorted(o for o in tracked() if o.parts[0]=='fastclass' and o.suffix=='.py' and o.name not in ('__init__.py','_modidx.py'))
SCRIPTS = sorted(o for o in tracked() if o.suffix=='.py' and o.parts[0] in ('tests','tools','benchmarks'))
ROOMS = ('base', 'packs', 'collect', 'datablock', 'finetune', 'interpret', 'predict', 'segment', 'tabular', 'collab', 'pretrain', 'text', 'app') # in the order of the course; the app, which knows every kind of bundle, stands last
FACES = (*ROOMS[2:], 'report', 'quickstart', 'train') # the lessons, and what stands on all of them
WITH_TORCH = {'engine.base.torch_tools', 'engine.base.bundle_files'}
FREE_OF_TORCH = ['fastclass', 'fastclass.collect', 'fastclass.engine.datablock.folder', *(f'fastclass.course.{o}' for o in ('cli', 'doctor', 'explain', 'install', 'lesson', 'lessons', 'receipts', 'student')),
                 *('.'.join(o.with_suffix('').parts) for o in MODULES if o.parts[2:3] in (('base',), ('collect',)) and '.'.join(o.with_suffix('').parts[1:]) not in WITH_TORCH)]
HEAVY = {'torch', 'torchvision', 'fastai', 'pandas', 'matplotlib', 'scipy', 'sklearn', 'timm'}


def all_of(paths): return pytest.mark.parametrize('path', paths, ids=lambda o: o.as_posix())
@lru_cache
def text(path): return (ROOT/path).read_text(encoding='utf-8')
@lru_cache
def notebook(path): return nbformat.read(ROOT/path, 4)
@lru_cache
def tree(path): return ast.parse(text(path))
def none(found, what): assert not found, f'{what}:\n' + '\n'.join(map(str, found))
def sources(path): return [(i, c.source) for i,c in enumerate(notebook(path).cells) if c.cell_type=='code']


# ---- what is made from the notebooks is what the notebooks make

def test_export_is_in_sync(nbdev): none(export_stale(), 'run nbdev-export')
def test_notebooks_are_clean(nbdev): none(clean_stale(), 'run nbdev-clean')
def test_readme_is_in_sync(): none(stale(), 'run tools/make_readme.py')


def default_exp(path):
    found = [m[1] for _,src in sources(path) for m in re.finditer(r'^#\|\s*default_exp:?\s+(\S+)', src, re.M)]
    assert len(found)<2, f'{path} names more than one module: {found}'
    return found[0] if found else None


def module_name(path):
    "The module that a notebook may export: its own name, without the number of the lesson"
    parts = path.relative_to('nbs').with_suffix('').parts
    return '.'.join((*parts[:-1], re.sub(r'^\d\d_', '', parts[-1])))


def test_one_notebook_a_module():
    exports = {o:default_exp(o) for o in NBS if default_exp(o)}
    none([f'{o} exports {m}, not {module_name(o)}' for o,m in exports.items() if m!=module_name(o)], 'a notebook and its module have one name')
    modules = {'.'.join(o.relative_to('fastclass').with_suffix('').parts) for o in MODULES}
    none(sorted(modules-set(exports.values())), 'modules that come from no notebook')
    none(sorted(set(exports.values())-modules), 'notebooks whose module was not exported')
    assert len(set(exports.values()))==len(exports), 'two notebooks export the same module'
    none([o for o in exports if o.name=='index.ipynb' or 'projects' in o.parts], 'these tell stories and export nothing')


@all_of(NBS)
def test_no_cell_exports_elsewhere_or_is_skipped_by_nbdev(path):
    none([i for i,s in sources(path) if re.search(r'^#\|[ \t]*exports?:?[ \t]+\S', s, re.M)], 'cells that export to another module')
    none([i for i,s in sources(path) if 'nbdev_export(' in s], 'nbdev_test skips the whole of these cells')


# ---- a notebook

@all_of(NBS)
def test_notebook_opens_with_title_summary_and_time(path):
    first = notebook(path).cells[0]
    assert first.cell_type=='markdown' and first.source.startswith('# '), 'the first cell starts with "# title"'
    summary = lesson_facts(notebook(path)).get('summary', '')
    assert re.fullmatch(r'\S.{15,250}[.?]', summary), f'"> one sentence" under the title, got {summary!r}'
    if path.name!='index.ipynb': assert re.search(r'\b(minutes?|seconds)\b', first.source), 'the first cell says how long it takes'


@all_of([o.relative_to(ROOT) for o in lessons()])
def test_lesson_says_what_it_is_for_and_ends_with_exercises(path):
    facts = lesson_facts(notebook(path))
    assert {'title','summary','minutes','can'} <= facts.keys(), f'the first cell of a lesson also says time and use; found {sorted(facts)}'
    heads = [h for c in notebook(path).cells if c.cell_type=='markdown' for h in re.findall(r'^##+ (.+)$', c.source, re.M)]
    none([o for o in ('summary', 'your turn', 'next') if not any(o in h.lower() for h in heads)], 'headings that a lesson ends with')


def is_one_class(source): # a class stands in one cell, whole
    if not re.search(r'^class ', source, re.M): return False
    return [type(o) for o in ast.parse(source).body]==[ast.ClassDef]


@all_of(NBS)
def test_notebook_is_small(path):
    assert (ROOT/path).stat().st_size < 500_000
    exercises = [cell for cell in notebook(path).cells if re.match(r"\*\*\d+\.\d+\*\* ", cell.source) or "check('" in cell.source]
    assert len(notebook(path).cells)-len(exercises) < 60
    sizes = {i:sum(bool(o.strip()) and not o.startswith('#|') for o in s.splitlines()) for i,s in sources(path)}
    long = {i:n for i,n in sizes.items() if n>(60 if is_one_class(notebook(path).cells[i].source) else 25)}
    none(long.items(), 'cells of more than 25 lines, or classes of more than 60 (cell, lines)')


@all_of(NBS)
def test_outputs_are_fit_for_git(path):
    nb,bad = notebook(path),[]
    assert 'widgets' not in nb.metadata, 'widget state'
    for i,c in enumerate(nb.cells):
        for o in c.get('outputs', []):
            if o.output_type=='error' or o.get('name')=='stderr': bad.append(f'cell {i}: {o.output_type} {o.get("name", "")}')
            if any('widget' in k for k in o.get('data', {})): bad.append(f'cell {i}: a widget')
            said = json.dumps({k:v for k,v in o.get('data', {}).items() if not k.startswith('image/')}) + o.get('text', '')
            bad += [f'cell {i}: {m}' for m in re.findall(r'(?<![\w.:/])/(?:tmp|var|usr|opt|mnt|content|kaggle)/[\w./-]*', said)]
    none(bad, 'outputs with errors, widgets or paths of a machine')


# ---- every file

def words(path): # what can be read in a file, without pictures
    if path.suffix!='.ipynb': return text(path)
    return '\n'.join([c.source for c in notebook(path).cells] + [json.dumps({k:v for k,v in o.get('data', {}).items() if not k.startswith('image/')})
                     + o.get('text', '') for c in notebook(path).cells for o in c.get('outputs', [])])


READABLE = [o for o in tracked() if o.suffix in ('.py','.ipynb','.md','.ini','.toml','.in','.yml','.yaml','.txt','.csv','.html','.json') or o.parts[0]=='.ci']
MACHINE = [r'(?<![\w.])/' + o for o in (r'work/', r'root/', r'home/\w', r'Users/\w', r'farm/')] + [r'[A-Z]:\\\\?Users']
REGISTRY = [o.replace('~', r'\.') for o in ('pypi~org', 'pythonhosted~org', 'anaconda~org', 'npmjs~org', 'pytorch~org/whl')] + [r'--(extra-)?index' + '-url']
UNFINISHED = [r'\bTO' + r'DO\b', r'\bFIX' + r'ME\b', 'raise NotImplemented' + 'Error']


@all_of(READABLE)
def test_no_machine_path_registry_or_loose_end(path):
    lines = words(path).splitlines()
    none([f'{n}: {o[:150]}' for n,o in enumerate(lines, 1) for p in MACHINE+REGISTRY+UNFINISHED if re.search(p, o)], path)


def test_no_shared_data(shared):
    import base64
    ours = {hashlib.sha256((ROOT/o).read_bytes()).hexdigest():o for o in tracked() if (ROOT/o).stat().st_size}
    for path in NBS:
        for o in (o for c in notebook(path).cells for o in c.get('outputs', [])):
            ours |= {hashlib.sha256(base64.b64decode(v)).hexdigest():path for k,v in o.get('data', {}).items() if k in ('image/png','image/jpeg')}
    theirs = (o for o in shared.rglob('*') if o.is_file() and o.stat().st_size)
    none([f'{ours[h]} is {o.relative_to(shared)}' for o in theirs if (h := hashlib.sha256(o.read_bytes()).hexdigest()) in ours], 'data of others')


# ---- metadata

def requirements(): return {k:[o.strip() for o in v.splitlines() if o.strip()] for k,v in settings().items() if k.endswith('requirements')}
def package(requirement): return re.match(r'[\w.-]+', requirement)[0].lower()


def test_versions_are_equal():
    said = re.search(r'^__version__ = ["\'](.+)["\']', text(Path('fastclass/__init__.py')), re.M)[1]
    assert said==settings()['version']


def test_requirements_have_lower_bounds_and_no_pins():
    every = [o for k in requirements().values() for o in k]
    bounded = {package(o) for o in every if '>=' in o}
    none([o for o in every if package(o) not in bounded], 'no lower bound')
    none([o for o in every if '==' in o or '~=' in o], 'pinned')


def test_requirements_live_in_settings_only():
    none([o for o in tracked() if re.fullmatch(r'requirements.*|environment\.ya?ml|Pipfile.*|setup\.cfg|poetry\.lock|uv\.lock', o.name)], 'a second home')
    names = {package(o) for k in requirements().values() for o in k}
    for path in ('setup.py', '.github/workflows/test.yml', '.ci/run'):
        none([n for n in names if re.search(rf'["\' ]{re.escape(n)}\s*[<>=~]=?\s*\d', text(Path(path)), re.I)], f'{path} names a requirement')


def test_pyproject_holds_tool_settings_only():
    cfg = tomllib.loads(text(Path('pyproject.toml')))
    assert set(cfg)=={'build-system','tool'}
    assert cfg['tool']['nbdev']['git_url']==settings()['repository'] and cfg['tool']['nbdev']['branch']==settings()['branch']


def test_licence_is_apache():
    assert settings()['license']=='Apache-2.0'
    assert re.search(r'Apache License\s+Version 2\.0, January 2004', text(Path('LICENSE')))


def test_manifest_carries_settings():
    assert re.search(r'^include .*\bsettings\.ini\b', text(Path('MANIFEST.in')), re.M)


def test_readme_ci_and_workflow_say_the_same():
    for path in ('README.md', '.ci/run', '.github/workflows/test.yml'):
        assert 'pip install -' in text(Path(path)) or 'pip install -q' in text(Path(path)), path
        for command in ('-e ".[dev]"', 'python tools/test.py'): assert command in text(Path(path)), f'{path} does not say {command}'
    assert 'pip install -e . && fastclass quickstart' in text(Path('README.md'))
    assert os.access(ROOT/'.ci/run', os.X_OK)


# ---- imports

def imports(path, top=False): # `(line, module)` of every import, relative ones resolved; `top`: only those that run with the module
    here = path.with_suffix('').parts[:-1]
    for o in ast.walk(tree(path)):
        if top and getattr(o, 'col_offset', 0): continue
        if isinstance(o, ast.Import): yield from ((o.lineno, a.name) for a in o.names)
        if isinstance(o, ast.ImportFrom):
            base = '.'.join((*here[:len(here)-o.level+1], *([o.module] if o.module else []))) if o.level else o.module
            yield o.lineno, base
            yield from ((o.lineno, f'{base}.{a.name}') for a in o.names)


def from_here(o): return o.level>0 or o.module.split('.')[0]=='fastclass' # nbdev makes most of our imports relative


def place(path): # `(kind, name)`: ('engine', its room), ('course', its module) or ('face', its name)
    parts = path.with_suffix('').parts[1:]
    return (parts[0], parts[1]) if len(parts)>1 else ('face', parts[0])


def ours(path): # `(line, kind, name)` of what a module imports from the library, wherever in it
    for line,module in imports(path):
        parts = module.split('.')[1:] if module.split('.')[0]=='fastclass' else ()
        if parts[:1] in (['engine'], ['course']) and len(parts)>1: yield line, parts[0], parts[1]
        elif parts and parts[0] in FACES: yield line, 'face', parts[0]


def may_import(here, there): # two places as from `place`
    (kind,name),(to,what) = here,there
    if kind=='engine': return to=='engine' and what in ROOMS and ROOMS.index(what)<=ROOMS.index(name)
    if kind=='course': return to in ('engine', 'course') or name=='cli'
    return to=='engine' or (to=='face' and FACES.index(what)<FACES.index(name))


@all_of(MODULES)
def test_imports_go_down(path):
    "A room imports earlier rooms; a face imports rooms and earlier faces; course imports rooms, and its cli the faces"
    none([f'line {line}: {to}.{what}' for line,to,what in ours(path) if not may_import(place(path), (to, what))], f'{path} imports what stands above it')


def test_a_room_behind_each_lesson():
    rooms = {o.parts[2] for o in MODULES if o.parts[1]=='engine' and len(o.parts)>3}
    faces = {place(o)[1] for o in MODULES if place(o)[0]=='face'}
    none([o for o in MODULES if o.parts[1]=='engine' and len(o.parts)!=4], 'modules that stand in no room, or in a room inside a room')
    assert rooms<=set(ROOMS) and faces<=set(FACES)
    none(sorted(rooms-{'base', 'packs'}-faces), 'rooms without a lesson of their name')


def test_rooms_have_empty_inits():
    inits = [o.parent/'__init__.py' for o in MODULES if o.parts[1] in ('engine', 'course')]
    none(sorted({o for o in inits if not (ROOT/o).is_file() or (ROOT/o).read_bytes()}), 'not there, or not empty')


@all_of(MODULES)
def test_private_names_stay_at_home(path):
    private = [f'line {o.lineno}: {a.name} of {o.module}' for o in ast.walk(tree(path)) if isinstance(o, ast.ImportFrom)
               and from_here(o) for a in o.names if a.name.startswith('_') and a.name!='__version__']
    none(private, 'private names of another module')


def defined(path): # names that a module defines at its top
    for o in tree(path).body:
        if isinstance(o, (ast.ClassDef, ast.FunctionDef)) and 'patch' not in decorators(o): yield o.name
        for t in o.targets if isinstance(o, ast.Assign) else [o.target] if isinstance(o, ast.AnnAssign) else ():
            yield from (e.id for e in ast.walk(t) if isinstance(e, ast.Name))


def test_a_name_means_one_thing(): # each module of exercises has its own LOOKS, as each face its own _all_
    at = {}
    for path in MODULES:
        for name in set(defined(path)) - {'__all__', '_all_', 'LOOKS'}: at.setdefault(name, []).append(str(path))
    none([f'{k}: {", ".join(v)}' for k,v in at.items() if len(v)>(2 if k.startswith('_') else 1)], 'one name for several things')


# ---- faces

LESSON_FACES = [o for o in MODULES if place(o)[0]=='face' and place(o)[1] in ROOMS]
FOR_LEARNERS = [o for o in NBS if o.parts[1] not in ('engine', 'course')]


@all_of(MODULES)
def test_a_module_defines_a_name_once(path):
    names = [o.name for o in tree(path).body if isinstance(o, (ast.FunctionDef, ast.ClassDef))]
    none(sorted({o for o in names if names.count(o)>1}), 'functions or classes that stand there twice, perhaps after a merge')


@all_of(LESSON_FACES)
def test_a_face_lists_what_it_offers(path):
    "What it imports it uses or offers by name, in `_all_`; it offers nothing else"
    offers = [ast.literal_eval(o.value) for o in tree(path).body if isinstance(o, ast.Assign) and ast.unparse(o.targets[0])=='_all_']
    assert len(offers)==1, 'one list of what is offered, called _all_'
    came = {a.asname or a.name for o in tree(path).body if isinstance(o, ast.ImportFrom) and from_here(o) for a in o.names}
    used = {o.id for o in ast.walk(tree(path)) if isinstance(o, ast.Name)}
    none(sorted(came-used-set(offers[0])), 'imported, neither used nor offered')
    none(sorted(set(offers[0])-came), 'offered, and not imported from a room')
    none([k for k,n in Counter(offers[0]).items() if n>1], 'offered twice')


def shown(path): # the code that a reader sees and may copy: cells that are no part of the module, and code in texts
    cells = [s for _,s in sources(path) if not re.search(r'^#\|\s*export', s, re.M)]
    return '\n'.join(cells + re.findall(r'```python\n(.*?)```', '\n'.join(c.source for c in notebook(path).cells if c.cell_type=='markdown'), re.S))


@all_of(FOR_LEARNERS)
def test_learners_need_no_engine(path):
    none([o for o in shown(path).splitlines() if re.search(r'\b(from|import) fastclass\.engine', o)], 'what a person needs comes from the lesson\'s own module')


def test_printed_code_needs_no_engine():
    texts = {o:[n.value for n in ast.walk(tree(o)) if isinstance(n, ast.Constant) and isinstance(n.value, str)] for o in MODULES if place(o)[0]!='engine'}
    found = [f'{o}: {t[:80]!r}' for o,v in texts.items() for t in v if re.search(r'\bfrom fastclass\.engine', t)]
    none(found + [o for o in text(Path('README.md')).splitlines() if 'from fastclass.engine' in o], 'code that is printed for people to run')


@all_of(MODULES)
def test_library_imports_names_one_by_one(path):
    none([o.lineno for o in ast.walk(tree(path)) if isinstance(o, ast.ImportFrom) and any(a.name=='*' for a in o.names)], 'star imports')


def is_there(module): # is it exported yet
    p = ROOT/module.replace('.', '/')
    return p.with_suffix('.py').is_file() or (p/'__init__.py').is_file()


@pytest.mark.parametrize('module', [o for o in FREE_OF_TORCH if is_there(o)])
def test_import_brings_nothing_heavy(module):
    code = f'import sys, {module}; print(*sorted({{o.split(".")[0] for o in sys.modules}} & {HEAVY}))'
    env = {**os.environ, 'PYTHONPATH':str(ROOT)}
    r = subprocess.run([sys.executable, '-c', code], env=env, cwd=ROOT.parent, capture_output=True, text=True, check=True)
    assert r.stdout.split()==[]


@pytest.mark.parametrize('module,limit', [(m, s) for m,s in (('fastclass', 0.1), ('fastclass.collect', 0.5)) if is_there(m)])
def test_import_is_quick(module, limit):
    code = f'import time; t = time.perf_counter(); import {module}; print(time.perf_counter()-t)'
    env = {**os.environ, 'PYTHONPATH':str(ROOT)}
    times = [float(subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    assert min(times)<limit


# ---- library code

def test_a_line_says_one_thing():
    assert median()<=9.8, 'syntax nodes a code line: python tools/density.py names the densest modules'


@all_of(MODULES)
def test_a_class_stands_in_one_place(path):
    "Methods that are patched onto a class of the same module make a reader collect it; only a lesson shows growth"
    own = {o.name for o in tree(path).body if isinstance(o, ast.ClassDef)}
    patched = [o for o in tree(path).body if isinstance(o, ast.FunctionDef) and 'patch' in decorators(o)]
    none([f'line {o.lineno}: {o.name}' for o in patched if ast.unparse(o.args.args[0].annotation) in own], 'patched onto a class of this module')



def comments(path): # the lines that end in a comment
    return {o.start[0] for o in tokenize.generate_tokens(io.StringIO(text(path)).readline) if o.type==tokenize.COMMENT and o.string.strip('# ')}


def decorators(o): return {ast.unparse(d).split('(')[0].split('.')[-1] for d in o.decorator_list}
def is_public(o, top): return not o.name.startswith('_') or (not top and o.name=='__init__')


@lru_cache
def classes(): # every class of the library by name
    return {o.name:o for p in MODULES for o in ast.walk(tree(p)) if isinstance(o, ast.ClassDef)}


def told_by_base(cls, method): # a method that a base class in the library has, with its documentation
    bases = [classes()[b] for b in (ast.unparse(o).split('.')[-1] for o in cls.bases) if b in classes() and b!=cls.name]
    return any(told_by_base(b, method) or any(getattr(m, 'name', '')==method for m in b.body) for b in bases)


def public(path): # `(name, node)` of each public class, function and method
    for o in tree(path).body:
        if not isinstance(o, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or not is_public(o, True): continue
        yield o.name, o
        if isinstance(o, ast.ClassDef):
            yield from ((f'{o.name}.{m.name}', m) for m in o.body if isinstance(m, (ast.FunctionDef, ast.AsyncFunctionDef))
                        and is_public(m, False) and (m.name=='__init__' or not told_by_base(o, m.name)))


def undocumented(node, lines): # parameters and return without a comment on a line of their own
    a = node.args
    args = [o for o in (*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg) if o and o.arg not in ('self','cls')]
    if 'delegates' in decorators(node): args = [o for o in args if o is not a.kwarg]
    ends = [o.end_lineno for o in args]
    defaults = {o.arg:d.end_lineno for o,d in zip(reversed([*a.posonlyargs, *a.args]), reversed(a.defaults))}
    defaults |= {o.arg:d.end_lineno for o,d in zip(a.kwonlyargs, a.kw_defaults) if d}
    for o in args:
        if defaults.get(o.arg, o.end_lineno) not in lines or ends.count(o.end_lineno)>1: yield o.arg
    r = None if decorators(node) & {'property','cached_property'} else node.returns # what a property is, its docstring says
    if r is not None and not (isinstance(r, ast.Constant) and r.value is None) and r.end_lineno not in lines: yield 'return'


@all_of(MODULES)
def test_public_names_have_docstrings(path):
    none([f'{n}, line {o.lineno}' for n,o in public(path) if not ast.get_docstring(o) and not n.endswith('.__init__')], 'no docstring')


@all_of(MODULES)
def test_every_parameter_and_return_has_a_comment(path):
    lines = comments(path)
    functions = [(n, o) for n,o in public(path) if not isinstance(o, ast.ClassDef)]
    bare = [f'{n}, line {o.lineno}: {", ".join(u)}' for n,o in functions if (u := list(undocumented(o, lines)))]
    fields = [f'{n}.{f.target.id}, line {f.lineno}' for n,o in public(path) if isinstance(o, ast.ClassDef) and 'dataclass' in decorators(o)
              for f in o.body if isinstance(f, ast.AnnAssign) and f.end_lineno not in lines
              and f'`{f.target.id}`' not in (ast.get_docstring(o) or '')]
    none(bare+fields, 'no comment')


def code_of(path): # `(where, tree)` of a module or script, or of each cell of a notebook
    if path.suffix=='.py': return [('', tree(path))]
    plain = lambda s: '\n'.join('pass' if re.match(r'\s*[%!?]', o) else o for o in s.splitlines())
    return [(f'cell {i} ', ast.parse(plain(s))) for i,s in sources(path) if not s.lstrip().startswith('%%')]


def swallows(handler): # an error that is caught whatever it is, or printed, and passed over
    kinds = {ast.unparse(o).split('.')[-1] for o in (handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]) if o is not None}
    idle = all(isinstance(o, (ast.Pass, ast.Continue)) or (isinstance(o, ast.Expr) and isinstance(o.value, ast.Constant)) for o in handler.body)
    prints = [isinstance(o, ast.Expr) and isinstance(o.value, ast.Call) and ast.unparse(o.value.func)=='print' for o in handler.body]
    goes_on = all(p or isinstance(o, (ast.Pass, ast.Continue)) for p,o in zip(prints, handler.body))
    return handler.type is None or (idle and kinds & {'Exception','BaseException'}) or (any(prints) and goes_on)


@all_of([*MODULES, *SCRIPTS, *NBS])
def test_no_error_is_passed_over(path):
    none([f'{where}line {o.lineno}' for where,t in code_of(path) for o in ast.walk(t) if isinstance(o, ast.ExceptHandler) and swallows(o)],
         'bare except, or an error printed or dropped')


@all_of(MODULES)
def test_library_raises_typed_errors(path):
    none([o.lineno for o in ast.walk(tree(path)) if isinstance(o, ast.Assert)], 'assert on what a user gave')
    none([o.lineno for o in ast.walk(tree(path)) if isinstance(o, ast.Raise) and o.exc and re.match(r'(Base)?Exception\b', ast.unparse(o.exc))], 'untyped')


@all_of(MODULES)
def test_module_globals_are_constants(path):
    targets = [(o.lineno, t) for o in tree(path).body if isinstance(o, (ast.Assign, ast.AnnAssign))
               for t in (o.targets if isinstance(o, ast.Assign) else [o.target])]
    names = [(n, e.id) for n,t in targets for e in ast.walk(t) if isinstance(e, ast.Name) and isinstance(e.ctx, ast.Store)]
    none([o for o in names if o[1]!=o[1].upper() and not re.fullmatch(r'__\w+__|_all_', o[1])], 'globals are UPPER_CASE constants') # _all_ is nbdev's list of names to pass on


@all_of([o for o in SCRIPTS if o.parts[0]=='tests'])
def test_no_test_is_switched_off(path):
    none([o.lineno for o in ast.walk(tree(path)) if isinstance(o, ast.Attribute) and ast.unparse(o) in ('pytest.mark.' + 'xfail', 'pytest.mark.' + 'skip')], 'off')


def code_objects(code):
    "A code object and all those inside it"
    yield code
    for o in code.co_consts:
        if hasattr(o, 'co_consts'): yield from code_objects(o)


@pytest.mark.filterwarnings('ignore::DeprecationWarning', 'ignore::FutureWarning')
def test_every_name_that_a_module_uses_is_there():
    "A name that only a hidden cell imported works in the notebook and fails in the library"
    missing = []
    for file in sorted((ROOT/'fastclass').rglob('*.py')):
        if file.name.startswith('_'): continue
        module = importlib.import_module('.'.join(file.relative_to(ROOT).with_suffix('').parts))
        used = {i.argval for c in code_objects(compile(file.read_text(), file.name, 'exec')) for i in dis.get_instructions(c) if i.opname=='LOAD_GLOBAL'}
        missing += [f'{module.__name__}: {o}' for o in used if not hasattr(module, o) and not hasattr(builtins, o)]
    none(missing, 'names that are not there')
