"`fastclass lessons`: a copy for the learner, never over their work, and JupyterLab at the first one"
import json, os, sys
from pathlib import Path

import pytest

from fastclass.course import lessons as module
from fastclass.course.lessons import GIVEN, copy_lessons, jupyterlab_command, lesson_files, lessons, lessons_home, what_changed
from fastclass.engine.base.errors import DataError, StorageError, UnsupportedError


def notebook(*sources, heading='Start', outputs=()):
    cells = [dict(id='h', cell_type='markdown', metadata={}, source=[f'## {heading}\n', '\n', 'Words.'])]
    cells += [dict(id=f'c{i}', cell_type='code', metadata={}, execution_count=None, outputs=list(outputs), source=o) for i,o in enumerate(sources)]
    return json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5))


@pytest.fixture
def home(tmp_path):
    "A course of two lessons, with machinery that is nobody's business"
    home = tmp_path/'course'
    for name in ('00_first.ipynb', '01_second.ipynb', 'projects/tale.ipynb', 'engine/base/errors.ipynb', 'course/cli.ipynb', 'index.ipynb'):
        (home/name).parent.mkdir(parents=True, exist_ok=True)
        (home/name).write_text(notebook('1+1'))
    return home


def contents(folder): return {o.relative_to(folder).as_posix(): o.read_text() for o in sorted(Path(folder).rglob('*')) if o.is_file() and o.name!=GIVEN}


def test_the_machinery_stays_at_home(home, tmp_path):
    assert copy_lessons(tmp_path/'mine', home)['new']==['00_first.ipynb', '01_second.ipynb', 'projects/tale.ipynb']
    assert sorted(contents(tmp_path/'mine'))==['00_first.ipynb', '01_second.ipynb', 'projects/tale.ipynb']


def test_the_lessons_of_this_course_are_found():
    found = lesson_files(lessons_home())
    assert found[0].startswith('00_') and 'quickstart.ipynb' in found and not [o for o in found if o.startswith(('engine', 'course', 'index', 'train', 'report'))]


def test_work_is_never_written_over_and_the_newer_lesson_comes_beside(home, tmp_path):
    mine = tmp_path/'mine'
    copy_lessons(mine, home)
    work = notebook('1+1', 'my_answer = 42')
    (mine/'00_first.ipynb').write_text(work)
    assert copy_lessons(mine, home)['beside']==[] # the course is as it was
    (home/'00_first.ipynb').write_text(notebook('1+2'))
    (home/'01_second.ipynb').write_text(notebook('1+2'))
    done = copy_lessons(mine, home)
    [(name,newer,changed)] = done['beside']
    assert name=='00_first.ipynb' and newer!=name and changed=='1 cell changed or new, under: Start'
    assert (mine/name).read_text()==work and (mine/newer).read_text()==notebook('1+2')
    assert done['updated']==['01_second.ipynb'] and (mine/'01_second.ipynb').read_text()==notebook('1+2')
    before = contents(mine)
    assert copy_lessons(mine, home)['beside']==[] and contents(mine)==before # told once
    (home/'00_first.ipynb').write_text(notebook('1+3'))
    third = copy_lessons(mine, home)['beside'][0][1]
    assert third!=newer and (mine/newer).read_text()==notebook('1+2') and (mine/name).read_text()==work


def test_the_newer_one_that_was_worked_on_is_work_too(home, tmp_path):
    mine = tmp_path/'mine'
    copy_lessons(mine, home)
    (mine/'00_first.ipynb').write_text(notebook('mine'))
    (home/'00_first.ipynb').write_text(notebook('1+2'))
    newer = copy_lessons(mine, home)['beside'][0][1]
    (mine/newer).write_text(notebook('mine, too'))
    (home/'00_first.ipynb').write_text(notebook('1+3'))
    copy_lessons(mine, home)
    assert (mine/newer).read_text()==notebook('mine, too')


def test_a_lesson_that_was_only_run_stays_and_gets_no_copy(home, tmp_path):
    mine = tmp_path/'mine'
    copy_lessons(mine, home)
    ran = notebook('1+1', outputs=[dict(output_type='stream', name='stdout', text='2')])
    (mine/'00_first.ipynb').write_text(ran)
    assert '00_first.ipynb' in copy_lessons(mine, home)['same'] and (mine/'00_first.ipynb').read_text()==ran


