import json
from pathlib import Path
from typing import Any, Literal

import pytest

from headrace.errors import (
    InvalidItem,
    MissingFooter,
    MissingHeader,
    OutOfOrder,
    RecordTooLarge,
    StreamTruncated,
    WireError,
)
from headrace.wire.events import End, Event, Failure, Footer, Header, Item
from headrace.wire.sse import EventStreamParser, ServerSentEvent, SseDecoder, SseEncoder, record
from headrace.wire.stream_types import stream_types

VECTORS = json.loads((Path(__file__).parents[2] / "spec/vectors/sse.json").read_text())["cases"]
MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_streams_read_as_the_standard_says_however_they_are_cut(case: dict[str, Any], ways_to_arrive: Any) -> None:
    data = bytes.fromhex(case["hex"]) if "hex" in case else case["input"].encode()
    for pieces in ways_to_arrive(data):
        parser = EventStreamParser()
        events = [event for piece in pieces for event in parser.feed(piece)]
        assert [{"event": event.event, "data": event.data, "id": event.id} for event in events] == case["events"]
        assert (parser.retry, parser.last_event_id) == (case["retry"], case["last_event_id"])


def test_there_are_at_least_sixty_vectors() -> None:
    assert len(VECTORS) >= 60


def test_an_event_knows_the_reconnection_time_in_force() -> None:
    parser = EventStreamParser()
    assert parser.feed(b"data: a\n\nretry: 5\ndata: b\n\ndata: c\n\n") == [
        ServerSentEvent("a"),
        ServerSentEvent("b", retry=5),
        ServerSentEvent("c", retry=5),
    ]


@pytest.mark.parametrize(
    ("digits", "retry"), [("9" * 18, 999_999_999_999_999_999), ("9" * 19, None), ("9" * 5000, None)]
)
def test_a_reconnection_time_of_ages_is_ignored(digits: str, retry: int | None) -> None:
    parser = EventStreamParser()
    parser.feed(f"retry: {digits}\n".encode())
    assert parser.retry == retry


def test_a_megabyte_in_single_bytes_is_put_together() -> None:
    parser = EventStreamParser()
    line = b"data: " + b"x" * MEBIBYTE
    for place in range(len(line)):
        assert parser.feed(line[place : place + 1]) == []
    assert parser.feed(b"\n\n") == [ServerSentEvent("x" * MEBIBYTE)]


@pytest.mark.parametrize("pieces", [[b"data: 1234\n"], [b"data: 1234"], [b"data", b": 1234"], [b"d"] * 10])
def test_a_line_at_the_limit_is_taken(pieces: list[bytes]) -> None:
    parser = EventStreamParser(limit=10)
    assert [parser.feed(piece) for piece in pieces] == [[]] * len(pieces)


@pytest.mark.parametrize("pieces", [[b"data: 12345\n"], [b"data: 12345"], [b"data: 1234", b"5"], [b"d"] * 11])
def test_a_line_above_the_limit_is_refused(pieces: list[bytes]) -> None:
    parser = EventStreamParser(limit=10)
    for piece in pieces[:-1]:
        parser.feed(piece)
    with pytest.raises(RecordTooLarge, match="a line of 11 bytes or more; the limit is 10"):
        parser.feed(pieces[-1])


def test_data_at_the_limit_is_taken_and_the_next_event_starts_anew() -> None:
    parser = EventStreamParser(limit=10)
    stream = b"data:1234\ndata:1234\n\n"
    assert parser.feed(stream * 3) == [ServerSentEvent("1234\n1234")] * 3
    with pytest.raises(RecordTooLarge, match="an event with 11 bytes of data or more; the limit is 10"):
        parser.feed(b"data:1234\ndata:12345\n")


def test_heartbeats_do_not_count() -> None:
    parser = EventStreamParser(limit=20)
    assert parser.feed(b": keep-alive\n" * 100 + b"data: a\n\n") == [ServerSentEvent("a")]


def test_events_before_one_above_the_limit_come_out() -> None:
    parser = EventStreamParser(limit=10)
    assert parser.feed(b"data: a\n\ndata: 123456\n\n") == [ServerSentEvent("a")]
    with pytest.raises(RecordTooLarge):
        parser.feed(b"")


def test_the_limit_is_sixteen_mebibytes_unless_told() -> None:
    with pytest.raises(RecordTooLarge, match="the limit is 16777216"):
        EventStreamParser().feed(b"x" * (16 * MEBIBYTE + 1))
    with pytest.raises(RecordTooLarge, match="the limit is 16777216"):
        SseDecoder(stream_types(str)).feed(b"x" * (16 * MEBIBYTE + 1))
    with pytest.raises(RecordTooLarge, match="the limit is 4"):
        SseDecoder(stream_types(str), limit=4).feed(b"data:")


def test_items_have_their_place_as_id_and_no_name() -> None:
    encoder = SseEncoder(stream_types(str))
    assert encoder.item("a") == b'id: 1\ndata: "a"\n\n'
    assert encoder.item("b\n") == b'id: 2\ndata: "b\\n"\n\n'


