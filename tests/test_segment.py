"Lesson 6: masks are checked before training, void is left out, and what is trained is a normal learner that predicts, exports and comes back."
import subprocess, sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fastclass.engine.base.errors import BundleError, DataError, PictureError, UnsupportedError
from fastclass.engine.packs.packs import pack
from fastclass.engine.segment.mask_files import MaskReader, open_mask
from fastclass.engine.segment.masks import MaskOf, check_masks, read_codes, void_code

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def street():
    return pack('streets', photos=1, seg=12)/'seg'


@pytest.fixture(scope='module')
def parts(street):
    return sorted((street/'images').iterdir()), MaskOf(street/'labels'), read_codes(street/'codes.txt')


@pytest.fixture(scope='module')
def learn(parts):
    "A learner after a short training; the body has no weights, so nothing here is about accuracy"
    from fastclass.segment import quick_segment, segment_dls, segment_learner
    torch.manual_seed(0)
    learn = segment_learner(segment_dls(*parts, size=(48, 64), workers=0, device='cpu'), download=False)
    with learn.no_bar(), learn.no_logging(): quick_segment(learn, epochs=4)
    return learn


# ---- the list of classes

def test_trailing_new_lines_are_no_class(tmp_path):
    (tmp_path/'codes.txt').write_bytes(b'Road\r\nCar\r\nVoid\r\n\r\n')
    assert read_codes(tmp_path/'codes.txt')==['Road', 'Car', 'Void']


@pytest.mark.parametrize('text,said', [('', 'empty'), ('\n\n', 'empty'), ('Road\n\nCar\n', 'Line 2'), ('A\nB\nA\n', 'more than once')])
def test_bad_list_of_classes(tmp_path, text, said):
    (tmp_path/'codes.txt').write_text(text)
    with pytest.raises(DataError, match=said) as e: read_codes(tmp_path/'codes.txt')
    assert e.value.next


def test_void_is_found_in_any_place():
    assert void_code(['a', 'Void', 'b'])==1
    assert void_code(['a', 'b']) is None
    assert void_code(['a', 'Void'], void=False) is None


# ---- masks

def spoil(folder, kind):
    file = folder/'000_P.png'
    im = Image.open(file)
    if kind=='missing': file.unlink()
    if kind=='size': im.resize((64, 48)).save(file)
    if kind=='mode RGB': Image.merge('RGB', [im, im.point(lambda o: 2*o), im]).save(file)
    if kind=='code 12': Image.fromarray(np.full((96, 128), 12, 'u1')).save(file)
    if kind=='cannot be read': file.write_bytes(file.read_bytes()[:40])


@pytest.mark.parametrize('kind', ['missing', 'size', 'mode RGB', 'code 12', 'cannot be read'])
def test_a_spoiled_mask_stops_before_training(street, parts, tmp_path, kind):
    from fastclass.segment import segment_dls
    for o in (street/'labels').iterdir(): (tmp_path/o.name).write_bytes(o.read_bytes())
    spoil(tmp_path, kind)
    files,_,codes = parts
    report = check_masks(files, MaskOf(tmp_path), codes)
    assert len(report.wrong)==1 and len(report.files)==len(files)-1
    with pytest.raises(DataError, match=kind) as e: segment_dls(files, MaskOf(tmp_path), codes, workers=0)
    assert e.value.next


def test_no_pictures_and_one_picture(parts):
    from fastclass.segment import segment_dls
    files,mask_of,codes = parts
    with pytest.raises(DataError, match='no pictures'): segment_dls([], mask_of, codes)
    with pytest.raises(DataError, match='1 picture'): segment_dls(files[:1], mask_of, codes)


def test_palette_masks_are_codes(parts, tmp_path):
    files,mask_of,codes = parts
    im = Image.open(mask_of(files[0]))
    p = Image.fromarray(np.array(im)).convert('P')
    p.putdata(np.array(im).ravel().tolist())
    p.save(tmp_path/'x_P.png')
    assert (open_mask(tmp_path/'x_P.png')==np.array(im)).all()


