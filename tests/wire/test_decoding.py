from collections.abc import Iterator
from typing import Any

import pytest

from headrace.errors import MissingHeader, OutOfOrder, StreamTruncated, WireError
from headrace.wire.codec_protocol import Codec
from headrace.wire.decoding import EventFeed, Feed
from headrace.wire.events import End, Failure, Footer, Header, Item, StreamEvent
from headrace.wire.stream_types import stream_types


class Digits(Feed[int]):
    def read(self, data: bytes) -> Iterator[int]:
        for character in data.decode():
            if not character.isdigit():
                raise WireError(f"{character} is no digit")
            yield int(character)


class Commands(EventFeed):
    def read(self, data: bytes) -> Iterator[StreamEvent]:
        for line in data.decode().split():
            name, _, text = line.partition("=")
            yield self.event(name, text.encode())


def test_records_come_out_as_the_bytes_go_in() -> None:
    digits = Digits()
    assert (digits.feed(b"12"), digits.feed(b""), digits.feed(b"3")) == ([1, 2], [], [3])


def test_an_error_waits_until_what_stood_before_it_is_out() -> None:
    digits = Digits()
    assert digits.feed(b"12x3") == [1, 2]
    for data in (b"", b"4"):
        with pytest.raises(WireError, match="x is no digit"):
            digits.feed(data)


def test_an_error_with_nothing_before_it_is_raised_at_once_and_again() -> None:
    digits = Digits()
    for data in (b"x1", b"", b"2"):
        with pytest.raises(WireError, match="x is no digit"):
            digits.feed(data)


def test_every_kind_of_event_is_made_from_its_json() -> None:
    feed = Commands(stream_types(str, header_type=int, footer_type=list))
    assert feed.feed(b'header=5 item="a" footer=[] end={"items":1}') == [Header(5), Item("a"), Footer([]), End(1)]
    assert feed.finish() == []
    assert feed.finish(complete=False) == []


def test_a_failure_is_an_ending_too() -> None:
    feed = Commands(stream_types(str, header_type=int))
    assert feed.feed(b'error={"code":"x"}') == [Failure("x", "")]
    assert feed.finish() == []


def test_an_unknown_event_is_malformed() -> None:
    with pytest.raises(WireError, match='an event named "thing"'):
        Commands(stream_types(str)).feed(b"thing=5")


def test_bytes_that_end_without_an_ending_are_truncation() -> None:
    feed = Commands(stream_types(str))
    with pytest.raises(StreamTruncated):
        feed.finish()
    assert feed.feed(b'item="a"') == [Item("a")]
    with pytest.raises(StreamTruncated):
        feed.finish()


def test_an_error_that_waits_comes_before_truncation() -> None:
    feed = Commands(stream_types(str))
    assert feed.feed(b'item="a" thing=1') == [Item("a")]
    with pytest.raises(WireError, match="thing"):
        feed.finish()


@pytest.mark.parametrize("name", ["item", "header", "footer", "end", "error"])
def test_nothing_may_follow_the_end(name: str) -> None:
    feed = Commands(stream_types(str))
    assert feed.feed(b'end={"items":0}') == [End(0)]
    with pytest.raises(OutOfOrder, match="after End"):
        feed.feed(f"{name}=5".encode())


def test_a_declared_header_must_come_first() -> None:
    with pytest.raises(MissingHeader):
        Commands(stream_types(str, header_type=int)).feed(b'item="a"')


def test_a_format_says_itself_how_its_values_are_written() -> None:
    class Shouted(Commands):
        def value(self, codec: Codec, data: bytes) -> Any:
            return codec.loads(data).upper()

    feed = Shouted(stream_types(str, header_type=str, footer_type=str))
    assert feed.feed(b'header="h" item="i" footer="f"') == [Header("H"), Item("I"), Footer("F")]
