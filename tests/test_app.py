"The page for a model: what it answers, what it refuses, what it fetches, many at once, and how it travels."
import io, json, os, re, struct, subprocess, sys, time, zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from fastclass.course import cli
from fastclass.engine.app import answers, page as page_module
from fastclass.engine.app.answers import SAID, PictureView, RowView, TextView, TipsView, open_view
from fastclass.engine.app.form import upload_form
from fastclass.engine.app.markup import answer_html, card_html, credits_html
from fastclass.engine.app.page import serve
from fastclass.engine.app.space import export_space
from fastclass.engine.base.errors import BundleError, DataError, PictureError, UnsupportedError
from fastclass.engine.datablock.loaders import folder_dls
from fastclass.engine.predict.examples import DRAWN, free_examples, may_be_shared, unpack_examples
from fastclass.engine.predict.predictor import load_bundle, save_bundle

PICTURES = 24
NEEDS_GRADIO = 'Gradio is not installed: ' + page_module.BRING


def needs_gradio(): return pytest.importorskip('gradio', reason=NEEDS_GRADIO)


def picture_bytes(kind='JPEG', size=(60, 50), mode='RGB', colour=90):
    out = io.BytesIO()
    Image.new(mode, size, colour if mode in ('L', '1') else (colour, 20, 200)[:3] if mode=='RGB' else 0).save(out, kind)
    return out.getvalue()


def bomb(side=30_000):
    "A PNG of a few kilobytes that says it has 900 million pixels"
    def chunk(kind, data): return struct.pack('>I', len(data))+kind+data+struct.pack('>I', zlib.crc32(kind+data))
    head = struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n'+chunk(b'IHDR', head)+chunk(b'IDAT', zlib.compress(b'\0'*100_000))+chunk(b'IEND', b'')


AWKWARD = {'text.jpg': (b'no picture at all', 'not_a_picture'), 'page.png': (b'<html><body>hello</body></html>', 'not_a_picture'), 'empty.jpg': (b'', 'empty'),
           'half.jpg': (None, 'truncated'), 'bomb.png': (bomb(), 'too_many_pixels'), 'drawing.svg': (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'format_not_allowed')}


