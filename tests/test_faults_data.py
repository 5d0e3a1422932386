"Faults of fastai that belong to data: each test shows the fault on today's stack, and that we are safe from it"
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.vision.all import (CategoryBlock, DataBlock, ImageBlock, ImageDataLoaders, RandomSplitter, Resize, accuracy, get_image_files, nn, parent_label, resize_images, vision_learner,
                               CrossEntropyLossFlat, Learner, PILImage)
from PIL import Image, ImageOps
from torchvision.models import resnet18

from fastclass.engine.base.errors import DataError
from fastclass.engine.datablock.checks import _header
from fastclass.collect import collect_folder
from fastclass.datablock import UprightImage, check_dls, folder_dls, near_groups, picture_files, stable_split
from fastclass.finetune import quick_tune

pytestmark = [pytest.mark.usefixtures('one_thread'), pytest.mark.filterwarnings('ignore::FutureWarning', 'ignore::UserWarning')]


def draw(file, seed, size=(64, 64)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC).save(file, quality=95)
    return file


@pytest.fixture
def folder(tmp_path):
    for i in range(40): draw(tmp_path/'set'/('cat', 'dog')[i%2]/f'{i:03}.jpg', i)
    return tmp_path/'set'


def small(dls):
    return Learner(dls, nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)), loss_func=CrossEntropyLossFlat(), metrics=accuracy)


def content(files): return {Path(f).read_bytes() for f in files}


def test_random_splitter_is_not_the_same_split_after_fetching_again(folder, tmp_path):
    files = get_image_files(folder).sorted()
    fetched = [Path(shutil.copy(f, (tmp_path/'again'/f.parent.name).mkdir(parents=True, exist_ok=True) or tmp_path/'again'/f.parent.name/f'{(i*7)%40:03}.jpg')) for i,f in enumerate(files)]
    again = get_image_files(tmp_path/'again').sorted()
    assert len(again)==40 and content(again)==content(fetched)
    first, second = (content(o[RandomSplitter(.2, seed=42)(o)[1]]) for o in (files, again))
    assert len(first & second)<len(first), 'the fault: other pictures are for validation now'
    first, second = (content(stable_split(o, [f.parent.name for f in o]).of('valid')) for o in (files, again))
    assert first==second
    first, second = (content(folder_dls(o, size=32, workers=0).valid_ds.items) for o in (folder, tmp_path/'again'))
    assert first==second


def test_get_image_files_on_a_folder_that_is_not_there(tmp_path):
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label)
    assert len(get_image_files(tmp_path/'none'))==0
    with pytest.raises(TypeError, match='NoneType'): block.dataloaders(tmp_path/'none')
    with pytest.raises(DataError, match='There is no folder'): picture_files(tmp_path/'none')
    with pytest.raises(DataError, match='There is no folder'): folder_dls(tmp_path/'none')
    with pytest.raises(DataError, match='no pictures'): picture_files(tmp_path)
    with pytest.raises(DataError, match='is a file'): picture_files(draw(tmp_path/'a.jpg', 0))


def test_a_batch_size_above_the_training_set_trains_on_nothing(folder):
    dls = ImageDataLoaders.from_folder(folder, valid_pct=.2, seed=1, bs=64, num_workers=0, item_tfms=Resize(32))
    learn = small(dls)
    before = [p.detach().clone() for p in learn.model.parameters()]
    with learn.no_bar(), learn.no_logging(): learn.fit(2)
    assert all((a==b).all() for a,b in zip(before, learn.model.parameters())), 'the fault: no error, and nothing was learned'
    with pytest.raises(DataError, match='no full batch'): check_dls(dls, look=False).raise_if_bad()
    assert len(folder_dls(folder, size=32, bs=64, workers=0).train)==1


def test_resize_images_forgets_what_is_up(folder, tmp_path, shared):
    src = tmp_path/'phone'
    for to,fr in (('a', 'Landscape_6'), ('b', 'Portrait_8')):
        (src/to).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shared/'awkward_files'/'exif_orientation'/f'{fr}.jpg', src/to/f'{fr}.jpg')
    size = {f.stem:ImageOps.exif_transpose(Image.open(f)).size for f in get_image_files(src)}
    wide = {k:w>h for k,(w,h) in size.items()}
    resize_images(src, max_size=300, dest=tmp_path/'fastai', recurse=True, max_workers=0)
    lying = [f.stem for f in get_image_files(tmp_path/'fastai') if (Image.open(f).width>Image.open(f).height)!=wide[f.stem] and not _header(f)[2]]
    assert lying, 'the fault: photos lie on their side, and the tag that said so is gone'
    ours = collect_folder(src, tmp_path/'ours')
    for row in ours.rows:
        if row['status']=='ok':
            im = Image.open(tmp_path/'ours'/row['file'])
            assert (im.width>im.height)==wide[Path(row['title']).stem] and not _header(tmp_path/'ours'/row['file'])[2]


