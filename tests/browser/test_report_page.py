"The page that quickstart leaves, in a browser: names of strangers are text."
import numpy as np
import pytest
from PIL import Image

CLASS = '<img src=x onerror=document.title=1>'


@pytest.fixture(scope='module')
def report(installed, tmp_path_factory):
    "The report about two classes with awkward names"
    tmp = tmp_path_factory.mktemp('report')
    rng = np.random.default_rng(0)
    for k,label in enumerate((CLASS, "it's & <b>bold<b>")):
        for i in range(14):
            a = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            if k: a[:] = (np.arange(64)[None, :, None]*(4+i%5)+i)%256
            (tmp/'photos'/label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(a).save(tmp/'photos'/label/f'<script>document.title=2<{i}>.png')
    run = installed.run('quickstart', '--data', tmp/'photos', '--out', tmp/'out', '--epochs', 1, cwd=tmp, FASTCLASS_SOURCE='bundled')
    assert run.returncode==0, run.stderr[-2000:]
    return next((tmp/'out').rglob('report.html'))


def test_names_with_html_in_them_show_as_text(report, page, screenshots):
    asked = []
    page.on('request', lambda o: asked.append(o.url))
    page.goto(report.as_uri())
    title = page.title()
    page.wait_for_timeout(500)
    page.screenshot(path=screenshots/'report.png', full_page=True)
    assert page.get_by_text(CLASS).count() and page.get_by_text('<b>bold<b>').count()
    assert page.title()==title and title not in ('1', '2')
    assert page.evaluate("() => [...document.images].filter(o => o.complete && !o.naturalWidth).map(o => o.src)")==[]
    assert [o for o in asked if not o.startswith(('file:', 'data:'))]==[]


def test_the_page_fits_a_phone(report, page, screenshots):
    "Wide tables scroll by themselves, with the keyboard too"
    page.set_viewport_size(dict(width=360, height=800))
    page.goto(report.as_uri())
    page.screenshot(path=screenshots/'report-360.png', full_page=True)
    assert page.evaluate('() => [document.documentElement.scrollWidth, innerWidth]')==[360, 360]
    tables = page.get_by_role('region')
    assert tables.count()>=1 and all(tables.nth(i).get_attribute('tabindex')=='0' for i in range(tables.count()))
