"What a cell shows when an error of ours ends it: its two lines first; and nothing is hidden from those who test"
import os, subprocess, sys

import pytest

CELLS = '''
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors='NoColor')
for cell in {cells!r}:
    print('====')
    shell.run_cell(cell)
'''


def shown(*cells, **env):
    "What IPython prints for each cell, as in a notebook"
    env = {**{k:v for k,v in os.environ.items() if k!='IN_TEST'}, **env}
    r = subprocess.run([sys.executable, '-c', CELLS.format(cells=cells)], env=env, capture_output=True, text=True)
    return r.stdout.split('====\n')[1:]


FAMILY = 'from fastclass.engine.base.errors import *\nfrom fastclass.engine.base import errors\n'
UPLOADS = ["()", "{}", "FileUpload()", "({'name': 'a.jpg', 'content': b'no picture'},)", "{'a.jpg': {'content': b''}}",
           "({'name': 'a.gif', 'content': memoryview(b'GIF89a')},)"] # nothing chosen, and files that are no pictures


def test_an_upload_that_is_none_says_one_sentence():
    start = 'from ipywidgets import FileUpload\nfrom fastclass.predict import predict_one'
    said = shown(start, *(f'predict_one(None, {o})' for o in UPLOADS[:3]),
                 'from fastclass.engine.predict.inputs import uploads\nfrom fastclass.engine.base.picture import read_picture',
                 *(f'read_picture(uploads({o})[0][1])' for o in UPLOADS[3:]))
    for text in said[1:4]: assert text.startswith(('DataError: Nothing was uploaded.', 'DataError: There is no picture')) and 'predict_one(None' in text, text
    for text in said[5:]: assert text.startswith('PictureError: ') and len(text.strip().splitlines())<=5 and 'File "' not in text, text


def test_two_lines_then_the_line_of_the_cell():
    cell = 'def deep(n):\n    if n: return deep(n-1)\n    raise DataError("No <b>\\x1b[2J", next="Do this.")'
    _,said,calls,cause = shown(FAMILY+cell, 'a = 1\nb = deep(20)', 'import traceback, sys\nsys.stderr = sys.stdout\ntraceback.print_last()',
                               'try: 1/0\nexcept ZeroDivisionError as e: raise DataError("Half.") from e')
    assert said.splitlines()[:2]==[r'DataError: No <b>\x1b[2J', 'Do this.'] and 'At: b = deep(20)' in said and len(said.strip().splitlines())==5
    assert 'in deep' in calls and cause.startswith('DataError: Half.\n')


def test_the_whole_family_has_it_and_others_do_not():
    kinds = 'DataError UnsupportedError BundleError WeightsError StorageError PictureError SourceError NoInternetError BlockedError BadQueryError RateLimitedError'.split()
    _,*said = shown(FAMILY, *(f'raise {o}("What.", "Next.")' for o in kinds), '1/0')
    for kind,text in zip(kinds, said): assert text.startswith(f'{kind}: What.\nNext.\n'), text
    assert 'Traceback' in said[-1]


@pytest.mark.parametrize('env', [dict(IN_TEST='1'), dict(FASTCLASS_TRACEBACK='full')])
def test_tests_see_all_of_it(env): assert 'Traceback' in shown(FAMILY, 'def f(): raise DataError("No.")', 'f()', **env)[-1]
