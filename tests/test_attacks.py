"A stranger's bytes bring out one of our errors or nothing: no traceback, no hang, no flood of memory, nothing touched outside of the folder."
import hashlib, json, os, subprocess, sys, unicodedata
from pathlib import Path

import pytest

from attacks import attacks

ROWS = attacks()
if sys.platform=='win32': pytest.skip('attacks run in forked processes', allow_module_level=True)


@pytest.fixture(scope='module')
def server(root):
    "The process that forks for each attack"
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join([str(root), str(root/'tests')]), 'PYTHONFAULTHANDLER': ''}
    process = subprocess.Popen([sys.executable, str(root/'tests'/'attacks'/'server.py')], env=env, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline().strip()=='ready'
    yield process
    process.stdin.close()
    assert process.wait(10)==0


def state(folder, leave_out) -> dict: # What lies in a folder, but for one below it
    "Kind and bytes of each file, by path"
    found = {}
    for file in sorted(folder.rglob('*')):
        if file.is_relative_to(leave_out): continue
        found[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else 'folder'
    return found


def surroundings(tmp_path) -> Path: # The folder of the attack, with things around it that must stay as they are
    "A canary in each folder above, and names that attacks aim at"
    work = tmp_path/'home'/'project'/'work'
    work.mkdir(parents=True)
    for folder in (tmp_path, tmp_path/'home', tmp_path/'home'/'project'):
        for name in ('canary.txt', 'avatar', 'holiday.jpg', 'avatar.jpg'): (folder/name).write_text(f'{name}: not to be touched')
    (tmp_path/'home'/'project'/'figures').mkdir()
    (tmp_path/'home'/'project'/'figures'/'mine.png').write_text('not to be touched')
    return work


@pytest.fixture
def place(tmp_path):
    "A folder that is emptied afterwards, however deep it became: pytest's own way ends at Python's limit of recursion"
    yield tmp_path
    subprocess.run(['rm', '-rf', '--', *map(str, tmp_path.iterdir())], check=True)


@pytest.mark.parametrize('name', list(ROWS))
def test_attack(name, server, place, request):
    "One row of the table"
    attack,tmp_path = ROWS[name],place
    if attack.long and not request.config.getoption('--all'): pytest.skip('long: runs with --all')
    work = surroundings(tmp_path)
    attack.make(work)
    before = state(tmp_path, work)
    server.stdin.write(json.dumps(dict(name=name, folder=str(work)))+'\n')
    server.stdin.flush()
    came = json.loads(server.stdout.readline())

    assert state(tmp_path, work)==before, 'something outside of the folder was touched'
    told = f"{came['kind']} after {came['seconds']:.1f} s: {came.get('says')}\n{came['printed'][-2000:]}"
    assert came['kind'] in ('error', 'fine'), told
    assert (came['kind']=='fine')==(attack.says is None), told
    if attack.says is not None:
        assert attack.says in came['says'], told
        assert came['next'], f'the error does not say what to do next: {told}'
    if attack.prints:
        obeyed = {c for c in came['printed'] if c!='\n' and unicodedata.category(c) in ('Cc', 'Cs', 'Cf')}
        assert not obeyed, f'a terminal obeys {obeyed}: {told}'


def test_the_server_notices(server, tmp_path):
    "What the rows rely on: each kind of failing is told apart"
    for kind in ('slow', 'traceback', 'died', 'memory', 'check'):
        server.stdin.write(json.dumps(dict(name=f'self_test_{kind}', folder=str(tmp_path)))+'\n')
        server.stdin.flush()
        came = json.loads(server.stdout.readline())
        assert came['kind']==('traceback' if kind=='memory' else kind), came
        if kind=='memory': assert 'MemoryError' in came['says'], came
