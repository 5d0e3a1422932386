"The platform runner against a stand-in of Kaggle's client, and of Colab's command, that fails in every way; the clock is a stand-in too."
import ast, importlib.util, inspect, json, re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml

import canary, make_readme, platform_colab, platform_jobs, platform_kaggle, platform_run, platform_worker
from house import ROOT, settings
from platform_jobs import Job, keep_receipts, under_floor, verdict
from platform_kaggle import Kaggle, run_kaggle
from run_notebooks import find

COMMIT = 'c0ffee'*6
PASSES = dict(commit=COMMIT, ok=True, error='', minutes=1.5, date='2026-11-22', platform='kaggle', title='Tables', source='bundled', claims=9,
              device_type='cuda', device='Tesla T4', versions={'torch':'2.10'}, metrics={'accuracy':.81}, peak_gpu_mb=300)


class Clock:
    "Time that passes only when somebody waits"
    now = 0.
    def monotonic(self): return self.now
    def sleep(self, seconds): self.now += seconds


class Api:
    "Kaggle's client: says what it was told to say, one answer a call, the last one again and again"
    def __init__(self, statuses=('QUEUED', 'RUNNING', 'COMPLETE'), result=None, files=None, push='', ready=('pending', 'ready'), down=None, quota=(3., 30.), created=''):
        self.statuses,self.given,self.files,self.pushes,self.ready,self.down = statuses,result or {},files,list([push] if isinstance(push, str) else push),ready,dict(down or {})
        self.quota,self.created,self.calls,self.metadata,self.runs,self.asked = quota,created,[],{},{},{}
    def _call(self, name, *args):
        self.calls.append((name, *args))
        if self.down.get(name, 0)>0:
            self.down[name] -= 1
            raise ConnectionError(f'{name}: connection reset')
    def _next(self, key, answers):
        i = self.asked[key] = self.asked.get(key, -1)+1
        return answers[min(i, len(answers)-1)]
    def quota_view(self):
        self._call('quota_view')
        used,total = self.quota
        self.quota = used+.5,total
        return SimpleNamespace(gpu_quota=SimpleNamespace(time_used=timedelta(hours=used), total_time_allowed=timedelta(hours=total)))
    def dataset_create_new(self, folder, public, quiet, dir_mode):
        self._call('dataset_create_new', json.loads((Path(folder)/'dataset-metadata.json').read_text())['id'], public)
        return SimpleNamespace(error=self.created)
    def dataset_status(self, ref): return self._next('ready', self.ready)
    def dataset_delete(self, owner, slug, no_confirm): self._call('dataset_delete', slug)
    def kernels_push(self, folder):
        self._call('kernels_push', folder)
        meta = json.loads((Path(folder)/'kernel-metadata.json').read_text())
        error = self.pushes.pop(0) if len(self.pushes)>1 else self.pushes[0]
        if not error:
            self.metadata[meta['id']] = meta
            self.runs[meta['id']] = re.findall(r"'--run', '(\w+)'", (Path(folder)/'kernel.py').read_text())[0]
        return SimpleNamespace(error=error, invalidDatasetSources=[])
    def kernels_status(self, ref):
        self._call('kernels_status', ref)
        return SimpleNamespace(status=SimpleNamespace(name=self._next(ref, self.statuses)), failure_message='')
    def kernels_output(self, ref, path, force):
        self._call('kernels_output', ref)
        name = ref.split('/')[1].removeprefix('fastclass-').replace('-', '_')
        out = {'result.json':json.dumps({**PASSES, 'notebook':name, 'run':self.runs[ref], **self.given}), f'{name}.log':json.dumps([{'stream_name':'stdout', 'data':'the end\n'}])}
        for file,text in (out if self.files is None else self.files).items(): (Path(path)/file).write_text(text)


def go(tmp_path, api, names=('07_tabular',), **kw):
    "Run jobs on the stand-in"
    (tmp_path/'pack').mkdir()
    jobs,clock = [Job(o) for o in names],Clock()
    args = platform_run.arguments(['kaggle', '--deadline', '60', *[o for k,v in kw.items() for o in (f'--{k}', *([str(v)] if v is not True else []))]])
    run_kaggle(Kaggle(api, 'me', tmp_path/'out', clock), jobs, tmp_path/'pack', COMMIT, 'abc', args, {'07_tabular':2})
    return jobs,clock


# ---- Kaggle

