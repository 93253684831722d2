import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import pytest

from headrace.engines.choices import choices
from headrace.engines.events import EngineEvent, Finish, TextDelta, ToolCallDelta, Usage
from headrace.engines.generation import Generation, Sampling
from headrace.engines.merging import AHEAD
from headrace.errors import Overloaded

One = Callable[[Generation], AsyncGenerator[EngineEvent, None]]


@pytest.fixture(autouse=True)
async def bounded() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        yield


async def one(generation: Generation) -> AsyncGenerator[EngineEvent, None]:
    """Says its seed."""
    assert generation.n == 1
    yield TextDelta(f"{generation.sampling.seed}")
    yield ToolCallDelta(0, "{}", "call_a", "look")
    yield Finish("tool_calls")
    yield Usage(prompt_tokens=7, completion_tokens=3, cached_tokens=5, reasoning_tokens=2)


async def gather(generation: Generation, one: One) -> list[EngineEvent]:
    return [event async for event in choices(generation, one)]


def of(events: list[EngineEvent], index: int) -> list[EngineEvent]:
    return [event for event in events if not isinstance(event, Usage) and event.index == index]


async def test_one_answer_is_passed_on_as_it_is() -> None:
    events = await gather(Generation(prompt="a", sampling=Sampling(seed=3)), one)
    assert events == [
        TextDelta("3"),
        ToolCallDelta(0, "{}", "call_a", "look"),
        Finish("tool_calls"),
        Usage(7, 3, 5, 2),
    ]


async def test_each_of_several_has_its_index_and_its_seed() -> None:
    events = await gather(Generation(prompt="a", n=3, sampling=Sampling(seed=3)), one)
    for index in range(3):
        assert of(events, index) == [
            TextDelta(f"{3 + index}", index),
            ToolCallDelta(0, "{}", "call_a", "look", index),
            Finish("tool_calls", index),
        ]


async def test_the_last_event_of_several_is_one_usage_for_all() -> None:
    events = await gather(Generation(prompt="a", n=3), one)
    assert events[-1] == Usage(prompt_tokens=7, completion_tokens=9, cached_tokens=5, reasoning_tokens=6)
    assert sum(isinstance(event, Usage) for event in events) == 1


async def test_where_usage_is_not_told_there_is_none() -> None:
    async def untold(generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        yield Finish("stop")

    assert await gather(Generation(prompt="a", n=2), untold) == [Finish("stop", 0), Finish("stop", 1)]


async def test_without_a_seed_none_gets_one() -> None:
    events = await gather(Generation(prompt="a", n=2), one)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["None", "None"]


async def test_behind_the_highest_seed_comes_the_lowest() -> None:
    events = await gather(Generation(prompt="a", n=2, sampling=Sampling(seed=9223372036854775807)), one)
    assert of(events, 1)[0] == TextDelta("0", 1)


async def test_they_are_made_beside_each_other_and_told_as_they_come() -> None:
    turn = [asyncio.Event(), asyncio.Event()]

    async def in_turns(generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        seed = generation.sampling.seed or 0
        yield TextDelta("first")
        turn[seed].set()
        await turn[1 - seed].wait()  # for the other one to have begun
        yield TextDelta("second")

    events = await gather(Generation(prompt="a", n=2, sampling=Sampling(seed=0)), in_turns)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["first", "first", "second", "second"]


class Endless:
    """Answers without end, and how many of them are open."""

    def __init__(self) -> None:
        self.open = 0
        self.made = 0
        self.fails = asyncio.Event()

    async def one(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        self.open += 1
        try:
            while True:
                if self.fails.is_set():
                    raise Overloaded("too much")
                self.made += 1
                yield TextDelta("x")
        finally:
            self.open -= 1


@pytest.mark.parametrize("n", [1, 3])
async def test_closing_ends_them_all(n: int) -> None:
    endless = Endless()
    events = choices(Generation(prompt="a", n=n), endless.one)
    await anext(events)
    assert endless.open == n
    await events.aclose()
    assert endless.open == 0


async def test_cancelling_the_reader_ends_them_all() -> None:
    endless = Endless()

    async def read() -> None:
        async with contextlib.aclosing(choices(Generation(prompt="a", n=3), endless.one)) as events:
            await anext(events)
            await asyncio.Event().wait()

    task = asyncio.create_task(read())
    while endless.open < 3:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert (task.cancelled(), endless.open) == (True, 0)


async def test_a_failure_of_one_ends_the_others_and_is_raised() -> None:
    endless = Endless()
    events = choices(Generation(prompt="a", n=3), endless.one)
    await anext(events)
    endless.fails.set()
    with pytest.raises(Overloaded, match="too much"):
        _ = [event async for event in events]
    assert endless.open == 0


async def test_one_that_cancels_itself_does_not_leave_the_reader_waiting() -> None:
    async def gives_up(generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        raise asyncio.CancelledError
        yield

    with pytest.raises(asyncio.CancelledError):
        await gather(Generation(prompt="a", n=2), gives_up)


async def test_answers_that_nobody_reads_wait() -> None:
    endless = Endless()
    events = choices(Generation(prompt="a", n=2), endless.one)
    await anext(events)
    for _ in range(10 * AHEAD):
        await asyncio.sleep(0)
    assert endless.made <= AHEAD + 4
    await events.aclose()
