"Ratings in, recommendations out: checks, splits, the fast loop, new users, bundles, and what each of them refuses"
import json, pickle, subprocess, sys

import numpy as np
import pandas as pd
import pytest
import torch

from fastai.collab import CollabDataLoaders, collab_learner
from fastai.torch_core import set_seed
from fastclass.engine.base.bundle_files import TEXT, WEIGHTS
from fastclass.engine.base.errors import BundleError, DataError, UnsupportedError
from fastclass.engine.packs.tables import draw_ratings
from fastclass.collab import (add_user, check_ratings, factors_of, leave_last_out, load_factors, mean_and_bias,
    quick_collab, rank_report, recommend, rmse_of, save_factors, similar, split_dls)

Y = (0, 5.5)


@pytest.fixture(scope='module')
def df():
    ratings,films,_ = draw_ratings(120, 60, 3000, 0)
    return ratings.merge(films)[['user', 'title', 'rating', 'timestamp']]


def trained(dls, seed=0, **kw):
    set_seed(seed)
    learn = collab_learner(dls, n_factors=8, y_range=Y)
    with learn.no_bar(), learn.no_logging(): quick_collab(learn, **kw)
    return learn


@pytest.fixture(scope='module')
def dls(df, one_thread): return CollabDataLoaders.from_df(df, seed=0, bs=64)


@pytest.fixture(scope='module')
def learn(dls): return trained(dls)


# ---- the table

def changed(df, column, value, at=3):
    new = df.astype({column:object}) if isinstance(value, str) else df.copy()
    new.loc[new.index[at], column] = value
    return new


@pytest.mark.parametrize('change,says,next', [
    (lambda d: d.assign(rating=d.rating.map('{} stars'.format)), 'are not numbers', 'pd.to_numeric'),
    (lambda d: changed(d, 'rating', 'four'), 'are not numbers', 'pd.to_numeric'),
    (lambda d: changed(d, 'rating', np.nan), "1 rows have no 'rating', the first is row 3", 'dropna'),
    (lambda d: changed(d, 'user', np.nan), "have no 'user'", 'dropna'),
    (lambda d: changed(d, 'rating', np.inf), 'infinite', 'Drop'),
    (lambda d: d.assign(rating=np.nan), 'is empty', 'another column'),
    (lambda d: d.assign(rating=4.), 'All ratings are 4', 'right column'),
    (lambda d: d[:0], 'no rows', 'file'),
    (lambda d: pd.concat([d, d[:2]]), '2 ratings are of a pair that was rated before', 'drop_duplicates'),
    (lambda d: changed(d, 'rating', 9.), '1 ratings lie outside y_range', 'y_range=('),
    (lambda d: d[['user', 'title']], '2 columns', 'a user, an item and a rating'),
])
def test_a_table_that_cannot_be_used_is_refused_with_a_next_step(df, change, says, next):
    with pytest.raises(DataError) as e: check_ratings(change(df), y_range=Y).raise_if_bad()
    assert says in e.value.message and next in e.value.next


def test_good_ratings_have_no_findings_that_are_bad(df): assert not any(o.bad for o in check_ratings(df, y_range=Y).raise_if_bad().findings)


def test_a_title_for_two_films_and_users_with_one_rating_are_found():
    two = pd.DataFrame(dict(user=[1, 1, 2], film=[1, 2, 1], rating=[4., 3., 5.], title=['Sabrina', 'Sabrina', 'Sabrina']))
    found = {o.kind:o for o in check_ratings(two, title='title').findings}
    assert found['title'].bad and not found['one_rating'].bad and found['one_rating'].rows==(2,)


def test_the_last_ones_are_left_out_by_time_and_at_random(df):
    train,valid = leave_last_out(df, time='timestamp', n=2, keep=3)
    assert not set(train)&set(valid) and len(train)+len(valid)==len(df)
    held,kept = df.iloc[valid],df.iloc[train]
    assert (held.groupby('user').size()==2).all() and (kept.groupby('user').size().reindex(sorted(held.user.unique()))>=3).all()
    assert (held.groupby('user').timestamp.min() >= kept.groupby('user').timestamp.max().reindex(sorted(held.user.unique()))).all()
    drawn,again,other = (leave_last_out(df, n=2, seed=s)[1].tolist() for s in (1, 1, 2))
    assert drawn==again!=other
    with pytest.raises(DataError, match='no column'): leave_last_out(df, time='when')


def test_split_dls_keeps_the_rows_that_it_is_given(df):
    train,valid = leave_last_out(df, time='timestamp')
    dls = split_dls(df, train, valid)
    assert list(dls.train.items.rating)==list(df.rating.iloc[train]) and list(dls.valid.items.rating)==list(df.rating.iloc[valid])
    with pytest.raises(DataError, match='0 training'): split_dls(df, [], valid)


# ---- training

