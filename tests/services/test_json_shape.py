import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.services.json_shape import has_more_values, is_deeper

TEXTS = st.text(alphabet='a"\\[]{},:\u00e9', max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def count(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, inner))


@given(VALUES, st.integers(0, 6), st.booleans())
def test_depth_is_how_many_arrays_and_objects_lie_in_each_other(value: Any, most: int, ascii_: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_).encode()
    assert is_deeper(data, most) == (depth(value) > most)


@given(VALUES, st.booleans())
def test_there_is_a_mark_for_every_value_but_the_first(value: Any, ascii_: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_).encode()
    marks = next(most for most in range(1000) if not has_more_values(data, most))
    assert count(value) - 1 <= marks <= 2 * count(value)


@pytest.mark.parametrize(
    ("data", "deeper"),
    [
        (b"[" * 3, False),
        (b"[" * 4, True),
        (b'{"a":' * 4, True),
        (b"[[[[]]]", True),
        (b"[[[]]][[[]]]", False),
        (b"[{[{}]}]", True),
        (b'["' + b"[" * 9 + b'"]', False),
        (b'["' + b"[" * 9, False),
        (b'["\\"' + b"[" * 9 + b'"]', False),
        (b'["\\\\"' + b"[" * 9, True),
        (b"]" * 9 + b"[[[", False),
        (b'["' + b"[" * 200_000 + b'"]', False),
        (b'["' + b"x" * 65_535 + b'",[[[1]]]]', True),
        (b"[" + b'"[",' * 50_000 + b"[[1]]]", False),
        (b"[" + b'"[",' * 50_000 + b"[[[1]]]]", True),
        (b"[" + rb'"\"[",' * 50_000 + b"[[1]]]", False),
        (b"", False),
    ],
)
def test_what_is_no_json_has_a_depth_too(data: bytes, deeper: bool) -> None:
    assert is_deeper(data, 3) is deeper


@pytest.mark.parametrize(
    ("data", "more"),
    [
        (b"[1,2,3]", False),
        (b"[1,2,3,4]", True),
        (b'["a,b,c","d,e,f"]', False),
        (b"[[],[]]", True),
        (b'{"a":[],"b":0}', False),
        (b'{"a":[],"b":{}}', True),
        (b'"' + b"," * 9, False),
        (b'["' + b"," * 200_000 + b'",1,2]', False),
        (b'["' + b"," * 200_000 + b'",1,2,3]', True),
    ],
)
def test_values_in_texts_do_not_count(data: bytes, more: bool) -> None:
    assert has_more_values(data, 3) is more


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 65 + b'"' + b'\\"' * 2_000_000,
        b"[" * 65 + b'\\"' * 2_000_000,
        b"[" * 65 + b'"' * 4_000_001,
        b"[" * 4_000_000,
        b"]" * 2_000_000 + b"[" * 2_000_000,
        b"[" * 2_000_000 + b"]" * 2_000_000,
        b"[" + b"[1]," * 1_000_000 + b"[1]]",
        b'["' + b"[x," * 1_300_000 + b'"]',
    ],
    ids=["escaped", "unopened", "quotes", "open", "crossed", "deep", "flat", "text"],
)
def test_four_megabytes_of_anything_take_no_time(data: bytes) -> None:
    since = time.process_time()
    is_deeper(data, 64)
    has_more_values(data, 1000)
    assert time.process_time() - since < 2.0  # looking at it from each quote again takes hours
