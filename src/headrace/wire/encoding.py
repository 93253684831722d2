"""What an encoder is: the events of one stream to bytes, one after the other.

An encoder belongs to one stream and writes nothing itself: whoever holds it sends what it returns. Values that do not
fit the stream's types raise `InvalidItem`, and then nothing of them is in the output. The order of events is checked
by `events.Order`, not here.
"""

from __future__ import annotations

from typing import Any, Protocol

from headrace.errors import InvalidItem
from headrace.wire.codec import Codec
from headrace.wire.events import End, Failure, Footer, Header, Item, StreamEvent


class Encoder(Protocol):
    """The events of one stream to bytes. `in_band`: endings are told in the bytes, not by the transport alone."""

    @property
    def heartbeat(self) -> bytes:
        """What to send after a silence; empty where the format has nothing for it."""

    @property
    def in_band(self) -> bool:
        """Whether failures are told in the bytes. Where not, the transport must break off, or they look like an end."""

    def header(self, value: Any) -> bytes:
        """The header; empty where the format has no place for one."""

    def item(self, value: Any) -> bytes:
        """One item, given as the bare value. May be empty where items wait for the next."""

    def footer(self, value: Any) -> bytes:
        """The footer; empty where the format has no place for one."""

    def end(self, end: End) -> bytes:
        """The stream is complete. A StreamError says that it is not, after all, and becomes its failure."""

    def failure(self, failure: Failure) -> bytes:
        """The stream is not complete; empty unless `in_band`."""


def encode(encoder: Encoder, event: StreamEvent) -> bytes:
    """The bytes of any event, for tests and tools; the server calls the encoder's own methods."""
    match event:
        case Item(data):
            return encoder.item(data)
        case Header(data):
            return encoder.header(data)
        case Footer(data):
            return encoder.footer(data)
        case End():
            return encoder.end(event)
        case Failure():
            return encoder.failure(event)


def declared(codec: Codec | None, what: str) -> Codec:
    """The codec of the stream's header or footer; raises InvalidItem where the stream declares none."""
    if codec is None:
        raise InvalidItem(f"a {what} in a stream that declares none")
    return codec
