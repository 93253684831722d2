"""What continuous batches tell the metrics of a server."""

import pytest

from headrace.batching.step_meter import StepMeter
from headrace.metrics import Metrics

FUNCTION = {"function": "Model.decode"}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(name, FUNCTION)


def counts(metrics: Metrics) -> list[float | None]:
    return [value(metrics, name) for name in ("headrace_batch_waiting", "headrace_slots", "headrace_slots_paused")]


def test_the_batches_of_one_function_add_up(metrics: Metrics) -> None:
    one, other = StepMeter(metrics, "Model.decode"), StepMeter(metrics, "Model.decode")
    one.count(5, 4, 1)
    other.count(1, 2, 0)
    assert counts(metrics) == [6, 6, 1]
    one.count(0, 4, 2)
    assert counts(metrics) == [1, 6, 2]
    one.count(0, 0, 0)
    other.count(0, 0, 0)
    assert counts(metrics) == [0, 0, 0]


def test_waits_and_steps_are_observed(metrics: Metrics) -> None:
    meter = StepMeter(metrics, "Model.decode")
    meter.joined(0.25)
    meter.joined(0.5)
    meter.stepped(2.0)
    assert value(metrics, "headrace_batch_wait_seconds_sum") == 0.75
    assert value(metrics, "headrace_batch_wait_seconds_count") == 2
    assert value(metrics, "headrace_step_seconds_sum") == 2
    assert value(metrics, "headrace_step_seconds_count") == 1


def test_without_a_server_nothing_is_measured() -> None:
    meter = StepMeter(None, "decode")
    meter.joined(1.0)
    meter.stepped(1.0)
    meter.count(1, 1, 1)
    assert not meter.measures
