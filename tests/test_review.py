"Review: decisions that outlive everything, files that move only when told and are never lost, and a widget that does no more than the code"
import csv, shutil, subprocess, sys
from pathlib import Path

import pandas as pd, pytest
from PIL import Image
from fastclass.engine.base.errors import DataError, StorageError
from fastclass.engine.interpret.review import LOG_COLUMNS, Review, apply_decisions, file_hash, read_log, standing

@pytest.fixture
def folder(tmp_path):
    "Three classes with three pictures each; the names are the same in each class, and one has an odd name"
    for k,label in enumerate(('cat', 'dog', "größe's & <b>")):
        for i in range(3):
            file = tmp_path/'set'/label/f'{i}.png'; file.parent.mkdir(parents=True, exist_ok=True)
            Image.new('RGB', (30, 20), (80*k, 60*i, 100)).save(file)
    return tmp_path/'set'

def pictures(folder): return {o.relative_to(folder).as_posix(): file_hash(o) for o in sorted(folder.rglob('*.png'))}
def table(folder): return pd.DataFrame([dict(file=str(folder/o), label=Path(o).parent.name) for o in pictures(folder) if not o.startswith('.')])
def reviewer(folder, **kwargs): return Review(table(folder), folder, **kwargs)
def decisions(r): return {k: v['decision'] for k,v in r.decided.items()}

# ---- decisions

def test_each_decision_is_on_the_disk_at_once(folder):
    r = reviewer(folder)
    for n,(what,to) in enumerate([('keep', ''), ('relabel', 'dog'), ('quarantine', '')], 1):
        r.decide(what, to)
        rows = list(csv.DictReader(open(r.log, encoding='utf-8')))
        assert len(rows)==n and rows[-1]['decision']==what and tuple(rows[-1])==LOG_COLUMNS
    assert pictures(folder)==pictures(folder) and len(pictures(folder))==9 # nothing has moved

def test_restart_and_category_switch_forget_nothing(folder):
    r = reviewer(folder); r.decide('keep'); r.choose('dog'); r.decide('quarantine'); r.choose("größe's & <b>"); r.decide('relabel', 'cat'); r.choose('cat')
    assert r.current['file']=='cat/1.png' # the first that is open
    again = reviewer(folder)
    assert decisions(again)=={'cat/0.png': 'keep', 'dog/0.png': 'quarantine', "größe's & <b>/0.png": 'relabel'}==decisions(r)
    again.choose('dog'); assert again.current['file']=='dog/1.png'

def test_survives_a_killed_process(folder):
    code = f'''
import os, pandas as pd
from fastclass.engine.interpret.review import Review
r = Review(pd.DataFrame([dict(file=f"cat/{{i}}.png", label="cat") for i in range(3)]), {str(folder)!r})
r.decide("keep"); r.decide("quarantine")
os._exit(9)'''
    assert subprocess.run([sys.executable, '-c', code]).returncode==9
    assert decisions(reviewer(folder))=={'cat/0.png': 'keep', 'cat/1.png': 'quarantine'}

def test_undo_across_restarts_and_categories(folder):
    r = reviewer(folder); r.decide('keep'); r.choose('dog'); r.decide('quarantine'); r.step(-1); r.decide('relabel', 'cat')
    again = reviewer(folder); again.choose('cat')
    assert again.undo()=='dog/0.png' and decisions(again)=={'cat/0.png': 'keep', 'dog/0.png': 'quarantine'} # back to what it was before
    assert again.undo()=='dog/0.png' and again.undo()=='cat/0.png' and again.undo()=='' and decisions(again)=={}
    assert len(read_log(again.log))==6 # all of it can be read later

def test_a_torn_line_is_passed_over(folder):
    r = reviewer(folder); r.decide('keep')
    with open(r.log, 'ab') as f: f.write('2026-01-01,dog/0.png,dog,quaran'.encode())
    again = reviewer(folder)
    assert decisions(again)=={'cat/0.png': 'keep'}
    again.decide('quarantine')
    assert [o['decision'] for o in read_log(r.log)]==['keep', 'quarantine']

def test_logs_that_are_none(folder):
    log = folder/'x.csv'
    log.write_text('a,b\n1,2\n')
    with pytest.raises(DataError, match="no column 'time'"): reviewer(folder, log=log)
    log.write_text(','.join(LOG_COLUMNS)+'\n,cat/0.png,cat,burn,,0f\n')
    with pytest.raises(DataError, match='Line 2 .*burn'): apply_decisions(log, folder)
    log.write_text(','.join(LOG_COLUMNS)+'\r\n', encoding='utf-8-sig') # as a spreadsheet saves it
    assert apply_decisions(log, folder).moved==[]

