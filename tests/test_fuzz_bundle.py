"Whatever stands in a bundle, it opens and works, or a BundleError says what is wrong."
import copy, hashlib, json, math, tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attacks.bundle_parts import KINDS, TEXT, WEIGHTS, files_of, opened, zipped
from fastclass.engine.base.errors import BundleError
from fastclass.engine.base.schema import parse_description

hypothesis = pytest.importorskip('hypothesis', reason='a development requirement')
from hypothesis import given, settings, strategies as st

pytestmark = pytest.mark.usefixtures('one_thread')
QUICK = settings(max_examples=120, deadline=None, database=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck))
ODD = st.sampled_from([0, 1, -1, 2, 3, 64, 100, 4096, 10**6, 2**31, 2**63, 10**400, -10**400, .1, 1e-300, 1e300, -0., True, False, None, '', 'a', 'Linear', 'Sequential', 'Resize', '\x1b[2J', '\ud800', [], {}, [[]], [{}], [0, 0], [1, 1], [64, 64], ['a', 'a']])
VALUES = st.recursive(ODD.map(copy.deepcopy), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(['type', 'size', 'layers', 'a', 'p']), inner, max_size=4), max_leaves=6)


def places(d, way=()) -> list: # The way to each value
    "Keys and positions of all that is in a description, its weights' hash left out"
    inside = d.items() if isinstance(d, dict) else enumerate(d) if isinstance(d, list) else []
    return [place for k,v in inside for place in ((*way, k), *places(v, (*way, k)))]


def changed(d, changes):
    "A copy with values put, doubled or taken away"
    d = copy.deepcopy(d)
    for where,how,value in changes:
        found = places(d)
        if not found: break
        *way,last = found[where%len(found)]
        o = d
        for k in way: o = o[k]
        if how=='put': o[last] = copy.deepcopy(value)
        elif how=='drop': del o[last]
        elif isinstance(o, list): o.insert(last, copy.deepcopy(o[last]))
        else: o[f'{last} '] = o[last]
    return d


def use(kind, model):
    "What one does with a model that has opened: its answers are numbers"
    if kind=='pictures': assert math.isfinite(model.predict(Image.new('RGB', (60, 50), 'red')).probability)
    if kind=='masks': assert np.isfinite(model.predict(Image.new('RGB', (60, 50), 'red')).sure).all()
    if kind=='rows':
        row = pd.DataFrame([{**{o: None for o in model.plan['categories']}, **{o: 5. for o in model.plan['numbers']}}])
        assert model.probabilities(row).shape==(1, len(model.classes))
    if kind=='texts': assert np.isfinite(model.probabilities(['Not good, not bad'])).all()
    if kind=='ratings':
        from fastclass.collab import add_user
        lo,hi = model.y_range or (1, 5)
        assert np.isfinite(model.scores(add_user(model, {model.items[0]: (lo+hi)/2}).theta)).all()


def opens_or_says_why(kind, path):
    "The point of it all"
    try: model = opened(kind, path)
    except BundleError as e:
        assert e.next and str(e).isprintable()
        return
    use(kind, model)


@pytest.mark.parametrize('kind', KINDS)
@QUICK
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(['put', 'put', 'put', 'drop', 'double']), VALUES), min_size=1, max_size=3))
def test_descriptions(kind, changes):
    text,data = files_of(kind)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, TEXT).write_text(json.dumps(changed(json.loads(text), changes)))
        Path(folder, WEIGHTS).write_bytes(data)
        opens_or_says_why(kind, folder)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    "The bytes of a small zip"
    return zipped(tmp_path_factory.mktemp('zip'), 'ratings').read_bytes()


@QUICK
@given(data=st.data())
def test_bytes_of_a_zip(whole, data):
    broken = bytearray(whole)
    for at,value in data.draw(st.lists(st.tuples(st.integers(0, len(whole)-1), st.integers(0, 255)), min_size=1, max_size=4)): broken[at] = value
    broken = broken[:data.draw(st.sampled_from([len(whole), len(whole), len(whole)//2, len(whole)-1]))]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, 'm.zip').write_bytes(broken)
        opens_or_says_why('ratings', Path(folder, 'm.zip'))


@QUICK
@given(data=st.data())
def test_bytes_of_weights(data):
    text,weights = files_of('rows')
    broken = bytearray(weights)
    for at,value in data.draw(st.lists(st.tuples(st.integers(0, len(weights)-1), st.integers(0, 255)), min_size=1, max_size=4)): broken[at] = value
    said = json.loads(text)
    said['weights']['sha256'] = hashlib.sha256(broken).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, TEXT).write_text(json.dumps(said))
        Path(folder, WEIGHTS).write_bytes(broken)
        opens_or_says_why('rows', folder)


@QUICK
@given(data=st.binary(max_size=200) | st.text('[]{}:,"0e-.ntl', max_size=200).map(str.encode))
def test_text_that_is_no_json(data):
    try: json.loads(data)
    except (ValueError, RecursionError):
        with pytest.raises(BundleError): parse_description(data, TEXT)
