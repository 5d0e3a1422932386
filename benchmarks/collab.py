"""`quick_collab` against fastai's stock loop, on the same ratings, splits and model, in one process.

    python benchmarks/collab.py [--ratings 100000] [--seeds 2] [--json]

Speed: a table of ratings of the bundled kind, `collab_learner` with `fit_one_cycle(5, 5e-3, wd=.1)` at batch size 64 on one side and `quick_collab` on the other, each from
start to end, with validation. Scores are RMSE in stars on the same kept-back fifth, beside the floor, which is known. Where ../shared has MovieLens' small sample (or FASTAI_HOME has), the
validation loss on five splits is compared too, with `fine_tune(10)` and with `fit_one_cycle(5, 5e-3, wd=.1)`.

Lists: precision at 10 of `recommend`'s order, of plain predictions (shrink=0) and of popularity, on five splits of MovieLens' 100,000 ratings in ../shared (else of drawn ones), among all
unrated items and among the rated ones that were kept back, with 95% intervals over the splits; and the median number of ratings of what `recommend` and `similar` name.
"""
import argparse, json, os, time
from contextlib import redirect_stdout
from pathlib import Path
from statistics import mean, median
from sys import stderr

import numpy as np
import pandas as pd
import torch
from fastai.collab import CollabDataLoaders, collab_learner
from fastai.torch_core import set_seed

from common import SHARED, interval
from fastclass.engine.packs.tables import draw_ratings
from fastclass.collab import factors_of, quick_collab, rank_report, read_ratings, recommend, similar

Y_RANGE = (0.5, 5.5)


def one_cycle(learn): learn.fit_one_cycle(5, 5e-3, wd=.1)
def fine_tune(learn): learn.fine_tune(10)


def timed(train, dls, seed):
    "`(seconds, mean squared error)` of a fresh learner after `train`"
    set_seed(seed)
    learn = collab_learner(dls, n_factors=50, y_range=Y_RANGE)
    with learn.no_bar(), learn.no_logging():
        start = time.perf_counter()
        train(learn)
        return time.perf_counter()-start, float(learn.validate()[0])


def speed(ratings, seeds):
    "Both sides in turn on a large table"
    df,_,known = draw_ratings(943, 1682, ratings, 0)
    rows = []
    for s in range(seeds):
        dls = CollabDataLoaders.from_df(df[['user', 'film', 'rating']], seed=s, bs=64)
        rows.append(timed(quick_collab, dls, s) + timed(one_cycle, dls, s))
        print(f'seed {s}: quick_collab {rows[-1][0]:.2f} s, RMSE {rows[-1][1]**.5:.4f}; fit_one_cycle(5) {rows[-1][2]:.1f} s, RMSE {rows[-1][3]**.5:.4f}; floor {known["floor_rmse"]:.4f}')
    ours,reference = median(r[0] for r in rows),median(r[2] for r in rows)
    return dict(ratio=reference/ours, ratio_one_epoch=reference/5/ours, score_ours=mean(r[1]**.5 for r in rows), score_reference=mean(r[3]**.5 for r in rows), score='RMSE, lower is better',
                floor=known['floor_rmse'], seconds_ours=ours, seconds_reference=reference, ratings=ratings, seeds=seeds)


def sample():
    "ratings.csv of MovieLens' small sample, or None"
    homes = [Path(os.environ.get('FASTAI_HOME', '~/.fastai')).expanduser(), SHARED/'fastai_home']
    return next((f for h in homes if (f := h/'data'/'movie_lens_sample'/'ratings.csv').is_file()), None)


def movielens(file, seeds=5):
    "Validation losses on the same splits"
    df,rows = pd.read_csv(file),[]
    for s in range(seeds):
        dls = CollabDataLoaders.from_df(df, seed=s, bs=64)
        rows.append([timed(train, dls, s)[1] for train in (quick_collab, fine_tune, one_cycle)])
        print(f'MovieLens sample, split {s}: quick_collab {rows[-1][0]:.4f}, fine_tune(10) {rows[-1][1]:.4f}, fit_one_cycle(5) {rows[-1][2]:.4f}')
    ours,tuned,cycled = (mean(o) for o in zip(*rows))
    return dict(loss_ours=ours, loss_fine_tune=tuned, loss_one_cycle=cycled, under_fine_tune=1-ours/tuned, under_one_cycle=1-ours/cycled, seeds=seeds)


