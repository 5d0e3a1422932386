"Lesson 6: masks are checked before training, void is left out, and what is trained is a normal learner that predicts, exports and comes back."
import subprocess, sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fastclass.engine.base.errors import BundleError, DataError, PictureError, UnsupportedError
from fastclass.engine.packs.packs import pack
from fastclass.engine.segment.masks import MaskOf, check_masks, open_mask, read_codes, void_code

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
    if kind=='mode RGB': im.convert('RGB').save(file)
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


# ---- training

def test_what_is_left_is_a_normal_learner(learn):
    from fastai.learner import Learner
    assert type(learn) is Learner
    norms = {p for m in learn.model[0].modules() if hasattr(m, 'running_mean') for p in m.parameters()} # fastai never freezes these
    assert not any(p.requires_grad for p in learn.model[0].parameters() if p not in norms)
    with learn.no_bar(): loss,accuracy = learn.validate()
    assert np.isfinite(loss) and 0<accuracy<=1
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1)


def test_metric_and_scores_agree(learn):
    from fastclass.segment import score_masks
    scores = score_masks(learn)
    with learn.no_bar(): assert scores.accuracy==pytest.approx(learn.validate()[1], abs=1e-6)
    low,high = scores.interval
    assert low<=scores.accuracy<=high
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
