"What a person does in JupyterLab: open a notebook, restart and run all, look. A notebook is found by what it says, not by how its page is made, where that is possible."
import json, re, time
from pathlib import Path
from urllib.parse import quote

import nbformat

STATE = '''() => {
  const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')];
  return cells.map(o => ({prompt: o.querySelector('.jp-InputPrompt')?.textContent ?? '', text: o.querySelector('.cm-content')?.textContent ?? ''}));
}'''
WIDE = '''() => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].flatMap(cell => {
  const box = cell.querySelector('.cm-scroller');
  return box && box.clientWidth && box.scrollWidth > box.clientWidth + 1 ? [box.textContent.slice(0, 80)] : [];
})'''
BARS = '''() => [...document.querySelectorAll('.jp-OutputArea progress')]
  .filter(o => o.className.includes('interrupted') || !o.hasAttribute('value') || o.value < o.max)
  .map(o => o.parentElement.textContent.slice(0, 80))'''
PICTURES = '''() => [...document.querySelectorAll('.jp-Notebook img')].filter(o => o.complete && !o.naturalWidth).map(o => (o.alt || o.src).slice(0, 80))'''


class Lab:
    "A JupyterLab that runs: its folder, its address, what it wrote"
    def __init__(self, folder, told, log):
        self.folder,self.log = Path(folder),Path(log)
        self.url,self.token = told['url'],told['token']

    def address(self, path=''): return f'{self.url}{path}?token={self.token}'

    def open(self, page, name):
        "Open a notebook and wait for its kernel"
        page.goto(self.address(f'lab/tree/{quote(name)}')+'&reset') # without the tabs of the test before
        return Notebook(self, page, name).ready()

    def end_kernels(self, page):
        "What a person does under Running Terminals and Kernels"
        for o in page.request.get(self.address('api/sessions')).json(): page.request.delete(self.address(f"api/sessions/{o['id']}"))


class Notebook:
    "A notebook in a page of JupyterLab"
    def __init__(self, lab, page, name):
        self.lab,self.page,self.name = lab,page,name
        self.path = lab.folder/name

    def ready(self):
        self.page.locator('.jp-Notebook .jp-Cell').first.wait_for()
        self.page.get_by_text(re.compile(r'\| Idle$')).first.wait_for()
        return self

    def choose(self, menu, entry, accept=''):
        "An entry of a menu, and the answer to what is asked after it"
        self.page.get_by_role('menubar').get_by_text(menu, exact=True).click()
        self.page.get_by_role('menuitem', name=re.compile(entry)).click()
        if accept: self.page.locator('.jp-Dialog .jp-mod-accept').get_by_text(re.compile(accept)).click()

    def restart_and_run_all(self, seconds=300):
        "Returns the seconds that it took; raises AssertionError where it does not end"
        start = time.monotonic()
        self.choose('Run', '^Restart Kernel and Run All Cells', accept='^Restart')
        self.wait(seconds)
        return time.monotonic()-start

    def run_all(self, seconds=60):
        self.choose('Run', '^Run All Cells')
        self.wait(seconds)

    def restart(self):
        self.choose('Kernel', '^Restart Kernel…', accept='^Restart')
        self.page.wait_for_timeout(1500)
        return self.ready()

    def wait(self, seconds):
        "Until no cell is waiting or running"
        self.page.wait_for_timeout(700)
        end,still = time.monotonic()+seconds,0
        while still<4: # some looks in a row: between two cells none may have its star
            assert time.monotonic()<end, f'{self.name} ran for more than {seconds} s; waiting: {[o["text"][:60] for o in self.cells() if "*" in o["prompt"]][:2]}'
            still = 0 if any('*' in o['prompt'] for o in self.cells()) else still+1
            self.page.wait_for_timeout(250)

    def cells(self): return self.page.evaluate(STATE)

    def not_run(self): return [o['text'][:80] for o in self.cells() if o['text'].strip() and not re.search(r'\d', o['prompt'])]

    def save(self):
        "Save as a person does, and read what was saved"
        before = self.path.stat().st_mtime_ns
        self.page.locator('.jp-Notebook').first.focus()
        self.page.keyboard.press('ControlOrMeta+s')
        end = time.monotonic()+20
        while self.path.stat().st_mtime_ns==before and time.monotonic()<end: self.page.wait_for_timeout(100)
        self.page.wait_for_timeout(200)
        return nbformat.read(self.path, 4)

    def wide(self): return self.page.evaluate(WIDE)
    def open_bars(self): return self.page.evaluate(BARS)
    def broken_pictures(self): return self.page.evaluate(PICTURES)

    def whole(self, file):
        "A screenshot of all of the notebook"
        size = self.page.viewport_size
        height = self.page.evaluate("() => Math.max(...[...document.querySelectorAll('.jp-NotebookPanel *')].map(o => o.scrollHeight))")
        self.page.set_viewport_size(dict(size, height=min(int(height)+150, 16_000)))
        self.page.wait_for_timeout(300)
        self.page.screenshot(path=file)
        self.page.set_viewport_size(size)


def figures(nb): # Cell id -> number of pictures in its outputs
    "What a notebook shows"
    return {c.id: n for c in nb.cells if (n := sum(any(k.startswith('image/') for k in o.get('data', {})) for o in c.get('outputs', [])))}


def write_notebook(path, *sources):
    "A notebook of these code cells"
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(o) for o in sources],
                                  metadata=dict(kernelspec=dict(name='python3', display_name='python3', language='python')))
    nbformat.write(nb, path)
    return path
