"Run notebooks from top to bottom, each in a fresh kernel and a folder of its own, and say how long each took."
import argparse, asyncio, os, re, shutil, sys, tempfile, time
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError

from house import ROOT, copy_tree, shared_homes
from make_readme import lesson_facts

NBS = ROOT/'nbs'
_ansi = re.compile(r'\x1b\[[0-9;]*[A-Za-z]')


class ThisPython(AsyncKernelManager):
    "A kernel of the Python that runs this tool, whatever kernels the user has installed"
    def format_kernel_cmd(self, extra_arguments=None):
        return [sys.executable, '-m', 'ipykernel_launcher', '-f', self.connection_file, '--log-level=CRITICAL', *(extra_arguments or [])]


class Watched(ThisPython):
    "A kernel that complains about figures which are too small to read"
    def format_kernel_cmd(self, extra_arguments=None):
        watch = f"__import__('runpy').run_path({str(ROOT/'tools'/'figures.py')!r})['watch']()"
        return super().format_kernel_cmd([f'--IPKernelApp.exec_lines={watch}', *(extra_arguments or [])])


def find(
    paths, # Notebooks and folders; without any, the lessons and the projects
) -> list: # Paths of notebooks
    "The notebooks that are meant, in order"
    found = []
    for p in map(Path, paths or [*sorted(NBS.glob('[0-9][0-9]_*.ipynb')), *sorted((NBS/'projects').glob('*.ipynb'))]):
        if p.is_dir(): found += [o for o in sorted(p.rglob('*.ipynb')) if '.ipynb_checkpoints' not in o.parts]
        elif p.is_file(): found.append(p)
        else: raise SystemExit(f'No notebook {p}. Name a notebook or a folder of notebooks.')
    return list(dict.fromkeys(o.resolve() for o in found))


def kernel_env(source, home, homes) -> dict:
    "The environment of a kernel: this tree first, the source that was asked for, pictures inline"
    env = {**os.environ, **homes, 'FASTCLASS_SOURCE':source, 'PYDEVD_DISABLE_FILE_VALIDATION':'1', 'FASTCLASS_TRACEBACK':'full'}
    env['PYTHONPATH'] = os.pathsep.join(o for o in (str(ROOT), env.get('PYTHONPATH')) if o)
    if home: env['FASTCLASS_HOME'] = str(home)
    env.pop('MPLBACKEND', None)
    return env


def noise(nb) -> list: # One text for each cell that printed what a reader should not see
    "What went to stderr, and warnings anywhere"
    bad = []
    for i,c in enumerate(nb.cells):
        for o in c.get('outputs', []):
            text = o.get('text', '') if o.output_type=='stream' else ''
            if text and (o.get('name')=='stderr' or re.search(r'\b[A-Z]\w*Warning: ', text)):
                bad.append(f'cell {i} wrote to {o.name}:\n{c.source}\n--\n{text.strip()[:1500]}')
    return bad


def is_empty(
    output, # Of a code cell
) -> bool:
    "Does it show nothing? A progress bar that has gone leaves such an output, or one with its style sheet only"
    if output['output_type']=='stream': return not ''.join(output['text']).strip()
    data = output.get('data', {})
    if output['output_type']!='display_data' or 'text/html' not in data or any(o.startswith('image/') for o in data): return False
    html = re.sub(r'<style>.*?</style>', '', ''.join(data['text/html']), flags=re.S)
    return not re.sub(r'\s|<div>|</div>', '', html)


def drop_empty_outputs(
    nb, # A notebook; changed in place
) -> None:
    "Leave out what shows nothing"
    for c in nb['cells']:
        if c['cell_type']=='code': c['outputs'] = [o for o in c['outputs'] if not is_empty(o)]


