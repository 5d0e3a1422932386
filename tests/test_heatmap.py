"Heatmaps: the maps of the definition, for any network of convolutions, on the pictures as the learner knows them, and cheap"
from pathlib import Path

import numpy as np, pandas as pd, pytest, torch
import fastai.callback.progress # gives Learner its no_bar
from fastai.data.transforms import get_image_files
from fastai.vision import models
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import Learner, vision_learner
from fastai.losses import CrossEntropyLossFlat
from PIL import Image, ImageDraw
from torch import nn
from fastclass.engine.base.errors import DataError, UnsupportedError
from fastclass.engine.interpret.gradcam import Heatmaps, cam, heatmaps, last_grid, mapper, overlay, scaled, where_hot
from fastclass.interpret import plot_top_losses, predictions

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    "Discs on the left or the right of noise, in portrait and landscape"
    root,rng = tmp_path_factory.mktemp('discs'),np.random.default_rng(0)
    for label in ('left', 'right'):
        for i in range(12):
            w,h = (96, 72) if i%2 else (72, 96)
            im = Image.fromarray(rng.integers(90, 170, (h, w, 3), np.uint8)); x = w//4 if label=='left' else 3*w//4
            ImageDraw.Draw(im).ellipse((x-12, h//2-12, x+12, h//2+12), fill='black')
            (root/label).mkdir(exist_ok=True); im.save(root/label/f'{i}.png')
    return root

def loaders(photos, size=64, **kwargs):
    return ImageDataLoaders.from_folder(photos, **(dict(valid_pct=.5, seed=1, item_tfms=Resize(size, 'squish'), bs=4, num_workers=0) | kwargs))

@pytest.fixture(scope='module')
def learn(photos):
    torch.manual_seed(0)
    return vision_learner(loaders(photos), models.squeezenet1_1, pretrained=False)

def naive(model, layer, xb, classes):
    "Grad-CAM as the paper has it: the whole graph, one picture at a time"
    kept,out = [],[]
    handle = layer.register_forward_hook(lambda m, i, o: kept.append(o))
    model.eval()
    for x,k in zip(xb, classes):
        kept.clear()
        x = x[None].clone().requires_grad_() # so that frozen bodies have a graph too
        score = model(x)[0, k]
        grad, = torch.autograd.grad(score, kept[0])
        m = (grad.mean((2, 3), keepdim=True)*kept[0]).sum(1).relu().detach()
        out.append(scaled(m, x.shape[2:])[0])
    handle.remove()
    return torch.stack(out).numpy()

def no_relu_in_place(model):
    for m in model.modules():
        if isinstance(m, nn.ReLU): m.inplace = False
    return model

NETWORKS = {'squeezenet': lambda: vision_net(models.squeezenet1_1), 'resnet18': lambda: vision_net(models.resnet18), 'densenet': lambda: vision_net(models.densenet121),
            'plain resnet': lambda: no_relu_in_place(models.resnet18(weights=None, num_classes=3)), 'tiny': lambda: nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))}

def vision_net(arch):
    from fastai.vision.learner import create_vision_model
    return no_relu_in_place(create_vision_model(arch, 3, pretrained=False))

@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize('name', NETWORKS)
def test_maps_are_those_of_the_definition(name, dtype, monkeypatch):
    monkeypatch.setattr('fastclass.engine.finetune.features.fast_dtype', lambda device: dtype) # both, whatever this processor is fast with
    torch.manual_seed(1)
    model,xb,classes = NETWORKS[name]().eval(),torch.rand(3, 3, 96, 96),torch.tensor([0, 2, 1])
    layer = last_grid(model, xb[:1])
    with mapper(model, xb) as maps_of: maps = scaled(maps_of(xb, classes)[0], (96, 96)).numpy()
    gap = np.abs(maps-naive(model, model.get_submodule(layer), xb, classes))
    if dtype==torch.float32: assert gap.max()<1e-3
    else: assert gap.mean()<.03 and gap.max()<.25 # 8 bits a number: measured .021 and .153

