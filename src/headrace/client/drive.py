"""Carries out the steps of the protocol on an event loop, whatever the operations go to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from headrace.client.steps import Operation, OutOfTime, Steps, T

R = TypeVar("R")


async def drive(steps: Steps[T], perform: Callable[[Operation], Awaitable[Any]]) -> T:
    """Runs to the end of the steps. `perform` carries out one operation; what it raises is raised into the steps."""
    result: Any = None
    error: Exception | None = None
    try:
        while True:
            operation = steps.send(result) if error is None else steps.throw(error)
            result = error = None
            try:
                result = await perform(operation)
            except Exception as raised:
                error = raised
    except StopIteration as stop:
        value: T = stop.value
        return value
    except BaseException:
        steps.close()  # here, and not whenever it is collected: it looks at the loop's clock
        raise


async def limited(within: float | None, awaited: Awaitable[R]) -> R:
    """What comes of it within so many seconds; raises OutOfTime, which is told from a TimeoutError of its own."""
    alarm = asyncio.timeout(within)
    try:
        async with alarm:
            return await awaited
    except TimeoutError as error:
        raise (OutOfTime() if alarm.expired() else error) from None
