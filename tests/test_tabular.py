"Tables: bad ones are refused by name, a model reads any row, its bundle answers the same and holds nothing that runs"
import json, subprocess, sys
from pathlib import Path

import fastai.callback.progress # gives Learner its no_bar
import numpy as np, pandas as pd, pytest, torch
from fastai.data.block import RegressionBlock
from fastai.data.transforms import Normalize
from fastai.tabular.core import Categorify, FillMissing, TabularPandas
from fastai.tabular.learner import tabular_learner

from fastclass.engine.packs.packs import pack
from fastclass.engine.tabular import model as model_module
from fastclass.engine.base.errors import BundleError, DataError, UnsupportedError
from fastclass.engine.tabular.columns import choose_columns, column_kind, split_rows, tabular_report, target_kind
from fastclass.engine.tabular.model import RowModel, fit_rows, load_rows, plan_of, save_rows
from fastclass.tabular import compare_models, partial_dependence, permutation_importance, train_table

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def census(): return pd.read_csv(pack('census')/'census.csv').iloc[:2500]


@pytest.fixture(scope='module')
def model(census): return train_table(census, 'income', epochs=3)


# ---- bad tables

def empty(df): return df.iloc[:0]
def one_value(df): return df.assign(income='<50k')
def no_answers(df): return df.assign(income=None)
def endless(df): return df.assign(savings=np.where(df.index%7==0, np.inf, df.savings))
def huge(df): return df.assign(savings=np.where(df.index%7==0, 1e300, df.savings))
def lists(df): return df.assign(age=[[o] for o in df.age])
def words(df): return df.assign(hours=[f'{o}' if i%40 else 'many' for i,o in enumerate(df.hours.fillna(1)+np.arange(len(df))/7)])
def twins(df): return pd.concat([df, df[['age']]], axis=1)
def numbered(df): return df.rename(columns={'age': 0})
def alone(df): return df[['income']]


@pytest.mark.parametrize('spoil,match', [(empty, '0 rows'), (one_value, 'in every row'), (no_answers, 'missing in every row'), (endless, 'infinite'), (huge, 'infinite'), (lists, 'no single value'),
    (words, "'many'"), (twins, "name 'age'"), (numbered, 'must be texts'), (alone, 'only column'), (dict, 'is a dict')], ids=lambda o: getattr(o, '__name__', o))
def test_tables_that_are_refused(census, spoil, match):
    with pytest.raises(DataError, match=match) as e: train_table(spoil(census), 'income')
    assert e.value.next


def test_a_name_that_fastai_gives_to_a_mark(census):
    with pytest.raises(DataError, match='hours_na'): train_table(census.assign(hours_na=np.arange(len(census))%2), 'income')


@pytest.mark.parametrize('kwargs,match', [(dict(target='wage'), "no column 'wage'"), (dict(target='income', categories=['job']), "no column 'job'"),
    (dict(target='income', numbers=['sector']), 'used as a number'), (dict(target='income', numbers=['age', 'age']), 'named twice'),
    (dict(target='income', categories=['income']), 'the target is among'), (dict(target='income', valid=0.), 'cannot be split')])
def test_arguments_that_are_refused(census, kwargs, match):
    with pytest.raises(DataError, match=match) as e: train_table(census, **kwargs)
    assert e.value.next


def test_names_are_no_classes(census):
    with pytest.raises(UnsupportedError, match='not classes'): train_table(census.assign(name=[f'person {o}' for o in census.index]), 'name')
    with pytest.raises(UnsupportedError, match='not classes'): train_table(census.assign(n=census.index*3%2500), 'n', kind='classes')


def test_empty_columns_are_left_out_or_refused(census):
    df = census.assign(gap=np.nan, void=None)
    assert {'gap', 'void'}<=set(choose_columns(df, 'income').left_out)
    with pytest.raises(DataError, match='no value in any row'): choose_columns(df, 'income', numbers=['gap'])


def test_a_class_that_is_only_in_validation(census):
    df = census.assign(income=np.where(np.arange(len(census))==5, 'odd', census.income))
    rest = [o for o in range(len(df)) if o!=5]
    with pytest.raises(DataError, match="'odd' has no row"): train_table(df, 'income', valid=(rest, [5]))


# ---- the report

