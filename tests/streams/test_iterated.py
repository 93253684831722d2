import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from headrace.streams.closing import AsyncClosing
from headrace.streams.iterated import iterated


async def test_an_async_iterable_is_read_as_it_is() -> None:
    async def count() -> AsyncIterator[int]:
        yield 1
        yield 2

    source = count()
    assert iterated(source) is source
    assert [value async for value in source] == [1, 2]


async def test_a_sync_iterable_is_read_in_its_order() -> None:
    assert [value async for value in iterated(range(1000))] == list(range(1000))


async def test_a_sync_iterator_runs_on_a_thread_and_may_wait_for_the_loop() -> None:
    loop = asyncio.get_running_loop()

    async def answer() -> int:
        return 3

    def count() -> Iterator[object]:
        yield threading.current_thread() is threading.main_thread()
        yield asyncio.run_coroutine_threadsafe(answer(), loop).result()

    async with asyncio.timeout(10):
        assert [value async for value in iterated(count())] == [False, 3]


async def test_closing_closes_a_sync_iterator() -> None:
    closed = threading.Event()

    def count() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.set()

    values = iterated(count())
    async with AsyncClosing(values):
        async for _ in values:
            break
    assert closed.is_set()


async def test_what_a_sync_iterator_raises_comes_after_its_values() -> None:
    def count() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    values = iterated(count())
    assert await anext(values) == 1
    with pytest.raises(ValueError, match="no more"):
        await anext(values)


def test_what_cannot_be_iterated_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        iterated(3)  # type: ignore[call-overload]