def test_what_cannot_be_decided(folder):
    r = reviewer(folder)
    for args,match in ((('burn',), 'no decision'), (('relabel', 'cow'), 'no class'), (('undo',), 'no decision')):
        with pytest.raises(DataError, match=match): r.decide(*args)
    r.step(100)
    with pytest.raises(DataError, match='no picture left'): r.decide('keep')
    r.step(-100); (folder/'cat/0.png').unlink()
    with pytest.raises(DataError, match='not there any more'): r.decide('keep')
    with pytest.raises(DataError, match='no class'): r.choose('cow')
    with pytest.raises(DataError, match='not in the folder'): Review(pd.DataFrame([dict(file='/etc/hosts', label='x')]), folder)
    with pytest.raises(DataError, match='no pictures'): Review(pd.DataFrame(columns=['file', 'label']), folder)
    assert not r.log.exists()

def test_a_log_that_cannot_be_written(folder):
    with pytest.raises(StorageError): reviewer(folder, log=folder/'cat/0.png'/'log.csv').decide('keep')

# ---- files

def full(folder):
    "A review with every kind of decision"
    r = reviewer(folder); r.decide('keep'); r.decide('relabel', 'dog'); r.decide('quarantine'); r.choose('dog'); r.decide('relabel', "größe's & <b>")
    return r

def test_apply_moves_and_never_deletes(folder):
    before = pictures(folder); r = full(folder); done = r.apply(); after = pictures(folder)
    assert sorted(before.values())==sorted(after.values()) and len(done.moved)==3 and done.in_place==1 and not done.missing
    assert before['cat/1.png']==after[next(o for o in after if o.startswith('dog/1-'))] # another 1.png lay there and still does
    assert after['dog/1.png']==before['dog/1.png'] and after['.quarantine/cat/2.png']==before['cat/2.png'] and 'cat/2.png' not in after

def test_apply_again_changes_nothing(folder):
    r = full(folder); r.apply(); after = pictures(folder)
    for _ in range(2):
        again = apply_decisions(r.log, folder)
        assert again.moved==[] and again.in_place==4 and pictures(folder)==after

def test_undo_after_apply_brings_files_back(folder):
    before = pictures(folder); r = full(folder); r.apply()
    while r.undo(): pass
    r.apply()
    assert pictures(folder)==before

def test_a_second_round_on_moved_files(folder):
    before = pictures(folder); r = full(folder); r.apply()
    second = Review(table(folder), folder)                       # with the new places
    moved = next(i for i,o in enumerate(second.rows) if o['file'].startswith('dog/1-')); second.step(moved-second._at)
    second.decide('relabel', 'cat')                              # back to where it was
    second.apply()
    assert pictures(folder)['cat/1.png']==before['cat/1.png'] and sorted(pictures(folder).values())==sorted(before.values())
    assert apply_decisions(second.log, folder).moved==[]

def test_files_that_were_changed_or_are_gone_are_named(folder):
    r = full(folder)
    (folder/'cat/1.png').unlink(); (folder/'cat/2.png').write_bytes(b'other')
    done = r.apply()
    assert done.missing==['cat/1.png', 'cat/2.png'] and (folder/'cat/2.png').read_bytes()==b'other' and '2 missing' in str(done)

def test_a_log_cannot_lead_out_of_the_folder(folder, tmp_path):
    (tmp_path/'secret.png').write_bytes(b'x')
    log = tmp_path/'l.csv'
    for name in ('../secret.png', str(tmp_path/'secret.png')):
        log.write_text(','.join(LOG_COLUMNS)+f'\n,{name},cat,quarantine,,{file_hash(tmp_path/"secret.png")}\n')
        with pytest.raises(DataError, match='outside'): apply_decisions(log, folder)
    log.write_text(','.join(LOG_COLUMNS)+f'\n,cat/0.png,cat,relabel,../../out,{file_hash(folder/"cat/0.png")}\n')
    apply_decisions(log, folder)
    assert len(pictures(folder))==9 and (tmp_path/'secret.png').read_bytes()==b'x'

def test_quarantine_is_where_no_loader_looks(folder):
    from fastclass.engine.datablock.folder import scan_folder
    r = full(folder); r.apply()
    found = scan_folder(folder, min_per_class=1, progress=False)
    assert len(found)==8 and found.counts=={'cat': 1, 'dog': 3, "größe's & <b>": 4}

def test_labels_that_are_no_folders(folder):
    r = Review(pd.DataFrame([dict(file='cat/0.png', label='animal')]), folder, classes=['animal', 'dog']); r.decide('relabel', 'dog')
    with pytest.raises(DataError, match='no folder of its class'): r.apply()
    assert standing(read_log(r.log))['cat/0.png']['to']=='dog' # the plain-code way

