from typing import Any

import pytest

from headrace.errors import InvalidItem, MissingFooter, MissingHeader, RecordTooLarge, StreamTruncated, WireError
from headrace.wire.events import End, Failure, Footer, Header, Item, StreamEvent
from headrace.wire.gathered import GatheredDecoder, GatheredEncoder
from headrace.wire.stream_types import StreamTypes, stream_types

BOTH = stream_types(str, header_type=int, footer_type=list)


def read(types: StreamTypes, data: bytes) -> list[StreamEvent]:
    decoder = GatheredDecoder(types)
    assert decoder.feed(data) == []
    return decoder.finish()


def test_each_item_adds_its_piece() -> None:
    encoder = GatheredEncoder(stream_types(int))
    assert [encoder.item(1), encoder.item(2), encoder.end(End(2))] == [b"[1", b",2", b"]"]


def test_base64_takes_three_bytes_at_a_time() -> None:
    encoder = GatheredEncoder(stream_types(bytes))
    pieces = [encoder.item(b"\0"), encoder.item(b"\1\2\3\4"), encoder.item(memoryview(b"\5")), encoder.end(End(3))]
    assert pieces == [b'"', b"AAEC", b"AwQF", b'"']


def test_a_typed_stream_is_an_object() -> None:
    encoder = GatheredEncoder(BOTH)
    pieces = [encoder.header(5), encoder.item("a"), encoder.item("b"), encoder.footer([1]), encoder.end(End(2))]
    assert b"".join(pieces) == b'{"header":5,"items":["a","b"],"footer":[1]}'


def test_a_failure_is_never_in_band() -> None:
    encoder = GatheredEncoder(BOTH)
    assert (encoder.failure(Failure("x", "")), encoder.heartbeat, encoder.in_band) == (b"", b"", False)


def test_an_item_that_does_not_fit_leaves_the_document_whole() -> None:
    for item, good, written in ((str, "a", b'"aa"'), (bytes, b"abc", b'"YWJjYWJj"'), (int, 1, b"[1,1]")):
        encoder = GatheredEncoder(stream_types(item))
        pieces = [encoder.item(good)]
        with pytest.raises(InvalidItem):
            encoder.item(None)
        assert b"".join([*pieces, encoder.item(good), encoder.end(End(2))]) == written


def test_a_header_or_a_footer_that_does_not_fit_leaves_the_document_whole() -> None:
    encoder = GatheredEncoder(BOTH)
    with pytest.raises(InvalidItem):
        encoder.header("a")
    pieces = [encoder.header(1)]
    with pytest.raises(InvalidItem):
        encoder.footer("a")
    assert b"".join([*pieces, encoder.footer([]), encoder.end(End(0))]) == b'{"header":1,"items":[],"footer":[]}'


def test_header_and_footer_must_be_declared() -> None:
    encoder = GatheredEncoder(stream_types(str))
    for write in (encoder.header, encoder.footer):
        with pytest.raises(InvalidItem, match="in a stream that declares none"):
            write("a")


@pytest.mark.parametrize(
    ("types", "data", "events"),
    [
        (stream_types(str), b'"ab"', [Item("ab"), End(1)]),
        (stream_types(str), b'""', [End(0)]),
        (stream_types(bytes), b'"AAE="', [Item(b"\0\1"), End(1)]),
        (stream_types(bytes), b'""', [End(0)]),
        (stream_types(Any), b'[1, {"a": null}]', [Item(1), Item({"a": None}), End(2)]),
        (stream_types(Any), b"[]", [End(0)]),
        (BOTH, b'{"header":1,"items":["a","b"],"footer":[]}', [Header(1), Item("a"), Item("b"), Footer([]), End(2)]),
        (stream_types(bytes, header_type=int), b'{"header":1,"items":["AA=="]}', [Header(1), Item(b"\0"), End(1)]),
        (stream_types(int, footer_type=int), b'{"items":[],"footer":2}', [Footer(2), End(0)]),
    ],
)
def test_documents_read_as_streams(
    types: StreamTypes, data: bytes, events: list[StreamEvent], ways_to_arrive: Any
) -> None:
    for pieces in ways_to_arrive(data):
        decoder = GatheredDecoder(types)
        assert [decoder.feed(piece) for piece in pieces] == [[]] * len(pieces)
        assert decoder.finish() == events


@pytest.mark.parametrize(
    ("types", "data", "error"),
    [
        (stream_types(str), b"", WireError),
        (stream_types(str), b'"a', WireError),
        (stream_types(str), b"5", InvalidItem),
        (stream_types(int), b"[1", WireError),
        (stream_types(int), b"[NaN]", WireError),
        (stream_types(int), b'{"items":[]}', WireError),
        (stream_types(int), b'["a"]', InvalidItem),
        (BOTH, b"[]", WireError),
        (BOTH, b'{"items":[],"footer":[]}', MissingHeader),
        (BOTH, b'{"header":1,"items":[]}', MissingFooter),
        (BOTH, b'{"header":1,"footer":[]}', WireError),
        (BOTH, b'{"header":"a","items":[],"footer":[]}', InvalidItem),
        (BOTH, b'{"header":1,"items":[5],"footer":[]}', InvalidItem),
        (BOTH, b'{"header":1,"items":[],"footer":5}', InvalidItem),
    ],
)
def test_a_wrong_document_is_refused(types: StreamTypes, data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(types, data)


def test_an_unclean_end_is_truncation() -> None:
    decoder = GatheredDecoder(stream_types(str))
    decoder.feed(b'"a"')
    with pytest.raises(StreamTruncated):
        decoder.finish(complete=False)


def test_a_document_above_the_limit_is_refused() -> None:
    with pytest.raises(RecordTooLarge, match="a document of 6 bytes or more; the limit is 5"):
        GatheredDecoder(stream_types(str), limit=5).feed(b"123456")
