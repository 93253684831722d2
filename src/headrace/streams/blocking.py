"""An async iterator, read by the `for` loop of sync code on a worker thread.

Every value is a hop to the event loop and back, which the thread waits for; the loop never waits for the thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, TypeVar

from headrace.errors import Cancelled

T = TypeVar("T")

_END: Any = object()


class Blocking(Generic[T]):
    """The values of `source`, which belongs to `loop`, for one thread that is not the loop's."""

    def __init__(self, source: AsyncIterator[T], loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._loop = loop
        self._awaited: Future[T] | None = None
        self._stopped = False

    def __iter__(self) -> Iterator[T]:
        """Itself: it is read once."""
        return self

    def __next__(self) -> T:
        """The next value; blocks the thread. Raises what the source raises, and Cancelled when it was stopped."""
        step = self._step()
        try:
            self._awaited = asyncio.run_coroutine_threadsafe(step, self._loop)
        except RuntimeError:  # the loop is closed
            step.close()
            raise
        if self._stopped:  # meanwhile, or before: `stop` may not have seen the new step
            self._awaited.cancel()
        try:
            value = self._awaited.result()
        except CancelledError:
            raise Cancelled from None
        finally:
            self._awaited = None
        if value is _END:
            raise StopIteration
        return value

    async def _step(self) -> T:
        return await anext(self._source, _END)

    def stop(self) -> None:
        """Wakes the thread if it waits, and gives it nothing more. Called on the loop."""
        self._stopped = True
        if (awaited := self._awaited) is not None:
            awaited.cancel()
