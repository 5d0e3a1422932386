"Whatever stands in a manifest: rows that can be relied on come out, or one of our errors, and nothing else."
import json, os, tempfile, warnings
from pathlib import Path

import pytest

pytest.importorskip('hypothesis', reason='hypothesis is not installed: it comes with fastclass-course[dev]')
from hypothesis import HealthCheck, given, settings, strategies as st

from fastclass.engine.base.errors import DataError
from fastclass.engine.collect.collection import card_text, credits_text, hit_of
from fastclass.engine.collect.manifest import FIELDS, Manifest, checked_row, new_row, places, settle, target
from fastclass.engine.collect.source import Hit

FEW = settings(max_examples=int(os.environ.get('FASTCLASS_EXAMPLES', '150')), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
HASH = '0123456789abcdef'*4
PLAIN = dict(label='cat', url='https://e.org/1.jpg', status='waiting')
PICTURE = dict(PLAIN, status='ok', file=f'cat/{HASH[:16]}.jpg', hash=HASH, raw_hash=HASH, phash=HASH[:16], tint=HASH+HASH[:32], bytes=7)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40) # lone surrogates, too
SCALARS = st.none() | st.booleans() | st.integers(-10**400, 10**400) | st.floats() | ANY_TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3), max_leaves=6)
NEAR = st.sampled_from(['', HASH, HASH[:16], '../../avatar', f'../{HASH[:16]}.jpg', f'cat/{HASH[:16]}.jpg', f'.quarantine/cat/{HASH[:16]}.refused', 'ok', 'fetched',
                        'two_labels', 'kept_aside', 'removed', 0, 7, -1, 640.0, True])
ODD = st.dictionaries(st.sampled_from(FIELDS) | ANY_TEXT, VALUES | NEAR, max_size=5)


def inside(row):
    "Every path that a row can make lies below its folder"
    for path in [target(row), *(places(row) if row['hash'] else [])]:
        parts = Path(path).parts
        assert not Path(path).is_absolute() and '..' not in parts and len(parts)<=3 and '\0' not in path, path


@FEW
@given(ODD, st.sampled_from([PLAIN, PICTURE]))
def test_a_row_is_good_or_refused(odd, plain):
    try: row = checked_row(plain | odd, 'row 1')
    except DataError as e:
        str(e).encode()
        return
    inside(row)
    assert set(FIELDS)<=row.keys() and checked_row(row)==row
    hit_of(row)
    for text in (credits_text([row]), card_text([row], {})): text.encode()


@FEW
@given(VALUES)
def test_what_is_no_row_is_refused(value):
    try: inside(checked_row(value))
    except DataError as e: assert e.next


LINES = st.lists(st.one_of(
    st.binary(max_size=60), st.sampled_from([b'', b' ', b'\0\0', b'\r', b'<<<<<<<', b'[', b'{"label":']),
    st.builds(lambda odd: json.dumps(PICTURE | odd).encode(), st.dictionaries(st.sampled_from(FIELDS), SCALARS.filter(lambda o: not isinstance(o, int) or abs(o)<10**400), max_size=1)),
    st.builds(lambda i: json.dumps(PLAIN | dict(url=f'https://e.org/{i}.jpg')).encode(), st.integers(0, 9))), max_size=6)


@FEW
@given(LINES, st.sampled_from([b'\n', b'\r\n', b'\r']), st.booleans())
def test_a_file_loses_nothing(lines, end, ends):
    "Every row of ours that stands in a file is read, and every line that is no row is somewhere after a run"
    data = end.join(lines)+(end if ends else b'')
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        dest = Path(folder)
        (dest/'manifest.jsonl').write_bytes(data)
        try: m = Manifest(dest)
        except DataError:
            assert (dest/'manifest.jsonl').read_bytes()==data
            return
        urls = {o['url'] for o in m}
        assert {f'https://e.org/{i}.jpg' for i in range(10) if f'https://e.org/{i}.jpg"'.encode() in data} <= urls
        m.add([new_row('cat', '', Hit('https://e.org/new.jpg'))])
        settle(m)
        assert {o['url'] for o in Manifest(dest)}==urls | {'https://e.org/new.jpg'}
        kept = b''.join(o.read_bytes() for o in sorted(dest.glob('manifest*')))
        whole = data.splitlines()[:-1 if not ends else None]
        for line in whole:
            try: json.loads(line)
            except (ValueError, RecursionError): assert line.strip() in kept
        assert sorted(o.name for o in dest.iterdir()) in (['manifest.jsonl'], ['manifest.jsonl', 'manifest.unread.jsonl'])


@FEW
@given(ANY_TEXT, st.dictionaries(st.sampled_from([o for o in Hit.__dataclass_fields__ if o!='url']), VALUES))
def test_what_a_source_says_makes_a_row_that_can_be_read_again(url, said):
    row = new_row('cat', 'cat photo', Hit(url, **said))
    assert checked_row(row)==row
    with tempfile.TemporaryDirectory() as folder:
        Manifest(folder).add([row])
        assert Manifest(folder).rows()==[row]
