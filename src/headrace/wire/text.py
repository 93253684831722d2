"""Plain text: the items one after the other, in UTF-8, and nothing else. For clients that print what comes.

No header, no footer, no ending in the bytes: a stream that fails is broken off before HTTP's final chunk
(RFC 9112, section 8), and a client that counts a cut body as a whole one has only itself to blame.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any

from headrace.errors import InvalidItem, StreamTruncated, WireError
from headrace.wire.bare import BareEncoder
from headrace.wire.decoding import Feed
from headrace.wire.events import End, Item, StreamEvent
from headrace.wire.stream_types import StreamTypes


class TextEncoder(BareEncoder):
    """Encoder of `str` items."""

    def __init__(self, types: StreamTypes) -> None:
        if types.item.kind != "text":
            raise TypeError(f"plain text carries items of type str, not {types.item.name}")
        super().__init__(types)

    def item(self, value: Any) -> bytes:
        """The text itself; a character is never split between two items."""
        if not isinstance(value, str):
            raise InvalidItem(f"{type(value).__name__}, expected str")
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise InvalidItem("str with a lone surrogate, which UTF-8 cannot carry") from error


class TextDecoder(Feed[StreamEvent]):
    """Decoder of plain text. Items are the pieces as they arrive, not as they were sent; no character is ever split."""

    def __init__(self, types: StreamTypes) -> None:
        super().__init__()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._items = 0

    def read(self, data: bytes) -> Iterator[StreamEvent]:
        """One item with the characters that these bytes complete."""
        try:
            text = self._utf8.decode(data)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode()
            if before:
                yield Item(before)
            raise WireError(f"not UTF-8: {error.reason} 0x{error.object[error.start]:02x}") from error
        if text:
            self._items += 1
            yield Item(text)

    def finish(self, complete: bool = True) -> list[StreamEvent]:
        """The end, with the number of pieces; raises StreamTruncated for an unclean end or half a character."""
        self.feed(b"")
        if not complete or self._utf8.getstate()[0]:
            raise StreamTruncated
        return [End(items=self._items)]
