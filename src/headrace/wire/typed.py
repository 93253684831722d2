"""Typed streams for people who bring their own transport: a writer that makes bytes, a reader that takes them.

    types = stream_types(Token, header_type=Start, footer_type=Usage)

    writer = stream_writer(types)                         # yield its bytes from any route of any framework
    async with stream_reader(types, source) as reader:    # source: the chunks of any body, cut anywhere
        start = await reader.read_header()
        async for token in reader.read_items(): ...
        usage = await reader.read_footer()

The bytes are binary frames (`frames`). pydantic is all that this needs, and no event loop in particular: it runs under
whatever runs the source. Nothing is lost by a call that comes too early: it raises, and the right one still works.
`docs/howto/typed-streams.md` has every mistake with its error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import asdict
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

from headrace.errors import (
    FirstItemTimeout,
    HeadraceError,
    InternalError,
    ItemTimeout,
    MissingFooter,
    MissingHeader,
    OutOfOrder,
    StreamError,
    received,
)
from headrace.wire.decoding import MAX_RECORD
from headrace.wire.events import End, Failure, Footer, Header, Item, Kind, StreamEvent
from headrace.wire.frames import FrameDecoder, FrameEncoder
from headrace.wire.stream_types import FooterT, HeaderT, ItemT, StreamTypes, stream_types

__all__ = ["StreamReader", "StreamTypes", "StreamWriter", "stream_reader", "stream_types", "stream_writer"]

Within: TypeAlias = Callable[[], AbstractContextManager[Any] | AbstractAsyncContextManager[Any]]
"""Makes a context manager that raises TimeoutError: `lambda: asyncio.timeout(5)`, `lambda: anyio.fail_after(5)`."""

T = TypeVar("T")


def stream_writer(
    types: StreamTypes[ItemT, HeaderT, FooterT], *, limit: int = MAX_RECORD
) -> StreamWriter[ItemT, HeaderT, FooterT]:
    """A writer for one stream; `limit` is the largest header, item or footer in bytes."""
    return StreamWriter(types, limit=limit)


def stream_reader(
    types: StreamTypes[ItemT, HeaderT, FooterT],
    source: AsyncIterable[bytes],
    *,
    within: Within | None = None,
    needs_end: bool = True,
    limit: int = MAX_RECORD,
) -> StreamReader[ItemT, HeaderT, FooterT]:
    """A reader of one stream.

    Args:
        types: what the stream declares.
        source: its bytes, cut anywhere. The reader's `aclose` closes it.
        within: how long each wait for bytes may take; without it the source alone decides. A heartbeat is bytes too.
        needs_end: False for writers that write no end (Truss Chains): there the source's clean end between two frames
            is the end, after the footer where one is declared. Such a stream cannot tell all cuts.
        limit: bytes of the largest header, item or footer that is taken.
    """
    return StreamReader(types, source, within=within, needs_end=needs_end, limit=limit)


class StreamWriter(Generic[ItemT, HeaderT, FooterT]):
    """The parts of one stream to bytes, checked. Whoever holds it sends them, all and in order.

    A call that raises has written nothing, and the writer goes on where it was.
    """

    def __init__(self, types: StreamTypes[ItemT, HeaderT, FooterT], *, limit: int = MAX_RECORD) -> None:
        self._encoder = FrameEncoder(types, limit=limit)
        self._order = types.order()
        self._items = 0

    def yield_header(self, header: HeaderT) -> bytes:
        """Raises OutOfOrder for a header that is late, second or not declared, and InvalidItem for a wrong one."""
        return self._write(Header, self._encoder.header, header)

    def yield_item(self, item: ItemT) -> bytes:
        """Raises MissingHeader before a declared header, OutOfOrder after the footer or the end, and InvalidItem."""
        data = self._write(Item, self._encoder.item, item)
        self._items += 1
        return data

    def yield_items(self, items: Iterable[ItemT]) -> bytes:
        """Several items in as few frames as they fit in: cheaper, and all or none. The errors of `yield_item`."""
        values = list(items)
        if not values:
            return b""
        data = self._write(Item, self._encoder.batch, values)
        self._items += len(values)
        return data

    def yield_footer(self, footer: FooterT) -> bytes:
        """Raises OutOfOrder for a footer that is second, after the end or not declared, and InvalidItem."""
        return self._write(Footer, self._encoder.footer, footer)

    def end(self) -> bytes:
        """The stream is complete. Raises MissingHeader and MissingFooter for what is declared and did not come."""
        return self._write(End, self._encoder.end, End(self._items))

    def fail(self, error: BaseException | str, message: str = "") -> bytes:
        """The stream is not complete; the reader raises this error.

        Args:
            error: a StreamError, whose code and message travel; any other exception is `internal` without its text. Or
                a code of your own.
            message: the text that goes with a code.

        Raises:
            OutOfOrder: the stream has ended already.
        """
        if isinstance(error, str):
            failure = Failure(error, message, items_sent=self._items)
        else:
            known = error if isinstance(error, StreamError) else InternalError()
            failure = Failure(known.code, known.message, known.retryable, items_sent=self._items)
        return self._write(Failure, self._encoder.failure, failure)

    def _write(self, kind: Kind, encode: Callable[[T], bytes], value: T) -> bytes:
        before = self._order.last
        self._order.advance(kind)
        try:
            return encode(value)
        except BaseException:
            self._order.last = before
            raise


class StreamReader(Generic[ItemT, HeaderT, FooterT]):
    """One stream out of bytes, read once and in order: the header, the items, the footer.

    `async with` closes the source however the block is left. After an error that is not OutOfOrder, reading on raises
    it again.
    """

    def __init__(
        self,
        types: StreamTypes[ItemT, HeaderT, FooterT],
        source: AsyncIterable[bytes],
        *,
        within: Within | None = None,
        needs_end: bool = True,
        limit: int = MAX_RECORD,
    ) -> None:
        self._types = types
        self._arrivals = _Arrivals(source, FrameDecoder(types, limit=limit, needs_end=needs_end), within)
        self._read_header = types.header is None
        self._read_footer = types.footer is None
        self._items: _Items[ItemT] | None = None

    async def __aenter__(self) -> Self:
        """Nothing to open: the source is read when something is asked for."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the source."""
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the source, which stops whoever makes the stream. A second call does nothing."""
        await self._arrivals.aclose()

    async def read_header(self) -> HeaderT:
        """The header.

        Raises:
            OutOfOrder: the stream declares none, or it has been read.
            MissingHeader, and whatever else is wrong with the stream.
        """
        if self._read_header:
            raise OutOfOrder(_once("header", self._types.header is not None))
        event = await self._arrivals.next("the header")
        if not isinstance(event, Header):
            raise MissingHeader
        self._arrivals.take()
        self._read_header = True
        header: HeaderT = event.data
        return header

    def read_items(self) -> AsyncIterator[ItemT]:
        """The items, to be had once: keep the iterator to go on after a `break`. It ends when all have come.

        Raises:
            OutOfOrder: the header is still to be read, or the items were asked for before.
        """
        if not self._read_header:
            raise OutOfOrder("the header comes before the items: await read_header() first")
        if self._items is not None:
            raise OutOfOrder("a second read_items(): the items are read once, so keep the first iterator to go on")
        self._items = _Items(self._arrivals)
        return self._items

    async def read_footer(self) -> FooterT:
        """The footer, once the stream is known to be complete.

        Raises:
            OutOfOrder: the stream declares none, it has been read, or not all items have been.
            MissingFooter, and whatever else is wrong with the stream.
        """
        if self._read_footer:
            raise OutOfOrder(_once("footer", self._types.footer is not None))
        if self._items is None or not self._items.over:
            raise OutOfOrder("the items come before the footer: read read_items() to its end first")
        event = await self._arrivals.next("the footer")
        if not isinstance(event, Footer):
            raise MissingFooter
        await self._arrivals.next("the end", beyond=1)
        self._arrivals.take()
        self._read_footer = True
        footer: FooterT = event.data
        return footer


class _Items(AsyncIterator[ItemT]):
    # No async generator: one that is dropped after a `break` would be closed, and the items behind it be lost.

    def __init__(self, arrivals: _Arrivals) -> None:
        self._arrivals = arrivals
        self.over = False

    async def __anext__(self) -> ItemT:
        if not self.over:
            event = await self._arrivals.next("an item")
            if isinstance(event, Item):
                self._arrivals.take()
                item: ItemT = event.data
                return item
            self.over = True
        raise StopAsyncIteration


class _Arrivals:
    """The events of the source. They are looked at first and taken then, so that a look too early takes nothing."""

    def __init__(self, source: AsyncIterable[bytes], decoder: FrameDecoder, within: Within | None) -> None:
        self._source = source
        self._chunks = aiter(source)
        self._decoder = decoder
        self._within = within
        self._waiting: deque[StreamEvent] = deque()
        self._error: HeadraceError | None = None
        self._any_item = False
        self._unbroken = True  # a generator that failed or was cancelled looks finished when it is asked again
        self._closed = False

    async def next(self, what: str, beyond: int = 0) -> StreamEvent:
        """The next event, or the one `beyond` it; raises for a failure and whatever else is wrong there."""
        if self._closed:
            raise OutOfOrder("the reader is closed: read before aclose(), or inside its async with")
        while len(self._waiting) <= beyond:
            if self._error is not None:
                raise self._error
            try:
                self._waiting.extend(await self._more(what))
            except HeadraceError as error:
                self._error = error
                raise
        event = self._waiting[beyond]
        if isinstance(event, Failure):
            raise received(event.code, event.message, asdict(event))
        return event

    def take(self) -> None:
        """Takes the next event."""
        self._any_item |= isinstance(self._waiting.popleft(), Item)

    async def aclose(self) -> None:
        """Closes the source; see `StreamReader.aclose`."""
        if self._closed:
            return
        self._closed = True
        close = getattr(self._chunks, "aclose", None) or getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    async def _more(self, what: str) -> list[StreamEvent]:
        self._decoder.feed(b"")  # an error that waits must not wait for more bytes
        try:
            chunk = await self._chunk()
        except StopAsyncIteration:
            return self._decoder.finish(self._unbroken)
        except BaseException as error:
            self._unbroken = False
            if isinstance(error, TimeoutError):
                timeout = ItemTimeout if self._any_item else FirstItemTimeout
                raise timeout(f"{what} did not come in time") from error
            raise
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise TypeError(f"the source gave {type(chunk).__name__}, expected bytes: give the body as it came")
        return self._decoder.feed(bytes(chunk))

    async def _chunk(self) -> bytes:
        if self._within is None:
            return await anext(self._chunks)
        limit = self._within()
        if isinstance(limit, AbstractAsyncContextManager):
            async with limit:
                return await anext(self._chunks)
        with limit:
            return await anext(self._chunks)


def _once(what: str, declared: bool) -> str:
    return f"a second read_{what}(): it is read once" if declared else f"the stream declares no {what}"
