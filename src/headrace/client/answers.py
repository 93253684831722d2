"""The decoder of an answer that is asked for in one piece: it makes one item, the value."""

from __future__ import annotations

from typing import Any

from headrace.errors import WireError
from headrace.wire.decoding import Decoder
from headrace.wire.document import MAX_DOCUMENT, Document
from headrace.wire.events import End, Footer, Header, Item, StreamEvent
from headrace.wire.formats import essence
from headrace.wire.gathered import GatheredDecoder
from headrace.wire.stream_types import StreamTypes


class AnswerDecoder:
    """Decoder of a whole answer: JSON gives its value, `text/*` a `str`, everything else `bytes`.

    Args:
        content_type: the header's value; empty where there is none.
        types: `item` is the type of the whole value; with a header or a footer, the types of a gathered stream, and the
            value is the object of all three.
        limit: bytes of the answer.
    """

    def __init__(self, content_type: str, types: StreamTypes, *, limit: int = MAX_DOCUMENT) -> None:
        self._media_type = essence(content_type)
        self._types = types
        self._limit = limit
        self._document = Document(limit)

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Nothing yet; raises RecordTooLarge."""
        self._document.add(data)
        return []

    def finish(self, complete: bool = True) -> list[StreamEvent]:
        """The value and the end; see `Decoder.feed` and `Decoder.finish` for the errors."""
        return [Item(self._value(self._document.take(complete))), End(items=1)]

    def _value(self, data: bytes) -> Any:
        types = self._types
        if self._media_type != "application/json" and not self._media_type.endswith("+json"):
            return self._bare(data)
        if types.optional or (types.header is None and types.footer is None):
            return types.item.loads(data)
        return _object(GatheredDecoder(types, limit=self._limit), data)

    def _bare(self, data: bytes) -> Any:
        if not self._media_type.startswith("text/"):
            return data if self._types.optional else self._types.item.check(data)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise WireError(f"not UTF-8: {error.reason} 0x{error.object[error.start]:02x}") from error
        return text if self._types.optional else self._types.item.check(text)


def _object(decoder: Decoder, data: bytes) -> dict[str, Any]:
    value: dict[str, Any] = {"header": None, "items": [], "footer": None}
    for event in [*decoder.feed(data), *decoder.finish()]:
        match event:
            case Header(header):
                value["header"] = header
            case Item(item):
                value["items"].append(item)
            case Footer(footer):
                value["footer"] = footer
    return value
