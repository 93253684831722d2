import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from composed import composed, in_background, turns, until

from headrace.batching.surroundings import SURROUNDINGS, Surroundings
from headrace.config import Settings
from headrace.errors import (
    ClientGone,
    DeadlineExceeded,
    DefinitionError,
    FirstItemTimeout,
    InternalError,
    Overloaded,
    SetupError,
    ShuttingDown,
)
from headrace.metrics import Metrics
from headrace.services.context import Request, answering, context
from headrace.services.decorators import Bound, endpoint, service
from headrace.services.dependencies import Handle, depends
from headrace.services.runtime import Runtime, new_stream_id
from headrace.wire.dialect import UNDECIDED
from headrace.wire.formats import choose


class Collected:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.data = b""

    def try_write(self, records: list[bytes]) -> bool:
        return False

    async def write(self, records: list[bytes]) -> None:
        self.data += b"".join(records)

    async def finish(self, records: list[bytes]) -> None:
        self.data += b"".join(records)


@service
class Poet:
    def __init__(self, word: str = "rain") -> None:
        self.word = word
        self.calls: list[str] = []

    async def on_start(self) -> None:
        self.calls.append("start")

    def on_stop(self) -> None:
        self.calls.append("stop" if threading.current_thread() is not threading.main_thread() else "blocking stop")

    @endpoint
    async def stream(self, lines: int = 2) -> AsyncIterator[str]:
        for number in range(lines):
            yield f"{self.word}{number}"

    @endpoint
    def words(self) -> Iterator[str]:
        yield self.word
        yield context.request_id

    @endpoint
    async def once(self) -> str:
        return self.word

    @endpoint
    def called(self) -> str:
        return context.request_id

    @endpoint
    async def fails(self) -> AsyncIterator[str]:
        yield "one"
        raise Overloaded("later")


def runtime(target: Any = Poet) -> Runtime:
    return Runtime(target, Settings(), Metrics())


async def run(running: Runtime, name: str, **arguments: Any) -> tuple[str, Any]:
    """What one request to an endpoint gives, and the error that it ended with."""
    found = next(each for each in running.definition.endpoints if each.attribute == name)
    sink = Collected()
    stream = running.open(found, choose("text/plain", found.types, unary=not found.streams).answer(), sink)
    with answering(Request("r_1", {}, None, stream)):
        error = await running.run(stream, found, arguments)
    if error is None:
        await stream.finish()
    else:
        await stream.outlet.flush()
    running.count(found, error)
    return sink.data.decode(), error


@pytest.mark.parametrize(
    ("name", "text"), [("stream", "rain0rain1"), ("words", "rainr_1"), ("once", "rain"), ("called", "r_1")]
)
async def test_each_kind_of_endpoint_runs(name: str, text: str) -> None:
    async with runtime() as running:
        assert await run(running, name) == (text, None)


async def test_arguments_reach_the_method_and_binding_reaches_the_constructor() -> None:
    async with runtime(Bound(Poet, ("snow",))) as running:
        assert await run(running, "stream", lines=1) == ("snow0", None)


async def test_a_stream_is_live_while_it_runs() -> None:
    seen: list[int] = []

    @service
    class Watcher:
        @endpoint
        async def watch(self) -> AsyncIterator[str]:
            seen.append(len(running.live))
            yield "x"

    running = runtime(Watcher)
    async with running:
        await run(running, "watch")
        assert (seen, running.live) == ([1], {})


async def test_the_surroundings_of_a_stream_are_not_those_of_the_code_that_runs_it() -> None:
    seen: list[object] = []

    @service
    class Watcher:
        @endpoint
        async def watch(self) -> AsyncIterator[str]:
            seen.append(SURROUNDINGS.get())
            yield "x"

    async with runtime(Watcher) as running:
        await run(running, "watch")
        assert isinstance(seen[0], Surroundings)
        assert SURROUNDINGS.get() is None


async def test_a_stream_that_fails_is_counted_by_its_ending() -> None:
    async with runtime() as running:
        assert (await run(running, "stream"))[1] is None
        text, error = await run(running, "fails")
        assert (text, type(error)) == ("one", Overloaded)
        exposition = running.metrics.exposition().decode()
    assert 'headrace_streams_started_total{endpoint="Poet.fails"} 1.0' in exposition
    assert 'headrace_streams_total{end="rejected",endpoint="Poet.fails"} 1.0' in exposition
    assert 'headrace_rejected_total{reason="overloaded"} 1.0' in exposition
    assert 'headrace_items_total{endpoint="Poet.stream"} 2.0' in exposition
    assert 'headrace_first_item_seconds_count{endpoint="Poet.stream"} 1.0' in exposition
    assert 'headrace_streams_live{endpoint="Poet.stream"} 0.0' in exposition


