"""What of a batch is observed where."""

from headrace.batching.meter import Meter
from headrace.metrics import Metrics


def lines(metrics: Metrics, name: str) -> list[str]:
    text = metrics.exposition().decode()
    return [line.partition(" ")[2] for line in text.splitlines() if line.startswith(f'{name}{{function="Poet.write"}}')]


def test_calls_that_wait_are_counted_up_and_down() -> None:
    metrics = Metrics()
    meter = Meter(metrics, "Poet.write")
    meter.waiting(1)
    meter.waiting(1)
    assert lines(metrics, "headrace_batch_waiting") == ["2.0"]
    meter.waiting(-2)
    assert lines(metrics, "headrace_batch_waiting") == ["0.0"]


def test_a_batch_is_measured_when_it_starts_and_when_it_ends() -> None:
    metrics = Metrics()
    meter = Meter(metrics, "Poet.write")
    meter.started([0.25, 0.5], 0.2)
    meter.ended(3.0)
    assert lines(metrics, "headrace_batch_wait_seconds_count") == ["2.0"]
    assert lines(metrics, "headrace_batch_wait_seconds_sum") == ["0.75"]
    assert lines(metrics, "headrace_batch_size_count") == ["1.0"]
    assert lines(metrics, "headrace_batch_size_sum") == ["2.0"]
    assert lines(metrics, "headrace_batch_utilisation_sum") == ["0.2"]
    assert lines(metrics, "headrace_batch_seconds_sum") == ["3.0"]