def test_resize_images_stops_at_one_bad_file(folder, tmp_path):
    Image.new('RGB', (2000, 1)).save(folder/'cat'/'line.png')
    with pytest.raises(ValueError): resize_images(folder/'cat', max_size=300, dest=tmp_path/'fastai', max_workers=0)
    made = collect_folder(folder/'cat', tmp_path/'ours', label='cat')
    assert len(made.rows)==21 and sum(r['status']=='ok' for r in made.rows)==20, 'each file has its row, and the others are there'


def test_photos_from_phones_are_upright(shared, tmp_path):
    files = sorted((shared/'awkward_files'/'exif_orientation').glob('Landscape_*.jpg'))
    assert len({PILImage.create(f).size for f in files})>1, 'the fault: the same photo lies on its side for some tags'
    assert len({UprightImage.create(f).size for f in files})==1
    for i,f in enumerate(files): (tmp_path/'ab'[i%2]).mkdir(exist_ok=True); shutil.copyfile(f, tmp_path/'ab'[i%2]/f.name)
    plain = ImageDataLoaders.from_folder(tmp_path, valid_pct=.3, seed=1, bs=2, num_workers=0, item_tfms=Resize(32))
    assert 'turned' in check_dls(plain).kinds


def test_predict_takes_a_picture_in_any_shape(folder):
    learn = vision_learner(folder_dls(folder, size=32), resnet18, pretrained=False)
    f = folder/'cat'/'000.jpg'
    im = Image.open(f)
    with learn.no_bar(): probs = [learn.predict(o)[2] for o in (f, str(f), f.read_bytes(), im, PILImage.create(f), im.convert('RGBA'), np.asarray(im))]
    assert all(torch.allclose(o, probs[0], atol=1e-5) for o in probs)


def test_crests_with_hidden_colours(shared, tmp_path):
    files = sorted((shared/'crests').rglob('*.png'))
    def hidden(cls): # how light the transparent pixels are shown, in steps of a quarter, for each crest
        clear = [np.asarray(Image.open(f).convert('RGBA'))[..., 3]==0 for f in files]
        return [round(float(np.asarray(cls.create(f))[c].mean())/64) for f,c in zip(files, clear)]
    assert {0, 3} <= set(hidden(PILImage)), 'the fault: what lies under the transparent pixels is seen, black for some and light for others'
    assert set(hidden(UprightImage))=={4}


def test_a_folder_that_a_tool_left_is_no_class(folder):
    draw(folder/'__MACOSX'/'a.jpg', 90), draw(folder/'models'/'b.jpg', 91), draw(folder/'lost.jpg', 92)
    plain = ImageDataLoaders.from_path_func(folder, get_image_files(folder), parent_label, valid_pct=.1, seed=3, bs=8, num_workers=0, item_tfms=Resize(32))
    labels = {parent_label(f) for f in get_image_files(folder)}
    assert {'__MACOSX', 'models', folder.name} <= labels, 'the fault: they become classes'
    assert check_dls(plain)['stray']
    assert {parent_label(f) for f in picture_files(folder)}=={'cat', 'dog', folder.name}
    assert list(folder_dls(folder, size=32, workers=0).vocab)==['cat', 'dog']


def test_a_class_that_only_the_validation_has(folder):
    files = [draw(folder/'emu'/'0.jpg', 80), *get_image_files(folder)]
    from fastai.vision.all import IndexSplitter
    dls = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=IndexSplitter(range(9)), item_tfms=Resize(32)).dataloaders(files[:1]+[f for f in files[1:] if f.parent.name!='emu'], bs=8, num_workers=0)
    with pytest.raises(KeyError, match='emu'): [dls.valid_ds[i] for i in range(9)]
    assert 'unknown_class' in [o.kind for o in check_dls(dls).bad]


def test_a_leak_that_a_random_split_makes(tmp_path):
    "Four siblings of each picture: a split by chance tears them apart, a grouped one does not"
    files = []
    for i in range(20):
        im = Image.open(draw(tmp_path/('cat', 'dog')[i%2]/f'{i}_0.jpg', i))
        for j in (1, 2, 3): im.resize((64-4*j, 64-4*j)).save(tmp_path/('cat', 'dog')[i%2]/f'{i}_{j}.jpg', quality=60+10*j)
    files = picture_files(tmp_path).sorted()
    groups, kinds = near_groups(files), [f.parent.name for f in files]
    assert len(set(groups))==20 and all(len({f.stem.split('_')[0] for f,g in zip(files, groups) if g==name})==1 for name in set(groups))
    def leaks(splitter): return check_dls(DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=splitter, item_tfms=Resize(32)).dataloaders(files, bs=8, num_workers=0))['leak']
    assert leaks(RandomSplitter(.2, seed=1))[0].bad
    for seed in range(5): assert not leaks(stable_split(files, kinds, groups=groups, seed=seed))


def test_quick_tune_refuses_one_class(folder):
    shutil.rmtree(folder/'dog')
    dls = ImageDataLoaders.from_path_func(folder, get_image_files(folder), parent_label, seed=1, bs=8, num_workers=0, item_tfms=Resize(32))
    assert [o.kind for o in check_dls(dls, look=False).bad]==['one_class']
    from torchvision.models import squeezenet1_1
    with pytest.raises(DataError, match='one class'): quick_tune(vision_learner(dls, squeezenet1_1, pretrained=False, metrics=accuracy))
