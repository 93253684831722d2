"""Four kinds of function, one contract: what it makes comes in steps, and it is over when the steps are closed."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from headrace.batching.steps import kind_of
from headrace.streams.closing import AsyncClosing


async def answers(words: list[str]) -> list[str]:
    return [word.upper() for word in words]


def blocks(words: list[str]) -> list[str]:
    return [word.upper() for word in words]


async def streams(words: list[str]) -> AsyncIterator[list[str]]:
    for _ in range(3):
        yield words


def iterates(words: list[str]) -> Iterator[list[str]]:
    for _ in range(3):
        yield words


async def steps_of(function: Callable[..., Any], *args: Any) -> list[Any]:
    return [step async for burst in kind_of(function).steps(functools.partial(function, *args)) for step in burst]


@pytest.mark.parametrize(
    ("function", "is_stream", "steps"),
    [
        (answers, False, [["A"]]),
        (blocks, False, [["A"]]),
        (streams, True, [["a"], ["a"], ["a"]]),
        (iterates, True, [["a"], ["a"], ["a"]]),
    ],
)
async def test_every_kind_gives_its_steps(function: Callable[..., Any], is_stream: bool, steps: Any) -> None:
    assert kind_of(function).streams is is_stream
    assert await steps_of(function, ["a"]) == steps


def test_a_decorator_that_passes_on_what_it_got_does_not_hide_the_kind() -> None:
    @functools.wraps(streams)
    def passing(words: list[str]) -> Any:
        return streams(words)

    assert kind_of(passing).streams


@pytest.mark.parametrize("function", [blocks, iterates])
async def test_sync_code_runs_on_another_thread(function: Callable[..., Any]) -> None:
    seen: list[threading.Thread] = []

    @functools.wraps(function)
    def watched(words: list[str]) -> Any:
        seen.append(threading.current_thread())
        return function(words)

    await steps_of(watched, ["a"])
    assert seen != []
    assert seen[0] is not threading.current_thread()


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_closing_the_steps_closes_the_generator(kind: str) -> None:
    closed: list[str] = []

    def endless() -> Iterator[list[int]]:
        try:
            while True:
                yield [1]
        finally:
            closed.append("sync")

    async def endless_async() -> AsyncIterator[list[int]]:
        try:
            while True:
                yield [1]
        finally:
            closed.append("async")

    function: Any = endless if kind == "sync" else endless_async
    steps = kind_of(function).steps(function)
    async with AsyncClosing(steps):
        await anext(steps)
    assert closed == [kind]


async def test_the_steps_are_over_when_the_thread_is() -> None:
    entered, may_go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    left: list[str] = []

    def stubborn() -> list[int]:
        loop.call_soon_threadsafe(entered.set)
        may_go.wait(10)
        left.append("thread")
        return [1]

    async def read() -> None:
        steps = kind_of(stubborn).steps(stubborn)
        try:
            async with AsyncClosing(steps):
                await anext(steps)
        finally:
            left.append("steps")

    async with asyncio.timeout(10):
        task = asyncio.create_task(read())
        await entered.wait()
        task.cancel()
        loop.call_later(1.2, may_go.set)  # longer than a thread is waited for elsewhere
        await asyncio.wait([task])
    assert left == ["thread", "steps"]


@pytest.mark.parametrize("function", [answers, blocks, streams, iterates])
async def test_what_the_function_raises_is_raised(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        await steps_of(function)


async def test_an_async_generator_that_never_waits_lets_others_run() -> None:
    async def endless() -> AsyncIterator[list[int]]:
        while True:
            yield [1]

    other: list[str] = []
    asyncio.get_running_loop().call_soon(other.append, "ran")
    steps = kind_of(endless).steps(endless)
    async with asyncio.timeout(10), AsyncClosing(steps):
        async for _ in steps:
            if other:
                break
    assert other == ["ran"]