def test_absent_classes_are_named(parts):
    files,mask_of,codes = parts
    assert check_masks(files, mask_of, [*codes, 'Unicorn']).absent[-1]=='Unicorn'


def put(file, rows, mode=None, **kwargs):
    "A picture file of these numbers"
    im = Image.fromarray(np.uint8(rows))
    file.parent.mkdir(exist_ok=True)
    (im if mode is None else im.convert(mode)).save(file, **kwargs)


HALVES = [[0]*6+[1]*6]*8


@pytest.mark.parametrize('store', [
    lambda f: Image.fromarray(np.array(HALVES, bool)).save(f), lambda f: put(f, HALVES, 'I;16'), lambda f: put(f, HALVES, 'RGB'), lambda f: put(f, HALVES, 'RGBA'),
    lambda f: put(f, HALVES, 'LA'), lambda f: put(f, 255*np.array(HALVES)), lambda f: put(f, 255*np.array(HALVES), 'RGB')],
    ids=['1 bit', '16 bit', 'grey RGB', 'grey RGBA', 'grey with alpha', '0 and 255', '0 and 255 in RGB'])
def test_numbers_are_read_however_they_are_stored(tmp_path, store):
    from fastclass.segment import segment_dls
    for name in 'abcd': put(tmp_path/'images'/f'{name}.png', np.zeros((8, 12, 3)))
    (tmp_path/'masks').mkdir()
    for name in 'abcd': store(tmp_path/'masks'/f'{name}.png')
    files,mask_of = sorted((tmp_path/'images').iterdir()),MaskOf(tmp_path/'masks', '.png')
    assert check_masks(files, mask_of, ['wall', 'crack']).pixels.tolist()==[192, 192]
    dls = segment_dls(files, mask_of, ['wall', 'crack'], bs=2, workers=0, device='cpu')
    assert set(np.unique(dls.one_batch()[1]))=={0, 1} # what is trained on is what was checked


def test_a_palette_is_for_the_eyes(tmp_path):
    from fastclass.segment import segment_dls
    for name in 'abc':
        put(tmp_path/'images'/f'{name}.png', np.zeros((32, 48, 3)))
        im = Image.fromarray(np.uint8([[0]*24+[2]*24]*32), 'P')
        im.putpalette([0, 0, 0, 255, 0, 0, 90, 200, 30])
        (tmp_path/'masks').mkdir(exist_ok=True)
        im.save(tmp_path/'masks'/f'{name}.png')
    dls = segment_dls(sorted((tmp_path/'images').iterdir()), MaskOf(tmp_path/'masks', '.png'), ['a', 'b', 'c'], bs=2, workers=0, device='cpu')
    assert set(np.unique(dls.one_batch()[1]))=={0, 2}


def test_a_jpeg_is_no_mask_whatever_its_name(tmp_path):
    put(tmp_path/'a.png', np.zeros((8, 12, 3)))
    put(tmp_path/'a_P.png', HALVES, format='JPEG')
    with pytest.raises(DataError, match='is a JPEG'): MaskReader(MaskOf(tmp_path), 2, None)(tmp_path/'a.png')


def test_colours_say_how_many_and_what_to_do(tmp_path):
    file = tmp_path/'a.png'
    Image.fromarray(np.uint8([[[128, 0, 0], [0, 0, 128], [128, 0, 0]]])).save(file)
    with pytest.raises(DataError, match='2 colours') as e: open_mask(file)
    assert 'codes[' in e.value.next


def row_report(folder, codes, *masks, **kwargs):
    "`check_masks` on masks of one row"
    for i,row in enumerate(masks):
        for end in ('.png', '_P.png'): put(folder/f'{i}{end}', [row])
    return check_masks([folder/f'{i}.png' for i in range(len(masks))], MaskOf(folder), codes, **kwargs)


