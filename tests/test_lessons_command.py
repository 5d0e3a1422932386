"`fastclass lessons`: a copy for the learner, never over their work, and JupyterLab at the first one; with --clean also the student edition"
import ast, importlib, json, os, re, sys
from pathlib import Path

import nbformat
import pytest

from fastclass.course import lessons as module
from fastclass.course.lessons import CLEAN, GIVEN, copy_lessons, jupyterlab_command, lesson_files, lessons, lessons_home, what_changed
from fastclass.course.student import student_edition
from fastclass.engine.base.errors import DataError, StorageError, UnsupportedError
from make_readme import lessons as lesson_paths


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


def test_a_lesson_that_nobody_touched_is_never_called_work(home, tmp_path):
    "A version with other outputs, and then one with another text"
    mine = tmp_path/'mine'
    copy_lessons(mine, home)
    (home/'00_first.ipynb').write_text(notebook('1+1', outputs=[dict(output_type='stream', name='stdout', text='2')]))
    assert '00_first.ipynb' in copy_lessons(mine, home)['updated']
    (home/'00_first.ipynb').write_text(notebook('1+2'))
    done = copy_lessons(mine, home)
    assert '00_first.ipynb' in done['updated'] and not done['beside'] and (mine/'00_first.ipynb').read_text()==notebook('1+2')


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


# ---- the student edition

of_each_lesson = pytest.mark.parametrize('path', lesson_paths(), ids=lambda path: path.stem)


def cells_of(data): return nbformat.reads(data if isinstance(data, str) else data.decode(), 4).cells
def lesson_cells(path): return cells_of(path.read_text(encoding='utf-8'))
def edition_cells(path): return cells_of(student_edition(path.read_bytes(), path.name))
def code_of(cells): return [cell.source for cell in cells if cell.cell_type=='code']
def prose_of(cells): return '\n\n'.join(cell.source for cell in cells if cell.cell_type=='markdown')
def is_library(source): return bool(re.search(r'^#\|\s*export\b', source, re.M))


def parsed(source): return ast.parse(re.sub(r'^\s*[%!].*$', 'pass', source, flags=re.M)).body
def is_import(node): return isinstance(node, (ast.Import, ast.ImportFrom))


def from_your_turn(cells):
    "`## Your turn` and what comes after it: one text for the prose, a list for the code"
    first = next(i for i,cell in enumerate(cells) if re.search(r'^## Your turn', cell.source, re.M))
    _,heading,rest = cells[first].source.partition('## Your turn')
    found = [heading+rest, *(cell.source for cell in cells[first+1:])]
    return [re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', text) for text in found] # links to where learners have nothing become text


@of_each_lesson
def test_a_student_edition_is_a_valid_notebook_without_outputs(path):
    cells = edition_cells(path)
    nbformat.validate(nbformat.v4.new_notebook(cells=cells))
    assert len({cell.id for cell in cells})==len(cells)
    assert not [cell for cell in cells if cell.cell_type=='code' and (cell.outputs or cell.execution_count)]


@of_each_lesson
def test_a_student_edition_keeps_the_start_and_your_turn_whole(path):
    before,after = lesson_cells(path),edition_cells(path)
    assert after[1].source==before[1].source
    start = next(source for source in code_of(before) if 'start_lesson(' in source)
    assert start in code_of(after)
    assert from_your_turn(after)==from_your_turn(before)


@of_each_lesson
def test_a_student_edition_has_all_headings_but_the_summary_and_no_library_cell(path):
    def headings(cells): return re.findall(r'^##+ .+$', prose_of(cells), re.M)
    before,after = headings(lesson_cells(path)),headings(edition_cells(path))
    assert after==[heading for heading in before if heading!='## Summary']
    assert not any(map(is_library, code_of(edition_cells(path))))


@of_each_lesson
def test_the_cells_to_write_are_empty_but_for_their_imports(path):
    emptied = [source for source in code_of(edition_cells(path)) if '# Write this cell.' in source]
    assert len(emptied)>=5
    for source in emptied: assert all(map(is_import, parsed(source))), source


@of_each_lesson
def test_imports_of_a_student_edition_run_and_bring_all_that_its_cells_use(path):
    "Names that the lesson itself exports are those of the library, not others that fastai has too"
    before = code_of(lesson_cells(path))
    names = {}
    for source in code_of(edition_cells(path)):
        for node in filter(is_import, parsed(source)): exec(ast.unparse(node), names)
    library = [node for source in filter(is_library, before) for node in parsed(source)]
    made = {node.name for node in library if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    made = {name for name in made if not name.startswith('_')}
    module = importlib.import_module(f'fastclass.{path.stem[3:]}') if library else None
    assert not [name for name in sorted(made) if names.get(name) is not getattr(module, name)]


def test_the_student_edition_lies_beside_the_lessons_and_goes_over_no_work(tmp_path, capsys):
    lessons(str(tmp_path), clean=True, no_open=True)
    file = tmp_path/CLEAN/'03_finetune.ipynb'
    assert f'{len(lesson_paths())} of them, are in {tmp_path.resolve()/CLEAN}' in capsys.readouterr().out
    on_the_web = (lessons_home()/'03_finetune.ipynb').read_bytes().replace(b'](engine/', b'](https://github.com/fastclass/fastclass/blob/main/nbs/engine/')
    assert (tmp_path/'03_finetune.ipynb').read_bytes()==on_the_web
    links = [(path, link) for path in file.parent.glob('*.ipynb') for link in re.findall(r'\]\((?!https?:)([^)#]+)', prose_of(lesson_cells(path)))]
    assert len(links)>30 and not [(path.name, link) for path,link in links if not (path.parent/link).is_file()]
    file.write_text(notebook('my answer'))
    assert not lessons(str(tmp_path), clean=True, no_open=True)['beside'] and 'my answer' in file.read_text()


def test_every_link_of_a_copied_lesson_leads_to_a_file(tmp_path):
    lessons(str(tmp_path), no_open=True)
    links = [(path, link) for path in tmp_path.rglob('*.ipynb') for link in re.findall(r'\]\((?!https?:|attachment:)([^)#\s]+)', prose_of(lesson_cells(path)))]
    assert len(links)>60 and not [(path.name, link) for path,link in links if not (path.parent/link).is_file()]


def test_without_clean_there_is_no_student_edition(tmp_path):
    lessons(str(tmp_path), no_open=True)
    assert not (tmp_path/CLEAN).exists()
