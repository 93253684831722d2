from typing import Any

import pytest

from headrace.errors import InvalidItem, OutOfOrder, RecordTooLarge, StreamTruncated, WireError
from headrace.wire.document import Document, DocumentDecoder, DocumentEncoder
from headrace.wire.events import End, Failure, Item
from headrace.wire.stream_types import stream_types


def test_the_one_item_is_the_document() -> None:
    encoder = DocumentEncoder(stream_types(dict))
    assert encoder.item({"a": [1]}) == b'{"a":[1]}'
    assert (encoder.end(End(1)), encoder.failure(Failure("x", "")), encoder.heartbeat, encoder.in_band) == (
        b"",
        b"",
        b"",
        False,
    )


def test_a_second_item_is_refused() -> None:
    encoder = DocumentEncoder(stream_types(int))
    encoder.item(1)
    with pytest.raises(OutOfOrder, match="a second item"):
        encoder.item(2)


def test_an_item_that_does_not_fit_leaves_the_place_free() -> None:
    encoder = DocumentEncoder(stream_types(int))
    with pytest.raises(InvalidItem):
        encoder.item("a")
    assert encoder.item(1) == b"1"


def test_a_document_reads_back_when_the_transport_has_ended(ways_to_arrive: Any) -> None:
    for pieces in ways_to_arrive(b'{"a":[1]}'):
        decoder = DocumentDecoder(stream_types(dict))
        assert [decoder.feed(piece) for piece in pieces] == [[]] * len(pieces)
        assert decoder.finish() == [Item({"a": [1]}), End(1)]


def test_an_unclean_end_is_truncation() -> None:
    decoder = DocumentDecoder(stream_types(int))
    decoder.feed(b"1")
    with pytest.raises(StreamTruncated):
        decoder.finish(complete=False)


@pytest.mark.parametrize(("data", "error"), [(b"", WireError), (b'{"a"', WireError), (b"[]", InvalidItem)])
def test_a_wrong_document_is_refused(data: bytes, error: type[Exception]) -> None:
    decoder = DocumentDecoder(stream_types(dict))
    decoder.feed(data)
    with pytest.raises(error):
        decoder.finish()


def test_a_document_above_the_limit_is_refused_before_it_is_kept() -> None:
    decoder = DocumentDecoder(stream_types(str), limit=5)
    assert decoder.feed(b"12345") == []
    for _ in range(2):
        with pytest.raises(RecordTooLarge, match="a document of 6 bytes or more; the limit is 5"):
            decoder.feed(b"6")


def test_a_document_is_gathered_up_to_its_limit() -> None:
    document = Document(4)
    document.add(b"ab")
    document.add(b"cd")
    assert document.take(complete=True) == b"abcd"
    with pytest.raises(StreamTruncated):
        document.take(complete=False)