def test_255_is_void_where_there_is_one(tmp_path):
    report = row_report(tmp_path, ['wall', 'crack', 'void'], [0, 1, 255], [2, 1, 1])
    assert report.pixels.tolist()==[1, 3, 2] and '255 was taken for void in 1 masks' in str(report)
    with pytest.raises(DataError, match='last line "void"'): row_report(tmp_path, ['wall', 'crack', 'dirt'], [0, 1, 255]).raise_if_bad()
    with pytest.raises(DataError, match='code 254'): row_report(tmp_path, ['wall', 'crack', 'void'], [0, 1, 254]).raise_if_bad()


def test_a_smoothed_mask_is_told_from_a_longer_list(tmp_path):
    with pytest.raises(DataError, match='NEAREST'): row_report(tmp_path, ['wall', 'crack'], [0, 60, 130, 200, 255]).raise_if_bad()
    with pytest.raises(DataError, match='codes.txt'): row_report(tmp_path, ['wall', 'crack'], [0, 1, 2]).raise_if_bad()


def test_255_is_white_only_where_no_mask_says_1(tmp_path):
    assert row_report(tmp_path, ['wall', 'crack'], [0, 255], [0, 0]).pixels.tolist()==[3, 1]
    mixed = row_report(tmp_path, ['wall', 'crack'], [0, 255], [0, 1])
    assert len(mixed.wrong)==1 and 'other' not in mixed.codes
    with pytest.raises(DataError, match='255'): mixed.raise_if_bad()
    with pytest.raises(DataError, match='255'): row_report(tmp_path, ['wall', 'crack'], [0, 1, 255]).raise_if_bad()


# ---- which file

def test_masks_among_the_pictures_are_named(parts, street):
    from fastai.data.transforms import get_image_files
    _,mask_of,codes = parts
    report = check_masks(get_image_files(street), mask_of, codes)
    assert len(report.files)==12 and all(f.parent.name=='labels' for f,_ in report.wrong) and len(report.wrong)==12
    with pytest.raises(DataError, match='000_P.png stands among the pictures and is the mask of 000.png|stands among'): report.raise_if_bad()


def test_masks_of_the_same_name_beside_the_pictures(tmp_path):
    from fastclass.segment import segment_dls
    for name in 'abc':
        put(tmp_path/f'{name}.jpg', np.zeros((8, 12, 3)))
        put(tmp_path/f'{name}.png', HALVES)
    everything = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match='a.png stands among the pictures and is the mask of a.jpg'):
        segment_dls(everything, MaskOf(tmp_path, '.png'), ['wall', 'crack'], workers=0)
    assert len(check_masks(everything[::2], MaskOf(tmp_path, '.png'), ['wall', 'crack']).files)==3
    report = check_masks(everything[1::2], MaskOf(tmp_path, '.png'), ['wall', 'crack'])
    assert len(report.wrong)==3 and 'its own mask' in report.wrong[0][1]


def test_two_pictures_of_one_name_have_not_the_same_mask(tmp_path):
    for side in ('day', 'night'): put(tmp_path/side/'1.png', np.zeros((8, 12, 3)))
    put(tmp_path/'masks'/'1.png', HALVES)
    report = check_masks([tmp_path/'day'/'1.png', tmp_path/'night'/'1.png'], MaskOf(tmp_path/'masks', '.png'), ['wall', 'crack'])
    assert len(report.wrong)==1 and 'same mask' in report.wrong[0][1]


@pytest.mark.parametrize('there,said', [
    ('masks/7_L.png', "MaskOf(folder, '_L.png')"), ('masks/7_mask.gif', "MaskOf(folder, '_mask.gif')"), ('masks/7.png', "MaskOf(folder, '.png')"),
    ('masks/7.TIF', "'.TIF'"), ('masks/mask_7.png', 'has mask_7.png'), ('labels/7.png', 'labels has 7.png'), ('masks/70_L.png', 'leave the picture out'),
    ('masks/Thumbs.db', 'leave the picture out'), ('other/notes.txt', 'leave the picture out')])
