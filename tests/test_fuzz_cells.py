"Whatever files and classes are called: a table takes it, no cell of it computes, and it comes back"
import csv, io

import pytest

pytest.importorskip('hypothesis', reason='hypothesis is not installed: it comes with fastclass-course[dev]')
from hypothesis import HealthCheck, given, settings, strategies as st

from fastclass.engine.base.csv_cells import as_frame, csv_bytes, csv_text, plain_cell, plain_row, read_predictions, safe_cell
from fastclass.engine.base.errors import FastclassError

QUICK = settings(max_examples=200, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
ANY = st.text(st.characters(exclude_categories=()), max_size=12) # half characters too
NASTY = st.text(st.sampled_from("='+-@\t\r\n\"\\,;ud005cf\udcff＝ "), max_size=10)
NAMES = st.one_of(ANY, NASTY)
FORMULA = tuple('=+-@\t\r\n＝＋－＠')


@QUICK
@given(NAMES)
def test_a_cell_comes_back(text):
    cell = safe_cell(text)
    assert plain_cell(cell)==text and not cell.startswith(FORMULA)
    cell.encode()


@QUICK
@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=4))
def test_rows_come_back(rows):
    text = csv_text([('file', 'label'), *rows])
    assert [tuple(plain_row(o).values()) for o in csv.DictReader(io.StringIO(text, newline=''))]==rows


@QUICK
@given(st.lists(NAMES, min_size=1, max_size=4), NAMES, st.floats(allow_nan=False))
def test_a_table_comes_back(tmp_path_factory, files, label, number):
    frame = as_frame(['file', 'prediction', 'confidence', f'p_{label}'], [files, [label]*len(files), [number]*len(files), [.5]*len(files)])
    path = tmp_path_factory.mktemp('table')/'t.csv'
    path.write_bytes(csv_bytes(frame))
    back = read_predictions(path)
    assert list(back.columns)==list(frame.columns) and back.values.tolist()==frame.values.tolist()


@QUICK
@given(st.one_of(st.binary(max_size=60), NAMES.map(lambda o: o.encode('utf-8', 'replace')), st.text(st.sampled_from('file,p_ab\n"1\'-\r.e'), max_size=40).map(str.encode)))
def test_bytes_of_any_kind_are_a_table_or_our_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp('table')/'t.csv'
    path.write_bytes(data)
    try: read_predictions(path)
    except FastclassError as e: assert e.next
