import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.openai.json_text import json_text


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b'""'),
        (" hi", b'" hi"'),
        ('say "hi"\\\n\t\x00', b'"say \\"hi\\"\\\\\\n\\t\\u0000"'),
        ("é😀", '"é😀"'.encode()),
        ("a\u0085b\u2028c\u2029d", b'"a\\u0085b\\u2028c\\u2029d"'),
        ("\ud83d!", b'"?!"'),
    ],
)
def test_a_text_becomes_a_json_string(text: str, data: bytes) -> None:
    assert json_text(text) == data


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_one_line_and_comes_back(text: str) -> None:
    data = json_text(text)
    assert json.loads(data) == text
    assert len(data.decode().splitlines()) == 1
