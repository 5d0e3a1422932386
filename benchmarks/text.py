"""`quick_text` against fastai's AWD_LSTM from scratch, and both against TF-IDF with logistic regression, on the same texts and splits, in one process.

    python benchmarks/text.py [--csv FILE] [--words 150] [--seeds 5] [--first 100] [--epochs 3] [--without-lstm] [--json]

Without --csv it takes IMDB_SAMPLE in ../shared (or FASTAI_HOME) where that is, else the bundled reviews. A split is a random fifth of the texts for validation, made by fastai from the seed; all sides get the
same texts, cut to `--words` words (150 are about 200 tokens). Time is that of training, from the same DataLoaders; `quick_text` includes reading them and the checks. The AWD_LSTM trains with
`fit_one_cycle(3)`, at fastai's defaults. `ratio` is of the medians; a score is the mean accuracy over the seeds, with its 95% interval (Student's t); `*_minus_*` are of the differences on each split.
An epoch of the AWD_LSTM takes a minute or two on two cores: five seeds take half an hour. text.json beside this file is what a run with `--first 100 --json` gave (the seeds below 10 chose the settings).
"""
import argparse, json, os, time
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from sys import stderr

import fastai.callback.progress, fastai.callback.schedule # give Learner its no_bar and fit_one_cycle
import pandas as pd
import torch
from fastai.metrics import accuracy
from fastai.text.data import TextDataLoaders
from fastai.text.learner import text_classifier_learner
from fastai.text.models.awdlstm import AWD_LSTM
from fastai.torch_core import set_seed

from common import SHARED, interval
from fastclass.engine.base.machine import quiet
from fastclass.engine.packs.packs import pack
from fastclass.text import compare_texts, quick_text


def default_csv():
    "The real reviews, else the bundled ones"
    homes = [Path(os.environ.get('FASTAI_HOME', '~/.fastai')).expanduser(), SHARED/'fastai_home']
    real = next((f for h in homes if (f := h/'data'/'imdb_sample'/'texts.csv').is_file()), None)
    return real or pack('reviews')/'reviews.csv'


def lstm(dls, epochs, seed):
    "`(seconds, accuracy)` of an AWD_LSTM that starts from nothing"
    set_seed(seed)
    learn = text_classifier_learner(dls, AWD_LSTM, pretrained=False, metrics=accuracy)
    with learn.no_bar(), learn.no_logging():
        start = time.perf_counter()
        learn.fit_one_cycle(epochs)
        return time.perf_counter()-start, float(learn.validate()[1])


def one_seed(df, seed, epochs, without_lstm):
    "Times and scores of one split"
    dls = TextDataLoaders.from_df(df, text_col='text', label_col='label', seed=seed, bs=64)
    train,valid = (df.iloc[o.items.index] for o in (dls.train_ds, dls.valid_ds))
    start = time.perf_counter()
    model = quick_text(dls, seed=seed)
    row = dict(seconds_ours=time.perf_counter()-start)
    found = compare_texts(model, train, valid).accuracy
    row |= dict(score_majority=found['commonest class'], score_tfidf=found['TF-IDF'], score_tfidf_pairs=found['TF-IDF with neighbours'], score_ours=found['quick_text'])
    if not without_lstm: row['seconds_reference'],row['score_reference'] = lstm(dls, epochs, seed)
    print(f'seed {seed}: ' + ', '.join(f'{k} {v:.4f}' for k,v in row.items()), flush=True)
    return row


def summary(rows):
    "Medians of seconds; means of scores and of differences, with intervals"
    res = {k: median(r[k] for r in rows) for k in rows[0] if k.startswith('seconds')}
    if 'seconds_reference' in res: res['ratio'] = res['seconds_reference']/res['seconds_ours']
    columns = {k: [r[k] for r in rows] for k in rows[0] if k.startswith('score')}
    columns['ours_minus_tfidf'] = [r['score_ours']-r['score_tfidf'] for r in rows]
    if 'score_reference' in rows[0]: columns['ours_minus_reference'] = [r['score_ours']-r['score_reference'] for r in rows]
    for name,values in columns.items(): res[name],*res[f'{name}_interval'] = interval(values)
    return res


def verdict(res):
    "What came out, in a few lines"
    def said(name):
        low,high = res[f'{name}_interval']
        return f'{name} {res[name]:.4f} ({low:.4f} to {high:.4f})'
    return '\n'.join([*(said(k) for k in res if f'{k}_interval' in res), *([f"ratio {res['ratio']:.0f}"] if 'ratio' in res else [])])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--csv', help='With the columns text and label')
    parser.add_argument('--words', type=int, default=150)
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--first', type=int, default=0, help='the first seed')
    parser.add_argument('--epochs', type=int, default=3, help='Of the AWD_LSTM')
    parser.add_argument('--without-lstm', action='store_true')
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    quiet()
    with redirect_stdout(stderr):
        csv = Path(args.csv) if args.csv else default_csv()
        df = pd.read_csv(csv)
        df['text'] = df.text.str.split().str[:args.words].str.join(' ')
        print(f'{csv.name}: {len(df)} texts, {torch.get_num_threads()} threads', flush=True)
        quick_text(TextDataLoaders.from_df(df[:300], text_col='text', label_col='label', seed=0), epochs=2) # warm up
        rows = [one_seed(df, seed, args.epochs, args.without_lstm) for seed in range(args.first, args.first+args.seeds)]
        res = dict(summary(rows), seeds=len(rows), words=args.words, data=csv.stem)
        print(verdict(res))
    if args.json: print(json.dumps(res))


if __name__ == '__main__': main()