def test_report_finds_what_is_wrong():
    rng = np.random.default_rng(0); n = 600
    df = pd.DataFrame(dict(work=rng.choice([' a', ' b', ' ?'], n), size=rng.normal(0, 1, n), key=[f'k{i}' for i in range(n)], same=1, gap=np.nan,
                           when=pd.date_range('2020', periods=n), amount=[str(i/3) for i in range(n)], odd=[str(i) if i%20 else 'x' for i in range(n)]))
    df['y'] = np.where(rng.random(n)<.06, 'yes', 'no'); df['leak'] = (df.y=='yes')*5.+rng.normal(0, .1, n)
    df.loc[3, 'size'] = np.inf; df.loc[7, 'y'] = None
    df = pd.concat([df, df.iloc[[0]]], ignore_index=True)
    report = tabular_report(df, 'y'); text = str(report)
    for o in ('spaces', "'?' stands for", 'infinite', 'names or keys', 'in every row', 'every value is missing', 'add_datepart', 'not', 'almost alone', 'copies', 'The target is missing', 'rarest class'): assert o in text, o
    assert report.columns.kind.to_dict()==dict(work='category', size='number', key='name', same='constant', gap='empty', when='date', amount='number', odd='broken number', leak='number')
    assert set(report.findings.column[report.findings.finding.str.contains('alone')])=={'leak'}
    assert '<table' in report._repr_html_()


def test_report_escapes_names(): assert '<b>' not in tabular_report(pd.DataFrame({'a': [1, 2, 3], '<b>': ['x', '<b>', 'x']}), '<b>')._repr_html_().split('</p>')[0]


def test_a_clean_table_has_no_findings(census):
    found = tabular_report(census[['age', 'education', 'income']].drop_duplicates(), 'income').findings
    assert not len(found)


@pytest.mark.parametrize('values,kind', [([True, False]*20, 'category'), ([o%40*3 for o in range(80)], 'number'), ([1, 2]*20, 'category'), ([.5, 1.5]*20, 'number'),
    ([[1], [2]]*20, 'category'), (pd.Series(['a', None]*20, dtype='category'), 'category'), (pd.array([1, None]*20, dtype='Int64'), 'category')])
def test_kinds(values, kind): assert column_kind(pd.Series(values).map(str) if isinstance(values, list) and isinstance(values[0], list) else pd.Series(values))[0]==kind


# ---- the split

def test_split_depends_on_the_row_alone(census):
    train,valid = split_rows(census); mixed = census.sample(frac=1, random_state=1)
    assert set(mixed.index[split_rows(mixed)[1]])==set(census.index[valid]) and not set(train)&set(valid)
    assert abs(len(valid)/len(census)-.2)<.03 and split_rows(census, seed=1)[1]!=valid


# ---- training and prediction

def test_model_beats_the_commonest_class(model, census):
    table = compare_models(model, ['commonest class', 'logistic regression', 'gradient boosting'])
    assert table.accuracy['network']>table.accuracy['commonest class']+.03
    assert table.accuracy['network']>table.accuracy['gradient boosting']-.04
    assert (table['from']<table.accuracy).all() and (table.accuracy<table.to).all()
    assert table.accuracy['network']==pytest.approx(model.about['metrics']['accuracy'], abs=1e-4)


def test_same_seed_same_model(census):
    small = census.iloc[:600]; a,b = (train_table(small, 'income', epochs=1) for _ in range(2)); state = torch.get_rng_state()
    np.testing.assert_array_equal(a.probabilities(small), b.probabilities(small))
    train_table(small, 'income', epochs=1)
    assert torch.equal(state, torch.get_rng_state())


def test_agrees_with_fastai_and_leaves_a_stock_learner(model, census):
    with model.learn.no_bar():
        theirs,_ = model.learn.get_preds()
        row = model.learn.predict(census.iloc[0])
    np.testing.assert_allclose(model.probabilities(model.valid_rows), theirs.numpy(), atol=1e-4)
    np.testing.assert_allclose(model.probabilities(census.iloc[[0]])[0], row[2].numpy(), atol=1e-4)


