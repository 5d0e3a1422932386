"The page for a model, used as a person does: dropped on, typed into, by keyboard, on a phone, in the dark."
import base64, io, os, re, socket, struct, subprocess, time, venv, zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from installed import user_env

from fastclass.engine.app.answers import APP_BYTES, SAID
from fastclass.engine.app.page import BRING, serve
from fastclass.engine.app.space import export_space

CLASS = '<img src=x onerror=document.title=1>'
DROP = '''(zone, [name, type, data, zeros]) => {
  const bytes = Uint8Array.from(atob(data), o => o.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes, new Uint8Array(zeros)], name, {type}));
  for (const kind of ['dragenter', 'dragover', 'drop']) zone.dispatchEvent(new DragEvent(kind, {dataTransfer: carried, bubbles: true, cancelable: true}));
}'''
SHOWN = "() => [...document.querySelectorAll('#given img')].some(o => o.complete && o.naturalWidth)" # the picture that was sent
WIDTHS = '() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]'
# Relative luminance as WCAG 2 has it; every text of the answer on what is behind it
CONTRAST = '''() => {
  const numbers = o => o.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(o => o/255).map(o => o <= .03928 ? o/12.92 : ((o+.055)/1.055)**2.4).reduce((sum, o, i) => sum + o*[.2126, .7152, .0722][i], 0);
  const behind = o => { for (; o; o = o.parentElement) { const c = numbers(getComputedStyle(o).backgroundColor); if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
  return [...document.querySelectorAll('#answer *')].filter(o => o.tagName !== 'STYLE' && [...o.childNodes].some(n => n.nodeType === 3 && n.data.trim())).map(o => {
    const [a, b] = [light(numbers(getComputedStyle(o).color)), light(behind(o))].sort((a, b) => b - a);
    return [o.textContent.slice(0, 40), (a+.05)/(b+.05)];
  }).filter(([, ratio]) => ratio < 4.5);
}'''


def saved(im, kind, **options):
    out = io.BytesIO()
    im.save(out, kind, **options)
    return out.getvalue()


def photo(size=(300, 200), seed=0): return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8))


def upside_down():
    exif = Image.Exif()
    exif[0x112] = 6
    return saved(photo(), 'JPEG', exif=exif)


def bomb(side=30_000):
    def chunk(kind, data): return struct.pack('>I', len(data))+kind+data+struct.pack('>I', zlib.crc32(kind+data))
    return b'\x89PNG\r\n\x1a\n'+chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0))+chunk(b'IDAT', zlib.compress(b'\0'*100_000))+chunk(b'IEND', b'')


def half(): return saved(photo(), 'JPEG')[:4000]


ANSWERED = { # Name of the file to what is in it
    'cmyk.jpg': lambda: saved(photo().convert('CMYK'), 'JPEG'),
    'sixteen bits.png': lambda: saved(Image.fromarray(np.arange(0, 60_000, dtype=np.uint16).reshape(200, 300)), 'PNG'),
    'moving.gif': lambda: saved(photo(), 'GIF', save_all=True, append_images=[Image.new('RGB', (300, 200), o) for o in ('red', 'blue')]),
    'clear.png': lambda: saved(photo().convert('RGBA').resize((64, 64)), 'PNG'),
    'palette.png': lambda: saved(photo().convert('P'), 'PNG'),
    'black and white.png': lambda: saved(photo().convert('1'), 'PNG'),
    'on its side.jpg': upside_down,
    'modern.webp': lambda: saved(photo(), 'WEBP'),
    'a dot.png': lambda: saved(photo((1, 1)), 'PNG'),
    'a line.png': lambda: saved(photo((2000, 1)), 'PNG'),
    'a photo.JPG': lambda: saved(photo(), 'JPEG'),
    'wrong.png': lambda: saved(photo(), 'JPEG'),
    f'{CLASS}.jpg': lambda: saved(photo(), 'JPEG'),
    'my..photo.png': lambda: saved(photo(), 'PNG'),
    'proxy=1.png': lambda: saved(photo(), 'PNG'),
    'Grüße & 写真.jpg': lambda: saved(photo(), 'JPEG')}