def test_train_and_valid_folders(folder, tmp_path):
    whole = tmp_path/'whole'; (whole/'train').mkdir(parents=True); shutil.copytree(folder/'cat', whole/'train'/'cat')
    r = Review(pd.DataFrame([dict(file='train/cat/0.png', label='cat')]), whole, classes=['cat', 'dog']); r.decide('relabel', 'dog'); r.apply()
    assert 'train/dog/0.png' in pictures(whole)

# ---- what is shown

def test_caption_and_card(folder):
    r = Review(table(folder).assign(suggested='dog', p_suggested=.9, twin=''), folder)
    assert r.caption()=='1 of 9: cat/0.png, labelled cat. The others would say dog (90%).'
    r.choose("größe's & <b>"); card = r.card()
    assert '<b>' not in card and '&lt;b&gt;' in card and 'src="data:image/jpeg;base64,' in card and 'alt="1 of 3' in card
    (folder/"größe's & <b>/0.png").write_bytes(b'no picture'); assert 'cannot be shown' in r.card()
    r.step(9); assert 'All 3 pictures are done' in r.card() and 'Review of 9 pictures' in repr(r)

@pytest.fixture
def boxes(folder):
    pytest.importorskip('ipywidgets')
    r = reviewer(folder); box = r.widget()
    assert len(box.children)==5
    return r._boxes

def test_buttons(boxes):
    b = boxes
    b.buttons['keep'].click(); b.buttons['quarantine'].click(); b.labels['dog'].click(); b.buttons['back'].click(); b.buttons['next'].click()
    assert decisions(b.review)=={'cat/0.png': 'keep', 'cat/1.png': 'quarantine', 'cat/2.png': 'relabel'}
    assert 'dog/0.png' in b.picture.value
    b.buttons['undo'].click(); assert 'cat/2.png' in b.message.value and len(b.review.decided)==2 and 'cat/2.png' in b.picture.value

def test_keys(boxes):
    b = boxes
    for k in ('k', 'Q', '2', 'n', 'b', 'u', 'x', '9'):
        b.keys.value = k
        assert b.keys.value==''
    assert decisions(b.review)=={'cat/0.png': 'keep', 'cat/1.png': 'quarantine'} and 'no key' in b.message.value
    n = len(b.review.decided)
    for k in '²٣௧①': b.keys.value = k # digits, but none of the keys
    assert len(b.review.decided)==n and 'no key' in b.message.value

@pytest.mark.parametrize('came,want', [(('k', 'k2'), ['keep']), (('k2',), ['keep']), (('kk',), ['keep']), (('k', 'k2', 'k2q'), ['keep']), (('K', 'Kq', 'q'), ['keep', 'quarantine']),
                                       (('k', 'k'), ['keep', 'keep']), (('q', 'qqqq'), ['quarantine']), (('k', '', 'q2', 'q2k', '2'), ['keep', 'quarantine', 'relabel'])])
def test_a_key_in_flight_decides_only_the_picture_that_was_shown(boxes, came, want):
    "The browser sends all of the box until the kernel's answer has emptied it"
    for text in came: boxes.keys.value = text
    assert [o['decision'] for o in read_log(boxes.review.log)]==want and boxes.keys.value==''
    if any(len(o)>1 for o in came[-1:]): assert 'does nothing' in boxes.message.value

def test_a_double_click_decides_once(boxes):
    b = boxes
    old = b.buttons['keep'], b.labels['dog']
    for o in (old[0], *old, *old): o.click()
    assert decisions(b.review)=={'cat/0.png': 'keep'}
    b.buttons['back'].click(); old[1].click(); b.labels['dog'].click()
    assert decisions(b.review)=={'cat/0.png': 'relabel'}

def test_the_picture_is_large_and_a_dead_widget_says_so(boxes):
    "A small photo is shown larger; what the browser marks as disconnected after a restart of the kernel is told by a style"
    assert 'width:420px' in boxes.picture.value and 'jupyter-widgets-disconnected' in boxes.picture.value and 'restarted' in boxes.picture.value
    assert 'fastclass-review' in boxes.box._dom_classes

def test_one_widget_a_review(boxes):
    first,second = boxes.box, boxes.review.widget()
    assert first.comm is None and second.comm is not first.comm

def test_category_switch_in_the_widget(boxes):
    b = boxes
    b.buttons['keep'].click(); b.category.value = 'dog'; b.buttons['quarantine'].click(); b.category.value = 'cat'; b.category.value = ''
    assert decisions(b.review)=={'cat/0.png': 'keep', 'dog/0.png': 'quarantine'} and 'cat/1.png' in b.picture.value

def test_errors_are_said_in_the_widget(boxes):
    b = boxes
    (b.review.folder/'cat/0.png').unlink(); b.buttons['keep'].click()
    assert 'not there any more' in b.message.value and not b.review.decided
    b.buttons['undo'].click(); assert 'nothing to take back' in b.message.value
