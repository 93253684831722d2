"""Server-sent events (WHATWG HTML, section 9.2), to the letter; the only file here that writes `data:`.

    event: header        data: JSON
    (no event field)     data: JSON    id: 1, 2, 3 ...
    event: footer        data: JSON
    event: end | error   data: JSON

Items have no event field, so that the `onmessage` of an `EventSource` sees them. The heartbeat is a comment line and no
blank line after it: several well-known clients dispatch an empty event at any blank line once they have seen an id.

Reading has two layers: `EventStreamParser` is the standard and knows nothing of our events, `SseDecoder` makes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from headrace.errors import RecordTooLarge, WireError
from headrace.wire.decoding import MAX_RECORD, EventFeed, Feed
from headrace.wire.encoding import declared
from headrace.wire.endings import end_json, failure_json
from headrace.wire.event_codec import EventCodec
from headrace.wire.events import RESERVED_NAMES, End, Event, Failure, Item, StreamEvent
from headrace.wire.lines import Lines
from headrace.wire.stream_types import StreamTypes


class SseEncoder:
    """Encoder of server-sent events."""

    heartbeat = b": keep-alive\n"
    in_band = True

    def __init__(self, types: StreamTypes) -> None:
        self._types = types
        self._dumps = types.item.dumps
        self._own_schema = isinstance(types.item, EventCodec)
        self._seq = 0

    def header(self, value: Any) -> bytes:
        """`event: header`."""
        return record(declared(self._types.header, "header").dumps(value), "header")

    def item(self, value: Any) -> bytes:
        """The item's place in the stream as the id, from 1, and its JSON; an `Event` as it asks for."""
        if self._own_schema:
            return self._event(value)
        data = self._dumps(value)
        self._seq += 1
        return b"id: %d\ndata: %b\n\n" % (self._seq, data)

    def footer(self, value: Any) -> bytes:
        """`event: footer`."""
        return record(declared(self._types.footer, "footer").dumps(value), "footer")

    def end(self, end: End) -> bytes:
        """`event: end`."""
        return record(end_json(end), "end")

    def failure(self, failure: Failure) -> bytes:
        """`event: error`."""
        return record(failure_json(failure), "error")

    def _event(self, value: Any) -> bytes:
        event: Event[Any] = self._types.item.check(value)
        data = _text_fields(event.data) if isinstance(event.data, str) else b"data: %b\n" % self._dumps(event)
        self._seq += 1
        name = f"event: {event.name}\n" if event.name else ""
        id_ = self._seq if event.id is None else event.id
        return f"{name}id: {id_}\n".encode() + data + b"\n"


def record(data: bytes, name: str = "") -> bytes:
    """One whole event of a line of data, for encoders of other APIs. No separator may stand in either of them."""
    event = b"event: %b\n" % name.encode() if name else b""
    return b"%bdata: %b\n\n" % (event, data)


def _text_fields(text: str) -> bytes:
    # Only CR, LF and CRLF end a line here. U+2028, U+0085 and their kin go out as they are: the standard keeps them,
    # raw text has no way to escape them, and refusing them would fail streams for the readers that do it right. For
    # clients that cut with str.splitlines, yield data that is not a str: it travels as JSON, which escapes them.
    return b"".join(b"data: %b\n" % line.encode() for line in _LINE_END.split(text))


_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event as the standard dispatches it. `id` is the last one seen, `retry` (milliseconds) likewise."""

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


class EventStreamParser(Feed[ServerSentEvent]):
    """The standard's parser, fed with bytes. An event that is unfinished when the bytes end never comes out.

    Args:
        limit: bytes of one event's data and of any single line; more raises RecordTooLarge.
    """

    def __init__(self, *, limit: int = MAX_RECORD) -> None:
        super().__init__()
        self.last_event_id = ""
        self.retry: int | None = None
        self._limit = limit
        self._lines = Lines(limit)
        self._first_line = True
        self._data: list[str] = []
        self._size = 0  # bytes in _data
        self._event = ""
        self._id = ""

    def read(self, data: bytes) -> Iterator[ServerSentEvent]:
        """The events that these bytes complete."""
        for line in self._lines.read(data):
            if self._first_line:
                self._first_line = False
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if line:
                self._field(line)
            else:
                yield from self._dispatch()

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")  # a comment has no name, an unknown field no meaning
        value = value.removeprefix(b" ")
        if name == b"data":
            self._size += len(value) + 1
            if self._size > self._limit:
                raise RecordTooLarge(f"an event with {self._size} bytes of data or more; the limit is {self._limit}")
            self._data.append(_text(value))
        elif name == b"event":
            self._event = _text(value)
        elif name == b"id" and b"\0" not in value:
            self._id = _text(value)
        elif name == b"retry" and _DIGITS.fullmatch(value):
            self.retry = int(value)

    def _dispatch(self) -> Iterator[ServerSentEvent]:
        self.last_event_id = self._id
        data, self._data, self._size = self._data, [], 0
        event, self._event = self._event or "message", ""
        if data:
            yield ServerSentEvent("\n".join(data), event, self.last_event_id, self.retry)


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DIGITS = re.compile(rb"[0-9]{1,18}")  # longer ones would wait for ages, and int() refuses to read very long ones


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


class SseDecoder(EventFeed):
    """Decoder of server-sent events, ours and others'.

    Where the item type is not `Event`, an event of a name that means nothing here becomes an item all the same, as
    `Event(raw text, name, id)`. Where it is, text is read as JSON unless the declared type is text or anything, or the
    text is no JSON; and the id is the event's own unless it is just its place in the stream.
    """

    def __init__(self, types: StreamTypes, *, limit: int = MAX_RECORD) -> None:
        super().__init__(types)
        self._parser = EventStreamParser(limit=limit)
        self._seq = 0

    def read(self, data: bytes) -> Iterator[StreamEvent]:
        """The events that these bytes complete."""
        for record in self._parser.read(data):
            if record.event in RESERVED_NAMES:
                yield self.event(record.event, record.data.encode())
            elif isinstance(self.types.item, EventCodec):
                yield self._own_event(self.types.item, record)
            elif record.event == "message":
                yield self.event("item", record.data.encode())
            else:
                self.order.advance(Item)
                yield Item(Event(record.data, record.event, record.id or None))

    def _own_event(self, codec: EventCodec, record: ServerSentEvent) -> StreamEvent:
        self.order.advance(Item)
        self._seq += 1
        name = None if record.event == "message" else record.event
        id_ = None if record.id in ("", str(self._seq)) else record.id
        return Item(Event(_own_data(codec, record.data), name, id_))


def _own_data(codec: EventCodec, text: str) -> Any:
    if codec.raw:
        return codec.data.check(text)
    try:
        return codec.data.loads(text.encode())
    except WireError:
        return codec.data.check(text)
