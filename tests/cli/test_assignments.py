"""Arguments as they are written on a command line."""

from typing import Any

import pytest

from headrace.cli.assignments import read_assignments


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ([], {}),
        (["topic=rain"], {"topic": "rain"}),
        (["topic="], {"topic": ""}),
        (["sum=1+1=2"], {"sum": "1+1=2"}),
        (["lines=4"], {"lines": "4"}),
        (["lines:=4"], {"lines": 4}),
        (["all:=[1, null, {}]", "a=b"], {"all": [1, None, {}], "a": "b"}),
        (["topic:=:=x"], None),
        (["time=12:=30"], {"time": "12:=30"}),
    ],
)
def test_a_word_is_text_or_json_by_its_sign(words: list[str], arguments: dict[str, Any] | None) -> None:
    if arguments is None:
        with pytest.raises(ValueError, match="no JSON"):
            read_assignments(words)
    else:
        assert read_assignments(words) == arguments


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rain"], "'rain' is no argument; write NAME=TEXT or NAME:=JSON"),
        (["=rain"], "'=rain' is no argument; write NAME=TEXT or NAME:=JSON"),
        ([":=4"], "':=4' is no argument; write NAME=TEXT or NAME:=JSON"),
        (["topic:=rain"], "'topic:=rain' has no JSON behind ':='; for text, write topic=rain"),
        (["x:=NaN"], "'x:=NaN' has no JSON behind ':='; for text, write x=NaN"),
        (["x:=" + "[" * 100_000], "has no JSON behind ':='"),
        (["a=1", "a:=2"], "the argument 'a' is given twice"),
    ],
)
def test_what_is_no_argument_is_told(words: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=r"argument|JSON") as error:
        read_assignments(words)
    assert said in str(error.value)
