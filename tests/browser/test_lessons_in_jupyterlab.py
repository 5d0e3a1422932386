"The lessons in JupyterLab, as a learner opens and runs them: from an installed wheel, on a fresh copy, without internet."
import re
from pathlib import Path

import nbformat
import pytest

from browser import in_browser
from house import ROOT
from lab import figures
from make_readme import lesson_facts
from run_notebooks import find, noise

NBS = ROOT/'nbs'
EVERY = [o.relative_to(NBS).as_posix() for o in find([])]


def pytest_generate_tests(metafunc):
    if 'name' in metafunc.fixturenames:
        everything = metafunc.config.getoption('--all')
        names = [o.relative_to(NBS).as_posix() for o in in_browser(find([]), everything)]
        metafunc.parametrize('name', names or EVERY[:1])


def test_jupyterlab_opens_at_the_first_lesson(lab, page, screenshots):
    page.goto(lab.address())
    page.get_by_role('tab', name=re.compile('00_cyclists')).wait_for()
    page.get_by_role('heading', name=re.compile('cyclist')).first.wait_for()
    page.wait_for_timeout(3000)
    page.screenshot(path=screenshots/'first-screen.png')
    assert not page.get_by_role('dialog').count(), 'something is asked before the first line can be read'
    assert not page.get_by_text(re.compile('official Jupyter news')).count()
    lab.end_kernels(page)


def test_the_folder_holds_the_lessons_and_none_of_the_machinery(lab):
    assert [o for o in EVERY if not (lab.folder/o).is_file()]==[]
    assert not {'engine', 'course', 'index.ipynb', 'train.ipynb', 'report.ipynb'} & {o.name for o in lab.folder.iterdir()}


def test_a_lesson_runs_in_jupyterlab(lab, page, screenshots, name):
    "Restart Kernel and Run All Cells: no error, no noise, all figures, no bar that is not full, no code wider than its cell"
    stem = Path(name).stem
    notebook = lab.open(page, name)
    page.screenshot(path=screenshots/f'{stem}-first-screen.png')
    seconds = notebook.restart_and_run_all(280)
    print(f'{name}: {seconds:.0f} s')
    not_run,wide,bars,broken = notebook.not_run(),notebook.wide(),notebook.open_bars(),notebook.broken_pictures()
    notebook.whole(screenshots/f'{stem}-after.png')
    nb = notebook.save()
    lab.end_kernels(page)
    errors = [f'{o.ename}: {o.evalue}'[:500] for c in nb.cells for o in c.get('outputs', []) if o.output_type=='error']
    assert errors==[] and not_run==[]
    assert noise(nb)==[]
    shown,meant = figures(nb),figures(nbformat.read(NBS/name, 4))
    assert {k:v for k,v in meant.items() if shown.get(k, 0)<v}=={}, 'cells whose figures are missing'
    assert broken==[] and bars==[]
    assert wide==[], 'code that is wider than its cell'
    promise = lesson_facts(nb).get('minutes')
    assert not promise or seconds<=120*promise, f'promises {promise} min'
