"Notebooks on Kaggle's GPUs: one private data set with the wheel and the notebooks, one kernel a notebook, watched until it ends."
import json, os, time
from datetime import timedelta
from pathlib import Path

from platform_jobs import log_tail, verdict

KERNEL = '''"Runs a notebook of the attached data set. Made by tools/platform_kaggle.py."
import pathlib, shutil, subprocess, sys
found = next(pathlib.Path('/kaggle/input').rglob('platform_worker.py'), None) # Kaggle unpacks archives by itself
if found: shutil.copytree(found.parent.parent.parent, '/tmp/pack')
else: shutil.unpack_archive(next(pathlib.Path('/kaggle/input').rglob('pack.zip')), '/tmp/pack')
subprocess.run([sys.executable, 'tools/platform_worker.py', {name!r}, '--run', {run!r}, '--platform', 'kaggle', '--source', {source!r},
                '--out', '/kaggle/working', '--seconds', '{seconds}'], cwd='/tmp/pack/fastclass-run', check=True)
'''
SHORT = ('quota', 'maximum weekly') # what Kaggle says when the week's hours are used up
FULL = ('session count', 'concurrent', 'too many') # and when as many sessions run as one may have


class OutOfReach(Exception): "Kaggle did not answer, several times in a row, or refused"


def credentials() -> bool:
    "Is there anything to sign in with? The client ends the process when there is not"
    home = Path(os.environ.get('KAGGLE_CONFIG_DIR', Path.home()/'.kaggle'))
    return bool(os.environ.get('KAGGLE_API_TOKEN') or os.environ.get('KAGGLE_USERNAME') and os.environ.get('KAGGLE_KEY')
                or any((home/o).is_file() for o in ('kaggle.json', 'access_token', 'credentials.json')))


class Kaggle:
    "Kaggle's own client, with patience: `api` is a `KaggleApi` that is signed in"
    def __init__(self, api, owner, out, clock=time, poll=30, tries=5):
        self.api,self.owner,self.out,self.clock,self.poll,self.tries = api,owner,Path(out),clock,poll,tries

    def ask(self, what, *args, **kwargs):
        "Call a method of the client; a connection that fails is tried again, each time after twice as long, and a refusal is not"
        for i in range(self.tries):
            try: return getattr(self.api, what)(*args, **kwargs)
            except OSError as e: # all of requests' errors are
                status = getattr(getattr(e, 'response', None), 'status_code', 0)
                if 400<=status<500 and status not in (408, 429): raise OutOfReach(f'Kaggle refused {what}: {e}') from e
                if i==self.tries-1: raise OutOfReach(f'Kaggle did not answer {what}, {self.tries} times: {e}') from e
                self.clock.sleep(5*2**i)

    def hours(self): # `(used, total)`; None where the client does not know
        "GPU hours of this week"
        if not hasattr(self.api, 'quota_view'): return None # clients before 2
        q = self.ask('quota_view').gpu_quota
        return q and (q.time_used/timedelta(hours=1), q.total_time_allowed/timedelta(hours=1))

    def send_pack(self, pack, digest, end):
        "Make the private data set and wait until it can be attached; its name comes from its content, so an old one is never taken for it"
        ref = f'{self.owner}/fastclass-pack-{digest}'
        (pack/'dataset-metadata.json').write_text(json.dumps(dict(title=f'fastclass pack {digest}', id=ref, licenses=[dict(name='apache-2.0')])))
        res = self.ask('dataset_create_new', str(pack), public=False, quiet=True, dir_mode='skip')
        if res.error and 'already in use' not in res.error: raise SystemExit(f'Kaggle took no data set: {res.error}')
        while self.clock.monotonic()<end:
            try: status = str(self.api.dataset_status(ref)).lower()
            except OSError: status = 'not known yet'
            if status=='ready': return ref
            if status in ('error', 'failed'): raise SystemExit(f'Kaggle could not make the data set {ref}: {status}')
            self.clock.sleep(self.poll)
        raise SystemExit(f'The data set {ref} was not ready at the deadline.')

    def slug(self, job): return 'fastclass-'+job.name.replace('/', '-').replace('_', '-')

    def metadata(self, job, data, options): # everything is said: what is not said, the client takes from the kernel's last version
        "kernel-metadata.json"
        image = dict(docker_image=options.image) if options.image else {}
        return dict(id=f'{self.owner}/{self.slug(job)}', title=self.slug(job).replace('-', ' '), code_file='kernel.py', language='python', kernel_type='script',
                    is_private=True, enable_gpu=options.accelerator!='none', enable_tpu=False, enable_internet=not options.offline,
                    machine_shape='' if options.accelerator=='none' else options.accelerator, dataset_sources=[data], competition_sources=[],
                    kernel_sources=[], model_sources=[], keywords=[], docker_image_pinning_type=options.pin, **image)

    def push(self, job, data, options):
        "Start a kernel, or say why not; no free session means to wait"
        folder = self.out/job.name/'kernel'
        folder.mkdir(parents=True, exist_ok=True)
        (folder/'kernel.py').write_text(KERNEL.format(name=job.name, run=job.run, source=options.source, seconds=options.seconds))
        (folder/'kernel-metadata.json').write_text(json.dumps(self.metadata(job, data, options), indent=1))
        res = self.ask('kernels_push', str(folder))
        error = (getattr(res, 'error', '') or '') if res is not None else 'no answer'
        if any(o in error.lower() for o in SHORT): return job.end('skipped', f'quota: {error}')
        if any(o in error.lower() for o in FULL): return None
        if error: return job.end('failed', f'not started: {error}')
        if bad := getattr(res, 'invalidDatasetSources', None) or getattr(res, 'invalid_dataset_sources', None): return job.end('failed', f'data set not attached: {bad}')
        job.state,job.since = 'running',self.clock.monotonic()

    def look(self, job, commit, settle=300):
        "Has it ended, and how? Right after a push, the status may still be that of the version before"
        res = self.ask('kernels_status', f'{self.owner}/{self.slug(job)}')
        status = str(getattr(res.status, 'name', res.status)).upper()
        if not status.startswith(('COMPLETE', 'ERROR', 'CANCEL')): return
        folder = self.out/job.name
        (folder/'result.json').unlink(missing_ok=True)
        self.ask('kernels_output', f'{self.owner}/{self.slug(job)}', path=str(folder), force=True)
        result,why = verdict(folder, job, commit)
        if 'another run' in why and self.clock.monotonic()-job.since<settle: return
        if status.startswith('COMPLETE') or (result and why): return job.end('failed' if why else 'passed', why, result)
        said = getattr(res, 'failure_message', None) or getattr(res, 'failureMessage', None) or log_tail(folder)
        job.end('failed', f"{'cancelled' if status.startswith('CANCEL') else 'ended with an error'}: {said}", result)

    def run(self, jobs, data, commit, options, end):
        "Keep `options.at_once` kernels going until all have ended or the deadline has passed"
        while (going := [j for j in jobs if j.state in ('waiting', 'running')]) and self.clock.monotonic()<end:
            for j in going:
                try:
                    if j.state=='running': self.look(j, commit)
                    elif sum(o.state=='running' for o in jobs)<options.at_once: self.push(j, data, options)
                except (OutOfReach, ValueError) as e: j.end('failed', str(e)) # ValueError: the client's word for "no such kernel, or not yours"
            if any(j.state in ('waiting', 'running') for j in jobs): self.clock.sleep(self.poll)
        for j in jobs:
            if j.state in ('waiting', 'running'): j.end('failed', f"{'had not ended' if j.state=='running' else 'had not started'} at the deadline: see https://www.kaggle.com/code/{self.owner}/{self.slug(j)}")


