"The bundled packs: the same bytes from the same seed, whole or not there, and ceilings that the data keep"
import errno, hashlib, json, subprocess, sys, time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fastclass.engine.packs import packs as packs_module
from fastclass.engine.packs.crests import CLUBS, draw_crest
from fastclass.engine.packs.lakes import LAKES, draw_lake
from fastclass.engine.packs.packs import PACKS, pack
from fastclass.engine.packs.photo_effects import HARD, nuisance
from fastclass.engine.packs.streets import CODES, STREET_KINDS, draw_labelled_street, draw_street
from fastclass.engine.packs.tables import census_probability
from fastclass.engine.packs import tables
from fastclass.engine.base.errors import DataError, StorageError
from fastclass.engine.packs.draw import planes, stream

SMALL = dict(crests=dict(train=1), lakes=dict(each=2), streets=dict(photos=2, seg=2), census=dict(rows=300), ratings=dict(users=30, films=20, ratings=200), reviews=dict(reviews=60))
TINY = dict(lakes=dict(each=2), census=dict(rows=300)) # quick to draw, one of pictures and one of tables


def digest(folder): # one hash of all files and their names
    files = sorted(o for o in folder.rglob('*') if o.is_file())
    return hashlib.sha256(b''.join(o.relative_to(folder).as_posix().encode()+o.read_bytes() for o in files)).hexdigest()


def left(root): return sorted(o.name for o in root.iterdir() if not o.name.endswith('.lock'))


def python(code): return subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope='module')
def packs(tmp_path_factory):
    root = tmp_path_factory.mktemp('packs')
    return {name:pack(name, root=root, **sizes) for name,sizes in SMALL.items()}


# ---- what is in them

def test_crests_have_masters_training_and_hard_pictures(packs):
    names = {c.name for c in CLUBS}; root = packs['crests']
    assert len(names)==20 and {o.stem for o in root.glob('masters/*.png')}==names
    assert all({o.name for o in (root/part).iterdir()}==names for part in ('train','hard'))
    assert all({o.stem for o in (root/'hard'/n).iterdir()}==set(HARD) for n in names)
    for file in root.glob('masters/*.png'):
        im = Image.open(file); alpha = np.asarray(im.getchannel('A'))
        assert im.mode=='RGBA' and alpha[0,0]==alpha[-1,-1]==0 and alpha[128,128]==255


def test_neither_palette_nor_shape_says_which_club():
    for field in ('palette','shape'):
        counts = pd.Series([getattr(c, field) for c in CLUBS]).value_counts()
        assert (counts>1).sum()>=4, f'{field}: {dict(counts)}'


def test_monochrome_is_without_colour(packs):
    a = np.asarray(Image.open(packs['crests']/'hard'/'foxhollow'/'mono.jpg').convert('RGB'), int)
    assert np.ptp(a, axis=2).max()<=4


def test_lakes_are_class_folders(packs):
    assert {o.name for o in packs['lakes'].iterdir() if o.is_dir()}=={o.name for o in LAKES}
    assert {len(list(o.glob('*.jpg'))) for o in packs['lakes'].iterdir() if o.is_dir()}=={2}
    assert {Image.open(o).mode for o in packs['lakes'].glob('*/*.jpg')}=={'RGB'}


def test_streets_are_photos_and_camvid_like_pairs(packs):
    root = packs['streets']; images,labels = (sorted((root/'seg'/o).iterdir()) for o in ('images','labels'))
    assert [o.name for o in sorted((root/'photos').iterdir())]==STREET_KINDS
    assert (root/'seg'/'codes.txt').read_bytes()==('\n'.join(CODES)+'\n').encode()
    assert [f'{o.stem}_P.png' for o in images]==[o.name for o in labels]
    for image,label in zip(images, labels):
        x,y = Image.open(image),Image.open(label)
        assert (x.mode,y.mode)==('RGB','L') and x.size==y.size==(128,96) and np.asarray(y).max()<len(CODES)


def test_each_code_is_somewhere_and_labels_lie_on_what_they_name():
    pairs = [draw_labelled_street(stream(0, i)) for i in range(40)]
    assert set(np.unique(np.stack([np.asarray(m) for _,m in pairs])))==set(range(len(CODES)))
    means = {n:np.mean([planes(im)[:,np.asarray(m)==CODES.index(n)].mean() for im,m in pairs if (np.asarray(m)==CODES.index(n)).sum()>40]) for n in ('Sky','Road','LaneMkgsDriv')}
    assert means['Sky']>means['Road']+30 and means['LaneMkgsDriv']>means['Road']+20


