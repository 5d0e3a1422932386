"Pictures keep their source and licence wherever a review, a file manager or a script has put them, in every later run"
import json, shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from chaos_server import photo, saved
from fastclass.collect import Collection, rebuild
from fastclass.engine.base.errors import DataError
from fastclass.engine.collect.collection import gather
from fastclass.engine.collect.manifest import Manifest
from fastclass.engine.collect.source import Hit
from fastclass.engine.interpret.review import Review, apply_decisions

NAMES = dict(cat=4, dog=4)


def address(label, i): return f'http://e.org/{label}{i}.jpg'
def answers(url): return saved(photo(url.rpartition('/')[2]))
def tree(folder): return {o.relative_to(folder).as_posix():o.read_bytes() for o in folder.rglob('*') if o.is_file()}


def again(dest, more=(), answers=answers, **options):
    "One run of a collect"
    jobs = [(k, f'{k} photo', Hit(address(k, i), title=f'{k} {i}', licence='CC BY 4.0', creator='Ana', source='commons')) for k,n in NAMES.items() for i in range(n)]
    return gather([*jobs, *more], dest, min_ok=0, progress=False, answers=answers, **options)


@pytest.fixture
def made(tmp_path): return again(tmp_path/'set')


def row(made, label='cat', i=0): return Manifest(made.dest).get(label, address(label, i))
def place(made, label='cat', i=0): return made.dest/row(made, label, i)['file']


def credited(dest):
    "File of the credits to its title"
    lines = [o for o in Collection(dest).credits().read_text().splitlines() if o.startswith('- ')]
    return {o.split('`')[1]:o.split('"')[1] for o in lines}


def settled(dest, file, title, label, n=8):
    "The picture is credited at `file`, now and after two more runs, which ask for nothing and move nothing"
    pictures = {k:v for k,v in tree(dest).items() if k.endswith('.jpg')}
    for i in range(3):
        assert credited(dest)[file]==title and len(credited(dest))==n
        here = next(o for o in Collection(dest).rows if o['file']==file)
        assert here['status']=='ok' and here['label']==label and here['licence']=='CC BY 4.0'
        before = (dest/'manifest.jsonl').read_bytes()
        assert len(again(dest, answers=no_answer).rows)==8
        assert i==0 or (dest/'manifest.jsonl').read_bytes()==before
        assert {k:v for k,v in tree(dest).items() if k.endswith('.jpg')}==pictures


def no_answer(url): raise AssertionError(f'{url} was asked for again')


def reviewed(dest, file, decision, to=''):
    "A review of one picture, applied"
    table = pd.DataFrame([dict(file=file.relative_to(dest).as_posix(), label=file.parent.name)])
    review = Review(table, dest, classes=['cat', 'dog', 'fox'])
    review.decide(decision, to)
    return review.apply()


@pytest.mark.parametrize('to', ['dog', 'fox'])
def test_a_review_that_moves_a_picture(to, made):
    file = place(made)
    reviewed(made.dest, file, 'relabel', to)
    settled(made.dest, f'{to}/{file.name}', 'cat 0', to)
    assert Collection(made.dest).counts['cat']['ok']==3 and 'removed' not in Collection(made.dest).counts['cat']


@pytest.mark.parametrize('new,label', [
    ('cat/my cat.jpg', 'cat'), ('dog/0.jpeg', 'dog'), ('train/dog/a.jpg', 'dog'), ('cat/blurred/a.jpg', 'cat'), ('best.jpg', 'cat'), ('fox/a.jpg', 'fox'), ('dog/naïve 熊.jpg', 'dog'), ('a/b/c/d/e.png', 'd')])
def test_a_picture_that_somebody_moved_or_renamed(new, label, made):
    (made.dest/new).parent.mkdir(parents=True, exist_ok=True)
    place(made).rename(made.dest/new)
    settled(made.dest, new, 'cat 0', label)


