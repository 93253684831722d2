"""A typed stream in its parts: `async with opened(self.other.transcribe(audio)) as stream`.

Whatever yields `Header`, items and `Footer` can be opened: a call of another service, or a generator of one's own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, overload

from typing_extensions import TypeVar

from headrace.errors import OutOfOrder
from headrace.streams.closing import AsyncClosing
from headrace.streams.iterated import iterated
from headrace.wire.events import Footer, Header

I = TypeVar("I")  # noqa: E741
H = TypeVar("H", default=None)
F = TypeVar("F", default=None)


class Opened(Generic[I, H, F]):
    """An open stream. Iterating it gives the items, once.

    Attributes:
        header: None where the stream has none.
        footer: None before the last item was read, and where the stream has none.
    """

    def __init__(self, source: AsyncIterator[Any]) -> None:
        self.header: H | None = None
        self.footer: F | None = None
        self._source = source
        self._first: list[Any] = []
        self._begun = False

    async def begin(self) -> None:
        """Waits for the first event."""
        async for event in self._source:
            if isinstance(event, Header):
                self.header = event.data
            else:
                self._first.append(event)
            return

    def __aiter__(self) -> AsyncIterator[I]:
        """The items; raises OutOfOrder the second time."""
        if self._begun:
            raise OutOfOrder("the items of a stream are read once")
        self._begun = True
        return self._items()

    async def _items(self) -> AsyncIterator[I]:
        async for event in self._events():
            if isinstance(event, Footer):
                self.footer = event.data
            else:
                yield event

    async def _events(self) -> AsyncIterator[Any]:
        for event in self._first:
            yield event
        async for event in self._source:
            yield event


@overload
def opened(stream: AsyncIterable[I | Header[H] | Footer[F]]) -> AbstractAsyncContextManager[Opened[I, H, F]]: ...
@overload
def opened(stream: Iterable[I | Header[H] | Footer[F]]) -> AbstractAsyncContextManager[Opened[I, H, F]]: ...
@overload
def opened(stream: AsyncIterable[Any] | Iterable[Any]) -> AbstractAsyncContextManager[Opened[Any, Any, Any]]: ...
def opened(stream: Any) -> AbstractAsyncContextManager[Opened[Any, Any, Any]]:
    """Opens a stream: waits for its first event, and closes it at the end of the block.

    An endpoint that is written with `def` is annotated as an ordinary iterator, and is iterated with `async for` when
    another service calls it; with `opened` type checkers see that, too. Any other sync iterator is read on a thread.

    Raises:
        TypeError: it is no stream; HR15 of a call that answers once.
    """
    return _open(iterated(stream))


@asynccontextmanager
async def _open(source: AsyncIterator[Any]) -> AsyncGenerator[Opened[Any, Any, Any], None]:
    async with AsyncClosing(source):
        parts: Opened[Any, Any, Any] = Opened(source)
        await parts.begin()
        yield parts
