"What the claims of lesson 9 measure, for a seed"
from functools import cache

from fastai.vision.all import set_seed

from fastclass.datablock import folder_dls
from fastclass.engine.packs.packs import pack
from fastclass.finetune import make_learner, quick_tune
from fastclass.interpret import predictions
from fastclass.predict import choose_threshold, predict_files


@cache
def trained(seed):
    "A model of crests, its answers on the validation pictures, and the threshold of its page"
    set_seed(seed)
    dls = folder_dls(pack('crests')/'train', size=96, seed=seed, workers=0)
    learn = make_learner(dls)
    with learn.no_bar(), learn.no_logging(): quick_tune(learn, 8)
    checked = predictions(learn)
    return learn,checked,choose_threshold(checked)[0]


def gap_at_threshold(seed):
    "How much more often an answer is right above the threshold than below it"
    _,checked,threshold = trained(seed)
    sure = checked.probability>=threshold
    return float(checked.correct[sure].mean()-checked.correct[~sure].mean())


def sure_of_lakes(seed):
    "Share of photos of lakes that count as a sure crest"
    learn,_,threshold = trained(seed)
    lakes = sorted(pack('lakes', each=20).glob('*/*.jpg'))
    return float(predict_files(learn, lakes, threshold=threshold, progress=False).sure.mean())


MEASURES = {'9.a': gap_at_threshold, '9.b': sure_of_lakes}