def test_tables_have_gaps_titles_and_half_stars(packs):
    df,films,ratings = (pd.read_csv(packs[p]/f'{f}.csv') for p,f in (('census','census'),('ratings','films'),('ratings','ratings')))
    assert df.hours.isna().any() and (df.occupation=='?').any() and set(df.income)=={'<50k','>=50k'}
    assert films.title.is_unique and set(ratings.film)<=set(films.film) and not ratings.duplicated(['user','film']).any()
    assert set(ratings.rating*2)<=set(range(1, 11)) and ratings.timestamp.is_monotonic_increasing


def test_more_films_than_titles_stay_unique(tmp_path):
    root = pack('ratings', root=tmp_path, users=2, films=2000, ratings=100)
    assert pd.read_csv(root/'films.csv').title.is_unique


# ---- the same bytes

def test_same_seed_same_bytes_in_a_fresh_process_another_seed_others(packs, tmp_path):
    code = f'from fastclass.engine.packs.packs import pack\nfor n,s in {SMALL!r}.items(): pack(n, root={str(tmp_path)!r}, **s)'
    p = python(code); _,err = p.communicate(timeout=60)
    assert p.returncode==0, err
    for name,folder in packs.items():
        assert digest(tmp_path/folder.name)==digest(folder), name
    for name,sizes in TINY.items():
        assert digest(pack(name, seed=1, root=tmp_path, **sizes))!=digest(packs[name]), name


def test_a_picture_is_the_same_whatever_the_number(packs, tmp_path):
    more = pack('lakes', root=tmp_path, each=3)
    assert all((more/o.relative_to(packs['lakes'])).read_bytes()==o.read_bytes() for o in packs['lakes'].glob('*/*.jpg'))


def test_hidden_colour_leaves_no_trace():
    crest = draw_crest('corvale', 128); out = []
    for colour in ((0,0,0), (255,255,255)):
        under = Image.new('RGBA', crest.size, colour+(0,)); under.paste(crest, (0,0), crest.getchannel('A').point([0]+[255]*255)); out.append(under)
    assert out[0].tobytes()!=out[1].tobytes()
    assert all(nuisance(out[0], stream(0, i)).tobytes()==nuisance(out[1], stream(0, i)).tobytes() for i in range(8))


@pytest.mark.parametrize('mode', ['RGB','L','P','LA','RGBA'])
@pytest.mark.parametrize('size', [(139,181), (40,300), (7,5)])
def test_nuisance_takes_any_crest(mode, size):
    im = nuisance(Image.new('RGB', size, 'red').convert(mode), stream(0), strength=2, size=96)
    assert (im.mode,im.size)==('RGB',(96,96))
    with pytest.raises(DataError): nuisance(Image.new(mode, size), stream(0), size=4000)


def test_nuisance_takes_real_crests(shared):
    for i,file in enumerate(sorted((shared/'crests').rglob('*.png'))[:6]): assert np.asarray(nuisance(Image.open(file), stream(0, i))).std()>8


# ---- whole or not there

def test_an_interrupted_build_leaves_nothing_and_can_be_run_again(packs, tmp_path, monkeypatch):
    def stop(folder, seed, each): (folder/'aldra').mkdir(); (folder/'aldra'/'000.jpg').write_bytes(b'half'); raise KeyboardInterrupt
    with monkeypatch.context() as m:
        m.setitem(packs_module._BUILD, 'lakes', stop)
        with pytest.raises(KeyboardInterrupt): pack('lakes', root=tmp_path, each=2)
    assert left(tmp_path)==[]
    assert digest(pack('lakes', root=tmp_path, each=2))==digest(packs['lakes'])


def test_a_killed_build_is_swept_by_the_next(packs, tmp_path):
    p = python(f'from fastclass.engine.packs.packs import pack; pack("lakes", root={str(tmp_path)!r}, each=2000)')
    until = time.monotonic()+90
    while not list(tmp_path.glob('.lakes*.part/aldra/*.jpg')) and time.monotonic()<until: time.sleep(.02)
    p.kill(); p.communicate()
    assert list(tmp_path.glob('.lakes*.part/aldra/*.jpg')) and not (tmp_path/'lakes-0-each2000').exists()
    (tmp_path/'.lakes-0-each2.1.2.part'/'aldra').mkdir(parents=True)
    assert digest(pack('lakes', root=tmp_path, each=2))==digest(packs['lakes'])
    assert not list(tmp_path.glob('.lakes-0-each2.*.part'))


def test_two_processes_at_once(packs, tmp_path):
    code = f'from fastclass.engine.packs.packs import pack; print(pack("lakes", root={str(tmp_path)!r}, each=2))'
    both = [python(code) for _ in range(2)]; out = [p.communicate(timeout=60) for p in both]
    assert [p.returncode for p in both]==[0,0], out
    assert out[0][0]==out[1][0] and left(tmp_path)==['lakes-0-each2'] and digest(tmp_path/'lakes-0-each2')==digest(packs['lakes'])