def test_moved_twice_and_back(made):
    file = place(made)
    for new in ('dog/a.jpg', 'fox/b.jpg'):
        (made.dest/new).parent.mkdir(exist_ok=True)
        next(made.dest/o['file'] for o in Collection(made.dest).rows if o['title']=='cat 0').rename(made.dest/new)
        settled(made.dest, new, 'cat 0', Path(new).parent.name)
    (made.dest/'fox/b.jpg').rename(file)
    settled(made.dest, f'cat/{file.name}', 'cat 0', 'cat')


def test_a_review_is_undone_after_a_collect(made):
    file = place(made)
    reviewed(made.dest, file, 'relabel', 'dog')
    again(made.dest)
    review = Review(pd.DataFrame([dict(file=f'dog/{file.name}', label='dog')]), made.dest, classes=['cat', 'dog'])
    review.undo()
    assert len(review.apply().moved)==1
    settled(made.dest, f'cat/{file.name}', 'cat 0', 'cat')
    assert row(made)['moved_from']==''


def test_two_pictures_change_places(made):
    a,b = place(made),place(made, 'dog', 1)
    for file,to in ((a, 'dog'), (b, 'cat')): reviewed(made.dest, file, 'relabel', to)
    settled(made.dest, f'dog/{a.name}', 'cat 0', 'dog')
    settled(made.dest, f'cat/{b.name}', 'dog 1', 'cat')


def test_a_whole_class_is_renamed(made):
    (made.dest/'cat').rename(made.dest/'kitten')
    again(made.dest, answers=no_answer)
    assert Collection(made.dest).counts.keys()=={'kitten', 'dog'} and len(credited(made.dest))==8
    settled(made.dest, f'kitten/{Path(row(made)["file"]).name}', 'cat 0', 'kitten')


def test_what_a_review_sets_aside_stays_aside(made):
    file = place(made)
    reviewed(made.dest, file, 'quarantine')
    assert file.name not in {Path(o).name for o in credited(made.dest)}
    for _ in range(2):
        again(made.dest, answers=no_answer)
        assert row(made)['status']=='removed' and not file.exists() and (made.dest/'.quarantine'/'cat'/file.name).is_file()
        assert file.name not in {Path(o).name for o in credited(made.dest)} and len(credited(made.dest))==7
    (made.dest/'.quarantine'/'cat'/file.name).rename(file)
    settled(made.dest, f'cat/{file.name}', 'cat 0', 'cat')


@pytest.mark.parametrize('way', ['delete', 'quarantine'])
def test_a_copy_does_not_bring_back_what_somebody_took_out(way, tmp_path):
    twin = ('cat', 'cat photo', Hit('http://f.org/cat0.jpg')) # the same picture at another address
    made = again(tmp_path/'set', [twin])
    assert made.counts['cat']==dict(ok=4, duplicate=1)
    file = place(made)
    if way=='delete': file.unlink()
    else: reviewed(made.dest, file, 'quarantine')
    for _ in range(3):
        now = again(tmp_path/'set', [twin])
        assert now.counts['cat']==dict(ok=3, duplicate=1, removed=1) and not file.exists()


@pytest.mark.parametrize('to', ['dog', 'cat'])
def test_a_picture_of_two_classes_is_decided_by_hand(to, tmp_path):
    both = ('dog', 'dog photo', Hit('http://f.org/cat0.jpg', title='both'))
    made = again(tmp_path/'set', [both])
    assert made.counts['cat']['two_labels']==made.counts['dog']['two_labels']==1
    name = Path(row(made)['file']).name
    (made.dest/'.quarantine'/'cat'/name).rename(made.dest/to/name)
    for _ in range(2):
        now = again(tmp_path/'set', [both])
        assert (made.dest/to/name).is_file() and now.counts[to]['ok']==4+(to=='dog')
        assert len([o for o in now.files() if o.name==name])==1


def test_a_picture_that_was_changed_where_it_lies_keeps_its_credit(made):
    file = place(made)
    Image.open(file).rotate(90).save(file)
    settled(made.dest, f'cat/{file.name}', 'cat 0', 'cat')


