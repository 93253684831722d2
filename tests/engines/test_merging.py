import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import pytest

from headrace.engines.merging import AHEAD, merged
from headrace.errors import Overloaded


@pytest.fixture(autouse=True)
async def bounded() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        yield


async def of(*items: str) -> AsyncGenerator[str, None]:
    for item in items:
        yield item
        await asyncio.sleep(0)


async def gather(sources: Sequence[AsyncGenerator[str, None]]) -> list[tuple[int, str]]:
    return [item async for item in merged(sources)]


class Endless:
    """Sources without end, and how many of them are open."""

    def __init__(self) -> None:
        self.open = 0
        self.made = 0
        self.fails = asyncio.Event()

    async def source(self) -> AsyncGenerator[str, None]:
        self.open += 1
        try:
            while True:
                if self.fails.is_set():
                    raise Overloaded("too much")
                self.made += 1
                yield "x"
        finally:
            self.open -= 1


async def test_each_item_has_the_number_of_its_source() -> None:
    items = await gather([of("a", "b"), of(), of("c")])
    assert sorted(items) == [(0, "a"), (0, "b"), (2, "c")]
    assert [item for number, item in items if number == 0] == ["a", "b"]


async def test_nothing_at_all_ends_at_once() -> None:
    assert await gather([]) == []


async def test_they_are_made_beside_each_other_and_told_as_they_come() -> None:
    turns = [asyncio.Event(), asyncio.Event()]

    async def in_turns(number: int) -> AsyncGenerator[str, None]:
        yield "first"
        turns[number].set()
        await turns[1 - number].wait()  # for the other one to have begun
        yield "second"

    assert [item for _, item in await gather([in_turns(0), in_turns(1)])] == ["first", "first", "second", "second"]


async def test_closing_it_closes_them_all() -> None:
    endless = Endless()
    items = merged([endless.source() for _ in range(3)])
    await anext(items)
    assert endless.open == 3
    await items.aclose()
    assert endless.open == 0


async def test_cancelling_the_reader_closes_them_all() -> None:
    endless = Endless()

    async def read() -> None:
        async with contextlib.aclosing(merged([endless.source() for _ in range(3)])) as items:
            await anext(items)
            await asyncio.Event().wait()

    task = asyncio.create_task(read())
    while endless.open < 3:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert (task.cancelled(), endless.open) == (True, 0)


async def test_a_failure_of_one_closes_the_others_and_is_raised() -> None:
    endless = Endless()
    items = merged([endless.source() for _ in range(3)])
    await anext(items)
    endless.fails.set()
    with pytest.raises(Overloaded, match="too much"):
        _ = [item async for item in items]
    assert endless.open == 0


async def test_one_that_cancels_itself_does_not_leave_the_reader_waiting() -> None:
    async def gives_up() -> AsyncGenerator[str, None]:
        raise asyncio.CancelledError
        yield

    with pytest.raises(asyncio.CancelledError):
        await gather([of("a"), gives_up()])


async def test_items_that_nobody_reads_wait() -> None:
    endless = Endless()
    items = merged([endless.source() for _ in range(2)])
    await anext(items)
    for _ in range(10 * AHEAD):
        await asyncio.sleep(0)
    assert endless.made <= AHEAD + 4
    await items.aclose()