class Run:
    "One notebook: its path, how long it took, and what went wrong"
    def __init__(self, path, work, args):
        self.path,self.args,self.seconds,self.error = path,args,0.,''
        self.name = path.relative_to(NBS) if path.is_relative_to(NBS) else path
        self.work,self.nb,self.cell = work,None,None

    def _started(self, cell, cell_index, **kw): self.cell = cell_index

    async def execute(self, env):
        "Run all cells, with --twice a second time in the folder that the first time left behind; what goes wrong becomes `error`"
        await self.once(env)
        if self.args.twice and not self.error:
            first = self.seconds
            await self.once(env)
            if self.error: self.error = f'the second time, in the same folder: {self.error}'
            self.seconds += first

    async def once(self, env):
        "Run all cells in a fresh kernel"
        self.nb,self.cell = nbformat.read(self.path, 4),None
        for c in self.nb.cells:
            if c.cell_type=='code' and re.search(r'^#\|\s*eval:\s*false', c.source, re.M): c.metadata['tags'] = ['not-run']
        client = NotebookClient(self.nb, timeout=self.args.cell_timeout, kernel_name='python3', kernel_manager_class=Watched if self.args.strict else ThisPython,
                                resources={'metadata':{'path':str(self.work)}}, store_widget_state=False, on_cell_start=self._started,
                                skip_cells_with_tag='not-run', interrupt_on_timeout=False)
        start = time.perf_counter()
        try: await client.async_execute(env=env)
        except CellTimeoutError: self.error = self.say(f'took more than {self.args.cell_timeout} s')
        except Exception as e: self.error = self.say(_ansi.sub('', getattr(e, 'traceback', '') or f'{type(e).__name__}: {e}').strip())
        finally: self.seconds = time.perf_counter()-start
        if not self.error and self.args.strict: self.error = '\n'.join(noise(self.nb)) or self.late()

    def say(self, what): # with the cell that ran last
        src = '' if self.cell is None else f'cell {self.cell}:\n{self.nb.cells[self.cell].source}\n--\n'
        return src+what

    def late(self) -> str:
        "A lesson that takes more than double the minutes it promises"
        self.promise = lesson_facts(self.nb).get('minutes')
        return f'promises {self.promise} min and took {self.seconds/60:.1f}' if self.promise and self.seconds>120*self.promise else ''

    def save(self):
        "Put the outputs into the tree, cleaned"
        from nbdev.clean import nbdev_clean
        for c in self.nb.cells: c.metadata.pop('tags', None)
        drop_empty_outputs(self.nb)
        part = self.path.with_suffix('.part')
        nbformat.write(self.nb, part)
        os.replace(part, self.path)
        nbdev_clean.__wrapped__(str(self.path))


async def run_all(runs, env, args):
    "At most `args.workers` notebooks at once, none of them past the deadline"
    gate,end = asyncio.Semaphore(args.workers),time.monotonic()+args.deadline
    async def one(r):
        async with gate:
            left = end-time.monotonic()
            try: await asyncio.wait_for(r.execute(env), max(0.01, left))
            except TimeoutError: r.error = 'had not started at the deadline'
            if r.seconds>=left>0: r.error = r.say('had not ended at the deadline')
        print(f"{'FAIL' if r.error else 'ok':>5} {r.seconds:7.1f} s  {r.name}", flush=True)
        if r.error: print('\n'.join(f'        {o}' for o in r.error.splitlines()), flush=True)
    await asyncio.gather(*map(one, runs))


def arguments(argv=None):
    "The command line"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('paths', nargs='*', help='notebooks or folders; default: the lessons and the projects')
    p.add_argument('--source', choices=('bundled','cached','live'), default='bundled', help='where the data comes from (FASTCLASS_SOURCE)')
    p.add_argument('--workers', type=int, default=1, help='notebooks at a time; leave it at 1 on a GPU')
    p.add_argument('--cell-timeout', type=int, default=300, help='seconds a cell may take')
    p.add_argument('--deadline', type=int, default=1200, help='seconds all notebooks together may take')
    p.add_argument('--strict', action='store_true', help='fail on warnings, on anything written to stderr, on figures too small to read, and on double the promised time')
    p.add_argument('--twice', action='store_true', help='run each a second time in the same folder, as "restart and run all" does')
    p.add_argument('--write', action='store_true', help='keep the outputs in the notebooks, cleaned')
    return p.parse_args(argv)


def main(argv=None) -> int: # 0 when every notebook ran through
    "Run what the command line names"
    args = arguments(argv)
    paths = find(args.paths)
    if not paths:
        print('no notebooks to run')
        return 0
    tmp = Path(tempfile.mkdtemp(prefix='fastclass-notebooks-'))
    try:
        home = None if 'FASTCLASS_HOME' in os.environ or args.source!='bundled' else tmp/'home'
        runs = []
        for i,p in enumerate(paths): # relative paths in a notebook find its neighbours, and what it writes stays out of the tree
            tree = copy_tree(tmp/f'{i}', under='nbs')
            work = tree/p.relative_to(ROOT) if p.is_relative_to(ROOT) else tree/p.name
            runs.append(Run(p, work.parent, args))
        start = time.perf_counter()
        asyncio.run(run_all(runs, kernel_env(args.source, home, shared_homes(tmp)), args))
    finally: shutil.rmtree(tmp, ignore_errors=True)
    failed = [r for r in runs if r.error]
    if args.write:
        for r in runs:
            if not r.error: r.save()
    print(f'{len(runs)-len(failed)} of {len(runs)} notebooks ran through in {time.perf_counter()-start:.0f} s, source {args.source}')
    return 1 if failed else 0


if __name__ == '__main__': sys.exit(main())