def too_little(hours, jobs, minutes) -> str: # '' when it is enough or not known
    "Compare the GPU hours that are left with what the jobs may take"
    if not hours: return ''
    used,total = hours
    need = sum(2*minutes.get(j.name, 5)+5 for j in jobs)/60 # twice what they promise, and five minutes to start
    print(f'GPU quota: {used:.1f} of {total:.0f} hours used; these runs may take {need:.1f}.', flush=True)
    return '' if total-used>=need else f'{total-used:.1f} GPU hours are left, and these runs may take {need:.1f}'


def run_kaggle(kaggle, jobs, pack, commit, digest, options, minutes) -> None:
    "Everything on Kaggle: the quota, the data set, the kernels, what it cost. Changes the jobs"
    end,before = kaggle.clock.monotonic()+60*options.deadline,None
    try:
        if options.accelerator!='none':
            before = kaggle.hours()
            if why := too_little(before, jobs, minutes):
                for j in jobs: j.end('skipped', why)
                return
        data = kaggle.send_pack(Path(pack), digest, end)
        kaggle.run(jobs, data, commit, options, end)
        left = any('deadline' in j.why for j in jobs) # a kernel that still runs may need it
        if not (options.keep or left) and hasattr(kaggle.api, 'dataset_delete'): kaggle.ask('dataset_delete', kaggle.owner, data.split('/')[1], no_confirm=True)
        after = kaggle.hours() if before else None
    except OutOfReach as e:
        for j in jobs:
            if j.state in ('waiting', 'running'): j.end('failed', str(e))
        return
    spent = f'{after[0]-before[0]:.2f} GPU hours by Kaggle\'s count, {after[1]-after[0]:.1f} left this week' if after else 'this client does not know the quota'
    print(f"Spent: {sum(j.result.get('minutes', 0) for j in jobs):.1f} minutes in notebooks; {spent}.", flush=True)


def open_kaggle(out): # None without credentials
    "A client that is signed in"
    if not credentials(): return None
    from kaggle.api.kaggle_api_extended import KaggleApi
    api = KaggleApi()
    api.authenticate()
    return Kaggle(api, api.get_config_value('username'), out)