def test_an_item_that_does_not_fit_takes_no_place() -> None:
    encoder = SseEncoder(stream_types(str))
    with pytest.raises(InvalidItem):
        encoder.item(5)
    assert encoder.item("a") == b'id: 1\ndata: "a"\n\n'


def test_the_others_are_named() -> None:
    encoder = SseEncoder(stream_types(str, header_type=int, footer_type=int))
    assert encoder.header(1) == b"event: header\ndata: 1\n\n"
    assert encoder.footer(2) == b"event: footer\ndata: 2\n\n"
    assert encoder.end(End(3)) == b'event: end\ndata: {"items":3}\n\n'
    assert encoder.failure(Failure("x", "m\n")) == (
        b'event: error\ndata: {"code":"x","message":"m\\n","retryable":false,"stream_id":"","items_sent":0}\n\n'
    )


def test_the_heartbeat_is_a_comment_without_a_blank_line() -> None:
    assert SseEncoder.heartbeat == b": keep-alive\n"


def test_failures_are_told_in_band() -> None:
    assert SseEncoder.in_band is True


def test_header_and_footer_must_be_declared_and_of_their_type() -> None:
    encoder = SseEncoder(stream_types(str))
    for write in (encoder.header, encoder.footer):
        with pytest.raises(InvalidItem, match="in a stream that declares none"):
            write("a")
    encoder = SseEncoder(stream_types(str, header_type=int, footer_type=int))
    for write in (encoder.header, encoder.footer):
        with pytest.raises(InvalidItem, match="str, expected int"):
            write("a")


@pytest.mark.parametrize("separator", ["\u0085", "\u2028", "\u2029", "\r", "\n", "\v", "\f", "\x1c", "\x1d", "\x1e"])
def test_an_item_is_one_line_for_clients_that_use_splitlines(separator: str) -> None:
    forged = f"a{separator}{separator}event: end{separator}data: x"
    written = SseEncoder(stream_types(Any)).item([forged]).decode()
    assert len(written.splitlines()) == 3
    assert json.loads(written.splitlines()[1].removeprefix("data: ")) == [forged]


