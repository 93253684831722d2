import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing import cuts, parsed

from headrace.engines.tape import Taking, Tape
from headrace.engines.tool_calls.json_text import take_decoded, take_string, take_value


def taken(take: Callable[[Tape], Taking[Any]], pieces: list[str]) -> tuple[Any, str]:
    """What the function says of a text, and what it took of it."""
    found: list[tuple[Any, str]] = []

    def grammar(tape: Tape) -> Taking[None]:
        result = yield from take(tape)
        found.append((result, tape.held))

    parsed(grammar, pieces)
    return found[0]


@pytest.mark.parametrize(
    ("text", "whole", "of_it"),
    [
        ('"a" b', True, '"a"'),
        ('""', True, '""'),
        (r'"a\"b" c', True, r'"a\"b"'),
        (r'"a\\" c', True, r'"a\\"'),
        (r'"\u0022" c', True, r'"\u0022"'),
        ('"{[" c', True, '"{["'),
        ('"a', False, '"a'),
        ('"a\\', False, '"a\\'),
        ("a", False, ""),
        ("", False, ""),
    ],
)
def test_a_string_ends_at_its_own_quote(text: str, whole: bool, of_it: str) -> None:
    assert taken(take_string, [text]) == (whole, of_it)
    assert taken(take_string, list(text)) == (whole, of_it)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"a"', "a"),
        (r'"\u00e9\n"', "é\n"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\ud83d"', None),
        (r'"\x"', None),
        ('"a\nb"', None),
        ('"a', None),
        ("a", None),
    ],
)
def test_a_decoded_string_is_what_it_says_or_none(text: str, said: str | None) -> None:
    assert taken(take_decoded, [text])[0] == said


@pytest.mark.parametrize(
    ("text", "whole", "of_it"),
    [
        ("{} x", True, "{}"),
        ("[] x", True, "[]"),
        ('{"a": {"b": [1, "}"]}}, x', True, '{"a": {"b": [1, "}"]}}'),
        (r'{"a": "\"}"} x', True, r'{"a": "\"}"}'),
        ('"a" x', True, '"a"'),
        ("12,", True, "12"),
        ("null}", True, "null"),
        ("true", True, "true"),
        ("{'a': 1}", True, "{'a': 1}"),
        ("[1}", False, "[1"),
        ("{]", False, "{"),
        ("[[1]", False, "[[1]"),
        ('{"a', False, '{"a'),
        ("]", False, ""),
        (",", False, ""),
        (" 1", False, ""),
        ("", False, ""),
    ],
)
def test_a_value_ends_where_its_brackets_do(text: str, whole: bool, of_it: str) -> None:
    assert taken(take_value, [text]) == (whole, of_it)
    assert taken(take_value, list(text)) == (whole, of_it)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([None, 1]), st.data())
def test_every_json_value_is_taken_whole_and_nothing_behind_it(
    value: Any, ascii: bool, indent: int | None, data: st.DataObject
) -> None:
    text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    assert taken(take_value, data.draw(cuts(text + ' , "x"'))) == (True, text)
