"""A sync generator on a worker thread, read from the event loop in bursts.

The thread runs ahead of the reader by a bounded amount. The loop is woken once per burst and not once per value:
while it has not yet taken what is there, more may gather. The generator is made, advanced and closed on its one
thread, in a copy of the caller's context.

Threads are daemons, one per running generator: a thread that never returns from the user's code can then neither hold
up the end of the process nor the streams that come after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, Generic, TypeVar

from headrace.errors import Overloaded
from headrace.streams.closing import Closing
from headrace.streams.stacks import StillRunning

T = TypeVar("T")

AHEAD = 256
"""How much weight a thread may make before its reader takes it; values weigh 1 unless the caller says otherwise."""

PATIENCE = 30.0
"""Seconds that a generator waits for a thread."""

CLOSING_GRACE = 1.0
"""Seconds that leaving a generator waits for its thread; after that the thread is counted as stuck."""

LOOP_CHECK = 0.5
"""Seconds after which a thread that waits for its reader looks whether the event loop is still there."""

logger = logging.getLogger("headrace.streams")


class Threads:
    """Worker threads for sync code, at most `limit` at a time; further work waits its turn.

    Belongs to one event loop. `stuck` counts the threads that did not come back from the user's code when they were
    told to stop; each of them is made up for by a new one, and leaves the count when it comes back. While more
    than `limit` are stuck, new work is refused instead of starting ever more threads.
    """

    def __init__(self, limit: int = 128) -> None:
        self._limit = limit
        self._places = asyncio.Semaphore(limit)
        self.stuck = 0

    async def bursts(
        self,
        make: Callable[[], Iterable[T]],
        *,
        weigh: Callable[[T], int] | None = None,
        ahead: int = AHEAD,
        on_stop: Callable[[], object] | None = None,
    ) -> AsyncGenerator[list[T], None]:
        """What `make()` yields, in lists of one or more values: all that was ready when the loop came to look.

        Closing this generator closes the inner one on its own thread, after its current `next()` has returned.

        Args:
            make: called on the worker thread; usually a generator function with its arguments bound.
            weigh: the weight of a value, counted against `ahead`, 1 at least; None counts values.
            ahead: the thread pauses while what it has made and nobody took weighs this much or more.
            on_stop: called before the thread is waited for; wakes it where it waits for something of the loop's.

        Raises:
            Overloaded: no thread became free in time, or more of them are stuck than may run.
        """
        await self._place()
        if self.stuck > self._limit:
            self._places.release()
            raise Overloaded(f"{self.stuck} worker threads are stuck in code that does not return; no more are started")
        burst = _Burst[T](asyncio.get_running_loop(), weigh, ahead)
        run = contextvars.copy_context().run
        thread = threading.Thread(target=run, args=(burst.fill, make), name="headrace-sync", daemon=True)
        del run  # a traceback knows this frame, and the context knows the stream that keeps the failure
        try:
            thread.start()
            burst.thread = thread.ident
        except BaseException:
            self._places.release()
            raise
        try:
            while values := await burst.take():
                yield values
                await asyncio.sleep(0)  # a thread that is always ahead must not starve the loop
        finally:
            burst.stop()
            if on_stop is not None:
                on_stop()
            cancelled = await self._outlast(burst)
            if burst.closed.done() and burst.error is not None:  # raised by the generator, or by its cleanup
                try:
                    raise burst.error
                finally:
                    burst.error = None  # its traceback knows this frame: they would keep each other alive
            if cancelled:
                raise asyncio.CancelledError

    async def call(self, function: Callable[[], T], on_stop: Callable[[], object] | None = None) -> T:
        """One sync call on a worker thread. A caller that leaves does not stop the function; its result is dropped.

        `on_stop` as for `bursts`.
        """

        def once() -> Iterable[T]:
            yield function()

        async with contextlib.aclosing(self.bursts(once, on_stop=on_stop)) as bursts:
            (value,) = await anext(bursts)
            return value

    async def _place(self) -> None:
        """Waits for a thread. It may be held by code that waits for this one, so the wait has a bound."""
        if not self._places.locked():
            await self._places.acquire()
            return  # without a timer, which keeps its context even after it was cancelled
        try:
            async with asyncio.timeout(PATIENCE):
                await self._places.acquire()
        except TimeoutError:
            raise Overloaded(f"none of {self._limit} worker threads became free within {PATIENCE:g} s") from None

    async def _outlast(self, burst: _Burst[Any]) -> bool:
        """Waits for the thread and gives its place back. Cancelling does not shorten that; returns whether it came."""
        loop = asyncio.get_running_loop()
        until = loop.time() + CLOSING_GRACE
        cancelled = False
        try:
            while not burst.closed.done() and (left := until - loop.time()) > 0:
                try:
                    await asyncio.wait((burst.closed,), timeout=left)
                except asyncio.CancelledError:
                    cancelled = True
        finally:
            self._places.release()
        if not burst.closed.done():
            self._count_stuck(burst)
        return cancelled

    def _count_stuck(self, burst: _Burst[Any]) -> None:
        self.stuck += 1
        logger.warning(
            "a sync generator did not return within %g s of being stopped; its thread goes on",
            CLOSING_GRACE,
            exc_info=StillRunning.thread(burst.thread),
        )

        def returned(_: object) -> None:
            self.stuck -= 1
            if burst.error is not None:
                logger.error("a sync generator raised long after it was stopped", exc_info=burst.error)

        burst.closed.add_done_callback(returned)


class _Burst(Generic[T]):
    """The hand-over between one worker thread and the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, weigh: Callable[[T], int] | None, ahead: int) -> None:
        self.closed: asyncio.Future[None] = loop.create_future()  # the thread is through with the generator
        self.error: BaseException | None = None
        self.thread: int | None = None  # its identity
        self._loop = loop
        self._weigh = weigh
        self._ahead = ahead
        self._ready = asyncio.Event()
        self._room = threading.Condition()  # guards everything below
        self._values: list[T] = []
        self._weight = 0
        self._stopped = False
        self._done = False

    # -- on the worker thread

    def fill(self, make: Callable[[], Iterable[T]]) -> None:
        """Runs the generator to its end, or until the reader stops it."""
        try:
            source = iter(make())
            with Closing(source):
                for value in source:
                    if not self._put(value):
                        break
                    del value  # while the generator makes the next one, this one may be large
        except BaseException as error:  # whatever the user's code raises belongs to the reader
            self.error = error
        with self._room:
            self._done = True
        self._tell(self._finish)

    def _put(self, value: T) -> bool:
        weight = 1 if self._weigh is None else self._weigh(value) or 1  # no number of empty ones would be too many
        with self._room:
            while self._weight >= self._ahead and not self._stopped:
                if not self._room.wait(LOOP_CHECK) and self._loop.is_closed():
                    return False  # a reader that was never closed, on a loop that is gone
            if self._stopped:
                return False
            self._values.append(value)
            self._weight += weight
            first = len(self._values) == 1
        return self._tell(self._ready.set) if first else True

    def _tell(self, callback: Callable[[], object]) -> bool:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed: nobody is left to tell
            return False
        return True

    # -- on the event loop

    async def take(self) -> list[T]:
        """All values that are ready, waiting for the first; the empty list after the last."""
        while True:
            self._ready.clear()
            with self._room:
                values, self._values, self._weight = self._values, [], 0
                done = self._done
                self._room.notify()
            if values or done:
                return values
            await self._ready.wait()

    def stop(self) -> None:
        """Tells the thread to close the generator once its current `next()` returns."""
        with self._room:
            self._stopped = True
            self._room.notify()

    def _finish(self) -> None:
        self.closed.set_result(None)
        self._ready.set()
