"Collecting from a server that fails in every way that the web does: the right word for each address, nothing lost, nothing twice, an end in time"
import hashlib, io, os, random, shutil, signal, subprocess, sys, threading, time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chaos_server import ChaosServer, photo, picture, saved, send, stall
from fastclass.engine.base.errors import DataError, StorageError
from fastclass.engine.collect.download import download_all
from fastclass.engine.collect.manifest import Manifest
from fastclass.engine.collect.source import Hit

DEADLINE = 4
LOOSE = dict(per_host=16, host_failures=10**6, deadline=DEADLINE, max_bytes=20_000_000, progress=False) # all cases share one host here


@pytest.fixture(scope='module')
def server():
    s = ChaosServer()
    yield s
    s.close()


@pytest.fixture
def own():
    "A server whose answers the test sets itself"
    s = ChaosServer()
    s.answers.clear()
    yield s
    s.close()


def allowed(s): return (f'127.0.0.1:{s.port}', f'127.0.0.1:{s.closed+1}')
def tree(folder): return {p.relative_to(folder).as_posix():p.read_bytes() for p in folder.rglob('*') if p.is_file()}


@pytest.fixture(scope='module')
def chaos(server, tmp_path_factory):
    "`(manifest, folder, seconds)` of one run over all cases"
    dest,start = tmp_path_factory.mktemp('chaos')/'set',time.monotonic()
    m = download_all(server.hits(), dest, allow_hosts=allowed(server), **LOOSE)
    return m,dest,time.monotonic()-start


def test_there_are_enough_ways(server): assert len(server.cases)>=100 and len({c[0] for c in server.cases})==len(server.cases)


def test_every_address_gets_its_word(server, chaos):
    got = {c[0]:chaos[0].get(c[1], c[2])['status'] for c in server.cases}
    assert got=={c[0]:c[3] for c in server.cases}


