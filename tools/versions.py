"""The environments that the suite has to pass in, one command each; the workflow `test` uses the same.

    python tools/versions.py lowest FOLDER   # the lower bounds of settings.ini, made into a virtual environment
    python tools/versions.py kaggle FOLDER   # what Kaggle's machines have
    python tools/versions.py newest FOLDER   # the newest that go together
    python tools/versions.py lowest          # only print the constraints

and then `FOLDER/bin/python tools/test.py`, or where nbdev is missing `FOLDER/bin/python -m pytest` and `FOLDER/bin/python tools/run_notebooks.py`.
"""
import argparse, re, subprocess, sys, tempfile, venv
from pathlib import Path

from house import ROOT, settings

# What settings.ini does not name, and what the lowest versions need beside them. Each was tried.
BESIDE = ('fastcore==1.8.0',        # the lowest that fastai 2.8.7 takes; fastcore 2 fails with it
          'fasttransform==0.0.2',
          'plum-dispatch==2.9.0',   # 2.10.0 does not import with fastai
          'torchvision==0.20.0',    # of torch 2.5.0
          'numpy==2.0.0', 'pandas==2.2.2', 'scipy==1.13.0', 'scikit-learn==1.5.0', 'matplotlib==3.9.0', # the first for NumPy 2;
                                    # scikit-learn 1.2.2, the lower bound, was tried with NumPy 1.26 as Kaggle has them
          'click==8.1.8')
WITHOUT_NBDEV = {'lowest':('nbdev',), 'kaggle':('nbdev', 'jupyterlab'), 'newest':()} # nbdev 3.3 needs a fastcore that those do not have
OWN = ('nbconvert', 'nbclient', 'setuptools', 'pytest', 'pytest-xdist', # of the tests, whatever Kaggle has
       'scikit-learn', 'scipy')     # the list of Kaggle's image names one without wheels for its Python


def lines(key): return [o.strip() for o in settings().get(key, '').splitlines() if o.strip()]
def name_of(requirement): return re.match(r'[\w.-]+', requirement)[0]


def requirements(which) -> list: # Texts for pip
    "What fastclass and its tests ask for"
    found = [o for o in (*lines('requirements'), *lines('dev_requirements')) if name_of(o) not in WITHOUT_NBDEV[which]]
    return [*found, 'ipykernel>=6.5'] if 'jupyterlab' in WITHOUT_NBDEV[which] else found # which jupyterlab brings elsewhere


def constraints(which) -> list: # Texts for pip's `--constraint`
    "What holds the versions"
    if which=='newest': return ['plum-dispatch!=2.10.0']
    if which=='lowest':
        own = {name_of(o) for o in BESIDE}
        return [*(o.replace('>=', '==') for o in requirements('lowest') if name_of(o) not in own), *BESIDE]
    listed = (ROOT/'tests/recorded/kaggle_packages.txt').read_text(encoding='utf-8').splitlines()
    return [o.partition('+')[0] for o in listed if o and o[0]!='#' and name_of(o) not in OWN]


def commands(which, folder, held) -> list: # Lists of arguments
    "What is run in the new environment: `held` is the file of constraints"
    windows = sys.platform=='win32'
    pip = [str(Path(folder).resolve()/('Scripts/python.exe' if windows else 'bin/python')), '-m', 'pip']
    return [[*pip, 'install', '--quiet', '--constraint', str(held), *requirements(which), 'wheel'],
            [*pip, 'install', '--quiet', '--no-deps', '--no-build-isolation', '--editable', str(ROOT)], [*pip, 'check'], [*pip, 'list', '--format=freeze']]


def make(which, folder, run=subprocess.run) -> int: # 0 when all went well
    "Make the environment, and print what is in it"
    venv.create(folder, with_pip=True, clear=True)
    with tempfile.TemporaryDirectory() as tmp:
        held = Path(tmp)/f'{which}.txt'
        held.write_text('\n'.join(constraints(which))+'\n', encoding='utf-8')
        for command in commands(which, folder, held):
            code = run(command, cwd=ROOT).returncode
            if code and command[3]!='check': return code # what pip checks are the wishes of packages: the suite decides
    return 0


def main(argv=None) -> int: # 0 when all went well
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('which', choices=list(WITHOUT_NBDEV))
    p.add_argument('folder', nargs='?', help='of the new environment; what is there is replaced')
    args = p.parse_args(argv)
    if args.folder: return make(args.which, args.folder)
    print(*constraints(args.which), sep='\n')
    return 0


if __name__ == '__main__': sys.exit(main())
