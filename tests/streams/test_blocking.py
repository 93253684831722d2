"""An async iterator, read by a thread."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from headrace.errors import Cancelled
from headrace.streams.blocking import Blocking

WITHIN = 5.0


class Source:
    """An async iterator that gives what the test puts."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.left = asyncio.Event()
        self._values: asyncio.Queue[Any] = asyncio.Queue()

    def put(self, *values: Any) -> "Source":
        for value in values:
            self._values.put_nowait(value)
        return self

    async def read(self) -> AsyncIterator[Any]:
        try:
            while True:
                self.waits.set()
                value = await self._values.get()
                if value is StopIteration:
                    return
                if isinstance(value, Exception):
                    raise value
                yield value
        finally:
            self.left.set()


def blocking(source: Source) -> Blocking[Any]:
    return Blocking(source.read(), asyncio.get_running_loop())


async def on_a_thread(function: Any, *args: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(function, *args), WITHIN)


async def test_the_values_come_in_order_to_the_end() -> None:
    values = blocking(Source().put(1, None, [], StopIteration))
    assert await on_a_thread(list, values) == [1, None, []]


async def test_the_end_is_the_end() -> None:
    values = blocking(Source().put(StopIteration))
    assert await on_a_thread(list, values) == []
    assert await on_a_thread(list, values) == []


async def test_a_failure_is_raised_in_the_thread_after_what_came_before() -> None:
    values = blocking(Source().put(1, ValueError("broken")))
    assert await on_a_thread(next, values) == 1
    with pytest.raises(ValueError, match="broken"):
        await on_a_thread(next, values)


async def test_the_loop_goes_on_while_the_thread_waits() -> None:
    source = Source()
    waiting = asyncio.ensure_future(on_a_thread(next, blocking(source)))
    await asyncio.wait_for(source.waits.wait(), WITHIN)
    assert not waiting.done()
    source.put("late")
    assert await waiting == "late"


async def test_a_thread_that_waits_is_woken_when_it_is_stopped() -> None:
    source = Source()
    values = blocking(source)
    waiting = asyncio.ensure_future(on_a_thread(next, values))
    await asyncio.wait_for(source.waits.wait(), WITHIN)
    values.stop()
    with pytest.raises(Cancelled):
        await waiting
    await asyncio.wait_for(source.left.wait(), WITHIN)


async def test_after_stopping_nothing_more_comes() -> None:
    values = blocking(Source().put(1, 2))
    assert await on_a_thread(next, values) == 1
    values.stop()
    with pytest.raises(Cancelled):
        await on_a_thread(next, values)


def test_a_closed_loop_is_an_error_and_no_wait() -> None:
    loop = asyncio.new_event_loop()

    async def read() -> AsyncIterator[int]:
        yield 1

    values = Blocking(read(), loop)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(values)
