from dataclasses import dataclass
from typing import Any

import pytest

from headrace.errors import InvalidItem
from headrace.wire.events import End, Failure, Footer, Header
from headrace.wire.passing import AsItIs, PassingEncoder
from headrace.wire.stream_types import stream_types


@dataclass
class Word:
    text: str


TYPED = PassingEncoder(stream_types(Word, header_type=dict[str, int], footer_type=float))


def test_an_item_is_passed_as_it_is() -> None:
    word = Word("rain")
    assert TYPED.item(word) is word


@pytest.mark.parametrize("value", ["rain", {"word": "rain"}, Word(3), None])  # type: ignore[arg-type]
def test_an_item_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(InvalidItem):
        TYPED.item(value)


def test_header_and_footer_stay_marked() -> None:
    assert TYPED.header({"a": 1}) == Header({"a": 1})
    assert TYPED.footer(1.5) == Footer(1.5)


def test_a_header_and_a_footer_of_another_type_are_refused() -> None:
    with pytest.raises(InvalidItem):
        TYPED.header({"a": "one"})
    with pytest.raises(InvalidItem):
        TYPED.footer("long")


def test_the_endings_are_passed_as_they_are() -> None:
    end, failure = End(items=1), Failure("internal", "failed")
    assert TYPED.end(end) is end
    assert TYPED.failure(failure) is failure


def test_a_failure_can_be_told_and_no_heartbeat_is_needed() -> None:
    assert (TYPED.in_band, TYPED.heartbeat) == (True, b"")


def test_what_others_have_encoded_is_not_touched() -> None:
    encoder, item = AsItIs(), object()
    assert encoder.item(item) is item
    assert (encoder.in_band, encoder.heartbeat) == (False, b"")
    assert (encoder.end(End(1, None, 0.0)), encoder.failure(Failure("internal", ""))) == (b"", b"")


def test_what_others_have_encoded_has_no_header_and_no_footer() -> None:
    with pytest.raises(InvalidItem):
        AsItIs().header(1)
    with pytest.raises(InvalidItem):
        AsItIs().footer(1)
