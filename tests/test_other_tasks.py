"Targets that are not one class a picture: quick_tune takes what it can, and each step that names one class a picture says by name what it was given."
import pytest
import torch
import fastai.callback.progress # gives learners their no_bar
from fastai.data.block import DataBlock, MultiCategoryBlock, RegressionBlock
from fastai.learner import Learner
from fastai.losses import BCEWithLogitsLossFlat, MSELossFlat
from fastai.metrics import accuracy_multi, mae
from fastai.vision.augment import Resize
from fastai.vision.data import BBoxBlock, BBoxLblBlock, ImageBlock, MaskBlock, PointBlock
from fastai.vision.learner import vision_learner
from PIL import Image
from torchvision.models import squeezenet1_1

from fastclass.engine.base.errors import FastclassError, UnsupportedError

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    files = [folder/f'{i:02}.png' for i in range(16)]
    for i,o in enumerate(files): Image.new('RGB', (48, 48), (10*i, 128, 255-10*i)).save(o)
    return files


def number(file): return int(file.stem)/16
def two_numbers(file): return [number(file), 1-number(file)]
def labels(file): return [['low', 'high'][number(file)>=.5], 'any']
def point(file): return [[number(file)*47, 20]]
def mask(file): return torch.zeros(48, 48, dtype=torch.uint8).numpy()
def one_box(file): return [[1, 2, 20, 30]]
def box_label(file): return ['thing']
def no_loss(*args): return 0


TASKS = {
    'numbers': (RegressionBlock, number), 'numbers, two of them': (RegressionBlock, two_numbers), 'several labels': (MultiCategoryBlock, labels), 'points': (PointBlock, point),
    'masks': (MaskBlock(codes=['a', 'b']), mask)}


def made(files, block, get_y): return DataBlock((ImageBlock, block), get_y=get_y, item_tfms=Resize(48, method='squish')).dataloaders(files, bs=4, num_workers=0)


@pytest.fixture(scope='module', params=TASKS, ids=lambda o: o.replace(' ', '_'))
def other(request, files):
    "A learner of another task, and what it is for"
    block,get_y = TASKS[request.param]
    torch.manual_seed(0)
    dls = made(files, block, get_y)
    return vision_learner(dls, squeezenet1_1, pretrained=False), request.param.split(',')[0]


def steps():
    "What names one class a picture"
    from fastclass.interpret import calibration_error, confusion, find_label_issues, predictions, review
    from fastclass.predict import as_predictor, predict_files, predict_one, save_bundle, stress_test
    return dict(predictions=predictions, confusion=confusion, calibration_error=calibration_error, find_label_issues=find_label_issues, review=review, as_predictor=as_predictor,
                predict_files=lambda o: predict_files(o, o.dls.valid_ds.items), predict_one=lambda o: predict_one(o, o.dls.valid_ds.items[0]),
                save_bundle=lambda o: save_bundle(o, 'not_written'), stress_test=lambda o: stress_test(o, list(o.dls.valid_ds.items), ['a']*len(o.dls.valid_ds)))


@pytest.mark.parametrize('step', ['predictions', 'confusion', 'calibration_error', 'find_label_issues', 'review', 'as_predictor', 'predict_files', 'predict_one', 'save_bundle', 'stress_test'])
def test_a_step_for_one_class_a_picture_says_what_it_was_given(other, step, tmp_path, monkeypatch):
    learn,task = other
    monkeypatch.chdir(tmp_path)
    with learn.no_bar(), pytest.raises(UnsupportedError, match=task) as e: steps()[step](learn)
    assert 'one class a picture' in str(e.value) and ('segment' if task=='masks' else 'get_preds') in e.value.next
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('task', ['numbers', 'numbers, two of them', 'several labels', 'points'])
def test_quick_tune_takes_them_with_the_loss_of_fastai(files, task, monkeypatch):
    from fastclass.finetune import quick_tune
    monkeypatch.setattr('fastclass.engine.finetune.features.fast_dtype', lambda device: torch.float32)
    torch.manual_seed(1)
    dls = made(files, *TASKS[task])
    learn = vision_learner(dls, squeezenet1_1, pretrained=False, metrics=accuracy_multi if task=='several labels' else mae)
    learn.freeze()
    with learn.no_bar(), learn.no_logging():
        before = learn.validate()[0]
        quick_tune(learn, 30, bs=4)
        table = list(learn.recorder.values[-1])[1:]
        after = learn.validate()
    assert type(learn.loss_func) is (BCEWithLogitsLossFlat if task=='several labels' else MSELossFlat().__class__)
    assert list(after)==pytest.approx(table, abs=1e-3) and after[0]<before


def test_boxes_are_refused_by_name(files):
    from fastclass.finetune import quick_tune
    block = DataBlock((ImageBlock, BBoxBlock, BBoxLblBlock(add_na=False)), get_y=[one_box, box_label], n_inp=1, item_tfms=Resize(48, method='squish'))
    dls = block.dataloaders(files, bs=4, num_workers=0)
    learn = Learner(dls, torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Linear(4, 4)), loss_func=no_loss)
    with pytest.raises(UnsupportedError, match='boxes'): quick_tune(learn)
    with pytest.raises(UnsupportedError, match='boxes'): steps()['predictions'](learn)


def test_make_learner_judges_by_what_suits_the_targets(files):
    from fastclass.finetune import make_learner
    for task,metric in (('numbers', 'mae'), ('several labels', 'accuracy_multi'), ('points', 'mae')):
        learn = make_learner(made(files, *TASKS[task]), 'squeezenet1_1', pretrained=False)
        assert [o.name for o in learn.metrics]==[metric]
        with learn.no_bar(): assert len(learn.validate())==2
    with pytest.raises(UnsupportedError, match='masks') as e: make_learner(made(files, *TASKS['masks']), 'squeezenet1_1', pretrained=False)
    assert 'segment_learner' in e.value.next


def test_a_classifier_is_no_segmenter_and_masks_no_table(files):
    from fastclass.segment import predict_mask, score_masks, segment_learner
    learn = vision_learner(made(files, *TASKS['numbers']), squeezenet1_1, pretrained=False)
    for step in (score_masks, lambda o: predict_mask(o, files[0]), lambda o: segment_learner(o.dls, download=False)):
        with pytest.raises(FastclassError, match='no list of classes'): step(learn)
