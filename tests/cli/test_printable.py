"""What of a model's text may reach a terminal."""

import pytest

from headrace.cli.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("né 水 \U0001f469\u200d\U0001f680 e\u0301", "né 水 \U0001f469\u200d\U0001f680 e\u0301"),
        ("a\tb\nc\r\nd", "a\tb\nc\nd"),
        ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"),
        ("\x9b31m", "\ufffd31m"),
        ("\ud83d!", "\ufffd!"),
        ("\x00\x08\x7f", "\ufffd\ufffd\ufffd"),
    ],
)
def test_control_characters_do_not_reach_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
