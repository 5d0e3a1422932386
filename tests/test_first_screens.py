"What a learner sees first in a lesson: title, promise, a picture of the result, both times, and one short cell. What is not meant to be read first is folded."
import ast, re

import nbformat
import pytest
from PIL import Image
from nbformat.v4 import new_code_cell, new_notebook, new_output

import first_cell
from house import ROOT
from make_readme import lesson_facts
from run_notebooks import drop_empty_outputs, is_empty

NOTEBOOKS = [o for o in first_cell.notebooks() if o.name not in ('quickstart.ipynb', 'glossary.ipynb')]
MAX_PICTURE = 26_000 # bytes
LINE = '*How it is built (unfold to read):*'
of_each = pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda o: o.stem)


def cells(path): return nbformat.read(path, 4).cells
def is_folded(cell): return cell.metadata.get('jupyter', {}).get('source_hidden') is True and cell.metadata.get('cellView')=='form'
def is_shown(cell): return cell.cell_type=='code' and not is_folded(cell)
def is_library(cell): return cell.cell_type=='code' and bool(re.search(r'^#\|\s*export\b', cell.source, re.M))


def statements(cell):
    "What a cell does; [] where it is no plain Python"
    try: return ast.parse(cell.source).body
    except SyntaxError: return []


def only_imports(cell):
    done = statements(cell)
    return bool(done) and all(isinstance(o, (ast.Import, ast.ImportFrom)) for o in done)


@of_each
def test_first_cell_has_title_promise_picture_and_both_times_in_this_order(path):
    first = cells(path)[0].source
    title,promise,picture,time = (re.search(o, first, re.M) for o in (r'^# \S', r'^> \S', r'^!\[(.+)\]\((\S+)\)$', r'^\*\*Time:\*\*'))
    assert title.start()<promise.start()<picture.start()<time.start()
    assert len(picture[1])>30, 'the picture says in words what it shows'
    file = (path.parent/picture[2]).resolve()
    assert file.parent==ROOT/'nbs/images' and file.stat().st_size<=MAX_PICTURE
    with Image.open(file) as im: assert im.format=='JPEG' and im.width<=640 and im.height<=440 # the cell below it is still on the first screen
    assert {'read', 'minutes', 'can'} <= lesson_facts(nbformat.read(path, 4)).keys()


@of_each
def test_reading_time_is_that_of_its_words_and_cells(path):
    found = cells(path)
    prose = ' '.join(re.sub(r'\]\([^)]*\)', ']', c.source) for c in found if c.cell_type=='markdown')
    minutes = len(re.findall(r"\w[\w'-]*", prose))/180 + sum(map(is_shown, found))/2
    assert abs(lesson_facts(nbformat.read(path, 4))['read']-minutes)<=5, f'180 words a minute and 30 s a cell make {minutes:.0f} minutes'


@of_each
def test_one_short_cell_starts_the_lesson(path):
    found = cells(path)
    heading = next(i for i,c in enumerate(found) if i and c.cell_type=='markdown' and re.search(r'^##+ ', c.source, re.M))
    shown = [c.source for c in found[:heading] if is_shown(c)]
    assert len(shown)==1 and 'start_lesson(' in shown[0] and len(shown[0].splitlines())<=3, shown


@of_each
def test_checks_and_imports_are_folded(path):
    hidden = [c.source for c in cells(path) if is_shown(c) and re.search(r'^#\|\s*hide\b', c.source, re.M)]
    assert not hidden, 'JupyterLab does not know "#| hide": fold the cell too'
    imports = [c.source for c in cells(path) if is_shown(c) and only_imports(c)]
    assert not imports, 'cells of imports are folded'


@of_each
def test_folded_library_cells_stand_below_a_line_that_says_so(path):
    found,last,bare = cells(path),'',[]
    text = next(i for i,c in enumerate(found) if i and c.cell_type=='markdown')
    for c in found[text:]:
        if c.cell_type=='markdown': last = c.source
        elif is_shown(c): last = ''
        elif is_library(c) and LINE not in last: bare.append(c.source[:80])
    assert not bare


@of_each
def test_no_saved_output_shows_nothing(path):
    assert not [c.source for c in cells(path) if c.cell_type=='code' and any(map(is_empty, c.outputs))], 'python tools/run_notebooks.py --write drops these'


def test_installer_is_folded_everywhere():
    for path in first_cell.notebooks(): assert is_folded(cells(path)[1]), path


def test_only_what_shows_nothing_is_dropped():
    def html(text): return new_output('display_data', {'text/html':text, 'text/plain':'<IPython.core.display.HTML object>'})
    kept = [new_output('stream', name='stdout', text='done\n'), html('<style>p {}</style><p>words</p>'), html('<div><progress value="4"></progress></div>'),
            new_output('display_data', {'image/jpeg':'/9j/', 'text/html':'', 'text/plain':'<Figure>'}), new_output('execute_result', {'text/plain':"''"}, execution_count=1)]
    gone = [new_output('stream', name='stdout', text='\r  \n'), html(''), html('\n<style>\n progress { width: 1px; }\n</style>\n'), html('<div></div>')]
    nb = new_notebook(cells=[new_code_cell('1', outputs=[*gone, *kept])])
    drop_empty_outputs(nb)
    assert nb.cells[0].outputs==kept