@pytest.mark.parametrize('name,layer', [('squeezenet', '0.5'), ('resnet18', '0.6'), ('plain resnet', 'layer3'), ('tiny', '1')])
def test_any_layer_can_be_asked(name, layer):
    torch.manual_seed(1)
    model,xb,classes = NETWORKS[name]().eval(),torch.rand(2, 3, 96, 96),torch.tensor([0, 2])
    names = dict(model.named_modules())
    if layer not in names: layer = next(n for n in names if n.startswith('0.') and n.count('.')>=1 and isinstance(names[n], nn.Module) and n.split('.')[-1]==layer[-1])
    with mapper(model, xb, layer) as maps_of: maps = scaled(maps_of(xb, classes)[0], (96, 96)).numpy()
    np.testing.assert_allclose(maps, naive(model, names[layer], xb, classes), atol=.03)

def test_timm_networks():
    timm = pytest.importorskip('timm', reason='timm is not installed')
    xb = torch.rand(2, 3, 64, 64)
    for name in ('resnet10t', 'convnext_atto'):
        model = timm.create_model(name, num_classes=3).eval()
        with mapper(model, xb) as maps_of: assert maps_of(xb)[0].shape==(2, 2, 2)
    vit = timm.create_model('vit_tiny_patch16_224', img_size=64, num_classes=3).eval()
    with pytest.raises(UnsupportedError, match='grid of places'): last_grid(vit, xb)