def test_a_notebook_goes_through(tmp_path, capsys):
    api = Api()
    [job],clock = go(tmp_path, api)
    assert job.state=='passed' and job.result['device']=='Tesla T4' and platform_run.status_of([job])==0
    assert clock.now<600 and ('dataset_create_new', 'me/fastclass-pack-abc', False) in api.calls and ('dataset_delete', 'fastclass-pack-abc') in api.calls
    out = capsys.readouterr().out
    for said in ('3.0 of 30 hours used', '1.5 minutes in notebooks', "0.50 GPU hours by Kaggle's count, 26.5 left"): assert said in out


def test_metadata_is_said_in_full(tmp_path):
    api = Api()
    go(tmp_path, api, ['projects/lakes'])
    [meta] = api.metadata.values()
    assert meta['id']=='me/fastclass-projects-lakes' and meta['title'].replace(' ', '-')==meta['id'].split('/')[1]
    assert dict(enable_internet=True, enable_gpu=True, enable_tpu=False, is_private=True, machine_shape='NvidiaTeslaT4', docker_image_pinning_type='latest',
                dataset_sources=['me/fastclass-pack-abc'], language='python', kernel_type='script').items()<=meta.items()
    assert {'competition_sources', 'kernel_sources', 'model_sources', 'keywords', 'code_file'}<=meta.keys()


def test_metadata_follows_the_options(tmp_path):
    api = Api()
    go(tmp_path, api, offline=True, accelerator='none', pin='original', image='gcr.io/kaggle-images/python@sha256:1')
    [meta] = api.metadata.values()
    assert (meta['enable_internet'], meta['enable_gpu'], meta['machine_shape'], meta['docker_image_pinning_type']) == (False, False, '', 'original')
    assert meta['docker_image'].endswith('@sha256:1') and not [o for o in api.calls if o[0]=='quota_view']


@pytest.mark.parametrize('statuses,why', [(['QUEUED'], 'had not ended at the deadline'), (['RUNNING'], 'had not ended at the deadline'),
                                          (['RUNNING', 'CANCEL_ACKNOWLEDGED'], 'cancelled'), (['RUNNING', 'ERROR'], 'ended with an error')])
def test_a_run_that_does_not_complete_fails(tmp_path, statuses, why):
    [job],clock = go(tmp_path, Api(statuses))
    assert job.state=='failed' and why in job.why and clock.now<=61*60


def test_at_the_deadline_the_data_set_stays_for_what_still_runs(tmp_path):
    api = Api(['RUNNING'])
    go(tmp_path, api)
    assert not [o for o in api.calls if o[0]=='dataset_delete']


@pytest.mark.parametrize('files,why', [({}, 'no result.json came back'), ({'result.json':'{"ok": tr'}, 'half a result.json'), ({'result.json':'{}'}, 'lacks'),
                                       ({'result.json':'[]'}, 'lacks'), ({'a.log':'it said this'}, 'it said this'), ({'a.log':'[{"data": "cut o'}, 'cut o')])
def test_half_an_output_fails(tmp_path, files, why):
    [job],_ = go(tmp_path, Api(files=files))
    assert job.state=='failed' and why in job.why


@pytest.mark.parametrize('given,why', [(dict(commit='dead'*10), 'it ran deaddeaddead, and this is c0ffeec0ffee'), (dict(commit=''), 'no known commit'),
                                       (dict(ok=False, error='cell 3: ValueError'), 'cell 3'), (dict(metrics={'accuracy':.2}), '0.2, and 0.75 is the least'),
                                       (dict(metrics={}), 'accuracy is missing'), (dict(metrics={'accuracy':float('nan')}), 'nan')])
def test_a_result_that_should_not_pass_fails(tmp_path, given, why):
    [job],_ = go(tmp_path, Api(result=given))
    assert job.state=='failed' and why in job.why and platform_run.status_of([job])==1


def test_the_result_of_an_earlier_version_is_waited_out(tmp_path):
    api = Api(['COMPLETE'])
    real,old = api.kernels_output,[3]
    def output(ref, path, force):
        real(ref, path, force)
        if old[0]: (Path(path)/'result.json').write_text(json.dumps({**PASSES, 'notebook':'07_tabular', 'run':'before'}))
        old[0] = max(0, old[0]-1)
    api.kernels_output = output
    [job],clock = go(tmp_path, api)
    assert job.state=='passed' and clock.now>=3*30


