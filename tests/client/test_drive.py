"""Carrying out steps on an event loop."""

import asyncio
from typing import Any

import pytest

from headrace.client.drive import drive, limited
from headrace.client.steps import Operation, OutOfTime, Pause, Receive, Steps

WITHIN = 5.0


async def test_what_comes_of_an_operation_is_sent_into_the_steps() -> None:
    def steps() -> Steps[list[Any]]:
        return [(yield Receive(None)), (yield Pause(1.0))]

    async def perform(operation: Operation) -> Any:
        return repr(operation)

    assert await drive(steps(), perform) == ["Receive(within=None)", "Pause(seconds=1.0)"]


async def test_what_an_operation_raises_is_raised_in_the_steps() -> None:
    def steps() -> Steps[str]:
        try:
            yield Receive(None)
        except KeyError as error:
            return f"caught {error}"
        return "nothing"

    async def perform(operation: Operation) -> Any:
        raise KeyError("x")

    assert await drive(steps(), perform) == "caught 'x'"


async def test_steps_that_are_cancelled_are_closed_at_once() -> None:
    log: list[str] = []

    def steps() -> Steps[None]:
        try:
            yield Receive(None)
        finally:
            log.append("closed")

    async def perform(operation: Operation) -> Any:
        log.append("waits")
        await asyncio.Event().wait()

    task = asyncio.ensure_future(drive(steps(), perform))
    async with asyncio.timeout(WITHIN):
        while not log:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    assert (log, task.cancelled()) == (["waits", "closed"], True)


async def test_a_limit_that_passes_is_told_from_a_timeout_of_its_own() -> None:
    async def fails() -> None:
        raise TimeoutError("mine")

    with pytest.raises(OutOfTime):
        await limited(0.001, asyncio.Event().wait())
    with pytest.raises(TimeoutError, match="mine"):
        await limited(5.0, fails())
    assert await limited(None, asyncio.sleep(0, "came")) == "came"