def test_a_pack_is_drawn_once_and_anew_by_another_version(tmp_path, monkeypatch):
    file = pack('lakes', root=tmp_path, each=1)/'aldra'/'000.jpg'; first = file.stat().st_mtime_ns
    pack('lakes', root=tmp_path, each=1); assert file.stat().st_mtime_ns==first
    monkeypatch.setattr(packs_module, 'PACK_VERSION', packs_module.PACK_VERSION+1)
    pack('lakes', root=tmp_path, each=1); assert file.stat().st_mtime_ns!=first
    assert json.loads((tmp_path/'lakes-0-each1'/'pack.json').read_text())['version']==packs_module.PACK_VERSION


def test_a_folder_without_a_stamp_is_replaced(packs, tmp_path):
    half = tmp_path/'lakes-0-each2'/'aldra'; half.mkdir(parents=True); (half/'999.jpg').write_bytes(b'')
    assert digest(pack('lakes', root=tmp_path, each=2))==digest(packs['lakes'])


@pytest.mark.parametrize('name', ['missing', 'cut', 'no_list', 'no_json', 'a_list'])
def test_a_pack_that_is_not_whole_is_drawn_anew(packs, tmp_path, name):
    place = pack('lakes', root=tmp_path, each=2)
    picture,stamp = place/'aldra'/'001.jpg',place/'pack.json'
    if name=='missing': picture.unlink()
    if name=='cut': picture.write_bytes(picture.read_bytes()[:-1])
    if name=='no_list': stamp.write_text(json.dumps({k: v for k,v in json.loads(stamp.read_text()).items() if k!='files'}))
    if name=='no_json': stamp.write_bytes(b'\xff{')
    if name=='a_list': stamp.write_text('[]')
    assert digest(pack('lakes', root=tmp_path, each=2))==digest(packs['lakes'])


def test_a_full_disk_says_so(tmp_path, monkeypatch):
    def full(folder, seed, each): raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setitem(packs_module._BUILD, 'lakes', full)
    with pytest.raises(StorageError, match='disk is full'): pack('lakes', root=tmp_path)
    assert left(tmp_path)==[]


def test_the_cache_folder_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv('FASTCLASS_HOME', str(tmp_path))
    assert pack('census', rows=50)==tmp_path/'packs'/'census-0-rows50'


# ---- what cannot be

@pytest.mark.parametrize('kwargs,says', [
    (dict(name='bears'), 'crests, lakes, streets, census, ratings'), (dict(name='lakes', many=3), 'each=80'), (dict(name='lakes', each=0), 'each=80'),
    (dict(name='lakes', each='3'), 'whole number'), (dict(name='lakes', each=True), 'whole number'), (dict(name='lakes', seed=-1), 'seed'), (dict(name='lakes', seed=.5), 'seed'),
    (dict(name=None), 'no pack'), (dict(name='ratings', users=2, films=2), 'do not fit')])
def test_what_cannot_be_is_named_with_what_can(kwargs, says, tmp_path):
    with pytest.raises(DataError, match=says): pack(root=tmp_path/'none', **kwargs)
    assert not (tmp_path/'none').exists()


@pytest.mark.parametrize('draw', [lambda: draw_crest('arsenal'), lambda: draw_lake('baikal', stream(0)), lambda: draw_street('horse', stream(0))])
def test_what_cannot_be_drawn_lists_what_can(draw):
    with pytest.raises(DataError, match='Choose one of'): draw()


@pytest.mark.parametrize('size', [(64,64), (420,64), (64,420), (301,299)])
def test_every_allowed_size_can_be_drawn(size):
    for i in range(4):
        for im in (draw_lake(i, stream(0, i), size), draw_street(STREET_KINDS[i%2], stream(0, i), size), *draw_labelled_street(stream(0, i), size)): assert im.size==size
    with pytest.raises(DataError, match='from 64 to 420'): draw_lake(0, stream(0), (size[0],421))


# ---- ceilings