def test_the_result_of_another_run_is_not_waited_out_for_ever(tmp_path):
    [job],clock = go(tmp_path, Api(result=dict(run='before')))
    assert job.state=='failed' and 'another run' in job.why and clock.now<600


@pytest.mark.parametrize('what', ['dataset_create_new', 'kernels_push', 'kernels_status', 'kernels_output', 'quota_view'])
def test_a_broken_connection_is_tried_again(tmp_path, what):
    [job],_ = go(tmp_path, Api(down={what:3}))
    assert job.state=='passed'


@pytest.mark.parametrize('what', ['dataset_create_new', 'kernels_push', 'kernels_status', 'kernels_output', 'quota_view'])
def test_a_connection_that_stays_broken_fails(tmp_path, what):
    [job],clock = go(tmp_path, Api(down={what:10**6}))
    assert job.state=='failed' and f'did not answer {what}' in job.why and clock.now<1200


@pytest.mark.parametrize('status,tries', [(401, 1), (403, 1), (429, 5), (503, 5)])
def test_a_refusal_is_not_asked_again(tmp_path, status, tries):
    api,asked = Api(),[]
    class HttpError(OSError): response = SimpleNamespace(status_code=status)
    def refuse(ref):
        asked.append(ref)
        raise HttpError(f'{status} for this user')
    api.kernels_status = refuse
    [job],_ = go(tmp_path, api)
    assert job.state=='failed' and str(status) in job.why and len(asked)==tries


def test_what_the_client_itself_finds_wrong_fails_one_notebook_only(tmp_path):
    api = Api()
    real = api.kernels_status
    def status(ref):
        if 'lakes' in ref: raise ValueError('Cannot access kernel')
        return real(ref)
    api.kernels_status = status
    jobs,_ = go(tmp_path, api, ['projects/lakes', '07_tabular'])
    assert [(j.state, 'Cannot access' in j.why) for j in jobs]==[('failed', True), ('passed', False)]


def test_short_quota_is_a_neutral_skip(tmp_path):
    api = Api(quota=(29.9, 30.))
    jobs,_ = go(tmp_path, api, ['07_tabular', '08_collab'])
    assert {j.state for j in jobs}=={'skipped'} and platform_run.status_of(jobs)==platform_run.SKIPPED==77
    assert not [o for o in api.calls if o[0] in ('kernels_push', 'dataset_create_new')]


def test_quota_that_ends_on_the_way_is_a_skip_and_a_failure_counts_more(tmp_path):
    jobs,_ = go(tmp_path, Api(push=['', 'Maximum weekly GPU quota of 30.00 hours reached.']), ['07_tabular', '08_collab'])
    assert [j.state for j in jobs]==['passed', 'skipped'] and platform_run.status_of(jobs)==77
    assert platform_run.status_of([*jobs, Job('x', 'failed')])==1


def test_a_client_that_does_not_know_the_quota(tmp_path, capsys, monkeypatch):
    monkeypatch.delattr(Api, 'quota_view')
    [job],_ = go(tmp_path, Api())
    assert job.state=='passed' and 'does not know the quota' in capsys.readouterr().out


def test_no_free_session_means_to_wait(tmp_path):
    [job],clock = go(tmp_path, Api(push=['Maximum batch GPU session count of 2 reached.']*3+['']))
    assert job.state=='passed' and clock.now>=3*30


def test_not_more_than_two_at_once(tmp_path):
    api = Api(['RUNNING', 'RUNNING', 'COMPLETE'])
    most = []
    real = api.kernels_status
    def status(ref):
        most.append(sum(j.state=='running' for j in jobs))
        return real(ref)
    api.kernels_status = status
    (tmp_path/'pack').mkdir()
    jobs = [Job(o) for o in ('07_tabular', '08_collab', '06_segment', '05_predict')]
    run_kaggle(Kaggle(api, 'me', tmp_path/'out', Clock()), jobs, tmp_path/'pack', COMMIT, 'abc', platform_run.arguments(['kaggle']), {})
    assert max(most)==2 and jobs[0].state=='passed' and all(j.state in ('passed', 'failed') for j in jobs)


@pytest.mark.parametrize('error,why', [('Kernel title is taken', 'not started'), ('A source is invalid', 'not started')])
def test_a_push_that_is_refused_fails(tmp_path, error, why):
    [job],_ = go(tmp_path, Api(push=error))
    assert job.state=='failed' and why in job.why and error in job.why