def test_networks_without_a_grid_are_refused():
    with pytest.raises(UnsupportedError, match='grid of places'): last_grid(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), torch.rand(1, 3, 2, 2))
    vit = torch.nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.Flatten(2), nn.Linear(16, 4), nn.Flatten(), nn.Linear(32, 2))
    with pytest.raises(UnsupportedError, match='grid of places'): last_grid(vit, torch.rand(1, 3, 64, 64))
    shared = nn.ReLU()
    twice = nn.Sequential(nn.Conv2d(3, 4, 3), shared, nn.Conv2d(4, 4, 3), shared, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    class Net(nn.Module):
        def __init__(self): super().__init__(); self.net,self.act = twice,shared
        def forward(self, x): return self.net(x)
    with mapper(Net(), torch.rand(1, 3, 32, 32), 'net.1') as maps_of:
        with pytest.raises(UnsupportedError, match='more than once'): maps_of(torch.rand(1, 3, 32, 32))

# ---- for a learner

@pytest.mark.parametrize('method,size', [('squish', (64, 64)), ('pad', (64, 64)), ('crop', (64, 64)), ('squish', (48, 80))])
def test_pictures_are_those_that_the_learner_knows(photos, method, size):
    dls = loaders(photos, item_tfms=Resize(size, method), batch_tfms=aug_transforms())
    learn = vision_learner(dls, models.squeezenet1_1, pretrained=False)
    seen = heatmaps(learn)
    assert isinstance(seen, Heatmaps) and seen.maps.shape==(12, *size) and seen.pictures.shape==(12, *size, 3) and seen.pictures.dtype==np.uint8
    xb = next(iter(dls.valid))[0]
    expect = dls.valid.decode((xb,))[0].float().permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(seen.pictures[:4]/255, expect if expect.max()<=1 else expect/255, atol=.01)
    assert seen.files==[str(o) for o in dls.valid_ds.items]

def test_training_pictures_without_augmentation(photos):
    dls = loaders(photos, batch_tfms=aug_transforms(max_rotate=90, p_affine=1.))
    learn = vision_learner(dls, models.squeezenet1_1, pretrained=False)
    files = [str(o) for o in dls.train_ds.items[:3]]
    np.testing.assert_array_equal(heatmaps(learn, files).pictures, heatmaps(learn, files).pictures)

def test_maps_of_a_learner_and_what_it_leaves(learn):
    learn.model.train(); before = {k: v.clone() for k,v in learn.model.state_dict().items()}
    seen = heatmaps(learn)
    assert all(m.training for m in learn.model.modules()) and all(p.grad is None for p in learn.model.parameters())
    assert all(torch.equal(v, before[k]) for k,v in learn.model.state_dict().items())
    assert seen.maps.min()==0 and seen.maps.max()<=1+1e-6
    with learn.no_bar(): probs = learn.get_preds()[0].numpy()
    np.testing.assert_allclose(seen.probabilities, probs, atol=.02)
    assert seen.classes==[learn.dls.vocab[int(i)] for i in seen.probabilities.argmax(1)]

def test_batches_do_not_matter(learn):
    np.testing.assert_allclose(heatmaps(learn, bs=5).maps, heatmaps(learn, bs=32).maps, atol=.03)

def test_learner_from_a_table(photos):
    files = sorted(get_image_files(photos))
    df = pd.DataFrame({'name': [str(o.relative_to(photos)) for o in files], 'label': [o.parent.name for o in files]})
    learn = vision_learner(ImageDataLoaders.from_df(df, photos, valid_pct=.5, seed=1, item_tfms=Resize(64), bs=4, num_workers=0), models.squeezenet1_1, pretrained=False)
    with learn.no_bar(): frame = predictions(learn)
    assert heatmaps(learn, frame.file[3:5]).files==list(frame.file[3:5])

def test_a_learner_with_a_net_of_its_own(photos):
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    assert heatmaps(Learner(loaders(photos), net, loss_func=CrossEntropyLossFlat())).maps.shape==(12, 64, 64)

def test_heat_is_where_the_disc_is(photos):
    "A net whose classes are: black on the left half, black on the right half"
    class Halves(nn.Module):
        def __init__(self): super().__init__(); self.conv = nn.Conv2d(3, 2, 5, 2, 2)
        def forward(self, x):
            x = self.conv(x); w = x.shape[-1]//2
            return torch.stack([x[:, 0, :, :w].mean((1, 2)), x[:, 1, :, w:].mean((1, 2))], 1)
    net = Halves(); nn.init.constant_(net.conv.weight, -1/75); nn.init.constant_(net.conv.bias, .3)
    seen = heatmaps(Learner(loaders(photos), net, loss_func=CrossEntropyLossFlat()), of=[Path(o).parent.name for o in loaders(photos).valid_ds.items])
    for f,m in zip(seen.files, seen.maps):
        x = np.average(np.arange(64), weights=(m*(m>.5)).sum(0))
        assert (x<32)==(Path(f).parent.name=='left')

def test_bad_wishes(learn, photos):
    for kwargs,error,match in ((dict(of='middle'), DataError, 'no class'), (dict(of=['left']), DataError, 'one class a picture'), (dict(files=[]), DataError, 'no pictures'),
                               (dict(layer='nope'), UnsupportedError, 'no layer'), (dict(layer='1.4'), UnsupportedError, 'grid of places')):
        with pytest.raises(error, match=match): heatmaps(learn, **kwargs)

# ---- figures

def test_top_losses_with_heat(learn, tmp_path):
    with learn.no_bar(): frame = predictions(learn)
    for fig in (plot_top_losses(frame, 4, heatmap=True, learn=learn), plot_top_losses(frame, 1000, heatmap=True, learn=learn)):
        fig.savefig(tmp_path/'f.png', dpi=50)
        assert 'spoke for it' in fig._suptitle.get_text() and 'probability' in fig._suptitle.get_text()
    with learn.no_bar(): plot_top_losses(learn, 2, heatmap=True)
    with pytest.raises(DataError, match='needs the model'): plot_top_losses(frame, 2, heatmap=True)

def test_overlay_and_words():
    grey = np.full((30, 30, 3), 100, np.uint8); heat = np.zeros((30, 30)); heat[20:, 20:] = 1
    out = overlay(grey, heat)
    assert (out[:20, :20]==100).all() and out[25, 25].mean()>150 # light where it is hot: seen in grey too
    assert where_hot(heat)=='lower right, 11% of the picture' and where_hot(0*heat)=='nowhere'
    assert cam(torch.ones(1, 2, 3, 3), -torch.ones(1, 2, 3, 3)).max()==0

# ---- cost

def test_no_gradient_flows_through_the_body(learn):
    "What makes it cheap: the pass through the body keeps nothing for the way back"
    seen = []
    handle = learn.model[0].register_forward_hook(lambda m, i, o: seen.append(o.requires_grad))
    heatmaps(learn, bs=4)
    handle.remove()
    assert len(seen)>=3 and not any(seen)