@pytest.mark.parametrize('record', [None, '', '{', '[]', '{"00_first.ipynb": 3}', '{"00_first.ipynb": {"hash": 1, "texts": 2}}', '['*100_000])
def test_without_a_record_everything_that_differs_is_work(home, tmp_path, record):
    mine = tmp_path/'mine'
    mine.mkdir()
    (mine/'00_first.ipynb').write_text(notebook('something of mine'))
    if record is not None: (mine/GIVEN).write_text(record)
    done = copy_lessons(mine, home)
    assert (mine/'00_first.ipynb').read_text()==notebook('something of mine') and len(done['beside'])==1


@pytest.mark.parametrize('text', ['', 'no notebook', '{"cells": 3}', '{"cells": [1, {"source": 5}, {"id": [1], "source": ["a", 2]}]}', '['*100_000, '{"cells": [{"source": "\\ud800"}]}'])
def test_a_broken_notebook_of_the_learner_is_work_too(home, tmp_path, text):
    mine = tmp_path/'mine'
    copy_lessons(mine, home)
    (mine/'00_first.ipynb').write_text(text)
    (home/'00_first.ipynb').write_text(notebook('1+2'))
    assert len(copy_lessons(mine, home)['beside'])==1 and (mine/'00_first.ipynb').read_text()==text


def test_a_lesson_that_was_thrown_away_comes_back(home, tmp_path):
    mine = tmp_path/'mine'
    copy_lessons(mine, home)
    (mine/'01_second.ipynb').unlink()
    assert copy_lessons(mine, home)['new']==['01_second.ipynb']


def test_what_changed_is_told_by_headings():
    before = module.texts(notebook('1', '2').encode())
    assert what_changed(before, notebook('1', '5', '6', heading='Train').encode())=='3 cells changed or new, under: Train'
    assert what_changed(before, notebook('1').encode())=='1 cell gone'


def test_places_that_cannot_be_used(home, tmp_path):
    with pytest.raises(DataError, match='folder of your own'): copy_lessons(home, home)
    (tmp_path/'file').write_text('x')
    with pytest.raises(StorageError): copy_lessons(tmp_path/'file', home)
    (tmp_path/'odd'/'00_first.ipynb').mkdir(parents=True)
    with pytest.raises(DataError, match='00_first.ipynb'): copy_lessons(tmp_path/'odd', home)


@pytest.mark.skipif(os.name=='nt', reason='Windows makes no links for everybody')
def test_a_link_to_work_elsewhere_is_not_written_through(home, tmp_path):
    mine,other = tmp_path/'mine',tmp_path/'elsewhere.ipynb'
    copy_lessons(mine, home)
    other.write_text(notebook('work'))
    (mine/'00_first.ipynb').unlink()
    (mine/'00_first.ipynb').symlink_to(other)
    (home/'00_first.ipynb').write_text(notebook('1+2'))
    copy_lessons(mine, home)
    assert other.read_text()==notebook('work') and (mine/'00_first.ipynb').read_text()==notebook('work')


def test_home_in_the_name_of_the_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('USERPROFILE', str(tmp_path))
    lessons('~/my lessons', no_open=True)
    assert (tmp_path/'my lessons'/'00_cyclists.ipynb').is_file() and str(tmp_path/'my lessons') in capsys.readouterr().out


def test_jupyterlab_shows_this_folder_behind_its_token(monkeypatch):
    monkeypatch.setattr(module.importlib.util, 'find_spec', lambda name: object())
    command = jupyterlab_command('/a folder', '00 first.ipynb')
    assert command[:3]==[sys.executable, '-m', 'jupyterlab'] and '--ServerApp.root_dir=/a folder' in command
    assert '--LabApp.default_url=/lab/tree/00%20first.ipynb' in command
    assert not [o for o in command if 'ip=' in o or 'token' in o or 'password' in o] # on this machine only, behind its token


def test_where_jupyterlab_is_missing_the_line_that_brings_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(module.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(UnsupportedError, match=r'pip install "fastclass-course\[lessons\]"') as e: lessons(str(tmp_path/'mine'))
    assert (tmp_path/'mine'/'00_cyclists.ipynb').is_file() and str(tmp_path/'mine') in str(e.value)
