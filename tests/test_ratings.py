"Ratings as people have them: columns in any order, files of any kind, numbers that are no ratings, items that hardly anyone rated"
import gzip
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fastai.collab import CollabDataLoaders, collab_learner
from fastai.torch_core import set_seed
from fastclass.engine.base.errors import DataError
from fastclass.engine.collab.factors import did_you_mean
from fastclass.engine.collab.roles import rating_columns
from fastclass.collab import (add_user, check_ratings, factors_of, find_columns, leave_last_out, load_factors, mean_and_bias, quick_collab, rank_report,
    read_ratings, recommend, save_factors, similar, split_dls, unique_titles)

Y = (.5, 5.5)


def table(users=30, items=20, n=300, seed=0):
    "Ratings of pairs that are there once, in the order of time"
    rng = np.random.default_rng(seed)
    pairs = rng.permutation(users*items)[:n]
    stars = np.clip(np.round(rng.normal(3.6, 1, n)*2)/2, .5, 5)
    return pd.DataFrame(dict(user=pairs//items+100, item=pairs%items+2000, rating=stars, timestamp=964982703+np.sort(rng.integers(0, 10**8, n))))


def named(*names, order=(0, 1, 2, 3), **kw):
    "The table with other names, its columns in another order"
    return table(**kw).set_axis(names, axis=1).iloc[:, list(order)]


# ---- which column is what

@pytest.mark.parametrize('names', [
    ('userId', 'movieId', 'rating', 'timestamp'), ('user_id', 'book_id', 'rating', 'date'), ('User-ID', 'ISBN', 'Book-Rating', 'Unnamed: 0'),
    ('user_id', 'anime_id', 'rating', 'created_at'), ('userId', 'productId', 'Rating', 'timestamp'), ('reviewerID', 'asin', 'overall', 'unixReviewTime'),
    ('userId', 'Id', 'rating', 'timestamp'), ('USERID', 'ITEMID', 'STARS', 'TIME'), ('customer', 'product', 'score', 'day'), ('profileName', 'beer_beerid', 'review_overall', 'review_time'),
    ('userid', 'artistid', 'play_count', 'when'), ('Nutzer', 'Film', 'Note', 'Zeit'), ('user', 'what', 'rating', 'timestamp'), ('viewer', 'x', 'y', 'z'), ('user_id', 'game', 'user_rating', 'rated_at')])
@pytest.mark.parametrize('order', [(0, 1, 2, 3), (0, 1, 3, 2), (3, 1, 0, 2), (2, 3, 1, 0)])
def test_columns_are_found_wherever_they_stand(names, order):
    assert rating_columns(named(*names, order=order))==names[:3]


@pytest.mark.parametrize('extra', [dict(age=33), dict(genres='Drama'), dict(year=1995), dict(average_rating=4.2), dict(movie_year=1999), dict(helpful=True), dict(price=9.99)])
def test_what_describes_is_not_taken(extra):
    df = named('userId', 'movieId', 'rating', 'timestamp', order=(3, 1, 0, 2))
    name,value = next(iter(extra.items()))
    by_item = df.movieId.map(lambda i: f'{value}{i%3}' if isinstance(value, str) else value+i%3)
    df.insert(0, name, by_item)
    assert rating_columns(df)==('userId', 'movieId', 'rating')
    assert name in find_columns(df).others


def test_row_numbers_are_no_users():
    df = named('user_id', 'book_id', 'rating', 'when', order=(1, 0, 2, 3))
    df.insert(0, 'Unnamed: 0', range(len(df)))
    assert rating_columns(df)==('user_id', 'book_id', 'rating')
    assert rating_columns(df.rename(columns={'Unnamed: 0': 'index'}))==('user_id', 'book_id', 'rating')
    assert rating_columns(df.rename(columns={'Unnamed: 0': 'Id', 'user_id': 'x'}))==('x', 'book_id', 'rating')


def test_without_names_places_and_values_decide():
    df = table()
    assert rating_columns(df.set_axis(range(4), axis=1))==(0, 1, 2)
    assert rating_columns(df[['user', 'item', 'timestamp', 'rating']].set_axis(range(4), axis=1))==(0, 1, 3)
    products = df.assign(item='B00'+df.item.astype(str)+'ABC', user='A'+df.user.astype(str)+'XYZ')
    assert rating_columns(products[['item', 'user', 'rating', 'timestamp']].set_axis(range(4), axis=1))==(1, 0, 2)


def test_what_is_not_clear_is_not_guessed():
    with pytest.raises(DataError) as e: check_ratings(named('a', 'b', 'rating', 'timestamp'))
    assert "'a' and 'b'" in e.value.message and 'user=' in e.value.next and 'item=' in e.value.next
    with pytest.raises(DataError) as e: check_ratings(named('user', 'item', 'rating_x', 'z').assign(rating_y=lambda d: d.rating_x[::-1].to_numpy()))
    assert "'rating_x' and 'rating_y'" in e.value.message and 'rating=' in e.value.next
    with pytest.raises(DataError) as e: check_ratings(table().assign(rating='good').rename(columns={'rating': 'words'}))
    assert 'rating' in e.value.message and 'words' in e.value.message and 'rating=' in e.value.next


def test_other_shapes_are_told_how_to_change():
    wide = pd.DataFrame(np.random.default_rng(0).integers(0, 6, (30, 12)), columns=[f'film {n}' for n in range(12)])
    with pytest.raises(DataError) as e: check_ratings(wide.assign(user=range(30)))
    assert 'melt' in e.value.next
    with pytest.raises(DataError) as e: check_ratings(table().set_index('user'))
    assert 'reset_index' in e.value.next
    with pytest.raises(DataError, match='2 columns'): check_ratings(table()[['user', 'item']])


def test_what_was_taken_is_said_and_can_be_forced():
    df = named('userId', 'movieId', 'rating', 'timestamp', order=(3, 2, 1, 0))
    assert "Taken: 'userId' as the user, 'movieId' as the item, 'rating' as the rating, 'timestamp' as the time." in str(check_ratings(df))
    assert rating_columns(df, user='movieId', item='userId')==('movieId', 'userId', 'rating')
    with pytest.raises(DataError, match='two things'): rating_columns(df, user='movieId', item='movieId')
    with pytest.raises(DataError, match='no column'): rating_columns(df, rating='stars')


def test_a_title_beside_its_id_is_the_same_thing():
    df = table().assign(title=lambda d: 'Film '+d.item.astype(str))
    assert rating_columns(df)[1]=='item' and find_columns(df).title=='title'
    assert rating_columns(df.assign(title='One title'))[1]=='item'
    assert rating_columns(df.drop(columns='item'))[1]=='title'
    shared = df.assign(title=df.title.replace('Film 2001', 'Film 2000')).rename(columns={'item': 'Id', 'user': 'userId'})
    assert rating_columns(shared)==('userId', 'Id', 'rating') # by title two films would be one


@pytest.mark.parametrize('names,hint', [(['User-ID;ISBN;Book-Rating'], "sep=';'"), (['1::1193::5::978300760'], "sep='::'"), (['196\t242\t3\t881250949'], "header=None"),
                                        (['196', '242', '3', '881250949'], 'header=None'), (['A2CX7', '0132793040', '5.0', '1365811200'], 'header=None')])
def test_a_table_that_was_read_wrongly_says_how_to_read_it(names, hint):
    with pytest.raises(DataError) as e: check_ratings(pd.DataFrame([['x']*len(names)], columns=names))
    assert hint in e.value.next


# ---- numbers that are no ratings

def test_times_are_never_ratings():
    df = table()[['user', 'item', 'timestamp', 'rating']]
    assert not any(o.bad for o in check_ratings(df, y_range=Y).findings)
    with pytest.raises(DataError) as e: check_ratings(df, rating='timestamp', y_range=Y).raise_if_bad()
    assert 'times' in e.value.message and 'y_range' not in e.value.next
    learn = collab_learner(CollabDataLoaders.from_df(df, seed=0), n_factors=4, y_range=Y)
    with pytest.raises(DataError) as e: quick_collab(learn)
    assert 'rating_name' in e.value.next and 'y_range=(' not in e.value.next
    with pytest.raises(DataError, match='times'): quick_collab(collab_learner(CollabDataLoaders.from_df(df, seed=0), n_factors=4))


@pytest.mark.parametrize('value,scale', [(-1, 10), (0, 10), (0, 5), (99, 5), (-1, 5), (-99, 10)])
def test_not_rated_is_said_left_out_and_can_be_forced(value, scale):
    df = table(n=400)
    df['rating'] = (df.rating*2).round() if scale==10 else df.rating
    df.loc[df.index%3==0, 'rating'] = value
    n = int((df.rating==value).sum())
    found = {o.kind: o for o in check_ratings(df, y_range=(.5, scale+.5)).findings}
    assert found['not_rated'].bad and len(found['not_rated'].rows)==n and not any(o.bad for o in found.values() if o.kind=='scale') and f'{n} of 400' in found['not_rated'].message
    read = read_ratings(df)
    assert len(read.table)==400-n and value not in set(read.table.rating) and f'{n} rows with {value} are left out' in str(read)
    assert len(read_ratings(df, not_rated=()).table)==400
    assert 'not_rated' not in {o.kind for o in check_ratings(df, not_rated=()).findings}
    with pytest.raises(DataError, match='not rated'): mean_and_bias(df)
    mean_and_bias(df, not_rated=())


@pytest.mark.parametrize('stars', [[1, 0, 1, 1, 0], [-1, 1, -1, 1, 1], [-2, -1, 0, 1, 2], [0, 1, 2, 2, 3, 3, 3, 4, 5], [0, 10, 50, 60, 70, 90, 100]])
def test_scales_that_hold_zero_or_less_are_ratings(stars):
    df = table(n=len(stars)*20).assign(rating=stars*20)
    assert 'not_rated' not in {o.kind for o in check_ratings(df).findings} and len(read_ratings(df).table)==len(df)


def test_a_zero_that_is_taken_for_a_rating_is_said_and_can_be_left_out():
    df = table(n=180).assign(rating=[0, 1, 2, 2, 3, 3, 3, 4, 5]*20)
    assert '20 ratings' in next(o for o in check_ratings(df).findings if o.kind=='zero').message
    assert len(read_ratings(df, not_rated=0).table)==160


def test_counts_are_called_counts():
    df = table().assign(rating=lambda d: (np.exp(d.rating*2)).round())
    found = {o.kind: o for o in check_ratings(df, y_range=Y).findings}
    assert 'count' in found['counts'].message and 'y_range=(' not in found['scale'].next
    assert 'counts' in str(read_ratings(df))


def test_ratings_up_to_100_are_found_by_leaving_out():
    df = table().assign(r=np.random.default_rng(1).integers(0, 101, 300)).drop(columns='rating')
    assert rating_columns(df)==('user', 'item', 'r') and 'counts' not in str(check_ratings(df))


def test_training_says_that_zeros_were_taken_for_ratings():
    df = table(n=400)
    df.loc[::3, 'rating'] = 0
    learn = collab_learner(CollabDataLoaders.from_df(df, seed=0), n_factors=4, y_range=(-.5, 5.5))
    with learn.no_bar(), learn.no_logging(): assert 'not rated' in quick_collab(learn, epochs=1).note
    strict = collab_learner(CollabDataLoaders.from_df(df.replace({'rating': {0: -1}}), seed=0), n_factors=4, y_range=(0, 5.5))
    with pytest.raises(DataError) as e: quick_collab(strict)
    assert 'not rated' in e.value.next and '-1.5' not in e.value.next


@pytest.mark.parametrize('order,says', [(['item', 'user', 'rating'], "'item' was taken for the users"), (['index', 'user', 'rating'], "'index' was taken for the users"),
                                        (['user', 'item', 'rating'], '')])
def test_training_says_that_columns_stand_in_odd_places(order, says):
    learn = collab_learner(CollabDataLoaders.from_df(table().reset_index()[order], seed=0), n_factors=4, y_range=Y)
    with learn.no_bar(), learn.no_logging(): note = quick_collab(learn, epochs=1).note
    assert says in note and bool(note)==bool(says)


# ---- one user, one name

def mixed(df):
    "Every user in three forms"
    forms = [int, str, float]
    return df.assign(user=pd.Series([forms[n%3](u) for n,u in enumerate(df.user)], dtype=object, index=df.index))


def test_forms_of_one_name_are_one():
    df = table()
    odd = mixed(df)
    report = check_ratings(odd)
    assert report.users==df.user.nunique() and next(o for o in report.findings if o.kind=='forms').bad
    assert read_ratings(odd).table.user.tolist()==df.user.tolist()
    assert [o.tolist() for o in leave_last_out(odd, time='timestamp')]==[o.tolist() for o in leave_last_out(df, time='timestamp')]
    assert mean_and_bias(odd)==mean_and_bias(df)
    train,valid = leave_last_out(df, time='timestamp', n=2)
    assert list(split_dls(odd, train, valid).classes['user'])==list(split_dls(df, train, valid).classes['user'])


def test_good_names_stay_as_they_are():
    df = table().assign(user=lambda d: d.user.astype(str).str.zfill(6))
    assert read_ratings(df).table.user.tolist()==df.user.tolist()
    assert not any(o.kind=='forms' for o in check_ratings(df).findings)


def test_a_name_is_found_in_either_form(model):
    known = factors_of(model)
    user,item = known.users[0],known.items[0]
    for form in (str(user), float(user), np.int64(user), f' {user} '):
        assert recommend(model, form).table.equals(recommend(model, user).table) and not recommend(model, form).note
    assert similar(model, str(item)).table.equals(similar(model, item).table)
    assert add_user(model, {str(item): 5}).seen==add_user(model, {item: 5}).seen==(0,)


def test_users_with_a_point_go_into_a_bundle(tmp_path):
    df = table().assign(user=lambda d: d.user.astype(float))
    learn = fitted(df)
    assert all(isinstance(o, int) for o in load_factors(save_factors(learn, tmp_path/'b')).users)


# ---- files

LINES = ['196,242,3,881250949', '186,302,3,891717742', '22,377,1,878887116', '22,242,5,880606923']


@pytest.mark.parametrize('apart', [',', '\t', ';', '|', '::'])
@pytest.mark.parametrize('header', [True, False])
def test_files_are_read_whatever_parts_their_cells(tmp_path, apart, header):
    lines = ['userId,movieId,rating,timestamp', *LINES] if header else LINES
    file = tmp_path/'ratings.dat'
    file.write_text('\n'.join(o.replace(',', apart) for o in lines)+'\n')
    got = read_ratings(file).table
    assert got.user.tolist()==[196, 186, 22, 22] and got.item.tolist()==[242, 302, 377, 242] and got.rating.tolist()==[3, 3, 1, 5]
    assert got.columns.tolist()==['user', 'item', 'rating', 'time']


def test_other_files(tmp_path):
    (tmp_path/'r.csv.gz').write_bytes(gzip.compress('\n'.join(LINES).encode()))
    assert len(read_ratings(tmp_path/'r.csv.gz').table)==4
    (tmp_path/'bx.csv').write_bytes('"User-ID";"ISBN";"Book-Rating"\r\n"7";"0195153448";"0"\r\n"8";"034545104X é";"5"\r\n"8";"0195153448";"7"\r\n"9";"0195153448";"0"\r\n'.encode('latin-1'))
    books = read_ratings(tmp_path/'bx.csv')
    assert books.table.item.tolist()==['034545104X é', '0195153448'] and '2 rows with 0' in str(books)
    (tmp_path/'spaces.csv').write_text('userId, productId, Rating\nA2, 0132793040, 5.0\nA3, 0321732944, 4.0\n')
    spaces = read_ratings(tmp_path/'spaces.csv')
    assert spaces.columns.item=='productId' and spaces.table.item.tolist()==['0132793040', '0321732944']
    (tmp_path/'comma.csv').write_text('user;item;rating\n1;a;3,5\n1;b;4,0\n2;a;0,5\n')
    assert read_ratings(tmp_path/'comma.csv').table.rating.tolist()==[3.5, 4, .5]
    for name,text in (('x.json', '{"reviewerID": "A", "overall": 5}\n'), ('empty.csv', ''), ('none.csv', None), ('two.csv', 'a,b\n1,2\n')):
        if text is not None: (tmp_path/name).write_text(text)
        with pytest.raises(DataError) as e: read_ratings(tmp_path/name)
        assert e.value.next


def test_the_last_rating_of_a_pair_counts():
    df = pd.DataFrame(dict(user=[1, '1', 2, 2], film=['a', 'a', 'a', 'b'], rating=[2, 5, 3, 4], timestamp=[200, 100, 100, 100]))
    read = read_ratings(df)
    assert read.table.rating.tolist()==[2, 3, 4] and '1 earlier' in str(read)
    assert read_ratings(df.drop(columns='timestamp')).table.rating.tolist()==[5, 3, 4]
    holes = read_ratings(df.assign(rating=[2, 5, None, 4]))
    assert '1 rows with a hole' in str(holes) and len(holes.table)==2


# ---- titles

@pytest.mark.parametrize('titles,years,shown', [
    (['Heat', 'Heat'], [1986, 1995], ['Heat (1986)', 'Heat (1995)']), (['Heat (1995)', 'Heat (1995)'], [1995, 1995], ['Heat (1995) [1]', 'Heat (1995) [2]']),
    (['Heat', 'Tide'], [1995, 1996], ['Heat', 'Tide']), (['Heat [1995]', 'Heat [1995]'], [1995, 1996], ['Heat [1995]', 'Heat [1995] (1996)']),
    (['2012', '2012'], [2009, 2012], ['2012 (2009)', '2012 (2012)']), (['Heat', 'Heat'], [None, 1995], ['Heat', 'Heat (1995)']), (['Heat, 1995', 'Heat, 1995'], [1995, 1995], ['Heat, 1995 [1]', 'Heat, 1995 [2]']),
    (['Heat', None], [1995, 1995], ['Heat', '2'])])
def test_titles_are_names_and_get_their_year_once(titles, years, shown):
    films = pd.DataFrame(dict(movieId=[1, 2], title=titles, year=years))
    assert unique_titles(films).tolist()==shown
    ratings = pd.DataFrame(dict(userId=[1, 1, 2], movieId=['1', '2', '3'], rating=[4, 5, 3]))
    read = read_ratings(ratings, catalogue=films)
    assert read.table.item.tolist()==[*shown, '3'] and '1 items have no title' in str(read)


# ---- items that hardly anyone rated

def fitted(df, y_range=Y):
    set_seed(0)
    learn = collab_learner(CollabDataLoaders.from_df(df, seed=0, bs=64), n_factors=8, y_range=y_range)
    with learn.no_bar(), learn.no_logging(): quick_collab(learn)
    return learn


@pytest.fixture(scope='module')
def model(one_thread): return fitted(table())


@pytest.fixture(scope='module')
def sparse(one_thread):
    "Many films with one or two ratings of five stars, and some that everybody has rated"
    rng = np.random.default_rng(0)
    known = [(u, f, 4.5 if u%2==f%2 else 2.5) for u in range(80) for f in range(30) if rng.random()<.6]
    rare = [(int(rng.integers(80)), 100+n//2, 5.) for n in range(240)]
    rows = pd.DataFrame(known+rare, columns=['user', 'film', 'rating']).drop_duplicates(['user', 'film'])
    return fitted(rows.sample(frac=1, random_state=0, ignore_index=True))


def test_lists_are_not_led_by_what_hardly_anyone_rated(sparse):
    known = factors_of(sparse)
    lists = lambda **kw: pd.concat([recommend(sparse, u, 5, **kw).table for u in known.users[:20]])
    assert lists(shrink=0).ratings.median()<5 and lists().ratings.median()>20
    near = lambda **kw: pd.concat([similar(sparse, f, 5, **kw).table for f in range(20)])
    assert near().ratings.median()>20 and near().ratings.min()>=1
    assert lists().stars.between(*Y).all()


def test_least_leaves_out_and_says_when_few_are_left(sparse):
    for ask in (lambda **kw: recommend(sparse, 0, 5, **kw), lambda **kw: similar(sparse, 1, 5, **kw)):
        assert ask(least=25).table.ratings.min()>=25
        few = ask(least=10**6)
        assert not len(few.table) and 'only 0 left' in few.note
        for least in (-1, 1.5, 'x', None, True):
            with pytest.raises(DataError, match='least is'): ask(least=least)
        with pytest.raises(DataError, match='shrink is'): ask(shrink=-1)


def test_the_report_ranks_as_recommend_does(sparse):
    known = factors_of(sparse)
    valid = pd.DataFrame([(u, f, 5. if f==best else 1.) for u in (0, 1) for best in [recommend(sparse, u, 1).table['item'][0]] for f in known.items if f not in {known.items[i] for i in known.seen_by(u)}],
                         columns=['user', 'film', 'rating'])
    assert rank_report(sparse, valid, k=1)[0].precision==1


# ---- did you mean

@pytest.mark.parametrize('asked', ['toy story', 'Toy Story', 'Toy Stroy (1995)', 'TOY STORY (1995)', 'Toy Story (1996)'])
def test_a_title_that_is_nearly_known_is_named(asked):
    known = SimpleNamespace(items=['Toy Story 2 (1999)', 'Toy Story (1995)', 'Matrix, The (1999)', 7], counts=np.array([3, 9, 4, 1]))
    assert did_you_mean(known, asked)=="Did you mean 'Toy Story (1995)'?"
    assert did_you_mean(known, 'the matrix')=="Did you mean 'Matrix, The (1999)'?"
    assert did_you_mean(known, 'toy s')=="Did you mean 'Toy Story (1995)'?" # the most rated of those that begin so
    assert did_you_mean(known, 'qqqqqqqqqqqq')==did_you_mean(known, None)==did_you_mean(known, 71)==did_you_mean(known, '')==''


def test_add_user_says_did_you_mean(one_thread):
    learn = fitted(table().assign(item=lambda d: 'Film '+d.item.astype(str)))
    new = add_user(learn, {'film  2003': 5, 'Film 2004': 4})
    assert "left out: 'film  2003'. Did you mean 'Film 2003'?" in new.note and 'Did you mean' in recommend(learn, new).note
    assert "Did you mean 'Film 2003'?" in similar(learn, 'film  2003').note
