import asyncio
import contextlib
import gc
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import Cancelled, ClientGone, DeadlineExceeded, InternalError, InvalidItem, StreamError
from headrace.streams.channel import Channel
from headrace.streams.holding import HoldingOutlet
from headrace.streams.joining import WIDE, JoiningOutlet, Window
from headrace.streams.pump import drive_async, drive_call, drive_sync
from headrace.streams.recorder import Recorder
from headrace.streams.stream import Stream
from headrace.streams.threads import Threads
from headrace.wire.events import End, Failure, Order
from headrace.wire.passing import PassingEncoder
from headrace.wire.stream_types import stream_types

# ---- completion and failure


async def test_a_generator_that_returns_is_complete(new_stream: Any, new_peer: Any) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    assert await stream.run(drive_async(say)) is None
    await stream.finish()
    assert (peer.got, peer.finished) == ("a;b;[end 2]", 1)
    assert isinstance(stream.ending, End)
    assert (stream.error, stream.torn, stream.abandoned, stream.cancelled) == (None, False, False, False)


async def test_times_are_measured_with_the_clock_that_was_given(new_peer: Any, plain: Any) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"

    started_and_ended, first = iter([100.0, 102.0]), iter([100.5])
    recorder = Recorder(plain(), Order(), first.__next__)
    stream = Stream("s_1", "Talk.say", recorder, JoiningOutlet(new_peer(), Window()), started_and_ended.__next__)
    await stream.run(drive_async(say))
    assert stream.ending == End(items=1, first_item_ms=500.0, duration_ms=2000.0)


async def test_the_time_of_a_stop_is_measured_with_the_clock_that_was_given(new_peer: Any, plain: Any) -> None:
    clock = iter([100.0, 103.0, 103.5])  # made, cancelled, stopped
    peer = new_peer()
    stream = Stream("s_1", "Talk.say", Recorder(plain(), Order()), JoiningOutlet(peer, Window()), clock.__next__)
    task = await run_until_written(stream, peer, drive_async(forever))
    assert stream.stop_seconds is None
    stream.cancel()
    await task
    assert stream.stop_seconds == 0.5


async def test_a_failure_tells_what_came_before_it(new_stream: Any, new_peer: Any) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"
        raise ValueError("secret")

    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    error = await stream.run(drive_async(say))
    await stream.finish()
    assert isinstance(error, InternalError)
    assert stream.error is error
    assert stream.ending == Failure("internal", InternalError().message, stream_id="s_1", items_sent=1)
    assert peer.got == "a;[internal 1]"


