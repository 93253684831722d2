"""What is measured of a generation: first delta of any kind, tokens as counted by the upstream, a guarded rate."""

import time
from typing import Any

import pytest

from headrace.engines.events import Usage
from headrace.engines.openai_upstream.measures import Clock, Measures, Stopwatch

FOUR = Usage(prompt_tokens=7, completion_tokens=4)


def measured(hands: Any, deltas: list[float], usage: Usage | None, ended: float = 110.0) -> Measures:
    """Of a generation that began at 100 and had its deltas at these times."""
    stopwatch = Stopwatch(hands.clock.now)
    for hands.time in deltas:
        stopwatch.delta()
    hands.time = ended
    stopwatch.stop()
    hands.time = 999.0
    return stopwatch.measures("complete", ("stop",), usage, 1)


def test_the_rate_leaves_out_the_first_token_and_the_time_before_it(hands: Any) -> None:
    assert measured(hands, [104.0, 105.0, 107.0], FOUR) == Measures(
        outcome="complete",
        reasons=("stop",),
        retries=1,
        total_seconds=10.0,
        first_token_seconds=4.0,
        longest_gap_seconds=2.0,
        prompt_tokens=7,
        tokens=4,
        tokens_per_second=1.0,
    )


@pytest.mark.parametrize(
    ("deltas", "tokens"),
    [([], 0), ([], 4), ([104.0], 1), ([104.0], 4), ([104.0, 104.0], 4), ([104.0, 105.0], 1), ([104.0, 105.0], None)],
    ids=["nothing", "no delta", "one token", "one delta", "all at once", "one token in two", "tokens not told"],
)
def test_there_is_no_rate_without_tokens_over_a_time(hands: Any, deltas: list[float], tokens: int | None) -> None:
    usage = None if tokens is None else Usage(7, tokens)
    assert measured(hands, deltas, usage).tokens_per_second is None


def test_deltas_are_not_taken_for_tokens(hands: Any) -> None:
    assert measured(hands, [101.0, 102.0, 103.0], None).tokens is None


def test_one_delta_has_no_gap(hands: Any) -> None:
    assert measured(hands, [101.0], FOUR).longest_gap_seconds is None


def test_a_generation_without_a_delta_has_no_first_token(hands: Any) -> None:
    assert measured(hands, [], None).first_token_seconds is None


def test_the_time_runs_until_the_end(hands: Any) -> None:
    stopwatch = Stopwatch(hands.clock.now)
    hands.time = 103.0
    assert stopwatch.measures(None, (), None, 0).total_seconds == 3.0


def test_the_end_is_the_first_one(hands: Any) -> None:
    stopwatch = Stopwatch(hands.clock.now)
    hands.time = 103.0
    stopwatch.stop()
    hands.time = 105.0
    stopwatch.stop()
    assert stopwatch.measures("failed", (), None, 0).total_seconds == 3.0


def test_the_clock_is_one_that_nobody_turns_back() -> None:
    assert Clock().now is time.monotonic
