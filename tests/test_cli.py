"The command line: start-up, options that follow the functions, errors as two lines, JSON that nothing spoils"
import importlib.util, inspect, json, os, subprocess, sys
from importlib.metadata import version

import pytest

from fastclass import __version__
from fastclass.course import cli

MAIN = 'from fastclass.course.cli import main; main()'
FAKE = '''
"A lesson that was made up for the tests"
import os, sys
def fake(
    data:str|None=None, # Folder with one folder a class
    out='out',          # Where results go
    epochs:int|None=None, # How often
    seconds:float=1.5,
    seed:int=0,
    valid_pct=0.2,      # Share for validation
    as_json:bool=False  # One JSON object at the end
) -> dict:
    "Do something.\\n\\nAnd more of it."
    from fastclass.engine.base.errors import DataError, StorageError
    print('progress', end='\\r', flush=True)
    if data=='empty': raise DataError('The folder is\\nempty.', 'Put pictures into it.')
    if data=='full': raise StorageError('The disk is full.')
    if data=='stop': raise KeyboardInterrupt
    if data=='gone': raise OSError(5, 'Input/output error', 'photos/\\x1b[2J.jpg')
    if data=='memory': raise MemoryError
    if data=='torch': raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes.")
    if data=='loud': raise DataError('The class \\x1b[31mred is empty.', 'Fill \\x1b[31mred.')
    if data=='wait':
        print('ready', flush=True)
        import time
        time.sleep(60)
    if data=='odd': print('caf\\xe9 \\udcff')
    if data=='bug': raise ZeroDivisionError('a fault of ours')
    if data=='long':
        for i in range(100_000): print('line', i)
    return dict(data=data, out=out, epochs=epochs, seconds=seconds, valid_pct=valid_pct, torch='torch' in sys.modules)
'''


@pytest.fixture
def fake(tmp_path, monkeypatch):
    "A command `fake` whose module lies in a folder of this test; gives a function that runs it in a process of its own"
    (tmp_path/'made_up_lesson.py').write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, 'fake', 'made_up_lesson:fake')
    code = "from fastclass.course import cli; cli.COMMANDS['fake'] = 'made_up_lesson:fake'; cli.main()"
    def run(*args, **kwargs):
        return subprocess.run([sys.executable, '-c', code, *args], capture_output=True, text=True, timeout=60, env={**os.environ, 'PYTHONPATH': str(tmp_path)}, **kwargs)
    return run


