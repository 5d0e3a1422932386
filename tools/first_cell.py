"Write the first code cell of each lesson: it adds fastclass on Colab and Kaggle. With --check nothing is written: exit 1 where one differs."
import argparse, json, re, sys

from house import ROOT, settings

CELL = '''try: import fastclass.course
except ImportError: # on Colab and Kaggle this adds fastclass, and moves no package that is there
    import glob, os, subprocess, sys
    if not {{'COLAB_RELEASE_TAG', 'KAGGLE_KERNEL_RUN_TYPE'}} & set(os.environ): raise # see the README
    wheels = sorted(glob.glob('/kaggle/input/**/{wheel}-*.whl', recursive=True))
    source = ['--retries=0', '{address}']
    if wheels: source = ['--no-index', wheels[-1]] # in an attached data set: needs no internet
    failed = subprocess.call([sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', *source])
    if failed: raise ImportError('fastclass was not installed. On Kaggle, switch on Internet '
                                 'under Settings in the side bar, and run this again.') from None
    from fastclass.course.install import install_missing
    install_missing()'''


FOLDED = {'_kg_hide-input':True, 'cellView':'form', 'jupyter':{'source_hidden':True}} # what Kaggle, Colab and JupyterLab read


def first_cell(
    config=None, # The settings, with `repository`, `branch` and `dist_name`
) -> str: # Python
    "The cell as it should be, the same in each lesson"
    config = config or settings()
    return CELL.format(address=f"{config['repository'].rstrip('/')}/archive/{config['branch']}.zip", wheel=config['dist_name'].replace('-', '_'))


def notebooks(root=ROOT) -> list: # Paths
    "What a learner may open in Colab or Kaggle: the lessons, the projects, the quickstart and the glossary"
    nbs = root/'nbs'
    return [*sorted(nbs.glob('[0-9][0-9]_*.ipynb')), *sorted((nbs/'projects').glob('*.ipynb')), nbs/'quickstart.ipynb', nbs/'glossary.ipynb']


def _text(cell): return ''.join(cell['source'])
def _code(cell): return re.sub(r'\A#\| default_exp \S+\n', '', _text(cell)) # the name of the module may stand above


def is_right(
    path, # A notebook
    want, # See `first_cell`
) -> bool:
    "Does the notebook open with its title and then the cell, folded?"
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    return cells[0]['cell_type']=='markdown' and cells[1]['cell_type']=='code' and _code(cells[1])==want and cells[1]['metadata']==FOLDED


def put(path, want) -> None:
    "Write the cell under the title, with the `default_exp` of a cell that holds nothing else; all other cells stay as they are"
    nb = json.loads(path.read_text(encoding='utf-8'))
    cells,old = nb['cells'],nb['cells'][1]
    name = re.match(r'#\| default_exp \S+\n?', _text(old))
    if old['cell_type']=='code' and (name and name[0].strip()==_text(old).strip() or 'install_missing()' in _text(old)): cells.pop(1)
    elif name: old['source'] = _text(old)[name.end():].splitlines(keepends=True)
    source = (name[0].strip()+'\n' if name else '') + want
    cells.insert(1, dict(cell_type='code', execution_count=None, id='f1257ce1', metadata=FOLDED, outputs=[], source=source.splitlines(keepends=True)))
    path.write_text(json.dumps(nb, sort_keys=True, indent=1, ensure_ascii=False)+'\n', encoding='utf-8')


def stale(root=ROOT) -> list: # Paths
    "The notebooks whose first code cell is not as it should be"
    want = first_cell()
    return [o for o in notebooks(root) if not is_right(o, want)]


def main(argv=None) -> int: # 0 when every cell is, or now is, as it should be
    "Write them, or check them"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--check', action='store_true', help='write nothing; exit 1 where a notebook has another first cell')
    check,late = p.parse_args(argv).check,stale()
    for o in late:
        if not check: put(o, first_cell())
        print(f"{o.relative_to(ROOT)}: {'another first cell. Run: python tools/first_cell.py' if check else 'written'}")
    return 1 if check and late else 0


if __name__ == '__main__': sys.exit(main())
