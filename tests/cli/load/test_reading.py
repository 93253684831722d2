"""Readers count what the house's own decoders would hand out, at every cut, and know how a stream ended."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.cli.load.reading import EventReader, LineReader, PieceReader, Reader, reader_for
from headrace.errors import RecordTooLarge, StreamError, StreamTruncated, WireError
from headrace.wire.sse import EventStreamParser

EVENTS = b'id: 1\ndata: "a"\n\n: keep-alive\nid: 2\ndata: "b"\n\nevent: footer\ndata: {}\n\nevent: end\ndata: {}\n\n'
LINES = b'{"header":{}}\n{"item":"a"}\n\n{"item":"b"}\n{"end":{"items":2}}\n'


def fed(reader: Reader, data: bytes, size: int) -> int:
    return sum(reader.feed(data[n : n + size]) for n in range(0, len(data), size))


@pytest.mark.parametrize(
    ("make", "data", "items"),
    [
        (lambda: EventReader(True), EVENTS, 2),
        (lambda: EventReader(True), EVENTS.replace(b"\n", b"\r\n"), 2),
        (lambda: EventReader(True), EVENTS.replace(b"\n", b"\r"), 2),
        (lambda: EventReader(True), b"\xef\xbb\xbf" + EVENTS, 2),
        (lambda: EventReader(False), b"retry: 5\n\ndata: a\n\ndata: b\ndata: c\n\ndata: [DONE]\n\n", 2),
        (lambda: EventReader(False), b"event: ping\ndata: {}\n\ndata\n\ndata:[DONE]\n\n", 2),
        (lambda: LineReader(True), LINES, 2),
        (lambda: LineReader(True), LINES.replace(b"\n", b"\r\n"), 2),
        (lambda: LineReader(True), b'{ "item" : 1}\n {"item":{"end":{}}}\n{"end":{}}\n', 2),
        (lambda: LineReader(False), b'{"end":1}\n[]\n\n7\n', 3),
    ],
)
def test_items_are_counted_at_every_cut(make: Callable[[], Reader], data: bytes, items: int) -> None:
    for size in range(1, len(data) + 1):
        reader = make()
        assert fed(reader, data, size) == items, size
        assert reader.finish(True) == 0


FIELDS = st.sampled_from(
    ["data: x", "data:", "data: [DONE]!", "id: 7", ": ping", "event: tick", "retry: 3", "junk", ""]
)


@given(st.lists(FIELDS), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 50))
def test_events_are_those_of_the_standard(fields: list[str], end: str, size: int) -> None:
    data = "".join(field + end for field in fields).encode()
    assert fed(EventReader(False), data, size) == len(EventStreamParser().feed(data))


@given(
    st.lists(st.sampled_from([b"data: 1\n\n", b"id: 3\ndata: 1\n\n", b"event: header\ndata: 1\n\n"])), st.integers(1, 9)
)
def test_headers_are_no_items(records: list[bytes], size: int) -> None:
    assert fed(EventReader(False), b"".join(records), size) == sum(b"header" not in record for record in records)


@pytest.mark.parametrize(
    ("reader", "data"),
    [
        (EventReader(True), EVENTS[:-1]),
        (EventReader(True), b"data: 1\n\n"),
        (LineReader(True), LINES[:-22]),
        (LineReader(True), b""),
    ],
)
def test_a_stream_of_ours_without_its_ending_is_truncated(reader: Reader, data: bytes) -> None:
    reader.feed(data)
    with pytest.raises(StreamTruncated):
        reader.finish(True)


@pytest.mark.parametrize("make", [EventReader, LineReader])
def test_a_stream_of_others_ends_with_its_response(make: Callable[[bool], Reader]) -> None:
    reader = make(False)
    reader.feed(b"data: 1\n\n")
    assert reader.finish(True) == 0
    with pytest.raises(StreamTruncated):
        reader.finish(False)


@pytest.mark.parametrize(
    ("reader", "data"),
    [(EventReader(True), EVENTS), (EventReader(False), b"data: [DONE]\n\n"), (LineReader(True), LINES)],
)
def test_behind_its_ending_a_cut_takes_nothing_away(reader: Reader, data: bytes) -> None:
    reader.feed(data)
    assert reader.finish(False) == 0


def test_a_last_line_of_others_needs_no_line_end() -> None:
    reader = LineReader(False)
    assert (reader.feed(b'{"a":1}\n{"b":'), reader.feed(b"2}"), reader.finish(True)) == (1, 0, 1)


def test_pieces_are_counted_as_they_come_and_end_with_the_response() -> None:
    reader = PieceReader()
    assert (reader.feed(b"RIFF"), reader.feed(b"more"), reader.finish(True)) == (1, 1, 0)
    with pytest.raises(StreamTruncated):
        reader.finish(False)


FAILURE = '{"code":"model_busy","message":"all slots are taken"}'


@pytest.mark.parametrize(
    ("reader", "data", "code", "message"),
    [
        (EventReader(True), f"data: 1\n\nevent: error\ndata: {FAILURE}\n\n", "model_busy", "all slots are taken"),
        (EventReader(False), "event: error\r\ndata: it broke\r\n\r\n", "server_error", "it broke"),
        (LineReader(True), f'{{"item":1}}\n{{"error":{FAILURE}}}\n', "model_busy", "all slots are taken"),
        (LineReader(False), '{"error":"model not found"}\n', "server_error", "model not found"),
    ],
)
def test_a_failure_that_is_told_in_the_stream_is_raised(reader: Reader, data: str, code: str, message: str) -> None:
    with pytest.raises(StreamError) as error:
        reader.feed(data.encode())
    assert (error.value.code, error.value.message) == (code, message)


def test_what_is_not_of_the_format_is_told() -> None:
    with pytest.raises(WireError, match="a line that is no event: b'hello'"):
        LineReader(True).feed(b"hello\n")


@pytest.mark.parametrize("make", [EventReader, LineReader])
def test_a_record_has_a_largest_size(make: Callable[[bool], Reader]) -> None:
    reader = make(True)
    reader.feed(b"data: " + b"x" * (16 * 1024 * 1024 - 6))
    with pytest.raises(RecordTooLarge, match="a record of 16777217 bytes"):
        reader.feed(b"x")


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("text/event-stream; charset=utf-8", EventReader),
        ("application/x-ndjson", LineReader),
        ("application/jsonl", LineReader),
        ("text/plain", PieceReader),
        ("audio/wav", PieceReader),
        (None, PieceReader),
    ],
)
def test_the_content_type_chooses_the_reader(content_type: str | None, kind: type[Reader]) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    assert type(reader_for(headers, None)) is kind
    assert type(reader_for(headers, "raw")) is kind


@pytest.mark.parametrize("kind", ["text/event-stream", "application/x-ndjson"])
def test_only_headrace_tells_its_ending(kind: str) -> None:
    ours = reader_for({"content-type": kind, "headrace-stream-id": "s_1"}, None)
    with pytest.raises(StreamTruncated):
        ours.finish(True)
    assert reader_for({"content-type": kind}, None).finish(True) == 0


@pytest.mark.parametrize(
    ("wire", "content_type", "said"),
    [
        ("sse", "text/html", "the answer is text/html, not sse"),
        ("sse", "application/x-ndjson", "the answer is application/x-ndjson, not sse"),
        ("ndjson", "", "the answer is of no type, not ndjson"),
    ],
)
def test_a_format_that_was_asked_for_is_the_only_one(wire: str, content_type: str, said: str) -> None:
    with pytest.raises(WireError) as error:
        reader_for({"content-type": content_type}, wire)
    assert str(error.value) == said
