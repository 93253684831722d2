"""A whole answer as one value."""

from typing import Any

import pytest

from headrace.client.answers import AnswerDecoder
from headrace.errors import InvalidItem, MissingFooter, RecordTooLarge, StreamTruncated, WireError
from headrace.wire.events import End, Item
from headrace.wire.stream_types import StreamTypes, stream_types, unknown_types

TYPED = stream_types(int, header_type=str, footer_type=str)


def value(content_type: str, data: bytes, types: StreamTypes | None = None) -> Any:
    decoder = AnswerDecoder(content_type, types or unknown_types())
    for place in range(len(data)):
        assert decoder.feed(data[place : place + 1]) == []
    item, end = decoder.finish()
    assert end == End(items=1)
    assert isinstance(item, Item)
    return item.data


@pytest.mark.parametrize(
    ("content_type", "data", "expected"),
    [
        ("application/json", b'{"a":[1]}', {"a": [1]}),
        ("application/vnd.x+json; charset=utf-8", b"1", 1),
        ("text/plain; charset=utf-8", "grüß".encode(), "grüß"),
        ("audio/wav", b"\xff", b"\xff"),
        ("", b"", b""),
        ("application/json", b'{"header":1,"items":[],"footer":2}', {"header": 1, "items": [], "footer": 2}),
    ],
)
def test_the_content_type_says_what_it_is(content_type: str, data: bytes, expected: Any) -> None:
    assert value(content_type, data) == expected


def test_declared_types_are_checked() -> None:
    assert value("application/json", b"[1,2]", stream_types(list[int])) == [1, 2]
    assert value("application/octet-stream", b"x", stream_types(bytes)) == b"x"
    assert value("text/plain", b"x", stream_types(str)) == "x"
    for content_type, data, types in (
        ("application/json", b'["x"]', stream_types(list[int])),
        ("application/octet-stream", b"x", stream_types(int)),
        ("text/plain", b"x", stream_types(int)),
    ):
        with pytest.raises(InvalidItem):
            value(content_type, data, types)


def test_a_typed_stream_is_an_object_of_its_parts() -> None:
    data = b'{"header":"h","items":[1,2],"footer":"f"}'
    assert value("application/json", data, TYPED) == {"header": "h", "items": [1, 2], "footer": "f"}
    only_footer = stream_types(int, footer_type=str)
    assert value("application/json", b'{"items":[],"footer":"f"}', only_footer) == {
        "header": None,
        "items": [],
        "footer": "f",
    }
    with pytest.raises(MissingFooter):
        value("application/json", b'{"header":"h","items":[1,2]}', TYPED)


def test_what_is_not_of_the_content_type_is_refused() -> None:
    with pytest.raises(WireError, match="not JSON"):
        value("application/json", b"<html>")
    with pytest.raises(WireError, match="not UTF-8"):
        value("text/plain", b"\xff")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "audio/wav"])
def test_an_answer_that_is_cut_is_truncated(content_type: str) -> None:
    decoder = AnswerDecoder(content_type, unknown_types())
    decoder.feed(b"12")
    with pytest.raises(StreamTruncated):
        decoder.finish(complete=False)


def test_an_answer_has_a_limit() -> None:
    decoder = AnswerDecoder("audio/wav", unknown_types(), limit=4)
    decoder.feed(b"1234")
    with pytest.raises(RecordTooLarge):
        decoder.feed(b"5")
