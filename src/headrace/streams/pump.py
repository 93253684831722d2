"""Drives the user's code and puts what it makes into an outlet.

Three kinds of code, one contract: the driver makes the generator inside its `try`, closes it in its `finally`, and
raises what the user's code raised. A generator that never waits is made to: every `TURN_ITEMS` items or
`TURN_SECONDS`, whichever comes first, the loop gets its turn, so that one stream cannot starve the others and can
always be stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeAlias

from headrace.streams.outlet import HIGH_WATER, Outlet
from headrace.streams.recorder import Recorder
from headrace.streams.threads import Threads

TURN_ITEMS = 64
TURN_SECONDS = 0.010

Drive: TypeAlias = Callable[[Recorder, Outlet], Awaitable[None]]
"""Runs the user's code to its end, into the outlet. Raises what it raised; has closed it in every case."""


def drive_async(make: Callable[[], AsyncIterator[Any]]) -> Drive:
    """An async generator, on the event loop."""

    async def drive(recorder: Recorder, outlet: Outlet) -> None:
        record, put, clock = recorder.record, outlet.put, time.monotonic
        source = make()
        try:
            count, since = 0, clock()
            async for value in source:
                waiting = put(record(value))
                count += 1
                if waiting is not None:
                    await waiting
                    count, since = 0, clock()
                elif count >= TURN_ITEMS or clock() - since >= TURN_SECONDS:
                    await outlet.flush()
                    await asyncio.sleep(0)
                    count, since = 0, clock()
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    return drive


def drive_sync(make: Callable[[], Iterable[Any]], threads: Threads) -> Drive:
    """A sync generator, on a worker thread; its values are encoded there too."""

    async def drive(recorder: Recorder, outlet: Outlet) -> None:
        def records() -> Iterable[bytes]:
            source = make()
            try:
                for value in source:
                    yield recorder.record(value)
            finally:
                close = getattr(source, "close", None)
                if close is not None:
                    close()

        bursts = threads.bursts(records, weigh=len, ahead=HIGH_WATER)
        try:
            async for burst in bursts:
                waiting = outlet.put_all(burst)
                if waiting is not None:
                    await waiting
        finally:
            await bursts.aclose()

    return drive


def drive_call(call: Callable[[], Awaitable[Any]]) -> Drive:
    """One async call, whose result is the only item."""

    async def drive(recorder: Recorder, outlet: Outlet) -> None:
        waiting = outlet.put(recorder.record(await call()))
        if waiting is not None:
            await waiting

    return drive