def test_a_missing_mask_says_what_would_fit(tmp_path, there, said):
    put(tmp_path/'images'/'7.png', np.zeros((8, 12, 3)))
    (tmp_path/there).parent.mkdir(exist_ok=True)
    if there.endswith(('db', 'txt')): (tmp_path/there).write_bytes(b'x')
    else: put(tmp_path/there, HALVES)
    with pytest.raises(DataError, match='is missing') as e: MaskReader(MaskOf(tmp_path/'masks'), 2, None)(tmp_path/'images'/'7.png')
    assert said in e.value.next


def test_a_function_that_gives_no_path(tmp_path):
    put(tmp_path/'7.png', np.zeros((8, 12, 3)))
    with pytest.raises(DataError, match='NoneType'): check_masks([tmp_path/'7.png'], lambda o: None, ['a', 'b']).raise_if_bad()


# ---- which way up

def photo(file, size, turn):
    note = Image.Exif()
    note[0x0112] = turn
    Image.new('RGB', size).save(file, exif=note)


@pytest.mark.parametrize('turn', [5, 6, 7, 8])
def test_a_mask_is_turned_with_its_picture_or_lies_right_already(tmp_path, turn):
    from PIL import ImageOps
    codes = np.arange(8*12).reshape(8, 12)%7
    photo(tmp_path/'a.jpg', (12, 8), turn)
    stored = Image.fromarray(codes.astype('u1'))
    stored.getexif()[0x0112] = turn
    right = np.array(ImageOps.exif_transpose(stored))
    for rows in (codes, right):
        put(tmp_path/'a.png', rows)
        assert (MaskReader(MaskOf(tmp_path, '.png'), 7, None)(tmp_path/'a.jpg')==right).all()


@pytest.mark.parametrize('turn,size', [(2, (12, 8)), (3, (12, 8)), (4, (12, 8)), (6, (8, 8))])
def test_where_nobody_can_tell_it_is_refused(tmp_path, turn, size):
    photo(tmp_path/'a.jpg', size, turn)
    put(tmp_path/'a.png', np.zeros(size[::-1]))
    with pytest.raises(DataError, match='stored turned') as e: MaskReader(MaskOf(tmp_path, '.png'), 2, None)(tmp_path/'a.jpg')
    assert 'exif_transpose' in e.value.next


def test_a_turned_picture_is_trained_and_predicted_upright(tmp_path):
    from fastclass.segment import segment_dls
    for name in 'abc':
        photo(tmp_path/f'{name}.jpg', (64, 32), 6)
        put(tmp_path/f'{name}.png', [[0]*32+[1]*32]*32)
    dls = segment_dls([tmp_path/f'{o}.jpg' for o in 'abc'], MaskOf(tmp_path, '.png'), ['a', 'b'], bs=2, batch_tfms=[], workers=0, device='cpu')
    xb,yb = dls.one_batch()
    assert xb.shape[-2:]==yb.shape[-2:]==(64, 32) and yb[0, 0, 0]==0 and yb[0, -1, 0]==1


# ---- the split

def test_groups_stay_on_one_side(parts):
    from fastclass.segment import segment_dls
    files,mask_of,codes = parts
    drives = [i//4 for i in range(12)]
    for seed in (1, 2):
        dls = segment_dls(files, mask_of, codes, groups=drives, seed=seed, size=(48, 64), workers=0, device='cpu')
        valid = {drives[files.index(o)] for o in dls.valid_ds.items}
        assert len(dls.valid_ds)==4 and valid.isdisjoint(drives[files.index(o)] for o in dls.train_ds.items)
    with pytest.raises(DataError, match='one group'): segment_dls(files, mask_of, codes, groups=[0]*12, workers=0)
    with pytest.raises(DataError, match='3 groups'): segment_dls(files, mask_of, codes, groups=[0, 1, 2], workers=0)


# ---- training

def test_what_is_left_is_a_normal_learner(learn):
    from fastai.learner import Learner
    assert type(learn) is Learner
    norms = {p for m in learn.model[0].modules() if hasattr(m, 'running_mean') for p in m.parameters()} # fastai never freezes these
    assert not any(p.requires_grad for p in learn.model[0].parameters() if p not in norms)
    with learn.no_bar(): loss,iou,accuracy = learn.validate()
    assert np.isfinite(loss) and 0<iou<accuracy<=1
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1)


