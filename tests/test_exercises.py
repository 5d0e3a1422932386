"Each check of the course is itself checked: right answers pass, wrong ones fail with words that fit, and nothing that was given is changed"
import importlib, inspect, json, random, subprocess, sys, time
from pathlib import Path

import numpy as np
import pytest

from fastclass.course.exercise import check, exercises, hint, progress, solution, verdict_on
from fastclass.engine.base.errors import DataError

torch = pytest.importorskip('torch')
ALL = exercises()
LESSONS = sorted({number.split('.')[0] for number in ALL}, key=int)
sys.path.insert(0, str(Path(__file__).parent))
ANSWERS = {number: answers for lesson in LESSONS for number,answers in importlib.import_module(f'answers.lesson{int(lesson):02}').ANSWERS.items()}


def made(answer):
    "An answer, made by calling a function of the answers' module that can be called without arguments"
    if not callable(answer) or isinstance(answer, type): return answer
    try: inspect.signature(answer).bind()
    except (TypeError, ValueError): return answer
    return answer()


def fingerprint(answer):
    "What must be the same after a check"
    state = [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]
    if hasattr(answer, 'model'):
        state += [(name, value.tolist()) for name,value in answer.model.state_dict().items() if value.numel()<2000]
        state.append([part.training for part in answer.model.modules()])
    return state


def test_every_exercise_has_answers():
    assert set(ANSWERS)==set(ALL)
    for number,answers in ANSWERS.items():
        assert len(answers['right'])>=2 and len(answers['wrong'])>=4, number


@pytest.mark.parametrize('number,at', [(number, at) for number in ALL for at in range(len(ANSWERS[number]['right']))])
def test_a_right_answer_is_right(number, at):
    answer = made(ANSWERS[number]['right'][at])
    before,start = fingerprint(answer),time.perf_counter()
    verdict = verdict_on(ALL[number], answer)
    assert verdict.state=='right', verdict.words
    assert time.perf_counter()-start<20 # a few seconds, on a machine that does other things too
    assert fingerprint(answer)==before


@pytest.mark.parametrize('number,at', [(number, at) for number in ALL for at in range(len(ANSWERS[number]['wrong']))])
def test_a_wrong_answer_is_told_why(number, at):
    answer,words = ANSWERS[number]['wrong'][at]
    answer = made(answer)
    before = fingerprint(answer)
    verdict = verdict_on(ALL[number], answer)
    assert verdict.state=='not yet'
    assert words in verdict.words, verdict.words
    assert fingerprint(answer)==before


@pytest.mark.parametrize('number', ALL)
def test_no_answer_is_not_a_wrong_one(number):
    assert verdict_on(ALL[number], ...).state=='not attempted'
    assert verdict_on(ALL[number], None).state=='not yet'


@pytest.mark.parametrize('number', ALL)
def test_texts_are_whole(number):
    exercise = ALL[number]
    assert 2<=len(exercise.hints)<=4
    assert exercise.task.endswith(('.', '?')) and exercise.why.endswith('.')
    compile(exercise.solution, number, 'exec')


@pytest.mark.parametrize('lesson', LESSONS)
def test_a_lesson_has_three_to_six_and_asks_each(lesson, root):
    numbers = [number for number in ALL if number.split('.')[0]==lesson]
    assert 3<=len(numbers)<=6
    notebook = next((root/'nbs').glob(f'{int(lesson):02}_*.ipynb'))
    source = '\n'.join(''.join(cell['source']) for cell in json.loads(notebook.read_text())['cells'])
    for number in numbers: assert f"check('{number}'" in source and ALL[number].task in source, number


def test_check_hint_solution_and_progress(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('FASTCLASS_HOME', str(tmp_path))
    check('3.1')
    check('3.1', 'a')
    assert progress()['3.1'] is False
    check('3.1', 'b')
    check(3.1, 'c')
    assert progress()['3.1'] is True # once right stays right
    for _ in range(3): hint('3.1')
    solution('3.1')
    said = capsys.readouterr().out
    assert 'Not yet' in said and 'Right.' in said and 'hint 2 of 2' in said and 'Lesson  3: 1 of 5 solved' in said
    known = json.loads((tmp_path/'course'/'progress.json').read_text())
    assert known['3.1']['tries']==3 and known['3.1']['solution'] is True
    with pytest.raises(DataError, match='3.1, 3.2'): check('3.9', 1)


@pytest.mark.parametrize('text', ['', '[]', '{"3.1": 7}', '{"3.1": {"right": "yes", "tries": "x", "hints": -3}}', '\x00'])
def test_a_broken_progress_file_keeps_nobody_from_learning(text, tmp_path, monkeypatch):
    monkeypatch.setenv('FASTCLASS_HOME', str(tmp_path))
    (tmp_path/'course').mkdir()
    (tmp_path/'course'/'progress.json').write_text(text)
    progress()
    hint('3.1')
    check('3.1', 'b')
    assert progress()['3.1'] is True


def test_on_the_command_line(tmp_path):
    command = [sys.executable, '-c', 'from fastclass.course.cli import main; main()', 'progress', '--json']
    said = subprocess.run(command, capture_output=True, text=True, env={**__import__('os').environ, 'FASTCLASS_HOME': str(tmp_path)})
    assert set(json.loads(said.stdout))==set(ALL)
