import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.streams.channel import AHEAD, Channel
from headrace.wire.events import End

END = End(items=0)


async def taken(channel: Channel) -> list[Any]:
    """What a reader gets that waits for it."""
    async with asyncio.timeout(10):
        while not (records := channel.take()):
            await channel.news()
    return records


async def waits(waiting: Awaitable[None] | None) -> "asyncio.Task[None] | None":
    """A task that waits as a generator does, and has begun to."""

    async def wait() -> None:
        if waiting is not None:
            await waiting

    task = asyncio.get_running_loop().create_task(wait())
    await asyncio.sleep(0)
    return task


async def test_records_are_taken_as_they_are_and_in_their_order() -> None:
    channel = Channel()
    value = object()
    assert channel.put(value) is None
    assert channel.put_all(["b", "c"]) is None
    assert channel.take() == [value, "b", "c"]
    assert channel.take() == []


async def test_the_reader_waits_for_the_first_record() -> None:
    channel = Channel()
    reader = asyncio.get_running_loop().create_task(taken(channel))
    await asyncio.sleep(0)
    assert not reader.done()
    channel.put("a")
    assert await reader == ["a"]


async def test_several_records_at_once_wake_the_reader() -> None:
    channel = Channel()
    reader = asyncio.get_running_loop().create_task(taken(channel))
    await asyncio.sleep(0)
    channel.put_all(["a", "b"])
    assert await reader == ["a", "b"]


async def test_all_that_is_made_before_the_reader_wakes_is_taken_together() -> None:
    channel = Channel()
    reader = asyncio.get_running_loop().create_task(taken(channel))
    await asyncio.sleep(0)
    channel.put("a")
    channel.put("b")
    assert await reader == ["a", "b"]


async def test_the_generator_waits_when_it_is_ahead_and_not_before() -> None:
    channel = Channel()
    assert AHEAD == 64
    assert [channel.put(number) for number in range(63)] == [None] * 63
    assert not channel.paused
    generator = await waits(channel.put(63))
    assert generator is not None
    assert (channel.paused, generator.done()) == (True, False)
    assert channel.take() == list(range(64))
    assert not channel.paused
    await generator


async def test_a_burst_from_a_thread_waits_when_it_is_ahead() -> None:
    channel = Channel()
    assert channel.put_all(list(range(63))) is None
    generator = await waits(channel.put_all([63, 64]))
    assert generator is not None
    assert channel.paused
    assert len(channel.take()) == 65
    await generator


async def test_the_ending_needs_no_room() -> None:
    channel = Channel()
    channel.put_all(list(range(64)))
    await channel.finish(END)
    assert channel.take()[-1] is END


async def test_the_ending_wakes_the_reader() -> None:
    channel = Channel()
    reader = asyncio.get_running_loop().create_task(taken(channel))
    await asyncio.sleep(0)
    await channel.finish(END)
    assert await reader == [END]


async def test_a_reader_that_is_cancelled_while_it_waits_loses_nothing() -> None:
    channel = Channel()
    reader = asyncio.get_running_loop().create_task(taken(channel))
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait([reader])
    channel.put("a")
    assert await taken(channel) == ["a"]


async def test_another_task_may_read_after_one_that_was_cancelled() -> None:
    channel = Channel()
    first = asyncio.get_running_loop().create_task(taken(channel))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.get_running_loop().create_task(taken(channel))
    await asyncio.sleep(0)
    channel.put("a")
    assert await second == ["a"]


async def test_a_reader_that_is_cancelled_between_the_record_and_its_taking_loses_nothing() -> None:
    channel = Channel()
    reader = asyncio.get_running_loop().create_task(taken(channel))
    await asyncio.sleep(0)
    channel.put("a")
    reader.cancel()
    await asyncio.wait([reader])
    assert reader.cancelled()
    assert channel.take() == ["a"]


async def test_the_ending_finds_a_reader_that_was_cancelled() -> None:
    channel = Channel()
    reader = asyncio.get_running_loop().create_task(taken(channel))
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait([reader])
    await channel.finish(END)
    assert channel.take() == [END]


async def test_a_generator_that_is_cancelled_while_it_waits_is_not_paused() -> None:
    channel = Channel()
    generator = await waits(channel.put_all(list(range(64))))
    assert generator is not None
    generator.cancel()
    await asyncio.wait([generator])
    assert not channel.paused
    assert len(channel.take()) == 64


async def test_two_tasks_cannot_read_at_once() -> None:
    channel = Channel()
    reader = asyncio.get_running_loop().create_task(taken(channel))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task is reading this call already"):
        channel.news()
    channel.put("a")
    assert await reader == ["a"]


async def test_nothing_is_ever_on_its_way() -> None:
    channel = Channel()
    channel.put("a")
    await channel.flush()
    channel.beat("~")
    channel.drop()
    assert (channel.buffered, channel.writing, channel.torn, channel.largest_gap) == (0, False, False, None)
    assert channel.take() == ["a"]
    with pytest.raises(AssertionError):
        channel.written()


def test_every_record_weighs_the_same() -> None:
    assert [Channel().weigh(record) for record in ("", "long" * 1000, None)] == [1, 1, 1]


@given(
    bursts=st.lists(st.tuples(st.integers(1, 70), st.integers(0, 2)), max_size=12),
    naps=st.lists(st.integers(0, 3), min_size=1, max_size=6),
)
def test_no_order_of_making_and_taking_loses_or_reorders(bursts: list[tuple[int, int]], naps: list[int]) -> None:
    """Bursts of so many records with so many turns after each; the reader rests so many turns after each taking."""
    total = sum(count for count, _ in bursts)

    async def main() -> list[Any]:
        channel = Channel()
        got: list[Any] = []

        async def make() -> None:
            made = 0
            for count, turns in bursts:
                records = list(range(made, made + count))
                made += count
                waiting = channel.put(records[0]) if count == 1 else channel.put_all(records)
                if waiting is not None:
                    await waiting
                for _ in range(turns):
                    await asyncio.sleep(0)
            await channel.finish(END)

        maker = asyncio.get_running_loop().create_task(make())
        rounds = 0
        while not got or got[-1] is not END:
            got += await taken(channel)
            rounds += 1
            for _ in range(naps[rounds % len(naps)]):
                await asyncio.sleep(0)
        await maker
        return got

    assert asyncio.run(main()) == [*range(total), END]