async def test_what_a_stream_holds_for_its_client_can_be_read_while_it_runs() -> None:
    @service
    class Holder:
        @endpoint
        async def hold(self) -> AsyncIterator[str]:
            yield "abc"
            yield "de"
            seen.append(running.metrics.exposition().decode())

    seen: list[str] = []
    running = runtime(Holder)
    async with running:
        await run(running, "hold")
    assert "headrace_buffered_bytes 2.0" in seen[0]
    assert "headrace_buffered_bytes 0.0" in running.metrics.exposition().decode()


async def test_a_stream_is_measured_once_at_its_end() -> None:
    @service
    class Talker:
        @endpoint
        async def talk(self) -> AsyncIterator[str]:
            yield "a"
            yield "b"
            (stream,) = running.live.values()
            await stream.outlet.flush()
            stream.cancel()
            await asyncio.Event().wait()

    running = runtime(Talker)
    async with running:
        await run(running, "talk")
    exposition = running.metrics.exposition().decode()
    assert 'headrace_item_gap_seconds_count{endpoint="Talker.talk"} 1.0' in exposition
    assert 'headrace_cancel_latency_seconds_count{endpoint="Talker.talk"} 1.0' in exposition
    assert 'headrace_uncancellable_total{endpoint="Talker.talk"}' not in exposition


async def test_a_silent_endpoint_is_stopped_by_its_own_timeout() -> None:
    @service
    class Silent:
        @endpoint(first_item_timeout=0.01)
        async def wait(self) -> AsyncIterator[str]:
            await asyncio.Event().wait()
            yield "never"

    async with runtime(Silent) as running:
        assert isinstance((await run(running, "wait"))[1], FirstItemTimeout)
        assert 'end="timeout",endpoint="Silent.wait"} 1.0' in running.metrics.exposition().decode()


async def test_a_stream_that_has_no_time_left_does_not_run() -> None:
    async with runtime() as running:
        found = next(each for each in running.definition.endpoints if each.attribute == "stream")
        stream = running.open(found, choose("text/plain", found.types, unary=False).answer(), Collected())
        assert isinstance(await running.run(stream, found, {}, deadline=0.0), DeadlineExceeded)
        assert stream.items == 0


async def test_a_stream_that_never_ran_is_counted_too() -> None:
    async with runtime() as running:
        found = running.definition.endpoints[0]
        running.open(found, choose(None, found.types, unary=False).answer(), Collected())
        running.count(found, ClientGone())
        exposition = running.metrics.exposition().decode()
    assert 'headrace_streams_total{end="client_gone",endpoint="Poet.stream"} 1.0' in exposition


async def test_how_a_stream_is_answered_can_be_decided_late() -> None:
    async with runtime() as running:
        found = running.definition.endpoints[0]
        sink = Collected()
        stream = running.open(found, UNDECIDED, sink)
        assert 'headrace_streams_started_total{endpoint="Poet.stream"} 1.0' in running.metrics.exposition().decode()
        running.settle(stream, found, choose("text/event-stream", found.types).answer(), sink)
        with answering(Request("r_1", {}, None, stream)):
            assert await running.run(stream, found, {"lines": 1}) is None
        await stream.finish()
        running.count(found, None)
        assert sink.data.startswith(b'id: 1\ndata: "rain0"\n\nevent: end\n')


# health


@service
class Engine:
    healthy = True

    @endpoint
    async def turn(self) -> str:
        return ""


@service
class Driver:
    engine: Handle[Engine] = depends(Engine)
    healthy = True

    @endpoint
    async def drive(self) -> str:
        return ""


async def test_a_service_without_trouble_is_healthy() -> None:
    async with runtime(Driver) as running:
        assert (running.healthy, running.trouble) == (True, None)


async def test_a_service_that_says_so_is_not_healthy_and_is_named() -> None:
    async with runtime(Driver) as running:
        running.instance.healthy = False
        assert (running.healthy, running.trouble) == (False, "Driver: not healthy, by its own account")
        running.instance.healthy = True
        assert running.healthy


