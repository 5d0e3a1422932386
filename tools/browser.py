"Where the browser tests find their browser, and what is said where there is none."
import argparse, os, shutil, sys
from importlib.util import find_spec
from pathlib import Path

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
FIRST = ('00_cyclists', '01_collect', '04_interpret', '05_predict', '09_app') # lessons that the browser runs each time; with --all it runs every one


def chromium() -> str: # Its path; '' where there is none
    "Chromium or Chrome: the one that FASTCLASS_BROWSER names, or the first that is installed"
    return os.environ.get('FASTCLASS_BROWSER') or next(filter(None, map(shutil.which, NAMES)), '')


def why_not() -> str: # '' where all is there
    "What keeps the browser tests from running, and how to change that"
    if os.name=='nt': return 'the browser tests know how Linux and macOS start programs'
    for package in ('playwright', 'jupyterlab'):
        if not find_spec(package): return f'needs {package}: pip install -e ".[dev]"'
    if not chromium(): return 'needs Chromium: `apt-get install chromium` as root, or let FASTCLASS_BROWSER name a Chromium or Chrome'
    return ''


def in_browser(
    paths,           # Lessons and projects
    everything=False # All of them
) -> list: # Those that the browser tests run here
    "Which lessons need not be run a second time without a browser"
    if why_not(): return []
    return [o for o in map(Path, paths) if everything or o.stem in FIRST]


def main(argv=None) -> int: # 0 where the tests can run
    p = argparse.ArgumentParser(description=__doc__)
    p.parse_args(argv)
    print(why_not() or f'the browser tests use {chromium()}')
    return 1 if why_not() else 0


if __name__ == '__main__': sys.exit(main())
