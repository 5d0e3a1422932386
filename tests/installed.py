"The package as a user has it: a wheel, built without the network, in a fresh environment outside the clone."
import os, subprocess, sys, sysconfig, venv
from pathlib import Path

from house import copy_tree

SETUPTOOLS = 'from setuptools import build_meta; import sys; print(build_meta.{}(sys.argv[1]))'


def build(tree, what, dest): # the back end that pip would call, in this environment: no isolation, so no download
    dest.mkdir(exist_ok=True)
    r = subprocess.run([sys.executable, '-c', SETUPTOOLS.format(f'build_{what}'), str(dest)], cwd=tree, capture_output=True, text=True)
    assert r.returncode==0, r.stderr[-3000:]
    return dest/r.stdout.split()[-1]


def user_env(**more) -> dict: # Variables for a process
    "This process's variables without what leads into the clone"
    env = {k:v for k,v in os.environ.items() if k not in ('PYTHONPATH', 'MPLBACKEND', 'VIRTUAL_ENV')}
    return {**env, **{k:str(v) for k,v in more.items()}}


class Installed:
    "An environment with the wheel and nothing of the clone; torch and the like are those of the environment that runs the tests"
    def __init__(self, folder, wheel):
        venv.create(folder, with_pip=False, symlinks=os.name!='nt')
        self.bin = Path(folder)/('Scripts' if os.name=='nt' else 'bin')
        self.python = self.bin/('python.exe' if os.name=='nt' else 'python')
        self.fastclass = self.bin/('fastclass.exe' if os.name=='nt' else 'fastclass')
        pip = [sys.executable, '-m', 'pip', '--python', str(self.python), '--disable-pip-version-check']
        subprocess.run([*pip, 'install', '-q', '--no-deps', '--no-index', str(wheel)], check=True, env=user_env())
        own = subprocess.run([self.python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'], capture_output=True, text=True, check=True)
        outer = dict.fromkeys([sysconfig.get_path('purelib'), sysconfig.get_path('platlib'), *(o for o in sys.path if Path(o).name in ('site-packages', 'dist-packages'))])
        (Path(own.stdout.strip())/'outer.pth').write_text('\n'.join(outer)+'\n') # a .pth in these folders is not read, so an editable clone stays out

    def run(self, *args, cwd=None, **env):
        "`fastclass` as typed by a user"
        return subprocess.run([self.fastclass, *map(str, args)], cwd=cwd, env=user_env(**env), capture_output=True, text=True, timeout=300)


def install(
    tmp # An empty folder
) -> Installed:
    "Build the wheel of the tree as it is now, and install it"
    tree = copy_tree(tmp/'tree')
    return Installed(tmp/'venv', build(tree, 'wheel', tmp/'wheel'))
