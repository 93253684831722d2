from typing import Any

import pytest

from headrace.errors import InvalidItem, StreamTruncated
from headrace.wire.events import End, Failure, Item
from headrace.wire.raw import BytesDecoder, BytesEncoder
from headrace.wire.stream_types import stream_types


@pytest.mark.parametrize("value", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")])
def test_items_go_out_as_they_are(value: Any) -> None:
    written = BytesEncoder(stream_types(bytes)).item(value)
    assert (written, type(written)) == (b"\x00\xff", bytes)


def test_there_is_nothing_around_the_items() -> None:
    encoder = BytesEncoder(stream_types(bytes))
    assert (encoder.end(End(1)), encoder.failure(Failure("x", "")), encoder.heartbeat, encoder.in_band) == (
        b"",
        b"",
        b"",
        False,
    )


@pytest.mark.parametrize("value", ["a", 5, None, [1]])
def test_what_is_no_bytes_is_refused(value: Any) -> None:
    with pytest.raises(InvalidItem, match=f"^{type(value).__name__}, expected bytes$"):
        BytesEncoder(stream_types(bytes)).item(value)


def test_streams_of_other_items_cannot_be_bytes() -> None:
    with pytest.raises(TypeError, match="a stream of bytes carries items of type bytes, not str"):
        BytesEncoder(stream_types(str))


def test_pieces_come_out_as_they_go_in() -> None:
    decoder = BytesDecoder(stream_types(bytes))
    assert (decoder.feed(b"ab"), decoder.feed(b""), decoder.feed(b"\xff")) == ([Item(b"ab")], [], [Item(b"\xff")])
    assert decoder.finish() == [End(2)]


def test_an_unclean_end_is_truncation() -> None:
    decoder = BytesDecoder(stream_types(bytes))
    decoder.feed(b"ab")
    with pytest.raises(StreamTruncated):
        decoder.finish(complete=False)


def test_a_header_is_checked_and_not_carried() -> None:
    encoder = BytesEncoder(stream_types(bytes, header_type=int))
    assert encoder.header(5) == b""
    with pytest.raises(InvalidItem, match="str, expected int"):
        encoder.header("a")
