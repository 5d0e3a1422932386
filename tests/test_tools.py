"The tools do what they say: README maker, notebook runner, sync checks, and the start of .ci/run with its installer stubbed."
import json, os, shutil, stat, subprocess, sys, time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import figures, make_readme, run_notebooks
from house import ROOT, copy_tree, writable_copy
from make_readme import LESSONS, badges, fix_links, lesson_facts, render
from sync import clean_stale, export_stale

CONFIG = dict(repository='https://github.com/some/course', branch='main')
FIRST = '# Fine-tune\n\n> One sentence.\n\n**Time:** 20 minutes to read, 2 to run on a CPU · **After it you can** train a\nclassifier.\n\nMore words.'


def write(path, *cells):
    "A notebook of these cells; a text is markdown"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell(o) if isinstance(o, str) else o for o in cells],
                                metadata={'kernelspec':{'display_name':'python3','language':'python','name':'python3'}}), path)
    return path


def course(tmp_path, *cells):
    write(tmp_path/'nbs/01_collect.ipynb', FIRST)
    write(tmp_path/'nbs/index.ipynb', *cells)
    return tmp_path


# ---- README maker

def test_facts_of_a_lesson_come_from_its_first_cell():
    assert lesson_facts(new_notebook(cells=[new_markdown_cell(FIRST)]))==dict(title='Fine-tune', summary='One sentence.', read=20, minutes=2, can='train a classifier.')
    assert lesson_facts(new_notebook(cells=[new_markdown_cell('# Title only')]))==dict(title='Title only')


def test_badges_come_from_the_one_address():
    made = badges('nbs/01_collect.ipynb', CONFIG)
    assert '(https://colab.research.google.com/github/some/course/blob/main/nbs/01_collect.ipynb)' in made
    assert '(https://kaggle.com/kernels/welcome?src=https://github.com/some/course/blob/main/nbs/01_collect.ipynb)' in made
    with pytest.raises(SystemExit, match='github.com'): badges('a.ipynb', dict(CONFIG, repository='https://example.com/some/course'))


def test_readme_has_cells_outputs_table_and_no_hidden_cell(tmp_path):
    code = new_code_cell('#| echo: true\n1+1', outputs=[new_output('execute_result', {'text/plain':'2'}, execution_count=1)])
    hidden = new_code_cell('#| hide\nsecret = 1')
    text,picture = render(course(tmp_path, '# Course\n\n[one](01_collect.ipynb#start)', code, hidden, f'## Lessons\n\n{LESSONS}\n\nleft out'), CONFIG)
    assert '[one](nbs/01_collect.ipynb#start)' in text and '```python\n1+1\n```\n\n```\n2\n```' in text and picture is None
    assert '| [Fine-tune](nbs/01_collect.ipynb) | 20 | 2 | train a classifier | [![Open in Colab]' in text
    assert 'secret' not in text and 'left out' not in text and '#|' not in text


def test_readme_keeps_the_first_picture_and_its_text(tmp_path):
    jpeg = new_output('display_data', {'image/jpeg':'/9j/4AAQ', 'text/plain':'<Figure>'})
    root = course(tmp_path, '# Course', new_code_cell('#| echo: false\n#| fig-alt: Crests, nine wrong ones\nplot()', outputs=[jpeg]))
    text,picture = render(root, CONFIG)
    assert '![Crests, nine wrong ones](nbs/images/index.jpg)' in text and picture[:2]==b'\xff\xd8' and 'plot()' not in text and '<Figure>' not in text
    (root/'settings.ini').write_text('[DEFAULT]\n')
    with pytest.raises(SystemExit, match='fig-alt'): render(course(tmp_path, '# Course', new_code_cell('plot()', outputs=[jpeg])), CONFIG)


def test_readme_stops_at_a_dead_link_and_leaves_code_alone(tmp_path):
    with pytest.raises(SystemExit, match='not_there.ipynb'): fix_links('[a](not_there.ipynb)', tmp_path)
    same = 'a\n```python\nd[1](x)\n```\n[b](https://example.com) [c](#part)'
    assert fix_links(same, tmp_path)==same


def test_readme_stops_at_a_lesson_that_does_not_say_its_time(tmp_path):
    root = course(tmp_path, LESSONS)
    write(root/'nbs/02_datablock.ipynb', '# Title\n\n> Summary.')
    with pytest.raises(SystemExit, match='02_datablock.ipynb.*read, minutes, can'): render(root, CONFIG)


