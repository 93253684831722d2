import asyncio
import logging
import threading
import traceback
from collections.abc import AsyncIterator, Generator
from types import coroutine
from typing import Any

import pytest

from headrace.streams.stacks import LINKS, StillRunning


async def forever() -> None:
    await asyncio.Event().wait()


async def items() -> AsyncIterator[int]:
    await forever()
    yield 1


async def stubborn_items() -> AsyncIterator[int]:
    try:
        yield 1
    finally:
        await forever()


async def stack_of(coro: Any) -> list[str]:
    """The names of the functions in the stack of a task, without those of the library."""
    task = asyncio.ensure_future(coro)
    for _ in range(5):
        await asyncio.sleep(0)
    frames = traceback.extract_tb(StillRunning.task(task).__traceback__)
    task.cancel()
    await asyncio.wait((task,))
    return [frame.name for frame in frames if "asyncio" not in frame.filename]


async def test_a_coroutine_shows_what_it_awaits() -> None:
    async def outer() -> None:
        await forever()

    assert await stack_of(outer()) == ["outer", "forever"]


async def test_an_async_generator_shows_where_it_stands() -> None:
    async def read() -> None:
        async for _ in items():
            pass

    assert await stack_of(read()) == ["read", "items", "forever"]


async def test_a_cleanup_that_hangs_is_shown() -> None:
    async def read() -> None:
        source = stubborn_items()
        await anext(source)
        await source.aclose()  # type: ignore[attr-defined]

    assert await stack_of(read()) == ["read", "stubborn_items", "forever"]


async def test_a_task_shows_the_task_that_it_waits_for() -> None:
    async def outer() -> None:
        await asyncio.ensure_future(forever())

    assert await stack_of(outer()) == ["outer", "forever"]


async def test_a_coroutine_of_the_old_kind_is_a_link_too() -> None:
    @coroutine
    def old() -> Generator[Any, Any, None]:
        yield from forever().__await__()

    async def outer() -> None:
        await old()

    assert await stack_of(outer()) == ["outer", "old", "forever"]


async def test_an_awaitable_of_ones_own_is_looked_through() -> None:
    class Later:
        def __await__(self) -> Generator[Any, Any, None]:
            yield from forever().__await__()

    async def outer() -> None:
        await Later()

    assert await stack_of(outer()) == ["outer", "__await__", "forever"]


async def test_a_chain_is_followed_a_bounded_way() -> None:
    async def deeper(depth: int) -> None:
        await (deeper(depth - 1) if depth else forever())

    assert await stack_of(deeper(2 * LINKS)) == ["deeper"] * LINKS


async def test_a_task_that_is_done_has_no_stack() -> None:
    task = asyncio.ensure_future(asyncio.sleep(0))
    await task
    assert StillRunning.task(task).__traceback__ is None


def test_a_thread_shows_where_it_is() -> None:
    inside, release = threading.Event(), threading.Event()

    def stuck() -> None:
        inside.set()
        release.wait(10)

    thread = threading.Thread(target=stuck)
    thread.start()
    inside.wait(10)
    names = [frame.name for frame in traceback.extract_tb(StillRunning.thread(thread.ident).__traceback__)]
    release.set()
    thread.join()
    assert names[names.index("run") :][:2] == ["run", "stuck"]


def test_a_thread_that_is_gone_has_no_stack() -> None:
    assert StillRunning.thread(None).__traceback__ is None


async def test_the_stack_is_logged_like_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    task = asyncio.ensure_future(forever())
    await asyncio.sleep(0)
    logging.getLogger("headrace").error("left behind", exc_info=StillRunning.task(task))
    task.cancel()
    assert "left behind\nTraceback (most recent call last):\n  File " in caplog.text
    assert "in forever\n    await asyncio.Event().wait()\n" in caplog.text
    assert caplog.text.endswith("StillRunning: it stands here\n")
