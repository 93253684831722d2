import asyncio
import threading
from collections.abc import AsyncIterator, Generator
from types import coroutine
from typing import Any

from headrace.streams.stacks import LINKS, stack_of_task, stack_of_thread


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
    text = stack_of_task(task)
    task.cancel()
    await asyncio.wait((task,))
    return [
        line.rpartition(" in ")[2] for line in text.splitlines() if line.startswith("  File") and "asyncio" not in line
    ]


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

    assert await stack_of(deeper(2 * LINKS)) == ["deeper"] * 3  # and a line that says how many more


async def test_a_task_that_is_done_has_no_stack() -> None:
    task = asyncio.ensure_future(asyncio.sleep(0))
    await task
    assert stack_of_task(task) == ""


def test_a_thread_shows_where_it_is() -> None:
    inside, release = threading.Event(), threading.Event()

    def stuck() -> None:
        inside.set()
        release.wait(10)

    thread = threading.Thread(target=stuck)
    thread.start()
    inside.wait(10)
    text = stack_of_thread(thread.ident)
    release.set()
    thread.join()
    assert "in stuck\n" in text
    assert text.index("in run\n") < text.index("in stuck\n")


def test_a_thread_that_is_gone_has_no_stack() -> None:
    assert stack_of_thread(None) == ""
