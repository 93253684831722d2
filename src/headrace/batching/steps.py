"""Runs a batched function and gives what it makes, step by step: four kinds of function, one contract.

A step is what the function returned, or what it yielded once. Sync code runs on a thread of its own, and its steps come
in lists: all that were ready when the event loop came to look. Whoever reads the steps closes them; that closes the
function's generator, and returns when its code does not run any more, because its place is not free before.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from headrace.streams.closing import AsyncClosing, Closing
from headrace.streams.threads import Threads

Steps: TypeAlias = Callable[[Callable[[], Any]], AsyncGenerator[list[Any], None]]
"""Calls the function, and gives its steps."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What kind of function it is: whether it streams, and how its steps are had."""

    streams: bool
    steps: Steps


def kind_of(function: Callable[..., Any]) -> Kind:
    """Reads the kind of a function. A decorator that only passes on what it got decides nothing."""
    inner: Any = function
    while inner is not None:
        if inspect.isasyncgenfunction(inner):
            return Kind(True, _yielded)
        if inspect.isgeneratorfunction(inner):
            return Kind(True, _yielded_on_a_thread)
        if inspect.iscoroutinefunction(inner):
            return Kind(False, _returned)
        inner = getattr(inner, "__wrapped__", None)
    return Kind(False, _returned_on_a_thread)


async def _returned(call: Callable[[], Any]) -> AsyncGenerator[list[Any], None]:
    yield [await call()]


async def _yielded(call: Callable[[], Any]) -> AsyncGenerator[list[Any], None]:
    source = aiter(call())
    async with AsyncClosing(source):
        async for step in source:
            yield [step]
            await asyncio.sleep(0)  # its readers get their turn, also where it never waits


def _returned_on_a_thread(call: Callable[[], Any]) -> AsyncGenerator[list[Any], None]:
    return _on_a_thread(lambda: (call() for _ in range(1)))


def _yielded_on_a_thread(call: Callable[[], Any]) -> AsyncGenerator[list[Any], None]:
    return _on_a_thread(call)


async def _on_a_thread(make: Callable[[], Iterable[Any]]) -> AsyncGenerator[list[Any], None]:
    loop = asyncio.get_running_loop()
    away = asyncio.Event()
    away.set()

    def watched() -> Iterator[Any]:
        away.clear()
        try:
            source = iter(make())
            with Closing(source):
                yield from source
        finally:
            loop.call_soon_threadsafe(away.set)

    bursts = Threads(1).bursts(watched)
    try:
        async with AsyncClosing(bursts):
            async for burst in bursts:
                yield burst
    finally:
        await away.wait()  # a model that is not done with this batch must not get the next one
