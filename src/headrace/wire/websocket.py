"""A stream as WebSocket messages (RFC 6455), with the subprotocol `headrace.v1` or without one.

With it, messages are the objects of NDJSON, one each (bytes items: binary messages), and the ending is one. Without
it, text items are text messages, bytes items binary messages, all others JSON; a header and a footer are JSON objects
with one member, as in NDJSON; the close code alone tells the ending. Both ends close with the code that the ending has.

Records are whole frames, ready to be sent: a server writes many of them at once, and the borders between the messages
stay. A server's frames are not masked (section 5.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from headrace.errors import (
    BodyTooLarge,
    ClientGone,
    InvalidItem,
    MalformedBody,
    Overloaded,
    RequestError,
    ShuttingDown,
    StreamError,
    UnsupportedMediaType,
    WireError,
)
from headrace.wire.decoding import EventFeed
from headrace.wire.encoding import declared
from headrace.wire.endings import end_json, failure_json
from headrace.wire.events import End, Failure, Item, StreamEvent
from headrace.wire.formats import Format
from headrace.wire.stream_types import StreamTypes
from headrace.wire.text import TextEncoder

SUBPROTOCOL = "headrace.v1"

ARGUMENTS_FIRST = "headrace.arguments"
"""Offered beside it, and never chosen: the first message carries the arguments, whatever the endpoint has.

Clients that do not know the endpoint say so. In a browser a subprotocol is all that a page can say in a handshake.
"""

TEXT, BINARY = 0x81, 0x82
"""The first byte of a frame that is a whole message (section 5.2)."""

REASON_BYTES = 123
"""Of a close frame's payload, at most 125 bytes, two are the code (sections 5.5 and 5.5.1)."""

NORMAL, INVALID, TOO_BIG, FAILED, RESTARTS = 1000, 1007, 1009, 1011, 1012


def close_code(error: StreamError | None) -> int:
    """The close code of an ending (section 7.4.1, and the IANA registry of codes); None: the stream is complete."""
    if error is None:
        return NORMAL
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), FAILED)


def close_reason(error: StreamError | None) -> str:
    """The code and the message of a failure, as much of it as a close frame takes."""
    if error is None:
        return ""
    text = f"{error.code}: {error.message}".encode("utf-8", "replace")
    return text[:REASON_BYTES].decode("utf-8", "ignore")


_CODES: dict[type[StreamError], int] = {
    Overloaded: 1013,  # try again later
    ShuttingDown: RESTARTS,
    MalformedBody: INVALID,
    UnsupportedMediaType: 1003,  # unsupported data
    BodyTooLarge: TOO_BIG,
    RequestError: 1008,  # policy violation
    ClientGone: 1001,  # going away
}


def frame(kind: int, payload: bytes) -> bytes:
    """One whole message as a frame of a server."""
    size = len(payload)
    if size < 126:
        return _SHORT[kind][size] + payload
    if size < 65536:
        return b"%c\x7e%b%b" % (kind, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (kind, size.to_bytes(8, "big"), payload)


_SHORT = {kind: [bytes((kind, size)) for size in range(126)] for kind in (TEXT, BINARY)}
"""The heads of frames that are short, which most are: looked up in a third of the time that making one takes."""


def messages(frames: bytes) -> Iterator[tuple[int, bytes]]:
    """The kinds and payloads of frames that `frame` made, for servers that take messages."""
    at = 0
    while at < len(frames):
        size, head = frames[at + 1], 2
        if size > 125:
            head = 4 if size == 126 else 10
            size = int.from_bytes(frames[at + 2 : at + head], "big")
        yield frames[at], frames[at + head : at + head + size]
        at += head + size


class MessageEncoder:
    """Encoder of `headrace.v1`."""

    heartbeat = b""  # pings are the connection's
    in_band = True

    def __init__(self, types: StreamTypes) -> None:
        self._types = types
        self._binary = types.item.kind == "bytes"
        self._item = types.item.check if self._binary else types.item.dumps

    def header(self, value: Any) -> bytes:
        """`{"header": ...}`."""
        return frame(TEXT, b'{"header":%b}' % declared(self._types.header, "header").dumps(value))

    def item(self, value: Any) -> bytes:
        """`{"item": ...}`, or a binary message."""
        data = self._item(value)
        return frame(BINARY, data) if self._binary else frame(TEXT, b'{"item":%b}' % data)

    def footer(self, value: Any) -> bytes:
        """`{"footer": ...}`."""
        return frame(TEXT, b'{"footer":%b}' % declared(self._types.footer, "footer").dumps(value))

    def end(self, end: End) -> bytes:
        """`{"end": {...}}`."""
        return frame(TEXT, b'{"end":%b}' % end_json(end))

    def failure(self, failure: Failure) -> bytes:
        """`{"error": {...}}`."""
        return frame(TEXT, b'{"error":%b}' % failure_json(failure))


class PlainMessageEncoder(MessageEncoder):
    """Encoder without a subprotocol; the close code tells the ending."""

    in_band = False

    def __init__(self, types: StreamTypes) -> None:
        super().__init__(types)
        self._kind = BINARY if self._binary else TEXT
        self._short = _SHORT[self._kind]
        if types.item.kind == "text":
            self._item = TextEncoder(types).item

    def item(self, value: Any) -> bytes:
        """The text, the bytes, or the JSON of it."""
        data = self._item(value)
        size = len(data)
        return self._short[size] + data if size < 126 else frame(self._kind, data)  # a call less for most items

    def end(self, end: End) -> bytes:
        """Nothing."""
        return b""

    def failure(self, failure: Failure) -> bytes:
        """Nothing."""
        return b""


class MessageDecoder(EventFeed):
    """Decoder of `headrace.v1`, fed with whole messages."""

    def read(self, data: bytes) -> Iterator[StreamEvent]:
        """One text message in UTF-8."""
        if data:
            yield self.event(*named(data))

    def binary(self, data: bytes) -> StreamEvent:
        """One binary message: an item of bytes.

        Raises:
            InvalidItem: the items of this stream are not bytes.
            OutOfOrder, MissingHeader: it came where no item may.
        """
        if self.types.item.kind != "bytes":
            raise InvalidItem(f"a binary message in a stream of {self.types.item.name}")
        self.order.advance(Item)
        return Item(data)


def named(data: bytes) -> tuple[str, bytes]:
    """The name and the JSON of a message that is an object with one member.

    Raises:
        WireError: it is something else.
    """
    opening = _OPENING.match(data)
    data = data.rstrip(_SPACE)
    if opening is None or not data.endswith(b"}"):
        raise WireError('a message is an object with one member, as in NDJSON, {"item": ...} for instance')
    return opening[1].decode(), data[opening.end() : -1]


_SPACE = b" \t\r\n"
_OPENING = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"([a-z]+)"[ \t\r\n]*:')

MESSAGES = Format("messages", (), MessageEncoder, MessageDecoder)
PLAIN_MESSAGES = Format("plain messages", (), PlainMessageEncoder, MessageDecoder)