async def test_a_service_is_as_healthy_as_what_it_depends_on() -> None:
    @service
    class Broken(Engine):
        healthy = False

    @service
    class Above:
        engine: Handle[Broken] = depends(Broken)

        @endpoint
        async def drive(self) -> str:
            return ""

    async with runtime(Above) as running:
        assert running.trouble == "Broken: not healthy, by its own account"


# starting and stopping


async def test_it_is_ready_between_start_and_stop() -> None:
    running = runtime()
    assert (running.started, running.ready) == (False, False)
    async with running:
        assert (running.started, running.ready) == (True, True)
    assert (running.started, running.ready) == (True, False)


class Hooked:
    """What the hooks of a service were called; a class of its own for each test that needs one."""

    calls: list[str]

    @endpoint
    def write(self) -> str:
        return "rain"


async def test_hooks_are_called_once_each_sync_ones_on_a_thread() -> None:
    calls: list[str] = []

    @service
    class Both(Hooked):
        def on_start(self) -> None:
            calls.append(f"start {threading.current_thread() is threading.main_thread()}")

        async def on_stop(self) -> None:
            calls.append("stop")

    running = runtime(Both)
    async with running:
        assert calls == ["start False"]
    await running.__aexit__(None, None, None)
    assert calls == ["start False", "stop"]


async def test_a_hook_that_passes_on_a_coroutine_is_awaited() -> None:
    calls: list[str] = []

    async def later() -> None:
        calls.append("later")

    @service
    class Passing(Hooked):
        def on_start(self) -> Any:
            return later()

    async with runtime(Passing):
        assert calls == ["later"]


async def test_a_constructor_that_fails_is_a_setup_error_with_its_cause() -> None:
    @service
    class Broken(Hooked):
        def __init__(self) -> None:
            raise ValueError("no such model")

        def on_stop(self) -> None:
            raise AssertionError

    running = runtime(Broken)
    with pytest.raises(SetupError) as caught:
        await running.__aenter__()
    await running.__aexit__(None, None, None)
    assert str(caught.value) == "Broken could not be started: ValueError: no such model"
    assert caught.value.step == "__init__"
    assert isinstance(caught.value.__cause__, ValueError)
    assert (running.started, running.ready) == (False, False)


@pytest.mark.parametrize("error", [RuntimeError("no GPU"), SystemExit("no GPU")])
async def test_on_stop_is_not_called_when_on_start_failed(error: BaseException) -> None:
    calls: list[str] = []

    @service
    class Broken(Hooked):
        async def on_start(self) -> None:
            raise error

        def on_stop(self) -> None:
            calls.append("stop")

    running = runtime(Broken)
    with pytest.raises(SetupError) as caught:
        await running.__aenter__()
    await running.__aexit__(None, None, None)
    assert (caught.value.step, caught.value.__cause__, calls) == ("on_start", error, [])


async def test_a_start_that_is_cancelled_stays_cancelled() -> None:
    @service
    class Slow(Hooked):
        async def on_start(self) -> None:
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), runtime(Slow):
            raise AssertionError


async def test_what_on_stop_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @service
    class Broken(Hooked):
        def on_stop(self) -> None:
            raise ValueError("too late")

    async with runtime(Broken):
        pass
    assert "Broken.on_stop failed" in caplog.text
    assert "ValueError: too late" in caplog.text


def test_mistakes_are_found_before_anything_is_constructed() -> None:
    @service
    class Needy(Hooked):
        def __init__(self, model_id: str) -> None:
            raise AssertionError

        @endpoint
        def sing(self, tune) -> str:  # type: ignore[no-untyped-def]
            return str(tune)

    with pytest.raises(DefinitionError) as caught:
        runtime(Needy)
    assert [mistake.what for mistake in caught.value.mistakes] == [
        'Needy needs "model_id": bind it',
        "Needy.sing(tune): add a type, e.g. tune: str",
    ]


