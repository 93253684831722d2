import asyncio
import contextlib
import contextvars
import gc
import threading
import weakref
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from headrace.errors import Overloaded
from headrace.streams.threads import Threads


async def gather(threads: Threads, make: Any, **options: Any) -> list[Any]:
    return [value async for burst in threads.bursts(make, **options) for value in burst]


async def place_is_free(threads: Threads) -> bool:
    return await threads.call(lambda: True)


async def test_every_value_comes_once_and_in_order() -> None:
    assert await gather(Threads(), lambda: iter(range(10_000))) == list(range(10_000))


async def test_values_that_were_ready_come_in_one_burst() -> None:
    go, ready = threading.Event(), threading.Event()

    def numbers() -> Iterator[int]:
        go.wait(10)
        yield from (1, 2, 3)
        ready.set()

    bursts = Threads().bursts(numbers)
    first = asyncio.ensure_future(anext(bursts))
    await asyncio.sleep(0)
    go.set()
    assert ready.wait(10)  # holds the loop until the thread has made all three
    assert await first == [1, 2, 3]
    await bursts.aclose()


async def test_a_generator_without_values_has_no_bursts() -> None:
    assert [burst async for burst in Threads().bursts(list)] == []


async def test_the_generator_runs_on_one_thread_that_is_not_the_loops() -> None:
    def names() -> Iterator[int]:
        try:
            yield threading.get_ident()
            yield threading.get_ident()
        finally:
            seen.append(threading.get_ident())

    seen: list[int] = []
    seen += await gather(Threads(), names)
    assert len(set(seen)) == 1
    assert seen[0] != threading.get_ident()


async def test_the_generator_sees_the_callers_context_and_changes_only_a_copy() -> None:
    name = contextvars.ContextVar("name", default="nobody")
    name.set("caller")

    def names() -> Iterator[str]:
        yield name.get()
        name.set("thread")
        yield name.get()

    assert await gather(Threads(), names) == ["caller", "thread"]
    assert name.get() == "caller"


async def test_what_the_generator_raises_comes_after_the_values_before_it() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    got: list[int] = []

    async def read() -> None:
        async for burst in Threads().bursts(numbers):
            got.extend(burst)

    with pytest.raises(ValueError, match="no more"):
        await read()
    assert got == [1]


@pytest.mark.parametrize(
    ("raised", "arrives"),
    [
        (SystemExit, SystemExit),
        (KeyboardInterrupt, KeyboardInterrupt),
        (asyncio.CancelledError, asyncio.CancelledError),
        (GeneratorExit, GeneratorExit),
        (StopIteration, RuntimeError),
        (StopAsyncIteration, RuntimeError),
    ],
)
async def test_whatever_is_raised_arrives_and_is_no_clean_end(
    raised: type[BaseException], arrives: type[BaseException]
) -> None:
    def make() -> Iterator[int]:
        raise raised

    threads = Threads(limit=1)
    caught: BaseException | None = None
    try:
        await gather(threads, make)
    except BaseException as error:
        caught = error
    assert type(caught) is arrives
    assert await place_is_free(threads)


async def test_a_thread_runs_ahead_by_a_bounded_amount() -> None:
    made = 0

    def numbers() -> Iterator[int]:
        nonlocal made
        while made < 10_000:
            made += 1
            yield made

    bursts = Threads().bursts(numbers, ahead=10)
    taken = len(await anext(bursts))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert made <= taken + 10 + 1
    await bursts.aclose()


async def test_values_without_weight_are_bounded_too() -> None:
    made = 0

    def nothings() -> Iterator[bytes]:
        nonlocal made
        while made < 10_000:
            made += 1
            yield b""

    bursts = Threads().bursts(nothings, weigh=len, ahead=10)
    taken = len(await anext(bursts))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert made <= taken + 10 + 1
    await bursts.aclose()


async def test_one_value_that_weighs_more_than_all_room_passes() -> None:
    assert await gather(Threads(), lambda: [b"x" * 100, b"y" * 100], weigh=len, ahead=10) == [b"x" * 100, b"y" * 100]


async def test_a_thread_that_is_always_ahead_leaves_the_loop_its_turn() -> None:
    turns = bursts = 0
    made = threading.Semaphore(0)

    def numbers() -> Iterator[int]:
        for number in range(100):
            yield number
            made.release()  # the number is there for the reader

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async for _ in Threads().bursts(numbers, ahead=1):
        bursts += 1
        if bursts == 1:
            made.acquire(timeout=10)
        if bursts < 100:
            made.acquire(timeout=10)  # holds the loop until the next burst is ready
    task.cancel()
    assert bursts == 100
    assert turns >= 100