def test_quick_collab_beats_the_baseline_and_leaves_a_normal_learner(df, dls, learn, tmp_path):
    train,valid = df.loc[dls.train.items.index],df.loc[dls.valid.items.index]
    base = rmse_of(mean_and_bias(train).predict(valid.user, valid.title), valid.rating)
    with learn.no_bar(): loss,(preds,targs) = learn.validate()[0],learn.get_preds()
    assert learn.dls is dls and loss**.5<base and abs(rmse_of(preds.flatten(), targs.flatten())**2-loss)<1e-4
    learn.path = tmp_path
    learn.save('it'); learn.load('it')
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 1e-4)


def test_the_same_seed_gives_the_same_model(dls):
    a,b = (trained(dls, seed=1, epochs=2).model.i_weight.weight for _ in range(2))
    assert torch.equal(a, b)


def test_quick_collab_refuses_what_it_cannot_train(dls, df):
    with pytest.raises(UnsupportedError, match='use_nn'): quick_collab(collab_learner(dls, use_nn=True, y_range=Y))
    with pytest.raises(DataError, match='stays inside'): quick_collab(collab_learner(dls, y_range=(2, 4)))
    holes = CollabDataLoaders.from_df(changed(df, 'rating', np.nan), seed=0)
    if holes.train.items.rating.isna().any():
        with pytest.raises(DataError, match='missing or infinite'): quick_collab(collab_learner(holes))


def test_without_y_range_it_trains_too(dls):
    learn = collab_learner(dls, n_factors=8)
    with learn.no_bar(), learn.no_logging(): quick_collab(learn, epochs=5)
    assert learn.recorder.values[-1][1]<dls.valid.items.rating.var()
    assert np.isfinite(recommend(learn, add_user(learn, {learn.dls.classes['title'][1]:4}), 3).table.stars).all()


# ---- recommendations

def test_recommendations_are_unseen_and_in_order(df, dls, learn):
    train = df.loc[dls.train.items.index]
    for user in train.user.unique()[:10]:
        table = recommend(learn, user, 7).table
        assert not set(table['item'])&set(train[train.user==user].title) and table.stars.is_monotonic_decreasing and table.stars.between(*Y).all()


def test_predictions_are_those_of_the_model(dls, learn):
    known = factors_of(learn)
    xb = torch.cartesian_prod(torch.arange(1, 6), torch.arange(1, len(known.items)+1))
    with torch.no_grad(): want = learn.model.eval()(xb).reshape(5, -1).numpy()
    assert np.allclose([known.scores(known.theta(u)) for u in known.users[:5]], want, atol=1e-4)


@pytest.mark.parametrize('who', ['nobody', None, 10**9, float('nan')])
def test_an_unknown_user_gets_an_answer_and_a_note(learn, who):
    answer = recommend(learn, who, 3)
    assert len(answer.table)==3 and 'average user' in answer.note and 'average user' in str(answer)


@pytest.mark.parametrize('what', ['No Such Film', 17, None, ('a', 'b')])
def test_an_unknown_item_gets_an_answer_and_a_note(learn, what):
    answer = similar(learn, what, 3)
    assert len(answer.table)==3 and 'no ratings in training' in answer.note


def test_similar_leaves_the_item_itself_out(learn):
    name = factors_of(learn).items[0]
    table = similar(learn, name, 5).table
    assert name not in set(table['item']) and table.cosine.is_monotonic_decreasing and len(table)==5


@pytest.mark.parametrize('k', [0, -1, 1.5, '3', True, None])
def test_a_length_that_is_none_is_refused(learn, k):
    for ask in (lambda: recommend(learn, None, k), lambda: similar(learn, 'x', k)):
        with pytest.raises(DataError, match='k is'): ask()


def test_more_than_there_are_is_said(learn):
    answer = recommend(learn, None, 500)
    assert len(answer.table)==len(factors_of(learn).items) and 'only' in answer.note


# ---- new users

def test_a_new_user_moves_with_the_ratings_and_the_model_stays(learn):
    known,before = factors_of(learn),[p.clone() for p in learn.model.parameters()]
    name = known.items[int(known.counts.argmax())]
    low,high = (add_user(learn, {name:s}) for s in (1, 5))
    at = known.at['item'][name]
    assert known.scores(low.theta)[at] < known.scores(known.theta(None))[at] < known.scores(high.theta)[at]
    assert all(torch.equal(a, b) for a,b in zip(before, learn.model.parameters()))
    assert name not in set(recommend(learn, high, 59).table['item'])


def test_the_solution_is_where_the_loss_is_smallest(learn):
    known = factors_of(learn)
    ratings = dict(zip(known.items[:12], [5, 4, 1, 3, 2.5, 4, 5, .5, 3, 3, 2, 5]))
    at,stars = [known.at['item'][o] for o in ratings],np.array(list(ratings.values()))
    mean,inverse = torch.tensor(known.prior[0]),torch.tensor(np.linalg.inv(known.prior[1]))
    theta = torch.tensor(add_user(learn, ratings).theta, requires_grad=True)
    z = torch.tensor(known.item_factors[at])@theta[:-1] + theta[-1] + torch.tensor(known.item_bias[at])
    loss = ((torch.sigmoid(z)*(Y[1]-Y[0])+Y[0]-torch.tensor(stars))**2).sum()/known.noise + (theta-mean)@inverse@(theta-mean)
    loss.backward()
    assert theta.grad.abs().max()<.05


