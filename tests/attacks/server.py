"""One process that has imported everything, and forks for each attack: importing fastai takes longer than all that one attack does.

Reads a line of JSON a time, `{"name": ..., "folder": ...}`, and answers with one: `{"kind": "error", "says": ...}` and the like.
It calls no operation of torch itself, so that no thread of it is missing in the forked process."""
import json, os, resource, select, signal, sys, tempfile, time, traceback
from importlib import import_module
from pathlib import Path

GROWTH = 2<<30 # Bytes that an attack may take on top


def import_everything():
    "What the entries need, so that a fork has it already"
    for name in ('collab', 'tabular.all', 'text.all', 'vision.all'): import_module(f'fastai.{name}')
    for name in ('collab', 'collect', 'interpret', 'predict', 'quickstart', 'segment', 'tabular', 'text', 'train', 'course.cli'):
        import_module(f'fastclass.{name}')


def data_bytes() -> int: # Private memory of this process that RLIMIT_DATA counts
    "As the kernel counts it"
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmData:'): return int(line.split()[1])<<10
    return 0


def outcome(attack, folder) -> dict: # What came of it, as JSON
    "Run the attack in this process"
    from fastclass.engine.base.errors import FastclassError
    try: result = attack.run(folder)
    except FastclassError as e:
        if attack.check: attack.check(None, folder)
        return dict(kind='error', type=type(e).__name__, says=str(e), next=e.next)
    except SystemExit as e: # a command that ended
        result = e.code
    if attack.check: attack.check(result, folder)
    return dict(kind='fine')


def child(attack, folder, log, answer):
    "The forked process: limits, then the attack; never returns"
    os.setsid()
    os.chdir(folder)
    for number in (1, 2): os.dup2(log, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    limit = data_bytes()+GROWTH
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try: said = outcome(attack, folder)
    except AssertionError as e: said = dict(kind='check', says=f'{e}\n{traceback.format_exc(limit=-3)}')
    except BaseException as e: said = dict(kind='traceback', says=f'{type(e).__name__}: {e}\n{traceback.format_exc(limit=-8)}')
    sys.stdout.flush()
    with os.fdopen(answer, 'w') as f: f.write(json.dumps(said))
    os._exit(0)


def wait(pid, answer, seconds) -> dict: # What came of it
    "The answer of the child, which is killed with all that it started when time is up"
    end,text = time.monotonic()+seconds, b''
    while True:
        ready,_,_ = select.select([answer], [], [], max(0, end-time.monotonic()))
        if not ready: said = dict(kind='slow', says=f'no answer within {seconds:g} s'); break
        part = os.read(answer, 1<<16)
        if part: text += part; continue
        said = json.loads(text) if text else dict(kind='died', says='the process ended without a word')
        break
    try: os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError: os.kill(pid, signal.SIGKILL)
    _,status = os.waitpid(pid, 0)
    if said['kind']=='died': said['says'] += f' (status {status})'
    return said


def attempt(attack, folder) -> dict: # What came of it, with seconds and what was printed
    "Fork, run, wait"
    answer,write = os.pipe()
    start = time.monotonic()
    with tempfile.TemporaryFile() as log:
        pid = os.fork()
        if not pid:
            os.close(answer)
            child(attack, folder, log.fileno(), write)
        os.close(write)
        said = wait(pid, answer, attack.seconds)
        os.close(answer)
        log.seek(0)
        printed = log.read(1<<20).decode('utf-8', 'surrogateescape')
    return dict(said, seconds=time.monotonic()-start, printed=printed)


def self_tests() -> dict: # Attacks that must be noticed, by name
    "What fails in each way that the server tells apart"
    from attacks import Attack
    runs = dict(slow=lambda folder: time.sleep(60), traceback=lambda folder: 1/0, died=lambda folder: os.kill(os.getpid(), signal.SIGSEGV),
                memory=lambda folder: bytearray(3<<30), check=lambda folder: None)

    def fails(result, folder): assert False, 'as it should'

    return {f'self_test_{kind}': Attack(kind, None, run, seconds=2, check=fails) for kind,run in runs.items()}


def main():
    "Answer until the input ends; what libraries print goes to stderr"
    out = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    import_everything()
    from attacks import attacks
    rows = attacks()|self_tests()
    print('ready', file=out, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(attempt(rows[task['name']], Path(task['folder']))), file=out, flush=True)


if __name__ == '__main__': main()