def test_it_ends_in_time(server, chaos):
    slow = sum(c[3]=='timeout' for c in server.cases)
    assert chaos[2] < DEADLINE*(1+slow//16)+8


def test_nothing_is_wrong_or_twice_in_the_set(server, chaos):
    m,dest,_ = chaos
    ok = {o['file'] for o in m if o['status']=='ok'}
    there = {p.relative_to(dest).as_posix() for p in dest.rglob('*.jpg') if p.relative_to(dest).parts[0]!='.quarantine'}
    assert ok==there and len(ok)==sum(c[3]=='ok' for c in server.cases)
    for name in there:
        data = (dest/name).read_bytes()
        im = Image.open(io.BytesIO(data))
        im.load()
        assert (im.format, im.mode) == ('JPEG', 'RGB') and len(im.getexif())==0 and max(im.size)<=640
        assert Path(name).stem==hashlib.sha256(data).hexdigest()[:16]


def test_nothing_leaves_the_folder(chaos):
    _,dest,_ = chaos
    assert [p.name for p in dest.parent.iterdir()]==['set']
    assert all(p.resolve().is_relative_to(dest.resolve()) for p in dest.rglob('*'))
    assert not list(dest.rglob('*.part')) and not (dest/'.staged').exists()


@pytest.mark.parametrize('n', range(1, 9))
def test_phone_photos_are_upright(server, chaos, n):
    m,dest,_ = chaos
    row = m.get('cat', next(c[2] for c in server.cases if c[0]==f'EXIF {n}'))
    got = np.asarray(Image.open(dest/row['file']), dtype=float)
    assert got.shape==(240, 320, 3) and abs(got-np.asarray(photo(f'exif {n}'), dtype=float)).mean()<4


def test_refused_files_are_kept_aside(server, chaos):
    m,dest,_ = chaos
    for name in ('HTML', 'half a JPEG', 'one pixel', 'in two classes', 'twin saved again'):
        row = m.get('cat', next(c[2] for c in server.cases if c[0]==name))
        assert row['file'].startswith('.quarantine/') and (dest/row['file']).is_file(), name


def test_polite_about_what_cannot_pass(server, chaos):
    asked = {k:v for k,v in server.seen.items()}
    assert asked['status 404']==asked['status 403']==asked['status 418']==1
    assert asked['status 500']==3 and asked['429, wait an hour']==1 and asked['429, wait a second']==2


def test_second_run_asks_nobody_and_changes_nothing(server, chaos):
    m,dest,_ = chaos
    before,asked = tree(dest),len(server.log)
    again = download_all(server.hits(), dest, allow_hosts=allowed(server), **LOOSE)
    assert (again.requests, len(server.log), tree(dest)) == (0, asked, before)


# ---- single behaviours

def jobs_of(s, names, label='cat', **kwargs): return [(label, 'q', Hit(f'{s.base}/{o}', **kwargs)) for o in names]


@pytest.mark.parametrize('options,most', [({}, 2), (dict(per_host=99, connections=5), 5)])
def test_at_most_so_many_at_once(own, tmp_path, options, most):
    now,seen,lock = [0],[],threading.Lock()
    def slow(name):
        def answer(c):
            with lock: now[0] += 1; seen.append(now[0])
            time.sleep(.1)
            with lock: now[0] -= 1
            picture(name)(c)
        return answer
    own.answers |= {f'{i}':slow(f'slow {i}') for i in range(12)}
    m = download_all(jobs_of(own, range(12)), tmp_path/'set', allow_hosts=allowed(own), progress=False, **options)
    assert max(seen)==most and m.counts()=={'cat':{'ok':12}}


def test_host_that_fails_is_left_alone(own, tmp_path):
    own.answers |= {f'{i}':send(500) for i in range(30)}
    m = download_all(jobs_of(own, range(30)), tmp_path/'set', allow_hosts=allowed(own), retries=0, progress=False)
    assert len(own.log)<=6 and m.counts()['cat']['host_down']>=24


def test_thumbnail_is_the_last_resort_and_marked(own, tmp_path):
    own.answers |= {'thumb':picture('thumb'), 'html':send(200, b'<html>'), 'late':stall(b''), 'fine':picture('fine')}
    for name in ('gone', 'html', 'late', 'fine'):
        own.answers['thumb'] = picture(f'thumb of {name}')
        m = download_all(jobs_of(own, [name], thumbnail=f'{own.base}/thumb'), tmp_path/'set', allow_hosts=allowed(own), deadline=2, progress=False)
    assert [(o['status'], o['from_thumbnail']) for o in m] == [('ok', True)]*3+[('ok', False)]


def test_more_later_fetches_just_the_rest(own, tmp_path):
    own.answers |= {f'{i}':picture(f'more {i}') for i in range(9)}
    download_all(jobs_of(own, range(5)), tmp_path/'set', allow_hosts=allowed(own), progress=False)
    before = tree(tmp_path/'set')
    m = download_all(jobs_of(own, range(9)), tmp_path/'set', allow_hosts=allowed(own), progress=False)
    after = tree(tmp_path/'set')
    assert m.requests==4 and m.counts()=={'cat':{'ok':9}}
    assert all(after[k]==v for k,v in before.items() if k.endswith('.jpg')) and after['manifest.jsonl'].startswith(before['manifest.jsonl'])


def test_retry_asks_again_for_what_can_pass(own, tmp_path):
    own.answers |= {'a':send(503), 'b':send(404)}
    def run(**kwargs): return [o['status'] for o in download_all(jobs_of(own, 'ab'), tmp_path/'set', allow_hosts=allowed(own), retries=0, progress=False, **kwargs)]
    assert run()==['http_503', 'http_404']
    own.answers |= {'a':picture('a'), 'b':picture('b')}
    assert run()==['http_503', 'http_404'] and run(retry=True)==['ok', 'http_404']


def test_wish_can_be_overruled_and_is_recorded(own, tmp_path):
    own.answers['a'] = send(200, saved(photo('wish')), X_Robots_Tag='noai')
    m = download_all(jobs_of(own, 'a'), tmp_path/'set', allow_hosts=allowed(own), respect_noai=False, progress=False)
    assert [(o['status'], o['noai']) for o in m] == [('ok', True)]


def test_one_run_a_folder(own, tmp_path):
    own.answers |= {'a':lambda c: (time.sleep(1.5), picture('a')(c))}
    t = threading.Thread(target=download_all, args=(jobs_of(own, 'a'), tmp_path/'set'), kwargs=dict(allow_hosts=allowed(own), progress=False))
    t.start()
    time.sleep(.5)
    with pytest.raises(DataError, match='Another run'): download_all(jobs_of(own, 'a'), tmp_path/'set', progress=False)
    t.join()
    assert Manifest(tmp_path/'set').counts()=={'cat':{'ok':1}}


# ---- killed, and full

RUN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler) # a background job inherits that it is ignored
import sys, threading
sys.path.insert(0, sys.argv[1])
from fastclass.engine.collect.download import download_all
from fastclass.engine.collect.source import Hit
n, base, allow, dest = int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
names = [(l, f'{base}/{l}{i}') for i in range(n) for l in ('cat', 'dog')]
names += [('cat', f'{base}/{o}') for o in ('gone', 'half', 'again cat0', 'both')]+[('dog', f'{base}/both')]
print('go', flush=True)
download_all([(l, 'q', Hit(u.replace(' ', '%20'))) for l,u in names], dest, allow_hosts=[allow], per_host=6, progress=False)
"""


def runner(own, root, dest, n=30):
    "A process of its own that collects"
    env = {**os.environ, 'SOURCE_DATE_EPOCH':'1700000000'}
    return subprocess.Popen([sys.executable, '-c', RUN, str(root), str(n), own.base, f'127.0.0.1:{own.port}', str(dest)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def slowly(answer): return lambda c: (time.sleep(.03), answer(c))


def test_killed_at_any_moment_it_ends_the_same(own, root, tmp_path):
    "5 kills; FASTCLASS_KILLS=50 for 50"
    kills,rng = int(os.environ.get('FASTCLASS_KILLS', '5')),random.Random(0)
    own.answers |= {f'{k}{i}':slowly(picture(f'{k} {i}')) for k in ('cat', 'dog') for i in range(30)}
    own.answers |= {'half':send(200, saved(photo('half'))[:2000]), 'again cat0':picture('cat 0', quality=60), 'both':picture('both')}
    p = runner(own, root, tmp_path/'calm')
    p.stdout.readline()
    start = time.monotonic()
    assert p.wait(60)==0, p.stderr.read()
    whole,calm,killed = time.monotonic()-start,tree(tmp_path/'calm'),0
    assert len([o for o in calm if o.endswith('.jpg') and o[0]!='.'])==60
    dest = tmp_path/'killed 0'
    while killed<kills:
        p = runner(own, root, dest)
        p.stdout.readline()
        time.sleep(rng.uniform(0, whole*1.05))
        p.send_signal(signal.SIGKILL)
        killed += p.wait()==-signal.SIGKILL
        p.stdout.close(), p.stderr.close()
        if p.returncode==0: # it was quicker: a new folder
            assert tree(dest)==calm
            dest = tmp_path/f'killed {killed}'
    p = runner(own, root, dest)
    assert p.wait(60)==0, p.stderr.read()
    assert tree(dest)==calm


@pytest.mark.skipif(not hasattr(os, 'getuid') or os.getuid()!=0 or shutil.which('mount') is None, reason='a small disk needs mount and its rights')
def test_full_disk_stops_clearly_and_leaves_a_usable_folder(own, tmp_path):
    disk = tmp_path/'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', str(disk)], capture_output=True).returncode: pytest.skip('mount is not allowed here')
    try:
        own.answers |= {f'{i}':picture(f'full {i}', quality=98) for i in range(60)}
        with pytest.raises(StorageError, match='full'): download_all(jobs_of(own, range(60)), disk/'set', allow_hosts=allowed(own), progress=False)
        m = Manifest(disk/'set')
        assert len(m)==60 and not list((disk/'set').rglob('*.part'))
        for p in (disk/'set').rglob('*.jpg'): Image.open(p).load()
        shutil.copytree(disk/'set', tmp_path/'larger')
    finally: subprocess.run(['umount', '-l', str(disk)], check=True)
    asked = len(own.log)
    m = download_all(jobs_of(own, range(60)), tmp_path/'larger', allow_hosts=allowed(own), progress=False)
    assert m.counts()=={'cat':{'ok':60}} and len(own.log)-asked<60


def test_interrupt_keeps_what_is_done(own, root, tmp_path):
    own.answers |= {f'{k}{i}':slowly(picture(f'{k} {i}')) for k in ('cat', 'dog') for i in range(200)}
    p = runner(own, root, tmp_path/'set', 200)
    p.stdout.readline()
    while p.poll() is None and len(list((tmp_path/'set').rglob('*.jpg')))<9: time.sleep(.05)
    p.send_signal(signal.SIGINT)
    assert p.wait(60)!=0 and b'KeyboardInterrupt' in p.stderr.read()
    m = Manifest(tmp_path/'set')
    counts = {k:sum(c.get(k, 0) for c in m.counts().values()) for k in ('ok', 'waiting', 'fetched')}
    assert counts['ok']>5 and counts['waiting']>5 and counts['fetched']==0
    assert all((tmp_path/'set'/o['file']).is_file() for o in m if o['status']=='ok')
