"""`@batch` as its users see it: on functions and methods, on any event loop, and from threads."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

from headrace.batching import batch, current_batch
from headrace.batching.surroundings import SURROUNDINGS, Caller, Surroundings, surrounded
from headrace.errors import Cancelled, DeadlineExceeded
from headrace.metrics import Metrics
from headrace.streams.children import Children


class Poet:
    def __init__(self, name: str = "") -> None:
        self.name = name

    @batch(max_batch_size=4)
    async def write(self, topics: list[str], lines: list[int] = 2) -> list[str]:  # type: ignore[assignment]
        """Writes about each topic."""
        return [f"{self.name}{topic}{line}/{len(topics)}" for topic, line in zip(topics, lines, strict=True)]

    @batch
    def recite(self, words: list[str]) -> Iterator[list[str]]:
        for n in range(3):
            yield [f"{word}{n}" for word in words]


# binding


async def test_calls_bind_as_plain_ones_defaults_included() -> None:
    poet = Poet()
    answers = await asyncio.gather(poet.write("a"), poet.write("b", 3), poet.write(lines=4, topics="c"))
    assert answers == ["a2/3", "b3/3", "c4/3"]


async def test_arguments_that_do_not_fit_fail_at_the_call() -> None:
    with pytest.raises(TypeError, match=r"^Poet.write\(topics: list\[str\], lines: .*\): missing a required argument"):
        Poet().write()


async def test_each_caller_of_a_generator_reads_its_own_items() -> None:
    poet = Poet()
    one, other = poet.recite("a"), poet.recite("b")
    assert [item async for item in one] == ["a0", "a1", "a2"]
    assert [item async for item in other] == ["b0", "b1", "b2"]


async def test_a_generator_runs_for_a_call_that_nobody_reads_yet() -> None:
    ran = asyncio.Event()

    @batch
    async def stream(values: list[int]) -> AsyncIterator[list[int]]:
        ran.set()
        yield values

    call = stream(1)
    async with asyncio.timeout(10):
        await ran.wait()
    assert [item async for item in call] == [1]


async def test_a_method_may_be_called_on_its_class() -> None:
    assert await Poet.write(Poet("P "), "a") == "P a2/1"


async def test_it_may_be_a_static_method() -> None:
    class Model:
        @staticmethod
        @batch
        async def double(numbers: list[int]) -> list[int]:
            return [2 * number for number in numbers]

    assert await Model.double(4) == 8
    assert await Model().double(4) == 8


async def test_an_overriding_method_may_call_the_one_below() -> None:
    class Upper(Poet):
        @batch
        async def write(self, topics: list[str]) -> list[str]:
            return [line.upper() for line in await asyncio.gather(*(super(Upper, self).write(each) for each in topics))]

    poet = Upper()
    assert await asyncio.gather(poet.write("a"), poet.write("b")) == ["A2/2", "B2/2"]


def test_it_keeps_the_name_and_the_text_of_the_function() -> None:
    assert (Poet.write.__name__, Poet.write.__doc__) == ("write", "Writes about each topic.")
    assert repr(Poet.write) == "<batched Poet.write>"
    assert Poet().write.__name__ == "write"


# instances and loops


async def test_each_instance_has_batches_of_its_own() -> None:
    one, other = Poet("1 "), Poet("2 ")
    answers = await asyncio.gather(one.write("a"), other.write("b"), one.write("c"))
    assert answers == ["1 a2/2", "2 b2/1", "1 c2/2"]


class Slotted:
    __slots__ = ()

    @batch
    async def same(self, values: list[int]) -> list[int]:
        return [value + len(values) for value in values]


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise AssertionError("instances are not compared")

    @batch
    async def same(self, values: list[int]) -> list[int]:
        return [value + len(values) for value in values]


@pytest.mark.parametrize("kind", [Slotted, Unhashable])
async def test_an_instance_needs_neither_a_hash_nor_weak_references(kind: Any) -> None:
    one, other = kind(), kind()
    assert await asyncio.gather(one.same(1), one.same(2), other.same(3)) == [3, 4, 4]
    assert await one.same(1) == 2


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_every_event_loop_has_batches_of_its_own(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    poet = Poet()

    async def main() -> list[str]:
        return list(await asyncio.gather(poet.write("a"), poet.write("b")))

    for _ in range(2):
        with asyncio.Runner(loop_factory=make) as runner:
            assert runner.run(main()) == ["a2/2", "b2/2"]


def test_loops_on_two_threads_do_not_disturb_each_other() -> None:
    poet = Poet()
    results: list[list[str]] = []

    async def client(name: str) -> list[str]:
        return [await poet.write(f"{name}{n}") for n in range(50)]

    async def main(name: str) -> None:
        results.extend(await asyncio.gather(client(name), client(name)))

    def work(name: str) -> None:
        asyncio.run(main(name))

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted({line for lines in results for line in lines}) == sorted(
        f"{x}{n}2/2" for x in "ab" for n in range(50)
    )


def test_an_answer_may_be_run_by_itself() -> None:
    assert asyncio.run(Poet().write("a")) == "a2/1"  # type: ignore[arg-type]


def test_an_answer_may_be_run_by_itself_on_a_loop_that_rests_between() -> None:
    answers: list[Any] = []

    def work() -> None:
        poet = Poet()
        with asyncio.Runner() as runner:
            answers.extend(runner.run(poet.write(each)) for each in "ab")  # type: ignore[arg-type]

    thread = threading.Thread(target=work, daemon=True)  # one that waited for itself would never end
    thread.start()
    thread.join(10)
    assert answers == ["a2/1", "b2/1"]


async def test_an_instance_without_weak_references_keeps_its_batches_on_one_loop_when_another_rests() -> None:
    may_go = asyncio.Event()
    running: list[int] = []

    class Shared:
        __slots__ = ()

        @batch(batch_wait_timeout_s=0)
        async def same(self, values: list[int]) -> list[int]:
            running.extend(values)
            if values != [0]:
                await may_go.wait()
            return values

    shared = Shared()
    async with asyncio.timeout(10):
        first = asyncio.ensure_future(shared.same(1))
        while not running:
            await asyncio.sleep(0)
        await asyncio.to_thread(asyncio.run, shared.same(0))  # type: ignore[arg-type]
        second = asyncio.ensure_future(shared.same(2))
        for _ in range(20):
            await asyncio.sleep(0)
        assert running == [1, 0]  # the second waits for the place of the first
        may_go.set()
        assert await asyncio.gather(first, second) == [1, 2]


def test_a_loop_that_was_closed_in_the_middle_does_no_harm() -> None:
    @batch(batch_wait_timeout_s=60)
    async def stream(values: list[int]) -> AsyncIterator[list[int]]:
        yield values

    async def call() -> Any:
        return stream(1)

    loop = asyncio.new_event_loop()
    left = loop.run_until_complete(call())
    loop.close()
    del left
    gc.collect()

    async def again() -> None:
        stream.set_batch_wait_timeout_s(0)
        assert [item async for item in stream(2)] == [2]

    asyncio.run(again())


def test_calls_that_run_when_the_loop_ends_are_stopped() -> None:
    closed: list[str] = []

    @batch
    async def stream(values: list[int]) -> AsyncIterator[list[int]]:
        try:
            while True:
                yield values
                await asyncio.sleep(0)
        finally:
            closed.append("generator")

    readers: list[Any] = []

    async def main() -> None:
        readers.append(stream(1))
        await anext(readers[0])

    asyncio.run(main())
    assert closed == ["generator"]

    async def look_again() -> None:
        with pytest.raises(Cancelled, match=r"^stream was stopped$"):
            assert {item async for item in readers[0]} == {1}

    asyncio.run(look_again())


async def test_an_instance_without_weak_references_is_let_go_when_nothing_runs() -> None:
    class Held:
        pass

    class Holding:
        __slots__ = ("held",)

        def __init__(self, held: Held) -> None:
            self.held = held

        @batch
        async def same(self, values: list[int]) -> list[int]:
            return values

    held = Held()
    known = weakref.ref(held)
    assert await Holding(held).same(1) == 1
    del held
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert known() is None


async def test_an_instance_lives_no_longer_than_its_owner_holds_it() -> None:
    poet = Poet()
    await poet.write("a")
    known = weakref.ref(poet)
    del poet
    for _ in range(3):  # the batch comes to its end just after its answers
        await asyncio.sleep(0)
    gc.collect()
    assert known() is None


# what the function stands in


async def test_a_batch_belongs_to_no_single_request() -> None:
    children = Children()
    surroundings = Surroundings(asyncio.get_running_loop(), Metrics(), lambda: Caller("r-1", children))

    @batch
    async def look(values: list[int]) -> list[Any]:
        return [(SURROUNDINGS.get(), current_batch().ids)]

    with surrounded(surroundings):
        assert await look(1) == (surroundings, ("r-1",))


# threads


async def from_thread(function: Callable[[], Any]) -> Any:
    async with asyncio.timeout(10):
        return await asyncio.to_thread(function)


def in_service(caller: Caller | None = None) -> Surroundings:
    return Surroundings(asyncio.get_running_loop(), Metrics(), lambda: caller)


async def test_a_thread_of_a_service_gets_the_answer_itself() -> None:
    poet = Poet()
    with surrounded(in_service()):
        assert await from_thread(lambda: poet.write("a")) == "a2/1"


async def test_a_thread_of_a_service_iterates() -> None:
    poet = Poet()
    with surrounded(in_service()):
        assert await from_thread(lambda: list(poet.recite("a"))) == ["a0", "a1", "a2"]


async def test_a_thread_finds_the_loop_that_the_instance_is_used_on() -> None:
    poet = Poet()
    await poet.write("a")
    assert await from_thread(lambda: poet.write("b")) == "b2/1"


async def test_errors_reach_the_thread() -> None:
    @batch
    async def fail(values: list[int]) -> list[int]:
        raise ValueError("no")

    def call() -> None:
        fail(1)

    with surrounded(in_service()), pytest.raises(ValueError, match="no"):
        await from_thread(call)


async def test_a_thread_that_leaves_frees_the_member() -> None:
    closed = asyncio.Event()

    @batch
    async def endless(values: list[int]) -> AsyncIterator[list[int]]:
        try:
            while True:
                yield values
                await asyncio.sleep(0)
        finally:
            closed.set()

    def read() -> None:
        calls: Any = endless(1)
        assert next(calls) == 1
        calls.close()

    with surrounded(in_service()):
        await from_thread(read)
    async with asyncio.timeout(10):
        await closed.wait()


@pytest.mark.parametrize("streams", [True, False])
async def test_a_thread_that_waits_is_freed_when_its_request_is_stopped(streams: bool) -> None:
    entered, stopped = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def answer(values: list[int]) -> list[int]:
        await work()
        return values

    async def stream(values: list[int]) -> AsyncIterator[list[int]]:
        await work()
        yield values

    batched: Any = batch(stream if streams else answer)
    children = Children()
    with surrounded(in_service(Caller("r-1", children))):
        waiting = asyncio.create_task(from_thread(lambda: list(batched(1)) if streams else batched(1)))
    async with asyncio.timeout(10):
        await entered.wait()
        children.cancel(DeadlineExceeded())
        with pytest.raises(DeadlineExceeded):
            await waiting
        await stopped.wait()


def test_a_generator_without_a_loop_is_refused() -> None:
    with pytest.raises(
        RuntimeError, match=r"^no event loop runs that Poet.recite was used on; call it in a coroutine$"
    ):
        Poet().recite("a")


# wrong use of the decorator


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_batch_size": 0}, ValueError, "max_batch_size=0 is too small; write 1 or more"),
    ({"max_batch_size": 2.5}, TypeError, "max_batch_size=2.5 is not a whole number; write 1 or more"),
    ({"batch_wait_timeout_s": -1}, ValueError, "batch_wait_timeout_s=-1 is out of range; write a finite time of 0 s"),
    ({"batch_wait_timeout_s": "1"}, TypeError, "batch_wait_timeout_s='1' is not a number of seconds"),
    ({"max_concurrent_batches": 0}, ValueError, "max_concurrent_batches=0 is too small; write 1 or more"),
    ({"max_waiting": 0}, ValueError, "max_waiting=0 is too small; write 1 or more"),
    ({"batch_size_fn": 3}, TypeError, "batch_size_fn=3 is not a function; write None or one"),
    ({"on_error": "retry"}, ValueError, 'on_error=\'retry\' is not known; write on_error="fail" or on_error="isol'),
]


@pytest.mark.parametrize(("options", "kind", "message"), WRONG, ids=lambda value: str(value)[:30])
def test_a_wrong_option_is_told_at_the_decoration(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        batch(**options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("option", ["max_batch_size", "batch_wait_timeout_s"])
def test_settings_are_checked_as_the_options_are(option: str) -> None:
    poet = Poet()
    with pytest.raises(ValueError, match=rf"^{option}=-1 is "):
        getattr(poet.write, f"set_{option}")(-1)
    assert (poet.write.max_batch_size, poet.write.batch_wait_timeout_s) == (4, 0.01)


def test_settings_may_be_whole_floats() -> None:
    async def same(values: list[int]) -> list[int]:
        return values

    batched = batch(max_batch_size=8.0, batch_wait_timeout_s=1)(same)  # type: ignore[call-overload]
    batched.set_max_batch_size(16.0)  # type: ignore[arg-type]
    assert (batched.max_batch_size, batched.batch_wait_timeout_s) == (16, 1.0)


def test_without_options_there_are_these() -> None:
    assert (Poet.recite.max_batch_size, Poet.recite.batch_wait_timeout_s) == (10, 0.01)


@pytest.mark.parametrize("marked", [5, "write", Poet, len, staticmethod(len), property(len), Poet.write])
def test_what_is_no_function_is_refused(marked: Any) -> None:
    with pytest.raises(TypeError, match=r"which is no function; put it directly above a `def`$"):
        batch(marked)


def test_a_function_without_parameters_is_refused() -> None:
    async def nothing() -> list[int]:
        return []

    with pytest.raises(TypeError, match=r"^nothing\(\) cannot be batched: it needs a parameter"):
        batch(nothing)


def test_a_call_that_nobody_awaits_does_nothing() -> None:
    async def main() -> None:
        call: Any = Poet().write("a")
        assert isinstance(call, Coroutine)
        call.close()

    asyncio.run(main())