async def test_an_unexpected_error_is_logged_once_with_the_streams_id(
    new_stream: Any, new_peer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"
        raise ValueError("reason")

    await new_stream(JoiningOutlet(new_peer(), Window())).run(drive_async(say))
    assert [record.getMessage() for record in caplog.records] == ["Talk.say failed (stream s_1)"]
    assert "ValueError: reason" in caplog.text


async def test_an_error_of_the_tree_is_the_failure_itself(new_stream: Any, new_peer: Any) -> None:
    class ModelBusy(StreamError):
        code = "model_busy"
        retryable = True

    async def say() -> AsyncIterator[str]:
        yield "a"
        raise ModelBusy("in an hour")

    stream = new_stream(JoiningOutlet(new_peer(), Window()))
    assert isinstance(await stream.run(drive_async(say)), ModelBusy)
    assert stream.ending == Failure("model_busy", "in an hour", retryable=True, stream_id="s_1", items_sent=1)


async def test_an_error_whose_message_cannot_be_read_is_an_internal_one(new_stream: Any, new_peer: Any) -> None:
    class Broken(StreamError):
        @property
        def message(self) -> str:
            raise AttributeError("no message")

    async def say() -> AsyncIterator[str]:
        raise Broken
        yield

    assert isinstance(await new_stream(JoiningOutlet(new_peer(), Window())).run(drive_async(say)), InternalError)


RAISED = [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, StopIteration, StopAsyncIteration]


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("kind", ["async", "sync", "async call", "sync call"])
async def test_whatever_user_code_raises_fails_its_stream_and_nothing_else(
    kind: str, raised: type[BaseException], new_stream: Any, new_peer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"
        raise raised

    def say_sync() -> Iterator[str]:
        yield "a"
        raise raised

    async def call() -> str:
        raise raised

    def call_sync() -> str:
        raise raised

    threads = Threads(limit=1)
    drive = {
        "async": drive_async(say),
        "sync": drive_sync(say_sync, threads),
        "async call": drive_call(call),
        "sync call": drive_call(lambda: threads.call(call_sync)),
    }[kind]
    stream = new_stream(JoiningOutlet(new_peer(), Window()))
    error = await stream.run(drive)
    assert isinstance(error, InternalError)
    assert stream.items == (1 if kind in ("async", "sync") else 0)
    assert len(caplog.records) == 1
    assert await threads.call(lambda: "the place is free")


async def test_code_that_cancels_its_own_task_fails(new_stream: Any, new_peer: Any) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    assert isinstance(await new_stream(JoiningOutlet(new_peer(), Window())).run(drive_async(say)), InternalError)
    await asyncio.sleep(0)  # and the owner was not cancelled with it


async def test_a_stream_runs_once(new_stream: Any, new_peer: Any) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"

    stream = new_stream(JoiningOutlet(new_peer(), Window()))
    await stream.run(drive_async(say))
    with pytest.raises(AssertionError, match="runs once"):
        await stream.run(drive_async(say))


async def test_a_stream_tells_its_ending_once(new_stream: Any, new_peer: Any) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"

    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    await stream.run(drive_async(say))
    await stream.finish()
    with pytest.raises(AssertionError, match="ending once"):
        await stream.finish()
    assert peer.got == "a;[end 1]"


# ---- being stopped


async def forever() -> AsyncIterator[str]:
    yield "a"
    await asyncio.Event().wait()


async def run_until_written(stream: Stream, peer: Any, drive: Any) -> "asyncio.Task[StreamError | None]":
    task = asyncio.create_task(stream.run(drive))
    await peer.entered.wait()
    await asyncio.sleep(0)
    return task


async def test_a_stream_stopped_before_it_starts_never_makes_its_generator(new_stream: Any, new_peer: Any) -> None:
    made = []

    async def say() -> AsyncIterator[str]:
        yield "a"

    stream = new_stream(JoiningOutlet(new_peer(), Window()))
    stream.cancel(ClientGone())
    assert isinstance(await stream.run(lambda *_: made.append(say())), ClientGone)  # type: ignore[arg-type, return-value]
    assert made == []


async def test_a_silent_generator_is_stopped_where_it_waits(new_stream: Any, new_peer: Any) -> None:
    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    task = await run_until_written(stream, peer, drive_async(forever))
    stream.cancel(DeadlineExceeded())
    assert isinstance(await task, DeadlineExceeded)
    await stream.finish()
    assert peer.got == "a;[deadline_exceeded 1]"


async def test_the_first_cause_counts(new_stream: Any, new_peer: Any) -> None:
    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    task = await run_until_written(stream, peer, drive_async(forever))
    stream.cancel(DeadlineExceeded())
    stream.cancel(ClientGone())
    assert isinstance(await task, DeadlineExceeded)


async def test_a_stream_that_ended_stays_as_it_is(new_stream: Any, new_peer: Any) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"

    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    await stream.run(drive_async(say))
    stream.cancel()
    await stream.finish()
    assert peer.got == "a;[end 1]"
    assert not stream.cancelled


async def test_a_stop_in_the_moment_of_completion_counts_and_cancels_nothing_later(
    new_stream: Any, new_peer: Any
) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"
        stream.cancel()

    stream = new_stream(JoiningOutlet(new_peer(), Window()))
    assert isinstance(await stream.run(drive_async(say)), Cancelled)
    for _ in range(3):
        await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_generator_that_never_waits_can_be_stopped(new_stream: Any, new_peer: Any) -> None:
    closed = []

    async def spin() -> AsyncIterator[str]:
        try:
            while True:
                yield "a"
        finally:
            closed.append(True)

    stream = new_stream(JoiningOutlet(new_peer(), Window()))
    asyncio.get_running_loop().call_later(0.001, stream.cancel)
    assert isinstance(await stream.run(drive_async(spin)), Cancelled)
    assert closed == [True]


async def test_a_generator_that_swallows_its_cancellation_ends_at_its_next_item(new_stream: Any, new_peer: Any) -> None:
    closed = []

    async def stubborn() -> AsyncIterator[str]:
        try:
            yield "a"
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            while True:
                yield "b"
        finally:
            closed.append(True)

    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    task = await run_until_written(stream, peer, drive_async(stubborn))
    stream.cancel()
    assert isinstance(await task, Cancelled)
    await stream.finish()
    assert peer.got == "a;[cancelled 1]"
    assert closed == [True]


async def test_a_generator_that_swallows_its_cancellation_and_returns_was_stopped_all_the_same(
    new_stream: Any, new_peer: Any
) -> None:
    async def tidy() -> AsyncIterator[str]:
        yield "a"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    task = await run_until_written(stream, peer, drive_async(tidy))
    stream.cancel()
    assert isinstance(await task, Cancelled)


def test_a_generator_that_never_stops_is_left_behind(
    jump: Any, new_stream: Any, new_peer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def immortal() -> AsyncIterator[str]:
            yield "a"
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            yield "b"

        loop = asyncio.get_running_loop()
        peer = new_peer()
        stream = new_stream(JoiningOutlet(peer, Window()))
        task = await run_until_written(stream, peer, drive_async(immortal))
        before = loop.time()
        stream.cancel()
        assert isinstance(await task, Cancelled)
        assert stream.abandoned
        assert loop.time() - before == pytest.approx(5.0)
        assert "Talk.say did not stop within 5 s and is left behind (stream s_1)\nTraceback" in caplog.text
        assert "in immortal\n    await release.wait()\n" in caplog.text
        release.set()
        for _ in range(5):
            await asyncio.sleep(0)
        await stream.finish()
        assert peer.got == "a;[cancelled 1]"
        assert len(asyncio.all_tasks()) == 1

    jump(main)


def test_a_cleanup_has_time(jump: Any, new_stream: Any, new_peer: Any) -> None:
    async def main() -> None:
        closed = []

        async def say() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(4)
                closed.append(True)

        peer = new_peer()
        stream = new_stream(JoiningOutlet(peer, Window()))
        task = await run_until_written(stream, peer, drive_async(say))
        stream.cancel()
        await task
        assert closed == [True]

    jump(main)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_what_the_cleanup_of_a_stopped_generator_raises_is_logged_and_changes_no_cause(
    kind: str, new_stream: Any, new_peer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def say() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            raise KeyError("cleanup")

    def say_sync() -> Iterator[str]:
        try:
            while True:
                yield "a"
        finally:
            raise KeyError("cleanup")

    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    task = await run_until_written(
        stream, peer, drive_async(say) if kind == "async" else drive_sync(say_sync, Threads())
    )
    stream.cancel(ClientGone())
    assert isinstance(await task, ClientGone)
    assert "KeyError: 'cleanup'" in caplog.text
    assert len(caplog.records) == 1


async def test_a_sync_generator_is_stopped_after_its_current_item(new_stream: Any, new_peer: Any) -> None:
    closed = threading.Event()

    def say() -> Iterator[str]:
        try:
            while True:
                yield "a"
        finally:
            closed.set()

    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    task = await run_until_written(stream, peer, drive_sync(say, Threads()))
    stream.cancel()
    assert isinstance(await task, Cancelled)
    assert closed.is_set()
    await stream.finish()
    assert peer.got == "a;" * stream.items + f"[cancelled {stream.items}]"


# ---- writes


def test_a_write_under_way_comes_to_its_end_before_the_stop(jump: Any, new_stream: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        peer.block()
        stream = new_stream(JoiningOutlet(peer, Window()))
        task = await run_until_written(stream, peer, drive_async(forever))
        stream.cancel()
        await asyncio.sleep(0.5)
        peer.release()
        assert isinstance(await task, Cancelled)
        assert not stream.torn
        await stream.finish()
        assert peer.got == "a;[cancelled 1]"

    jump(main)


@pytest.mark.parametrize("behind", [False, True])
def test_a_write_that_does_not_return_is_torn(jump: Any, new_stream: Any, new_peer: Any, behind: bool) -> None:
    async def main() -> None:
        async def say() -> AsyncIterator[str]:
            yield "a"
            yield "b"
            await asyncio.Event().wait()

        loop = asyncio.get_running_loop()
        peer = new_peer()
        if not behind:
            peer.block()
        stream = new_stream(JoiningOutlet(peer, Window()))
        task = await run_until_written(stream, peer, drive_async(say))
        peer.block()
        await asyncio.sleep(2 * WIDE)
        assert stream.outlet.writing
        before = loop.time()
        stream.cancel()
        assert isinstance(await task, Cancelled)
        assert loop.time() - before == pytest.approx(1.0)
        assert stream.torn
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        assert peer.got == ("a;" if behind else "")

    jump(main)


@pytest.mark.parametrize("behind", [False, True])
def test_nobody_waits_for_a_write_to_a_client_that_is_gone(
    jump: Any, new_stream: Any, new_peer: Any, behind: bool
) -> None:
    async def main() -> None:
        async def say() -> AsyncIterator[str]:
            yield "a"
            yield "b"
            await asyncio.Event().wait()

        loop = asyncio.get_running_loop()
        peer = new_peer()
        if not behind:
            peer.block()
        stream = new_stream(JoiningOutlet(peer, Window()))
        task = await run_until_written(stream, peer, drive_async(say))
        peer.block()
        await asyncio.sleep(2 * WIDE)
        before = loop.time()
        stream.cancel(ClientGone())
        assert isinstance(await task, ClientGone)
        assert loop.time() == before
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    jump(main)


def test_a_write_that_fails_ends_a_silent_generator(jump: Any, new_stream: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        stream = new_stream(JoiningOutlet(peer, Window()))
        task = await run_until_written(stream, peer, drive_async(forever))
        peer.break_with(ClientGone())
        stream.outlet.beat(stream.heartbeat)
        assert isinstance(await task, ClientGone)

    jump(main)


async def test_a_sink_that_breaks_is_an_internal_error_and_gets_no_ending(
    new_stream: Any, new_peer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    peer = new_peer()
    peer.break_with(ZeroDivisionError())
    stream = new_stream(JoiningOutlet(peer, Window()))
    assert isinstance(await stream.run(drive_async(forever)), InternalError)
    assert stream.torn
    peer.break_with(None)
    with pytest.raises(ZeroDivisionError):
        await stream.finish()
    assert (peer.got, peer.finished) == ("", 0)
    assert "ZeroDivisionError" in caplog.text


def test_a_finish_that_is_cancelled_leaves_no_write_behind(jump: Any, new_stream: Any, new_peer: Any) -> None:
    async def main() -> None:
        async def say() -> AsyncIterator[str]:
            yield "a"
            yield "b"
            await asyncio.sleep(1)

        peer = new_peer()
        stream = new_stream(JoiningOutlet(peer, Window()))
        task = await run_until_written(stream, peer, drive_async(say))
        peer.block()
        assert await task is None
        finishing = asyncio.create_task(stream.finish())
        await asyncio.sleep(1)
        finishing.cancel()
        await asyncio.wait((finishing,))
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        assert peer.finished == 0

    jump(main)


# ---- cancelled from outside


async def test_a_cancellation_from_outside_ends_the_stream_and_goes_on(new_stream: Any, new_peer: Any) -> None:
    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    task = await run_until_written(stream, peer, drive_async(forever))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stream.finish()
    assert peer.got == "a;[shutting_down 1]"


async def test_a_cancellation_from_outside_during_a_stop_is_not_lost(new_stream: Any, new_peer: Any) -> None:
    peer = new_peer()
    stream = new_stream(JoiningOutlet(peer, Window()))
    task = await run_until_written(stream, peer, drive_async(forever))
    stream.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(stream.error, Cancelled)


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancellation_from_outside_is_never_lost_however_late(
    turns: int, new_stream: Any, new_peer: Any
) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"
        await asyncio.sleep(0)
        yield "b"

    async def own() -> None:
        stream = new_stream(JoiningOutlet(new_peer(), Window()))
        await stream.run(drive_async(say))
        assert stream.ending is not None
        for _ in range(10):
            await asyncio.sleep(0)

    task = asyncio.create_task(own())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()


def test_a_second_cancellation_from_outside_does_not_wait_for_the_write(
    jump: Any, new_stream: Any, new_peer: Any
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        peer = new_peer()
        peer.block()
        stream = new_stream(JoiningOutlet(peer, Window()))
        task = await run_until_written(stream, peer, drive_async(forever))
        before = loop.time()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()
        assert loop.time() == before
        assert stream.torn
        assert isinstance(stream.ending, Failure)

    jump(main)


def test_a_second_cancellation_from_outside_reaches_the_cleanup(jump: Any, new_stream: Any, new_peer: Any) -> None:
    async def main() -> None:
        cleaning = asyncio.Event()

        async def say() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                cleaning.set()
                await asyncio.Event().wait()

        loop = asyncio.get_running_loop()
        peer = new_peer()
        stream = new_stream(JoiningOutlet(peer, Window()))
        task = await run_until_written(stream, peer, drive_async(say))
        before = loop.time()
        task.cancel()
        await cleaning.wait()
        task.cancel()
        await asyncio.wait((task,))
        assert loop.time() == before
        assert not stream.abandoned

    jump(main)


# ---- memory


@pytest.mark.parametrize("how", ["complete", "failed", "refused", "stopped"])
async def test_an_ended_stream_is_freed_at_once(how: str, new_stream: Any, new_peer: Any) -> None:
    async def say() -> AsyncIterator[str]:
        yield "a"
        if how == "failed":
            raise ValueError
        if how == "refused":
            raise InvalidItem("of the user's own")
        if how == "stopped":
            await asyncio.Event().wait()

    peer = new_peer()
    outlet = JoiningOutlet(peer, Window())
    stream = new_stream(outlet)
    known = weakref.ref(stream)
    gc.collect()
    gc.disable()
    try:
        task = await run_until_written(stream, peer, drive_async(say))
        stream.cancel() if how == "stopped" else None
        await task
        await stream.finish()
        del stream, task
        await asyncio.sleep(0)
        assert known() is None
    finally:
        gc.enable()


# ---- any order of events


@dataclass(frozen=True)
class Script:
    """What a generator does, what its peer does, and who stops it when."""

    steps: list[str]
    peer: list[str]
    stops: list[tuple[int, str]] = field(default_factory=list)
    gathers: bool = False


scripts = st.builds(
    Script,
    steps=st.lists(
        st.sampled_from(["item", "item", "item", "turn", "pause", "swallow", "large", "raise"]), max_size=12
    ),
    peer=st.lists(st.sampled_from(["direct", "direct", "take", "turn", "pause", "block", "gone"]), max_size=6),
    stops=st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["cancel", "gone", "outside"])), max_size=3),
    gathers=st.booleans(),
)


class Moody:
    """A peer that follows a script, then takes everything. `direct` says what it takes without being waited for."""

    def __init__(self, script: list[str], pause: Callable[[float], Any]) -> None:
        self._script = deque(script)
        self._pause = pause
        self._open = False
        self.got = ""
        self.writing = 0
        self.finished = 0

    def calm(self) -> None:
        self._open = True

    def try_write(self, records: list[bytes]) -> bool:
        assert self.writing == 0, "only one write at a time"
        if self._open or not self._script or self._script[0] != "direct":
            return False
        self._script.popleft()
        self.got += b"".join(records).decode()
        return True

    async def write(self, records: list[bytes]) -> None:
        assert self.writing == 0, "only one write at a time"
        self.writing += 1
        try:
            match "take" if self._open or not self._script else self._script.popleft():
                case "turn":
                    await asyncio.sleep(0)
                case "pause":
                    await self._pause(0.3)
                case "block":
                    while not self._open:
                        await self._pause(0.3)
                case "gone":
                    raise ClientGone
            self.got += b"".join(records).decode()
        finally:
            self.writing -= 1

    async def finish(self, records: list[bytes]) -> None:
        self._open = True
        await self.write(records)
        self.finished += 1


class Player:
    """A generator that follows a script and notes what it made."""

    def __init__(self, script: Script, pause: Callable[[float], Any]) -> None:
        self._script = script
        self._pause = pause
        self.made = ""
        self.started = self.closed = 0

    def _item(self, number: int, size: int = 1) -> str:
        value = str(number % 10) * size
        self.made += f"{value};"
        return value

    async def play(self) -> AsyncIterator[str]:
        self.started += 1
        try:
            for number, step in enumerate(self._script.steps):
                match step:
                    case "item":
                        yield self._item(number)
                    case "large":
                        yield self._item(number, 70_000)
                    case "turn":
                        await asyncio.sleep(0)
                    case "pause":
                        await self._pause(0.2)
                    case "swallow":
                        with contextlib.suppress(asyncio.CancelledError):
                            await self._pause(0.2)
                    case "raise":
                        raise ValueError(number)
        finally:
            self.closed += 1

    def play_sync(self) -> Iterator[str]:
        self.started += 1
        try:
            for number, step in enumerate(self._script.steps):
                if step in ("item", "large"):
                    yield self._item(number, 70_000 if step == "large" else 1)
                elif step == "raise":
                    raise ValueError(number)
        finally:
            self.closed += 1


async def check(script: Script, *, sync: bool, new_stream: Any, step: Callable[[int], Any], pause: Any) -> None:
    """Plays the script; whatever happens in whatever order, what is asserted here holds."""
    sink = Moody(script.peer, pause)
    player = Player(script, pause)
    threads = Threads(limit=1)
    stream = new_stream(HoldingOutlet(sink, 1_000_000) if script.gathers else JoiningOutlet(sink, Window()))
    owner = asyncio.create_task(stream.run(drive_sync(player.play_sync, threads) if sync else drive_async(player.play)))
    await asyncio.sleep(0)  # a task that is cancelled before it starts runs no stream
    for wait, how in script.stops:
        await step(wait)
        if how == "outside":
            owner.cancel()
        else:
            stream.cancel(ClientGone() if how == "gone" else Cancelled())
    asyncio.get_running_loop().call_later(0.5 if sync else 60, stream.cancel)  # for a peer that blocks for ever
    await asyncio.wait((owner,))

    assert stream.ending is not None
    assert not stream.abandoned
    assert player.closed == player.started <= 1
    if not owner.cancelled():
        assert owner.result() is stream.error
    if any(how == "outside" for _, how in script.stops) and not owner.cancelled():
        assert owner.done()  # it had ended before
    if isinstance(stream.ending, End):
        assert not stream.cancelled
        assert "raise" not in script.steps
        assert stream.items == player.made.count(";")

    sink.calm()
    if stream.torn or isinstance(stream.error, ClientGone):
        assert player.made.startswith(sink.got)
    else:
        await stream.finish()
        items, _, ending = sink.got.partition("[")
        assert sink.finished == 1
        assert player.made.startswith(items)
        assert items.count(";") == stream.items
        assert ending == (f"end {stream.items}]" if stream.error is None else f"{stream.error.code} {stream.items}]")
    await asyncio.sleep(0)
    if not sync:
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert sink.writing == 0
    if sync:
        assert await threads.call(lambda: "the place is free")
        assert threads.stuck == 0


fixtures_stay = [HealthCheck.function_scoped_fixture]


@settings(deadline=None, max_examples=400, suppress_health_check=fixtures_stay)
@given(script=scripts)
def test_any_script_of_an_async_generator_has_one_ending(script: Script, jump: Any, new_stream: Any) -> None:
    async def turns(count: int) -> None:
        if count > 8:
            await asyncio.sleep(0.1 * (count - 8))
        else:
            for _ in range(count):
                await asyncio.sleep(0)

    jump(lambda: check(script, sync=False, new_stream=new_stream, step=turns, pause=asyncio.sleep))


@settings(deadline=None, max_examples=150, suppress_health_check=fixtures_stay)
@given(script=scripts)
def test_any_script_of_a_sync_generator_has_one_ending(script: Script, new_stream: Any) -> None:
    async def turns(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def pause(seconds: float) -> None:
        await turns(int(seconds * 10))

    asyncio.run(check(script, sync=True, new_stream=new_stream, step=turns, pause=pause))


# ---- streams that its code reads


def new_child(called: bool = True) -> Stream:
    recorder = Recorder(PassingEncoder(stream_types(str)), Order())
    return Stream("s_2", "Leaf.say", recorder, Channel(), called=called)


def own(parent: Stream, child: Stream, drive: Any) -> "asyncio.Task[StreamError | None]":
    owner = asyncio.get_running_loop().create_task(child.run(drive))
    parent.children.adopt(child, owner)
    return owner


async def test_the_code_that_ends_stops_what_it_read_and_waits_for_it(new_stream: Any, new_peer: Any) -> None:
    parent, child = new_stream(JoiningOutlet(new_peer(), Window())), new_child()
    freed: list[str] = []

    async def silent() -> AsyncIterator[str]:
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            await asyncio.sleep(0)
            freed.append("freed")

    async def say() -> AsyncIterator[str]:
        own(parent, child, drive_async(silent))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        yield "a"

    assert await parent.run(drive_async(say)) is None
    assert freed == ["freed"]
    assert isinstance(child.error, Cancelled)


async def test_a_stop_reaches_what_the_code_reads_at_once_and_with_its_cause(new_stream: Any, new_peer: Any) -> None:
    parent, child = new_stream(JoiningOutlet(new_peer(), Window())), new_child()
    cause = ClientGone()

    async def say() -> AsyncIterator[str]:
        own(parent, child, drive_async(forever))
        yield "a"
        await asyncio.Event().wait()

    running = asyncio.get_running_loop().create_task(parent.run(drive_async(say)))
    while not parent.items:
        await asyncio.sleep(0)
    parent.cancel(cause)
    assert child.cancelled
    assert await running is cause
    assert child.error is cause


def test_a_child_that_ignores_its_stop_holds_its_parent_no_longer_than_its_grace(
    jump: Any, new_stream: Any, new_peer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        let_go = asyncio.Event()
        parent, child = new_stream(JoiningOutlet(new_peer(), Window())), new_child()

        async def stubborn() -> AsyncIterator[str]:
            while not let_go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await let_go.wait()
            yield "never"

        async def say() -> AsyncIterator[str]:
            own(parent, child, drive_async(stubborn))
            yield "a"

        loop = asyncio.get_running_loop()
        started = loop.time()
        assert await parent.run(drive_async(say)) is None
        assert loop.time() - started == pytest.approx(5.0)
        assert (child.abandoned, parent.abandoned) == (True, False)
        let_go.set()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)

    jump(main)
    assert "Leaf.say did not stop within 5 s and is left behind" in caplog.text


async def test_a_cancellation_from_outside_while_the_children_end_is_not_lost(new_stream: Any, new_peer: Any) -> None:
    parent, child = new_stream(JoiningOutlet(new_peer(), Window())), new_child()
    let_go, cleaning = asyncio.Event(), asyncio.Event()

    async def silent() -> AsyncIterator[str]:
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            cleaning.set()
            await let_go.wait()

    async def say() -> AsyncIterator[str]:
        own(parent, child, drive_async(silent))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        yield "a"

    owner = asyncio.get_running_loop().create_task(parent.run(drive_async(say)))
    await cleaning.wait()
    owner.cancel()
    await asyncio.sleep(0)
    assert not owner.done()
    let_go.set()
    await asyncio.wait([owner])
    assert owner.cancelled()
    assert child.ending is not None
    assert parent.ending is not None


async def breaking() -> AsyncIterator[str]:
    yield "a"
    raise ValueError("boom")


@pytest.mark.parametrize(("called", "logs", "cause"), [(True, 0, ValueError), (False, 1, type(None))])
async def test_what_other_code_reads_is_logged_by_whoever_reads_it(
    called: bool, logs: int, cause: type, caplog: pytest.LogCaptureFixture
) -> None:
    error = await new_child(called).run(drive_async(breaking))
    assert isinstance(error, InternalError)
    assert isinstance(error.__cause__, cause)
    assert len(caplog.records) == logs


async def test_an_internal_error_of_a_child_is_the_parents_own_with_the_whole_chain(
    new_stream: Any, new_peer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    inner = InternalError()
    inner.__cause__ = ValueError("boom")

    async def say() -> AsyncIterator[str]:
        yield "a"
        raise inner

    error = await new_stream(JoiningOutlet(new_peer(), Window())).run(drive_async(say))
    assert error is not inner
    assert caplog.text.count("ValueError: boom") == 1


# ---- an encoding that is decided late, or that has the last word


async def one() -> AsyncIterator[str]:
    yield "a"


async def test_encoding_and_outlet_can_be_decided_before_it_runs(new_stream: Any, new_peer: Any, plain: Any) -> None:
    first, second = new_peer(), new_peer()
    stream = new_stream(HoldingOutlet(first, 100))
    outlet = JoiningOutlet(second, Window())
    stream.settle(plain(), outlet)
    assert stream.outlet is outlet
    await stream.run(drive_async(one))
    await stream.finish()
    assert (first.got, second.got) == ("", "a;[end 1]")
    with pytest.raises(AssertionError, match="it runs, or has run"):
        stream.settle(plain(), outlet)


async def test_a_stream_that_was_stopped_before_it_was_decided_does_not_run(
    new_stream: Any, new_peer: Any, plain: Any
) -> None:
    peer = new_peer()
    stream = new_stream(HoldingOutlet(new_peer(), 100))
    stream.cancel()
    stream.settle(plain(), JoiningOutlet(peer, Window()))
    assert isinstance(await stream.run(drive_async(one)), Cancelled)
    await stream.finish()
    assert peer.got == "[cancelled 0]"


@pytest.mark.parametrize(
    ("raised", "code"), [(DeadlineExceeded("not all of it"), "deadline_exceeded"), (KeyError("x"), "internal")]
)
async def test_an_end_that_cannot_be_told_is_a_failure(
    new_peer: Any, plain: Any, raised: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    class NoEnd(plain):  # type: ignore[misc]
        def end(self, end: End) -> bytes:
            raise raised

    peer = new_peer()
    stream = Stream("s_1", "Talk.say", Recorder(NoEnd(), Order()), JoiningOutlet(peer, Window()))
    error = await stream.run(drive_async(one))
    assert error is not None
    assert (error.code, stream.error) == (code, error)
    assert isinstance(stream.ending, Failure)
    await stream.finish()
    assert peer.got == f"a;[{code} 1]"
    assert len(caplog.records) == (code == "internal")


async def test_an_encoding_is_asked_for_its_end_once(new_peer: Any, plain: Any) -> None:
    class Counting(plain):  # type: ignore[misc]
        asked = 0

        def end(self, end: End) -> bytes:
            self.asked += 1
            return b"[%d]" % self.asked

    peer = new_peer()
    stream = Stream("s_1", "Talk.say", Recorder(Counting(), Order()), JoiningOutlet(peer, Window()))
    await stream.run(drive_async(one))
    await stream.finish()
    assert peer.got == "a;[1]"


async def test_code_that_somebody_cancels_before_it_began_ends_its_stream(new_stream: Any, new_peer: Any) -> None:
    stream = new_stream(JoiningOutlet(new_peer(), Window()))
    before = asyncio.all_tasks()
    owner = asyncio.create_task(stream.run(drive_async(forever)))
    await asyncio.sleep(0)
    (code,) = asyncio.all_tasks() - before - {owner}
    code.cancel()
    async with asyncio.timeout(5):
        assert isinstance(await owner, InternalError)
