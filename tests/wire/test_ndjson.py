import base64
import json
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import (
    HeadraceError,
    InvalidItem,
    MissingFooter,
    MissingHeader,
    OutOfOrder,
    RecordTooLarge,
    StreamTruncated,
    WireError,
)
from headrace.wire.events import End, Failure, Footer, Header, Item, StreamEvent
from headrace.wire.ndjson import NdjsonDecoder, NdjsonEncoder
from headrace.wire.stream_types import stream_types

VECTORS = json.loads((Path(__file__).parents[2] / "spec/vectors/ndjson.json").read_text())["cases"]
TYPES: dict[str, Any] = {"text": str, "bytes": bytes, "any": Any}
ERRORS = {
    "malformed": WireError,
    "too_large": RecordTooLarge,
    "invalid_item": InvalidItem,
    "out_of_order": OutOfOrder,
    "missing_header": MissingHeader,
    "missing_footer": MissingFooter,
    "truncated": StreamTruncated,
}


def record_of(event: StreamEvent) -> dict[str, Any]:
    match event:
        case Item(data):
            return {"item": base64.b64encode(data).decode() if isinstance(data, bytes) else data}
        case Header(data):
            return {"header": data}
        case Footer(data):
            return {"footer": data}
        case End(items, first_item_ms, duration_ms):
            times = {"first_item_ms": first_item_ms, "duration_ms": duration_ms}
            return {"end": {"items": items} | {name: time for name, time in times.items() if time is not None}}
        case Failure(code, message, retryable, stream_id, items_sent):
            members = {"code": code, "message": message, "retryable": retryable}
            return {"error": members | {"stream_id": stream_id, "items_sent": items_sent}}


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_lines_read_as_the_vectors_say_however_they_are_cut(case: dict[str, Any], ways_to_arrive: Any) -> None:
    item, header, footer = (TYPES.get(case["types"].get(name)) for name in ("item", "header", "footer"))
    types = stream_types(item, header_type=header, footer_type=footer)
    data = bytes.fromhex(case["hex"]) if "hex" in case else case["input"].encode()
    for pieces in ways_to_arrive(data):
        decoder = NdjsonDecoder(types, limit=case.get("limit", 10_000))
        events, error = [], None
        try:
            for piece in pieces:
                events += decoder.feed(piece)
            events += decoder.finish(case.get("complete", True))
        except HeadraceError as raised:
            error = type(raised)
        assert [record_of(event) for event in events] == case["events"]
        assert error == (ERRORS[case["error"]] if case["error"] else None)


def test_each_event_is_a_line() -> None:
    encoder = NdjsonEncoder(stream_types(Any, header_type=int, footer_type=int))
    assert encoder.header(1) == b'{"header":1}\n'
    assert encoder.item({"a": "\u2028\n"}) == b'{"item":{"a":"\\u2028\\n"}}\n'
    assert encoder.footer(2) == b'{"footer":2}\n'
    assert encoder.end(End(1)) == b'{"end":{"items":1}}\n'
    assert encoder.failure(Failure("x", "m")) == (
        b'{"error":{"code":"x","message":"m","retryable":false,"stream_id":"","items_sent":0}}\n'
    )
    assert (encoder.heartbeat, encoder.in_band) == (b"\n", True)


@pytest.mark.parametrize("value", [5, "\ud800"])
def test_what_does_not_fit_is_refused(value: Any) -> None:
    encoder = NdjsonEncoder(stream_types(str, header_type=str, footer_type=str))
    for write in (encoder.header, encoder.item, encoder.footer):
        with pytest.raises(InvalidItem):
            write(value)


def test_header_and_footer_must_be_declared() -> None:
    encoder = NdjsonEncoder(stream_types(str))
    for write in (encoder.header, encoder.footer):
        with pytest.raises(InvalidItem, match="in a stream that declares none"):
            write("a")


def test_a_mistake_that_waits_is_no_truncation() -> None:
    decoder = NdjsonDecoder(stream_types(int))
    assert decoder.feed(b'{"item":1}\nhello\n{"item":') == [Item(1)]
    with pytest.raises(WireError, match="a line that is not"):
        decoder.finish()


def test_a_last_line_of_another_type_is_refused_as_such() -> None:
    decoder = NdjsonDecoder(stream_types(int))
    decoder.feed(b'{"item":"a"}')
    with pytest.raises(InvalidItem):
        decoder.finish()


def test_the_limit_is_sixteen_mebibytes_unless_told() -> None:
    decoder = NdjsonDecoder(stream_types(str))
    assert decoder.feed(b" " * 16 * 1024 * 1024) == []
    with pytest.raises(RecordTooLarge, match="a line of 16777217 bytes or more; the limit is 16777216"):
        decoder.feed(b" ")
