"""One value as one JSON document (RFC 8259): the answer of an endpoint that returns instead of streaming."""

from __future__ import annotations

from typing import Any

from headrace.errors import OutOfOrder, RecordTooLarge, StreamTruncated
from headrace.wire.bare import BareEncoder
from headrace.wire.events import End, Item, StreamEvent
from headrace.wire.stream_types import StreamTypes

MAX_DOCUMENT = 64 * 1024 * 1024  # bytes


class DocumentEncoder(BareEncoder):
    """Encoder of exactly one item: its JSON and nothing else."""

    def __init__(self, types: StreamTypes) -> None:
        super().__init__(types)
        self._written = False

    def item(self, value: Any) -> bytes:
        """The JSON; raises OutOfOrder for a second item."""
        if self._written:
            raise OutOfOrder("a second item where one document is the whole answer")
        data = self._types.item.dumps(value)
        self._written = True
        return data


class Document:
    """Gathers the bytes of one document up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        """Raises RecordTooLarge before it keeps too much."""
        size = len(self._data) + len(data)
        if size > self._limit:
            raise RecordTooLarge(f"a document of {size} bytes or more; the limit is {self._limit}")
        self._data += data

    def take(self, complete: bool) -> bytes:
        """The whole document; raises StreamTruncated unless the transport ended cleanly."""
        if not complete:
            raise StreamTruncated
        return bytes(self._data)


class DocumentDecoder:
    """Decoder of one document; the item comes when the transport has ended."""

    def __init__(self, types: StreamTypes, *, limit: int = MAX_DOCUMENT) -> None:
        self._types = types
        self._document = Document(limit)

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Nothing yet; raises RecordTooLarge."""
        self._document.add(data)
        return []

    def finish(self, complete: bool = True) -> list[StreamEvent]:
        """The item and the end; see `Decoder.feed` and `Decoder.finish` for the errors."""
        return [Item(self._types.item.loads(self._document.take(complete))), End(items=1)]