async def test_closing_closes_the_generator_on_its_thread() -> None:
    closed_on: list[int] = []

    def numbers() -> Iterator[int]:
        own = threading.get_ident()
        try:
            while True:
                yield own
        finally:
            closed_on.append(threading.get_ident())

    bursts = Threads().bursts(numbers)
    (own, *_) = await anext(bursts)
    await bursts.aclose()
    assert closed_on == [own]


async def test_what_the_cleanup_of_a_closed_generator_raises_is_raised() -> None:
    def numbers() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            raise KeyError("cleanup")

    bursts = Threads().bursts(numbers)
    await anext(bursts)
    with pytest.raises(KeyError, match="cleanup"):
        await bursts.aclose()


async def test_a_caller_cancelled_in_the_queue_takes_no_place() -> None:
    threads = Threads(limit=1)
    release = threading.Event()
    holder = asyncio.create_task(threads.call(release.wait))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(threads.call(lambda: 1))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait((waiting,))
    release.set()
    await holder
    assert await place_is_free(threads)


async def test_a_caller_cancelled_in_the_moment_of_its_turn_gives_the_place_back() -> None:
    threads = Threads(limit=1)
    release = threading.Event()
    holder = asyncio.create_task(threads.call(release.wait))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(threads.call(lambda: 1))
    holder.add_done_callback(lambda _: waiting.cancel())
    release.set()
    await asyncio.wait((waiting, holder))
    assert await place_is_free(threads)


@pytest.mark.parametrize("turns", range(8))
async def test_a_caller_cancelled_at_any_turn_gives_the_place_back(turns: int) -> None:
    threads = Threads(limit=1)

    async def read() -> None:
        async with contextlib.aclosing(threads.bursts(lambda: iter(range(1_000_000)), ahead=4)) as bursts:
            async for _ in bursts:
                pass

    task = asyncio.create_task(read())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert await place_is_free(threads)
    assert threads.stuck == 0


async def test_a_caller_cancelled_again_while_it_waits_for_its_thread_waits_on() -> None:
    threads = Threads(limit=1)
    inside, release, closed = threading.Event(), threading.Event(), threading.Event()

    def slow() -> Iterator[int]:
        try:
            inside.set()
            release.wait(10)
            yield 1
        finally:
            closed.set()

    task = asyncio.create_task(gather(threads, slow))
    await asyncio.to_thread(inside.wait, 10)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    release.set()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert closed.is_set()
    assert threads.stuck == 0
    assert await place_is_free(threads)


async def test_a_caller_cancelled_while_it_closes_is_cancelled_in_the_end() -> None:
    threads = Threads(limit=1)
    inside, release = threading.Event(), threading.Event()
    closing = asyncio.Event()

    def slow() -> Iterator[int]:
        yield 1
        inside.set()
        release.wait(10)

    async def leave() -> None:
        bursts = threads.bursts(slow)
        await anext(bursts)
        await asyncio.to_thread(inside.wait, 10)
        closing.set()
        await bursts.aclose()

    task = asyncio.create_task(leave())
    await closing.wait()
    task.cancel()
    await asyncio.sleep(0)
    release.set()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert await place_is_free(threads)


def test_a_thread_that_does_not_come_back_is_counted_and_made_up_for(
    jump: Any, caplog: pytest.LogCaptureFixture
) -> None:
    inside, release = threading.Event(), threading.Event()

    async def main() -> None:
        threads = Threads(limit=1)

        def stubborn() -> Iterator[int]:
            yield 1
            inside.set()
            release.wait(10)
            raise ValueError("late")

        bursts = threads.bursts(stubborn)
        await anext(bursts)
        assert inside.wait(10)
        await bursts.aclose()
        assert threads.stuck == 1
        assert "did not return within 1 s of being stopped; its thread goes on\nTraceback" in caplog.text
        assert ", in stubborn\n" in caplog.text
        next_ = asyncio.ensure_future(anext(threads.bursts(lambda: [7])))
        assert await next_ == [7]
        release.set()
        while threads.stuck:
            await asyncio.sleep(0)
        assert "raised long after it was stopped" in caplog.text

    jump(main)


