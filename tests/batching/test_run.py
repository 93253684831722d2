"""What each member of a batch gets: its own values, in its own time, and one ending."""

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from headrace.batching.dynamic import batch
from headrace.batching.run import DONE, Batch, check_step, current_batch, is_end
from headrace.errors import InternalError, SlowReader
from headrace.testing.clock import run


async def read(stream: AsyncIterator[Any]) -> list[Any]:
    """The items; an error that ends them is the last."""
    items: list[Any] = []
    try:
        async for item in stream:
            items += [item]
    except Exception as error:
        items.append(f"{type(error).__name__}: {error}")
    return items


ENDS = [DONE, batch.DONE, StopIteration, StopIteration(), StopAsyncIteration, StopAsyncIteration()]


@pytest.mark.parametrize("end", ENDS)
def test_these_end_the_stream_of_their_member(end: Any) -> None:
    assert is_end(end)


@pytest.mark.parametrize("value", [None, "DONE", 0, Exception(), KeyError, np.array([1, 2]), np.array([])])
def test_any_other_value_is_an_item(value: Any) -> None:
    assert not is_end(value)


def test_the_end_shows_its_name() -> None:
    assert repr(batch.DONE) == "batch.DONE"


# the form of a step


WRONG = [
    ("ab", TypeError, "HR15 f yielded str for a batch of 2: yield a list with one value per member, in their order"),
    (b"ab", TypeError, "HR15 f yielded bytes for a batch of 2: "),
    ({"a": 1, "b": 2}, TypeError, "HR15 f yielded dict for a batch of 2: "),
    ({1, 2}, TypeError, "HR15 f yielded set for a batch of 2: "),
    (None, TypeError, "HR15 f yielded NoneType for a batch of 2: "),
    (7, TypeError, "HR15 f yielded int for a batch of 2: "),
    ((n for n in range(2)), TypeError, "HR15 f yielded generator for a batch of 2: "),
    (np.array(7), TypeError, "HR15 f yielded ndarray for a batch of 2: "),
    ([1], ValueError, "HR15 f yielded 1 values for a batch of 2: "),
    ([], ValueError, "HR15 f yielded 0 values for a batch of 2: "),
    (np.zeros((3, 2)), ValueError, "HR15 f yielded 3 values for a batch of 2: "),
]