def sparse_ratings():
    "MovieLens' small full set where it is in reach, else drawn ratings of as many"
    folder = SHARED/'ratings'/'ml-latest-small'
    if folder.is_dir(): return 'ml-latest-small', read_ratings(folder/'ratings.csv', catalogue=folder/'movies.csv').table
    df,films,_ = draw_ratings(610, 9000, 100_000, 0)
    return 'drawn', df.merge(films[['film', 'title']])[['user', 'title', 'rating']].set_axis(['user', 'item', 'rating'], axis=1)


def on_split(df, seed, k):
    "Precision at k of each list in each protocol, and median numbers of ratings of what is named, on one split"
    dls = CollabDataLoaders.from_df(df[['user', 'item', 'rating']], seed=seed, bs=64)
    set_seed(seed)
    learn = collab_learner(dls, n_factors=50, y_range=(0, 5.5))
    with learn.no_bar(), learn.no_logging(): quick_collab(learn)
    known,valid,row = factors_of(learn),df.loc[dls.valid.items.index],{}
    for among in ('all', 'rated'):
        ours,_,popular = rank_report(known, valid, 'user', 'item', 'rating', k=k, among=among)
        plain,*_ = rank_report(known, valid, 'user', 'item', 'rating', k=k, among=among, shrink=0)
        row |= {f'{among}_ours': ours.precision, f'{among}_plain': plain.precision, f'{among}_popular': popular.precision, f'{among}_users': ours.users}
    some = np.random.default_rng(seed)
    users,items = some.permutation(known.users)[:100].tolist(),[known.items[i] for i in some.permutation(np.flatnonzero(known.counts>=10))[:100]]
    for name,shrink in (('ours', None), ('plain', 0)):
        row[f'recommend_ratings_{name}'] = float(np.median(np.concatenate([recommend(known, u, k, shrink=shrink).table.ratings for u in users])))
        row[f'similar_ratings_{name}'] = float(np.median(np.concatenate([similar(known, i, k, shrink=shrink).table.ratings for i in items])))
    return row


def lists(seeds=5, k=10):
    "Mean and interval over the splits of each figure of `on_split`, and of the differences between ours and popularity"
    name,df = sparse_ratings()
    rows = []
    for s in range(seeds):
        rows.append(on_split(df, s, k))
        print(f'{name}, split {s}:', ', '.join(f'{k} {v:.4g}' for k,v in rows[-1].items()))
    for row in rows: row |= {f'{among}_gain': row[f'{among}_ours']-row[f'{among}_popular'] for among in ('all', 'rated')}
    return dict(data=name, k=k, seeds=seeds, score='precision at k; mean, and the ends of its 95% interval over splits') | {o: interval(row[o] for row in rows) for o in rows[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ratings', type=int, default=100_000)
    parser.add_argument('--seeds', type=int, default=2)
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    with redirect_stdout(stderr):
        print(f'{torch.get_num_threads()} threads')
        small = CollabDataLoaders.from_df(draw_ratings(60, 40, 1000, 0)[0][['user', 'film', 'rating']], seed=0, bs=64)
        for train in (quick_collab, one_cycle): timed(train, small, 0) # warm up
        res = speed(args.ratings, args.seeds)
        file = sample()
        if file: res['movielens'] = movielens(file)
        res['lists'] = lists()
    found = res['lists']
    if not args.json:
        for o in ('all', 'rated'): print(f'precision at 10, among {o}: ours {found[o+"_ours"][0]:.3f}, popular {found[o+"_popular"][0]:.3f}, ours better by {found[o+"_gain"]}')
    print(json.dumps(res) if args.json else f"ratio {res['ratio']:.1f}, RMSE {res['score_ours']:.4f} against {res['score_reference']:.4f}" +
          (f"; MovieLens sample {res['movielens']['loss_ours']:.4f}, {res['movielens']['under_fine_tune']:.1%} under fine_tune(10)" if file else ''))


if __name__ == '__main__': main()
