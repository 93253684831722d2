"""Starts a service, runs its endpoints, and stops it.

One runtime holds one replica: the instance, its worker threads, its places, and the streams that are live.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from collections.abc import Mapping
from typing import Any

from headrace.config import Settings
from headrace.errors import Overloaded, RequestError, SetupError, StreamError
from headrace.metrics import Metrics, end_label
from headrace.services.decorators import Bound
from headrace.services.definition import define
from headrace.services.endpoint import EndpointDefinition
from headrace.streams.deadlines import Deadlines
from headrace.streams.holding import HoldingOutlet
from headrace.streams.joining import JoiningOutlet, Window
from headrace.streams.limits import Places
from headrace.streams.outlet import Sink
from headrace.streams.pump import Drive, drive_async, drive_call, drive_sync
from headrace.streams.recorder import Recorder
from headrace.streams.stream import Stream
from headrace.streams.threads import Threads
from headrace.wire.formats import Choice

logger = logging.getLogger("headrace.services")


class Runtime:
    """One replica of a service. `async with` starts and stops it; it belongs to one event loop.

    Attributes:
        definition: what is served.
        started: the service was constructed and its `on_start` has run.
        ready: it has started and is not stopping.
        live: the streams that run now, by id.
    """

    def __init__(self, target: type | Bound[Any], settings: Settings, metrics: Metrics) -> None:
        """Raises DefinitionError with every mistake of the class and of what it is bound to."""
        self._bound = target if isinstance(target, Bound) else Bound(target)
        self.definition = define(self._bound)
        self.settings = settings
        self.metrics = metrics
        self.started = False
        self.ready = False
        self.live: dict[str, Stream] = {}
        self.places = Places(settings.max_concurrency, settings.max_queue)
        self._threads = Threads(settings.sync_threads)
        self._instance: Any = None
        self._window: Window | None = None
        metrics.threads_stuck.set_function(lambda: self._threads.stuck)
        metrics.queue_depth.set_function(lambda: self.places.waiting)
        metrics.buffered.set_function(lambda: sum(stream.outlet.buffered for stream in self.live.values()))

    async def __aenter__(self) -> Runtime:
        """Constructs the service and calls its `on_start`.

        Raises:
            SetupError: the user's code raised; that is its cause.
        """
        self._window = Window()
        step = "__init__"
        try:
            instance = self._bound.service(*self._bound.args, **self._bound.kwargs)
            step = "on_start"
            await _call(instance, step)
        except (Exception, SystemExit) as error:  # sys.exit in a constructor must not take the server along unheard
            reason = f"{self.definition.name} could not be started: {type(error).__name__}: {error}"
            raise SetupError(reason, step) from error
        self._instance = instance
        self.started = self.ready = True
        return self

    async def __aexit__(self, *_: object) -> None:
        """Calls the service's `on_stop`, once; what it raises is logged."""
        was_ready, self.ready = self.ready, False
        if not was_ready:
            return
        try:
            await _call(self._instance, "on_stop")
        except Exception:
            logger.exception("%s.on_stop failed", self.definition.name)

    def open(self, endpoint: EndpointDefinition, choice: Choice, sink: Sink, key: str = "") -> Stream:
        """A stream of the endpoint in the chosen encoding, written to `sink`. It counts as started; nothing runs.

        Args:
            key: what the stream belongs to; only with it the stream can be reached by its id.
        """
        assert self._window is not None, "the runtime is started"
        self.metrics.started.labels(endpoint.label).inc()
        types = endpoint.types
        holds = choice.format.gathers or not endpoint.streams
        outlet = (
            HoldingOutlet(sink, self.settings.max_answer)
            if holds
            else JoiningOutlet(sink, self._window, header=types.header is not None)
        )
        return Stream(new_stream_id(), endpoint.label, Recorder(choice.encoder(), types.order()), outlet, key=key)

    async def run(
        self,
        stream: Stream,
        endpoint: EndpointDefinition,
        arguments: Mapping[str, Any],
        deadline: float | None = None,
    ) -> StreamError | None:
        """Runs the stream to its one ending (see `Stream.run`). Meanwhile it is live and can be stopped by its id.

        Args:
            stream: what `open` gave.
            endpoint: the same as there.
            arguments: of the method, by name.
            deadline: when it must be complete, in `time.monotonic()` seconds: `endpoint.timeouts.deadline(...)`, taken
                when the request came.
        """
        self.live[stream.id] = stream
        live = self.metrics.live.labels(endpoint.label)
        live.inc()
        deadlines = Deadlines(stream, endpoint.timeouts, deadline)
        try:
            return await stream.run(self._drive(endpoint, arguments))
        finally:
            deadlines.stop()
            del self.live[stream.id]
            live.dec()
            self._measure(stream, endpoint.label)

    def _measure(self, stream: Stream, label: str) -> None:
        """What is measured once per stream, at its end."""
        self.metrics.items.labels(label).inc(stream.items)
        if stream.first_item_seconds is not None:
            self.metrics.first_item.labels(label).observe(stream.first_item_seconds)
        if stream.outlet.largest_gap is not None:
            self.metrics.item_gap.labels(label).observe(stream.outlet.largest_gap)
        if stream.stop_seconds is not None:
            self.metrics.cancel_latency.labels(label).observe(stream.stop_seconds)
        if stream.abandoned:
            self.metrics.uncancellable.labels(label).inc()

    def count(self, endpoint: EndpointDefinition, error: StreamError | None) -> None:
        """Counts how a stream ended; None: complete. Called once for every stream that `open` made."""
        self.metrics.ended.labels(endpoint.label, end_label(error)).inc()
        if isinstance(error, (RequestError, Overloaded)):
            self.metrics.rejected.labels(error.code).inc()

    def _drive(self, endpoint: EndpointDefinition, arguments: Mapping[str, Any]) -> Drive:
        method = getattr(self._instance, endpoint.attribute)

        def call() -> Any:
            return method(**arguments)

        if endpoint.streams:
            return drive_async(call) if endpoint.is_async else drive_sync(call, self._threads)
        return drive_call(call if endpoint.is_async else lambda: self._threads.call(call))


async def _call(instance: Any, name: str) -> None:
    """Calls a hook of the service if it has one: async on the loop, sync on a thread."""
    hook = getattr(instance, name, None)
    if hook is None:
        return
    result = hook() if inspect.iscoroutinefunction(hook) else await asyncio.to_thread(hook)
    if inspect.isawaitable(result):  # also what a decorator that is not async itself passes on
        await result


def new_stream_id() -> str:
    """192 random bits: nobody guesses the id of somebody else's stream."""
    return "s_" + secrets.token_urlsafe(24)
