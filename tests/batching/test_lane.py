"""The continuous batch of one instance: made when it is needed, and refused while it fails over and over."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from decoding import until

from headrace.batching.admission import Admission
from headrace.batching.lane import Lane, Plan
from headrace.batching.members import StreamMember
from headrace.batching.reader import Reader
from headrace.batching.slots import Slots
from headrace.batching.stepping import TaskStepping
from headrace.batching.surroundings import Surroundings
from headrace.errors import Overloaded, WorkerLost
from headrace.metrics import Metrics

PLAN = Plan("decode", TaskStepping, Admission(4), max_waiting=3, linger=0, step_timeout=10)


class Clock:
    """A clock that stands."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


async def echo(slots: Slots[str, str]) -> AsyncIterator[None]:
    while True:
        for slot in slots:
            slot.send(slot.request)
            slot.finish()
        yield


async def break_down(slots: Slots[str, str]) -> AsyncIterator[None]:
    raise ValueError("broken")
    yield


def called(lane: Lane, function: Callable[..., Any], surroundings: Surroundings | None = None) -> Reader[Any]:
    member = StreamMember("1", (), asyncio.get_running_loop())
    lane.submit(partial(function), "item", 0, member, surroundings)
    return Reader(member.mailbox)


async def read(reader: Reader[Any]) -> list[Any]:
    async with asyncio.timeout(10):
        return [item async for item in reader]


async def test_it_rests_before_the_first_call_and_after_the_last() -> None:
    rested: list[Any] = []
    lane = Lane(PLAN, rested.append)
    assert lane.rests
    call = called(lane, echo)
    assert not lane.rests
    assert await read(call) == ["item"]
    await until(lambda: lane.rests)
    assert [each.func for each in rested] == [echo]


async def test_nothing_of_a_batch_is_left_when_it_rests() -> None:
    lane = Lane(PLAN, lambda _: None)
    call = called(lane, echo)
    assert lane._boundary is not None
    died = weakref.ref(lane._boundary)
    assert await read(call) == ["item"]
    await until(lambda: lane.rests)
    del call
    await asyncio.sleep(0)
    gc.collect()
    assert died() is None


async def test_a_call_that_comes_when_it_is_over_makes_the_next() -> None:
    lane = Lane(PLAN, lambda _: None)
    for _ in range(5):
        assert await read(called(lane, echo)) == ["item"]


async def test_the_end_of_one_batch_is_not_the_end_of_the_next() -> None:
    started: list[TaskStepping] = []

    class Idle(TaskStepping):
        def start(self) -> None:
            started.append(self)

    lane = Lane(replace(PLAN, stepping=Idle), lambda _: None)
    calls = [called(lane, echo)]
    started[0]._boundary.end()
    calls.append(called(lane, echo))
    started[0]._close()
    assert not lane.rests
    started[1]._close()
    assert lane.rests


async def test_more_calls_than_may_wait_are_refused() -> None:
    lane = Lane(PLAN, lambda _: None)
    calls = [called(lane, echo) for _ in range(3)]
    with pytest.raises(Overloaded, match="3 calls of decode wait already; try again later"):
        called(lane, echo)
    assert [await read(call) for call in calls] == [["item"]] * 3


async def test_it_is_healthy_again_when_the_failures_are_a_minute_old() -> None:
    clock = Clock()
    lane = Lane(PLAN, lambda _: None, clock)
    healthy = []
    for _ in range(6):
        healthy.append(lane.healthy)
        with pytest.raises(WorkerLost):
            await read(called(lane, break_down))
        clock.now += 1
    assert (healthy, lane.healthy) == ([True] * 6, False)
    with pytest.raises(Overloaded) as refused:
        called(lane, echo)
    assert refused.value.retry_after == 54
    clock.now = 160.0
    assert lane.healthy
    assert await read(called(lane, echo)) == ["item"]


async def test_a_step_that_takes_too_long_is_not_healthy_until_it_is_through() -> None:
    clock, held = Clock(), asyncio.Event()

    async def hold(slots: Slots[str, str]) -> AsyncIterator[None]:
        while True:
            await held.wait()
            for slot in slots:
                slot.finish()
            yield

    lane = Lane(PLAN, lambda _: None, clock)
    call = called(lane, hold)
    await asyncio.sleep(0)
    assert lane.healthy
    clock.now += 9.5
    assert lane.healthy
    clock.now += 1
    assert not lane.healthy
    held.set()
    assert await read(call) == []
    assert lane.healthy


async def test_its_service_knows_it() -> None:
    surroundings = Surroundings(asyncio.get_running_loop(), Metrics(), lambda: None)
    lane = Lane(PLAN, lambda _: None)
    assert set(surroundings.continuous) == set()
    await read(called(lane, echo, surroundings))
    assert set(surroundings.continuous) == {lane}
    del lane
    await until(lambda: set(surroundings.continuous) == set())


async def test_closing_it_ends_the_lingering() -> None:
    lane = Lane(replace(PLAN, linger=1000), lambda _: None)
    assert await read(called(lane, echo)) == ["item"]
    assert not lane.rests
    lane.close()
    await until(lambda: lane.rests)
    lane.close()