def test_check_finds_a_readme_that_is_out_of_date(tmp_path, monkeypatch):
    root = course(tmp_path, '# Course')
    monkeypatch.setattr(make_readme, 'settings', lambda: CONFIG)
    make_readme.make(root)
    assert make_readme.stale(root)==[]
    (root/'README.md').write_text('by hand')
    assert make_readme.stale(root)==['README.md']


def test_the_table_of_lessons_stands_in_the_index_too(tmp_path, monkeypatch):
    root = course(tmp_path, '# Course', f'## Lessons\n\n{LESSONS}\n\nan old table')
    monkeypatch.setattr(make_readme, 'settings', lambda: CONFIG)
    assert 'nbs/index.ipynb' in make_readme.stale(root)
    make_readme.make(root)
    text = nbformat.read(root/'nbs/index.ipynb', 4).cells[1].source
    assert text.startswith(f'## Lessons\n\n{LESSONS}\n\n| Lesson') and '| [Fine-tune](01_collect.ipynb) | 20 | 2 | train a classifier |' in text and 'an old table' not in text
    assert make_readme.stale(root)==[]


# ---- which lessons the browser runs

def test_a_lesson_that_the_browser_ran_is_not_run_again(monkeypatch):
    import browser
    lessons = run_notebooks.find([])
    monkeypatch.setattr(browser, 'why_not', lambda: '')
    names = {o.stem for o in browser.in_browser(lessons)}
    assert {'00_cyclists', '01_collect', '04_interpret', '05_predict'} <= names < {o.stem for o in lessons}
    assert browser.in_browser(lessons, everything=True)==lessons
    monkeypatch.setattr(browser, 'why_not', lambda: 'no browser')
    assert browser.in_browser(lessons)==browser.in_browser(lessons, everything=True)==[]


def test_where_the_browser_is_missing_it_is_said_how_to_get_it(monkeypatch):
    import browser
    if os.name=='nt': pytest.skip('the browser tests are for Linux and macOS')
    monkeypatch.setattr(browser, 'find_spec', lambda name: object())
    monkeypatch.setenv('FASTCLASS_BROWSER', '')
    monkeypatch.setattr(browser.shutil, 'which', lambda name: None)
    assert 'apt-get install chromium' in browser.why_not()
    monkeypatch.setattr(browser, 'find_spec', lambda name: None)
    assert 'pip install -e ".[dev]"' in browser.why_not()


# ---- notebook runner

def runner(*args): return run_notebooks.main([str(o) for o in args])


def test_runner_runs_in_a_kernel_and_leaves_the_notebook_alone(tmp_path, capsys):
    code = 'import os\nfrom pathlib import Path\nassert os.environ["FASTCLASS_SOURCE"]=="cached"\nPath("left.txt").write_text("x")'
    path = write(tmp_path/'a.ipynb', '# A', new_code_cell(code))
    before = path.read_bytes()
    assert runner(path, '--source', 'cached', '--strict')==0
    assert '1 of 1 notebooks ran through' in capsys.readouterr().out
    assert path.read_bytes()==before and os.listdir(tmp_path)==['a.ipynb'] and not (ROOT/'left.txt').exists() and not (ROOT/'nbs/left.txt').exists()


def test_runner_names_the_cell_that_failed(tmp_path, capsys):
    assert runner(write(tmp_path/'a.ipynb', '# A', new_code_cell('x = 1'), new_code_cell('y = x/0')))==1
    out = capsys.readouterr().out
    assert 'FAIL' in out and 'cell 2:' in out and 'y = x/0' in out and 'ZeroDivisionError' in out


def test_runner_finds_what_fails_only_the_second_time_in_a_folder(tmp_path, capsys):
    path = write(tmp_path/'a.ipynb', '# A', new_code_cell('from pathlib import Path\nPath("made").mkdir()'))
    assert runner(path)==0
    assert runner(path, '--twice')==1
    out = capsys.readouterr().out
    assert 'the second time, in the same folder' in out and 'FileExistsError' in out


def test_runner_stops_a_cell_and_a_run_that_take_too_long(tmp_path, capsys):
    path = write(tmp_path/'a.ipynb', '# A', new_code_cell('import time; time.sleep(60)'))
    assert runner(path, '--cell-timeout', 2)==1 and 'took more than 2 s' in capsys.readouterr().out
    assert runner(path, '--deadline', 3)==1 and 'deadline' in capsys.readouterr().out


