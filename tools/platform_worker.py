"Run one notebook on this machine, from top to bottom, and write result.json: commit, versions, device, minutes, metrics, claims."
import argparse, asyncio, json, os, re, shutil, subprocess, sys, tempfile
from datetime import date
from pathlib import Path

import nbformat

from house import ROOT, copy_tree, shared_homes
from run_notebooks import Run, arguments, kernel_env, run_all

# What is read from a notebook's own names when it has ended: name -> (expression, floor). A number under its floor fails the run.
METRICS = {
    '00_cyclists':        {'accuracy': ('right/n', .6)},
    '01_collect':         {'hits': ('len(hits)', 20)},
    '02_datablock':       {'gap of a split by chance': ("table.pretended['by chance']", .05)},
    '03_finetune':        {'accuracy, fine_tune': ('accuracy_standard', .3), 'accuracy, quick_tune': ('accuracy_quick', .4)},
    '04_interpret':       {'accuracy after cleaning': ('after[0]/after[1]', .7)},
    '05_predict':         {'accuracy, grouped split': ('1-honest_error', .5)},
    '06_segment':         {'pixel accuracy': ('scores.accuracy', .8), 'mean IoU': ('scores.mean_iou', .35)},
    '07_tabular':         {'accuracy': ("model.about['metrics']['accuracy']", .75)},
    '08_collab':          {'stars better than the baseline': ('gain.mean()', .05)},
    '09_app':             {'bars of an answer': ('len(answer.bars)', 2)},
    '10_pretrain':        {'bundled better than random': ('gain.mean()', .03)},
    '11_text':            {'accuracy': ("splits['quick_text'].mean()", .7)},
    'projects/bears':     {'accuracy, first model': ('first.correct.mean()', .5)},
    'projects/crests':    {'accuracy': ('1-error', .8)},
    'projects/gpus':      {'batch size that fits': ('bs', 8)},
    'projects/lakes':     {'accuracy': ('right/n', .5)},
    'projects/two_logos': {'accuracy': ('right/n', .7)},
}
PACKAGES = ('fastclass-course', 'fastai', 'fastcore', 'torch', 'torchvision', 'numpy', 'pandas', 'pillow', 'ipywidgets')
_claim = re.compile(r'^\s*(?:assert\b|with expect_fail\(|test_\w+\()|; *(?:assert\b|test_\w+\()', re.M)

PROBE = '''import json, os, sys, torch
from fastclass.engine.base.machine import cpu_count, pick_device, version
_device = pick_device()
_found = dict(device_type=_device.type, device=f'CPU, {{cpu_count()}} cores' if _device.type=='cpu' else _device.name,
              versions=dict(python=sys.version.split()[0], **{{o: version(o) for o in {packages} if version(o)}}),
              metrics={{k: round(float(eval(v)), 4) for k,v in {metrics}.items()}},
              peak_gpu_mb=torch.cuda.max_memory_allocated()//2**20 if _device.type=='cuda' else None)
with open(os.environ['FASTCLASS_FOUND'], 'w') as _file: json.dump(_found, _file)'''


def name_of(
    path, # A notebook below nbs/, or its name
) -> str: # Such as '03_finetune' or 'projects/lakes'
    "The name of a notebook, as METRICS has it"
    path = Path(path)
    return (path.relative_to(ROOT/'nbs') if path.is_absolute() else Path(*[o for o in path.parts if o!='nbs'])).with_suffix('').as_posix()


def commit_of(root=ROOT) -> str: # '' outside of git
    "The commit of this tree, as the pack says or as git does; with a '+' where files differ from it"
    if (root/'COMMIT').is_file(): return (root/'COMMIT').read_text().strip()
    def git(*args): return subprocess.run(['git', *args], cwd=root, capture_output=True, text=True).stdout.strip()
    return git('rev-parse', 'HEAD') + '+'*bool(git('status', '--porcelain'))


def probed(path, found, name) -> None:
    "Add a last cell that leaves in the file `found` what only the notebook's process knows"
    nb = nbformat.read(path, 4)
    nb.cells = [c for c in nb.cells if not re.search(r'^#\|\s*eval:\s*false', c.source, re.M)] # Kaggle's nbclient 0.5 cannot skip
    metrics = {k:v for k,(v,_) in METRICS.get(name, {}).items()}
    nb.cells.append(nbformat.v4.new_code_cell(PROBE.format(packages=PACKAGES, metrics=metrics)))
    nbformat.write(nb, path)


def title_of(nb) -> str: # '' where there is none
    "What the notebook passed to start_lesson, as that printed it"
    said = ''.join(o.get('text', '') for c in nb.cells for o in c.get('outputs', []))
    m = re.search(r'^(.+?) \| (?:cpu|cuda|mps): ', said, re.M)
    return m[1] if m else ''


def run_notebook(
    name, # Such as '03_finetune'
    out,  # A folder: gets result.json, and the notebook as it ran
    run='',          # Comes back in the result, so that it is not taken for that of an earlier run
    platform='local',# 'local', 'kaggle', 'colab' or 'ci'
    source='bundled',# Where the data comes from
    seconds=1200,    # For the whole notebook
) -> dict: # What result.json holds
    "Run it in a copy of the tree, in a process of its own"
    out,tmp = Path(out),Path(tempfile.mkdtemp(prefix='fastclass-run-'))
    out.mkdir(parents=True, exist_ok=True)
    (out/'result.json').unlink(missing_ok=True)
    try:
        path,commit = copy_tree(tmp/'tree', under='nbs')/'nbs'/f'{name}.ipynb',commit_of()
        probed(path, tmp/'found.json', name)
        args = arguments(['--source', source, '--cell-timeout', str(seconds), '--deadline', str(seconds)])
        r = Run(path, path.parent, args)
        r.name = name
        env = {**kernel_env(source, tmp/'home', shared_homes(tmp)), 'FASTCLASS_FOUND':str(tmp/'found.json')}
        asyncio.run(run_all([r], env, args))
        found = json.loads((tmp/'found.json').read_text()) if (tmp/'found.json').is_file() else {}
        nb = r.nb or nbformat.read(path, 4)
        res = dict(notebook=name, title=title_of(nb), run=run, platform=platform, commit=commit, date=date.today().isoformat(), source=source,
                   ok=not r.error, error=r.error[-3000:], minutes=round(r.seconds/60, 2),
                   claims=sum(len(_claim.findall(c.source)) for c in nb.cells if c.cell_type=='code'), **found)
        nb.cells.pop()
        nbformat.write(nb, out/'notebook.ipynb')
    finally: shutil.rmtree(tmp, ignore_errors=True)
    (out/'result.part').write_text(json.dumps(res, indent=1), encoding='utf-8')
    os.replace(out/'result.part', out/'result.json')
    return res


def main(argv=None) -> int: # 0, also when the notebook failed: the result says so, and the platform keeps what was written
    "Run what the command line names"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('notebook', help='such as 03_finetune or projects/lakes')
    for o,d in dict(out='.', run='', platform='local', source='bundled').items(): p.add_argument(f'--{o}', default=d)
    p.add_argument('--seconds', type=int, default=1200)
    a = p.parse_args(argv)
    print(json.dumps(run_notebook(name_of(a.notebook), a.out, a.run, a.platform, a.source, a.seconds), indent=1))
    return 0


if __name__ == '__main__': sys.exit(main())
