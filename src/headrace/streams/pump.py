"""Drives the user's code and puts what it makes into an outlet.

Three kinds of code, one contract: the driver makes the generator, closes it however it is left, raises what the
user's code raised, and completes the recorder where it raised nothing. A generator that never waits is made to: every
`TURN_ITEMS` items or `TURN_SECONDS`, whichever comes first, the loop gets its turn, so that one stream cannot starve
the others and can always be stopped.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, TypeAlias

from headrace.errors import StreamError
from headrace.streams.closing import AsyncClosing, Closing
from headrace.streams.outlet import THROUGH, Outlet
from headrace.streams.recorder import Recorder
from headrace.streams.threads import Threads
from headrace.streams.yields import refused

TURN_ITEMS = 64
TURN_SECONDS = 0.010

Take: TypeAlias = Callable[[Any], Awaitable[None] | None]


class Pourable(ABC):
    """An async iterator that can give its items away in place, so that no task is woken for each of them."""

    @abstractmethod
    async def pour(self, take: Take) -> None:
        """Gives every item to `take`, awaits what that returns, if anything, before the next; returns after the last.

        Raises what `take` raised, and whatever ends the items but their end.
        """


Drive: TypeAlias = Callable[[Recorder, Outlet], Awaitable[None]]
"""Runs the user's code to its end, into the outlet. Raises what it raised; has closed it in every case."""


def drive_async(make: Callable[[], AsyncIterator[Any]]) -> Drive:
    """An async generator, on the event loop."""

    async def drive(recorder: Recorder, outlet: Outlet) -> None:
        record, put, clock = recorder.record, outlet.put, time.monotonic
        source = _started(make())
        async with AsyncClosing(source):
            if isinstance(source, Pourable):
                await source.pour(_taking(recorder, outlet, source))
                _complete(recorder, source)
                return
            count, since = 0, clock()
            async for value in source:
                try:
                    made = record(value)
                except StreamError as error:
                    raise refused(error, source) from error
                waiting = put(made)
                count += 1
                if waiting is not None:
                    if waiting is not THROUGH:
                        await waiting
                    count, since = 0, clock()
                elif count >= TURN_ITEMS or clock() - since >= TURN_SECONDS:
                    await outlet.flush()
                    await asyncio.sleep(0)
                    count, since = 0, clock()
            _complete(recorder, source)

    return drive


def drive_sync(
    make: Callable[[], Iterable[Any]], threads: Threads, on_stop: Callable[[], object] | None = None
) -> Drive:
    """A sync generator, on a worker thread; its values are encoded there too. `on_stop` as for `Threads.bursts`."""

    async def drive(recorder: Recorder, outlet: Outlet) -> None:
        def records() -> Iterator[Any]:
            source = iter(make())
            with Closing(source):
                for value in source:
                    try:
                        made = recorder.record(value)
                    except StreamError as error:
                        raise refused(error, source) from error
                    yield made
                _complete(recorder, source)

        bursts = threads.bursts(records, weigh=outlet.weigh, ahead=outlet.ahead, on_stop=on_stop)
        put = 0
        try:
            async with AsyncClosing(bursts):
                async for burst in bursts:
                    put += len(burst)
                    waiting = outlet.put_all(burst)
                    if waiting is not None:
                        await waiting
        finally:
            recorder.forget(put)

    return drive


def drive_call(call: Callable[[], Awaitable[Any]]) -> Drive:
    """One async call, whose result is the only item."""

    async def drive(recorder: Recorder, outlet: Outlet) -> None:
        answer = await call()
        try:
            made = recorder.record(answer)
        except StreamError as error:
            raise refused(error, None) from error
        waiting = outlet.put(made)
        if waiting is not None:
            await waiting

    return drive


def _started(made: Any) -> AsyncIterator[Any]:
    try:
        return aiter(made)
    except TypeError as error:  # a method that returns a stream has returned something else
        what = type(made).__qualname__
        raise TypeError(f"a stream was promised, and {what} returned: return an async iterator") from error


def _taking(recorder: Recorder, outlet: Outlet, source: Any) -> Take:
    record, put = recorder.record, outlet.put

    def take(value: Any) -> Awaitable[None] | None:
        try:
            made = record(value)
        except StreamError as error:
            raise refused(error, source) from error
        waiting = put(made)
        return None if waiting is THROUGH else waiting

    return take


def _complete(recorder: Recorder, source: Any) -> None:
    try:
        recorder.complete()
    except StreamError as error:
        raise refused(error, source) from error
