"What all platforms share: the pack that is sent, the verdict on what comes back, the receipts that are kept."
import hashlib, json, shutil, subprocess, sys, uuid
from dataclasses import dataclass, field
from pathlib import Path

from house import ROOT, copy_tree, writable_copy
from make_readme import RECEIPTS
from platform_worker import METRICS, commit_of, name_of
from run_notebooks import find

KEPT = ('notebook', 'title', 'platform', 'device_type', 'device', 'minutes', 'metrics', 'claims', 'date', 'commit', 'source', 'versions', 'peak_gpu_mb')
WHEEL = 'from setuptools import build_meta; import sys; build_meta.build_wheel(sys.argv[1])'


@dataclass
class Job:
    "A notebook on its way: `state` is waiting, running, passed, failed or skipped"
    name:str
    state:str = 'waiting'
    why:str = ''
    result:dict = field(default_factory=dict)
    run:str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    since:float = 0. # when it was sent, on the clock of the runner

    def end(self, state, why='', result=None):
        "Close it, and say so"
        self.state,self.why,self.result = state,why,result or {}
        print(f"{state:>8}  {self.name}" + (f"  {self.result['minutes']:.1f} min on {self.result.get('device', '?')}" if self.result else ''), flush=True)
        if why: print('\n'.join(f'          {o}' for o in why.splitlines()), flush=True)


def jobs_of(paths) -> list: # A `Job` each
    "Jobs for notebooks, folders or names such as 03_finetune; without any, for the lessons and the projects"
    known = [name_of(o) for o in find([])]
    return [Job(o) for o in dict.fromkeys(p if p in known else name_of(q) for p in paths or known for q in ([p] if p in known else find([p])))]


def build_pack(
    dest, # A folder that does not exist yet
    data=None, # A folder with `torch_home` or `fastai_home`, for machines without internet
) -> tuple: # The commit, and a digest of all that the pack holds
    "A wheel, and pack.zip with the notebooks and tools; what runs there is what lies here"
    dest,tree = Path(dest),Path(dest)/'tree'
    copy_tree(tree)
    commit = commit_of()
    r = subprocess.run([sys.executable, '-c', WHEEL, str(dest)], cwd=tree, capture_output=True, text=True)
    if r.returncode: raise SystemExit(f'No wheel could be built:\n{r.stderr[-2000:]}')
    inside = dest/'inside'/'fastclass-run'
    for o in ('nbs', 'tools'): shutil.copytree(tree/o, inside/o)
    shutil.copy(tree/'settings.ini', inside)
    (inside/'COMMIT').write_text(commit)
    if data: writable_copy(data, inside.parent/'shared') # where house.shared_homes looks
    digest = hashlib.sha256()
    for root in (tree, inside.parent):
        for o in sorted(root.rglob('*')):
            if o.is_file() and '.egg-info' not in str(o) and 'build' not in o.relative_to(root).parts: digest.update(f'{o.relative_to(root)}'.encode()+o.read_bytes())
    shutil.make_archive(str(dest/'pack'), 'zip', inside.parent)
    for o in (tree, dest/'inside'): shutil.rmtree(o)
    return commit,digest.hexdigest()[:12]


def log_tail(folder, n=15) -> str: # '' without a log
    "The last lines of the log that a platform keeps of a run: JSON on Kaggle, text elsewhere"
    for o in sorted(Path(folder).rglob('*.log')):
        text = o.read_text(encoding='utf-8', errors='replace')
        try: text = ''.join(p['data'] for p in json.loads(text))
        except (ValueError, TypeError, KeyError): text = text.strip() # a log that was cut off is no JSON
        return '\n'.join(text.splitlines()[-n:])
    return ''


def under_floor(
    res, # A result, as result.json holds it
) -> list: # One text for each number that is too small or missing
    "The numbers of a result against METRICS; what is no number is under every floor"
    found = res.get('metrics', {})
    return [f'{k} is {found.get(k, "missing")}, and {floor} is the least' for k,(_,floor) in METRICS.get(res['notebook'], {}).items()
            if not found.get(k, float('-inf'))>=floor]


def verdict(
    folder, # Where result.json should lie
    job,    # A `Job`
    commit, # What should have run
) -> tuple: # What the result holds ({} when it cannot be read), and '' or what is wrong
    "Judge what came back: the run, its commit, and every number against its floor"
    file = Path(folder)/'result.json'
    if not file.is_file(): return {},f'no result.json came back\n{log_tail(folder)}'.strip()
    try: res = json.loads(file.read_text(encoding='utf-8'))
    except ValueError as e: return {},f'half a result.json came back ({e})\n{log_tail(folder)}'.strip()
    missing = [o for o in ('notebook', 'run', 'commit', 'ok', 'minutes', 'date') if not isinstance(res, dict) or o not in res]
    if missing: return {},f"result.json lacks {', '.join(missing)}"
    if res['run']!=job.run or res['notebook']!=job.name: return {},'result.json is that of another run'
    if res['commit']!=commit: return res,f"it ran {res['commit'][:12] or 'no known commit'}, and this is {commit[:12]}"
    if not res['ok']: return res,res.get('error') or 'it failed without a word'
    return res,'\n'.join(under_floor(res))


def keep_receipts(results, root=ROOT) -> int: # How many were kept
    "Put results that passed into the file that README and lessons show: the newest of each notebook, platform and device"
    file = Path(root)/RECEIPTS
    def key(r): return r['notebook'],r['platform'],r['device']
    kept = {key(r):r for r in (json.loads(file.read_text(encoding='utf-8')) if file.is_file() else [])}
    new = [{k:r.get(k) for k in KEPT} for r in results]
    kept |= {key(r):r for r in new if r['date']>=kept.get(key(r), {}).get('date', '')}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([kept[k] for k in sorted(kept)], indent=1)+'\n', encoding='utf-8')
    return len(new)