def test_a_data_set_that_is_never_ready_or_refused_ends_the_run(tmp_path):
    with pytest.raises(SystemExit, match='not ready at the deadline'): go(tmp_path, Api(ready=['pending']))
    (tmp_path/'pack/dataset-metadata.json').unlink(); (tmp_path/'pack').rmdir()
    with pytest.raises(SystemExit, match='took no data set: slug is bad'): go(tmp_path, Api(created='slug is bad'))


def test_the_same_pack_is_not_sent_twice(tmp_path):
    [job],_ = go(tmp_path, Api(created='The requested title "x" is already in use by a dataset. Please choose another title.'))
    assert job.state=='passed'


def test_without_credentials_nothing_is_built(monkeypatch, tmp_path, capsys):
    for o in ('KAGGLE_API_TOKEN', 'KAGGLE_USERNAME', 'KAGGLE_KEY'): monkeypatch.delenv(o, raising=False)
    monkeypatch.setenv('KAGGLE_CONFIG_DIR', str(tmp_path))
    monkeypatch.setattr(platform_run, 'build_pack', lambda *a: pytest.fail('built'))
    assert platform_run.main(['kaggle', '07_tabular'])==77 and 'KAGGLE_USERNAME' in capsys.readouterr().out
    monkeypatch.setenv('KAGGLE_USERNAME', 'me')
    assert not platform_kaggle.credentials()
    monkeypatch.setenv('KAGGLE_KEY', 'secret')
    assert platform_kaggle.credentials()


def test_the_real_client_has_what_is_called():
    if not importlib.util.find_spec('kaggle'): pytest.skip("needs Kaggle's client: pip install -e \".[kaggle]\"")
    from kaggle.api.kaggle_api_extended import KaggleApi
    wanted = dict(dataset_create_new={'folder', 'public', 'quiet', 'dir_mode'}, dataset_status={'dataset'}, kernels_push={'folder'}, kernels_status={'kernel'},
                  kernels_output={'kernel', 'path', 'force'}, get_config_value={'name'}, authenticate=set())
    for name,args in wanted.items(): assert args<=set(inspect.signature(getattr(KaggleApi, name)).parameters), name


# ---- Colab

class Colab:
    "Google's command: `bad` maps its words to what they answer"
    def __init__(self, bad=None, result=None): self.bad,self.given,self.calls,self.run = bad or {},result or {},[],''
    def __call__(self, *args, code='', seconds=300):
        self.calls.append(args)
        key = 'work' if args[0]=='exec' and 'platform_worker' in code else args[0]
        if key in self.bad: return self.bad[key]
        if key=='work': self.run = re.findall(r"'--run', '(\w+)'", code)[0]
        if key=='download': Path(args[-1]).write_text(json.dumps({**PASSES, 'platform':'colab', 'notebook':'07_tabular', 'run':self.run, **self.given}))
        return 0,f'{platform_colab.DONE if args[0]=="exec" else "Current balance: 9.00 compute units"}'


def on_colab(tmp_path, command, deadline=60):
    (tmp_path/'pack').mkdir()
    (tmp_path/'pack/fastclass_course-0.1.0-py3-none-any.whl').touch()
    jobs = [Job('07_tabular')]
    platform_colab.run_colab(jobs, tmp_path/'pack', COMMIT, tmp_path/'out', platform_run.arguments(['colab', '--deadline', str(deadline)]), command, Clock())
    return jobs


def test_colab_goes_through_and_gives_the_machine_back(tmp_path, capsys):
    command = Colab()
    [job] = on_colab(tmp_path, command)
    assert job.state=='passed' and ('new', '-s', 'fastclass', '--gpu', 'T4') in command.calls and command.calls[-2][0]=='stop'
    assert capsys.readouterr().out.count('compute units')==3 # before, with the stop, and after


@pytest.mark.parametrize('bad,state,why', [
    ({'new':(1, "Backend rejected accelerator 'T4'. You may not have quota or entitlement")}, 'skipped', 'no machine'), ({'new':(1, 'Allocation refused')}, 'skipped', 'refused'),
    ({'new':(1, '401 Unauthorized')}, 'failed', '401'), ({'upload':(1, 'Upload failed')}, 'failed', 'set up'), ({'exec':(1, 'No matching distribution')}, 'failed', 'set up'),
    ({'exec':(0, 'CalledProcessError: pip')}, 'failed', 'pip'), ({'work':(0, 'Traceback: broken')}, 'failed', 'broken'), ({'work':(124, 'had not ended after 9 s')}, 'failed', 'had not ended'), ({'download':(1, '404')}, 'failed', 'fetched')])