def test_the_id_of_a_stream_cannot_be_guessed() -> None:
    ids = {new_stream_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(each.startswith("s_") and len(each) == 34 for each in ids)


# services that call each other


@service
class Leaf:
    def __init__(self, calls: list[str], name: str = "leaf") -> None:
        self.calls = calls
        self.name = name
        calls.append(f"construct {name}")

    async def on_start(self) -> None:
        self.calls.append(f"start {self.name}")

    async def on_stop(self) -> None:
        self.calls.append(f"stop {self.name}")

    @endpoint
    async def tell(self, text: str) -> str:
        self.calls.append(text)
        return self.name

    @endpoint
    async def breaks(self) -> AsyncIterator[str]:
        yield "one"
        raise ValueError("boom")

    @endpoint
    async def silent(self) -> AsyncIterator[str]:
        self.calls.append("running")
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            self.calls.append("freed")


class Above:
    """Two names for what may be one service."""

    def __init__(self, left: Any, right: Any) -> None:
        self.left = left
        self.right = right

    @endpoint
    async def read(self) -> list[str]:
        return [await self.left.tell("left"), await self.right.tell("right")]

    @endpoint
    async def breaks(self) -> AsyncIterator[str]:
        async for word in self.left.breaks():
            yield word


Diamond = service(name="Diamond")(Above)


async def test_services_start_before_those_that_depend_on_them_and_stop_after_them() -> None:
    calls: list[str] = []

    @service
    class Middle:
        def __init__(self, leaf: Any) -> None:
            calls.append("construct middle")

        async def on_start(self) -> None:
            calls.append("start middle")

        def on_stop(self) -> None:
            calls.append("stop middle")

        @endpoint
        def read(self) -> str:
            return ""

    async with composed(Bound(Middle, (Bound(Leaf, (calls,)),))):
        calls.append("serving")
    assert calls == [
        *["construct leaf", "start leaf", "construct middle", "start middle"],
        *["serving", "stop middle", "stop leaf"],
    ]


async def test_what_had_started_is_stopped_when_a_later_one_fails() -> None:
    calls: list[str] = []

    @service
    class Broken:
        def __init__(self, leaf: Any) -> None:
            self.leaf = leaf

        async def on_start(self) -> None:
            assert await self.leaf.tell("called") == "leaf"
            raise ValueError("no weights")

        async def on_stop(self) -> None:
            calls.append("never")

        @endpoint
        def read(self) -> str:
            return ""

    with pytest.raises(SetupError, match="Broken could not be started: ValueError: no weights"):
        async with composed(Bound(Broken, (Bound(Leaf, (calls,)),))):
            raise AssertionError
    assert calls == ["construct leaf", "start leaf", "called", "stop leaf"]


async def test_hooks_can_call_what_their_service_depends_on() -> None:
    calls: list[str] = []

    @service
    class Caller:
        def __init__(self, leaf: Any) -> None:
            self.leaf = leaf

        def on_start(self) -> None:
            self.leaf.tell("on_start")

        async def on_stop(self) -> None:
            await self.leaf.tell("on_stop")

        @endpoint
        def read(self) -> str:
            return ""

    async with composed(Bound(Caller, (Bound(Leaf, (calls,)),))):
        calls.append("serving")
    assert calls == ["construct leaf", "start leaf", "on_start", "serving", "on_stop", "stop leaf"]


async def test_a_call_that_a_hook_left_behind_ends_before_the_service_that_it_calls_is_stopped() -> None:
    calls: list[str] = []

    @service
    class Caller:
        def __init__(self, leaf: Any) -> None:
            self.leaf = leaf

        async def on_start(self) -> None:
            self.kept = self.leaf.silent()

        @endpoint
        def read(self) -> str:
            return ""

    async with composed(Bound(Caller, (Bound(Leaf, (calls,)),))):
        await until(lambda: "running" in calls)
    assert calls == ["construct leaf", "start leaf", "running", "freed", "stop leaf"]


async def test_a_call_after_the_stop_is_refused() -> None:
    async with composed(Bound(Leaf, ([],))) as running:
        pass
    with pytest.raises(ShuttingDown):
        await running.handle.tell("late")
    assert running.runtime.live == {}


async def test_a_stop_that_is_cancelled_stops_all_the_same_and_stays_cancelled() -> None:
    calls: list[str] = []
    let_go = asyncio.Event()

    @service
    class Slow(Hooked):
        @endpoint
        async def silent(self) -> AsyncIterator[str]:
            try:
                calls.append("running")
                await asyncio.Event().wait()
                yield "never"
            finally:
                await let_go.wait()

        def on_stop(self) -> None:
            calls.append("stop")

    running = runtime(Slow)
    await running.__aenter__()
    call = running.handle(running.definition.bound).silent()
    await until(lambda: calls == ["running"])
    stopping = in_background(running.__aexit__(None, None, None))
    await turns()
    stopping.cancel()
    await turns()
    let_go.set()
    await asyncio.wait([stopping])
    assert stopping.cancelled()
    assert calls == ["running", "stop"]
    del call


@pytest.mark.parametrize(("right", "constructed"), [("leaf", 1), ("other", 2)])
async def test_services_share_what_is_bound_alike_and_nothing_else(right: str, constructed: int) -> None:
    calls: list[str] = []
    bound = Bound(Diamond, (Bound(Leaf, (calls,), {"name": "leaf"}), Bound(Leaf, (calls,), {"name": right})))
    async with composed(bound) as running:
        assert await running.handle.read() == ["leaf", right]
        assert len([call for call in calls if call.startswith("construct")]) == constructed


async def test_a_service_in_the_middle_of_a_diamond_is_shared() -> None:
    calls: list[str] = []
    leaf = Bound(Leaf, (calls,))

    @service
    class Side:
        def __init__(self, leaf: Any) -> None:
            self.leaf = leaf

        @endpoint
        async def tell(self, text: str) -> str:
            return await self.leaf.tell(text)

    @service
    class Other(Side):
        pass

    async with composed(Bound(Diamond, (Bound(Side, (leaf,)), Bound(Other, (Bound(Leaf, (calls,)),))))) as running:
        assert await running.handle.read() == ["leaf", "leaf"]
    assert calls == ["construct leaf", "start leaf", "left", "right", "stop leaf"]


async def test_an_error_of_a_called_service_is_logged_once_with_both_tracebacks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    leaf = Bound(Leaf, ([],))
    async with composed(Bound(Diamond, (leaf, leaf))) as running:
        text, error = await run(running.runtime, "breaks")
    assert (text, type(error)) == ("one", InternalError)
    (record,) = caplog.records
    logged = logging.Formatter().format(record)
    assert record.getMessage().startswith("Above.breaks failed")
    assert logged.count("Traceback (most recent call last)") == 2
    assert logged.count("ValueError: boom") == 1
    assert "async for word in self.left.breaks()" in logged


async def test_calls_are_counted_like_all_streams() -> None:
    leaf = Bound(Leaf, ([],))
    async with composed(Bound(Diamond, (leaf, leaf))) as running:
        assert await running.handle.read() == ["leaf", "leaf"]
        assert running.counted("headrace_streams_started_total", 'endpoint="Leaf.tell"') == 2
        assert running.counted("headrace_streams_total", 'endpoint="Leaf.tell"', 'end="ok"') == 2
        assert running.counted("headrace_streams_total", 'endpoint="Above.read"', 'end="ok"') == 1


async def test_calls_take_no_places() -> None:
    """The one place belongs to the request from outside; what it calls does not wait for it."""
    leaf = Bound(Leaf, ([],))
    async with composed(Bound(Diamond, (leaf, leaf)), Settings(max_concurrency=1, max_queue=0)) as running:
        place = running.runtime.places.ask()
        assert await running.handle.read() == ["leaf", "leaf"]
        running.runtime.places.give_back(place)


async def test_a_call_can_be_stopped_by_whoever_owns_the_request() -> None:
    keys: list[str] = []

    @service
    class Below:
        @endpoint
        async def tell(self) -> None:
            keys.extend(stream.key for stream in running.live.values())

    @service
    class Top:
        def __init__(self, below: Any) -> None:
            self.below = below

        @endpoint
        async def read(self) -> None:
            await self.below.tell()

    running = runtime(Bound(Top, (Bound(Below),)))
    async with running:
        (found,) = running.definition.endpoints
        stream = running.open(found, choose(None, found.types, unary=True).answer(), Collected(), key="ada")
        with answering(Request("r_1", {}, None, stream)):
            await running.run(stream, found, {})
    assert keys == ["ada", "ada"]


def test_the_mistakes_of_all_services_are_told_together() -> None:
    @service
    class Below(Hooked):
        @endpoint
        def sing(self, tune) -> str:  # type: ignore[no-untyped-def]
            return ""

    @service
    class Top(Hooked):
        below: Any = depends(Below)

        @endpoint
        def hum(self, tune) -> str:  # type: ignore[no-untyped-def]
            return ""

    with pytest.raises(DefinitionError) as caught:
        runtime(Top)
    assert [mistake.what for mistake in caught.value.mistakes] == [
        "Below.sing(tune): add a type, e.g. tune: str",
        "Top.hum(tune): add a type, e.g. tune: str",
    ]