def command(*args): return subprocess.run([sys.executable, '-c', MAIN, *args], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize('args', [['--help'], ['--version'], ['doctor', '--help']])
def test_help_and_version_start_without_torch(args):
    say = "print(time.process_time(), [m for m in ('torch', 'fastai', 'numpy', 'rich') if m in sys.modules])"
    out = [subprocess.run([sys.executable, '-c', f'import atexit, sys, time; atexit.register(lambda: {say}); {MAIN}', *args], capture_output=True, text=True) for _ in range(2)]
    assert all(o.returncode==0 for o in out), out[0].stderr
    seconds,loaded = min(o.stdout.splitlines()[-1].split(maxsplit=1) for o in out)
    old = tuple(map(int, version('typer').split('.')[:2]))<(0, 19) # these load rich whenever they are imported
    assert loaded==("['rich']" if old else '[]') and float(seconds)<(.8 if old else .5) # of processor time, start of Python included: other work on this machine does not count


def test_version(): assert command('--version').stdout==f'fastclass {__version__}\n'
def test_no_command_shows_the_help(): assert 'doctor' in (out := command()).stdout+out.stderr and 'Usage' in out.stdout+out.stderr


@pytest.mark.parametrize('args', [['nonsense'], ['doctor', '--nonsense']])
def test_what_is_not_known_is_named(args):
    out = command(*args)
    assert out.returncode==2 and 'nonsense' in out.stderr and 'Traceback' not in out.stderr


def test_options_are_those_of_the_function(fake):
    assert cli.options('made_up_lesson:fake')==[('data', str, None, 'Folder with one folder a class'), ('out', str, 'out', 'Where results go'), ('epochs', int, None, 'How often'),
        ('seconds', float, 1.5, ''), ('seed', int, 0, ''), ('valid_pct', float, .2, 'Share for validation'), ('as_json', bool, False, 'One JSON object at the end')]
    assert 'made_up_lesson' not in sys.modules
    out = fake('fake', '--help').stdout
    for part in ('--data', '--valid ', '--json', '[default: 1.5]', '[default: 0]', 'And more of it.'): assert part in out
    assert '--no-json' not in out and '--as-json' not in out


@pytest.mark.parametrize('name', [n for n,a in cli.COMMANDS.items() if importlib.util.find_spec(a.split(':')[0])])
def test_every_command_has_the_options_of_its_function(name):
    module,func = cli.COMMANDS[name].split(':')
    real = inspect.signature(getattr(importlib.import_module(module), func)).parameters
    given = {n: d for n,_,d,_ in cli.options(cli.COMMANDS[name])}
    assert list(given)==[n for n in real if n in given] and 'as_json' in given
    assert all(d==(None if real[n].default is inspect.Parameter.empty else real[n].default) for n,d in given.items())
    assert list(inspect.signature(cli.command(name)).parameters)==list(given)


def test_a_parameter_that_cannot_be_typed_is_no_option(): assert '--found' not in command('doctor', '--help').stdout


def test_values_arrive_with_their_types(fake):
    out = fake('fake', '--data', 'a b', '--epochs', '3', '--seconds', '2', '--valid', '.5', '--json')
    assert json.loads(out.stdout)==dict(data='a b', out='out', epochs=3, seconds=2.0, valid_pct=.5, torch=False)
    out = fake('fake', '--epochs', 'three')
    assert out.returncode==2 and '--epochs' in out.stderr


def test_json_is_all_that_is_on_the_standard_output(fake):
    out = fake('fake', '--json')
    assert out.stdout.count('\n')==1 and 'progress' in out.stderr and json.loads(out.stdout)['out']=='out'


def test_errors_are_two_lines(fake):
    out = fake('fake', '--data', 'empty', '--json')
    assert (out.returncode, out.stdout) == (2, '')
    assert out.stderr.splitlines()[-2:]==['Error: The folder is empty.', 'Next:  Put pictures into it.']
    assert fake('fake', '--data', 'full').stderr.splitlines()==['Error: The disk is full.', 'Next:  run `fastclass doctor`.']


@pytest.mark.parametrize('data, says', [('gone', 'Input/output error: photos/\\x1b[2J.jpg.'), ('memory', 'There is too little memory.'), ('torch', 'There is too little memory.'),
                                        ('loud', 'The class \\x1b[31mred is empty.')])
def test_errors_of_the_system_and_loud_names_are_two_lines_too(fake, data, says):
    out = fake('fake', '--data', data)
    assert out.returncode==2 and out.stderr.splitlines()[-2]==f'Error: {says}' and out.stderr.splitlines()[-1].startswith('Next:  ')


@pytest.mark.skipif(os.name=='nt', reason='Windows ends a process at once')
@pytest.mark.parametrize('name, ignored', [('SIGTERM', False), ('SIGHUP', False), ('SIGTERM', True), ('SIGINT', False)])
def test_signals_that_end_a_process_count_as_ctrl_c(fake, tmp_path, name, ignored):
    "In the background, Ctrl-C is ignored, and the others are not"
    import signal
    code = f"""import signal; signal.signal(signal.SIGINT, signal.SIG_IGN if {ignored} else signal.default_int_handler)
if hasattr(signal, 'SIGHUP'): signal.signal(signal.SIGHUP, signal.SIG_DFL) # these tests may run under nohup
from fastclass.course import cli; cli.COMMANDS['fake'] = 'made_up_lesson:fake'; cli.main()"""
    with subprocess.Popen([sys.executable, '-c', code, 'fake', '--data', 'wait'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])}) as p:
        while 'ready' not in p.stdout.readline(): assert p.poll() is None
        p.send_signal(getattr(signal, name))
        _, err = p.communicate(timeout=20)
        assert (p.returncode, err)==(128+getattr(signal, name), 'Stopped. No result is half written: run the same command again.\n')


