import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from headrace.engines.events import EngineEvent, Finish, TextDelta, Usage
from headrace.engines.generation import Generation
from headrace.errors import WorkerLost
from headrace.openai.several import several


class Writer:
    """Answers each prompt with its own text; a prompt `wait` waits, a prompt `fail` fails."""

    def __init__(self, *, usage: bool = True) -> None:
        self.running = 0
        self.most = 0
        self._usage = usage

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if generation.prompt == "wait":
                await asyncio.Event().wait()
            if generation.prompt == "fail":
                raise WorkerLost("it is gone")
            for index in range(generation.n):
                yield TextDelta(str(generation.prompt), index)
                await asyncio.sleep(0)
                yield Finish("stop", index)
            if self._usage:
                yield Usage(2, generation.n, 1, 1)
        finally:
            self.running -= 1


async def made(writer: Writer, *generations: Generation) -> list[EngineEvent]:
    async with asyncio.timeout(5), aclosing(several(generations, writer.generate)) as events:
        return [event async for event in events]


async def test_one_generation_is_passed_on_as_it_is() -> None:
    events = await made(Writer(), Generation(prompt="a", n=2))
    assert events == [TextDelta("a"), Finish("stop"), TextDelta("a", 1), Finish("stop", 1), Usage(2, 2, 1, 1)]


async def test_the_answers_of_a_later_prompt_have_higher_indexes() -> None:
    events = await made(Writer(), Generation(prompt="a", n=2), Generation(prompt="b"), Generation(prompt="c", n=2))
    texts = {event.index: event.text for event in events if isinstance(event, TextDelta)}
    assert texts == {0: "a", 1: "a", 2: "b", 3: "c", 4: "c"}
    assert sorted(event.index for event in events if isinstance(event, Finish)) == [0, 1, 2, 3, 4]


async def test_the_usages_become_one() -> None:
    events = await made(Writer(), Generation(prompt="a", n=2), Generation(prompt="b"))
    assert [event for event in events if isinstance(event, Usage)] == [Usage(4, 3, 2, 2)]
    assert events[-1] == Usage(4, 3, 2, 2)


async def test_a_usage_that_was_not_told_is_not_made_up() -> None:
    events = await made(Writer(usage=False), Generation(prompt="a"), Generation(prompt="b"))
    assert not any(isinstance(event, Usage) for event in events)


async def test_all_prompts_are_answered_beside_each_other() -> None:
    writer = Writer()
    await made(writer, *[Generation(prompt="a")] * 5)
    assert writer.most == 5


async def test_a_failure_ends_the_others_and_is_raised() -> None:
    writer = Writer()
    with pytest.raises(WorkerLost, match="it is gone"):
        await made(writer, Generation(prompt="wait"), Generation(prompt="fail"), Generation(prompt="wait"))
    assert writer.running == 0


async def test_closing_it_closes_all() -> None:
    writer = Writer()
    async with asyncio.timeout(5):
        events: Any = several([Generation(prompt="a"), Generation(prompt="wait")], writer.generate)
        await anext(events)
        assert writer.running == 2
        await events.aclose()
    assert writer.running == 0


async def test_more_events_than_anybody_reads_are_not_made() -> None:
    made_events = 0

    async def endless(generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        nonlocal made_events
        while True:
            made_events += 1
            yield TextDelta("a")
            await asyncio.sleep(0)

    async with asyncio.timeout(5):
        events = several([Generation(prompt="a"), Generation(prompt="b")], endless)
        await anext(events)
        for _ in range(1000):
            await asyncio.sleep(0)
        await events.aclose()
    assert made_events <= 70