def test_colab_that_fails(tmp_path, bad, state, why):
    command = Colab(bad)
    [job] = on_colab(tmp_path, command)
    assert job.state==state and why in job.why
    assert ('stop' in [o[0] for o in command.calls])==('new' not in bad)


def test_colab_is_judged_as_kaggle_is(tmp_path):
    [job] = on_colab(tmp_path, Colab(result=dict(commit='dead'*10)))
    assert job.state=='failed' and 'it ran dead' in job.why


def test_a_command_that_hangs_is_ended(monkeypatch):
    def hang(cmd, timeout, **kwargs): raise platform_colab.subprocess.TimeoutExpired(cmd, timeout)
    monkeypatch.setattr(platform_colab.subprocess, 'run', hang)
    assert platform_colab.colab('usage', seconds=3)==(124, 'colab usage had not ended after 3 s')


# ---- what is sent, and what runs there

def test_the_pack_holds_the_wheel_the_notebooks_and_the_commit(tmp_path):
    import zipfile
    commit,digest = platform_jobs.build_pack(tmp_path/'pack')
    assert {o.name for o in (tmp_path/'pack').iterdir()}=={'pack.zip', next((tmp_path/'pack').glob('fastclass_course-*.whl')).name}
    with zipfile.ZipFile(tmp_path/'pack/pack.zip') as z:
        inside = set(z.namelist())
        assert z.read('fastclass-run/COMMIT').decode()==commit
    assert {'fastclass-run/nbs/03_finetune.ipynb', 'fastclass-run/tools/platform_worker.py', 'fastclass-run/settings.ini'}<=inside
    assert not [o for o in inside if o.startswith('fastclass-run/fastclass/')] # the first cell of the notebook installs the wheel
    assert re.fullmatch('[0-9a-f]{12}', digest)


def test_what_kaggle_runs_is_python(): ast.parse(platform_kaggle.KERNEL.format(name='a', run='b', source='bundled', seconds=9))
def test_what_colab_runs_is_python():
    ast.parse(platform_colab.SET_UP.format(wheel='a.whl', done='d')), ast.parse(platform_colab.WORK.format(name='a', run='b', source='bundled', seconds=9, done='d'))


def tiny(monkeypatch, tmp_path, *cells):
    "A tree with one notebook in it, in place of the project's"
    def copy(dest, under=''):
        (dest/'nbs').mkdir(parents=True)
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(o) for o in cells]), dest/'nbs/tiny.ipynb')
        return dest
    monkeypatch.setattr(platform_worker, 'copy_tree', copy)
    monkeypatch.setattr(platform_worker, 'shared_homes', lambda dest: {})
    monkeypatch.setitem(platform_worker.METRICS, 'tiny', {'half':('a/2', 2)})
    return platform_worker.run_notebook('tiny', tmp_path, run='r1')


def test_a_run_writes_what_it_found(monkeypatch, tmp_path):
    res = tiny(monkeypatch, tmp_path, "print('Tiny | cpu: 2 processors (no GPU is listed) | bundled data')", 'a = 5\nassert a==5')
    assert res==json.loads((tmp_path/'result.json').read_text()) and res['ok'], res['error']
    assert (res['title'], res['run'], res['metrics'], res['claims'], res['commit']) == ('Tiny', 'r1', {'half':2.5}, 1, platform_worker.commit_of())
    assert {'python', 'torch', 'fastai'}<=res['versions'].keys() and res['device_type'] in ('cpu', 'cuda', 'mps') and res['minutes']>0
    assert len(nbformat.read(tmp_path/'notebook.ipynb', 4).cells)==2
    assert verdict(tmp_path, Job('tiny', run='r1'), res['commit'])==(res, '')


def test_a_run_that_fails_says_where(monkeypatch, tmp_path):
    res = tiny(monkeypatch, tmp_path, 'raise KeyError("lost")')
    assert not res['ok'] and 'lost' in res['error'] and 'cell 0' in res['error']
    assert 'lost' in verdict(tmp_path, Job('tiny', run='r1'), res['commit'])[1]