def test_a_console_that_cannot_show_a_name_is_no_error(fake, monkeypatch):
    monkeypatch.setenv('PYTHONIOENCODING', 'ascii')
    out = fake('fake', '--data', 'odd')
    assert out.returncode==0 and 'caf\\xe9 \\udcff' in out.stdout


def test_stopping_is_one_line(fake):
    out = fake('fake', '--data', 'stop')
    assert (out.returncode, out.stderr)==(130, 'Stopped. No result is half written: run the same command again.\n')


def test_a_fault_of_ours_is_shown_whole(fake):
    out = fake('fake', '--data', 'bug')
    assert out.returncode==1 and 'Traceback' in out.stderr and 'raise ZeroDivisionError' in out.stderr and 'a fault of ours' in out.stderr


def test_a_reader_that_goes_away_is_no_error(fake, tmp_path):
    code = "from fastclass.course import cli; cli.COMMANDS['fake'] = 'made_up_lesson:fake'; cli.main()"
    with subprocess.Popen([sys.executable, '-c', code, 'fake', '--data', 'long'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, 'PYTHONPATH': str(tmp_path)}) as p:
        p.stdout.readline()
        p.stdout.close()
        assert (p.stderr.read(), p.wait(60))==('', 141)


def test_ok_false_exits_with_1(monkeypatch, capsys, tmp_path):
    (tmp_path/'made_up_check.py').write_text('def look(as_json=False): return dict(ok=False)')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, 'look', 'made_up_check:look')
    assert cli.call('look', dict(as_json=True))==1 and capsys.readouterr().out=='{"ok": false}\n'


def test_a_command_whose_module_is_not_there_is_left_out(monkeypatch, capsys):
    monkeypatch.setitem(cli.COMMANDS, 'later', 'fastclass.not_there_yet:later')
    with pytest.raises(SystemExit): cli.app()(['--help'], prog_name='fastclass')
    assert 'later' not in capsys.readouterr().out


@pytest.mark.parametrize('typed, says', [
    (['predict', 'model', 'a.jpg', '--out', 'x.csv'], 'Give --csv: Write the table'), (['predict', 'model', 'a.jpg', '--dest=x'], 'Give --csv:'),
    (['quickstart', '--dest', 'x'], 'Give --out:'), (['collect', '--out', 'x'], 'Give --dest:'), (['train', 'photos', '--batch-size', '8'], 'Give --bs:'),
    (['train', '--data', 'photos'], 'Leave --data out: fastclass train DATA'), (['train', 'photos', '--valid-pct', '.3'], 'Give --valid:')])
def test_an_option_by_the_name_of_another_command_leads_to_the_right_one(typed, says):
    out = command(*typed)
    assert out.returncode==2 and out.stderr.startswith(f'Error: `fastclass {typed[0]}` has no option --') and f'Next:  {says}' in out.stderr
    assert len(out.stderr.splitlines())==2 and not out.stdout


@pytest.mark.parametrize('typed, says', [(['quickstart', 'photos'], '--data photos'), (['collect', 'cat, dog'], "--classes 'cat, dog'"), (['quickstart', '--json', '--epochs', '1', 'photos'], '--data photos')])
def test_a_word_without_its_option_leads_to_the_option(typed, says):
    out = command(*typed)
    assert out.returncode==2 and f'cannot tell what {typed[-1]} is for' in out.stderr and says in out.stderr and len(out.stderr.splitlines())==2