def test_a_manifest_of_before_gets_its_credits_back(made):
    "What earlier versions marked as removed, although it was moved"
    file = place(made)
    file.rename(made.dest/'dog'/file.name)
    path = made.dest/'manifest.jsonl'
    rows = [{k:v for k,v in json.loads(o).items() if k!='moved_from'} for o in path.read_text().splitlines()]
    rows[0] |= dict(status='removed', message='Somebody took it out of the folder.')
    path.write_text(''.join(json.dumps(o)+'\n' for o in rows))
    settled(made.dest, f'dog/{file.name}', 'cat 0', 'dog')


def test_a_copy_elsewhere_and_a_link_change_nothing(made):
    file = place(made)
    shutil.copy(file, made.dest/'dog'/'copy.jpg')
    (made.dest/'dog'/'link.jpg').symlink_to(file)
    again(made.dest, answers=no_answer)
    assert row(made)['file']==f'cat/{file.name}' and row(made)['moved_from']==''
    outside = made.dest.parent/'elsewhere'
    outside.mkdir()
    file.rename(outside/file.name)
    (made.dest/'dog'/'copy.jpg').unlink()
    (made.dest/'far').symlink_to(outside)
    again(made.dest, answers=no_answer)
    assert row(made)['status']=='removed'


@pytest.mark.parametrize('odd', ['../holiday.jpg', '/etc/passwd', '.quarantine/../../x.jpg', 'a\\b.jpg', 'C:/x.jpg', '', 'cat//x.jpg', './x.jpg', '.hidden/x.jpg', 'a\0b.jpg'])
def test_a_place_that_a_stranger_wrote(odd, made):
    path = made.dest/'manifest.jsonl'
    rows = [json.loads(o) for o in path.read_text().splitlines()]
    rows[0] |= dict(file=odd, moved_from='cat')
    path.write_text(''.join(json.dumps(o)+'\n' for o in rows))
    before = tree(made.dest)
    with pytest.raises(DataError, match='line 1: the file'): again(made.dest)
    assert tree(made.dest)==before


def test_a_place_that_a_stranger_wrote_takes_nothing_away(made):
    "A row that claims a file of the reader's in the folder"
    (made.dest/'notes.txt').write_bytes(b'mine')
    path = made.dest/'manifest.jsonl'
    rows = [json.loads(o) for o in path.read_text().splitlines()]
    rows[0] |= dict(file='notes.txt', moved_from='cat', bytes=4)
    path.write_text(''.join(json.dumps(o)+'\n' for o in rows))
    before = tree(made.dest)
    again(made.dest)
    assert {k:v for k,v in tree(made.dest).items() if k!='manifest.jsonl'}=={k:v for k,v in before.items() if k!='manifest.jsonl'}


def test_rebuilt_as_it_was_left(made, tmp_path):
    reviewed(made.dest, place(made), 'relabel', 'dog')
    again(made.dest)
    twin = rebuild(made.dest, tmp_path/'twin', answers=answers, progress=False)
    assert twin.counts==dict(cat=dict(ok=3), dog=dict(ok=5)) and not twin.changed
    reviewed(twin.dest, next(twin.dest/o['file'] for o in twin.rows if o['title']=='dog 2'), 'relabel', 'cat')
    assert not rebuild(made.dest, tmp_path/'twin', answers=answers, progress=False).changed


def test_what_comes_later_is_compared_with_what_was_moved(made):
    reviewed(made.dest, place(made), 'relabel', 'dog')
    more = [('dog', '', Hit('http://f.org/cat0.jpg')), ('cat', '', Hit('http://g.org/cat0.jpg'))]
    now = again(made.dest, more)
    assert [now._manifest.get(k, h.url)['status'] for k,_,h in more]==['duplicate', 'two_labels'] and len(now.files())==8
    assert (made.dest/'dog'/Path(row(made)['file']).name).is_file()


def test_thousands_of_pictures_cost_no_time(made):
    "Only files of the right size are read"
    import time
    (made.dest/'more').mkdir()
    for i in range(3000): (made.dest/'more'/f'{i}.jpg').write_bytes(b'x'*(i%97))
    place(made).rename(made.dest/'dog'/'a.jpg')
    start = time.monotonic()
    assert Collection(made.dest)._manifest.get('cat', address('cat', 0))['file']=='dog/a.jpg'
    assert time.monotonic()-start<2
