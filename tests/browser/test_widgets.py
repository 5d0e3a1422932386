"The widgets of the lessons, clicked through in JupyterLab. They are found by what is written on them."
import csv, re
from pathlib import Path

import pytest
from PIL import Image

from lab import write_notebook

REVIEW = '''from pathlib import Path
import pandas as pd
from fastclass.interpret import Review
photos = Path('photos of pets').resolve()
files = sorted(photos.glob('*/*.png'))
table = pd.DataFrame([dict(file=str(o), label=o.parent.name) for o in files])
review = Review(table, photos)
review.widget()'''
UPLOAD = '''from ipywidgets import FileUpload
button = FileUpload(accept='image/*')
button'''
ASK = '''from fastclass.engine.base.picture import read_picture
from fastclass.engine.predict.inputs import named_sources # what predict_one asks first
[(name, source)] = named_sources(button)
print(name, read_picture(source).size)'''


@pytest.fixture
def pets(lab):
    "Three classes with three pictures each"
    folder = lab.folder/'photos of pets'
    for k,label in enumerate(('cat', 'dog', 'owl & <b>')):
        for i in range(3):
            (folder/label).mkdir(parents=True, exist_ok=True)
            Image.new('RGB', (300, 200), (80*k, 60*i, 100)).save(folder/label/f'{i}.png')
    (folder/'review.csv').unlink(missing_ok=True)
    return folder


class Widget:
    "The review widget in an open notebook"
    def __init__(self, page, log): self.page,self.log = page,Path(log)

    def press(self, name): self.page.locator('.jp-OutputArea').get_by_role('button', name=re.compile(name)).last.click()

    def keys(self, letters, delay=0):
        "Typed one after the other into the box for keys, as fast as the page takes them"
        box = self.page.locator('.jp-OutputArea').get_by_label(re.compile('^keys', re.I)).last
        box.click()
        self.page.keyboard.type(letters, delay=delay)

    def show(self, name): self.page.locator('.jp-OutputArea').get_by_label(re.compile('^show', re.I)).last.select_option(name)

    def listens(self): self.page.wait_for_function("() => (document.activeElement.placeholder || '').startsWith('keys')")
    def shows(self, text): self.page.locator(f'.jp-OutputArea img[alt*="{text}"]').last.wait_for()
    def decided(self, n=None):
        "Rows of the log, once there are `n`"
        for _ in range(100):
            rows = list(csv.DictReader(self.log.open(encoding='utf-8'))) if self.log.is_file() else []
            if n is None or len(rows)>=n: break
            self.page.wait_for_timeout(100)
        return [(o['file'], o['decision'], o['to']) for o in rows]


@pytest.fixture
def review(lab, page, pets):
    "The widget in a fresh notebook"
    write_notebook(lab.folder/'review pets.ipynb', REVIEW)
    notebook = lab.open(page, 'review pets.ipynb')
    notebook.run_all()
    yield notebook, Widget(page, pets/'review.csv')
    lab.end_kernels(page)


def test_review_by_buttons(review, screenshots):
    notebook,widget = review
    widget.shows('cat/0.png')
    notebook.page.screenshot(path=screenshots/'review.png')
    widget.press('^keep')
    widget.shows('cat/1.png')
    widget.press('^is dog')
    widget.shows('cat/2.png')
    widget.press('^quarantine')
    widget.shows('dog/0.png')
    assert widget.decided(3)==[('cat/0.png', 'keep', ''), ('cat/1.png', 'relabel', 'dog'), ('cat/2.png', 'quarantine', '')]
    widget.press('^undo')
    widget.shows('cat/2.png')
    assert widget.decided(4)[-1][:2]==('cat/2.png', 'undo')
    widget.press('^next')
    widget.shows('dog/0.png')
    widget.press('^back')
    widget.shows('cat/2.png')


def test_letters_go_to_the_widget_after_a_click(review):
    "Not to Jupyter, where x cuts the cell"
    notebook,widget = review
    cells = notebook.page.locator('.jp-Cell').count()
    widget.press('^keep')
    widget.shows('cat/1.png')
    widget.listens()
    notebook.page.keyboard.press('q')
    widget.shows('cat/2.png')
    assert widget.decided(2)[-1]==('cat/1.png', 'quarantine', '')
    widget.show('owl & <b>')
    widget.shows('owl & <b>/0.png')
    widget.listens()
    notebook.page.keyboard.press('x')
    notebook.page.locator('.jp-OutputArea').get_by_text("'x' is no key here.").wait_for()
    notebook.page.get_by_role('button', name=re.compile('^next')).focus()
    notebook.page.keyboard.press('Enter')
    widget.shows('owl & <b>/1.png')
    widget.listens()
    notebook.page.keyboard.press('k')
    assert widget.decided(3)[-1]==('owl & <b>/1.png', 'keep', '')
    assert notebook.page.locator('.jp-Cell').count()==cells


def test_review_by_keys_and_category(review):
    notebook,widget = review
    widget.keys('k')
    widget.shows('cat/1.png')
    widget.keys('2')
    widget.shows('cat/2.png')
    assert widget.decided(2)==[('cat/0.png', 'keep', ''), ('cat/1.png', 'relabel', 'dog')]
    widget.show('owl & <b>')
    widget.shows('owl & <b>/0.png')
    widget.keys('q')
    widget.shows('owl & <b>/1.png')
    widget.show('all classes')
    widget.shows('cat/2.png') # what was decided stays decided
    assert widget.decided(3)[-1]==('owl & <b>/0.png', 'quarantine', '')


def test_keys_typed_too_fast_decide_no_picture_twice(review):
    "Whatever came through before the next picture was shown: no picture has two decisions, and the log is what the widget says"
    notebook,widget = review
    widget.keys('kkk')
    notebook.page.wait_for_timeout(2500)
    files = [o[0] for o in widget.decided(1)]
    assert files and files==['cat/0.png', 'cat/1.png', 'cat/2.png'][:len(files)]


def test_a_restart_of_the_kernel_forgets_nothing(review, screenshots):
    notebook,widget = review
    widget.press('^keep')
    widget.shows('cat/1.png')
    widget.press('^quarantine')
    widget.shows('cat/2.png')
    before = widget.decided(2)
    notebook.restart()
    notebook.page.screenshot(path=screenshots/'review-after-restart.png')
    assert widget.decided()==before
    notebook.run_all()
    widget.shows('cat/2.png')
    widget.press('^undo')
    widget.shows('cat/1.png')
    assert widget.decided(3)[-1][:2]==('cat/1.png', 'undo')


def test_the_upload_button(lab, page, pets):
    "A file that is chosen reaches the code"
    write_notebook(lab.folder/'upload.ipynb', UPLOAD, ASK)
    notebook = lab.open(page, 'upload.ipynb')
    notebook.run_all()
    button = page.locator('.jp-OutputArea').get_by_role('button', name=re.compile('upload', re.I))
    with page.expect_file_chooser() as chosen: button.click()
    chosen.value.set_files(pets/'dog'/'1.png')
    page.locator('.jp-OutputArea').get_by_role('button', name=re.compile(r'upload.*\(1\)', re.I)).wait_for()
    page.locator('.jp-CodeCell .cm-content').nth(1).click()
    page.keyboard.press('Control+Enter')
    page.locator('.jp-OutputArea').get_by_text('1.png (300, 200)').wait_for()
    lab.end_kernels(page)
