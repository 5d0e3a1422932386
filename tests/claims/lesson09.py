"What the claims of lesson 9 measure, for a seed"
from functools import cache

from fastai.vision.all import set_seed

from fastclass.datablock import folder_dls
from fastclass.engine.packs.packs import pack
from fastclass.finetune import make_learner, quick_tune
from fastclass.interpret import predictions
from fastclass.predict import as_predictor, choose_threshold, predict_files


@cache
def trained(seed):
    "A model of crests, the threshold of its page, and its answers on crests that it has never seen"
    set_seed(seed)
    dls = folder_dls(pack('crests', train=20, seed=seed)/'train', size=96, workers=0)
    learn = make_learner(dls)
    with learn.no_bar(), learn.no_logging(): quick_tune(learn, 8)
    threshold,_ = choose_threshold(predictions(learn))
    return learn,min(threshold, 1.)


def sure_of_other_things(seed):
    "Share of lakes that count as a sure crest"
    learn,threshold = trained(seed)
    files = sorted(pack('lakes', each=20).glob('*/*.jpg'))
    table = predict_files(as_predictor(learn), files, threshold=threshold, progress=False)
    return float(table.sure.mean())


def gap_at_threshold(seed):
    "How many more answers are right above the threshold than below it, on new crests"
    learn,threshold = trained(seed)
    files = sorted(pack('crests', train=6, seed=seed+100).glob('train/*/*.jpg'))
    table = predict_files(as_predictor(learn), files, threshold=threshold, progress=False)
    right = table.prediction==[o.parent.name for o in files]
    return float(right[table.sure].mean()-right[~table.sure].mean())


MEASURES = {'9.a': gap_at_threshold, '9.b': sure_of_other_things}
