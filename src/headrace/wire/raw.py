"""Bytes as they are: audio, images, archives, one piece after the other. Endings are as in plain text (`text`)."""

from __future__ import annotations

from typing import Any

from headrace.errors import StreamTruncated
from headrace.wire.bare import BareEncoder
from headrace.wire.events import End, Item, StreamEvent
from headrace.wire.stream_types import StreamTypes


class BytesEncoder(BareEncoder):
    """Encoder of `bytes` items."""

    def __init__(self, types: StreamTypes) -> None:
        if types.item.kind != "bytes":
            raise TypeError(f"a stream of bytes carries items of type bytes, not {types.item.name}")
        super().__init__(types)
        self._check = types.item.check

    def item(self, value: Any) -> bytes:
        """The bytes themselves."""
        data: bytes = self._check(value)
        return data


class BytesDecoder:
    """Decoder of bytes. Items are the pieces as they arrive, not as they were sent."""

    def __init__(self, types: StreamTypes) -> None:
        self._items = 0

    def feed(self, data: bytes) -> list[StreamEvent]:
        """One item with these bytes."""
        if not data:
            return []
        self._items += 1
        return [Item(data)]

    def finish(self, complete: bool = True) -> list[StreamEvent]:
        """The end, with the number of pieces; raises StreamTruncated for an unclean end."""
        if not complete:
            raise StreamTruncated
        return [End(items=self._items)]
