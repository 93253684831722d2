"""The counters and histograms of one server, in a registry of their own: two servers in one process do not mix.

The sum of `headrace_streams_total` over its endings equals `headrace_streams_started_total` once nothing is live.
"""

from __future__ import annotations

from functools import cached_property

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from headrace.errors import (
    Cancelled,
    ClientGone,
    DeadlineExceeded,
    FirstItemTimeout,
    ItemTimeout,
    Overloaded,
    RequestError,
    ShuttingDown,
    SlowReader,
    StreamError,
    WorkerLost,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FIRST_ITEM_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

CANCEL_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

BATCH_SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

TOKEN_RATE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

UTILISATION_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

ENDS = (
    "ok",
    "error",
    "rejected",
    "client_gone",
    "cancelled",
    "slow_reader",
    "timeout",
    "shutdown",
    "worker_lost",
)
"""The values of the `end` label."""


class Metrics:
    """What is measured of streams. Names and labels are stable; `docs/reference/metrics.md` lists them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._streams: dict[str, StreamMetrics] = {}  # as many as there are endpoints
        self._add_streams()
        self._add_server()
        self._add_batches()
        self._add_steps()
        self._add_upstreams()

    def _add_streams(self) -> None:
        self.started = Counter("headrace_streams_started", "Streams asked for.", ["endpoint"], registry=self.registry)
        self.ended = Counter(
            "headrace_streams", "Streams that ended, by how they ended.", ["endpoint", "end"], registry=self.registry
        )
        self.live = Gauge("headrace_streams_live", "Streams that run now.", ["endpoint"], registry=self.registry)
        self.items = Counter("headrace_items", "Items made.", ["endpoint"], registry=self.registry)
        self.first_item = Histogram(
            "headrace_first_item_seconds",
            "From the accepted request to the first item.",
            ["endpoint"],
            buckets=FIRST_ITEM_BUCKETS,
            registry=self.registry,
        )
        self.item_gap = Histogram(
            "headrace_item_gap_seconds",
            "The longest silence of each stream between its items.",
            ["endpoint"],
            buckets=FIRST_ITEM_BUCKETS,
            registry=self.registry,
        )
        self.cancel_latency = Histogram(
            "headrace_cancel_latency_seconds",
            "From the stop of a stream to the end of its code.",
            ["endpoint"],
            buckets=CANCEL_BUCKETS,
            registry=self.registry,
        )
        self.uncancellable = Counter(
            "headrace_uncancellable",
            "Streams whose code did not stop in time and was left behind.",
            ["endpoint"],
            registry=self.registry,
        )
        self.buffered = Gauge(
            "headrace_buffered_bytes", "Bytes that live streams hold for their clients.", registry=self.registry
        )

    def _add_server(self) -> None:
        self.queue_depth = Gauge("headrace_queue_depth", "Requests that wait for a place.", registry=self.registry)
        self.queue_wait = Histogram(
            "headrace_queue_wait_seconds", "How long requests waited for a place.", registry=self.registry
        )
        self.rejected = Counter(
            "headrace_rejected", "Requests refused before any user code ran.", ["reason"], registry=self.registry
        )
        self.threads_stuck = Gauge(
            "headrace_threads_stuck", "Worker threads that did not return when stopped.", registry=self.registry
        )
        self.loop_lag = Gauge(
            "headrace_loop_lag_seconds",
            "How late the event loop was at worst in the last 15 to 30 seconds.",
            registry=self.registry,
        )

    def _add_batches(self) -> None:
        self.batch_waiting = Gauge(
            "headrace_batch_waiting", "Calls that wait for a batch or a slot.", ["function"], registry=self.registry
        )
        self.batch_wait = Histogram(
            "headrace_batch_wait_seconds",
            "How long calls waited for their batch or slot.",
            ["function"],
            buckets=FIRST_ITEM_BUCKETS,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "headrace_batch_size",
            "Calls in a batch.",
            ["function"],
            buckets=BATCH_SIZE_BUCKETS,
            registry=self.registry,
        )
        self.batch_utilisation = Histogram(
            "headrace_batch_utilisation",
            "The size of a batch as a share of the largest allowed.",
            ["function"],
            buckets=UTILISATION_BUCKETS,
            registry=self.registry,
        )
        self.batch_seconds = Histogram(
            "headrace_batch_seconds",
            "How long the function ran for a batch.",
            ["function"],
            buckets=FIRST_ITEM_BUCKETS,
            registry=self.registry,
        )

    def _add_steps(self) -> None:
        self.slots = Gauge(
            "headrace_slots", "Slots in use by continuous batches.", ["function"], registry=self.registry
        )
        self.slots_paused = Gauge(
            "headrace_slots_paused",
            "Slots whose caller does not read.",
            ["function"],
            registry=self.registry,
        )
        self.step_seconds = Histogram(
            "headrace_step_seconds",
            "How long the steps of continuous batches took.",
            ["function"],
            buckets=FIRST_ITEM_BUCKETS,
            registry=self.registry,
        )

    def _add_upstreams(self) -> None:
        self.upstream_generations = Counter(
            "headrace_upstream_generations",
            "Generations of models behind this server, by how they ended.",
            ["model", "outcome"],
            registry=self.registry,
        )
        self.upstream_first_token = Histogram(
            "headrace_upstream_first_token_seconds",
            "From the request to the upstream to the first piece of its answer.",
            ["model"],
            buckets=FIRST_ITEM_BUCKETS,
            registry=self.registry,
        )
        self.upstream_tokens = Counter(
            "headrace_upstream_tokens",
            "Tokens that upstreams have counted, of prompts and of completions.",
            ["model", "kind"],
            registry=self.registry,
        )
        self.upstream_token_rate = Histogram(
            "headrace_upstream_tokens_per_second",
            "Tokens behind the first one of each generation, by the seconds since the first.",
            ["model"],
            buckets=TOKEN_RATE_BUCKETS,
            registry=self.registry,
        )
        self.upstream_retries = Counter(
            "headrace_upstream_retries",
            "Requests that upstreams were sent again.",
            ["model"],
            registry=self.registry,
        )

    def of(self, endpoint: str) -> StreamMetrics:
        """Those of one endpoint's streams."""
        found = self._streams.get(endpoint)
        if found is None:
            found = self._streams[endpoint] = StreamMetrics(self, endpoint)
        return found

    def exposition(self) -> bytes:
        """All of them in the Prometheus text format."""
        return generate_latest(self.registry)


class StreamMetrics:
    """What every stream of one endpoint touches: its part of each metric, looked up once."""

    def __init__(self, metrics: Metrics, endpoint: str) -> None:
        self._metrics = metrics
        self._endpoint = endpoint
        self._ended: dict[str, Counter] = {}
        self.started = metrics.started.labels(endpoint)
        self.live = metrics.live.labels(endpoint)
        self.items = metrics.items.labels(endpoint)

    @cached_property
    def first_item(self) -> Histogram:
        """Where there was one: what never happened has no line in the exposition."""
        return self._metrics.first_item.labels(self._endpoint)

    def ended(self, end: str) -> Counter:
        """Of the streams that ended in this way; one of `ENDS`."""
        found = self._ended.get(end)
        if found is None:
            found = self._ended[end] = self._metrics.ended.labels(self._endpoint, end)
        return found


def end_label(error: StreamError | None) -> str:
    """The `end` label of an ending; None is complete."""
    if error is None:
        return "ok"
    if isinstance(error, (RequestError, Overloaded)):
        return "rejected"
    return next((label for kind, label in _LABELS.items() if isinstance(error, kind)), "error")


_LABELS: dict[type[StreamError], str] = {
    ClientGone: "client_gone",
    Cancelled: "cancelled",
    SlowReader: "slow_reader",
    FirstItemTimeout: "timeout",
    ItemTimeout: "timeout",
    DeadlineExceeded: "timeout",
    ShuttingDown: "shutdown",
    WorkerLost: "worker_lost",
}
