"""Run the notebooks as tests on a platform: on this machine, on Kaggle's GPUs, or on Colab's.

  python tools/platform_run.py local                      all lessons and projects, here, on the GPU if there is one
  python tools/platform_run.py kaggle 03_finetune         with Kaggle's own client: pip install -e ".[kaggle]"
  python tools/platform_run.py colab 03_finetune          with Google's own command `colab`: pip install google-colab-cli (Python 3.12, no Windows)
  python tools/platform_run.py receipts FOLDER            keep the results that lie in a folder, fetched from elsewhere

Each run writes result.json (commit, versions, device, minutes, metrics, claims). A run fails on a wrong commit, a missing or broken result, a
failing cell, or a number under its floor (METRICS in platform_worker.py). --receipts keeps those that passed, for README and lessons.
Exit status: 0 all passed, 1 one failed, 2 wrong use, 77 something was skipped and nothing failed: no credentials, or too little quota.
"""
import argparse, json, os, sys, tempfile, time
from pathlib import Path

import nbformat

from house import ROOT
from make_readme import lesson_facts
from platform_colab import installed, run_colab
from platform_jobs import build_pack, jobs_of, keep_receipts, under_floor, verdict
from platform_kaggle import open_kaggle, run_kaggle
from platform_worker import commit_of, run_notebook

SKIPPED = 77 # as in automake: neither passed nor failed


def promised(jobs) -> dict: # Name to minutes; without those that promise nothing
    "What the first cells of the notebooks say"
    facts = {j.name: lesson_facts(nbformat.read(ROOT/'nbs'/f'{j.name}.ipynb', 4)) for j in jobs}
    return {k:v['minutes'] for k,v in facts.items() if 'minutes' in v}


def run_local(jobs, out, options, clock=time) -> None:
    "One notebook after the other on this machine. Changes the jobs"
    end = clock.monotonic()+60*options.deadline
    place = 'ci' if os.environ.get('CI', '').lower() not in ('', '0', 'false') else 'local'
    for j in jobs:
        left = end-clock.monotonic()
        if left<=0:
            j.end('failed', 'had not started at the deadline')
            continue
        commit = commit_of() # for each anew: somebody may commit while the others run
        run_notebook(j.name, Path(out)/j.name, j.run, place, options.source, int(min(options.seconds, left)))
        result,why = verdict(Path(out)/j.name, j, commit)
        j.end('failed' if why else 'passed', why, result)


def run_remote(where, jobs, out, options) -> str: # '' or why nothing could be run
    "Build the pack and send the jobs. Changes the jobs"
    if where=='colab' and not installed(): return "Google's command `colab` is not installed: pip install google-colab-cli"
    kaggle = open_kaggle(out) if where=='kaggle' else None
    if where=='kaggle' and kaggle is None: return 'no credentials for Kaggle: set KAGGLE_USERNAME and KAGGLE_KEY, or KAGGLE_API_TOKEN'
    with tempfile.TemporaryDirectory(prefix='fastclass-pack-') as tmp:
        commit,digest = build_pack(Path(tmp)/'pack', options.data)
        if commit.endswith('+') and not options.changed: raise SystemExit('Files differ from the last commit. Commit them, or say --changed: the result then names the commit with a +.')
        if where=='kaggle': run_kaggle(kaggle, jobs, Path(tmp)/'pack', commit, digest, options, promised(jobs))
        else: run_colab(jobs, Path(tmp)/'pack', commit, out, options)
    return ''


def status_of(jobs) -> int: # See the module's text
    "The exit status that the states of the jobs ask for"
    states = {j.state for j in jobs}
    return 1 if 'failed' in states else SKIPPED if 'skipped' in states else 0


def arguments(argv=None):
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('where', choices=('local', 'kaggle', 'colab', 'receipts'))
    p.add_argument('paths', nargs='*', help='notebooks, folders, or names such as 03_finetune; default: the lessons and the projects')
    p.add_argument('--out', help='keep logs and results in this folder')
    p.add_argument('--source', choices=('bundled', 'live'), default='bundled', help='where the data comes from')
    p.add_argument('--seconds', type=int, default=1200, help='for one notebook')
    p.add_argument('--deadline', type=float, default=180, help='minutes for all of them, waiting included')
    p.add_argument('--receipts', action='store_true', help='keep what passed, for README and lessons')
    p.add_argument('--changed', action='store_true', help='send files that are not committed')
    p.add_argument('--data', help='a folder with torch_home or fastai_home to send along, for machines without internet')
    p.add_argument('--accelerator', help="NvidiaTeslaT4 (two of them) on Kaggle, T4 on Colab, or 'none' for a CPU")
    p.add_argument('--offline', action='store_true', help='Kaggle: without internet')
    p.add_argument('--pin', choices=('original', 'latest'), default='latest', help="Kaggle: which of Kaggle's images")
    p.add_argument('--image', help='Kaggle: one image, by its full name')
    p.add_argument('--at-once', type=int, default=2, help='Kaggle: sessions at a time')
    p.add_argument('--keep', action='store_true', help='Kaggle: leave the data set there')
    a = p.parse_args(argv)
    a.accelerator = a.accelerator or dict(kaggle='NvidiaTeslaT4', colab='T4').get(a.where, 'none')
    return a


def main(argv=None) -> int: # See the module's text
    "Run what the command line names"
    options = arguments(argv)
    if options.where=='receipts':
        results = [json.loads(o.read_text(encoding='utf-8')) for p in options.paths for o in sorted(Path(p).rglob('result.json'))]
        print(f"{keep_receipts([r for r in results if r['ok'] and not under_floor(r)])} receipts kept of {len(results)} results")
        return 0
    jobs = jobs_of(options.paths)
    with tempfile.TemporaryDirectory(prefix='fastclass-out-') as tmp:
        out = options.out or tmp
        if options.where=='local': run_local(jobs, out, options)
        elif why := run_remote(options.where, jobs, out, options):
            print(f'skipped: {why}')
            return SKIPPED
    passed = [j.result for j in jobs if j.state=='passed']
    if options.receipts: print(f'{keep_receipts(passed)} receipts kept')
    print(f"{len(passed)} of {len(jobs)} passed, {sum(j.state=='skipped' for j in jobs)} skipped")
    return status_of(jobs)


if __name__ == '__main__': sys.exit(main())
