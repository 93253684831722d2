"""What holds for an exchange whatever carries it: one ending, told once, and nothing kept."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from asgi import WITHIN, assert_nothing_left, total

from headrace.errors import ClientGone, DeadlineExceeded, MalformedBody, RateLimited, StreamError
from headrace.server.app import Application
from headrace.server.exchange import Exchange, Share
from headrace.server.request import HttpRequest
from headrace.streams.stream import Stream
from headrace.wire.formats import choose


class Carrier:
    """A client as an exchange sees it (an `Incoming`), and where its records go (a `Sink`)."""

    def __init__(self) -> None:
        self.on_gone: Callable[[], None] | None = None
        self.closed = 0
        self.records: list[bytes] = []

    def watch(self, on_gone: Callable[[], None]) -> None:
        self.on_gone = on_gone

    def close(self) -> None:
        self.closed += 1

    def try_write(self, records: list[bytes]) -> bool:
        return False

    async def write(self, records: list[bytes]) -> None:
        self.records += records

    async def finish(self, records: list[bytes]) -> None:
        self.records += records


class Trace(Exchange):
    """Writes down what it is asked to do."""

    def __init__(
        self, app: Application, path: str, arguments: Any, share: Share = contextlib.nullcontext, **options: Any
    ) -> None:
        (endpoint,) = [each for each in app.runtime.definition.endpoints if each.path == path]
        self._endpoint = endpoint
        self.carrier = Carrier()
        self.steps: list[str] = []
        self.told: list[StreamError | None] = []
        self._given = arguments
        self._begins = options.get("begins")
        request = HttpRequest({"method": "POST", "path": path, "headers": []})
        deadline = options.get("deadline")
        super().__init__(app.runtime, endpoint, request, self.carrier, share, deadline)
        choice = choose("application/x-ndjson", endpoint.types, unary=False)
        self.stream = app.runtime.open(endpoint, choice.answer(), self.carrier)

    async def answer(self) -> None:
        await self._complete(self.stream)

    async def _begin(self, stream: Stream) -> None:
        self.steps.append("begin")
        if self._begins is not None:
            raise self._begins

    async def _arguments(self, stream: Stream) -> Any:
        self.steps.append("arguments")
        if isinstance(self._given, Exception):
            raise self._given
        if self._given is None:
            await asyncio.Event().wait()
        return self._given

    async def _work(self, stream: Stream, arguments: Any) -> StreamError | None:
        return await self._runtime.run(stream, self._endpoint, arguments, self._deadline)

    def _status(self, error: StreamError | None) -> int:
        return 200

    def _why_gone(self) -> StreamError:
        return ClientGone()

    async def _tell(self, stream: Stream, error: StreamError | None) -> None:
        self.steps.append("tell")
        self.told.append(error)


async def test_a_stream_that_completes_is_told_so_once(app: Application) -> None:
    trace = Trace(app, "/count", {"to": 2})
    await trace.answer()
    assert (trace.steps, trace.told, trace.carrier.closed) == (["begin", "arguments", "tell"], [None], 1)
    assert total(app, "headrace_streams_total", end="ok") == 1


@pytest.mark.parametrize(
    ("arguments", "begins", "steps"),
    [(MalformedBody("no"), None, ["begin", "arguments", "tell"]), ({}, ClientGone(), ["begin", "tell"])],
)
async def test_what_keeps_it_from_starting_is_its_ending(
    app: Application, arguments: Any, begins: Any, steps: list[str]
) -> None:
    trace = Trace(app, "/count", arguments, begins=begins)
    await trace.answer()
    assert (trace.steps, trace.told, trace.carrier.closed) == (steps, [begins or arguments], 1)


async def test_an_error_that_is_told_keeps_no_frames(app: Application) -> None:
    trace = Trace(app, "/count", MalformedBody("no"))
    await trace.answer()
    (error,) = trace.told
    assert error is not None
    assert error.__traceback__ is None


async def test_an_unforeseen_error_is_counted_as_ours_and_raised(app: Application) -> None:
    trace = Trace(app, "/count", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await trace.answer()
    assert total(app, "headrace_streams_total", end="error") == 1
    assert trace.carrier.closed == 1


async def test_a_share_is_taken_before_a_place_and_given_back_after_it(app: Application) -> None:
    places: list[int] = []

    @contextlib.contextmanager
    def share() -> Any:
        places.append(app.runtime.places.running)
        yield
        places.append(app.runtime.places.running)

    await Trace(app, "/count", {}, share).answer()
    assert places == [0, 0]


async def test_who_has_used_up_its_share_gets_no_place(app: Application) -> None:
    @contextlib.contextmanager
    def share() -> Any:
        raise RateLimited("enough")
        yield

    trace = Trace(app, "/count", {}, share)
    await trace.answer()
    assert trace.steps == ["begin", "tell"]
    assert isinstance(trace.told[0], RateLimited)


async def test_arguments_that_do_not_come_before_the_deadline_are_not_awaited(app: Application) -> None:
    trace = Trace(app, "/count", None, deadline=app.runtime.clock() + 0.01)
    await asyncio.wait_for(trace.answer(), WITHIN)
    assert isinstance(trace.told[0], DeadlineExceeded)


async def test_a_client_that_leaves_while_it_runs_stops_it(app: Application, desk: Any) -> None:
    trace = Trace(app, "/wait", {})
    running = asyncio.ensure_future(trace.answer())
    await asyncio.wait_for(desk.entered.wait(), WITHIN)
    assert trace.carrier.on_gone is not None
    trace.carrier.on_gone()
    await asyncio.wait_for(running, WITHIN)
    assert isinstance(trace.told[0], ClientGone)
    assert desk.running == 0


async def test_a_cancelled_exchange_tells_its_ending_and_is_cancelled(app: Application, desk: Any) -> None:
    trace = Trace(app, "/wait", {})
    running = asyncio.ensure_future(trace.answer())
    await asyncio.wait_for(desk.entered.wait(), WITHIN)
    running.cancel()
    await asyncio.wait((running,), timeout=WITHIN)
    assert running.cancelled()
    (error,) = trace.told
    assert error is not None
    assert error.code == "shutting_down"
    await assert_nothing_left(app)
