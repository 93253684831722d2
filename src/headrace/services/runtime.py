"""Starts a service and what it depends on, runs its endpoints, and stops them.

One runtime holds one replica of each: the instances, their worker threads, the places, and the streams that are live.
A call from one service to another is a stream like any other, a child of the one whose code makes it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from headrace.batching.surroundings import SURROUNDINGS, Surroundings, surrounded
from headrace.config import Settings
from headrace.errors import Overloaded, RequestError, ShuttingDown, StreamError
from headrace.metrics import Metrics, StreamMetrics, end_label
from headrace.services.call import AnswerCall, Run, StreamCall
from headrace.services.caller import Caller
from headrace.services.context import Request, answering, current
from headrace.services.decorators import Bound
from headrace.services.definition import ServiceDefinition, define
from headrace.services.dependencies import same
from headrace.services.endpoint import EndpointDefinition, Origin
from headrace.services.lifespan import Lifespan
from headrace.services.mounts import MountDefinition
from headrace.services.replica import LocalReplica, Replica
from headrace.services.surroundings import surroundings
from headrace.streams.channel import Channel
from headrace.streams.children import Children
from headrace.streams.deadlines import Deadlines
from headrace.streams.holding import HoldingOutlet
from headrace.streams.joining import JoiningOutlet, Window
from headrace.streams.limits import Places
from headrace.streams.outlet import Outlet, Sink
from headrace.streams.pump import Drive
from headrace.streams.recorder import Recorder
from headrace.streams.stream import Stream
from headrace.wire.dialect import Answer
from headrace.wire.encoding import Encoder
from headrace.wire.passing import AsItIs, PassingEncoder


class Runtime:
    """One replica of a service and of everything it depends on, in this process or over the client.

    `async with` starts and stops it; it belongs to one event loop.

    Attributes:
        definition: what is served.
        started: the services were constructed and their `on_start` has run.
        ready: they have started and are not stopping.
        live: the streams that run now, by id, the calls between the services among them.
        clock: in seconds; what deadlines are measured with.
    """

    def __init__(
        self,
        target: type | Bound[Any],
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises DefinitionError with every mistake of the class, of what it depends on, and of what it is bound to."""
        self.definition = define(target if isinstance(target, Bound) else Bound(target))
        self.settings = settings
        self.metrics = metrics
        self.clock = clock
        self.started = False
        self.ready = False
        self.live: dict[str, Stream] = {}
        self.places = Places(settings.max_concurrency, settings.max_queue, clock)
        self._replicas = [self._replica(each) for each in (*self.definition.dependencies, self.definition)]
        self._running: list[Replica] = []  # those that have started
        self._lifespans: dict[MountDefinition, Lifespan] = {}  # likewise
        # Calls made by no stream's code, of hooks and tests. They end before the service that they call is stopped.
        self._calls = {each: Children() for each in self._replicas}
        self._window: Window | None = None
        self._surroundings: Surroundings | None = None
        metrics.threads_stuck.set_function(lambda: sum(each.threads_stuck for each in self._replicas))
        metrics.queue_depth.set_function(lambda: self.places.waiting)
        metrics.buffered.set_function(lambda: sum(stream.outlet.buffered for stream in self.live.values()))

    async def __aenter__(self) -> Runtime:
        """Constructs the services and calls their `on_start`, those that others depend on first. The lifespans of the
        mounted applications lie within: they start last, and are the first to end.

        Raises:
            SetupError: the user's code raised; that is its cause. What had started was stopped.
        """
        self._window = Window()
        try:
            self._surroundings = surroundings(self.metrics)
            for replica in self._replicas:
                with surrounded(self._surroundings):
                    await replica.start(self.handle)
                self._running.append(replica)
            for mount in self.definition.mounts:
                lifespan = Lifespan(mount.app, self.definition.name)
                await lifespan.start()
                self._lifespans[mount] = lifespan
        except BaseException:
            await self._stop()
            raise
        self.started = self.ready = True
        return self

    async def __aexit__(self, *_: object) -> None:
        """Calls `on_stop` of the services, once, in the reverse order; what it raises is logged."""
        self.ready = False
        await self._stop()

    @property
    def healthy(self) -> bool:
        """Whether it can answer, as far as it knows."""
        return self.trouble is None

    @property
    def trouble(self) -> str | None:
        """What keeps it from answering, though it has started; None where it can."""
        batches = () if self._surroundings is None else tuple(self._surroundings.continuous)
        if not all(each.healthy for each in batches):
            return "a continuous batch of the service fails over and over, or is stuck"
        sick = [each.definition.name for each in self._running if not each.healthy]
        return f"{', '.join(sick)}: not healthy, by its own account" if sick else None

    async def _stop(self) -> None:
        interrupted = False
        for batch in () if self._surroundings is None else tuple(self._surroundings.continuous):
            batch.close()
        while self._lifespans:
            _, lifespan = self._lifespans.popitem()
            interrupted |= await lifespan.stop()
        while self._running:
            replica = self._running.pop()
            interrupted |= await self._calls[replica].end(ShuttingDown())
            await replica.stop()
        if interrupted:
            raise asyncio.CancelledError

    def _replica(self, definition: ServiceDefinition) -> Replica:
        if definition.bound.url is None:
            return LocalReplica(definition, self.settings.sync_threads)
        from headrace.services.remote import RemoteReplica

        return RemoteReplica(definition)

    def state(self, mount: MountDefinition) -> Mapping[str, Any]:
        """What the lifespan of a mounted application has left for its requests."""
        return self._lifespans[mount].state

    @property
    def instance(self) -> Any:
        """The service that is served, once it was started."""
        return self._replicas[-1].instance

    @property
    def example_arguments(self) -> Mapping[str, Any]:
        """See `Replica.example_arguments`, of the service that is served."""
        return self._replicas[-1].example_arguments

    def handle(self, bound: Bound[Any]) -> Any:
        """What stands for one of the services; calls through it belong to the stream whose code makes them."""
        replica = next(each for each in self._replicas if same(each.definition.bound, bound))
        return Caller(replica.definition, partial(self._call, replica), asyncio.get_running_loop())

    def open(self, endpoint: EndpointDefinition, answer: Answer, sink: Sink, key: str = "") -> Stream:
        """A stream of the endpoint, to be answered in this way. It counts as started; nothing runs.

        Args:
            endpoint: of the service that is served.
            answer: `UNDECIDED` where only the arguments will say; then `settle` comes before `run`.
            sink: where it is written.
            key: what the stream belongs to; only with it the stream can be reached by its id.
        """
        return self._new_stream(endpoint, answer.encoder, self._outlet(endpoint, answer, sink), key)

    def settle(self, stream: Stream, endpoint: EndpointDefinition, answer: Answer, sink: Sink) -> None:
        """Decides how a stream is answered that was opened `UNDECIDED`; the others as for `open`."""
        stream.settle(answer.encoder, self._outlet(endpoint, answer, sink))

    def _outlet(self, endpoint: EndpointDefinition, answer: Answer, sink: Sink) -> Outlet:
        assert self._window is not None, "the runtime is started"
        if answer.gathers or not endpoint.streams:
            return HoldingOutlet(sink, self.settings.max_answer)
        return JoiningOutlet(sink, self._window, header=endpoint.types.header is not None)

    def pass_on(self, mount: MountDefinition, outlet: Outlet, key: str = "") -> Stream:
        """A stream of what a mounted application sends. It counts as started; nothing runs.

        Args:
            mount: one of the definition's.
            outlet: where its messages leave.
            key: see `open`.
        """
        return self._new_stream(mount, AsItIs(), outlet, key)

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
            deadline: when it must be complete, by `clock`: `endpoint.timeouts.deadline(...)`, taken
                when the request came.
        """
        return await self.drive(stream, endpoint, self._replicas[-1].drive(endpoint, arguments), deadline)

    async def drive(
        self, stream: Stream, origin: Origin, drive: Drive, deadline: float | None = None
    ) -> StreamError | None:
        """Runs a stream whose code is given; otherwise as `run`."""
        self.live[stream.id] = stream
        metrics = self.metrics.of(origin.label)
        metrics.live.inc()
        deadlines = Deadlines(stream, origin.timeouts, deadline, self.clock)
        outside = SURROUNDINGS.set(self._surroundings)
        try:
            return await stream.run(drive)
        finally:
            SURROUNDINGS.reset(outside)
            deadlines.stop()
            del self.live[stream.id]
            metrics.live.dec()
            self._measure(stream, metrics)

    def _call(
        self, replica: Replica, endpoint: EndpointDefinition, arguments: Mapping[str, Any], place: str
    ) -> StreamCall | AnswerCall:
        """Starts a call of a service below, as a child of the stream whose code makes it."""
        caller = current()
        channel = Channel()
        key = "" if caller is None else caller.stream.key
        stream = self._new_stream(endpoint, PassingEncoder(endpoint.types), channel, key, called=True)
        remaining = None if caller is None else caller.remaining
        request = Request(
            request_id=secrets.token_hex(8) if caller is None else caller.request_id,
            headers={} if caller is None else caller.headers,
            deadline=endpoint.timeouts.deadline(self.clock(), remaining),
            stream=stream,
        )
        owner = asyncio.get_running_loop().create_task(self._own(replica, endpoint, arguments, request))
        (self._calls[replica] if caller is None else caller.stream.children).adopt(stream, owner)
        run = Run(stream, channel, owner)
        return StreamCall(run, place) if endpoint.streams else AnswerCall(run, place)

    async def _own(
        self, replica: Replica, endpoint: EndpointDefinition, arguments: Mapping[str, Any], request: Request
    ) -> None:
        """Owns the stream of a call: runs it, counts its ending and tells it."""
        stream = request.stream
        try:
            with answering(request):
                await self.drive(stream, endpoint, replica.drive(endpoint, arguments), request.deadline)
        finally:
            self.count(endpoint, stream.error)
            await stream.finish()

    def _new_stream(
        self, origin: Origin, encoder: Encoder, outlet: Outlet, key: str, *, called: bool = False
    ) -> Stream:
        self.metrics.of(origin.label).started.inc()
        recorder = Recorder(encoder, origin.types.order(), self.clock)
        return Stream(new_stream_id(), origin.label, recorder, outlet, self.clock, key=key, called=called)

    def _measure(self, stream: Stream, metrics: StreamMetrics) -> None:
        """What is measured once per stream, at its end."""
        metrics.items.inc(stream.items)
        if stream.first_item_seconds is not None:
            metrics.first_item.observe(stream.first_item_seconds)
        if stream.outlet.largest_gap is not None:
            self.metrics.item_gap.labels(stream.endpoint).observe(stream.outlet.largest_gap)
        if stream.stop_seconds is not None:
            self.metrics.cancel_latency.labels(stream.endpoint).observe(stream.stop_seconds)
        if stream.abandoned:
            self.metrics.uncancellable.labels(stream.endpoint).inc()

    def count(self, origin: Origin, error: StreamError | None) -> None:
        """Counts how a stream ended; None: complete. Called once for every stream that was made."""
        self.metrics.of(origin.label).ended(end_label(error)).inc()
        if isinstance(error, (RequestError, Overloaded)):
            self.metrics.rejected.labels(error.code).inc()


def new_stream_id() -> str:
    """192 random bits: nobody guesses the id of somebody else's stream."""
    return "s_" + secrets.token_urlsafe(24)
