import base64
import json
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import InvalidItem
from headrace.wire.encoding import declared, encode
from headrace.wire.events import End, Event, Failure, Footer, Header, Item, StreamEvent
from headrace.wire.formats import FORMATS
from headrace.wire.stream_types import StreamTypes, stream_types

VECTORS = json.loads((Path(__file__).parents[2] / "spec/vectors/streams.json").read_text())["cases"]
FORMAT = {row.name: row for row in FORMATS}
TYPES: dict[str, Any] = {"text": str, "bytes": bytes, "any": Any, "event": Event}


def types_of(case: dict[str, Any]) -> StreamTypes:
    declared_types = {name: TYPES[kind] for name, kind in case["types"].items()}
    return stream_types(
        declared_types["item"], header_type=declared_types.get("header"), footer_type=declared_types.get("footer")
    )


def value_of(kind: str, value: Any) -> Any:
    match kind:
        case "bytes":
            return base64.b64decode(value)
        case "event":
            return Event(**value)
    return value


def bytes_of(case: dict[str, Any], name: str) -> bytes:
    written: str = case["bytes"][name]
    return bytes.fromhex(written) if name in ("bytes", "frames") else written.encode()


def events_of(case: dict[str, Any]) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    for record in case["events"]:
        [(name, value)] = record.items()
        match name:
            case "item":
                events.append(Item(value_of(case["types"]["item"], value)))
            case "header":
                events.append(Header(value_of(case["types"]["header"], value)))
            case "footer":
                events.append(Footer(value_of(case["types"]["footer"], value)))
            case "end":
                events.append(End(**value))
            case "error":
                events.append(Failure(**value))
    return events


@pytest.mark.parametrize(
    ("case", "name"),
    [pytest.param(case, name, id=f"{case['name']}, {name}") for case in VECTORS for name in case["bytes"]],
)
def test_encoders_write_exactly_the_bytes_of_the_vectors(case: dict[str, Any], name: str) -> None:
    encoder = FORMAT[name].encoder(types_of(case))
    written = b"".join(encode(encoder, event) for event in events_of(case))
    assert written == bytes_of(case, name)


@pytest.mark.parametrize("name", ["sse", "ndjson", "frames"])
@pytest.mark.parametrize(
    "case", [case for case in VECTORS if case["types"]["item"] != "event"], ids=lambda case: case["name"]
)
def test_what_the_vectors_write_reads_back(case: dict[str, Any], name: str) -> None:
    decoder = FORMAT[name].decoder(types_of(case))
    events = decoder.feed(bytes_of(case, name)) + decoder.finish()
    ending = events_of(case)[-1]
    if isinstance(ending, End):
        ending = End(ending.items, ending.first_item_ms and round(ending.first_item_ms, 3), ending.duration_ms)
    assert events == [*events_of(case)[:-1], ending]


def test_the_codec_of_what_is_not_declared_is_an_invalid_item() -> None:
    with pytest.raises(InvalidItem, match="a header in a stream that declares none"):
        declared(None, "header")
    codec = stream_types(str).item
    assert declared(codec, "header") is codec