@pytest.mark.parametrize('ratings,says', [({}, 'no ratings'), (None, 'NoneType'), ([5, 4], 'list'), ({'x':'good'}, 'not a number'), ({'x':float('nan')}, 'not a number'),
                                          ({'x':True}, 'not a number'), ({'x':99}, 'outside of')])
def test_an_empty_user_and_bad_stars_are_refused(learn, ratings, says):
    with pytest.raises(DataError, match=says) as e: add_user(learn, ratings)
    assert e.value.next


def test_only_unknown_films_give_the_average_user_and_a_note(learn):
    new = add_user(learn, {'No Such Film':5})
    assert np.allclose(new.theta, factors_of(learn).prior[0]) and 'No Such Film' in recommend(learn, new, 2).note


# ---- ranking

def test_ranking_has_three_rivals_and_says_what_it_cannot_do(df, learn, dls):
    valid = df.loc[dls.valid.items.index]
    for among in ('all', 'rated'):
        rows = rank_report(learn, valid, k=2, among=among)
        assert [o.name for o in rows]==['model', 'best liked', 'popular'] and len({o.users for o in rows})==1
        assert all(0<=o.precision<=1 and 0<=o.recall<=1 for o in rows)
    with pytest.raises(DataError, match='No user has'): rank_report(learn, valid[:0])


# ---- bundles

@pytest.fixture(params=['films', 'films.zip'])
def bundle(request, learn, tmp_path): return save_factors(learn, tmp_path/request.param)


def test_a_bundle_answers_as_the_learner_does(learn, bundle):
    opened,known = load_factors(bundle),factors_of(learn)
    for user in (known.users[3], 'nobody', add_user(learn, {known.items[0]:5})):
        assert list(recommend(opened, user).table['item'])==list(recommend(learn, user).table['item'])
    assert opened.seen==known.seen and opened.y_range==known.y_range


def test_a_bundle_opens_in_a_fresh_process_without_fastais_data(learn, tmp_path):
    path = save_factors(learn, tmp_path/'b.zip', users=False)
    code = f"from fastclass.engine.collab.factors import load_factors, solve_user; k = load_factors({str(path)!r}); print(len(k.users), len(k.items), solve_user(k, {{k.items[0]: 4}}).seen)"
    out = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
    assert out.stdout.strip()==f'0 {len(factors_of(learn).items)} (0,)', out.stderr[-500:]


def test_a_bundle_without_users_names_none_of_them(df, learn, tmp_path):
    text = json.loads((save_factors(learn, tmp_path/'b', users=False)/TEXT).read_text())
    assert text['users']==[] and text['seen']==0


@pytest.mark.parametrize('change', [dict(factors=0), dict(items=[]), dict(items='abc'), dict(seen=5), dict(y_range=[5, 1]), dict(noise=0), dict(noise='x'), dict(users=[1, 1]),
                                    dict(version=99), dict(format='other'), dict(factors=10**9)])
def test_a_changed_bundle_is_refused(learn, tmp_path, change):
    path = save_factors(learn, tmp_path/'b')
    (path/TEXT).write_text(json.dumps({**json.loads((path/TEXT).read_text()), **change}))
    with pytest.raises(BundleError) as e: load_factors(path)
    assert e.value.next and TEXT in str(e.value)


def test_a_pickle_in_place_of_numbers_is_refused(learn, tmp_path):
    path = save_factors(learn, tmp_path/'b')
    (path/WEIGHTS).write_bytes(pickle.dumps({'item_factors':1}))
    with pytest.raises(BundleError, match='pickle'): load_factors(path)


def test_names_that_json_changes_are_refused(df, one_thread, tmp_path):
    odd = CollabDataLoaders.from_df(df.assign(user=df.user+.5), seed=0)
    with pytest.raises(UnsupportedError, match='float'): save_factors(trained(odd, epochs=1), tmp_path/'b')
    assert not list(tmp_path.iterdir())


# ---- real data

def test_movielens_is_better_than_the_stock_recipe(shared, one_thread):
    df = pd.read_csv(shared/'fastai_home'/'data'/'movie_lens_sample'/'ratings.csv')
    losses = []
    for s in range(2): # the stock recipe came to 0.633 and 0.644 on these splits (benchmarks/collab.py, five splits)
        learn = collab_learner(CollabDataLoaders.from_df(df, seed=s, bs=64), n_factors=50, y_range=(.5, 5.5))
        set_seed(s)
        with learn.no_bar(), learn.no_logging(): quick_collab(learn)
        losses.append(learn.recorder.values[-1][1])
    assert np.mean(losses)<.97*np.mean([.6333, .644])
