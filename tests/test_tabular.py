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
from fastclass.engine.tabular.columns import choose_columns, column_kind, split_rows, tabular_report
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


def test_a_number_is_no_class(census):
    with pytest.raises(UnsupportedError, match='not a class') as e: train_table(census, 'savings')
    assert 'qcut' in e.value.next


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


@pytest.mark.parametrize('values,kind', [([True, False]*20, 'category'), (list(range(40)), 'number'), ([1, 2]*20, 'category'), ([.5, 1.5]*20, 'number'),
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
    with pytest.raises(UnsupportedError, match='one column of classes'): plan_of(learner(y='savings', y_block=RegressionBlock()))
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
