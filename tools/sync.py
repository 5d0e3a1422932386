"Is fastclass/ what the notebooks export, and are the notebooks clean? Both are tried on a copy, so the tree stays as it is."
import argparse, difflib, os, subprocess, sys, tempfile
from pathlib import Path

from house import ROOT, copy_tree


def _nbdev(tree, code): # nbdev reads its settings from the folder it runs in; IN_TEST would make it do nothing
    env = {k:v for k,v in os.environ.items() if k!='IN_TEST'}
    r = subprocess.run([sys.executable, '-c', code], cwd=tree, env=env, capture_output=True, text=True)
    if r.returncode: raise SystemExit(f'nbdev failed:\n{r.stderr[-3000:]}')


def _differ(a, b, pattern, skip=()): # One text for each file that is not the same in both trees
    names = {o.relative_to(t) for t in (a,b) for o in t.glob(pattern)
             if o.is_file() and not {'__pycache__','.ipynb_checkpoints'} & set(o.parts) and o.name not in skip}
    for n in sorted(names):
        old,new = (((t/n).read_text(encoding='utf-8') if (t/n).is_file() else None) for t in (a,b))
        if old is None: yield f'{n} is missing'
        elif new is None: yield f'{n} comes from no notebook'
        elif old!=new:
            lines = difflib.unified_diff(old.splitlines(), new.splitlines(), 'as it is', 'as it should be', n=0, lineterm='')
            yield f'{n} differs\n' + '\n'.join(o[:160] for o in list(lines)[:12])


def export_stale(root=ROOT) -> list: # One text a file
    "The modules that `nbdev-export` would write, change or not make"
    with tempfile.TemporaryDirectory(prefix='fastclass-sync-') as tmp:
        tree = copy_tree(Path(tmp)/'tree', root=root)
        for o in (tree/'fastclass').rglob('*.py'):
            if o.name!='__init__.py': o.unlink()
        _nbdev(tree, 'from nbdev.doclinks import nbdev_export; nbdev_export.__wrapped__()')
        return list(_differ(Path(root), tree, 'fastclass/**/*.py'))


def clean_stale(root=ROOT) -> list: # One text a file
    "The notebooks that `nbdev-clean` would change"
    with tempfile.TemporaryDirectory(prefix='fastclass-sync-') as tmp:
        tree = copy_tree(Path(tmp)/'tree', root=root)
        _nbdev(tree, 'from nbdev.clean import nbdev_clean; nbdev_clean.__wrapped__()')
        return list(_differ(Path(root), tree, 'nbs/**/*.ipynb'))


def main(argv=None) -> int: # 0 when both are in sync
    "Check one, or both"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('what', nargs='*', choices=('export','clean',[]), help='default: both')
    bad = 0
    for what in p.parse_args(argv).what or ('export','clean'):
        stale = {'export':export_stale, 'clean':clean_stale}[what]()
        print('\n'.join(stale) if stale else f'{what}: in sync')
        if stale: print(f'{what}: {len(stale)} out of sync. Run: nbdev-{what}')
        bad += len(stale)
    return 1 if bad else 0


if __name__ == '__main__': sys.exit(main())