def awkward(name):
    data,reason = AWKWARD[name]
    whole = picture_bytes(size=(300, 200))
    return (whole[:len(whole)//2] if data is None else data), SAID[reason]


@pytest.fixture(scope='module')
def learn(files):
    from fastai.vision import models
    from fastai.vision.learner import vision_learner
    dls = folder_dls(files[0].parent.parent, size=48, bs=6, workers=0)
    return vision_learner(dls, models.squeezenet1_1, pretrained=False)


@pytest.fixture(scope='module')
def bundle(learn, tmp_path_factory):
    "Two classes, nothing learned; below 90% it is not sure"
    return save_bundle(learn, tmp_path_factory.mktemp('app')/'bundle', threshold=.9, data_card=dict(source='made up', licence='CC0'))


@pytest.fixture(scope='module')
def page(bundle):
    needs_gradio()
    with serve(bundle, block=False) as page: yield page


@pytest.fixture(scope='module')
def client(page):
    from gradio_client import Client
    return Client(page.url, verbose=False, analytics_enabled=False)


def ask(client, data, folder, name='mine.jpg'):
    "What the page says to a file, as HTML"
    from gradio_client import handle_file
    file = folder/name
    file.write_bytes(data)
    return client.predict(handle_file(str(file)), api_name='/ask')


# ---- views, without a page

def test_a_picture_gets_a_sentence_bars_and_a_heatmap(bundle, files):
    view = open_view(bundle)
    answer = view.ask(files[0])
    assert answer.said.startswith('Not sure.') and not answer.sure and list(answer.bars)==sorted(answer.bars, key=answer.bars.get, reverse=True)
    assert max(answer.picture.size)==480 and answer.shown.startswith('What spoke for')
    assert answer.bars==pytest.approx(load_bundle(bundle).predict(files[0]).probabilities)


def test_the_threshold_decides_on_sure(learn, tmp_path, files):
    for threshold,sure in ((.2, True), (None, True), (1., False)):
        assert open_view(save_bundle(learn, tmp_path/f'{threshold}', threshold=threshold)).ask(files[1]).sure==sure


def test_a_bundle_of_before_still_opens(bundle, tmp_path, files):
    import shutil
    old = shutil.copytree(bundle, tmp_path/'old')
    text = json.loads((old/'bundle.json').read_text())
    for o in ('threshold', 'examples'): del text[o]
    (old/'bundle.json').write_text(json.dumps(text))
    view = open_view(old)
    assert view.threshold is None and view.examples==[] and view.ask(files[0]).sure


@pytest.mark.parametrize('threshold', [60, -1, 'high', True])
def test_an_odd_threshold_is_refused_when_it_is_saved(learn, tmp_path, threshold):
    with pytest.raises(UnsupportedError, match='threshold'): save_bundle(learn, tmp_path/'odd', threshold=threshold)


@pytest.mark.parametrize('name', AWKWARD)
def test_what_is_no_picture_gets_one_sentence(bundle, name):
    data,said = awkward(name)
    with pytest.raises(PictureError) as e: open_view(bundle).ask(data)
    assert str(e.value)==said


def test_a_file_that_is_too_large_is_not_read(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(answers, 'APP_BYTES', 1000)
    file = tmp_path/'large.jpg'
    file.write_bytes(picture_bytes(size=(900, 900), colour=3)+bytes(1000))
    for o in (file, file.read_bytes()):
        with pytest.raises(PictureError, match='too large'): open_view(bundle).ask(o)


def test_an_unknown_kind_is_refused_by_name(tmp_path):
    odd = tmp_path/'odd'
    odd.mkdir()
    (odd/'bundle.json').write_text('{"format": "fastclass-poems", "version": 1}')
    with pytest.raises(UnsupportedError, match='fastclass-poems'): open_view(odd)
    for wrong in ('{}', '[]', 'no json', '{"format": 3}'):
        (odd/'bundle.json').write_text(wrong)
        with pytest.raises(BundleError): open_view(odd)


def test_a_table_becomes_a_form(tmp_path):
    from fastclass.tabular import save_rows, train_table
    df = pd.DataFrame(dict(colour=['red', 'blue']*40, size=[i%7*1.5 for i in range(80)], kind=['a' if i%3 else 'b' for i in range(80)]))
    view = open_view(save_rows(train_table(df, 'kind'), tmp_path/'rows'))
    assert isinstance(view, RowView) and [(o.name, bool(o.choices)) for o in view.fields]==[('colour', True), ('size', False)]
    assert set(view.ask('red', 3).bars)=={'a', 'b'}
    assert 'missing' in ' '.join(view.ask(None, None).lines)
    for wrong in (('red', 'three'), ('red',)):
        with pytest.raises(DataError): view.ask(*wrong)
    assert 'colour was left out' in view.ask(None, 3).lines and 'colour was left out' not in view.ask('red', 3).lines
    for large in (1e31, -1e31, 10**400, float('inf')):
        with pytest.raises(DataError, match='This size is too large') as e: view.ask('red', large)
        assert 'df' not in str(e.value)


def test_ratings_give_tips(tmp_path):
    import numpy as np
    from fastclass.engine.collab.factors import Factors, save_factors
    rng = np.random.default_rng(0)
    f = Factors(list('ab'), ['one', 'two', '<b>three</b>'], rng.normal(size=(2, 2)), rng.normal(size=(3, 2)), np.zeros(2), np.zeros(3), (0, 5.5),
                {}, np.array([3, 3, 3]), .1, (np.zeros(3), np.eye(3)))
    view = open_view(save_factors(f, tmp_path/'films'))
    assert isinstance(view, TipsView) and set(view.ask(['one']).lines)=={'two', '<b>three</b>'}
    assert '<b>' not in answer_html(view.ask(['one']))
    for nothing in ([], None, ['unknown']):
        with pytest.raises(DataError, match='Nothing was picked'): view.ask(nothing)
    with pytest.raises(DataError, match='nothing left that you did not pick'): view.ask(list(view.items))


@pytest.fixture(scope='module')
def texts(tmp_path_factory):
    "A bundle of texts; one class has HTML in its name"
    from fastclass.engine.packs.reviews import draw_reviews
    from fastclass.text import quick_text, save_text, text_dls
    df = draw_reviews(400)[0].replace({'label': {'negative': '<b>negative</b>'}})
    return save_text(quick_text(text_dls(df, bs=32)), tmp_path_factory.mktemp('texts')/'reviews.zip', about=dict(source='made up'))


def test_a_text_gets_a_sentence_bars_and_marked_words(texts):
    view = open_view(texts)
    assert isinstance(view, TextView) and view.title=='<b>negative</b> or positive?'
    answer = view.ask('The plot is wonderful, and the soufflé is not.')
    assert set(answer.bars)=={'<b>negative</b>', 'positive'} and answer.lines==('1 of 9 words were never seen',)
    assert [word for word,_ in answer.words]==['The', 'plot', 'is', 'wonderful', ',', 'and', 'the', 'soufflé', 'is', 'not', '.']
    html = answer_html(view.ask('A <script>dull</script> plot.'))
    assert '<mark class="fc-' in html and '<script' not in html and '<b>' not in html
    assert 'accuracy' in card_html(view.about) and 'made up' in card_html(view.about)


@pytest.mark.parametrize('text,words', [(None, 'no text yet'), ('', 'no text yet'), (' \n', 'no text yet'), ('a '*10_001, '20,000 are read'), ('a'*6000, 'a word of more than'),
    ('a\0b', 'zero bytes'), ('\udcff', 'no text'), ('Zweifel ist angebracht', 'no word that the model knows'), (b'bytes', 'bytes'), (7, 'not a text')])
def test_what_is_no_text_gets_one_sentence(texts, text, words):
    with pytest.raises(DataError, match=words): open_view(texts).ask(text)


def test_a_long_text_is_answered_in_seconds(texts):
    start = time.perf_counter()
    answer = open_view(texts).ask('The plot is dull. '*1000)
    assert len(answer.words)==5000 and time.perf_counter()-start<20


def test_predict_refuses_a_bundle_of_texts_by_name(texts, tmp_path):
    res = subprocess.run([sys.executable, '-c', 'from fastclass.course.cli import main; main()', 'predict', texts, tmp_path], capture_output=True, text=True, timeout=120)
    assert res.returncode==2 and 'fastclass-texts' in res.stderr and 'load_text' in res.stderr and len(res.stderr.splitlines())==2


def test_what_is_nearly_sure_is_not_100_percent(bundle):
    from fastclass.engine.app.answers import Answer
    from fastclass.engine.predict.predictor import Prediction
    sure = answers._in_a_sentence(Prediction('lion', .998, dict(lion=.998)), True, None)
    unsure = answers._in_a_sentence(Prediction('lion', .998, dict(lion=.998)), False, .999)
    assert sure=='lion (>99%).' and unsure.startswith('Not sure. Perhaps lion (>99%), but below 99.9% ')
    assert '&gt;99.9%' in answer_html(Answer(sure, bars=dict(lion=.9998, tiger=.0002))) and '100' not in text_of(answer_html(Answer(sure, bars=dict(lion=.9998))))


# ---- examples and credits

def test_only_free_pictures_go_into_a_bundle(files, tmp_path):
    "A manifest that knows licences: those that allow it, with their credit"
    folder,rows = tmp_path/'set',[]
    for i,source in enumerate(files):
        file = folder/source.parent.name/f'{i:016x}.jpg'
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.open(source).save(file)
        licence = 'CC BY 4.0' if file.parent.name=='noise' else 'CC BY-ND 4.0'
        rows.append(dict(label=file.parent.name, url=f'https://example.com/{i}.png', status='ok', file=file.relative_to(folder).as_posix(), licence=licence,
                         title='A picture', creator='Ann', page=f'https://example.com/{i}',
                         hash='0'*64, phash='0'*16, tint='0'*96, bytes=file.stat().st_size))
    (folder/'manifest.jsonl').write_text('\n'.join(map(json.dumps, rows)))
    found = free_examples(folder_dls(folder, size=48, workers=0))
    assert [o['label'] for o in found]==['noise'] and found[0]['credit'].startswith('A picture by Ann, CC BY 4.0, https://example.com/')
    (folder/'manifest.jsonl').write_text('no manifest')
    assert free_examples(folder_dls(folder, size=48, workers=0))==[]


@pytest.mark.parametrize('licence,free', [('CC0', True), ('CC0 1.0', True), ('CC BY-SA 4.0', True), ('cc-by-2.0', True), ('Public domain', True), ('CC BY-NC 4.0', False),
    ('CC BY-ND 2.0', False), ('CC BY-NC-SA 4.0', False), ('', False), ('All rights reserved', False), ('Copyright CC0', False), ('Fair use', False)])
def test_which_licences_are_free(licence, free): assert may_be_shared(licence)==free


def test_names_of_strangers_are_text(bundle, tmp_path):
    bad = '<img src=x onerror=alert(1)>'
    about = dict(data_card=dict(source=bad, train=dict(counts={bad: 1}), valid=dict(counts={})), metrics={bad: .5}, versions={bad: bad}, weights=dict(source=bad))
    assert '<img' not in card_html(about)
    for odd in ({}, dict(data_card=[1]), dict(data_card=dict(train=3, valid='x')), dict(metrics='x', versions=[], weights={}), dict(about={'a': {'b': 1}})): card_html(odd)
    shared = unpack_examples(dict(examples=[dict(label=bad, credit=bad, jpeg='')]))
    assert '<img' not in credits_html(shared)


# ---- in a notebook

@pytest.mark.parametrize('version', [7, 8])
def test_the_form_shows_answers_and_sentences(bundle, files, version):
    form = upload_form(bundle)
    button,said = form.children
    from fastclass.engine.app import form as form_module
    def chosen(data):
        if data is None: upload = {} if version==7 else ()
        elif version==7: upload = {'mine.jpg': {'metadata': {'name': 'mine.jpg'}, 'content': data}}
        else: upload = ({'name': 'mine.jpg', 'content': memoryview(data)},)
        return form_module._asked(open_view(bundle), upload)
    html = chosen(files[0].read_bytes())
    assert 'fc-bar' in html and 'src="data:image/jpeg;base64,/9j/' in html
    assert 'Nothing was uploaded' in chosen(None)
    assert SAID['not_a_picture'] in chosen(b'no picture') and 'Traceback' not in chosen(b'no picture')
    assert 'No picture' in said.value and not button.multiple


# ---- the command

def run(*args, **env):
    return subprocess.run([sys.executable, '-c', 'from fastclass.course.cli import main; main()', 'app', *map(str, args)], capture_output=True, text=True,
                          timeout=120, env={**os.environ, **env})


def test_without_gradio_one_line_brings_it(bundle, monkeypatch):
    monkeypatch.setattr(page_module, 'find_spec', lambda name: None)
    with pytest.raises(UnsupportedError) as e: serve(bundle, block=False)
    assert e.value.next==page_module.BRING and 'pip install "gradio>=' in e.value.next


def test_the_command_says_what_is_no_bundle(tmp_path):
    needs_gradio()
    res = run(tmp_path/'nothing')
    assert res.returncode==2 and res.stderr.startswith('Error: There is no bundle at') and len(res.stderr.splitlines())==2


def test_a_port_that_is_taken_is_said(bundle, page):
    port = page.url.rsplit(':', 1)[1]
    res = run(bundle, '--port', port)
    assert res.returncode==2 and f'The port {port} of 127.0.0.1 cannot be had' in res.stderr and 'another --port' in res.stderr
    for wrong in (0, 70_000, -1):
        with pytest.raises(UnsupportedError, match='no port'): serve(bundle, port=wrong, block=False)
    with pytest.raises(UnsupportedError, match='cannot be had'): serve(bundle, host='192.0.2.1', port=7999, block=False)


@pytest.mark.parametrize('host', ['192.0.2.1', 'no-such-host.invalid', '::1'])
def test_an_address_of_another_machine_is_said_at_once(bundle, host):
    needs_gradio()
    start = time.monotonic()
    with pytest.raises(UnsupportedError, match='The address .* cannot be had') as e: serve(bundle, host=host, block=False)
    assert '0.0.0.0' in e.value.next and time.monotonic()-start<20


def test_a_proxy_does_not_stand_between_a_page_and_its_own_machine(bundle, monkeypatch):
    needs_gradio()
    import httpx
    for name in ('HTTP_PROXY', 'http_proxy', 'ALL_PROXY'): monkeypatch.setenv(name, 'http://127.0.0.1:9')
    with serve(bundle, host='127.0.0.2', block=False) as served: assert httpx.get(served.url, trust_env=False).status_code==200


@pytest.mark.parametrize('given', [None, 7, 'learn'])
def test_a_model_in_place_of_its_bundle(learn, given):
    needs_gradio()
    for use in (lambda o: serve(o, block=False), upload_form):
        with pytest.raises(UnsupportedError, match='is no bundle') as e: use(learn if given=='learn' else given)
        assert 'save_bundle' in e.value.next


def test_the_command_is_there(): assert cli.COMMANDS['app']=='fastclass.engine.app.page:serve'


# ---- the page

def text_of(html): return re.sub('<[^>]+>', ' ', re.sub('<style.*?</style>', '', html, flags=re.S))


def test_the_page_says_what_the_view_says(bundle, client, files, tmp_path):
    said = ask(client, files[0].read_bytes(), tmp_path)
    assert said==answer_html(open_view(bundle).ask(files[0])) and 'Not sure.' in said and 'alt="What spoke for' in said


@pytest.mark.parametrize('name', AWKWARD)
def test_the_page_refuses_in_plain_words(client, tmp_path, name):
    data,words = awkward(name)
    said = ask(client, data, tmp_path, name)
    assert words in text_of(said) and 'role="alert"' in said and '<img' not in said and 'Traceback' not in said


def test_the_page_takes_every_kind_of_picture(client, tmp_path):
    for kind,mode in (('PNG', 'RGBA'), ('PNG', 'L'), ('GIF', 'P'), ('WEBP', 'RGB'), ('BMP', 'RGB'), ('TIFF', 'RGB'), ('JPEG', 'CMYK'), ('PNG', '1')):
        said = ask(client, picture_bytes(kind, mode=mode), tmp_path, f'a.{kind.lower()}')
        assert 'fc-bar' in said, (kind, mode, said)


def test_nothing_chosen_gets_a_sentence(client):
    assert SAID['missing'] in client.predict(None, api_name='/ask')


def test_the_browser_is_told_to_fetch_from_here_alone(page):
    import httpx
    res = httpx.get(page.url, trust_env=False)
    policy = res.headers['content-security-policy']
    assert "default-src 'self'" in policy and 'http' not in policy and res.headers['x-content-type-options']=='nosniff'
    config = httpx.get(f'{page.url}/config', trust_env=False).json()
    assert config['analytics_enabled'] is False and 'fonts.googleapis' not in json.dumps(config)
    theme = httpx.get(f'{page.url}/theme.css', trust_env=False).text
    assert 'http' not in re.sub(r'http://www.w3.org/\S+', '', theme)


PATHS = ['file=/etc/passwd', 'file=../../../../etc/passwd', 'file=%2e%2e/%2e%2e/etc/passwd', 'file=/proc/self/environ', 'file=https://example.com/a.png', 'proxy=https://example.com/',
         'file=//example.com/a', 'file=settings.ini', 'file=' + __file__, 'file=/etc/../etc/passwd', 'file=file:///etc/passwd', 'file=']


@pytest.mark.parametrize('path', PATHS)
@pytest.mark.parametrize('root', ['', 'gradio_api/'])
def test_path_tricks_get_nothing(page, bundle, root, path):
    import socket
    host,port = page.url.removeprefix('http://').split(':')
    with socket.create_connection((host, int(port)), timeout=20) as s: # as typed: a client would tidy the path up
        s.sendall(f'GET /{root}{path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n'.encode())
        answer = b''.join(iter(lambda: s.recv(65536), b''))
    assert re.match(rb'HTTP/1.1 4\d\d', answer), answer[:200]
    assert b'root:' not in answer and b'Traceback' not in answer and b'location:' not in answer.lower()


def test_the_bundle_itself_cannot_be_fetched(page, bundle):
    import httpx
    for name in ('bundle.json', 'model.safetensors'): assert httpx.get(f'{page.url}/gradio_api/file={bundle}/{name}', trust_env=False).status_code in (403, 404)


def test_an_address_or_a_path_in_the_place_of_a_file_is_refused(page):
    "What a program may send that speaks to the page by itself"
    import httpx
    for path in ('http://127.0.0.1:9/a.png', 'https://example.com/a.png', '/etc/passwd', '../../etc/passwd'):
        sent = dict(data=[dict(path=path, meta={'_type': 'gradio.FileData'})])
        with httpx.Client(base_url=page.url, trust_env=False, timeout=20) as web:
            event = web.post('/gradio_api/call/ask', json=sent).json()['event_id']
            told = web.get(f'/gradio_api/call/ask/{event}').text
        assert 'event: error' in told and 'root:' not in told and 'Traceback' not in told, told


def test_an_upload_that_is_too_large_is_refused(page):
    import httpx
    for size in (20_500_000, 40_000_000):
        try: res = httpx.post(f'{page.url}/gradio_api/upload', files={'files': ('a.jpg', bytes(size), 'image/jpeg')}, trust_env=False, timeout=60)
        except httpx.WriteError: continue # the door was shut before all of it had come
        assert res.status_code==413 and 'Traceback' not in res.text


def test_many_at_once_get_the_answers_of_one_by_one(page, client, files, tmp_path):
    "A light form of benchmarks/app.py"
    from gradio_client import Client, handle_file
    alone = {o: client.predict(handle_file(str(o)), api_name='/ask') for o in files[:6]}
    def visitor(i):
        own = Client(page.url, verbose=False, analytics_enabled=False)
        return all(own.predict(handle_file(str(o)), api_name='/ask')==alone[o] for o in files[i%6:6])
    with ThreadPoolExecutor(8) as pool: assert all(pool.map(visitor, range(8)))


def test_a_slow_question_is_given_up(bundle, tmp_path, files):
    needs_gradio()
    from gradio_client import Client
    view = PictureView(bundle)
    view.ask = lambda source: time.sleep(3)
    with serve(view, seconds=.3, block=False) as slow:
        said = ask(Client(slow.url, verbose=False, analytics_enabled=False), files[0].read_bytes(), tmp_path)
    assert 'longer than 0.3 seconds' in said


def test_the_page_of_texts(texts):
    needs_gradio()
    from gradio_client import Client
    with serve(texts, block=False) as page:
        own = Client(page.url, verbose=False, analytics_enabled=False)
        assert '<mark class="fc-for">wonderful' in own.predict('The plot is wonderful.', api_name='/ask')
        assert 'role="alert"' in own.predict('Zweifel', api_name='/ask') and 'no text yet' in own.predict('', api_name='/ask')


def test_a_closed_page_leaves_nothing(bundle):
    needs_gradio()
    import httpx, tempfile
    def files(): return [o for o in Path(tempfile.gettempdir()).glob('fastclass-app-*/**/*') if o.is_file()]
    before = files()
    with serve(bundle, block=False) as page: assert httpx.get(page.url, trust_env=False).status_code==200
    with pytest.raises(httpx.TransportError): httpx.get(page.url, trust_env=False)
    assert files()==before


# ---- a Space

def test_a_space_runs_from_its_folder_alone(learn, bundle, files, tmp_path):
    "With the packages that are installed here; the library is the one in the folder"
    needs_gradio()
    import httpx, socket
    from gradio_client import Client
    space = export_space(bundle, tmp_path/'space')
    front = (space/'README.md').read_text().split('---')[1]
    assert 'sdk: gradio' in front and re.search(r'^sdk_version: \d', front, re.M) and re.search(r'^python_version: "3\.\d+"', front, re.M)
    pins = (space/'requirements.txt').read_text().split()
    assert all('==' in o and '+' not in o for o in pins) and {'torch', 'fastai', 'gradio'}<={o.split('==')[0] for o in pins}
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = str(s.getsockname()[1])
    env = {k: v for k,v in os.environ.items() if k!='PYTHONPATH'} | dict(GRADIO_SERVER_PORT=port)
    running = subprocess.Popen([sys.executable, 'app.py'], cwd=space, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert any(port in line for line in running.stdout) # the first lines may be warnings of torch
        own = Client(f'http://127.0.0.1:{port}', verbose=False, analytics_enabled=False)
        assert 'fc-bar' in ask(own, files[0].read_bytes(), tmp_path)
    finally:
        running.terminate()
        running.wait(20)


def test_a_space_takes_the_model_alone(bundle, tmp_path):
    "Not what else lies in its folder, nor a model that an earlier export left"
    needs_gradio()
    import shutil
    mine = tmp_path/'mine'
    shutil.copytree(bundle, mine)
    (mine/'.env').write_text('TOKEN=1')
    packed = Path(shutil.make_archive(tmp_path/'packed', 'zip', bundle))
    space = export_space(mine, tmp_path/'space')
    there = {o.name for o in (space/'bundle').iterdir()}
    assert '.env' not in there and there=={'bundle.json', 'model.safetensors'}
    export_space(packed, space)
    assert not (space/'bundle').exists() and 'bundle.zip' in (space/'app.py').read_text()
    export_space(mine, space)
    assert not (space/'bundle.zip').exists() and "'bundle'" in (space/'app.py').read_text()


def test_a_space_is_renewed_from_its_own_model(bundle, tmp_path):
    needs_gradio()
    space = export_space(bundle, tmp_path/'space')
    before = (space/'bundle'/'model.safetensors').read_bytes()
    shown = export_space(space/'bundle', space)
    assert (shown/'bundle'/'model.safetensors').read_bytes()==before and open_view(shown/'bundle').title


@pytest.mark.parametrize('inside', ('.', 'space', '../{name}/deep/space'))
def test_a_space_does_not_go_into_its_bundle(bundle, tmp_path, inside):
    needs_gradio()
    before = sorted(bundle.rglob('*'))
    with pytest.raises(DataError, match='lies in the bundle'): export_space(bundle, bundle/inside.format(name=bundle.name))
    assert sorted(bundle.rglob('*'))==before


@pytest.mark.parametrize('arguments', [(None, 'space'), (3, 'space'), ('bundle', None)])
def test_what_is_no_path_is_refused_by_name(arguments):
    with pytest.raises(DataError, match='not a path'): export_space(*arguments)


def test_a_space_does_not_replace_what_is_yours(bundle, tmp_path):
    needs_gradio()
    (tmp_path/'README.md').write_text('mine')
    with pytest.raises(DataError, match='README.md'): export_space(bundle, tmp_path)
    assert (tmp_path/'README.md').read_text()=='mine'
    with pytest.raises(BundleError): export_space(tmp_path, tmp_path/'space')
