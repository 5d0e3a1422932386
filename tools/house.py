"What the tools and the tests share: where things are, and working copies that may be written to."
import os, shutil, subprocess
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent/'shared' # real data for tests and measurements; it is not part of the project


def settings() -> dict: # every key of settings.ini
    "The package's metadata, from its one home"
    cfg = ConfigParser(delimiters=['='])
    cfg.read(ROOT/'settings.ini', encoding='utf-8')
    return dict(cfg['DEFAULT'])


def writable_copy(
    src, # A folder that may be read-only
    dst, # Where its copy goes; files that are there already are kept
) -> Path: # `dst`
    "Copy a folder file by file, without the read-only modes of the original"
    src,dst = Path(src),Path(dst)
    dst.mkdir(parents=True, exist_ok=True)
    for o in sorted(src.rglob('*')):
        to = dst/o.relative_to(src)
        if o.is_dir(): to.mkdir(parents=True, exist_ok=True)
        elif not to.exists(): shutil.copyfile(o, to)
    return dst


def shared_homes(
    dest, # A folder of the caller's own, usually temporary
) -> dict: # The variables to set; empty without ../shared
    "Writable copies of the data and weights of ../shared, for those of `FASTAI_HOME` and `TORCH_HOME` that are not set"
    homes = {'FASTAI_HOME':'fastai_home', 'TORCH_HOME':'torch_home'}
    return {k:str(writable_copy(SHARED/v, Path(dest)/v)) for k,v in homes.items()
            if k not in os.environ and (SHARED/v).is_dir()}


def tracked(root=ROOT) -> list: # Paths relative to the root, sorted
    "The project's own files: those that git knows or would add, or, outside of git, all but the left-overs"
    cmd = ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    git = subprocess.run(cmd, cwd=root, capture_output=True) if (root/'.git').exists() and shutil.which('git') else None
    if git and git.returncode==0: files = [Path(o) for o in git.stdout.decode().split('\0') if o]
    else: files = [o.relative_to(root) for o in root.rglob('*')]
    left_over = {'.git','.venv','__pycache__','.ipynb_checkpoints','.pytest_cache','build','dist','fastclass-work'}
    files = [o for o in files if not left_over & set(o.parts) and not any(p.endswith('.egg-info') for p in o.parts)]
    return sorted({o for o in files if (root/o).is_file()})


def copy_tree(
    dest,     # A folder that does not exist yet
    under='', # Only what lies in this folder of the project
    root=ROOT,
) -> Path: # `dest`
    "The project's own files as they are now, committed or not, in a new folder"
    dest,root = Path(dest),Path(root)
    for o in tracked(root):
        if not o.is_relative_to(under): continue
        (dest/o).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root/o, dest/o)
    return dest