def test_metric_and_scores_agree(learn):
    from fastclass.segment import score_masks
    scores = score_masks(learn)
    with learn.no_bar(): assert [scores.mean_iou, scores.accuracy]==pytest.approx(list(learn.validate())[1:], abs=1e-6)
    low,high = scores.interval
    assert low<=scores.accuracy<=high
    low,high = scores.mean_iou_interval
    assert low<high and str(scores).startswith(f'Mean IoU {scores.mean_iou:.2f}')
    assert scores.pictures.accuracy.is_monotonic_increasing


def test_void_is_neither_learned_nor_scored(learn):
    from fastclass.engine.segment.segmenter import codes_of
    from fastclass.segment import score_masks
    void = codes_of(learn.dls).index('Void')
    out,y = torch.randn(1, 12, 4, 4),torch.full((1, 4, 4), void)
    y[0, 0, 0] = 3
    other = out.clone()
    other[..., 1:, :] = 7
    assert learn.loss_func(out, y).item()==pytest.approx(learn.loss_func(other, y).item())
    assert score_masks(learn).pairs[void].sum()==0


def test_a_rare_class_is_heard():
    "One pixel in two hundred: never to say it costs cross-entropy next to nothing, and Dice half"
    from fastclass.segment import MaskLoss
    true = torch.zeros(1, 10, 20, dtype=torch.long)
    true[0, 0, 0] = 1
    def cost(loss, found): # sure of all pixels, but for the rare one
        out = torch.stack([4.-8*true, 8.*true-4], 1) if found else torch.stack([4.+0*true, 0*true-4.], 1)
        return loss(out, true).item()
    plain,dice,even = MaskLoss(dice=0, even=0),MaskLoss(even=0),MaskLoss(dice=0)
    assert cost(plain, False)-cost(plain, True)<.05 and cost(dice, False)-cost(dice, True)>.4
    assert cost(even, False)-cost(even, True)>2*(cost(plain, False)-cost(plain, True))


def test_sizes_that_do_not_fit_are_refused(parts):
    from fastclass.segment import segment_dls, segment_learner
    dls = segment_dls(*parts, size=(50, 64), workers=0, device='cpu')
    with pytest.raises(DataError, match='multiples of 4'): segment_learner(dls, download=False)


def test_a_classifier_is_no_segmenter(learn):
    from fastclass.engine.segment.segmenter import segmenter_of
    from fastcore.basics import NS
    with pytest.raises(UnsupportedError): segmenter_of(NS(dls=NS(valid=NS(after_item=NS(fs=[])))))


# ---- prediction, export and bundle

@pytest.mark.parametrize('mode,size', [('RGB', (128, 96)), ('RGBA', (301, 77)), ('L', (33, 500)), ('P', (1, 1))])
def test_mask_has_the_size_of_the_picture(learn, mode, size):
    from fastclass.engine.segment.segmenter import codes_of
    from fastclass.segment import predict_mask
    pred = predict_mask(learn, Image.new('RGB', size, 'grey').convert(mode))
    assert pred.mask.size==size and pred.mask.mode=='L'
    assert codes_of(learn.dls)[int(np.asarray(pred.mask).max())]!='Void'
    assert pred.overlay().size==size and np.isfinite(pred.sure).all()


def test_mask_is_what_the_learner_says_where_that_is_not_void(learn, parts):
    from fastclass.segment import predict_mask, score_masks
    file = score_masks(learn).pictures.file[0]
    with learn.no_bar(): theirs = np.asarray(learn.predict(file)[0])
    ours = np.asarray(predict_mask(learn, Image.open(file).resize((64, 48), Image.Resampling.BILINEAR)).mask)
    assert len(np.unique(ours))>1
    assert (ours==theirs)[theirs!=11].mean()>.98


