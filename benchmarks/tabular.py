"""`fit_rows` against fastai's `fit_one_cycle(2)`, and both against gradient boosting, on the same table, columns and splits, in one process.

    python benchmarks/tabular.py [--csv FILE --target NAME] [--seeds 5] [--json]
    python benchmarks/tabular.py --small [NAME ...] [--seeds 5] [--first 0] [--json]

Without --csv it takes ADULT_SAMPLE in ../shared where that is, else the bundled census. Time is that of training alone, from the same DataLoaders;
`fit_rows` includes making its tensors. `score_boosting` is scikit-learn's HistGradientBoostingClassifier with native categories, with the
lesson's columns and (`*_all`) with all that `choose_columns` takes.

`--small` trains on tables of hundreds of rows that come inside packages (scikit-learn, and where they are installed vega_datasets, statsmodels and
palmerpenguins) and tells accuracy, or RMSE, beside gradient boosting: the mean over the seeds, and of their difference the 95% interval (Student's t).
The recipe was chosen by seeds 0 to 4: a result is to be told by others (`--first 5`).
"""
import argparse, importlib, json, time
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from statistics import mean, median
from sys import stderr

import fastai.callback.progress, fastai.callback.schedule # give Learner its no_bar and fit_one_cycle
import pandas as pd
import torch
from fastai.metrics import accuracy
from fastai.tabular.learner import tabular_learner
from fastai.torch_core import set_seed

from common import SHARED, interval
from fastclass.engine.base.machine import quiet
from fastclass.engine.packs.packs import pack
from fastclass.engine.tabular.model import fit_rows
from fastclass.tabular import compare_models, train_table

LESSON = dict(salary=(['workclass', 'education', 'marital-status', 'occupation', 'relationship', 'race'], ['age', 'fnlwgt', 'education-num']),
              income=(['education', 'occupation', 'sector', 'household', 'region'], ['age', 'hours']))


def timed(dls, train, seed):
    "`(seconds, accuracy)` of a fresh learner after `train`"
    set_seed(seed)
    learn = tabular_learner(dls, metrics=accuracy)
    with learn.no_bar(), learn.no_logging():
        start = time.perf_counter()
        train(learn)
        return time.perf_counter()-start, float(learn.validate()[1])


def standard(learn): learn.fit_one_cycle(2)


def one_seed(df, target, lists, seed):
    "Times and scores of one split"
    model = train_table(df, target, *lists, seed=seed)
    ours = timed(model.learn.dls, lambda learn: fit_rows(learn, seed=seed), seed)
    reference = timed(model.learn.dls, standard, seed)
    scores = [compare_models(m, ['gradient boosting'], seed).accuracy for m in (model, train_table(df, target, seed=seed))]
    row = dict(seconds_ours=ours[0], seconds_reference=reference[0], score_ours=ours[1], score_reference=reference[1],
               score_boosting=scores[0]['gradient boosting'], score_ours_all=scores[1]['network'], score_boosting_all=scores[1]['gradient boosting'])
    print(f'seed {seed}: ' + ', '.join(f'{k} {v:.4f}' for k,v in row.items()))
    return row


def sklearn_table(name):
    "A table that scikit-learn holds"
    from sklearn import datasets
    return getattr(datasets, f'load_{name}')(as_frame=True).frame


def vega_table(name):
    "A table of vega_datasets"
    from vega_datasets import data
    return getattr(data, name)()


def statsmodels_table(name): return importlib.import_module(f'statsmodels.datasets.{name}').load_pandas().data


def affairs_table():
    "Was there any?"
    df = statsmodels_table('fair')
    return df.assign(affairs=(df.affairs>0).astype(int))


def penguins_table():
    from palmerpenguins import load_penguins
    return load_penguins()