def test_while_more_threads_are_stuck_than_may_run_new_work_is_refused(jump: Any) -> None:
    release = threading.Event()

    async def main() -> None:
        threads = Threads(limit=2)

        def stubborn() -> Iterator[int]:
            yield 1
            release.wait(10)

        for _ in range(3):
            bursts = threads.bursts(stubborn)
            await anext(bursts)
            await bursts.aclose()
        assert threads.stuck == 3
        for _ in range(5):  # a refusal takes no place
            with pytest.raises(Overloaded, match="3 worker threads are stuck in code that does not return"):
                await threads.call(lambda: 1)
        release.set()
        while threads.stuck:
            await asyncio.sleep(0)
        started = threads.bursts(lambda: [7])
        assert await anext(started) == [7]
        await started.aclose()

    jump(main)


async def test_a_place_comes_back_where_no_thread_can_be_started() -> None:
    threads = Threads(limit=1)
    before = threading.stack_size(1 << 46)  # more address space than there is
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            await threads.call(lambda: 1)
    finally:
        threading.stack_size(before)
    assert await place_is_free(threads)


async def test_a_call_returns_what_the_function_returns() -> None:
    assert await Threads().call(lambda: {"a": 1}) == {"a": 1}


async def test_a_call_raises_what_the_function_raises() -> None:
    def fail() -> None:
        raise KeyError("k")

    with pytest.raises(KeyError, match="k"):
        await Threads().call(fail)


async def test_at_most_limit_threads_run_at_a_time() -> None:
    threads = Threads(limit=2)
    running, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1

    await asyncio.gather(*(threads.call(work) for _ in range(20)))
    assert most <= 2


def test_a_thread_whose_loop_is_gone_ends_and_closes_its_generator() -> None:
    made = 0
    closed = threading.Event()

    def numbers() -> Iterator[int]:
        nonlocal made
        try:
            while True:
                made += 1
                yield made
        finally:
            closed.set()

    async def leave() -> AsyncGenerator[list[int], None]:
        bursts = Threads().bursts(numbers, ahead=4)
        taken = len(await anext(bursts))
        while made < taken + 5:  # then the thread waits for room
            await asyncio.sleep(0)
        return bursts

    loop = asyncio.new_event_loop()
    bursts = loop.run_until_complete(leave())
    loop.close()
    assert closed.wait(10)
    with contextlib.suppress(RuntimeError, StopIteration):
        bursts.aclose().send(None)


async def test_nothing_is_kept_alive_after_an_error() -> None:
    class Large:
        pass

    kept: list[weakref.ref[Large]] = []

    def numbers() -> Iterator[int]:
        large = Large()
        kept.append(weakref.ref(large))
        yield 1
        raise ValueError

    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            await gather(Threads(), numbers)
        await asyncio.sleep(0)
        assert kept[0]() is None
    finally:
        gc.enable()


async def test_what_wakes_a_waiting_thread_is_called_before_it_is_waited_for() -> None:
    threads = Threads()
    woken = threading.Event()

    def waits() -> Iterator[int]:
        yield 1
        woken.wait()

    bursts = threads.bursts(waits, on_stop=woken.set)
    assert await anext(bursts) == [1]
    async with asyncio.timeout(5):
        await bursts.aclose()
    assert threads.stuck == 0


async def test_a_call_that_waits_is_woken_too() -> None:
    threads = Threads()
    began, woken = threading.Event(), threading.Event()

    def waits() -> None:
        began.set()
        woken.wait()

    calling = asyncio.ensure_future(threads.call(waits, woken.set))
    await asyncio.to_thread(began.wait, 5)
    calling.cancel()
    await asyncio.wait((calling,), timeout=5)
    assert (calling.cancelled(), threads.stuck) == (True, 0)


def test_who_waits_too_long_for_a_thread_is_refused_and_takes_no_place(jump: Any) -> None:
    async def main() -> None:
        threads = Threads(limit=1)
        holder = threads.bursts(lambda: iter(range(1_000_000)), ahead=4)
        await anext(holder)
        since = asyncio.get_running_loop().time()
        with pytest.raises(Overloaded, match="none of 1 worker threads became free within 30 s"):
            await anext(threads.bursts(lambda: [7]))
        assert asyncio.get_running_loop().time() - since == pytest.approx(30)
        await holder.aclose()
        assert [burst async for burst in threads.bursts(lambda: [7])] == [[7]]

    jump(main)
