"""Calls from one service to another, as its code has them: on the event loop and on worker threads."""

import asyncio
import contextlib
import gc
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from composed import composed, in_background, turns, until
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.config import Settings
from headrace.errors import Cancelled, ClientGone, DeadlineExceeded, InternalError, InvalidItem, StreamError
from headrace.metrics import Metrics
from headrace.services.context import context
from headrace.services.decorators import endpoint, service
from headrace.services.dependencies import Handle, depends
from headrace.services.runtime import Runtime
from headrace.streams.channel import AHEAD
from headrace.wire.annotations import Stream
from headrace.wire.events import Footer, Header

FIVE = ["w0", "w1", "w2", "w3", "w4"]


class Busy(StreamError):
    """The model is busy."""

    code = "busy"
    status = 429


@dataclass
class Seen:
    """What the leaf did."""

    running: int = 0
    made: int = 0
    closed: list[str] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)


@service
class Leaf:
    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    @endpoint
    async def words(self, count: int = 5) -> AsyncIterator[str]:
        self.seen.running += 1
        try:
            for number in range(count):
                self.seen.made += 1
                yield f"w{number}"
        finally:
            self.seen.running -= 1
            self.seen.closed.append("words")

    @endpoint
    def blocking_words(self, count: int = 5) -> Iterator[str]:
        self.seen.running += 1
        try:
            for number in range(count):
                self.seen.made += 1
                yield f"w{number}"
        finally:
            self.seen.running -= 1

    @endpoint
    async def typed(self) -> Stream[str, dict[str, int], float]:
        yield Header({"a": 1})
        yield "x"
        yield Footer(1.5)

    @endpoint
    async def add(self, a: int, b: int = 2) -> int:
        return a + b

    @endpoint
    def blocking_add(self, a: int, b: int = 2) -> int:
        return a + b

    @endpoint
    async def wait(self) -> str:
        self.seen.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.seen.running -= 1
        return "never"

    @endpoint
    async def silent(self) -> AsyncIterator[str]:
        self.seen.running += 1
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            self.seen.running -= 1

    @endpoint
    async def breaks(self) -> AsyncIterator[str]:
        yield "one"
        raise RuntimeError("boom")

    @endpoint
    async def broken_answer(self) -> str:
        raise RuntimeError("boom")

    @endpoint
    async def busy(self) -> AsyncIterator[str]:
        yield "one"
        raise Busy

    @endpoint
    async def wrong(self) -> AsyncIterator[str]:
        yield "one"
        yield 2  # type: ignore[misc]

    @endpoint
    async def upper(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        async for word in words:
            yield word.upper()


Code = Callable[[Any], Any]


@service
class Top:
    leaf: Handle[Leaf] = depends(Leaf)

    def __init__(self, code: Code) -> None:
        self.code = code

    @endpoint
    async def run(self) -> None:
        await self.code(self.leaf)

    @endpoint
    def run_blocking(self) -> None:
        self.code(self.leaf)


async def run(code: Callable[[Any], Awaitable[None]], seen: Seen | None = None) -> None:
    """Runs code of a service on the event loop, with the handle of the leaf."""
    async with composed(Top.bind(code, leaf=Leaf.bind(seen or Seen()))) as running:
        await running.handle.run()


async def run_blocking(code: Callable[[Any], None], seen: Seen | None = None) -> None:
    """Runs code of a service on a worker thread, with the handle of the leaf."""
    async with composed(Top.bind(code, leaf=Leaf.bind(seen or Seen()))) as running:
        await running.handle.run_blocking()


# ---- reading


@pytest.mark.parametrize("name", ["words", "blocking_words"])
async def test_async_code_reads_a_stream(name: str) -> None:
    async def code(leaf: Any) -> None:
        assert [word async for word in getattr(leaf, name)()] == FIVE

    await run(code)


@pytest.mark.parametrize("name", ["words", "blocking_words"])
async def test_sync_code_reads_a_stream(name: str) -> None:
    def code(leaf: Any) -> None:
        assert list(getattr(leaf, name)()) == FIVE

    await run_blocking(code)


@pytest.mark.parametrize("name", ["add", "blocking_add"])
async def test_async_code_awaits_an_answer(name: str) -> None:
    async def code(leaf: Any) -> None:
        assert await getattr(leaf, name)(1) == 3

    await run(code)


@pytest.mark.parametrize("name", ["add", "blocking_add"])
async def test_sync_code_is_given_an_answer(name: str) -> None:
    def code(leaf: Any) -> None:
        assert getattr(leaf, name)(1, b=3) == 4

    await run_blocking(code)


async def test_a_typed_stream_gives_its_header_and_its_footer() -> None:
    async def code(leaf: Any) -> None:
        assert [event async for event in leaf.typed()] == [Header({"a": 1}), "x", Footer(1.5)]

    await run(code)


async def test_sync_code_gets_header_and_footer_too() -> None:
    def code(leaf: Any) -> None:
        assert list(leaf.typed()) == [Header({"a": 1}), "x", Footer(1.5)]

    await run_blocking(code)


@pytest.mark.parametrize("name", ["words", "blocking_words"])
async def test_a_long_stream_comes_whole_and_in_order(name: str) -> None:
    async def code(leaf: Any) -> None:
        assert [word async for word in getattr(leaf, name)(1000)] == [f"w{number}" for number in range(1000)]

    await run(code)


async def test_sync_code_gets_a_long_stream_whole_and_in_order() -> None:
    def code(leaf: Any) -> None:
        assert list(leaf.words(1000)) == [f"w{number}" for number in range(1000)]

    await run_blocking(code)


async def test_a_stream_is_read_once() -> None:
    async def code(leaf: Any) -> None:
        call = leaf.words()
        assert [word async for word in call] == FIVE
        assert [word async for word in call] == []

    await run(code)


async def test_reading_may_stop_and_go_on() -> None:
    async def code(leaf: Any) -> None:
        call = leaf.words()
        async for word in call:
            assert word == "w0"
            break
        assert [word async for word in call] == FIVE[1:]

    await run(code)


async def test_a_read_that_ran_out_of_time_loses_nothing() -> None:
    async def code(leaf: Any) -> None:
        gate = asyncio.Event()

        async def slowly() -> AsyncIterator[str]:
            yield "a"
            await gate.wait()
            yield "b"

        call = leaf.upper(slowly())
        assert await anext(call) == "A"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await anext(call)
        gate.set()
        assert await anext(call) == "B"

    await run(code)


async def test_two_tasks_cannot_read_one_call() -> None:
    async def code(leaf: Any) -> None:
        call = leaf.silent()
        assert await anext(call) == "first"
        reader = in_background(anext(call))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task is reading"):
            await anext(call)
        reader.cancel()

    await run(code)


@settings(max_examples=40, deadline=None)
@given(
    made=st.lists(st.integers(0, 2), max_size=150),
    read=st.lists(st.integers(0, 3), min_size=1, max_size=7),
)
def test_no_rhythm_of_making_and_reading_loses_or_reorders(made: list[int], read: list[int]) -> None:
    """The turns of the loop before each item, and after each reading."""

    @service
    class Rhythm:
        @endpoint
        async def numbers(self) -> AsyncIterator[int]:
            for number, naps in enumerate(made):
                await turns(naps)
                yield number

    async def main() -> None:
        async with composed(Rhythm) as running:
            got: list[int] = []
            async for number in running.handle.numbers():
                got.append(number)
                await turns(read[number % len(read)])
            assert got == list(range(len(made)))

    asyncio.run(main())


# ---- running


async def test_a_call_starts_before_it_is_read() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        call = leaf.words()
        await until(lambda: seen.made == 5)
        assert [word async for word in call] == FIVE

    await run(code, seen)


async def test_calls_made_together_run_together() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        calls = [leaf.silent(), leaf.silent(), leaf.wait()]
        await until(lambda: seen.running == 3)
        for call in calls:
            await call.aclose()

    await run(code, seen)
    assert seen.running == 0


@pytest.mark.parametrize("call", [asyncio.create_task, asyncio.ensure_future, asyncio.shield, asyncio.gather])
async def test_an_answer_can_be_handed_to_asyncio_like_that_of_the_method(call: Any) -> None:
    async def code(leaf: Any) -> None:
        assert await call(leaf.add(1)) in (3, [3])

    await run(code)


async def test_the_producer_stays_so_far_ahead_of_a_slow_reader_and_no_further() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        call = leaf.words(1000)
        await turns(50)
        assert seen.made == AHEAD
        await anext(call)  # takes all that is there
        await turns(50)
        assert seen.made == 2 * AHEAD

    await run(code, seen)


async def test_a_blocking_producer_pauses_too() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        call = leaf.blocking_words(100_000)
        await anext(call)
        await turns(2000)
        assert seen.made <= 4 * AHEAD

    await run(code, seen)


# ---- letting go


async def test_breaking_out_frees_the_call() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        async for _ in leaf.silent():
            assert seen.running == 1
            break
        await until(lambda: seen.running == 0)

    await run(code, seen)


async def test_sync_code_that_breaks_out_frees_the_call() -> None:
    seen = Seen()
    freed = threading.Event()

    @service
    class Telling(Leaf):
        @endpoint
        async def silent(self) -> AsyncIterator[str]:
            try:
                yield "first"
                await asyncio.Event().wait()
            finally:
                freed.set()

    def code(leaf: Any) -> None:
        for _ in leaf.silent():
            break
        assert freed.wait(10)

    async with composed(Top.bind(code, leaf=Telling.bind(seen))) as running:
        await running.handle.run_blocking()


async def test_a_dropped_call_that_nobody_read_is_freed() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        call = leaf.silent()
        await until(lambda: seen.running == 1)
        del call
        await until(lambda: seen.running == 0)

    await run(code, seen)


async def test_closing_returns_when_the_call_is_freed() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        async with contextlib.aclosing(leaf.silent()) as call:
            assert await anext(call) == "first"
        assert seen.running == 0
        assert [word async for word in call] == []

    await run(code, seen)


async def test_what_was_ready_is_gone_when_a_call_is_closed() -> None:
    async def code(leaf: Any) -> None:
        call = leaf.words()
        assert await anext(call) == "w0"
        await call.aclose()
        assert [word async for word in call] == []

    await run(code)


async def test_sync_code_closes_a_call() -> None:
    seen = Seen()

    def code(leaf: Any) -> None:
        with contextlib.closing(leaf.silent()) as call:
            assert next(call) == "first"
        assert seen.running == 0
        assert list(call) == []

    await run_blocking(code, seen)


async def test_closing_wakes_another_task_that_reads() -> None:
    async def code(leaf: Any) -> None:
        call = leaf.silent()
        assert await anext(call) == "first"
        reader = in_background(anext(call, "end"))
        await asyncio.sleep(0)
        await call.aclose()
        assert await reader == "end"

    await run(code)


async def test_closing_twice_is_closing_once() -> None:
    async def code(leaf: Any) -> None:
        call = leaf.words()
        await call.aclose()
        await call.aclose()

    await run(code)


async def test_a_call_ends_at_the_latest_with_the_code_that_made_it() -> None:
    seen = Seen()
    kept: list[Any] = []

    async def code(leaf: Any) -> None:
        kept.append(leaf.silent())
        assert await anext(kept[0]) == "first"

    async with composed(Top.bind(code, leaf=Leaf.bind(seen))) as running:
        await running.handle.run()
        assert seen.running == 0
        with pytest.raises(Cancelled):
            await anext(kept[0])


async def test_an_answer_that_is_not_waited_for_any_more_is_stopped() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        call = leaf.wait()
        with pytest.raises(TimeoutError) as kept:
            async with asyncio.timeout(0.001):
                await call
        await until(lambda: seen.running == 0)
        del kept

    await run(code, seen)


async def test_a_call_made_when_its_caller_has_ended_is_stopped_at_once() -> None:
    seen = Seen()
    left: list[asyncio.Task[None]] = []

    async def code(leaf: Any) -> None:
        async def later() -> None:
            await gate.wait()
            await leaf.add(1)

        left.append(in_background(later()))

    gate = asyncio.Event()
    async with composed(Top.bind(code, leaf=Leaf.bind(seen))) as running:
        await running.handle.run()
        gate.set()
        with pytest.raises(Cancelled):
            await left[0]


# ---- stopping


async def stopped(code: Code, seen: Seen, cause: StreamError, name: str = "run") -> Any:
    """Runs code, stops its stream once the leaf runs; what the caller's caller gets."""
    async with composed(Top.bind(code, leaf=Leaf.bind(seen))) as running:
        call = in_background(asyncio.wait_for(getattr(running.handle, name)(), 10))
        await until(lambda: seen.running == 1)
        (stream,) = [each for each in running.runtime.live.values() if each.endpoint == f"Top.{name}"]
        stream.cancel(cause)
        with pytest.raises(StreamError) as caught:
            await call
        assert running.counted("headrace_streams_total", 'endpoint="Leaf.', 'end="client_gone"') == 1
    return caught.value


@pytest.mark.parametrize("name", ["silent", "wait"])
async def test_a_call_is_stopped_with_its_caller_and_for_the_same_cause(name: str) -> None:
    seen, cause = Seen(), ClientGone()

    async def code(leaf: Any) -> None:
        call = getattr(leaf, name)()
        if name == "wait":
            await call
        async for _ in call:
            pass

    assert await stopped(code, seen, cause) is cause
    assert seen.running == 0


async def test_a_thread_that_waits_for_a_stream_wakes_when_its_caller_is_stopped() -> None:
    seen = Seen()
    raised: list[BaseException] = []

    def code(leaf: Any) -> None:
        try:
            for _ in leaf.silent():
                pass
        except BaseException as error:
            raised.append(error)
            raise

    assert isinstance(await stopped(code, seen, ClientGone(), "run_blocking"), ClientGone)
    assert [type(error) for error in raised] == [ClientGone]


async def test_a_thread_that_waits_for_an_answer_wakes_when_its_caller_is_stopped() -> None:
    seen = Seen()

    def code(leaf: Any) -> None:
        leaf.wait()

    assert isinstance(await stopped(code, seen, ClientGone(), "run_blocking"), ClientGone)


async def test_a_stop_reaches_three_levels() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        async for _ in leaf.silent():
            pass

    @service
    class Above:
        top: Handle[Top] = depends(Top.bind(code, leaf=Leaf.bind(seen)))

        @endpoint
        async def run(self) -> None:
            await self.top.run()

    async with composed(Above) as running:
        call = in_background(asyncio.wait_for(running.handle.run(), 10))
        await until(lambda: seen.running == 1)
        assert sorted(each.endpoint for each in running.runtime.live.values()) == [
            "Above.run",
            "Leaf.silent",
            "Top.run",
        ]
        next(each for each in running.runtime.live.values() if each.endpoint == "Above.run").cancel(ClientGone())
        with pytest.raises(ClientGone):
            await call
        assert (seen.running, running.runtime.live) == (0, {})
        assert running.counted("headrace_streams_total", 'end="client_gone"') == 3


async def test_a_call_that_is_stopped_by_its_own_id_fails_in_its_caller() -> None:
    async def code(leaf: Any) -> None:
        call = leaf.silent()
        await anext(call)
        next(each for each in running.runtime.live.values() if each.endpoint == "Leaf.silent").cancel()
        with pytest.raises(Cancelled):
            await anext(call)

    async with composed(Top.bind(code, leaf=Leaf.bind(Seen()))) as running:
        await running.handle.run()


# ---- failing


async def test_an_unknown_error_comes_after_the_items_with_the_original_as_its_cause() -> None:
    async def code(leaf: Any) -> None:
        call = leaf.breaks()
        assert await anext(call) == "one"
        with pytest.raises(InternalError) as caught:
            await anext(call)
        assert repr(caught.value.__cause__) == "RuntimeError('boom')"

    await run(code)


async def test_sync_code_gets_the_error_after_the_items() -> None:
    def code(leaf: Any) -> None:
        call = leaf.breaks()
        assert next(call) == "one"
        with pytest.raises(InternalError) as caught:
            next(call)
        assert repr(caught.value.__cause__) == "RuntimeError('boom')"
        assert list(call) == []

    await run_blocking(code)


async def test_an_answer_that_fails_raises() -> None:
    async def code(leaf: Any) -> None:
        with pytest.raises(InternalError) as caught:
            await leaf.broken_answer()
        assert repr(caught.value.__cause__) == "RuntimeError('boom')"

    await run(code)


async def test_a_failure_is_raised_once() -> None:
    async def code(leaf: Any) -> None:
        call = leaf.busy()
        with pytest.raises(Busy):
            assert [word async for word in call] == []
        assert [word async for word in call] == []

    await run(code)


@pytest.mark.parametrize(("name", "kind"), [("busy", Busy), ("wrong", InvalidItem)])
async def test_a_failure_that_nobody_catches_goes_up_with_its_own_class(name: str, kind: type[StreamError]) -> None:
    async def code(leaf: Any) -> None:
        async for _ in getattr(leaf, name)():
            pass

    async with composed(Top.bind(code, leaf=Leaf.bind(Seen()))) as running:
        with pytest.raises(kind):
            await running.handle.run()


async def test_a_failure_of_two_levels_that_nobody_read_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def code(leaf: Any) -> None:
        async for _ in leaf.breaks():
            pass

    async with composed(Top.bind(code, leaf=Leaf.bind(Seen()))) as running:
        call = running.handle.run()
        await until(lambda: running.counted("headrace_streams_total") == 2)
        del call
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    text = logging.Formatter().format(record)
    assert record.getMessage().startswith("Top.run failed")
    assert text.count("RuntimeError: boom") == 1
    assert text.count("Traceback (most recent call last)") == text.count("headrace.errors.InternalError") + 1 == 2
    assert "in breaks" in text
    assert "async for _ in leaf.breaks()" in text


async def test_a_failure_that_is_caught_leaves_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async def code(leaf: Any) -> None:
        with contextlib.suppress(InternalError):
            async for _ in leaf.breaks():
                pass

    await run(code)
    assert caplog.records == []


@pytest.mark.parametrize("close", [True, False])
async def test_a_failure_that_nobody_read_is_logged(close: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def code(leaf: Any) -> None:
        call = leaf.breaks()
        assert await anext(call) == "one"
        await until(lambda: len(running.runtime.live) == 1)
        if close:
            await call.aclose()

    async with composed(Top.bind(code, leaf=Leaf.bind(Seen()))) as running:
        await running.handle.run()
    assert [each.getMessage().partition(" (")[0] for each in caplog.records] == ["Leaf.breaks failed"]
    assert caplog.text.count("RuntimeError: boom") == 1


async def test_a_failure_between_the_drop_and_the_stop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    gate = asyncio.Event()

    @service
    class Late(Leaf):
        @endpoint
        async def breaks(self) -> AsyncIterator[str]:
            yield "one"
            await gate.wait()
            raise RuntimeError("boom")

    for rounds in range(8):  # turns of the loop between the failure's beginning and the drop
        gate.clear()

        async def code(leaf: Any, rounds: int = rounds) -> None:
            call = leaf.breaks()
            await anext(call)
            gate.set()
            await turns(rounds)
            del call
            await turns()

        async with composed(Top.bind(code, leaf=Late.bind(Seen()))) as running:
            await running.handle.run()
        assert caplog.text.count("RuntimeError: boom") == rounds + 1


async def test_a_failure_of_the_users_own_class_that_nobody_read_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def code(leaf: Any) -> None:
        call = leaf.busy()
        await until(lambda: running.counted("headrace_streams_total", 'endpoint="Leaf.busy"') == 1)
        del call

    async with composed(Top.bind(code, leaf=Leaf.bind(Seen()))) as running:
        await running.handle.run()
    assert caplog.records == []


async def test_the_failure_that_stopped_the_caller_is_not_logged_for_what_it_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        call = leaf.silent()
        try:
            await asyncio.Event().wait()
        finally:
            await until(lambda: running.counted("headrace_streams_total", 'endpoint="Leaf.silent"') == 1)
            del call

    async with composed(Top.bind(code, leaf=Leaf.bind(seen))) as running:
        call = in_background(asyncio.wait_for(running.handle.run(), 10))
        await until(lambda: seen.running == 1)
        next(each for each in running.runtime.live.values() if each.endpoint == "Top.run").cancel(InternalError())
        with pytest.raises(InternalError):
            await call
    assert caplog.records == []


async def test_what_cleanup_raises_after_a_stop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @service
    class Untidy(Leaf):
        @endpoint
        async def silent(self) -> AsyncIterator[str]:
            try:
                yield "first"
                await asyncio.Event().wait()
            finally:
                raise RuntimeError("untidy")

    async def code(leaf: Any) -> None:
        async for _ in leaf.silent():
            break

    async with composed(Top.bind(code, leaf=Untidy.bind(Seen()))) as running:
        await running.handle.run()
    assert caplog.text.count("Untidy.silent raised while it was stopped") == 1


async def test_many_calls_that_are_stopped_together_do_not_pile_up_their_tracebacks() -> None:
    depths: list[int] = []

    async def code(leaf: Any) -> None:
        async def read() -> None:
            try:
                async for _ in leaf.silent():
                    pass
            except ClientGone as error:
                step, depth = error.__traceback__, 0
                while step is not None:
                    step, depth = step.tb_next, depth + 1
                depths.append(depth)

        calls = [in_background(read()) for _ in range(20)]
        await until(lambda: len(running.runtime.live) == 21)
        next(each for each in running.runtime.live.values() if each.endpoint == "Top.run").cancel(ClientGone())
        await asyncio.shield(asyncio.wait(calls))

    async with composed(Top.bind(code, leaf=Leaf.bind(Seen()))) as running:
        with pytest.raises(ClientGone):
            await running.handle.run()
        await turns()
    assert len(depths) == 20
    assert max(depths) <= 4


class Large:
    """Something that must not be kept."""


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_failure_keeps_nothing_of_the_caller_alive(blocking: bool) -> None:
    kept: list[weakref.ref[Large]] = []

    async def code(leaf: Any) -> None:
        large = Large()
        kept.append(weakref.ref(large))
        async for _ in leaf.breaks():
            pass

    def blocking_code(leaf: Any) -> None:
        large = Large()
        kept.append(weakref.ref(large))
        for _ in leaf.breaks():
            pass

    async with composed(Top.bind(blocking_code if blocking else code, leaf=Leaf.bind(Seen()))) as running:
        gc.collect()
        gc.disable()
        try:
            with contextlib.suppress(InternalError):
                await (running.handle.run_blocking() if blocking else running.handle.run())
            await until(lambda: kept[0]() is None)  # the thread may be a moment longer about its own end
        finally:
            gc.enable()


# ---- used in the wrong way


async def test_a_stream_cannot_be_awaited() -> None:
    async def code(leaf: Any) -> None:
        with pytest.raises(TypeError) as caught:
            await leaf.words()
        assert str(caught.value).startswith(
            "HR15 Leaf.words is a stream: read it with `async for`, instead of awaiting it (tests/services/test_call."
        )

    await run(code)


async def test_an_answer_cannot_be_iterated(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    async def code(leaf: Any) -> None:
        try:
            async for _ in leaf.add(1):
                pass
        except TypeError as error:
            told.append(str(error))

    await run(code)
    assert told[0].startswith(
        "HR15 Leaf.add answers once: await it, instead of iterating (tests/services/test_call.py:"
    )
    assert caplog.records == []


async def test_an_answer_is_awaited_once() -> None:
    async def code(leaf: Any) -> None:
        call = leaf.add(1)
        assert await call == 3
        with pytest.raises(TypeError, match=r"HR15 Leaf\.add was awaited before: keep its answer"):
            await call

    await run(code)


async def test_an_answer_that_was_awaited_in_vain_is_no_mistake(caplog: pytest.LogCaptureFixture) -> None:
    async def code(leaf: Any) -> None:
        call = leaf.add(1)
        waiting = in_background(asyncio.wait_for(call, 10))
        await asyncio.sleep(0)
        waiting.cancel()
        del call
        await asyncio.wait([waiting])

    await run(code)
    assert caplog.records == []


async def test_an_answer_that_was_closed_says_so() -> None:
    async def code(leaf: Any) -> None:
        call = leaf.add(1)
        await call.aclose()
        with pytest.raises(TypeError, match=r"HR15 Leaf\.add was closed before it was awaited"):
            await call

    await run(code)


async def test_an_answer_that_is_never_awaited_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def code(leaf: Any) -> None:
        leaf.add(1)

    await run(code)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(
        "HR15 Leaf.add was called and its answer never awaited (tests/services/test_call.py:"
    )


async def test_an_answer_that_its_stopped_caller_did_not_await_is_no_mistake(caplog: pytest.LogCaptureFixture) -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        call = leaf.wait()
        await asyncio.Event().wait()
        await call

    await stopped(code, seen, ClientGone())
    assert caplog.records == []


async def test_the_coroutine_protocol_closes_an_answer() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        call = leaf.wait()
        await until(lambda: seen.running == 1)
        call.close()
        await until(lambda: seen.running == 0)

    await run(code, seen)


async def test_a_task_that_awaits_an_answer_can_be_cancelled() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        task = asyncio.create_task(leaf.wait())
        await until(lambda: seen.running == 1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await until(lambda: seen.running == 0)

    await run(code, seen)


# ---- passing a stream on


async def test_a_stream_is_passed_on_to_another_service() -> None:
    async def code(leaf: Any) -> None:
        assert [word async for word in leaf.upper(leaf.words())] == ["W0", "W1", "W2", "W3", "W4"]

    await run(code)


async def test_the_header_and_the_footer_of_a_stream_that_is_passed_on_are_dropped() -> None:
    async def code(leaf: Any) -> None:
        assert [word async for word in leaf.upper(leaf.typed())] == ["X"]

    await run(code)


async def test_sync_code_passes_a_stream_on() -> None:
    def code(leaf: Any) -> None:
        assert list(leaf.upper(leaf.typed())) == ["X"]

    await run_blocking(code)


async def test_sync_code_passes_on_the_rest_of_a_stream() -> None:
    def code(leaf: Any) -> None:
        words = leaf.words()
        assert next(words) == "w0"
        assert list(leaf.upper(words)) == ["W1", "W2", "W3", "W4"]

    await run_blocking(code)


async def test_sync_code_passes_on_what_a_generator_of_its_own_makes_of_a_stream() -> None:
    def code(leaf: Any) -> None:
        assert list(leaf.upper(f"{word}!" for word in leaf.words(2))) == ["W0!", "W1!"]

    await run_blocking(code)


async def test_a_wrong_item_of_a_stream_that_is_passed_on_fails_its_reader(caplog: pytest.LogCaptureFixture) -> None:
    async def code(leaf: Any) -> None:
        with pytest.raises(InvalidItem, match="int, expected str"):
            async for _ in leaf.upper(iter([3])):
                pass

    await run(code)


async def test_a_stream_that_is_passed_on_is_freed_with_its_reader() -> None:
    seen = Seen()

    async def code(leaf: Any) -> None:
        async for _ in leaf.upper(leaf.silent()):
            break
        await until(lambda: seen.running == 0)

    await run(code, seen)


# ---- time and context


async def test_the_time_that_is_left_goes_down_and_the_earlier_deadline_counts() -> None:
    now = 100.0
    seen: dict[str, float | None] = {}

    @service
    class Below:
        @endpoint
        async def free(self) -> None:
            seen["free"] = context.remaining

        @endpoint(timeout=5)
        async def short(self) -> None:
            seen["short"] = context.remaining

        @endpoint(timeout=60)
        async def long(self) -> None:
            seen["long"] = context.remaining

    @service
    class Above:
        below: Handle[Below] = depends(Below)

        @endpoint(timeout=20)
        async def run(self) -> None:
            nonlocal now
            await self.below.free()
            now += 10
            await asyncio.gather(self.below.free(), self.below.short(), self.below.long())

    async with Runtime(Above, Settings(), Metrics(), clock=lambda: now) as runtime:
        await runtime.handle(runtime.definition.bound).run()
    assert seen == {"free": 10.0, "short": 5.0, "long": 10.0}


async def test_a_call_that_is_late_fails_in_its_caller() -> None:
    @service
    class Slow(Leaf):
        @endpoint(timeout=0.01)
        async def wait(self) -> str:
            await asyncio.Event().wait()
            return "never"

    async def code(leaf: Any) -> None:
        with pytest.raises(DeadlineExceeded):
            await leaf.wait()

    async with composed(Top.bind(code, leaf=Slow.bind(Seen()))) as running:
        await running.handle.run()


async def test_a_reader_that_rests_does_not_make_its_producer_late() -> None:
    @service
    class Prompt(Leaf):
        @endpoint(item_timeout=0.02)
        async def words(self, count: int = 5) -> AsyncIterator[str]:
            for number in range(count):
                yield f"w{number}"

    async def code(leaf: Any) -> None:
        call = leaf.words(200)
        await anext(call)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await asyncio.Event().wait()
        assert len([word async for word in call]) == 199

    async with composed(Top.bind(code, leaf=Prompt.bind(Seen()))) as running:
        await running.handle.run()


async def test_the_code_that_is_called_knows_the_request() -> None:
    told: list[tuple[str, str]] = []

    @service
    class Below:
        @endpoint
        async def tell(self) -> None:
            told.append((context.request_id, context.stream_id))

    @service
    class Above:
        below: Handle[Below] = depends(Below)

        @endpoint
        async def run(self) -> None:
            told.append((context.request_id, context.stream_id))
            await self.below.tell()

    async with composed(Above) as running:
        await running.handle.run()
    (above, its_stream), (below, other_stream) = told
    assert above == below
    assert its_stream != other_stream