REFUSED = { # Name of the file to what is in it, and what is said
    'notes.jpg': (lambda: b'no picture at all', SAID['not_a_picture']),
    'page.png': (lambda: b'<html><script>document.title=3</script></html>', SAID['not_a_picture']),
    'empty.jpg': (lambda: b'', SAID['empty']),
    'half.jpg': (half, SAID['truncated']),
    'bomb.png': (bomb, SAID['too_many_pixels']),
    'drawing.svg': (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>document.title=4</script></svg>', SAID['format_not_allowed']),
    'phone.heic': (lambda: b'\0\0\0\x18ftypheic\0\0\0\0mif1heic'+bytes(500), SAID['format_not_allowed']),
    'no ending': (lambda: saved(photo(), 'PNG'), 'Invalid file type')} # Gradio's words: the browser does not know it for a picture
FEW = ('cmyk.jpg', 'sixteen bits.png', 'moving.gif', 'clear.png', 'on its side.jpg', 'my..photo.png', f'{CLASS}.jpg')
TYPES = dict(jpg='image/jpeg', png='image/png', gif='image/gif', webp='image/webp', svg='image/svg+xml', heic='image/heic')


def pytest_generate_tests(metafunc):
    if 'name' in metafunc.fixturenames:
        everything = metafunc.config.getoption('--all')
        metafunc.parametrize('name', ANSWERED if everything else FEW)


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    "A bundle of an untrained network, with HTML in a class, a source and a credit"
    pytest.importorskip('gradio', reason=f'Gradio is not installed: {BRING}')
    from fastai.vision import models
    from fastai.vision.learner import vision_learner
    from fastclass.datablock import folder_dls
    from fastclass.predict import pack_examples, save_bundle
    folder = tmp_path_factory.mktemp('of pictures')
    for label,first in ((CLASS, 0), ('lake', 6)):
        (folder/'photos'/label).mkdir(parents=True)
        for i in range(6): photo((64, 64), first+i).save(folder/'photos'/label/f'{i}.png')
    learn = vision_learner(folder_dls(folder/'photos', size=48, bs=4, workers=0), models.squeezenet1_1, pretrained=False)
    examples = pack_examples([(folder/'photos'/'lake'/'1.png', f'{CLASS}, CC0')])
    return save_bundle(learn, folder/'bundle', threshold=.9, data_card=dict(source=CLASS), examples=examples)


def rows(folder):
    from fastclass.tabular import save_rows, train_table
    df = pd.DataFrame({'colour': ['red', '<b>blue</b>']*40, 'R&D <i>': ['low', 'high']*40, 'size': [i%7*1.5 for i in range(80)],
                       'kind': ['a' if i%3 else 'b' for i in range(80)]})
    return save_rows(train_table(df, 'kind'), folder/'rows')


def ratings(folder):
    from fastclass.engine.collab.factors import Factors, save_factors
    rng = np.random.default_rng(0)
    made = Factors(list('ab'), ['one', 'two', '<b>three</b>'], rng.normal(size=(2, 2)), rng.normal(size=(3, 2)), np.zeros(2), np.zeros(3), (0, 5.5),
                   {}, np.array([3, 3, 3]), .1, (np.zeros(3), np.eye(3)))
    return save_factors(made, folder/'films')


def texts(folder):
    from fastclass.engine.packs.reviews import draw_reviews
    from fastclass.text import quick_text, save_text, text_dls
    return save_text(quick_text(text_dls(draw_reviews(400)[0], bs=32)), folder/'reviews')


def masks(folder):
    from fastclass.engine.packs.packs import pack
    from fastclass.segment import MaskOf, quick_segment, read_codes, save_segmenter, segment_dls, segment_learner
    street = pack('streets', photos=1, seg=12)/'seg'
    parts = sorted((street/'images').iterdir()), MaskOf(street/'labels'), read_codes(street/'codes.txt')
    learn = segment_learner(segment_dls(*parts, size=(48, 64), workers=0, device='cpu'), download=False)
    with learn.no_bar(), learn.no_logging(): quick_segment(learn, epochs=1)
    return save_segmenter(learn, folder/'street')


@pytest.fixture(scope='module')
def url(pictures):
    "The page for pictures"
    with serve(pictures, block=False) as served: yield served.url


class AppPage:
    "A page for a model in a window"
    def __init__(self, page, url):
        self.page,self.url,self.asked = page,url,[]
        page.on('request', lambda o: self.asked.append(o.url))
        page.goto(url)
        page.get_by_role('heading', level=1).wait_for()
        self.title = page.title()

    def drop(self, name, data, zeros=0):
        "Let a file, with some zeros at its end, fall onto the page"
        zone = self.page.locator('#given [aria-dropeffect]')
        zone.wait_for()
        kind = TYPES.get(name.rpartition('.')[2].lower(), '')
        zone.evaluate(DROP, [name, kind, base64.b64encode(data).decode(), zeros])

    def choose(self, name, data):
        "Choose a file with the dialog of the system"
        entry = self.page.locator('#given input[type=file]')
        entry.wait_for(state='attached')
        entry.set_input_files(dict(name=name, mimeType=TYPES.get(name.rpartition('.')[2].lower(), ''), buffer=data))

    def answer(self):
        "What is said, once there is an answer"
        self.page.locator('#answer .fc-said').wait_for()
        return self.page.locator('#answer').inner_text()

    def is_clean(self):
        "No name became a part of the page, nothing was asked of another server, nothing is wider than the window"
        assert self.page.title()==self.title and not self.page.locator('img[src="x"]').count()
        assert [o for o in self.asked if not o.startswith((self.url, 'data:', 'blob:'))]==[]
        there,seen = self.page.evaluate(WIDTHS)
        assert there<=seen, f'{there} pixels wide in a window of {seen}'


@pytest.fixture
def app(page, url): return AppPage(page, url)


def test_what_is_dropped_is_answered(app, name):
    app.drop(name, ANSWERED[name]())
    said = app.answer()
    assert said.startswith('Not sure.') and CLASS in said and 'What spoke for' in said and '%' in said
    assert app.page.locator('#answer img').get_attribute('alt').startswith('What spoke for')
    app.page.wait_for_function(SHOWN)
    app.is_clean()


@pytest.mark.parametrize('odd', REFUSED)
def test_what_is_no_picture_is_refused_in_words(app, odd):
    data,words = REFUSED[odd]
    app.drop(odd, data())
    app.page.get_by_text(words).first.wait_for()
    assert not app.page.locator('.fc-bar').count() and 'Traceback' not in app.page.content()
    app.is_clean()


def test_a_file_that_is_too_large_is_not_even_sent(app):
    app.drop('large.jpg', saved(photo(), 'JPEG'), zeros=APP_BYTES)
    app.page.get_by_text('maximum allowed size').first.wait_for() # Gradio's words
    assert not app.page.locator('#answer .fc-said').count()
    app.is_clean()


def test_a_picture_is_taken_away_and_another_one_chosen(app):
    app.choose('notes.jpg', b'no picture')
    assert SAID['not_a_picture'] in app.answer()
    app.page.get_by_role('button', name=re.compile('remove|clear', re.I)).first.click()
    app.page.locator('#answer').get_by_text(SAID['missing']).wait_for()
    app.choose('a.png', saved(photo(), 'PNG'))
    app.page.locator('#answer .fc-bar').first.wait_for()
    app.is_clean()


def test_the_same_picture_turned_by_its_camera_gets_the_same_answer(app):
    "EXIF says how it was held; the model sees it upright"
    app.choose('turned.png', saved(photo().rotate(-90, expand=True), 'PNG'))
    upright = app.answer()
    exif = Image.Exif()
    exif[0x112] = 6
    app.page.reload()
    app.choose('on its side.png', saved(photo(), 'PNG', exif=exif))
    assert app.answer()==upright


def test_by_keyboard_alone(app):
    "An example is chosen and the data card opened without a mouse"
    def go_to(selector):
        for _ in range(40):
            app.page.keyboard.press('Tab')
            if app.page.evaluate('selector => document.activeElement.closest(selector) !== null', selector): return
        raise AssertionError(f'no way to {selector} by keyboard')
    app.page.locator('#given [aria-dropeffect]').wait_for()
    app.page.locator('#given input[type=file]').wait_for(state='attached')
    app.page.wait_for_load_state('networkidle') # until then a key is not heard
    app.page.wait_for_timeout(500)
    go_to('#given [aria-dropeffect]')
    with app.page.expect_file_chooser() as chosen: app.page.keyboard.press('Enter')
    chosen.value.set_files(dict(name='a.png', mimeType='image/png', buffer=saved(photo(), 'PNG')))
    assert 'What spoke for' in app.answer()
    go_to('#data-card button')
    app.page.keyboard.press('Enter')
    app.page.locator('#data-card').get_by_text('source').wait_for()
    assert app.page.locator('#data-card').get_by_text(CLASS).first.is_visible()


def test_an_example_is_asked_about(app):
    app.page.locator('button.gallery-item, .gallery-item').first.click()
    assert 'What spoke for' in app.answer()
    app.page.get_by_role('button', name='Credits').click()
    app.page.get_by_text(f'{CLASS}, CC0').wait_for()
    app.is_clean()


@pytest.fixture
def look(browser):
    "A window as wide as it is said, light or dark"
    opened = []
    def window(width, scheme):
        opened.append(browser.new_context(viewport=dict(width=width, height=900), color_scheme=scheme))
        opened[-1].set_default_timeout(30_000)
        return opened[-1].new_page()
    yield window
    for o in opened: o.close()


def ask_picture(app): app.choose('a.png', saved(photo(), 'PNG'))


def ask_row(app):
    app.page.get_by_label('colour').click()
    app.page.get_by_role('option', name='<b>blue</b>').click()
    app.page.get_by_label('R&D <i>').wait_for()
    app.page.get_by_label('size').fill('3')
    app.page.get_by_role('button', name='Ask').click()


def ask_films(app):
    app.page.get_by_label(re.compile('Pick what you like')).click()
    app.page.get_by_role('option', name='one').click()
    app.page.keyboard.press('Escape')
    app.page.get_by_role('button', name='Ask').click()


def ask_text(app):
    app.page.get_by_label(re.compile('A text')).fill('The plot is wonderful, and the <b>soufflé</b> was dull.')
    app.page.get_by_role('button', name='Ask').click()


KINDS = dict(pictures=(None, ask_picture, 'Not sure'), masks=(masks, ask_picture, 'Most of it is'), rows=(rows, ask_row, 'kind: '),
             ratings=(ratings, ask_films, '<b>three</b>'), texts=(texts, ask_text, 'soufflé'))


@pytest.mark.parametrize('kind', KINDS)
def test_each_kind_of_page_on_a_phone_and_in_the_dark(look, pictures, tmp_path, screenshots, kind):
    make,ask,words = KINDS[kind]
    bundle = make(tmp_path) if make else pictures
    with serve(bundle, block=False) as served:
        for width,scheme in ((360, 'dark'), (1280, 'light')):
            app = AppPage(look(width, scheme), served.url)
            ask(app)
            assert words in app.answer()
            app.page.wait_for_timeout(300)
            app.page.screenshot(path=screenshots/f'app-{kind}-{width}-{scheme}.png', full_page=True)
            assert app.page.evaluate(CONTRAST)==[], 'text that is hard to read'
            app.is_clean()


def test_a_text_that_is_too_long_is_said_and_not_cut(page, tmp_path):
    with serve(texts(tmp_path), block=False) as served:
        app = AppPage(page, served.url)
        page.get_by_label(re.compile('A text')).fill('The plot is dull. '*1500)
        page.get_by_role('button', name='Ask').click()
        assert 'has 27,000 characters, and 20,000 are read here' in app.answer()


# ---- a Space, as Hugging Face installs it

@pytest.fixture
def space(request, pictures, tmp_path):
    "The folder of a Space"
    if not request.config.getoption('--all'): pytest.skip('installs about 6 GB of packages: --all')
    return export_space(pictures, tmp_path/'space')


@pytest.fixture
def space_python(space, tmp_path):
    "A Python with the packages of the Space alone; FASTCLASS_SPACE_PYTHON names one that was made before"
    if ready := os.environ.get('FASTCLASS_SPACE_PYTHON'): return ready
    venv.create(tmp_path/'venv', with_pip=True, symlinks=True)
    python = tmp_path/'venv'/'bin'/'python'
    def pip(*args): return subprocess.run([python, '-m', 'pip', 'install', '-q', '--no-cache-dir', *args], env=user_env(), capture_output=True, text=True)
    small = next(o for o in (space/'requirements.txt').read_text().split() if o.startswith('filelock'))
    if pip('--no-deps', small).returncode: pytest.skip('no index of packages can be reached')
    res = pip('-r', space/'requirements.txt')
    assert res.returncode==0, res.stderr[-3000:]
    return python


def test_a_space_runs_with_what_it_says_that_it_needs(space, space_python, page, screenshots, tmp_path):
    "In an environment of its own, away from this clone: started, opened, a picture dropped"
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = str(s.getsockname()[1])
    log = tmp_path/'log.txt'
    with open(log, 'w') as out:
        running = subprocess.Popen([space_python, 'app.py'], cwd=space, env=user_env(GRADIO_SERVER_PORT=port, HOME=tmp_path), stdout=out, stderr=out)
    try:
        end = time.monotonic()+120
        while port not in log.read_text():
            assert running.poll() is None and time.monotonic()<end, log.read_text()
            time.sleep(.2)
        app = AppPage(page, f'http://127.0.0.1:{port}')
        app.drop('a.png', saved(photo(), 'PNG'))
        assert 'What spoke for' in app.answer()
        page.screenshot(path=screenshots/'space.png', full_page=True)
        app.is_clean()
    finally:
        running.terminate()
        running.wait(30)
    assert 'Traceback' not in log.read_text()