def test_missing_unseen_extra_and_disordered(model, census):
    odd = pd.DataFrame([dict(age=None, education='', occupation='astronaut', sector=None, household='alone ', region='north', hours='40', savings=0, colour='red')])
    res = model.predict(odd[odd.columns[::-1]])
    assert res.notes[0]=="occupation 'astronaut' was never seen: taken as missing; age is missing: 44 assumed" or ('astronaut' in res.notes[0] and 'age is missing' in res.notes[0])
    assert 'household' not in res.notes[0] and np.isclose(res.filter(like='p_').sum(axis=1), 1).all()
    plain_row = model.probabilities(census.iloc[[0]]); assert plain_row.shape==(1, 2)
    assert model.predict(census.iloc[:0]).empty and list(model.predict(census.iloc[5:8]).index)==list(census.index[5:8])
    with pytest.raises(DataError, match="'age' is not there"): model.predict(odd.drop(columns='age'))
    with pytest.raises(DataError, match='used as a number'): model.predict(odd.assign(age='old'))
    with pytest.raises(DataError, match='infinite'): model.predict(odd.assign(age=np.inf))
    with pytest.raises(DataError, match='is a Series'): model.predict(census.iloc[0])


def test_gaps_in_validation_only(census):
    df = census[['age', 'education', 'income']].copy(); _,valid = split_rows(df); train = [o for o in range(len(df)) if o not in set(valid)]
    df['age'] = df.age.astype(float); df.iloc[valid[0], 0] = np.nan
    model = train_table(df, 'income', valid=(train, valid), epochs=1)
    assert not model.plan['numbers']['age']['flag'] and 'age is missing' in model.predict(df.iloc[[valid[0]]]).notes.iloc[0]


def test_targets_of_many_classes_numbers_and_gaps(census):
    df = census.assign(income=pd.qcut(census.age, 3).cat.codes.astype(float)); df.loc[df.index[:50], 'income'] = np.nan
    model = train_table(df.drop(columns='age'), 'income', epochs=1)
    assert model.classes==['0', '1', '2'] and len(model.train_rows)+len(model.valid_rows)==len(df)-50
    assert len(model.answers(df.iloc[40:60]))==10


@pytest.mark.parametrize('lists', [(['education'], []), ([], ['age', 'hours'])])
def test_only_categories_or_only_numbers(census, lists, tmp_path):
    model = train_table(census, 'income', *lists, epochs=1)
    again = load_rows(save_rows(model, tmp_path/'m'))
    np.testing.assert_allclose(again.probabilities(census), model.probabilities(census), atol=1e-6)
    assert len(compare_models(model, ['logistic regression', 'gradient boosting']))==3
    with pytest.raises(DataError, match='without the rows'): compare_models(again)


def test_training_that_goes_out_of_control_says_so(model):
    with pytest.raises(UnsupportedError, match='out of control'): fit_rows(tabular_learner(model.learn.dls), lr=1e15, epochs=2)


# ---- what it looks at

def test_importance_and_dependence(model, census):
    table = permutation_importance(model, model.valid_rows, repeats=2)
    assert set(table.column)=={*model.plan['categories'], *model.plan['numbers']} and table.loss.iloc[0]>.01 and table.set_index('column').loss['education']>table.set_index('column').loss['region']
    curve = partial_dependence(model, model.valid_rows, 'education', rows=200).set_index('value')['mean']
    assert curve['master']>curve['primary']
    assert len(partial_dependence(model, model.valid_rows, 'age', values=[20, 50], rows=50))==2
    with pytest.raises(DataError, match="does not use 'shoe'"): partial_dependence(model, census, 'shoe')
    with pytest.raises(DataError, match='not there'): permutation_importance(model, census.drop(columns='income'))


# ---- numbers as targets

@pytest.fixture(scope='module')
def flats():
    "400 flats whose rent is known but for a noise with a standard deviation of 50"
    rng = np.random.default_rng(0); n = 400
    df = pd.DataFrame(dict(area=rng.uniform(20, 120, n).round(1), district=rng.choice(['centre', 'north', 'harbour'], n), floor=rng.integers(0, 9, n)))
    df['rent'] = (100+df.area*df.district.map(dict(centre=15., north=8., harbour=11.))+20*df.floor+rng.normal(0, 50, n)).round()
    return df


@pytest.fixture(scope='module')
def rents(flats): return train_table(flats, 'rent')