@pytest.mark.parametrize('name', [platform_worker.name_of(o) for o in find([])])
def test_every_notebook_is_measured_by_names_that_it_has(name):
    made = {o.id for c in nbformat.read(ROOT/'nbs'/f'{name}.ipynb', 4).cells if c.cell_type=='code'
            for o in ast.walk(ast.parse('\n'.join(s for s in c.source.splitlines() if not s.lstrip().startswith('%')))) if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Store)}
    assert platform_worker.METRICS.get(name), f'{name} has no number with a floor in tools/platform_worker.py'
    for expr,floor in platform_worker.METRICS[name].values():
        used = {o.id for o in ast.walk(ast.parse(expr)) if isinstance(o, ast.Name)}-{'len'}
        assert used<=made and floor>0, f'{name} makes no {used-made}'


def test_jobs_are_found_by_name_and_by_path():
    assert [j.name for j in platform_jobs.jobs_of(['03_finetune', str(ROOT/'nbs/projects/lakes.ipynb'), '03_finetune'])]==['03_finetune', 'projects/lakes']
    assert len(platform_jobs.jobs_of([]))==len(find([])) and len({j.run for j in platform_jobs.jobs_of([])})==len(find([]))
    with pytest.raises(SystemExit, match='No notebook'): platform_jobs.jobs_of(['no-such'])


# ---- receipts

def receipt(**kw): return {**PASSES, 'notebook':'07_tabular', 'run':'r', **kw}


def test_the_newest_receipt_of_each_machine_is_kept(tmp_path):
    keep_receipts([receipt(date='2026-11-20', minutes=9.), receipt(device='CPU, 2 cores', platform='local')], tmp_path)
    keep_receipts([receipt(date='2026-11-21', minutes=1.)], tmp_path)
    keep_receipts([receipt(date='2026-11-19', minutes=5.)], tmp_path)
    kept = json.loads((tmp_path/make_readme.RECEIPTS).read_text())
    assert [(r['platform'], r['date'], r['minutes']) for r in kept]==[('kaggle', '2026-11-21', 1.), ('local', '2026-11-22', 1.5)] and 'run' not in kept[0]


def test_a_lesson_says_its_last_run(monkeypatch, capsys):
    from fastclass.course import lesson, receipts
    asked = []
    monkeypatch.setattr(receipts, 'last_run', lambda *args: asked.append(args) or ('last run: Kaggle, Tesla T4, 3 days ago, 0.8 minutes' if args[0]=='Tables' else ''))
    for o in ('FASTCLASS_SOURCE', 'bundled'), ('FASTCLASS_DEVICE', 'cpu'): monkeypatch.setenv(*o)
    for title in ('Tables', 'Another'): lesson.start_lesson(title, 2)
    with_run,without = capsys.readouterr().out.splitlines()
    assert with_run.endswith(' | last run: Kaggle, Tesla T4, 3 days ago, 0.8 minutes') and without.endswith('on a CPU') and asked[0]==('Tables', 'cpu')


def test_readme_shows_the_receipts_with_their_date(tmp_path):
    assert make_readme.receipt_table(tmp_path, {})=='No run is on record.'
    keep_receipts([receipt(minutes=1.26), receipt(notebook='gone')], tmp_path)
    (tmp_path/'nbs').mkdir()
    (tmp_path/'nbs/07_tabular.ipynb').touch()
    rows = make_readme.receipt_table(tmp_path, {}).splitlines()
    assert rows[2:]==['| [Tables](nbs/07_tabular.ipynb) | kaggle | Tesla T4 | 1.3 | accuracy 0.81 | torch 2.10 | 2026-11-22 |']


def test_only_what_passed_becomes_a_receipt(monkeypatch, tmp_path, capsys):
    for name,res in dict(good=receipt(), failed=receipt(ok=False), low=receipt(metrics={'accuracy':.1})).items():
        (tmp_path/name).mkdir()
        (tmp_path/name/'result.json').write_text(json.dumps(res))
    kept = []
    monkeypatch.setattr(platform_run, 'keep_receipts', lambda results: kept.extend(results) or len(results))
    assert platform_run.main(['receipts', str(tmp_path)])==0 and kept==[receipt()] and '1 receipts kept of 3' in capsys.readouterr().out


