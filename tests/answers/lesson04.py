"Answers to the exercises of lesson 4: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
import os, tempfile
from pathlib import Path

import pandas as pd
from PIL import Image

from fastclass.interpret import Review, accuracy_interval, apply_decisions


def by_formula(): return 1.96**2*.9*.1/.01**2


def by_search():
    low,high = 0,1
    n = 100
    while high-low>.02:
        n += 1
        low,high = accuracy_interval(round(.9*n), n)
    return n


def sorted_in_place(frame, k):
    frame.sort_values('probability', inplace=True)
    return frame[frame.correct].head(k)


def by_query(frame, k): return frame.query('correct').sort_values('loss', ascending=False)[:k]
def by_loop(frame, k):
    rows = [row for row in frame.to_dict('records') if row['actual']==row['predicted']]
    rows.sort(key=lambda row: row['probability'])
    return pd.DataFrame(rows[:k])


def gives_nothing(frame, k): frame[frame.correct].sort_values('probability').head(k)
def answered(frame, threshold):
    sure = frame[frame.probability>=threshold]
    return len(sure)/len(frame), sure.correct.mean()


def answered_by_means(frame, threshold):
    sure = frame.probability>=threshold
    return [sure.mean(), (sure&frame.correct).sum()/sure.sum()]


def of_those(keep, second=lambda sure: sure.correct.mean(), first=lambda sure, frame: len(sure)/len(frame)):
    "An `answered` with one thing changed"
    def answered(frame, threshold):
        sure = keep(frame, threshold)
        return first(sure, frame), second(sure)
    return answered


def reviewed(decisions=(('keep',), ('relabel', 'pedestrian'), ('relabel', 'cyclist'))):
    "A review of three pictures: two were relabelled and moved, one was kept"
    folder = Path(tempfile.mkdtemp()).resolve()
    rows = []
    for at,label in enumerate(['cyclist', 'cyclist', 'pedestrian']):
        file = folder/label/f'{at}.png'
        file.parent.mkdir(exist_ok=True)
        Image.new('RGB', (30, 20), (80*at, 60, 100)).save(file)
        rows.append(dict(file=str(file), label=label))
    player = Review(pd.DataFrame(rows), folder, classes=['cyclist', 'pedestrian'])
    for decision in decisions: player.decide(*decision)
    player.apply()
    return player


def taken_back(times=1, apply=True):
    player = reviewed()
    for _ in range(times): player.undo()
    if apply: apply_decisions(player.log, player.folder)
    return player


def a_keep_taken_back():
    "The last decision moved nothing"
    player = reviewed([('relabel', 'pedestrian'), ('relabel', 'pedestrian'), ('keep',)])
    player.undo()
    player.apply()
    return player


def moved_by_hand():
    player = reviewed()
    os.rename(player.folder/'cyclist'/'2.png', player.folder/'pedestrian'/'2.png')
    return player


def undone_and_decided_again():
    player = taken_back()
    player.decide('relabel', 'cyclist')
    player.apply()
    return player


def undone_and_deleted():
    player = taken_back()
    (player.folder/'pedestrian'/'2.png').unlink()
    return player


def over(frame, threshold): return frame[frame.probability>threshold]
def at_least(frame, threshold): return frame[frame.probability>=threshold]

ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '4.1': dict(right=['c', 'C.'], wrong=[('a', 'the loss would be 0'), ('b', 'about one picture'), ('d', 'labels are given'), ('e', 'not one of a, b, c, d'),
                                          (1., 'a letter in quotes')]),
    '4.2': dict(
        right=[lambda: lambda frame, k: frame[frame.correct].sort_values('probability').head(k), lambda: by_query, lambda: by_loop],
        wrong=[(lambda: lambda frame, k: frame.sort_values('probability').head(k), 'Not all of these answers are right'),
               (lambda: lambda frame, k: frame[~frame.correct].sort_values('probability').head(k), 'Not all of these answers are right'),
               (lambda: lambda frame, k: frame[frame.correct].sort_values('probability', ascending=False).head(k), 'the surest'),
               (lambda: lambda frame, k: frame[frame.correct].head(k), 'other ones are smaller'),
               (lambda: lambda frame, k: frame[frame.correct].sort_values('probability').head(3), '3 came'),
               (lambda: lambda frame, k: frame[frame.correct].sort_values('probability').head(2), 'with k=3 it is not'),
               (lambda: lambda frame, k: frame[frame.correct].probability.nsmallest(k), 'A table was expected, not Series'),
               (lambda: sorted_in_place, 'changes the table'),
               (lambda: gives_nothing, 'return'),
               (pd.DataFrame(), 'not callable')]),
    '4.3': dict(
        right=[by_search, by_formula, 3500],
        wrong=[(100, 'one picture is a point'), (40, 'point'), (864, '2 points up'), (13830, '1 point wide in all'), (9604, 'at 50% right'), (10000, 'at 50% right'),
               (2435, 'level at 95%'), (400, 'another width'), ('many', 'A number was expected')]),
    '4.4': dict(
        right=[lambda: answered, lambda: answered_by_means, lambda: lambda frame, threshold: pd.Series(answered(frame, threshold))],
        wrong=[(lambda: of_those(over), '`>=`'), (lambda: lambda frame, threshold: answered(frame, threshold) if threshold==.8 else None, 'no two numbers'),
               (lambda: of_those(lambda frame, threshold: frame[frame.probability_of_actual>=threshold]), 'nobody knows the actual class'),
               (lambda: of_those(at_least, lambda sure: sure.correct.sum(), lambda sure, frame: len(sure)), 'counts'),
               (lambda: of_those(at_least, lambda sure: sure.correct.sum()/8), 'not of all'),
               (lambda: of_those(at_least, lambda sure: 5/8), 'for all pictures'),
               (lambda: of_those(at_least, lambda sure: 100*sure.correct.mean(), lambda sure, frame: 100*len(sure)/len(frame)), 'between 0 and 1'),
               (lambda: of_those(lambda frame, threshold: frame[frame.probability<threshold]), 'does not answer'),
               (lambda: lambda frame, threshold: answered(frame, threshold)[::-1], 'other order'),
               (lambda: lambda frame, threshold: answered(frame, .8), 'threshold 0.9'),
               (lambda: lambda frame, threshold: answered(frame, threshold)[0], 'Two numbers were expected'),
               (lambda: lambda frame, threshold: None, 'return')]),
    '4.5': dict(
        right=[taken_back, lambda: taken_back(2)],
        wrong=[(reviewed, 'stand as they were'), (lambda: taken_back(apply=False), 'Who moves files'), (moved_by_hand, 'will move it again'),
               (undone_and_decided_again, 'stand as they were'), (a_keep_taken_back, 'it was a keep'), (undone_and_deleted, 'not back at its place'), ('pedestrian/2.png', '`Review` itself'),
               (lambda: taken_back().undo(), '`Review` itself')]),
}