def test_census_ceiling_is_what_the_known_probability_reaches(tmp_path):
    root = pack('census', root=tmp_path); df = pd.read_csv(root/'census.csv'); known = json.loads((root/'census.json').read_text())
    p = census_probability(df); rich = (df.income=='>=50k').to_numpy()
    assert len(df)==known['rows']==10_000 and ((p>.5)==rich).mean()==pytest.approx(known['ceiling_accuracy'], abs=1e-6)
    assert known['majority_accuracy']+.1 < known['ceiling_accuracy'] < .95
    spread = 4*np.sqrt((np.maximum(p, 1-p)*np.minimum(p, 1-p)).mean()/len(p))
    assert abs(known['ceiling_accuracy']-known['expected_on_these_rows'])<spread and abs(known['expected_on_these_rows']-known['expected_accuracy'])<.01
    for low in np.arange(0, 1, .2): # among rows of one probability, that share is rich
        q = (p>=low)&(p<low+.2); assert abs(rich[q].mean()-p[q].mean())<4*np.sqrt(.25/q.sum())


def test_no_other_bet_beats_the_census_ceiling(tmp_path):
    from sklearn.ensemble import HistGradientBoostingClassifier
    df = pd.read_csv(pack('census', root=tmp_path)/'census.csv'); known = json.loads((tmp_path/'census-0'/'census.json').read_text())
    x = df.drop(columns='income').apply(lambda c: c.astype('category').cat.codes if c.dtype.kind not in 'if' else c); y = df.income=='>=50k'
    score = HistGradientBoostingClassifier(max_iter=60, learning_rate=.1).fit(x[:8000], y[:8000]).score(x[8000:], y[8000:])
    assert known['majority_accuracy']+.08 < score < (census_probability(df)[8000:].round()==y[8000:]).mean()+.01


def test_ratings_floor_is_what_the_known_taste_reaches(tmp_path):
    root = pack('ratings', root=tmp_path); known = json.loads((root/'ratings.json').read_text()); films,r = (pd.read_csv(root/f'{o}.csv') for o in ('films','ratings'))
    mean,var = tables._expected_stars(tables._scores(0, films, known['users'], r.user.to_numpy()-1, r.film.to_numpy()-1), known['noise'])
    rmse = np.sqrt(((r.rating-mean)**2).mean())
    assert rmse==pytest.approx(known['floor_rmse'], abs=1e-5) and np.sqrt(var.mean())==pytest.approx(known['expected_floor_rmse'], abs=1e-5)
    assert abs(rmse-known['expected_floor_rmse'])<.02 and known['floor_rmse']<known['mean_rmse']*.75
    bias = r.rating.mean() + (r.groupby('user').rating.transform('mean')-r.rating.mean()) + (r.groupby('film').rating.transform('mean')-r.rating.mean())
    assert rmse<np.sqrt(((r.rating-bias)**2).mean())-.05 # taste is worth having


def test_expected_stars_agree_with_a_simulation():
    score = np.array([.2, 1.1, 3.3, 4.9, 6.]); mean,var = tables._expected_stars(score, .6)
    drawn = np.clip(np.round((score+np.random.default_rng(0).normal(0, .6, (200_000,5)))*2)/2, .5, 5)
    assert np.abs(drawn.mean(0)-mean).max()<.01 and np.abs(drawn.var(0)-var).max()<.01


def test_a_long_wait_is_announced_and_counted(tmp_path, capsys, monkeypatch):
    pack('lakes', root=tmp_path, each=2); pack('census', root=tmp_path, rows=50)
    assert capsys.readouterr().out==''
    monkeypatch.setattr(packs_module, 'SPEED', 4) # as on a slow machine
    pack('lakes', root=tmp_path, each=3)
    assert 'lakes' in (said := capsys.readouterr().out) and '15 pictures, about 4 s' in said
    pack('lakes', root=tmp_path, each=3)
    assert capsys.readouterr().out==''


@pytest.mark.parametrize('name', SMALL)
def test_the_bar_counts_what_is_drawn(name, tmp_path):
    full = {**PACKS[name]['sizes'], **SMALL[name]}
    assert sum(1 for _ in packs_module._BUILD[name](tmp_path, 0, **full) or ())==packs_module._n_pictures(name, full)


def test_packs_tell_what_they_are():
    assert all({'title','sizes','classes','ceiling'}==set(o) and '@' not in o['ceiling'] for o in PACKS.values())


def test_drawing_is_quick(): # processor time, and a wide margin for a machine that others use too
    master = draw_crest('corvale')
    for draw in (lambda i: nuisance(master, stream(0, i)), lambda i: draw_lake(i%5, stream(0, i)), lambda i: draw_street(STREET_KINDS[i%2], stream(0, i))):
        [draw(i) for i in range(20)]; start = time.process_time(); [draw(i) for i in range(30)]
        assert 30/(time.process_time()-start)>50


def test_no_torch_is_needed():
    p = python('import sys, fastclass.engine.packs.packs; print("torch" in sys.modules, "fastai" in sys.modules, "pandas" in sys.modules)')
    out,err = p.communicate(timeout=60); assert out.split()==['False']*3, err
