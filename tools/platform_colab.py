"Notebooks on a GPU of Google Colab, by Google's own command `colab` (google-colab-cli): one machine, one notebook after the other."
import shutil, subprocess, time
from pathlib import Path

from platform_jobs import verdict

SESSION = 'fastclass'
DONE = 'fastclass: done' # `colab exec` ends with 0 whatever the code did, so the code says when it came to its end
SHORT = ('allocation refused', 'quota', 'entitlement', 'capacity') # what the command says when there is no machine to be had
SET_UP = '''import importlib, pathlib, shutil, subprocess, sys
shutil.unpack_archive('/content/pack.zip', '/content/pack')
subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '/content/{wheel}'], check=True)
importlib.invalidate_caches()
from fastclass.course.install import install_missing
install_missing()
print({done!r})
'''
WORK = '''import subprocess, sys
subprocess.run([sys.executable, 'tools/platform_worker.py', {name!r}, '--run', {run!r}, '--platform', 'colab', '--source', {source!r},
                '--out', '/content/out', '--seconds', '{seconds}'], cwd='/content/pack/fastclass-run', check=True)
print({done!r})
'''


def colab(*args, code='', seconds=300) -> tuple: # Exit status, and what was said
    "Run Google's command; a command that hangs is ended"
    try: r = subprocess.run(['colab', *args], input=code, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired: return 124,f'colab {args[0]} had not ended after {seconds:.0f} s'
    return r.returncode,(r.stdout+r.stderr).strip()


def execute(command, code, seconds) -> tuple: # What was said, and '' or what went wrong
    "Run code on the machine"
    status,said = command('exec', '-s', SESSION, '--timeout', str(int(seconds)), code=code, seconds=seconds+60)
    return said,('' if status==0 and DONE in said else f'colab exec ended with {status}: {said[-1500:]}')


def run_job(job, commit, out, options, command, left) -> None:
    "One notebook on the machine that is there"
    seconds = min(options.seconds, left)
    folder = Path(out)/job.name
    folder.mkdir(parents=True, exist_ok=True)
    said,bad = execute(command, WORK.format(name=job.name, run=job.run, source=options.source, seconds=int(seconds), done=DONE), seconds+120)
    (folder/'run.log').write_text(said, encoding='utf-8')
    if bad: return job.end('failed', bad)
    (folder/'result.json').unlink(missing_ok=True)
    status,said = command('download', '-s', SESSION, '/content/out/result.json', str(folder/'result.json'))
    if status: return job.end('failed', f'result.json could not be fetched: {said[-500:]}')
    result,why = verdict(folder, job, commit)
    job.end('failed' if why else 'passed', why, result)


def run_colab(jobs, pack, commit, out, options, command=colab, clock=time) -> None:
    "A machine, the pack on it, the notebooks, and the machine given back, whatever happens. Changes the jobs"
    end,wheel = clock.monotonic()+60*options.deadline,next(Path(pack).glob('*.whl'))
    print(command('usage')[1], flush=True)
    gpu = [] if options.accelerator=='none' else ['--gpu', options.accelerator]
    status,said = command('new', '-s', SESSION, *gpu)
    if status:
        for j in jobs: j.end('skipped' if any(o in said.lower() for o in SHORT) else 'failed', f'no machine: {said[-500:]}')
        return
    try:
        steps = [('upload', '-s', SESSION, str(Path(pack)/'pack.zip'), '/content/pack.zip'), ('upload', '-s', SESSION, str(wheel), f'/content/{wheel.name}')]
        bad = next((said for o in steps for status,said in [command(*o)] if status), '')
        bad = bad or execute(command, SET_UP.format(wheel=wheel.name, done=DONE), 600)[1]
        for j in jobs:
            left = end-clock.monotonic()
            if bad: j.end('failed', f'the machine could not be set up: {bad[-1500:]}')
            elif left<=0: j.end('failed', 'had not started at the deadline')
            else: run_job(j, commit, out, options, command, left)
    finally:
        print(command('stop', '-s', SESSION)[1], flush=True)
        print(command('usage')[1], flush=True)


def installed() -> bool:
    "Is Google's command there?"
    return shutil.which('colab') is not None