@pytest.mark.parametrize('code', ['import warnings; warnings.warn("old")', 'import sys; print("oh", file=sys.stderr)'])
def test_strict_runner_refuses_noise(tmp_path, capsys, code):
    path = write(tmp_path/'a.ipynb', '# A', new_code_cell(code))
    assert runner(path)==0 and runner(path, '--strict')==1
    assert 'wrote to stderr' in capsys.readouterr().out


def test_strict_runner_refuses_figures_too_small_to_read(tmp_path, capsys):
    code = 'import matplotlib.pyplot as plt\n_,ax = plt.subplots(figsize=(4, 3))\nax.set_title("a title", fontsize={size})'
    assert runner(write(tmp_path/'a.ipynb', '# A', new_code_cell(code.format(size=8))), '--strict')==0
    small = write(tmp_path/'b.ipynb', '# B', new_code_cell(code.format(size=6)))
    assert runner(small)==0 and runner(small, '--strict')==1
    assert "Too small to read: 6.2 pt: 'a title'" in capsys.readouterr().out


def figure(n, inches, pixels=32):
    "`n` axes in a row, each with a picture"
    from matplotlib.figure import Figure
    fig = Figure(figsize=(inches, 2), dpi=100)
    for ax in fig.subplots(1, n, squeeze=False)[0]:
        ax.imshow([[0]*pixels]*pixels)
        ax.axis('off')
    fig.draw_without_rendering()
    return fig


@pytest.mark.parametrize('n,inches,pixels,small', [(8, 12, 32, True), (4, 8, 32, False), (8, 12, 3, False), (3, 2, 32, False)])
def test_pictures_of_a_sheet_are_large_enough(n, inches, pixels, small):
    assert bool(figures.small_pictures(figure(n, inches, pixels)))==small


def test_texts_of_a_hidden_axis_are_not_read():
    with figures.texts_drawn() as drawn: fig = figure(4, 8)
    assert not drawn and not figures.small_texts(fig, drawn)


def test_runner_keeps_outputs_when_asked(nbdev, tmp_path):
    path = write(tmp_path/'a.ipynb', '# A', new_code_cell('print("kept")'))
    assert runner(path, '--write')==0
    cell = nbformat.read(path, 4).cells[1]
    assert cell.outputs[0].text=='kept\n' and cell.execution_count is None


def test_runner_gives_each_notebook_a_kernel_of_its_own(tmp_path):
    one = new_code_cell('import os; assert "LEAK" not in os.environ; os.environ["LEAK"] = "1"')
    assert runner(write(tmp_path/'a.ipynb', '# A', one), write(tmp_path/'b.ipynb', '# B', one), '--workers', 2)==0


# ---- sync checks and copies

def test_sync_finds_stale_missing_and_changed(nbdev, tmp_path):
    tree = copy_tree(tmp_path/'tree')
    (tree/'fastclass/engine/base/errors.py').write_text('changed = 1\n')
    (tree/'fastclass/old.py').write_text('')
    found = export_stale(tree)
    assert any('errors.py differs' in o for o in found) and any('old.py comes from no notebook' in o for o in found)
    path = tree/'nbs/engine/base/errors.ipynb'
    nb = json.loads(path.read_text())
    nb['cells'][1]['execution_count'] = 7
    path.write_text(json.dumps(nb))
    assert any('errors.ipynb differs' in o for o in clean_stale(tree))


def test_a_writable_copy_can_be_written_to(tmp_path):
    src = tmp_path/'src'/'deep'
    src.mkdir(parents=True)
    (src/'a.txt').write_text('a')
    os.chmod(src/'a.txt', stat.S_IRUSR)
    made = writable_copy(tmp_path/'src', tmp_path/'dst')
    assert (made/'deep/a.txt').stat().st_mode & stat.S_IWUSR


# ---- .ci/run