def test_local_runs_are_judged_and_kept(monkeypatch, tmp_path):
    def run(name, out, run, place, source, seconds):
        out.mkdir(parents=True)
        (out/'result.json').write_text(json.dumps(receipt(notebook=name, run=run, platform=place, commit=platform_worker.commit_of(), metrics={'accuracy':.8 if name=='07_tabular' else 0})))
    kept = []
    monkeypatch.setattr(platform_run, 'run_notebook', run)
    monkeypatch.setattr(platform_run, 'keep_receipts', lambda results: kept.extend(results) or len(results))
    assert platform_run.main(['local', '07_tabular', 'projects/lakes', '--receipts'])==1 and [r['notebook'] for r in kept]==['07_tabular']


def test_the_receipts_are_of_notebooks_that_are_there():
    kept = json.loads((ROOT/make_readme.RECEIPTS).read_text(encoding='utf-8'))
    assert {r['notebook'] for r in kept}<={platform_worker.name_of(o) for o in find([])}
    assert all(set(platform_jobs.KEPT)==r.keys() and r['title'] and not under_floor(r) for r in kept)


# ---- workflows

WORKFLOWS = sorted((ROOT/'.github/workflows').glob('*.yml'))


@pytest.mark.parametrize('path', WORKFLOWS, ids=lambda o: o.name)
def test_workflow_names_only_what_is_there(path):
    flow = yaml.safe_load(path.read_text(encoding='utf-8'))
    assert flow['name'] and True in flow and flow['permissions'] # YAML reads `on` as true
    extras = {o.removesuffix('_requirements') for o in settings() if o.endswith('_requirements')}
    for name,job in flow['jobs'].items():
        assert job['timeout-minutes'] and job['runs-on'], name
        for step in job['steps']:
            assert ('uses' in step)!=('run' in step), step
            code = step.get('run', '')
            if 'uses' in step: assert re.fullmatch(r'actions/[\w-]+@v\d+', step['uses'])
            for o in re.findall(r'(?<![\w/.])(?:tools|tests|nbs|benchmarks|\.ci|\.github)/[\w./-]+', code): assert (ROOT/o.rstrip('.')).exists(), f'{path.name} names {o}'
            for o in re.findall(r'-e "?\.\[([\w,]+)\]', code): assert set(o.split(','))<=extras, f'{path.name}: no extra {o}'
            for tool,args in re.findall(r'python tools/platform_run\.py (\w+)((?: [^\n|;]*)?)', code):
                platform_run.arguments([tool, *[o for o in args.split() if not o.startswith(('$', '"$'))]])


def test_gpu_runs_by_hand_on_tags_and_at_night():
    flow = yaml.safe_load((ROOT/'.github/workflows/gpu.yml').read_text(encoding='utf-8'))
    assert {'workflow_dispatch', 'schedule', 'push'}==flow[True].keys() and flow[True]['push'].keys()=={'tags'}
    text = (ROOT/'.github/workflows/gpu.yml').read_text(encoding='utf-8')
    assert 'secrets.KAGGLE_KEY' in text and str(platform_run.SKIPPED) in text


def test_a_canary_that_falls_silent_is_named(monkeypatch, tmp_path, capsys):
    def gone(): raise ConnectionError('no route | to host')
    monkeypatch.setattr(canary, 'canaries', lambda: {'a': lambda: 'sings', 'b': gone, 'c': lambda: 'sings too'})
    for o in ('FASTCLASS_HOME', 'FASTCLASS_SOURCE', 'FASTAI_HOME', 'TORCH_HOME'): monkeypatch.setenv(o, '')
    assert canary.main(['--report', str(tmp_path/'r.md')])==1
    assert '| b | **gone** | ConnectionError: no route / to host |' in (tmp_path/'r.md').read_text() and '| c | ok |' in capsys.readouterr().out


def test_canaries_are_of_all_that_the_lessons_take_from_outside():
    names = canary.canaries().keys()
    assert {f'search: {o}' for o in ('commons', 'openverse', 'inaturalist', 'ddgs')}<=names and 'search: bundled' not in names
    used = {m for o in find([]) for m in re.findall(r'real_or_pack\(URLs\.(\w+)', o.read_text(encoding='utf-8'))}
    assert used<=set(canary.DATA_SETS), f'lessons use {used}'


def test_canaries_open_an_issue_and_block_nothing():
    flow = yaml.safe_load((ROOT/'.github/workflows/canary.yml').read_text(encoding='utf-8'))
    assert {'workflow_dispatch', 'schedule'}==flow[True].keys() and flow['permissions']['issues']=='write'
    assert all('gh issue' in json.dumps(job['steps']) for job in flow['jobs'].values())