@pytest.mark.parametrize(
    ("event", "written"),
    [
        (Event("a"), "id: 1\ndata: a\n\n"),
        (Event("a", name="n"), "event: n\nid: 1\ndata: a\n\n"),
        (Event("a", id="own"), "id: own\ndata: a\n\n"),
        (Event("a", name="é", id="ü"), "event: é\nid: ü\ndata: a\n\n"),
        (Event("a", name=""), "id: 1\ndata: a\n\n"),
        (Event("a", id=""), "id: \ndata: a\n\n"),
        (Event(""), "id: 1\ndata: \n\n"),
        (Event(" a"), "id: 1\ndata:  a\n\n"),
        (Event("a\nb\rc\r\nd\n"), "id: 1\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (Event("\n\nevent: end\nid: 9"), "id: 1\ndata: \ndata: \ndata: event: end\ndata: id: 9\n\n"),
        (Event("a\u2028b\u0085c\u2029d\ve"), "id: 1\ndata: a\u2028b\u0085c\u2029d\ve\n\n"),
        (Event({"a": "\n\u2028"}), 'id: 1\ndata: {"a":"\\n\\u2028"}\n\n'),
        (Event(5, name="n"), "event: n\nid: 1\ndata: 5\n\n"),
    ],
)
def test_an_event_goes_out_as_it_asks(event: Event[Any], written: str) -> None:
    assert SseEncoder(stream_types(Event)).item(event) == written.encode()


def test_events_count_whether_they_have_ids_or_not() -> None:
    encoder = SseEncoder(stream_types(Event[str]))
    assert encoder.item(Event("a", id="own")) == b"id: own\ndata: a\n\n"
    assert encoder.item(Event("b")) == b"id: 2\ndata: b\n\n"
    with pytest.raises(InvalidItem):
        encoder.item(Event(5))
    assert encoder.item(Event("c")) == b"id: 3\ndata: c\n\n"


@pytest.mark.parametrize(
    "event",
    [
        Event("x", name="a\nevent: end"),
        Event("x", name="a\rb"),
        Event("x", name="a\0b"),
        Event("x", name="a\u2028b"),
        Event("x", id="1\n\ndata: forged"),
        Event("x", id="1\r"),
        Event("x", id="\0"),
        Event("x", name="end"),
        Event("x", name="error"),
        Event("x", name="header"),
        Event("x", name="footer"),
        Event("\ud800"),
        Event("x", name="\ud800"),
        Event(float("nan")),
        "x",
    ],
)
def test_a_forged_event_is_never_sent(event: Any) -> None:
    with pytest.raises(InvalidItem):
        SseEncoder(stream_types(Event)).item(event)


def test_our_streams_read_back() -> None:
    decoder = SseDecoder(stream_types(str, header_type=dict, footer_type=int))
    stream = (
        b'event: header\ndata: {"a":1}\n\nid: 1\ndata: "x"\n\n: keep-alive\n'
        b'id: 2\ndata: "\xc3\xa9"\n\nevent: footer\ndata: 5\n\nevent: end\ndata: {"items":2}\n\n'
    )
    assert decoder.feed(stream) == [Header({"a": 1}), Item("x"), Item("é"), Footer(5), End(2)]
    assert decoder.finish() == []


def test_a_failure_reads_back() -> None:
    decoder = SseDecoder(stream_types(str))
    assert decoder.feed('event: error\ndata: {"code":"x","message":"é"}\n\n'.encode()) == [Failure("x", "é")]
    assert decoder.finish(complete=False) == []


def test_an_unfinished_ending_is_truncation() -> None:
    decoder = SseDecoder(stream_types(str))
    assert decoder.feed(b'id: 1\ndata: "x"\n\nevent: end\ndata: {"items":1}\n') == [Item("x")]
    with pytest.raises(StreamTruncated):
        decoder.finish()


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (b"event: end\ndata: 1\n\n", WireError),
        (b"event: error\ndata: {}\n\n", WireError),
        (b"data: x\n\n", WireError),
        (b"data: 5\n\n", InvalidItem),
        (b"data: \xff\n\n", WireError),
        (b"event: header\ndata: 1\n\n", OutOfOrder),
        (b"event: footer\ndata: 1\n\n", OutOfOrder),
    ],
)
def test_what_is_not_of_the_format_is_refused(stream: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        SseDecoder(stream_types(str)).feed(stream)


def test_a_declared_header_and_footer_must_come() -> None:
    types = stream_types(str, header_type=int, footer_type=int)
    with pytest.raises(MissingHeader):
        SseDecoder(types).feed(b'data: "x"\n\n')
    decoder = SseDecoder(types)
    assert decoder.feed(b'event: header\ndata: 1\n\nevent: end\ndata: {"items":0}\n\n') == [Header(1)]
    with pytest.raises(MissingFooter):
        decoder.finish()


@pytest.mark.parametrize("item", [str, Event[str]])
@pytest.mark.parametrize("late", [b'data: "x"\n\n', b"event: other\ndata: x\n\n", b'event: end\ndata: {"items":0}\n\n'])
def test_nothing_may_follow_the_end(item: Any, late: bytes) -> None:
    decoder = SseDecoder(stream_types(item))
    assert decoder.feed(b'event: end\ndata: {"items":0}\n\n' + late) == [End(0)]
    with pytest.raises(OutOfOrder):
        decoder.finish()


def test_events_of_other_names_are_items_all_the_same() -> None:
    decoder = SseDecoder(stream_types(int))
    assert decoder.feed(b"event: ping\ndata: {}\n\nid: 7\nevent: item\ndata: a\ndata: b\n\ndata: 5\n\n") == [
        Item(Event("{}", name="ping")),
        Item(Event("a\nb", name="item", id="7")),
        Item(5),
    ]


def test_an_id_that_is_the_place_is_not_the_events_own() -> None:
    decoder = SseDecoder(stream_types(Event[str]))
    assert decoder.feed(
        b"id: 1\ndata: a\n\nid: 2\nevent: n\ndata: b\n\nid: x\ndata: c\n\nid: 3\ndata: d\n\nid\ndata: e\n\n"
    ) == [
        Item(Event("a")),
        Item(Event("b", name="n")),
        Item(Event("c", id="x")),
        Item(Event("d", id="3")),
        Item(Event("e")),
    ]


@pytest.mark.parametrize(
    ("item", "data", "value"),
    [
        (Event, b"5", "5"),
        (Event, b'{"a":1}', '{"a":1}'),
        (Event[str], b'"a"', '"a"'),
        (Event[Any], b"[DONE]", "[DONE]"),
        (Event[int], b"5", 5),
        (Event[int | str], b"hello", "hello"),
        (Event[int | str], b'"5"', "5"),
        (Event[Literal["a"]], b"a", "a"),
        (Event[dict], b'{"a":\ndata: 1}', {"a": 1}),
    ],
)
def test_the_data_of_an_event_is_read_as_declared(item: Any, data: bytes, value: Any) -> None:
    assert SseDecoder(stream_types(item)).feed(b"data: " + data + b"\n\n") == [Item(Event(value))]


@pytest.mark.parametrize(("item", "data"), [(Event[int], b"hello"), (Event[int], b'"5"'), (Event[Literal["a"]], b"b")])
def test_the_data_of_an_event_must_be_of_the_declared_type(item: Any, data: bytes) -> None:
    with pytest.raises(InvalidItem):
        SseDecoder(stream_types(item)).feed(b"data: " + data + b"\n\n")


def test_a_record_of_another_api_has_a_name_or_none() -> None:
    assert record(b'{"a":1}') == b'data: {"a":1}\n\n'
    assert record(b'{"a":1}', "ping") == b'event: ping\ndata: {"a":1}\n\n'
