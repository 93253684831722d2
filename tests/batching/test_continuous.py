"""Calls join at the next step and leave at theirs; each gets its own items, and one ending."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from decoding import Threaded, Ticking, read, until, wanted

from headrace.batching.continuous import continuous_batch
from headrace.batching.slots import Slot, Slots
from headrace.errors import InternalError, InvalidArguments, Overloaded, SlowReader, StreamError, WorkerLost
from headrace.streams.threads import Threads
from headrace.testing.clock import run


@pytest.fixture(autouse=True)
async def bounded() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        yield


@pytest.fixture(params=[Ticking, Threaded])
def model(request: pytest.FixtureRequest) -> Any:
    return request.param()


class Busy(StreamError):
    """The model is busy."""

    code = "busy"


# who is in a step


async def test_every_call_gets_its_own_items_in_order(model: Any) -> None:
    lengths = [1, 7, 3, 20, 2, 5, 11, 4, 9, 6]
    assert await asyncio.gather(*(read(model.decode(each)) for each in lengths)) == [wanted(each) for each in lengths]


async def test_a_call_takes_the_place_that_a_shorter_one_leaves_at_the_next_step() -> None:
    model = Ticking()
    await asyncio.gather(*(read(model.decode(each)) for each in (2, 4, 1, 3, 5, 1)))
    assert model.steps == [[2, 4, 1, 3], [2, 4, 3, 5], [4, 3, 5, 1], [4, 5], [5], [5]]


async def test_a_call_that_comes_later_joins_the_running_batch() -> None:
    model = Ticking()
    model.held = True
    first = asyncio.create_task(read(model.decode(5)))
    model.tick(2)
    await until(lambda: len(model.steps) == 2)
    second = asyncio.create_task(read(model.decode(1)))
    await model.settle()
    model.tick(3)
    assert (await first, await second) == (wanted(5), wanted(1))
    assert model.steps == [[5], [5], [5], [5, 1], [5]]  # the third step had begun


async def test_a_call_waits_for_its_slot_from_the_moment_it_is_made(model: Any) -> None:
    unread = model.decode(1)
    await until(lambda: model.steps == [[1]])
    assert await read(unread) == ["1.0"]


async def test_costs_bound_a_step_and_nobody_overtakes() -> None:
    steps: list[list[int]] = []

    @continuous_batch(max_batch_cost=10, cost_fn=lambda cost: cost)
    async def decode(slots: Slots[int, int]) -> AsyncIterator[None]:
        while True:
            steps.append([slot.request for slot in slots])
            for slot in slots:
                slot.finish()
            yield

    await asyncio.gather(*(read(decode(cost)) for cost in (4, 6, 7, 5, 2, 3)))
    assert steps == [[4, 6], [7], [5, 2, 3]]


async def test_a_cost_may_be_a_number_of_numpy() -> None:
    @continuous_batch(max_batch_cost=10, cost_fn=lambda cost: np.int64(cost))
    async def decode(slots: Slots[int, int]) -> AsyncIterator[None]:
        while True:
            for slot in slots:
                slot.send(len(slots))
                slot.finish()
            yield

    assert await asyncio.gather(*(read(decode(cost)) for cost in (4, 6, 7))) == [[2], [2], [1]]


async def test_a_request_that_costs_more_than_a_batch_may_is_refused_and_the_others_go_on() -> None:
    @continuous_batch(max_batch_cost=10, cost_fn=len)
    async def decode(slots: Slots[str, str]) -> AsyncIterator[None]:
        while True:
            for slot in slots:
                slot.send(slot.request)
                slot.finish()
            yield

    fits = decode("0123456789")
    with pytest.raises(InvalidArguments, match="the request costs 11, and all together may cost 10"):
        decode("0123456789x")
    assert await read(fits) == ["0123456789"]


@pytest.mark.parametrize("cost", [-1, float("nan"), float("inf"), "4", None, True])
async def test_a_cost_that_is_none_fails_its_call(cost: Any) -> None:
    @continuous_batch(max_batch_cost=10, cost_fn=lambda request: cost)
    async def decode(slots: Slots[int, int]) -> AsyncIterator[None]:
        yield

    with pytest.raises(ValueError, match=r"^cost_fn of .*decode gave .*; it must give a number, 0 or more$"):
        decode(1)


async def test_what_cost_fn_raises_fails_its_call_alone() -> None:
    @continuous_batch(max_batch_cost=10, cost_fn=lambda request: 10 / request)
    async def decode(slots: Slots[int, int]) -> AsyncIterator[None]:
        while True:
            for slot in slots:
                slot.finish()
            yield

    good = decode(1)
    with pytest.raises(ZeroDivisionError):
        decode(0)
    assert await read(good) == []
    assert await read(decode(2)) == []


async def test_calls_above_the_limit_are_refused_and_those_that_wait_are_not() -> None:
    held = asyncio.Event()

    @continuous_batch(max_batch_size=1, max_waiting=2)
    async def decode(slots: Slots[int, int]) -> AsyncIterator[None]:
        while True:
            await held.wait()
            for slot in slots:
                slot.send(slot.request)
                slot.finish()
            yield

    running = decode(0)
    await asyncio.sleep(0)
    waiting = [decode(1), decode(2)]
    with pytest.raises(Overloaded, match=r"2 calls of .*decode wait already; try again later"):
        decode(3)
    held.set()
    assert [await read(each) for each in (running, *waiting)] == [[0], [1], [2]]


# who leaves


async def leaves_by_closing(call: Any) -> None:
    await anext(call)
    await call.aclose()


async def leaves_by_break(call: Any) -> None:
    async for _ in call:
        break


async def leaves_by_cancelling(call: Any) -> None:
    reading = asyncio.create_task(read(call))
    del call
    await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def leaves_by_closing_the_generator_around_it(call: Any) -> None:
    async def endpoint() -> AsyncIterator[str]:
        async for item in call:
            yield item

    around = endpoint()
    await anext(around)
    await around.aclose()  # type: ignore[attr-defined]


LEAVES = [leaves_by_closing, leaves_by_break, leaves_by_cancelling, leaves_by_closing_the_generator_around_it]


@pytest.mark.parametrize("leave", LEAVES)
async def test_the_slot_of_a_caller_that_left_is_free_at_the_next_step(leave: Callable[[Any], Any]) -> None:
    model = Ticking()
    calls = [model.decode(1_000_000) for _ in range(3)]
    leaver = model.decode(999_999)
    await asyncio.sleep(0)
    waiting = model.decode(3)
    await leave(leaver)
    del leaver
    assert await read(waiting) == wanted(3)
    assert 999_999 not in model.steps[-1]
    for call in calls:
        await call.aclose()
    await until(lambda: model.closed == 1)


async def test_a_slot_knows_that_its_caller_left_while_the_step_is_made() -> None:
    model = Ticking()
    model.held = True
    call, other = model.decode(5), model.decode(5)
    model.tick()
    await until(lambda: len(model.slots) == 2)
    slot = model.slots[0]
    assert not slot.cancelled
    await call.aclose()
    await model.settle()
    assert slot.cancelled
    model.tick(2)
    await until(lambda: len(model.steps) >= 3)
    assert model.steps[2] == [5]
    await other.aclose()
    model.tick()


async def test_a_caller_that_leaves_while_it_waits_takes_no_place() -> None:
    model = Ticking()
    model.held = True
    running = [asyncio.create_task(read(model.decode(2))) for _ in range(4)]
    await model.settle()
    leaver, last = model.decode(7), asyncio.create_task(read(model.decode(1)))
    await leaver.aclose()
    model.tick(3)
    assert await last == ["1.0"]
    assert model.steps == [[2, 2, 2, 2], [2, 2, 2, 2], [1]]
    await asyncio.gather(*running)


async def test_a_call_that_was_closed_gives_nothing_more() -> None:
    model = Ticking()
    call = model.decode(5)
    assert await anext(call) == "5.0"
    await call.aclose()
    assert await read(call) == []


# failures


async def test_a_slot_that_fails_fails_alone_and_behind_its_items() -> None:
    @continuous_batch
    async def decode(slots: Slots[int, str]) -> AsyncIterator[None]:
        while True:
            for slot in slots:
                slot.send("item")
                if slot.request:
                    slot.finish()
                else:
                    slot.fail(Busy("not now"))
            yield

    good, bad = decode(1), decode(0)
    assert await anext(bad) == "item"
    with pytest.raises(Busy, match="not now"):
        await anext(bad)
    assert await read(bad) == []
    assert await read(good) == ["item"]


def failing(on_thread: bool, places: int, raised: Callable[[], BaseException]) -> Any:
    """A model whose steps wait for the gate. A request of 0 makes it raise, others get as many items as they ask."""
    gate = threading.Event()

    def step(slots: Slots[int, str]) -> None:
        for slot in slots.joined:
            slot.state = 0
        for slot in slots:
            slot.send(f"{slot.request}")
            slot.state += 1
            if not slot.request:
                raise raised()
            if slot.state == slot.request:
                slot.finish()

    @continuous_batch(max_batch_size=places, linger_s=0)
    def on_a_thread(slots: Slots[int, str]) -> Iterator[None]:
        while True:
            gate.wait(10)
            step(slots)
            yield

    @continuous_batch(max_batch_size=places, linger_s=0)
    async def on_the_loop(slots: Slots[int, str]) -> AsyncIterator[None]:
        while True:
            step(slots)
            yield

    return on_a_thread if on_thread else on_the_loop, gate


class Own(BaseException):
    """An exception that is no Exception."""


@pytest.mark.parametrize("on_thread", [False, True])
@pytest.mark.parametrize(
    "raised", [RuntimeError, asyncio.CancelledError, SystemExit, KeyboardInterrupt, GeneratorExit, Own, MemoryError]
)
async def test_an_exception_takes_those_in_the_slots_and_starts_afresh_for_those_that_wait(
    on_thread: bool, raised: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    decode, gate = failing(on_thread, 2, lambda: raised("no memory"))
    mate, bad, waiting = decode(9), decode(0), decode(2)
    gate.set()
    assert await anext(mate) == "9"
    for call in (mate, bad):
        with pytest.raises(WorkerLost) as caught:
            await read(call)
        assert type(caught.value.__cause__) is raised
    assert await read(waiting) == ["2", "2"]
    (logged,) = caplog.records
    assert logged.getMessage() == f"{decode.__name__} failed with 2 calls in its slots; it starts afresh"
    assert logged.exc_info is not None


async def test_an_error_of_the_tree_reaches_the_members_as_it_is() -> None:
    decode, _ = failing(False, 2, lambda: Busy("all of it"))
    with pytest.raises(Busy, match="all of it"):
        await read(decode(0))


@pytest.mark.parametrize("on_thread", [False, True])
async def test_the_sixth_failure_within_a_minute_refuses_those_that_wait_and_those_that_come(on_thread: bool) -> None:
    decode, gate = failing(on_thread, 1, lambda: RuntimeError("over and over"))
    calls = [decode(0) for _ in range(8)]
    assert decode.healthy
    gate.set()
    endings = [type(each) for each in await asyncio.gather(*map(read, calls), return_exceptions=True)]
    assert endings == [WorkerLost] * 6 + [Overloaded] * 2
    assert not decode.healthy
    with pytest.raises(Overloaded, match=r"is not started: it has failed 6 times within 60 s") as caught:
        decode(1)
    assert 1 <= caught.value.retry_after <= 60


async def test_a_generator_that_returns_fails_the_slots_that_it_did_not_finish() -> None:
    @continuous_batch
    async def decode(slots: Slots[int, str]) -> AsyncIterator[None]:
        for slot in slots:
            slot.send("item")
            if slot.request:
                slot.finish()
        return
        yield

    short, complete = decode(0), decode(1)
    assert await read(complete) == ["item"]
    assert await anext(short) == "item"
    with pytest.raises(InternalError, match=r"decode returned before 1 of its slots were finished: put `while True:`"):
        await anext(short)


async def test_a_generator_that_returns_when_all_are_finished_is_made_again() -> None:
    @continuous_batch(max_batch_size=1)
    async def decode(slots: Slots[int, str]) -> AsyncIterator[None]:
        yield
        for slot in slots:
            slot.send("item")
            slot.finish()

    assert await asyncio.gather(*(read(decode(each)) for each in range(10))) == [["item"]] * 10


@pytest.mark.parametrize("value", [["a"], "a", 0, {}])
async def test_a_value_that_is_yielded_is_a_mistake_and_says_the_right_form(value: Any) -> None:
    @continuous_batch
    async def decode(slots: Slots[int, str]) -> AsyncIterator[Any]:
        while True:
            yield value

    with pytest.raises(WorkerLost) as caught:
        await read(decode(1))
    assert str(caught.value.__cause__).endswith(
        f"decode yielded {type(value).__name__} to a continuous batch: "
        "give each item to its slot with slot.send(item), and write `yield` alone"
    )
    assert str(caught.value.__cause__).startswith("HR15 ")


# readers


def pressed(on_thread: bool) -> tuple[Any, list[bool]]:
    """A model whose slots get an item per step, paused or not; and whether the first slot was paused, step by step."""
    paused: list[bool] = []

    def step(slots: Slots[int, int]) -> None:
        for slot in slots.joined:
            slot.state = 0
        paused.append(slots[0].paused)
        for slot in slots:
            slot.send(slot.state)
            slot.state += 1
            if slot.state == slot.request:
                slot.finish()

    @continuous_batch
    def on_a_thread(slots: Slots[int, int]) -> Iterator[None]:
        while True:
            step(slots)
            yield

    @continuous_batch
    async def on_the_loop(slots: Slots[int, int]) -> AsyncIterator[None]:
        while True:
            step(slots)
            yield

    return (on_a_thread if on_thread else on_the_loop), paused


async def test_a_caller_that_does_not_read_is_paused_after_256_items_and_holds_up_nobody() -> None:
    decode, paused = pressed(on_thread=False)
    silent, reading = decode(2000), decode(1000)
    assert await read(reading) == list(range(1000))
    assert (paused.count(False), paused[255:257]) == (256, [False, True])
    assert await read(silent) == list(range(2000))


@pytest.mark.parametrize("on_thread", [False, True])
async def test_a_function_rests_while_all_its_callers_are_paused(on_thread: bool) -> None:
    decode, paused = pressed(on_thread)
    silent = decode(100_000)
    steps = 0
    while steps != len(paused) or steps < 256:
        steps = len(paused)
        await asyncio.sleep(0.02)
    assert steps <= 256 + 3 * 32  # the steps that a thread may be ahead
    assert [await anext(silent) for _ in range(1000)] == list(range(1000))
    await silent.aclose()


def test_a_caller_that_takes_nothing_for_30_seconds_is_given_up_as_slow() -> None:
    async def main() -> None:
        decode, _ = pressed(on_thread=False)
        steady, silent, mate = decode(1000), decode(1000), decode(300)
        assert await read(mate) == list(range(300))
        await asyncio.sleep(29)
        assert await anext(steady) == 0
        await asyncio.sleep(29)
        assert await read(steady) == list(range(1, 1000))
        with pytest.raises(SlowReader, match="and none was read for 30 s"):
            await read(silent)

    run(main)


def test_a_slot_that_was_given_up_is_free_for_the_next() -> None:
    async def main() -> None:
        model = Ticking()
        silent = [model.decode(1000) for _ in range(4)]
        waiting = asyncio.create_task(read(model.decode(3)))
        await asyncio.sleep(29)
        assert not waiting.done()
        await asyncio.sleep(2)
        assert await waiting == wanted(3)
        for call in silent:
            await call.aclose()

    run(main)


async def test_only_one_task_reads_a_call() -> None:
    model = Ticking()
    model.held = True
    call = model.decode(1)
    first = asyncio.create_task(anext(call))
    await model.settle()
    with pytest.raises(RuntimeError, match="another task is reading this call already"):
        await anext(call)
    model.tick()
    assert await first == "1.0"


async def test_a_call_is_read_with_async_for_and_not_awaited() -> None:
    with pytest.raises(TypeError, match=r"HR15 Ticking\.decode is a stream: read it with `async for`"):
        await Ticking().decode(1)  # type: ignore[misc]


# threads, loops, instances


async def test_a_sync_generator_has_one_thread_of_its_own_until_it_is_closed() -> None:
    model = Threaded()
    await asyncio.gather(*(read(model.decode(5)) for _ in range(20)))
    assert await asyncio.to_thread(model.closed.wait, 10)
    assert len(model.threads) == 1
    assert threading.get_ident() not in model.threads


async def test_two_instances_have_batches_of_their_own() -> None:
    one, other = Ticking(), Ticking()
    await asyncio.gather(read(one.decode(2)), read(other.decode(3)), read(one.decode(1)))
    assert (one.steps, other.steps) == ([[2, 1], [2]], [[3], [3], [3]])


def test_two_event_loops_have_batches_of_their_own() -> None:
    model = Threaded()
    both = threading.Barrier(2, timeout=10)
    answers: list[list[str]] = []

    async def main() -> None:
        call: Any = model.decode(4)
        both.wait()
        answers.append([item async for item in call])

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [wanted(4), wanted(4)]
    assert model.steps == [[4]] * 8


async def test_a_class_without_hash_and_one_with_slots_work() -> None:
    @dataclass
    class Equal:
        name: str = "same"

        @continuous_batch(linger_s=0)
        async def decode(self, slots: Slots[int, Any]) -> AsyncIterator[None]:
            while True:
                for slot in slots:
                    slot.send(self)
                    slot.finish()
                yield

    class Slotted:
        __slots__ = ()
        decode = Equal.decode

    for one, other in ((Equal(), Equal()), (Slotted(), Slotted())):
        (mine,), (yours,) = await asyncio.gather(read(one.decode(1)), read(other.decode(1)))
        assert mine is one
        assert yours is other


@pytest.mark.parametrize("kind", [Ticking, Threaded])
async def test_nothing_is_left_of_an_instance_when_its_callers_are_through(kind: Any) -> None:
    before, tasks = threading.active_count(), asyncio.all_tasks()
    model = kind()
    await asyncio.gather(*(read(model.decode(each)) for each in (3, 1, 2)))
    abandoned = model.decode(1000)
    del abandoned
    died = weakref.ref(model)
    await until(lambda: threading.active_count() <= before and asyncio.all_tasks() == tasks)
    del model
    await asyncio.sleep(0)
    gc.collect()
    assert died() is None
    assert kind.decode._lanes._entries == {}


async def test_an_instance_with_slots_is_let_go_when_its_callers_are_through() -> None:
    class Token:
        pass

    class Slotted:
        __slots__ = ("token",)

        def __init__(self) -> None:
            self.token = Token()

        @continuous_batch(linger_s=0)
        async def decode(self, slots: Slots[int, int]) -> AsyncIterator[None]:
            while True:
                for slot in slots:
                    slot.finish()
                yield

    model = Slotted()
    died = weakref.ref(model.token)
    await read(model.decode(1))
    del model
    await asyncio.sleep(0.01)
    gc.collect()
    assert died() is None


def test_the_generator_stays_suspended_for_a_while_and_is_then_closed() -> None:
    async def main() -> None:
        made = closed = 0

        @continuous_batch(linger_s=5)
        async def decode(slots: Slots[int, int]) -> AsyncIterator[None]:
            nonlocal made, closed
            made += 1
            try:
                while True:
                    for slot in slots:
                        slot.finish()
                    yield
            finally:
                closed += 1

        await read(decode(1))
        await asyncio.sleep(4)
        await read(decode(1))
        await asyncio.sleep(4)
        assert (made, closed) == (1, 0)
        await asyncio.sleep(2)
        assert (made, closed) == (1, 1)
        await read(decode(1))
        assert (made, closed) == (2, 1)

    run(main)


async def test_closing_ends_the_suspended_generator_at_once_and_a_later_call_makes_it_afresh() -> None:
    closed = asyncio.Event()

    @continuous_batch(linger_s=1000)
    async def decode(slots: Slots[int, int]) -> AsyncIterator[None]:
        try:
            while True:
                for slot in slots:
                    slot.send(slot.request)
                    slot.finish()
                yield
        finally:
            closed.set()

    for request in (1, 2):
        assert await read(decode(request)) == [request]
        assert not closed.is_set()
        decode.close()
        await closed.wait()
        closed.clear()


@pytest.mark.parametrize("on_thread", [True, False])
async def test_a_call_that_comes_while_the_generator_is_closed_waits_for_that(on_thread: bool) -> None:
    open_now, overlaps, closing, go_on = 0, 0, threading.Event(), threading.Event()

    def begin() -> None:
        nonlocal open_now, overlaps
        open_now += 1
        overlaps = max(overlaps, open_now)

    def step(slots: Slots[int, int]) -> None:
        for slot in slots:
            slot.finish()

    @continuous_batch(linger_s=0)
    def on_a_thread(slots: Slots[int, int]) -> Iterator[None]:
        nonlocal open_now
        begin()
        try:
            while True:
                step(slots)
                yield
        finally:
            closing.set()
            go_on.wait(10)
            open_now -= 1

    @continuous_batch(linger_s=0)
    async def on_the_loop(slots: Slots[int, int]) -> AsyncIterator[None]:
        nonlocal open_now
        begin()
        try:
            while True:
                step(slots)
                yield
        finally:
            closing.set()
            await asyncio.to_thread(go_on.wait, 10)
            open_now -= 1

    decode: Any = on_a_thread if on_thread else on_the_loop
    await read(decode(1))
    await asyncio.to_thread(closing.wait, 10)
    late = asyncio.create_task(read(decode(2)))
    await asyncio.sleep(0.01)
    assert not late.done()
    go_on.set()
    assert await late == []
    await until(lambda: open_now == 0)
    assert overlaps == 1


@pytest.mark.parametrize("kind", [Ticking, Threaded])
def test_an_event_loop_that_ends_closes_the_generator(kind: Any) -> None:
    async def main() -> Any:
        model = kind()
        await anext(model.decode(1_000_000_000))
        return model

    before = threading.active_count()
    model = asyncio.run(main())
    for thread in threading.enumerate():
        if thread.name == "headrace-Threaded.decode":
            thread.join(10)
    assert threading.active_count() <= before
    assert model.closed if kind is Ticking else model.closed.is_set()


async def test_a_worker_thread_iterates_what_is_batched() -> None:
    model = Ticking()
    await read(model.decode(1))  # the loop is known from now on

    def on_a_thread() -> list[str]:
        return list(model.decode(300))  # type: ignore[call-overload]

    assert await Threads(1).call(on_a_thread) == wanted(300)


async def test_a_worker_thread_that_stops_reading_frees_the_slot() -> None:
    model = Ticking()
    await read(model.decode(1))

    def on_a_thread() -> str:
        call: Any = model.decode(1_000_000)
        item: str = next(call)
        call.close()
        return item

    assert await Threads(1).call(on_a_thread) == "1000000.0"
    await until(lambda: model.closed == 2)


def test_a_thread_without_an_event_loop_is_told_so() -> None:
    with pytest.raises(RuntimeError, match="a batched function is called on an event loop; this thread has none"):
        Ticking().decode(1)


# how it is called, and what it stands above


@dataclass(frozen=True)
class Prompt:
    text: str
    limit: int = 16


async def test_several_arguments_make_a_request_as_a_plain_call_would() -> None:
    @continuous_batch(request=Prompt)
    async def decode(slots: Slots[Prompt, Prompt]) -> AsyncIterator[None]:
        while True:
            for slot in slots:
                slot.send(slot.request)
                slot.finish()
            yield

    assert await read(decode("rain")) == [Prompt("rain", 16)]
    assert await read(decode("rain", limit=2)) == [Prompt("rain", 2)]
    with pytest.raises(TypeError, match="'words'"):
        decode("rain", words=2)  # type: ignore[call-arg]


async def test_a_call_has_one_argument_unless_the_decorator_says_otherwise() -> None:
    decode: Any = Ticking().decode
    for wrong in (lambda: decode(), lambda: decode(1, 2), lambda: decode(prompt=1)):
        with pytest.raises(TypeError, match=r"Ticking\.decode takes one request.*request="):
            wrong()


async def test_a_function_without_self_is_the_same_for_all_instances() -> None:
    @continuous_batch
    async def decode(slots: Slots[int, int]) -> AsyncIterator[None]:
        while True:
            for slot in slots:
                slot.send(len(slots))
                slot.finish()
            yield

    class Holder:
        shared = decode

    one, other = Holder(), Holder()
    assert await asyncio.gather(read(one.shared(1)), read(other.shared(2)), read(Holder.shared(3))) == [[3], [3], [3]]


async def test_a_slot_has_an_id_for_logs() -> None:
    ids: list[str] = []

    @continuous_batch
    async def decode(slots: Slots[int, int]) -> AsyncIterator[None]:
        while True:
            for slot in slots:
                ids.append(slot.id)
                slot.finish()
            yield

    await asyncio.gather(read(decode(1)), read(decode(1)))
    assert ids == ["1", "2"]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_batch_size": 0}, ValueError, "max_batch_size=0 is too small; write 1 or more"),
        ({"max_batch_size": "4"}, TypeError, "max_batch_size='4' is not a whole number"),
        ({"max_batch_size": 1.5}, TypeError, "max_batch_size=1.5 is not a whole number"),
        ({"max_batch_cost": 5}, ValueError, "max_batch_cost and cost_fn belong together: give both, or neither"),
        ({"cost_fn": len}, ValueError, "max_batch_cost and cost_fn belong together"),
        ({"max_batch_cost": 0, "cost_fn": len}, ValueError, "max_batch_cost=0 is out of range; write a number above 0"),
        ({"max_batch_cost": "5", "cost_fn": len}, TypeError, "max_batch_cost='5' is not a number"),
        ({"max_batch_cost": 5, "cost_fn": 5}, TypeError, "cost_fn=5 is not a function"),
        ({"request": "Prompt"}, TypeError, "request='Prompt' is not a function"),
        ({"max_waiting": 0}, ValueError, "max_waiting=0 is too small"),
        ({"linger_s": -1}, ValueError, "linger_s=-1 is out of range"),
        ({"step_timeout_s": None}, TypeError, "step_timeout_s=None is not a number of seconds"),
    ],
)
def test_wrong_arguments_of_the_decorator_say_what_to_write(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        continuous_batch(**options)
    assert str(caught.value).startswith(text)


def test_a_size_that_is_a_whole_float_counts() -> None:
    @continuous_batch(max_batch_size=4.0)  # type: ignore[arg-type]
    def decode(slots: Slots[int, int]) -> Iterator[None]:
        yield

    assert decode._plan.admission.places == 4


def returns(slots: Slots[int, int]) -> list[int]:
    return []


def too_many(self: Any, slots: Slots[int, int], more: int) -> Iterator[None]:
    yield


def none() -> Iterator[None]:
    yield


def by_name(*, slots: Slots[int, int]) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (returns, "@continuous_batch stands above returns, which is no generator function: write `def decode(self, "),
        (7, "@continuous_batch stands above 7, which is no generator function"),
        (too_many, "too_many takes 3 parameters: write `def decode(self, slots: Slots[str, str]) -> Iterator[None]:`"),
        (none, "none takes 0 parameters: write `def decode"),
        (by_name, "by_name takes `slots` by its name alone: write `def decode"),
    ],
)
def test_it_stands_above_a_generator_function_over_slots(function: Any, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        continuous_batch(function)
    assert str(caught.value).startswith(text)


def test_its_name_and_its_documentation_stay() -> None:
    @continuous_batch
    def decode(slots: Slots[int, int]) -> Iterator[None]:
        """Decodes."""
        yield

    assert (decode.__name__, decode.__doc__) == ("decode", "Decodes.")
    assert repr(decode) == "<continuously batched decode>"


async def test_slots_are_a_sequence_of_those_in_the_step() -> None:
    seen: list[Any] = []

    @continuous_batch
    async def decode(slots: Slots[int, int]) -> AsyncIterator[None]:
        while True:
            seen.append((len(slots), slots[0].request, [slot.request for slot in slots[1:]], len(slots.joined)))
            assert slots[-1] in slots
            assert isinstance(slots[0], Slot)
            slots[0].finish()
            yield

    await asyncio.gather(*(read(decode(each)) for each in (5, 6, 7)))
    assert seen == [(3, 5, [6, 7], 3), (2, 6, [7], 0), (1, 7, [], 0)]
