"""The measurements of a server, by the names that dashboards know them by; `docs/reference/metrics.md` lists them."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric

from headrace import errors
from headrace.errors import (
    Cancelled,
    ClientGone,
    DeadlineExceeded,
    FirstItemTimeout,
    InternalError,
    InvalidArguments,
    ItemTimeout,
    MalformedBody,
    MissingFooter,
    Overloaded,
    ShuttingDown,
    SlowReader,
    StreamError,
    WorkerLost,
)
from headrace.metrics import CANCEL_BUCKETS, CONTENT_TYPE, ENDS, FIRST_ITEM_BUCKETS, Metrics, end_label

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "metrics.md"


class ModelBusy(StreamError):
    """A user's own."""

    code = "model_busy"


class Impatient(Cancelled):
    """A user's own."""


ENDINGS = [
    (None, "ok"),
    (InternalError(), "error"),
    (MissingFooter(), "error"),
    (ModelBusy(), "error"),
    (ClientGone(), "client_gone"),
    (Cancelled(), "cancelled"),
    (Impatient(), "cancelled"),
    (SlowReader(), "slow_reader"),
    (FirstItemTimeout(), "timeout"),
    (ItemTimeout(), "timeout"),
    (DeadlineExceeded(), "timeout"),
    (ShuttingDown(), "shutdown"),
    (WorkerLost(), "worker_lost"),
    (Overloaded(), "rejected"),
    (MalformedBody(), "rejected"),
    (InvalidArguments("no", []), "rejected"),
]


@pytest.mark.parametrize(("error", "label"), ENDINGS, ids=lambda value: type(value).__name__)
def test_each_ending_has_its_label(error: StreamError | None, label: str) -> None:
    assert end_label(error) == label


def test_these_are_all_the_labels() -> None:
    assert {label for _, label in ENDINGS} == set(ENDS)


def every_stream_error() -> list[type[StreamError]]:
    found = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, StreamError)]
    return sorted(found, key=lambda each: each.__name__)


@pytest.mark.parametrize("kind", every_stream_error())
def test_no_error_of_the_tree_is_without_a_label(kind: type[StreamError]) -> None:
    assert end_label(kind.__new__(kind)) in ENDS


def collected() -> list[Metric]:
    return list(Metrics().registry.collect())


def test_these_are_the_names() -> None:
    assert [(metric.name, metric.type) for metric in collected()] == [
        ("headrace_streams_started", "counter"),
        ("headrace_streams", "counter"),
        ("headrace_streams_live", "gauge"),
        ("headrace_items", "counter"),
        ("headrace_first_item_seconds", "histogram"),
        ("headrace_item_gap_seconds", "histogram"),
        ("headrace_cancel_latency_seconds", "histogram"),
        ("headrace_uncancellable", "counter"),
        ("headrace_buffered_bytes", "gauge"),
        ("headrace_queue_depth", "gauge"),
        ("headrace_queue_wait_seconds", "histogram"),
        ("headrace_rejected", "counter"),
        ("headrace_threads_stuck", "gauge"),
        ("headrace_loop_lag_seconds", "gauge"),
        ("headrace_batch_waiting", "gauge"),
        ("headrace_batch_wait_seconds", "histogram"),
        ("headrace_batch_size", "histogram"),
        ("headrace_batch_utilisation", "histogram"),
        ("headrace_batch_seconds", "histogram"),
        ("headrace_slots", "gauge"),
        ("headrace_slots_paused", "gauge"),
        ("headrace_step_seconds", "histogram"),
        ("headrace_upstream_generations", "counter"),
        ("headrace_upstream_first_token_seconds", "histogram"),
        ("headrace_upstream_tokens", "counter"),
        ("headrace_upstream_tokens_per_second", "histogram"),
        ("headrace_upstream_retries", "counter"),
    ]


def test_the_exposition_is_prometheus_text() -> None:
    metrics = Metrics()
    metrics.started.labels("Poet.write").inc()
    metrics.ended.labels("Poet.write", "ok").inc()
    metrics.items.labels("Poet.write").inc(3)
    text = metrics.exposition().decode()
    assert 'headrace_streams_started_total{endpoint="Poet.write"} 1.0\n' in text
    assert 'headrace_streams_total{end="ok",endpoint="Poet.write"} 1.0\n' in text
    assert 'headrace_items_total{endpoint="Poet.write"} 3.0\n' in text
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"


def test_two_servers_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.started.labels("Poet.write").inc()
    assert b"Poet.write" not in other.exposition()


@given(st.lists(st.sampled_from(ENDINGS)))
def test_the_endings_sum_to_the_streams_started(endings: list[tuple[StreamError | None, str]]) -> None:
    metrics = Metrics()
    for error, _ in endings:
        metrics.started.labels("Poet.write").inc()
        metrics.ended.labels("Poet.write", end_label(error)).inc()
    samples = {
        sample.labels["end"]: sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "headrace_streams_total"
    }
    assert samples == Counter(label for _, label in endings)
    assert sum(samples.values()) == len(endings)


# the page


def rows(heading: str) -> list[list[str]]:
    """The rows of the table below a heading, without its head."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def labels_of(metrics: Metrics, name: str) -> str:
    for metric in vars(metrics).values():
        if getattr(metric, "_name", None) == name:
            return ", ".join(metric._labelnames)
    raise AssertionError(name)


def test_the_page_lists_every_metric_with_its_labels_and_its_help() -> None:
    metrics = Metrics()
    assert [row[:4] for row in rows("Metrics")] == [
        [
            metric.name + ("_total" if metric.type == "counter" else ""),
            metric.type,
            labels_of(metrics, metric.name),
            metric.documentation,
        ]
        for metric in metrics.registry.collect()
    ]


def test_the_page_lists_every_ending() -> None:
    assert [row[0] for row in rows("Endings")] == list(ENDS)


def test_the_page_lists_the_buckets() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    for buckets in (FIRST_ITEM_BUCKETS, CANCEL_BUCKETS):
        assert f"at {', '.join(f'{each:g}' for each in buckets)}" in text


def test_what_every_stream_of_an_endpoint_touches_is_looked_up_once() -> None:
    metrics = Metrics()
    write = metrics.of("Poet.write")
    assert metrics.of("Poet.write") is write
    assert metrics.of("Poet.read") is not write
    write.started.inc()
    write.live.inc()
    write.items.inc(3)
    write.first_item.observe(0.5)
    write.ended("ok").inc()
    write.ended("ok").inc()
    text = metrics.exposition().decode()
    assert 'headrace_streams_started_total{endpoint="Poet.write"} 1.0\n' in text
    assert 'headrace_streams_live{endpoint="Poet.write"} 1.0\n' in text
    assert 'headrace_items_total{endpoint="Poet.write"} 3.0\n' in text
    assert 'headrace_first_item_seconds_sum{endpoint="Poet.write"} 0.5\n' in text
    assert 'headrace_streams_total{end="ok",endpoint="Poet.write"} 2.0\n' in text


def test_what_never_happened_to_an_endpoint_has_no_line() -> None:
    metrics = Metrics()
    metrics.of("Poet.write").started.inc()
    text = metrics.exposition().decode()
    assert "headrace_first_item_seconds_count" not in text
    assert "headrace_streams_total{" not in text
