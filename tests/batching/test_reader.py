"""A reader takes the items of its mailbox, then its ending; whoever lets go of it has left."""

import asyncio
from typing import Any

import pytest

from headrace.batching.mailbox import Mailbox
from headrace.batching.reader import BlockingReader, Reader, wait_for


@pytest.fixture
def mailbox() -> Mailbox[Any]:
    return Mailbox(lambda: None)


async def test_items_come_before_the_end(mailbox: Mailbox[Any]) -> None:
    mailbox.items += [1, 2]
    mailbox.end(None)
    assert [item async for item in Reader(mailbox)] == [1, 2]


async def test_a_failure_comes_behind_the_items_and_once(mailbox: Mailbox[Any]) -> None:
    mailbox.items += [1]
    mailbox.end(ValueError("broken"))
    reader = Reader(mailbox)
    assert await anext(reader) == 1
    with pytest.raises(ValueError, match="broken"):
        await anext(reader)
    with pytest.raises(StopAsyncIteration):
        await anext(reader)


async def test_it_waits_for_the_first_item(mailbox: Mailbox[Any]) -> None:
    reading = asyncio.create_task(anext(Reader(mailbox)))
    await asyncio.sleep(0)
    mailbox.items.append("late")
    mailbox.wake()
    async with asyncio.timeout(5):
        assert await reading == "late"


async def test_a_burst_is_all_that_is_there(mailbox: Mailbox[Any]) -> None:
    reader = Reader(mailbox)
    mailbox.items += [1, 2, 3]
    assert await reader.burst() == [1, 2, 3]
    mailbox.items += [4]
    mailbox.end(None)
    assert [await reader.burst(), await reader.burst()] == [[4], []]


async def test_a_reader_that_finds_items_again_and_again_lets_the_loop_have_its_turn(mailbox: Mailbox[Any]) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    reader = Reader(mailbox)
    for _ in range(10_000):
        mailbox.items.append("more")
        await anext(reader)
    beside.cancel()
    assert turns == 10_000 // 256


async def test_it_pours_until_the_end(mailbox: Mailbox[Any]) -> None:
    got: list[int] = []
    pouring = asyncio.create_task(Reader(mailbox).pour(got.append))
    await asyncio.sleep(0)
    mailbox.items.append(1)
    mailbox.wake()
    assert got == [1]
    mailbox.items.append(2)
    mailbox.end(None)
    async with asyncio.timeout(5):
        await pouring
    assert got == [1, 2]


async def test_pouring_raises_the_failure_behind_the_items(mailbox: Mailbox[Any]) -> None:
    got: list[int] = []
    mailbox.items.append(1)
    mailbox.end(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        await Reader(mailbox).pour(got.append)
    assert got == [1]


async def test_closing_ends_a_pouring(mailbox: Mailbox[Any]) -> None:
    reader = Reader(mailbox)
    pouring = asyncio.create_task(reader.pour(print))
    await asyncio.sleep(0)
    await reader.aclose()
    async with asyncio.timeout(5):
        await pouring


async def test_closing_leaves_and_ends_the_iteration(mailbox: Mailbox[Any]) -> None:
    reader = Reader(mailbox)
    mailbox.items += [1, 2]
    assert await anext(reader) == 1
    await reader.aclose()
    assert mailbox.left
    with pytest.raises(StopAsyncIteration):
        await anext(reader)


async def test_closing_ends_the_wait_of_another_task(mailbox: Mailbox[Any]) -> None:
    reader = Reader(mailbox)
    reading = asyncio.create_task(reader.burst())
    await asyncio.sleep(0)
    await reader.aclose()
    async with asyncio.timeout(5):
        assert await reading == []


async def test_cancelling_its_wait_leaves(mailbox: Mailbox[Any]) -> None:
    reader = Reader(mailbox)
    reading = asyncio.create_task(reader.burst())
    await asyncio.sleep(0)
    assert not mailbox.left
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert mailbox.left


def test_forgetting_it_leaves(mailbox: Mailbox[Any]) -> None:
    reader: Reader[Any] = Reader(mailbox)
    assert not mailbox.left
    del reader
    assert mailbox.left


async def test_a_thread_reads_it(mailbox: Mailbox[Any]) -> None:
    loop = asyncio.get_running_loop()
    mailbox.items += [1, 2, 3]
    mailbox.end(None)
    async with asyncio.timeout(5):
        assert await asyncio.to_thread(lambda: list(BlockingReader(Reader(mailbox), loop))) == [1, 2, 3]


async def test_a_thread_closes_it(mailbox: Mailbox[Any]) -> None:
    reader: BlockingReader[Any] = BlockingReader(Reader(mailbox), asyncio.get_running_loop())
    mailbox.items += [1, 2, 3]

    def first_and_close() -> list[Any]:
        first = next(reader)
        reader.close()
        return [first, *reader]

    async with asyncio.timeout(5):
        assert await asyncio.to_thread(first_and_close) == [1]
    assert mailbox.left


def test_a_thread_is_told_that_the_loop_is_closed(mailbox: Mailbox[Any]) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        wait_for(Reader(mailbox).burst(), loop)
