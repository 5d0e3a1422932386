"What the claims of lesson 3 measure, for a seed"
from fastai.vision.all import set_seed

from fastclass.datablock import folder_dls
from fastclass.engine.packs.packs import pack
from fastclass.finetune import make_learner, what_trains


def head_after_fine_tune_0(seed):
    "Share of the head that changed"
    set_seed(seed)
    dls = folder_dls(pack('lakes', seed=seed, each=8), size=48, bs=8)
    learn = make_learner(dls, 'resnet18', pretrained=False)
    with learn.no_bar(), learn.no_logging(): return what_trains(learn.fine_tune, 0)['head']


MEASURES = {'3.a': head_after_fine_tune_0}
