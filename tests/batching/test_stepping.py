"""The generator is advanced where it belongs, in the context of no caller, and measured."""

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from decoding import read, until

from headrace.batching.continuous import continuous_batch
from headrace.batching.slots import Slots
from headrace.batching.surroundings import Surroundings, surrounded
from headrace.errors import ShuttingDown
from headrace.metrics import Metrics

caller = contextvars.ContextVar("caller", default="nobody")


@continuous_batch(linger_s=0)
def on_a_thread(slots: Slots[int, Any]) -> Iterator[None]:
    while True:
        for slot in slots:
            slot.send((caller.get(), threading.get_ident()))
            slot.finish()
        yield


@continuous_batch(linger_s=0)
async def on_the_loop(slots: Slots[int, Any]) -> AsyncIterator[None]:
    while True:
        for slot in slots:
            slot.send((caller.get(), threading.get_ident()))
            slot.finish()
        yield


@pytest.mark.parametrize(("decode", "is_here"), [(on_a_thread, False), (on_the_loop, True)])
async def test_it_runs_where_it_belongs_and_in_nobodys_context(decode: Any, is_here: bool) -> None:
    caller.set("somebody")
    ((found, thread),) = await read(decode(1))
    assert (found, thread == threading.get_ident()) == ("nobody", is_here)


@pytest.mark.parametrize("decode", [on_a_thread, on_the_loop])
async def test_steps_are_measured_for_the_service_that_calls(decode: Any) -> None:
    metrics = Metrics()

    def value(name: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"function": decode.__name__})

    with surrounded(Surroundings(asyncio.get_running_loop(), metrics, lambda: None)):
        calls = [decode(each) for each in range(3)]
    for call in calls:
        await read(call)
    assert value("headrace_batch_wait_seconds_count") == 3
    assert 1 <= (value("headrace_step_seconds_count") or 0) <= 3
    await until(lambda: value("headrace_slots") == 0)


@pytest.mark.parametrize("on_thread", [True, False])
async def test_no_slot_counts_as_used_while_the_generator_lingers(on_thread: bool) -> None:
    metrics = Metrics()

    def step(slots: Slots[int, Any]) -> None:
        for slot in slots:
            slot.finish()

    @continuous_batch(linger_s=1000)
    def linger_on_a_thread(slots: Slots[int, Any]) -> Iterator[None]:
        while True:
            step(slots)
            yield

    @continuous_batch(linger_s=1000)
    async def linger_on_the_loop(slots: Slots[int, Any]) -> AsyncIterator[None]:
        while True:
            step(slots)
            yield

    decode: Any = linger_on_a_thread if on_thread else linger_on_the_loop
    surroundings = Surroundings(asyncio.get_running_loop(), metrics, lambda: None)
    with surrounded(surroundings):
        await read(decode(1))
    await until(lambda: metrics.registry.get_sample_value("headrace_slots", {"function": decode.__name__}) == 0)
    (lane,) = surroundings.continuous
    assert not lane.rests  # type: ignore[attr-defined]
    lane.close()
    await until(lambda: lane.rests)  # type: ignore[attr-defined]


@pytest.mark.parametrize("on_thread", [True, False])
async def test_what_the_cleanup_raises_is_logged(on_thread: bool, caplog: pytest.LogCaptureFixture) -> None:
    @continuous_batch(linger_s=0)
    def clean_on_a_thread(slots: Slots[int, Any]) -> Iterator[None]:
        try:
            while True:
                for slot in slots:
                    slot.finish()
                yield
        finally:
            raise ValueError("the cleanup is broken")

    @continuous_batch(linger_s=0)
    async def clean_on_the_loop(slots: Slots[int, Any]) -> AsyncIterator[None]:
        try:
            while True:
                for slot in slots:
                    slot.finish()
                yield
        finally:
            raise ValueError("the cleanup is broken")

    decode: Any = clean_on_a_thread if on_thread else clean_on_the_loop
    assert await read(decode(1)) == []
    await until(lambda: caplog.records)
    (logged,) = caplog.records
    assert logged.getMessage().endswith("failed with 0 calls in its slots; it starts afresh")


async def test_a_task_that_the_loop_stops_tells_its_members() -> None:
    started = asyncio.Event()

    @continuous_batch(max_batch_size=1)
    async def decode(slots: Slots[int, str]) -> AsyncIterator[None]:
        slots[0].send("item")
        yield
        started.set()
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    running, waiting = decode(1), decode(2)
    await started.wait()
    (task,) = asyncio.all_tasks() - before
    task.cancel()
    assert await anext(running) == "item"
    for call in (running, waiting):
        with pytest.raises(ShuttingDown):
            await anext(call)


def test_a_loop_that_is_closed_without_stopping_its_tasks_ends_the_thread() -> None:
    loop = asyncio.new_event_loop()
    closed = threading.Event()

    @continuous_batch
    def decode(slots: Slots[int, str]) -> Iterator[None]:
        try:
            while True:
                for slot in slots:
                    slot.send("item")
                yield
        finally:
            closed.set()

    async def first() -> Any:
        call = decode(1)
        await anext(call)
        return call

    call = loop.run_until_complete(first())
    loop.close()
    assert closed.wait(10)
    del call
    gc.collect()


ABANDONED = """
import asyncio, threading
from headrace.batching import continuous_batch

entered, left = threading.Event(), threading.Event()

@continuous_batch
def decode(slots):
    try:
        while True:
            for slot in slots:
                slot.send(None)
            entered.set()
            left.wait(0.2)  # a step under way while the interpreter ends
            yield
    finally:
        print("closed", threading.current_thread().name)

async def main():
    global call
    call = decode(None)
    await anext(call)
    entered.wait()

{run}
"""


@pytest.mark.parametrize(
    "run",
    [
        pytest.param("asyncio.run(main())", id="after its event loop"),
        pytest.param("loop = asyncio.new_event_loop(); loop.run_until_complete(main())", id="with its event loop"),
    ],
)
def test_the_end_of_the_interpreter_waits_for_the_step_and_closes_the_generator(run: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABANDONED.format(run=run)], check=True, capture_output=True, text=True, timeout=20
    )
    assert done.stdout == "closed headrace-decode\n"