@pytest.mark.parametrize(("step", "kind", "message"), WRONG, ids=lambda value: str(value)[:20])
def test_a_step_of_a_wrong_form_is_told(step: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        check_step("f", True, step, 2)
    assert str(caught.value).startswith(message)


def test_what_a_function_returned_is_told_as_that() -> None:
    with pytest.raises(
        ValueError, match=r"^HR15 f returned 1 values for a batch of 2: return a list with one value per"
    ):
        check_step("f", False, [1], 2)


@pytest.mark.parametrize("step", [[1, 2], (1, 2), np.array([1, 2]), {1: 2, 3: 4}.values()])
def test_a_step_may_be_any_sequence(step: Any) -> None:
    check_step("f", True, step, 2)


# all kinds of function


async def answer_wrong(words: list[str]) -> list[str]:
    return words[1:]


def block_wrong(words: list[str]) -> list[str]:
    return words[1:]


async def yield_wrong(words: list[str]) -> AsyncIterator[list[str]]:
    yield words
    yield words[1:]


def iterate_wrong(words: list[str]) -> Iterator[list[str]]:
    yield words
    yield words[1:]


@pytest.mark.parametrize("function", [answer_wrong, block_wrong])
async def test_a_wrong_length_fails_every_call_and_not_the_next_batch(function: Callable[..., Any]) -> None:
    batched = batch(function)
    for _ in range(2):
        results = await asyncio.gather(batched("a"), batched("b"), return_exceptions=True)
        assert [str(each).partition(": ")[0] for each in results] == [
            f"HR15 {function.__name__} returned 1 values for a batch of 2"
        ] * 2


@pytest.mark.parametrize("function", [yield_wrong, iterate_wrong])
async def test_a_wrong_length_midway_leaves_what_was_delivered(function: Callable[..., Any]) -> None:
    batched = batch(function)
    for _ in range(2):
        a, b = batched("a"), batched("b")
        wrong = (
            f"ValueError: HR15 {function.__name__} yielded 1 values for a batch of 2:"
            " yield a list with one value per member, in their order"
        )
        assert await read(a) == ["a", wrong]
        assert await read(b) == ["b", wrong]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_wrong_length_closes_the_generator(kind: str) -> None:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def stream(words: list[str]) -> AsyncIterator[list[str]]:
        try:
            yield []
            yield words
        finally:
            closed.set()

    def iterate(words: list[str]) -> Iterator[list[str]]:
        try:
            yield []
            yield words
        finally:
            loop.call_soon_threadsafe(closed.set)

    batched: Any = batch(stream if kind == "async" else iterate)
    assert len(await read(batched("a"))) == 1
    async with asyncio.timeout(10):
        await closed.wait()


# endings


async def test_a_member_that_is_done_ends_at_once_and_never_sees_a_later_error() -> None:
    ended = asyncio.Event()

    @batch(max_batch_size=2)
    async def count(limits: list[int]) -> AsyncIterator[list[Any]]:
        for n in range(3):
            yield [batch.DONE if n >= limit else n for limit in limits]
            if n == 1:
                await ended.wait()
        raise ValueError("after all")

    short, long = count(1), count(9)
    async with asyncio.timeout(10):
        assert await read(short) == [0]
        ended.set()
        assert await read(long) == [0, 1, 2, "ValueError: after all"]


async def test_values_after_the_end_of_a_member_are_ignored() -> None:
    @batch(max_batch_size=2)
    async def count(limits: list[int]) -> AsyncIterator[list[Any]]:
        yield [StopIteration, 1]
        yield ["never", 2]
        yield [batch.DONE, 3]

    a, b = count(1), count(1)
    assert [await read(a), await read(b)] == [[], [1, 2, 3]]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_generator_is_closed_when_all_its_members_are_done(kind: str) -> None:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def stream(words: list[str]) -> AsyncIterator[list[Any]]:
        try:
            while True:
                yield words
                yield [batch.DONE] * len(words)
        finally:
            closed.set()

    def iterate(words: list[str]) -> Iterator[list[Any]]:
        try:
            while True:
                yield words
                yield [batch.DONE] * len(words)
        finally:
            loop.call_soon_threadsafe(closed.set)

    batched: Any = batch(stream if kind == "async" else iterate)
    async with asyncio.timeout(10):
        assert await read(batched("a")) == ["a"]
        await closed.wait()


async def test_an_answer_that_looks_like_an_end_is_an_answer() -> None:
    @batch
    async def same(values: list[Any]) -> list[Any]:
        return values

    assert await same(batch.DONE) is batch.DONE


async def test_arrays_are_items_like_any_other() -> None:
    @batch(max_batch_size=2)
    async def rows(sizes: list[int]) -> AsyncIterator[Any]:
        yield np.ones((len(sizes), 3))

    a, b = rows(1), rows(2)
    assert [[item.tolist() for item in await read(each)] for each in (a, b)] == [[[1.0, 1.0, 1.0]]] * 2


# failures


FAILURES = [
    (ValueError("no"), ValueError, "no"),
    (asyncio.CancelledError(), InternalError, "fail raised CancelledError"),
    (KeyboardInterrupt(), InternalError, "fail raised KeyboardInterrupt"),
    (SystemExit(7), InternalError, "fail raised SystemExit"),
    (GeneratorExit(), InternalError, "fail raised GeneratorExit"),
]


@pytest.mark.parametrize(("error", "kind", "message"), FAILURES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("on_thread", [True, False])
async def test_whatever_it_raises_fails_every_member_and_the_next_batch_works(
    error: BaseException, kind: type[Exception], message: str, streams: bool, on_thread: bool
) -> None:
    calls = 0

    def work(words: list[str]) -> list[str]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise error
        return words

    def fail(words: list[str]) -> Any:
        return work(words)

    async def fail_async(words: list[str]) -> Any:
        return work(words)

    def fail_iterating(words: list[str]) -> Any:
        yield work(words)

    async def fail_streaming(words: list[str]) -> Any:
        yield work(words)

    functions: Any = [[fail_async, fail_streaming], [fail, fail_iterating]]
    function = functions[on_thread][streams]
    function.__qualname__ = "fail"
    batched = batch(function)

    async def ask(word: str) -> Any:
        return [item async for item in batched(word)] if streams else [await batched(word)]

    async with asyncio.timeout(10):
        results = await asyncio.gather(ask("a"), ask("b"), return_exceptions=True)
        assert [type(each) for each in results] == [kind, kind]
        assert str(results[0]) == message
        assert await ask("c") == ["c"]


@pytest.mark.parametrize("end", [StopIteration("x"), StopAsyncIteration("x")])
async def test_an_end_of_iteration_that_is_raised_is_a_failure(end: Exception) -> None:
    @batch
    def fail(words: list[str]) -> list[str]:
        raise end

    with pytest.raises((InternalError, RuntimeError)):
        await fail("a")


# isolation


async def test_an_isolated_failure_is_told_to_its_own_caller_only(caplog: pytest.LogCaptureFixture) -> None:
    sizes: list[int] = []

    @batch(on_error="isolate", max_batch_size=4)
    async def invert(numbers: list[float]) -> list[float]:
        sizes.append(len(numbers))
        return [1 / number for number in numbers]

    with caplog.at_level(logging.WARNING, "headrace.batching"):
        results = await asyncio.gather(*map(invert, [1, 0, 2, 4]), return_exceptions=True)
    assert [results[0], *results[2:]] == [1.0, 0.5, 0.25]
    assert isinstance(results[1], ZeroDivisionError)
    assert sizes == [4, 1, 1, 1, 1]
    assert [record.getMessage().rpartition(".invert ")[2] for record in caplog.records] == [
        "invert failed for a batch; 4 of its calls are tried once more, one by one"
    ]


async def test_a_call_that_is_tried_alone_is_a_batch_of_its_own() -> None:
    seen: list[tuple[str, ...]] = []

    @batch(on_error="isolate", max_batch_size=2)
    async def fail(numbers: list[int]) -> list[int]:
        seen.append(current_batch().ids)
        raise ValueError("no")

    await asyncio.gather(fail(1), fail(2), return_exceptions=True)
    assert seen == [("1", "2"), ("1",), ("2",)]


async def test_a_single_call_is_not_tried_again() -> None:
    calls: list[list[int]] = []

    @batch(on_error="isolate")
    async def fail(numbers: list[int]) -> list[int]:
        calls.append(numbers)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail(1)
    assert calls == [[1]]


async def test_members_that_had_items_are_not_tried_again() -> None:
    calls: list[list[str]] = []

    @batch(on_error="isolate", max_batch_size=3)
    async def stream(words: list[str]) -> AsyncIterator[list[Any]]:
        calls.append(words)
        yield [batch.DONE if word == "none" else word for word in words]
        raise ValueError("no")

    readers = [stream("a"), stream("none"), stream("b")]
    assert [await read(each) for each in readers] == [["a", "ValueError: no"], [], ["b", "ValueError: no"]]
    assert calls == [["a", "none", "b"]]


async def test_without_isolation_nothing_is_tried_again() -> None:
    calls: list[list[int]] = []

    @batch(max_batch_size=2)
    async def fail(numbers: list[int]) -> list[int]:
        calls.append(numbers)
        raise ValueError("no")

    await asyncio.gather(fail(1), fail(2), return_exceptions=True)
    assert calls == [[1, 2]]


# leaving


async def test_a_call_that_is_cancelled_while_it_runs_leaves_alone() -> None:
    entered, may_go = asyncio.Event(), asyncio.Event()
    seen: list[bool] = []

    @batch(max_batch_size=2)
    async def work(words: list[str]) -> list[str]:
        entered.set()
        await may_go.wait()
        seen.extend(member.cancelled for member in current_batch().members)
        return words

    async with asyncio.timeout(10):
        leaving, staying = asyncio.create_task(work("a")), asyncio.create_task(work("b"))
        await entered.wait()
        leaving.cancel()
        await asyncio.wait([leaving])
        may_go.set()
        assert await staying == "b"
    assert seen == [True, False]


@pytest.mark.parametrize("streams", [True, False])
async def test_async_code_is_stopped_at_once_when_its_last_member_leaves(streams: bool) -> None:
    entered, stopped = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def answer(words: list[str]) -> list[str]:
        await work()
        return words

    async def stream(words: list[str]) -> AsyncIterator[list[str]]:
        await work()
        yield words

    async with asyncio.timeout(10):
        call = batch(stream)("a") if streams else batch(answer)("a")
        waiting = asyncio.ensure_future(anext(call) if streams else call)  # type: ignore[call-overload, arg-type]
        await entered.wait()
        waiting.cancel()
        await stopped.wait()


async def leave_by_closing(stream: Any) -> None:
    await anext(stream)
    await stream.aclose()


async def leave_by_dropping(stream: Any) -> None:
    async for _ in stream:
        break


async def leave_by_cancelling(stream: Any) -> None:
    async def drain() -> None:
        async for _ in stream:
            pass

    await anext(stream)
    task = asyncio.create_task(drain())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def leave_by_closing_around(stream: Any) -> None:
    async def around(inner: Any) -> AsyncIterator[Any]:
        async for item in inner:
            yield item

    outer: Any = around(stream)
    del stream
    await anext(outer)
    await outer.aclose()


@pytest.mark.parametrize("leave", [leave_by_closing, leave_by_dropping, leave_by_cancelling, leave_by_closing_around])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_generator_is_closed_when_its_last_reader_leaves(leave: Callable[[Any], Any], kind: str) -> None:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def stream(words: list[str]) -> AsyncIterator[list[str]]:
        try:
            while True:
                yield words
        finally:
            closed.set()

    def iterate(words: list[str]) -> Iterator[list[str]]:
        try:
            while True:
                yield words
        finally:
            loop.call_soon_threadsafe(closed.set)

    batched: Any = batch(stream if kind == "async" else iterate)
    async with asyncio.timeout(10):
        await leave(batched("a"))
        await closed.wait()


def test_a_reader_that_does_not_read_holds_up_nobody_and_is_given_up() -> None:
    async def main() -> None:
        @batch(max_batch_size=2)
        async def count(words: list[str]) -> AsyncIterator[list[str]]:
            for _ in range(1000):
                await asyncio.sleep(0.1)  # on a clock that jumps
                yield words

        slow, fast = count("slow"), count("fast")
        assert len(await read(fast)) == 1000
        assert asyncio.get_running_loop().time() == pytest.approx(100)
        items = await read(slow)
        assert items[-1].startswith(SlowReader.__name__)
        assert 500 < len(items) < 600  # 256 and what 30 s make

    run(main)


def test_a_batch_whose_readers_are_all_behind_waits_for_one_of_them() -> None:
    made = 0

    async def main() -> None:
        @batch(max_batch_size=2)
        async def count(words: list[str]) -> AsyncIterator[list[str]]:
            nonlocal made
            for _ in range(1000):
                made += 1
                yield words

        one, other = count("one"), count("other")
        await asyncio.sleep(20)  # on a clock that jumps
        assert made == 256
        for _ in range(10):
            await anext(one)
        await asyncio.sleep(1)
        assert made == 266
        await asyncio.sleep(20)
        assert (await read(other))[-1].startswith(SlowReader.__name__)  # 41 s without a look
        assert len(await read(one)) == 990

    run(main)


async def test_a_reader_that_stays_keeps_nothing_of_its_mates() -> None:
    class Value:
        pass

    @batch(max_batch_size=2)
    async def stream(values: list[Value]) -> AsyncIterator[list[int]]:
        yield [1] * len(values)

    value = Value()
    known = weakref.ref(value)
    mate, staying = stream(value), stream(Value())
    assert await read(mate) == [1]
    del value, mate
    for _ in range(10):  # the batch comes to its end
        await asyncio.sleep(0)
    gc.collect()
    assert known() is None
    assert await read(staying) == [1]


# the batch


async def test_the_function_knows_its_batch() -> None:
    seen: list[Batch] = []

    @batch(max_batch_size=2)
    def work(words: list[str]) -> list[str]:
        seen.append(current_batch())
        return words

    await asyncio.gather(work("a"), work("b"))
    assert seen[0].ids == ("1", "2")
    assert [member.cancelled for member in seen[0].members] == [False, False]


def test_outside_of_a_batch_there_is_none() -> None:
    with pytest.raises(RuntimeError, match=r"current_batch\(\) is called outside a function with @batch"):
        current_batch()