def test_a_number_is_predicted_as_one(rents, flats, capsys):
    assert rents.classes is None and rents.about['kind']=='number' and 'a number' in repr(rents)
    rmse,low,high = rents.scores(rents.valid_rows)['rmse']
    assert low<rmse<high and rmse==pytest.approx(rents.about['metrics']['rmse']) and set(rents.about['metrics'])=={'rmse', 'mae', 'r2'}
    table = compare_models(rents)
    assert list(table.index)==['mean', 'linear regression', 'random forest', 'gradient boosting', 'network']
    assert rmse<1.3*table.rmse['gradient boosting']<table.rmse['mean'] and table.r2['network']>.9 and table.seconds.notna().all()
    shown = rents.predict(flats.iloc[:3].assign(area=[None, 50, 60], district='moon'))
    assert list(shown.columns)==['prediction', 'notes'] and 'area is missing' in shown.notes.iloc[0] and "'moon' was never seen" in shown.notes.iloc[1]
    assert rents.predict(flats.iloc[:0]).empty


def test_importance_and_dependence_of_numbers(rents):
    worth = permutation_importance(rents, rents.valid_rows, repeats=2).set_index('column').loss
    assert set(worth.index)=={'area', 'district', 'floor'} and worth.idxmax()=='area' and worth['area']>100
    curve = partial_dependence(rents, rents.valid_rows, 'area', values=[30, 100])['mean']
    assert curve[1]>curve[0]+400
    with pytest.raises(DataError, match='does not know the class'): partial_dependence(rents, rents.valid_rows, 'area', label='rent')


@pytest.mark.parametrize('ask', ['probabilities', 'accuracy'])
def test_a_number_has_no_classes(rents, flats, ask):
    with pytest.raises(UnsupportedError, match='is a number') as e: getattr(rents, ask)(flats)
    assert e.value.next


def test_bundles_of_numbers(rents, flats, tmp_path):
    again = load_rows(save_rows(rents, tmp_path/'m.zip'))
    np.testing.assert_allclose(again.predict(flats).prediction, rents.predict(flats).prediction, rtol=1e-5)
    assert again.scores(flats)['rmse']==pytest.approx(rents.scores(flats)['rmse'], rel=1e-5) and not again.learn


def test_a_range_of_numbers(flats, tmp_path):
    model = train_table(flats, 'rent', y_range=(0, 2500), epochs=30)
    assert model.predict(flats.assign(area=10_000)).prediction.between(0, 2500).all() and model.about['metrics']['r2']>.8
    again = load_rows(save_rows(model, tmp_path/'m'))
    np.testing.assert_allclose(again.predict(flats).prediction, model.predict(flats).prediction, rtol=1e-4)
    with pytest.raises(DataError, match='does not hold it'): train_table(flats, 'rent', y_range=(0, 500))
    with pytest.raises(DataError, match='have no y_range'): train_table(flats, 'district', y_range=(0, 500))


@pytest.mark.parametrize('scale,shift', [(1e-6, 0), (1e6, 0), (1, 1e5), (-1, 0)])
def test_the_unit_of_a_number_changes_nothing(flats, scale, shift):
    model = train_table(flats.assign(rent=flats.rent*scale+shift+1e-9), 'rent', epochs=40, kind='number')
    assert model.about['metrics']['r2']>.9


@pytest.mark.parametrize('change', [lambda d: d.pop('scale'), lambda d: d.update(scale=[1]), lambda d: d.update(n_classes=2), lambda d: d.update(y_range='x'), lambda d: d.update(scale=[0, 'nan'])])
def test_bundles_of_numbers_that_were_changed(rents, tmp_path, change):
    path = save_rows(rents, tmp_path/'m')
    d = json.loads((path/'bundle.json').read_text()); change(d['sizes']); (path/'bundle.json').write_text(json.dumps(d))
    if 'scale' not in d['sizes']: assert load_rows(path).classes is None
    else:
        with pytest.raises(BundleError): load_rows(path)


RNG = np.random.default_rng(1)

@pytest.mark.parametrize('values,kind', [(RNG.integers(18, 89, 300), 'number'), (RNG.integers(3, 9, 300), 'classes'), (RNG.integers(0, 2, 300), 'classes'), (RNG.normal(0, 1, 300), 'number'),
    (RNG.integers(1, 11, 300)/2, 'number'), (RNG.choice([0., 1.], 300), 'classes'), (RNG.integers(18, 89, 300).astype(str), 'number'), (RNG.choice(['a', 'b'], 300), 'classes'), (range(30), 'number')])
def test_what_a_target_is(values, kind):
    df = pd.DataFrame(dict(x=RNG.normal(0, 1, len(values)), y=values))
    assert target_kind(df.y)[0]==kind
    assert train_table(df, 'y', epochs=1).about['kind']==kind
    report = tabular_report(df, 'y')
    assert ('a number from' in str(report))==(kind=='number')