SMALL = { # Name to `(function, target)`
    'breast_cancer': (partial(sklearn_table, 'breast_cancer'), 'target'),
    'wine': (partial(sklearn_table, 'wine'), 'target'),
    'penguins, species': (penguins_table, 'species'),
    'penguins, sex': (penguins_table, 'sex'),
    'cars, origin': (partial(vega_table, 'cars'), 'Origin'),
    'weather': (partial(vega_table, 'seattle_weather'), 'weather'),
    'affairs': (affairs_table, 'affairs'),
    'anes96, vote': (partial(statsmodels_table, 'anes96'), 'vote'),
    'heart': (partial(statsmodels_table, 'heart'), 'censors'),
    'diabetes': (partial(sklearn_table, 'diabetes'), 'target'),
    'cars, miles per gallon': (partial(vega_table, 'cars'), 'Miles_per_Gallon'),
}


def small_table(name, seeds):
    "The network beside gradient boosting on one table, on the same columns and splits, for each of `seeds`; None where its package is not there"
    load,target = SMALL[name]
    try: df = load()
    except ImportError as e:
        print(f'{name}: left out, {e}')
        return None
    start = time.perf_counter()
    pairs = []
    for seed in seeds:
        model = train_table(df, target, seed=seed)
        scores = compare_models(model, ['gradient boosting'], seed).iloc[:, 0]
        pairs.append((scores['network'], scores['gradient boosting']))
    ours,boosting = zip(*pairs)
    number = model.classes is None
    gaps = [100*(a/mean(boosting)-b/mean(boosting) if number else a-b) for a,b in pairs]
    gap,low,high = interval(gaps)
    unit = '% of RMSE' if number else 'points'
    print(f'{name}: network {mean(ours):.4f}, gradient boosting {mean(boosting):.4f}, {gap:+.1f} {unit} ({low:+.1f} to {high:+.1f}), '
          f'{(time.perf_counter()-start)/len(seeds):.1f} s a seed, {model.about["epochs"]} epochs', flush=True)
    return dict(rows=len(df), network=mean(ours), boosting=mean(boosting), gap=gap, low=low, high=high, unit=unit)


def default_data():
    "The real table beside the repository, else the bundled one"
    real = SHARED/'fastai_home'/'data'/'adult_sample'/'adult.csv'
    return (real, 'salary') if real.is_file() else (pack('census')/'census.csv', 'income')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--csv')
    parser.add_argument('--target')
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--first', type=int, default=0, help='the first seed of --small')
    parser.add_argument('--small', nargs='*', metavar='NAME', help=f'Any of {", ".join(SMALL)}; without a name all of them')
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    if args.csv and not args.target: parser.error('--csv needs --target')
    quiet()
    if args.small is not None:
        if set(args.small)-set(SMALL): parser.error(f'--small knows {", ".join(SMALL)}')
        with redirect_stdout(stderr): found = {name: small_table(name, range(args.first, args.first+args.seeds)) for name in args.small or SMALL}
        return print(json.dumps(found)) if args.json else None
    with redirect_stdout(stderr):
        csv, target = (args.csv, args.target) if args.csv else default_data()
        df = pd.read_csv(csv, skipinitialspace=True)
        lists = LESSON.get(target, ())
        print(f'{Path(csv).name}: {len(df)} rows, {torch.get_num_threads()} threads')
        fit_rows(train_table(df.iloc[:2000], target, *lists).learn) # warm up
        rows = [one_seed(df, target, lists, s) for s in range(args.seeds)]
        res = {k: (median if k.startswith('seconds') else mean)(r[k] for r in rows) for k in rows[0]}
        res = dict(ratio=res['seconds_reference']/res['seconds_ours'], **res, seeds=len(rows), data=Path(csv).stem)
    print(json.dumps(res) if args.json else f"ratio {res['ratio']:.1f}; accuracy {res['score_ours']:.4f}, fit_one_cycle(2) {res['score_reference']:.4f}, "
          f"gradient boosting {res['score_boosting']:.4f}; all columns {res['score_ours_all']:.4f} against {res['score_boosting_all']:.4f}")


if __name__ == '__main__': main()
