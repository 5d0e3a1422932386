"All checks of the project, in one command: exports, notebooks, README, lessons and pytest. Says how long each took."
import argparse, os, shutil, subprocess, sys, tempfile, time
from pathlib import Path

from browser import in_browser
from house import ROOT, shared_homes
from run_notebooks import find

NBS = ROOT/'nbs'


def environment(tmp, workers) -> dict:
    "No internet, no cache of the user's, no temporary file that outlives the run, and no more threads than cores"
    temporary = tmp/'tmp'
    temporary.mkdir()
    env = {**os.environ, **shared_homes(tmp), 'FASTCLASS_HOME':str(tmp/'home'), 'FASTCLASS_TEST_HOME':str(tmp/'home'),
           'FASTCLASS_SOURCE':'bundled', 'PYTHONUNBUFFERED':'1', 'TMPDIR':str(temporary)}
    env['PYTHONPATH'] = os.pathsep.join(o for o in (str(ROOT), env.get('PYTHONPATH')) if o)
    env.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1)//workers)))
    return env


def tool(*args): return lambda env: subprocess.run([sys.executable, *map(str, args)], cwd=ROOT, env=env).returncode==0


def nbdev_test_all(paths, workers):
    "A step that runs `nbdev_test` on each of `paths`"
    return lambda env: tool('tools/nbdev_forks.py', workers, *paths)({**env, 'MPLBACKEND':'agg'})


class Pytest:
    "A step that runs pytest and keeps its closing line"
    closing = ''
    def __init__(self, *args): self.args = args
    def __call__(self, env):
        p = subprocess.Popen([sys.executable, '-m', 'pytest', *self.args], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in p.stdout:
            print(line, end='', flush=True)
            if line.strip(): self.closing = line.strip()
        return p.wait()==0


def in_jupyterlab(everything):
    "A step that opens lessons in a browser, one after the other, each with all the cores"
    return lambda env: Pytest('tests/browser', '--durations=20', *['--all']*everything)({**env, 'OMP_NUM_THREADS':str(os.cpu_count() or 1)})


def plan(everything, workers) -> list: # `(name, step)` pairs
    "The steps in order, the quick ones first"
    lessons = find([])
    browsed = in_browser(lessons)
    without = lessons if everything else [o for o in lessons if o not in browsed]
    under_nbdev = [o for o in find([NBS]) if everything or o not in lessons]
    return [('nbdev-export is in sync', tool('tools/sync.py', 'export')),
            ('nbdev-clean is in sync', tool('tools/sync.py', 'clean')),
            ('README.md is in sync', tool('tools/make_readme.py', '--check')),
            ('ruff, library and notebooks', tool('-m', 'ruff', 'check', '--no-cache', 'nbs', 'fastclass')),
            ('nbdev_test' if everything else 'nbdev_test, library', nbdev_test_all(under_nbdev, workers)),
            ('lessons in JupyterLab', in_jupyterlab(everything)),
            ('lessons, top to bottom', tool('tools/run_notebooks.py', '--strict', '--workers', workers, *['--twice']*everything, *without)),
            ('pytest', Pytest('--ignore=tests/browser', '-n', str(workers), '--dist', 'loadfile', '--durations=8', '--continue-on-collection-errors'))]


def main(argv=None) -> int: # 0 when every step passed
    "Run the steps; a step that fails does not keep the next ones from running"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--all', action='store_true', help='every lesson in the browser and twice in its folder, and nbdev_test over them too')
    gpu = shutil.which('nvidia-smi') and os.environ.get('CUDA_VISIBLE_DEVICES')!=''
    p.add_argument('--workers', type=int, default=1 if gpu else min(4, os.cpu_count() or 1), help='notebooks at a time; 1 on a GPU')
    args = p.parse_args(argv)
    tmp,done = Path(tempfile.mkdtemp(prefix='fastclass-test-')),[]
    try:
        env = environment(tmp, args.workers)
        steps = plan(args.all, args.workers)
        for name,step in steps:
            print(f'\n== {name}', flush=True)
            start = time.perf_counter()
            done.append((name, step(env), time.perf_counter()-start))
    finally: shutil.rmtree(tmp, ignore_errors=True)
    failed = [n for n,ok,_ in done if not ok]
    print('\n== in all')
    for name,ok,seconds in done: print(f"{'ok' if ok else 'FAIL':>5} {seconds:7.1f} s  {name}")
    print(f"{'FAIL' if failed else 'ok':>5} {sum(o[2] for o in done):7.1f} s  " + (f'failed: {", ".join(failed)}' if failed else 'all steps passed'))
    print(steps[-1][1].closing)
    return 1 if failed else 0


if __name__ == '__main__': sys.exit(main())