def test_a_target_can_be_forced(flats, capsys):
    df = flats.assign(floor=flats.floor.astype(float), rooms=(flats.area//20).astype(int))
    assert train_table(df, 'rooms', epochs=1).classes
    assert 'rooms: whole numbers' in capsys.readouterr().out
    model = train_table(df, 'rooms', epochs=40, kind='number')
    assert model.classes is None and model.about['metrics']['r2']>.8
    assert train_table(df, 'floor', epochs=1, kind='classes').classes[:2]==['0', '1']
    with pytest.raises(DataError, match='is not known'): train_table(df, 'rent', kind='regression')
    with pytest.raises(DataError, match='used as a number'): train_table(df, 'district', kind='number')
    rare = df.assign(rooms=np.where(np.arange(len(df))==5, 19, df.rooms))
    rest = [o for o in range(len(df)) if o!=5]
    with pytest.raises(DataError, match="'19' has no row") as e: train_table(rare, 'rooms', valid=(rest, [5]), kind='classes')
    assert 'kind="number"' in e.value.next


# ---- files as they are

GERMAN = 'length;width;kind\n'+'\n'.join(f'{o/7:.2f};{o/9:.2f};{"ab"[o%2]}'.replace('.', ',') for o in range(60))


def test_semicolons_and_decimal_commas(tmp_path):
    file = tmp_path/'t.csv'; file.write_text(GERMAN)
    for wrong in (pd.read_csv(file), pd.read_csv(file, sep='#')):
        for target in ('kind', 'length;width;kind'):
            with pytest.raises(DataError) as e: train_table(wrong, target)
            assert "sep=';', decimal=','" in e.value.next
    half = pd.read_csv(file, sep=';')
    with pytest.raises(DataError, match='used as a number') as e: train_table(half, 'kind')
    assert "decimal=','" in e.value.next and "decimal=','" in str(tabular_report(half, 'kind'))
    assert train_table(pd.read_csv(file, sep=';', decimal=','), 'kind', epochs=1).columns.numbers==['length', 'width']


@pytest.mark.parametrize('write,as_number', [(lambda v: f'${v:,}', True), (lambda v: f'{v:,}', True), (lambda v: f'{v} km', True), (lambda v: f'{v/10}%', True), (lambda v: f'€ {v}', True),
    (lambda v: f'{v/10:.2f}'.replace('.', ','), True), (lambda v: f'k{v}', False), (lambda v: f'{v} {"abcdefg"[v%7]*4}', False)])
def test_numbers_written_as_text(write, as_number):
    df = pd.DataFrame(dict(x=[write(o*37+500) for o in range(90)], z=np.arange(90)%7, y=[o%2 for o in range(90)]))
    assert (column_kind(df.x)[0]=='broken number')==as_number
    if not as_number: return
    with pytest.raises(DataError, match="'x' is used as a number") as e: train_table(df, 'y')
    code = 'df'+e.value.next.split('df', 1)[1].removesuffix('.')
    exec(code, dict(pd=pd, df=df))
    assert column_kind(df.x)[0]=='number'
    with pytest.raises(DataError, match="The target 'x'"): train_table(pd.DataFrame(dict(x=[write(o*37+500) for o in range(150)], z=1.)), 'x')


@pytest.mark.parametrize('form', ['%Y-%m-%d', '%d.%m.%Y', '%m/%d/%y', '%Y-%m-%dT%H:%M:%S', '%B %d, %Y', '%d %b %Y', '%Y%m%d'])
def test_dates_as_text(form):
    df = pd.DataFrame(dict(when=pd.date_range('2020-02-03', periods=99).strftime(form), x=np.arange(99)%7, y=np.arange(99)%2))
    if form=='%Y%m%d': df['when'] = df.when.astype(int)
    assert 'add_datepart' in str(tabular_report(df, 'y')) and 'when' in choose_columns(df, 'y').left_out
    with pytest.raises(UnsupportedError, match='dates'): train_table(df, 'when')


@pytest.mark.parametrize('name,values', [('Unnamed: 0', range(200)), ('row', range(1, 201)), ('customer', RNG.permutation(200)*31+7), ('customer_id', RNG.integers(0, 90, 200)), ('PassengerId', RNG.permutation(9999)[:200]),
    ('n', np.cumsum(RNG.integers(1, 3, 200))), ('id', [float(o) for o in range(200)]), ('id', [str(o) for o in range(200)])])
def test_row_numbers_and_keys_are_no_numbers(name, values):
    df = pd.DataFrame({name: values, 'x': RNG.normal(0, 1, 200), 'y': RNG.choice(['a', 'b'], 200)})
    assert name in choose_columns(df, 'y').left_out
    assert name in set(tabular_report(df, 'y').findings.column)
    assert choose_columns(df, 'y', numbers=[name]).numbers==[name]


@pytest.mark.parametrize('name,values', [('age', RNG.integers(18, 80, 200)), ('orders', RNG.integers(0, 60, 200)), ('year', range(1801, 2001)), ('width', RNG.integers(0, 60, 200)), ('price', RNG.permutation(9999)[:200]), ('sorted', np.cumsum(RNG.integers(1, 9, 200)))])
def test_amounts_are_numbers(name, values):
    df = pd.DataFrame({name: values, 'y': RNG.choice(['a', 'b'], 200)})
    assert choose_columns(df, 'y').numbers==[name]


# ---- enough training

def test_a_small_table_is_trained_for_long_enough():
    rng = np.random.default_rng(0); n = 400
    df = pd.DataFrame(dict(a=rng.normal(0, 1, n), b=rng.normal(0, 1, n), size=rng.choice([97, 98, 140, 141, 250, 251], n)/1.5))
    df['y'] = np.where((df.a*df.b>0)^(df['size']*1.5%2>.5), 'yes', 'no')
    model = train_table(df[['a', 'b', 'y']].assign(y=np.where(df.a*df.b>0, 'yes', 'no')), 'y')
    assert model.about['epochs']>4 and model.about['metrics']['accuracy']>.85


def test_the_validation_rows_choose_nothing():
    rng = np.random.default_rng(0); n = 200
    df = pd.DataFrame(dict(a=rng.normal(0, 1, n), b=rng.integers(0, 30, n), y=rng.choice(['p', 'q'], n)))
    sides = list(range(150)),list(range(150, n))
    other = df.assign(y=np.where(df.index<150, df.y, 'p'), a=df.a.where(df.index<150, 7.))
    one,two = train_table(df, 'y', valid=sides),train_table(other, 'y', valid=sides)
    np.testing.assert_array_equal(one.probabilities(df), two.probabilities(df))


def test_values_that_come_back_are_categories_too(tmp_path):
    rng = np.random.default_rng(0); n = 500
    df = pd.DataFrame(dict(size=rng.integers(30, 90, n)*1.5, x=rng.normal(0, 1, n)))
    df['y'] = np.where(df['size']//1.5%2==0, 'even', 'odd')
    model = train_table(df, 'y')
    assert model.plan['exact']=={'size (exact)': 'size'} and model.about['metrics']['accuracy']>.9
    again = load_rows(save_rows(model, tmp_path/'m'))
    odd = pd.DataFrame(dict(size=['45', None, 1.], x=0))
    np.testing.assert_allclose(again.probabilities(odd), model.probabilities(odd), atol=1e-6)
    assert again.predict(odd).notes.tolist()[::2]==['', ''] and 'size is missing' in again.predict(odd).notes[1]
    worth = permutation_importance(model, model.valid_rows, repeats=2).set_index('column').loss
    assert set(worth.index)=={'size', 'x'} and worth['size']>.3
    assert len(compare_models(model, ['logistic regression', 'gradient boosting']))==3
    d = json.loads((tmp_path/'m'/'bundle.json').read_text()); d['plan']['exact'] = {'size (exact)': 'y'}; (tmp_path/'m'/'bundle.json').write_text(json.dumps(d))
    with pytest.raises(BundleError, match='do not fit'): load_rows(tmp_path/'m')


# ---- bundles

def change(path, f):
    d = json.loads((path/'bundle.json').read_text()); f(d)
    (path/'bundle.json').write_text(json.dumps(d))


def test_bundle_in_a_fresh_process(model, census, tmp_path):
    path = save_rows(model, tmp_path/'m.zip', about={'licence': 'CC0'}); census.iloc[:3].drop(columns='income').to_csv(tmp_path/'rows.csv', index=False)
    code = "import pandas as pd; from fastclass.engine.tabular.model import load_rows; m = load_rows('m.zip'); print(m.probabilities(pd.read_csv('rows.csv'))[:,0].tolist(), m.about['licence'])"
    out = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert out.returncode==0, out.stderr
    said = json.loads(out.stdout.rsplit(' ', 1)[0]); np.testing.assert_allclose(said, model.probabilities(census.iloc[:3])[:,0], atol=1e-5)


def test_bundle_holds_no_row(model, tmp_path):
    text = (save_rows(model, tmp_path/'m')/'bundle.json').read_text()
    assert len(text)<10_000 and 'pickle' not in text


@pytest.mark.parametrize('f,match', [(lambda d: d.pop('plan'), 'plan'), (lambda d: d.pop('sizes'), 'sizes'), (lambda d: d['plan']['classes'].append('x'), 'do not fit'),
    (lambda d: d['plan']['categories']['education'].pop(), 'do not fit'), (lambda d: d['plan']['categories'].update(education=3), 'a list of'), (lambda d: d['plan']['order'].append('x'), 'do not fit'),
    (lambda d: d['plan']['numbers']['age'].update(std=0), 'a number from 1e-12'), (lambda d: d['plan']['numbers']['age'].update(mean='x'), 'mean'), (lambda d: d['sizes'].update(layers=[10**5]*9), 'not those of a model'),
    (lambda d: d['sizes'].update(layers='exec'), 'layers'), (lambda d: d['sizes'].update(layers=[3]), 'does not fit'), (lambda d: d['sizes']['embeddings'][0].append(1), 'a list of 2 values'), (lambda d: d.update(format='fastclass-bundle'), 'fastclass-bundle')])
def test_descriptions_that_are_refused(model, tmp_path, f, match):
    path = save_rows(model, tmp_path/'m'); change(path, f)
    with pytest.raises(BundleError, match=match) as e: load_rows(path)
    assert e.value.next


def test_learners_that_are_refused(census, model, tmp_path):
    def learner(procs=(Categorify, FillMissing, Normalize), y='income', cats=('education',), **kwargs):
        to = TabularPandas(census, list(procs), list(cats), ['age'], y, splits=split_rows(census), **kwargs)
        return tabular_learner(to.dataloaders(bs=64), **({'n_out': 1} if y!='income' else {}))
    assert plan_of(learner(y='savings', y_block=RegressionBlock()))['classes'] is None
    changed = RowModel(torch.nn.Linear(2, 2), model.plan)
    with pytest.raises(UnsupportedError, match='Linear'): save_rows(changed, tmp_path/'m')
    bare = learner(procs=[Categorify]); plan = plan_of(bare)
    with bare.no_bar(): theirs,_ = bare.get_preds()
    np.testing.assert_allclose(RowModel(bare.model, plan).probabilities(census.iloc[split_rows(census)[1]]), theirs.numpy(), atol=1e-4)


def test_no_module_unpickles(): assert not any(o in Path(model_module.__file__).read_text() for o in ('import pickle', 'torch.load', 'load_learner', ' eval(', ' exec('))


# ---- the real table

def test_adult_sample(shared):
    df = pd.read_csv(shared/'fastai_home'/'data'/'adult_sample'/'adult.csv')
    report = tabular_report(df.iloc[:4000], 'salary')
    found = report.findings.set_index('column').finding
    assert found['workclass'].str.contains('spaces').any() and found['occupation'].str.contains('missing').any() and "'?'" in ' '.join(found['workclass'])
    model = train_table(df.iloc[:8000], 'salary', epochs=2)
    assert model.about['metrics']['accuracy']>.82 and '>=50k' in model.classes and not any(o!=o.strip() for o in model.plan['categories']['workclass'])


@pytest.mark.parametrize('rare', (3, 5))
def test_a_class_of_few_rows_is_trained_with_any_seed(rare):
    "One of the parts on which the effort is chosen may lack it"
    rng = np.random.default_rng(rare)
    df = pd.DataFrame(rng.normal(size=(150, 3)), columns=list('abc')).assign(kind=['b']*70+['zz']*(80-rare)+['rare']*rare)
    for seed in range(4): assert set(train_table(df, 'kind', seed=seed).classes)=={'b', 'zz', 'rare'}


def test_few_different_rows_are_trained():
    df = pd.DataFrame([(colour, shape, 'a' if (colour, shape)==('red', 'round') else 'b') for colour in ('red', 'blue', 'green') for shape in ('round', 'square')]*34,
                      columns=['colour', 'shape', 'kind'])
    assert train_table(df, 'kind').predict(pd.DataFrame(dict(colour=['red'], shape=['round']))).prediction.item()=='a'
