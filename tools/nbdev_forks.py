"`nbdev_test` on each notebook in a process of its own, with what all of them import loaded once: where the system can fork, a copy starts at once."
import os, subprocess, sys, tempfile, time
from pathlib import Path

from house import ROOT

NBS = ROOT/'nbs'
CODE = 'import sys; from nbdev.test import nbdev_test; nbdev_test.__wrapped__(sys.argv[1], n_workers=0, cell_timeout=300)'


def child(path, out):
    "Run one notebook in a copy of this process; its variables and patches end with it"
    if pid := os.fork(): return pid
    rc = 1
    try:
        for fd in (1, 2): os.dup2(out.fileno(), fd)
        from nbdev.test import nbdev_test
        nbdev_test.__wrapped__(str(path), n_workers=0, cell_timeout=300)
        rc = 0
    except SystemExit as e: rc = 0 if e.code in (None, 0) else 1
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush(); sys.stderr.flush()
        os._exit(rc)


def say(path, seconds, rc, out) -> bool:
    "One line a notebook, and what it printed where it failed"
    print(f"{'ok' if rc==0 else 'FAIL':>5} {seconds:7.1f} s  {path.relative_to(NBS)}", flush=True)
    out.seek(0)
    if rc: print(out.read().decode(errors='replace')[-6000:], flush=True)
    return rc==0


def forked(paths, workers) -> bool: # True when all passed
    "At most `workers` copies of this process at once"
    import fastai.vision.all, matplotlib.pyplot, nbdev.test # what nearly every notebook needs
    todo,running,ok = list(paths),{},True
    while todo or running:
        while todo and len(running)<workers:
            path,out = todo.pop(0),tempfile.TemporaryFile()
            running[child(path, out)] = path,out,time.perf_counter()
        pid,status = os.wait()
        path,out,start = running.pop(pid)
        ok &= say(path, time.perf_counter()-start, os.waitstatus_to_exitcode(status), out)
        out.close()
    return ok


def one_by_one(paths) -> bool: # True when all passed
    "A new process for each, where the system cannot fork"
    ok = True
    for path in paths:
        with tempfile.TemporaryFile() as out:
            start = time.perf_counter()
            rc = subprocess.run([sys.executable, '-c', CODE, str(path)], cwd=ROOT, stdout=out, stderr=out).returncode
            ok &= say(path, time.perf_counter()-start, rc, out)
    return ok


if __name__ == '__main__':
    import warnings
    warnings.simplefilter('ignore')
    paths = [Path(o).resolve() for o in sys.argv[2:]]
    sys.exit(0 if (forked(paths, int(sys.argv[1])) if hasattr(os, 'fork') else one_by_one(paths)) else 1)
