"""Label errors: 5% of the labels of a set are swapped; how many of them are in the first tenth of the ranking? Beside `cleanlab` on the same probabilities.

    python benchmarks/suspects.py [--data FOLDER] [--seeds 5] [--json]

The features come from SqueezeNet, once. Each seed swaps other labels and cuts other parts. `score_ours` and `score_reference` are the mean shares
found (cleanlab: the better of its self-confidence and normalised-margin rankings); `ratio` is ours by theirs. Without cleanlab (pip install cleanlab),
the reference is fastai's way: the pictures sorted by the loss of a model that was trained on all of them.
"""
import argparse, json
from contextlib import redirect_stdout
from sys import stderr

import numpy as np

from common import photos
from fastclass.engine.datablock.folder import scan_folder
from fastclass.engine.datablock.loaders import folder_dls
from fastclass.engine.finetune.weights import make_learner
from fastclass.engine.interpret.label_issues import _all_pictures, linear_classifier, out_of_fold_probabilities


def found(ranking, swapped):
    "Share of the swapped labels in the first tenth of a ranking"
    return float(np.isin(ranking[:round(.1*len(ranking))], swapped).mean()*round(.1*len(ranking))/len(swapped))


def swap(y, n_classes, share, rng):
    "Labels with a share of them changed, and which"
    at, y = rng.choice(len(y), round(share*len(y)), replace=False), y.copy()
    y[at] = (y[at]+rng.integers(1, n_classes, len(at)))%n_classes
    return y, at


def trained_on_all(x, y, n_classes):
    "Probabilities of a classifier for the pictures that it was trained on"
    return linear_classifier(len(y)).fit(x, y).predict_proba(x)


def reference(y, probs, x, n_classes):
    "Rankings of the reference, by name"
    try: from cleanlab.rank import get_label_quality_scores
    except ImportError: return {'own loss': np.argsort(trained_on_all(x, y, n_classes)[range(len(y)), y])}
    return {f'cleanlab {m}': np.argsort(get_label_quality_scores(y, probs, method=m)) for m in ('self_confidence', 'normalized_margin')}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data')
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    with redirect_stdout(stderr):
        dls = folder_dls(scan_folder(args.data or photos('streets', 'photos'), progress=False), size=192, workers=0)
        learn = make_learner(dls)
        x, files, labels, _ = _all_pictures(learn)
    true, c, rows = np.array([dls.vocab.o2i[o] for o in labels]), len(dls.vocab), []
    for seed in range(args.seeds):
        y, at = swap(true, c, .05, np.random.default_rng(seed))
        probs = out_of_fold_probabilities(x, y, c, seed=seed)
        rows.append(dict(ours=found(np.argsort(probs[range(len(y)), y]), at), **{k: found(v, at) for k, v in reference(y, probs, x, c).items()}))
        print(f'seed {seed}: '+', '.join(f'{k} {v:.3f}' for k, v in rows[-1].items()), file=stderr)
    means = {k: float(np.mean([o[k] for o in rows])) for k in rows[0]}
    theirs = max(v for k, v in means.items() if k!='ours')
    res = dict(ratio=means['ours']/theirs, score_ours=means['ours'], score_reference=theirs, worst_ours=min(o['ours'] for o in rows), seeds=len(rows),
               pictures=len(true), weights=learn.weights.source, **{k.replace(' ', '_'): v for k, v in means.items() if k!='ours'})
    print(json.dumps(res) if args.json else f"ours {means['ours']:.3f}, reference {theirs:.3f}")


if __name__ == '__main__': main()