def test_what_is_no_picture_is_refused(learn, tmp_path):
    from fastclass.segment import predict_mask
    (tmp_path/'x.png').write_text('no picture')
    with pytest.raises(PictureError): predict_mask(learn, tmp_path/'x.png')


def test_bundle_says_the_same_and_a_changed_one_is_refused(learn, parts, tmp_path):
    from fastclass.segment import load_segmenter, predict_mask, save_segmenter
    path = save_segmenter(learn, tmp_path/'street', metrics={'pixel_accuracy': .5})
    same = predict_mask(load_segmenter(path), parts[0][0])
    assert (np.asarray(same.mask)==np.asarray(predict_mask(learn, parts[0][0]).mask)).all()
    text = (path/'bundle.json').read_text()
    for old,new in (('"width": 96', '"width": 64'), ('efficientnet_lite0', 'no_such_net'), ('"size"', '"siz"'), ('fastclass-segmentation', 'fastclass-bundle')):
        (path/'bundle.json').write_text(text.replace(old, new))
        with pytest.raises(BundleError): load_segmenter(path)


def test_a_bundle_from_before_finer_places_still_opens(tmp_path):
    import hashlib, json
    from safetensors.torch import save_file
    from fastclass.engine.base.bundle_files import TEXT, WEIGHTS
    from fastclass.engine.segment.decoder import segment_model
    from fastclass.segment import load_segmenter
    torch.manual_seed(0)
    model = segment_model('squeezenet1_1', 3, (32, 64), fine=1, width=8).eval()
    stats = dict(divide_by=255., resize=None, mean=[.5]*3, std=[.5]*3)
    text = dict(format='fastclass-segmentation', version=1, task='segmentation', vocabulary=['sky', 'road', 'void'], void=2, size=[32, 64],
                arch='squeezenet1_1', decoder=dict(width=8, reach=4, p=.1), up=model[0].up, batch=stats, metrics={})
    save_file(model.state_dict(), tmp_path/WEIGHTS)
    data = (tmp_path/WEIGHTS).read_bytes()
    text['weights'] = dict(file=WEIGHTS, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (tmp_path/TEXT).write_text(json.dumps(text))
    opened = load_segmenter(tmp_path)
    x = torch.randn(1, 3, 32, 64)
    with torch.no_grad(): assert torch.allclose(opened.model(x), model(x), atol=1e-5) and opened.model[1].fine==1


def test_export_opens_in_a_fresh_process(learn, parts, tmp_path):
    learn.export(tmp_path/'street.pkl')
    code = ('import sys, warnings; warnings.simplefilter("ignore")\nfrom fastai.learner import load_learner\nlearn = load_learner(sys.argv[1])\n'
            'with learn.no_bar(): print(tuple(learn.predict(sys.argv[2])[0].shape))')
    out = subprocess.run([sys.executable, '-c', code, tmp_path/'street.pkl', parts[0][0]], capture_output=True, text=True)
    assert out.stdout.strip()=='(48, 64)', out.stderr[-800:]


# ---- real data

def test_camvid_is_found_whole_and_a_changed_copy_is_not_used(shared, tmp_path):
    from fastclass.engine.collect.datasets import why_not_whole
    src = Path(shared)/'fastai_home'/'data'/'camvid_tiny'
    assert why_not_whole(src)==''
    import shutil
    shutil.copytree(src, tmp_path/'camvid_tiny', copy_function=shutil.copyfile)
    (tmp_path/'camvid_tiny').chmod(0o755)
    (tmp_path/'camvid_tiny'/'codes.txt').chmod(0o644)
    (tmp_path/'camvid_tiny'/'codes.txt').write_text('Road\n')
    assert 'changed' in why_not_whole(tmp_path/'camvid_tiny')


def test_camvid_masks_are_right(shared):
    src = Path(shared)/'fastai_home'/'data'/'camvid_tiny'
    codes = read_codes(src/'codes.txt')
    assert len(codes)==32 and codes[void_code(codes)]=='Void'
    report = check_masks(sorted((src/'images').iterdir()), MaskOf(src/'labels'), codes)
    assert len(report.files)==100 and not report.wrong
