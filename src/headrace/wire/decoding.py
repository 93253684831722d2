"""What a decoder is: bytes in, events out, in whatever pieces the bytes come.

A decoder never reads: one implementation serves async code, threads, tests and fuzzers. However the bytes are cut, the
same events come out, and an error is raised only after every event that stands before it has been handed out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

from headrace.errors import HeadraceError, StreamTruncated, WireError
from headrace.wire.codec_protocol import Codec
from headrace.wire.encoding import declared
from headrace.wire.endings import read_end, read_failure
from headrace.wire.events import End, Failure, Footer, Header, Item, StreamEvent
from headrace.wire.stream_types import StreamTypes

MAX_RECORD = 16 * 1024 * 1024  # bytes of one line or one event

T_co = TypeVar("T_co", covariant=True)


class Decoder(Protocol):
    """Bytes to events."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Takes the next bytes, cut anywhere.

        Raises:
            WireError: the bytes are not of the format, or one record is above the limit (`RecordTooLarge`).
            InvalidItem: a value is not of the declared type.
            OutOfOrder, MissingHeader, MissingFooter: an event came where it must not.
        """

    def finish(self, complete: bool = True) -> list[StreamEvent]:
        """The transport has ended; `complete` says whether it ended cleanly. Returns what only the end could tell.

        Raises:
            StreamTruncated: neither an end nor a failure has been seen.
        """


class Feed(ABC, Generic[T_co]):
    """Cuts the reading of bytes into calls. An error waits until what stood before it has been handed out.

    After an error every further call raises it again.
    """

    def __init__(self) -> None:
        self._error: HeadraceError | None = None

    @abstractmethod
    def read(self, data: bytes) -> Iterator[T_co]:
        """The records that these bytes complete; raises where they are wrong."""

    def feed(self, data: bytes) -> list[T_co]:
        """Takes the next bytes, cut anywhere, and returns the records they complete.

        Raises:
            HeadraceError: what stands next in the bytes is wrong; everything before it has been returned.
        """
        if self._error is not None:
            raise self._error
        records: list[T_co] = []
        try:
            records.extend(self.read(data))  # what came before an error stays in the list
        except HeadraceError as error:
            self._error = error
            if not records:
                raise
        return records


class EventFeed(Feed[StreamEvent]):
    """A decoder of a format that names its events and tells its endings in the bytes."""

    def __init__(self, types: StreamTypes) -> None:
        super().__init__()
        self.types = types
        self.order = types.order()

    def finish(self, complete: bool = True) -> list[StreamEvent]:
        """See `Decoder.finish`. How the transport ended does not matter: the bytes tell."""
        self.feed(b"")  # an error that waits
        if self.order.last not in (End, Failure):
            raise StreamTruncated
        return []

    def value(self, codec: Codec, data: bytes) -> Any:
        """A header, an item or a footer as this format writes them: JSON unless it says otherwise."""
        return codec.loads(data)

    def event(self, name: str, data: bytes) -> StreamEvent:
        """The event of this name with this content."""
        match name:
            case "item":
                self.order.advance(Item)
                return Item(self.value(self.types.item, data))
            case "header":
                self.order.advance(Header)
                return Header(self.value(declared(self.types.header, name), data))
            case "footer":
                self.order.advance(Footer)
                return Footer(self.value(declared(self.types.footer, name), data))
            case "end":
                self.order.advance(End)
                return read_end(data)
            case "error":
                self.order.advance(Failure)
                return read_failure(data)
        raise WireError(f'an event named "{name[:40]}", expected item, header, footer, end or error')