@pytest.fixture
def ci(tmp_path):
    "A clone whose Python is a stub: it writes down what it is asked, and an environment is one file"
    if os.name=='nt' or not shutil.which('bash'): pytest.skip('.ci/run is a bash script, and there is no bash here')
    clone,log = tmp_path/'clone',tmp_path/'log'
    clone.mkdir()
    for o in ('settings.ini','setup.py','pyproject.toml'): shutil.copy(ROOT/o, clone/o)
    shutil.copytree(ROOT/'.ci', clone/'.ci')
    stub = tmp_path/'python'
    stub.write_text(f'''#!/usr/bin/env bash
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; echo venv >> {log}; exit; fi
if [ "$1" = "-c" ]; then exec {sys.executable} "$@"; fi
echo "$@" >> {log}
if [ "$1 $2" = "-m pip" ] && [ -f {tmp_path}/broken ] && [[ "$*" != *no-deps* ]]; then exit 1; fi
if [ "$1" = tools/test.py ]; then exit "${{TESTS_END:-0}}"; fi
''')
    stub.chmod(0o755)
    def run(**env):
        log.write_text('')
        given = {**os.environ, 'PYTHON':str(stub), 'FASTCLASS_CI_CACHE':str(tmp_path/'cache'), 'FASTCLASS_BROWSER':'none', **env}
        r = subprocess.run([clone/'.ci/run'], env=given, cwd=tmp_path, capture_output=True, text=True)
        run.said = r.stdout+r.stderr
        return r.returncode, log.read_text().splitlines()
    run.clone,run.tmp = clone,tmp_path
    return run


def test_ci_makes_an_environment_outside_the_clone_and_reuses_it(ci):
    code,log = ci()
    assert code==0 and log[0]=='venv' and log[1]=='-m pip install -q -e .[dev]' and '--no-deps' in log[2] and log[-1]=='tools/test.py'
    code,log = ci()
    assert code==0 and 'venv' not in log and '--no-deps' in log[0] and log[-1]=='tools/test.py'
    assert not [o for o in ci.clone.iterdir() if o.name not in ('.ci','settings.ini','setup.py','pyproject.toml')]


def test_ci_makes_a_new_environment_when_the_settings_change(ci):
    ci()
    with open(ci.clone/'settings.ini', 'a') as f: f.write('# a change\n')
    assert ci()[1][0]=='venv'


@pytest.mark.skipif(not shutil.which('flock'), reason='without flock, what is old is removed')
def test_ci_removes_the_environments_of_other_settings_that_no_run_uses(ci):
    "Each takes 7 GB: a disk filled by them fails the next installation"
    def changed():
        with open(ci.clone/'settings.ini', 'a') as f: f.write('# a change\n')
        assert ci()[0]==0
        return {o for o in (ci.tmp/'cache').iterdir() if o.is_dir()}
    ci()
    first = changed()
    assert len(first)==1
    used = first.pop()
    with subprocess.Popen(['flock', '-s', f'{used}.use', 'cat'], stdin=subprocess.PIPE) as run:
        while subprocess.run(['flock', '-n', f'{used}.use', 'true']).returncode==0: time.sleep(.01)
        assert used in changed()
        run.stdin.close()
    assert len(changed())==1 and not used.exists()


def test_ci_never_reuses_a_half_made_environment(ci):
    (ci.tmp/'broken').touch()
    (ci.tmp/'nosleep').mkdir()
    (ci.tmp/'nosleep/sleep').write_text('#!/bin/sh\n')
    (ci.tmp/'nosleep/sleep').chmod(0o755)
    code,log = ci(PATH=str(ci.tmp/'nosleep')+os.pathsep+os.environ['PATH'])
    assert code!=0 and 'tools/test.py' not in log
    (ci.tmp/'broken').unlink()
    code,log = ci()
    assert code==0 and log[0]=='venv'


@pytest.mark.parametrize('who, code, says', [(0, 0, 'installing Chromium'), (0, 1, 'was not installed'), (1000, 0, 'no right to install')])
def test_ci_brings_a_browser_where_it_may(ci, who, code, says):
    "On a machine without one: as root from the system's packages; else, or where that fails, the tests go on without"
    tools = ci.tmp/'bin'
    tools.mkdir()
    for o in ('bash', 'env', 'cat', 'dirname', 'mkdir', 'find', 'rm', 'touch', 'cp', 'flock'):
        if shutil.which(o): (tools/o).symlink_to(shutil.which(o))
    for name,text in {'id':f'echo {who}', 'apt-get':f'echo "$@" >> {ci.tmp}/apt; exit {code}'}.items():
        (tools/name).write_text(f'#!/bin/sh\n{text}\n')
        (tools/name).chmod(0o755)
    end,log = ci(PATH=str(tools), FASTCLASS_BROWSER='')
    assert end==0 and log[-1]=='tools/test.py' and says in ci.said
    asked = (ci.tmp/'apt').read_text() if (ci.tmp/'apt').is_file() else ''
    assert (who==0)==('update' in asked) and (who==0 and code==0)==('chromium' in asked)


def test_ci_ends_as_the_tests_end(ci): assert ci(TESTS_END='3')[0]==3
