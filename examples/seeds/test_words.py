"""Words are complete when they leave, and none is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seeds.words import Words


def pieces(*texts: str) -> list[str]:
    words = Words()
    return [piece for piece in [*map(words.feed, texts), words.finish()] if piece]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["D", "ogs", " are", " the", " best", "."], ["Dogs ", "are ", "the ", "best."]),
        (["one two", " three\n", "four"], ["one ", "two three\n", "four"]),
        ([" a"], [" ", "a"]),
        (["a\n", "\n"], ["a\n", "\n"]),
        (["a\nb c"], ["a\nb ", "c"]),
        (["", "a", ""], ["a"]),
        (["你", "好。", "ok"], ["你", "好。", "ok"]),
        ([], []),
    ],
)
def test_text_leaves_at_the_end_of_a_word(texts: list[str], expected: list[str]) -> None:
    assert pieces(*texts) == expected


@given(st.lists(st.text()))
def test_no_text_is_lost(texts: list[str]) -> None:
    assert "".join(pieces(*texts)) == "".join(texts)
