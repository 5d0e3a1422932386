"Whatever stands in the cells of a table, only errors of our own family come out, each with a next step."
import datetime, decimal

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from fastclass.collab import check_ratings
from fastclass.engine.base.errors import FastclassError
from fastclass.engine.tabular.columns import as_numbers, as_text, choose_columns, split_rows, tabular_report
from fastclass.tabular import train_table

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

NUMBERS = st.one_of(st.integers(), st.just(10**400), st.just(-10**400), st.floats(), st.decimals(), st.fractions(), st.complex_numbers(), st.booleans())
TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(['', ' ', '?', 'nan', '1e999', '1_000', '１２', '\x00', '\udc80', '=1+1', '10'*200, 'inf', '-']))
TIMES = st.one_of(st.datetimes(), st.dates(), st.timedeltas(), st.just(pd.NaT), st.just(pd.Timestamp('2020-01-01', tz='UTC')))
ODD = st.one_of(st.none(), st.just(pd.NA), st.binary(max_size=3), st.tuples(st.integers()), st.lists(st.integers(), max_size=2), st.just(object()),
                st.dictionaries(st.text(max_size=1), st.none(), max_size=1), st.just(datetime.timezone.utc), st.just(decimal.Decimal('sNaN')))
CELLS = st.one_of(NUMBERS, TEXTS, TIMES, ODD)
COLUMNS = st.one_of(*[st.lists(o, min_size=12, max_size=12) for o in (NUMBERS, TEXTS, TIMES, CELLS, st.floats(width=32), st.integers(-2**70, 2**70))])


def only_ours(func, *args, **kwargs):
    "Call `func`; what it raises must be an error of ours that says what to do"
    try: return func(*args, **kwargs)
    except FastclassError as e:
        assert str(e) and e.next
        str(e).encode() # it can be printed


def column(values):
    "A Series of them; pandas itself refuses some mixtures, which is not ours to mend"
    try: return pd.Series(values, name='x')
    except Exception: return pd.Series(values, name='x', dtype=object)


@QUICK
@given(COLUMNS)
def test_columns(values):
    s = column(values)
    only_ours(as_text, s)
    only_ours(as_numbers, s)


@QUICK
@given(COLUMNS, COLUMNS)
def test_reports_choices_and_splits(values, target):
    df = pd.DataFrame({'x': column(values), 'y': column(target)})
    only_ours(tabular_report, df, 'y')
    only_ours(choose_columns, df, 'y')
    only_ours(split_rows, df)


@QUICK
@given(COLUMNS, COLUMNS, COLUMNS)
def test_ratings(users, items, stars):
    only_ours(check_ratings, pd.DataFrame({'user': column(users), 'item': column(items), 'rating': column(stars)}))


@pytest.fixture(scope='module')
def model():
    "A model of two columns"
    rows = [(n%4, 'abc'[n%3], 'yes' if n%4>1 else 'no') for n in range(60)]
    df = pd.DataFrame(rows, columns=['size', 'kind', 'y'])
    return train_table(df, 'y', categories=['kind'], numbers=['size'], epochs=1)


@QUICK
@given(sizes=COLUMNS, kinds=COLUMNS)
def test_rows_of_tomorrow(model, sizes, kinds):
    df = pd.DataFrame({'size': column(sizes), 'kind': column(kinds)})
    found = only_ours(model.predict, df)
    if found is None: return
    assert len(found)==len(df) and found.probability.between(0, 1).all()


@settings(QUICK, max_examples=15)
@given(values=COLUMNS, target=st.lists(st.sampled_from(['a', 'b', None, ' a']), min_size=12, max_size=12))
def test_training(values, target):
    only_ours(train_table, pd.DataFrame({'x': column(values), 'y': target}), 'y', epochs=1)
