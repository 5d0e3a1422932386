"Answers to the exercises of lesson 1: right ones written differently, and wrong ones as learners give them, with a part of what they are told"
import tempfile, warnings
from functools import lru_cache
from pathlib import Path

import pandas as pd

from fastclass.collect import collect_folder, collect_urls
from fastclass.engine.packs.packs import pack


@lru_cache
def temporary(): # its folder goes when Python ends
    return tempfile.TemporaryDirectory()


def lake(name, n=3): return [str(file) for file in sorted((pack('lakes')/name).glob('*.jpg'))[:n]]


def collected(**lists):
    "A collection of files of the pack, in a folder of its own"
    dest = Path(temporary().name)/f'{len(list(Path(temporary().name).iterdir()))}'
    with warnings.catch_warnings(action='ignore'): # the files are outside of the folder of the list
        return collect_urls(lists, dest, min_ok=0)


def counted(rows):
    n = 0
    for row in rows:
        if row['status']=='ok': n += 1
    return n


def too_early(rows):
    n = 0
    for row in rows:
        if row['status']=='ok': n += 1
        return n


def emptied(rows):
    rows[:] = [row for row in rows if row['status']=='ok']
    return len(rows)


def prints(rows): print(counted(rows))


def starts_anew(rows):
    for row in rows:
        n = 0
        if row['status']=='ok': n += 1
    return n if rows else 0


ANSWERS = { # Number -> right answers, and wrong ones with a part of what is said; functions without arguments are called for the answer
    '1.1': dict(right=[100*200*3, '60000', '60,000', 60_000.], wrong=[(20_000, 'one table'), (300, 'are multiplied'), (303, 'are multiplied'), (80_000, 'four tables'), (600, 'rows times'),
                                                             ('many', 'A number was expected')]),
    '1.2': dict(right=['c', 'C)'], wrong=[('a', 'Nothing is deleted'), ('b', 'retry=True'), ('d', 'never moved'), ('e', 'not one of'), (6, 'a letter in quotes')]),
    '1.3': dict(
        right=[lambda: counted, lambda: lambda rows: len([row for row in rows if row['status']=='ok']),
               lambda: lambda rows: pd.DataFrame(rows).status.eq('ok').sum()],
        wrong=[(lambda: lambda rows: len(rows), 'all rows'),
               (lambda: lambda rows: sum(row['status']!='ok' for row in rows), 'the other way round'),
               (lambda: lambda rows: [row for row in rows if row['status']=='ok'], 'How many'),
               (lambda: lambda rows: sum(row['status']=='OK' for row in rows), 'gives 0'),
               (lambda: too_early, 'inside the loop'), (lambda: starts_anew, 'inside the loop'), (lambda: lambda rows: sum('ok' in row['status'] for row in rows), 'exactly this word'),
               (lambda: lambda rows: sum(row['status'] in ('ok', 'kept_aside') for row in rows), 'exactly this word'),
               (lambda: emptied, 'changes the rows'),
               (lambda: prints, 'return'),
               (lambda: lambda rows: rows.count('ok'), 'gives 0'),
               (5, 'not callable')]),
    '1.4': dict(
        right=[lambda: collected(cyclist=lake('aldra'), pedestrian=[*lake('bremir'), lake('aldra')[0]]),
               lambda: collected(a=[*lake('aldra'), lake('bremir')[2]], b=lake('bremir'), c=lake('cindral'))],
        wrong=[(lambda: collected(cyclist=lake('aldra'), pedestrian=lake('bremir')), 'No address'),
               (lambda: collected(cyclist=[*lake('aldra'), lake('aldra')[0]], pedestrian=lake('bremir')), 'No address'),
               (lambda: collected(cyclist=lake('aldra')), 'one class'),
               (lambda: collected(cyclist=[*lake('aldra'), lake('aldra')[0]+'x'], pedestrian=[*lake('bremir'), lake('aldra')[0]+'x']), 'did not come'),
               (lambda: {'cyclist': lake('aldra'), 'pedestrian': lake('aldra')}, 'A `Collection` was expected'),
               (lambda: collect_folder(Path(lake('aldra')[0]).parent, Path(temporary().name)/'folder', label='aldra'), 'one class')]),
}
