"A browser, and JupyterLab as `fastclass lessons` starts it from an installed wheel. Screenshots go to the folder that FASTCLASS_SCREENSHOTS names."
import json, os, shutil, subprocess, sys, time
from pathlib import Path

import pytest

from browser import chromium, why_not
from installed import Installed, install, user_env
from lab import Lab

# The program runs without its services of the web, and in a container without its sandbox.
ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run']


@pytest.fixture(scope='session')
def browser():
    "Chromium, steered by Playwright; without it these tests are skipped and say how to get it"
    if why := why_not(): pytest.skip(why)
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        program = p.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield program
        program.close()


@pytest.fixture
def page(browser):
    "A fresh window of 1280 x 900"
    context = browser.new_context(viewport=dict(width=1280, height=900))
    context.set_default_timeout(30_000)
    window = context.new_page()
    # Chromium needs a moment until it hands dialogs on: asked for just before a key, it may still open its own
    window.on('filechooser', lambda dialog: None)
    yield window
    context.close()


@pytest.fixture(scope='session')
def screenshots(tmp_path_factory):
    "Where pictures of the screen go"
    folder = Path(os.environ.get('FASTCLASS_SCREENSHOTS') or tmp_path_factory.mktemp('screenshots'))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope='session')
def installed(tmp_path_factory) -> Installed:
    "The wheel in a fresh environment"
    if why := why_not(): pytest.skip(why)
    return install(tmp_path_factory.mktemp('installed'))


def jupyter_env(tmp) -> dict: # Variables
    "JupyterLab with settings of its own: it opens no browser, and keeps all cells of a notebook in the page. What it shows comes from the environment that runs the tests"
    share = Path(sys.prefix)/'share'/'jupyter'
    settings = tmp/'settings'/'@jupyterlab'/'notebook-extension'
    settings.mkdir(parents=True)
    (settings/'tracker.jupyterlab-settings').write_text(json.dumps(dict(windowingMode='none')))
    (tmp/'config').mkdir()
    (tmp/'config'/'jupyter_server_config.json').write_text(json.dumps(dict(ServerApp=dict(open_browser=False))))
    return user_env(JUPYTER_CONFIG_DIR=tmp/'config', JUPYTER_DATA_DIR=tmp/'data', JUPYTER_RUNTIME_DIR=tmp/'runtime', JUPYTERLAB_SETTINGS_DIR=tmp/'settings',
                    JUPYTERLAB_WORKSPACES_DIR=tmp/'workspaces', IPYTHONDIR=tmp/'ipython', JUPYTER_PATH=share, JUPYTERLAB_DIR=share/'lab', PYDEVD_DISABLE_FILE_VALIDATION='1')


@pytest.fixture(scope='session')
def lab(installed, tmp_path_factory):
    "JupyterLab on a fresh copy of the course, started by `fastclass lessons`"
    tmp = tmp_path_factory.mktemp('lab')
    folder,log = tmp/'my lessons',tmp/'log.txt'
    with open(log, 'w') as out: server = subprocess.Popen([installed.fastclass, 'lessons', folder], cwd=tmp, env=jupyter_env(tmp), stdout=out, stderr=out)
    try:
        told = tmp/'runtime'/f'jpserver-{server.pid}.json' # it keeps the number of the process that was `fastclass lessons`
        end = time.monotonic()+90
        while not told.is_file():
            assert server.poll() is None and time.monotonic()<end, log.read_text()
            time.sleep(.2)
        time.sleep(.5)
        yield Lab(folder, json.loads(told.read_text()), log)
    finally:
        server.terminate()
        try: server.wait(20)
        except subprocess.TimeoutExpired: server.kill()
        shutil.rmtree(folder, ignore_errors=True)
