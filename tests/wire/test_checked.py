"""What a dialect's encoder never gets to see, and what may not leave it."""

from dataclasses import dataclass
from typing import Any

import pytest

from headrace.errors import AnswerTooLarge, InvalidItem
from headrace.wire.checked import checked
from headrace.wire.dialect import Answer
from headrace.wire.encoding import Encoder
from headrace.wire.events import End, Failure
from headrace.wire.stream_types import StreamTypes, instance_types


@dataclass
class Word:
    text: str


class Noting:
    """An encoder that notes what it is given."""

    heartbeat = b"~"
    in_band = True

    def __init__(self) -> None:
        self.given: list[Any] = []
        self.document = b"[end]"

    def header(self, value: Any) -> bytes:
        return b"<%d>" % value

    def item(self, value: Word) -> bytes:
        self.given.append(value)
        return value.text.encode()

    def footer(self, value: Any) -> bytes:
        return b"</%d>" % value

    def end(self, end: End) -> bytes:
        return self.document

    def failure(self, failure: Failure) -> bytes:
        return failure.code.encode()


class Unwritable(Noting):
    def end(self, end: End) -> bytes:
        return "\ud800".encode()


class Kept(Noting):
    """One that writes everything at the end."""

    def item(self, value: Word) -> bytes:
        self.given.append(value)
        return b""


WORDS = instance_types(Word, header_type=int, footer_type=int)


def behind(encoder: Encoder, *, gathers: bool = False, limit: int = 1000, types: StreamTypes = WORDS) -> Encoder:
    return checked(Answer(encoder, "text/x", gathers), types, limit).encoder


def test_everything_that_fits_is_passed_on() -> None:
    encoder = behind(Noting())
    made = [encoder.header(1), encoder.item(Word("a")), encoder.footer(2), encoder.end(End(1))]
    assert made == [b"<1>", b"a", b"</2>", b"[end]"]
    assert encoder.failure(Failure("busy", "", False, "s_1", 0)) == b"busy"
    assert (encoder.heartbeat, encoder.in_band) == (b"~", True)


def test_the_rest_of_the_answer_stays_as_it_was() -> None:
    answer = checked(Answer(Noting(), "text/x", gathers=True), WORDS, 10)
    assert (answer.content_type, answer.gathers) == ("text/x", True)


@pytest.mark.parametrize("gathers", [False, True])
def test_an_item_of_another_type_does_not_reach_the_encoder(gathers: bool) -> None:
    noting = Noting()
    with pytest.raises(InvalidItem, match=r"^str, expected Word$"):
        behind(noting, gathers=gathers).item("a")
    assert noting.given == []


@pytest.mark.parametrize("part", ["header", "footer"])
def test_a_header_and_a_footer_are_checked_too(part: str) -> None:
    with pytest.raises(InvalidItem, match=r"^str, expected int$"):
        getattr(behind(Noting()), part)("a")
    with pytest.raises(InvalidItem, match=f"a {part} in a stream that declares none"):
        getattr(behind(Noting(), types=instance_types(Word)), part)(1)


def test_an_item_that_the_encoder_cannot_write_is_an_invalid_one() -> None:
    with pytest.raises(InvalidItem, match=r"^Word that cannot be written: 'utf-8' codec can't encode"):
        behind(Noting()).item(Word("\ud800"))


def test_an_end_that_the_encoder_cannot_write_is_an_invalid_item() -> None:
    with pytest.raises(InvalidItem, match=r"^an item cannot be written: 'utf-8' codec can't encode"):
        behind(Unwritable()).end(End(1))


def test_items_that_gather_pass_the_limit_by_their_size_as_json() -> None:
    kept = Kept()
    encoder = behind(kept, gathers=True, limit=2 * len('{"text":"rain"}'))
    assert [encoder.item(Word(text)) for text in ("first", "rain", "rain")] == [b"", b"", b""]
    with pytest.raises(AnswerTooLarge, match="the gathered answer passed 30 bytes; ask for a streamed one"):
        encoder.item(Word("a"))


def test_one_item_gathers_nothing() -> None:
    assert behind(Kept(), gathers=True, limit=10).item(Word("a" * 100)) == b""


@pytest.mark.parametrize("text", ["\ud800" * 20, "a" * 60])
def test_an_item_without_a_size_as_json_counts_too(text: str) -> None:
    encoder = behind(Kept(), gathers=True, limit=50)
    encoder.item(Word("first"))
    with pytest.raises(AnswerTooLarge):
        encoder.item(Word(text))


def test_a_document_above_the_limit_is_not_sent() -> None:
    kept = Kept()
    encoder = behind(kept, gathers=True, limit=10)
    kept.document = b"x" * 10
    assert encoder.end(End(0)) == b"x" * 10
    kept.document = b"x" * 11
    with pytest.raises(AnswerTooLarge):
        encoder.end(End(0))


def test_what_streams_has_no_limit() -> None:
    encoder = behind(Noting(), limit=1)
    assert encoder.item(Word("a" * 100)) == b"a" * 100
