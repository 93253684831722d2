"""What a caller of a batched function that streams holds: the items of its own member, and nothing of the others.

A caller that goes away frees its place, however it goes: it closes the reader, its task is cancelled while it waits, or
it just forgets the reader.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

from headrace.batching.mailbox import AHEAD, Mailbox
from headrace.batching.pouring import Pouring
from headrace.streams.pump import Pourable

I = TypeVar("I")  # noqa: E741
T = TypeVar("T")


class Reader(Pourable, Generic[I]):
    """The items of one call: `async for item in model.decode(prompt)`.

    The call waits for its place from the moment it is made, read or not. Its failure is raised after the items that
    came before it, once.
    """

    def __init__(self, mailbox: Mailbox[I]) -> None:
        self._mailbox = mailbox
        self._turn = 0  # items that are there and may be taken without asking for more
        self._streak = 0  # items since the event loop last had its turn

    def __aiter__(self) -> Reader[I]:
        """Itself: a call is read once."""
        return self

    async def __anext__(self) -> I:
        """The next item. Cancelling it ends the call.

        Raises:
            RuntimeError: another task reads this call already.
        """
        mailbox = self._mailbox
        if not self._turn:
            self._turn = await self._refill()
        self._turn -= 1
        item = mailbox.items.popleft()
        if mailbox.watched:
            mailbox.note()
        return item

    async def burst(self) -> list[I]:
        """All items that are there, waiting for the first; the empty list after the last. Otherwise as `__anext__`."""
        try:
            burst = [await anext(self)]
        except StopAsyncIteration:
            return []
        burst += [await anext(self) for _ in range(self._turn)]
        return burst

    async def pour(self, take: Callable[[I], Awaitable[None] | None]) -> None:
        """Gives every item to `take`, in place, and returns after the last. Otherwise as `__anext__`.

        Args:
            take: called on the event loop as soon as there is an item, also while others run; what it returns, if
                anything, is awaited before it gets the next one.

        Raises:
            Exception: what `take` raised, and the failure of the call.
        """
        await Pouring(self._mailbox, take).run()
        with contextlib.suppress(StopAsyncIteration):
            await self._refill()

    async def aclose(self) -> None:
        """Ends the call; what was not read is dropped."""
        self._turn = 0
        self._mailbox.leave()
        self._mailbox.wake()

    async def _refill(self) -> int:
        """Waits for items, and returns how many there are."""
        mailbox = self._mailbox
        try:
            if self._streak >= AHEAD:  # a function that is always ahead must not starve the loop
                self._streak = 0
                await asyncio.sleep(0)
            while not mailbox.left:
                if mailbox.items:
                    self._streak += len(mailbox.items)
                    return len(mailbox.items)
                if mailbox.ended:
                    break
                self._streak = 0
                await mailbox.news()
        except asyncio.CancelledError:
            mailbox.leave()
            raise
        error, mailbox.error = mailbox.error, None
        if error is None or mailbox.left:
            raise StopAsyncIteration
        try:
            raise error.with_traceback(None)
        finally:
            del error  # its traceback knows this frame: they would keep each other alive

    def __del__(self) -> None:
        self._mailbox.leave()


class BlockingReader(Generic[I]):
    """The items of one call, for sync code on a worker thread: `for item in model.decode(prompt)`."""

    def __init__(self, reader: Reader[I], loop: asyncio.AbstractEventLoop) -> None:
        self._reader = reader
        self._loop = loop
        self._ready: list[I] = []  # the next one is the last of the list

    def __iter__(self) -> BlockingReader[I]:
        """Itself: a call is read once."""
        return self

    def __next__(self) -> I:
        """The next item; blocks the thread."""
        if not self._ready:
            self._ready = wait_for(self._reader.burst(), self._loop)
            self._ready.reverse()
        if not self._ready:
            raise StopIteration
        return self._ready.pop()

    def close(self) -> None:
        """Ends the call; what was not read is dropped."""
        self._ready = []
        wait_for(self._reader.aclose(), self._loop)


def wait_for(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """What a coroutine gives on the event loop, for code on another thread; RuntimeError when the loop is closed."""
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
    except RuntimeError:
        coroutine.close()  # which may never have begun
        raise
