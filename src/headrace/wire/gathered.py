"""A whole stream as one JSON document (RFC 8259), for clients that cannot read a stream.

    items of str                 one string: the items concatenated
    items of bytes               one string: base64 (RFC 4648, section 4) of the items concatenated
    others                       an array
    with a header or a footer    {"header": ..., "items": [...], "footer": ...}

The document is made piece by piece, but nothing of it may be sent before the end is known: half a document cannot tell
a failure, a status can.
"""

from __future__ import annotations

import base64
from typing import Any

from pydantic_core import to_json

from headrace.errors import MissingFooter, MissingHeader, WireError
from headrace.wire.document import MAX_DOCUMENT, Document
from headrace.wire.encoding import declared
from headrace.wire.endings import read_object
from headrace.wire.events import End, Failure, Footer, Header, Item, StreamEvent
from headrace.wire.json_line import read_json
from headrace.wire.stream_types import StreamTypes


class GatheredEncoder:
    """Encoder of a whole stream as one document."""

    heartbeat = b""
    in_band = False

    def __init__(self, types: StreamTypes) -> None:
        self._types = types
        self._shape = _shape(types)
        self._opening, self._between, self._closing = _PUNCTUATION[self._shape]
        self._before = self._opening  # what stands before the next item
        self._rest = b""  # the last one or two bytes: base64 takes three at a time

    def header(self, value: Any) -> bytes:
        """The document's beginning."""
        data = declared(self._types.header, "header").dumps(value)
        self._before = b',"items":['
        return b'{"header":%b' % data

    def item(self, value: Any) -> bytes:
        """What this item adds to the document."""
        match self._shape:
            case "text":
                data = self._types.item.dumps(value)[1:-1]
            case "bytes":
                whole = self._rest + self._types.item.check(value)
                cut = len(whole) - len(whole) % 3
                data, self._rest = base64.b64encode(whole[:cut]), whole[cut:]
            case _:
                data = self._types.item.dumps(value)
        before, self._before = self._before, self._between
        return before + data

    def footer(self, value: Any) -> bytes:
        """The end of the items, and the footer."""
        data = declared(self._types.footer, "footer").dumps(value)
        self._closing = b"}"
        return self._open() + b'],"footer":%b' % data

    def end(self, end: End) -> bytes:
        """The document's end; what `end` says is not carried."""
        return self._open() + base64.b64encode(self._rest) + self._closing

    def failure(self, failure: Failure) -> bytes:
        """Nothing: the answer is a status and a problem document instead."""
        return b""

    def _open(self) -> bytes:
        # Only a document without any item still has its opening to write.
        before, self._before = self._before, self._between
        return b"" if before == self._between else before


class GatheredDecoder:
    """Decoder of a whole document; all events come when the transport has ended."""

    def __init__(self, types: StreamTypes, *, limit: int = MAX_DOCUMENT) -> None:
        self._types = types
        self._document = Document(limit)

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Nothing yet; raises RecordTooLarge."""
        self._document.add(data)
        return []

    def finish(self, complete: bool = True) -> list[StreamEvent]:
        """All events; see `Decoder.finish` for the errors.

        Text and bytes are one item, or none where they are empty.
        """
        data = self._document.take(complete)
        match _shape(self._types):
            case "text" | "bytes":
                value = self._types.item.loads(data)
                items = [Item(value)] if value else []
                return [*items, End(items=len(items))]
            case "array":
                items = self._items(read_json(data))
                return [*items, End(items=len(items))]
        return self._typed(read_object(data, "document"))

    def _typed(self, members: dict[str, Any]) -> list[StreamEvent]:
        types = self._types
        events: list[StreamEvent] = []
        if types.header is not None:
            if "header" not in members:
                raise MissingHeader
            events.append(Header(types.header.loads(to_json(members["header"]))))
        items = self._items(members.get("items"))
        events += items
        if types.footer is not None:
            if "footer" not in members:
                raise MissingFooter
            events.append(Footer(types.footer.loads(to_json(members["footer"]))))
        return [*events, End(items=len(items))]

    def _items(self, values: Any) -> list[Item[Any]]:
        if not isinstance(values, list):
            raise WireError(f"{type(values).__name__} for the items, expected an array")
        return [Item(self._types.item.loads(to_json(value))) for value in values]


_PUNCTUATION = {
    "text": (b'"', b"", b'"'),
    "bytes": (b'"', b"", b'"'),
    "array": (b"[", b",", b"]"),
    "object": (b'{"items":[', b",", b"]}"),
}


def _shape(types: StreamTypes) -> str:
    if types.header is not None or types.footer is not None:
        return "object"
    return "array" if types.item.kind == "json" else types.item.kind
