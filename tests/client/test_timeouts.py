"""Timeouts as numbers: what is left, what counts, and what is raised."""

from typing import Any

import pytest

from headrace.client.timeouts import SHORTEST, Patience, Remaining, Timeout
from headrace.errors import DeadlineExceeded, FirstItemTimeout, ItemTimeout


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def wait(patience: Patience, clock: Clock, seconds: float) -> None:
    with patience.waiting():
        clock.time += seconds


def test_the_defaults() -> None:
    timeout = Timeout()
    assert (timeout.connect, timeout.first_item, timeout.gap, timeout.total) == (5, 60, 60, None)


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "5"])
@pytest.mark.parametrize("name", ["connect", "first_item", "gap", "total"])
def test_a_timeout_is_a_number_above_zero(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name}=.* a timeout is a number of seconds above 0, or None"):
        Timeout(**{name: value})


def test_without_limits_nothing_is_limited(clock: Clock) -> None:
    patience = Patience(Timeout(None, None, None, None), clock)
    assert (patience.total, patience.silence, patience.left, patience.connect) == (None, None, None, None)
    assert patience.fits(1e9)
    assert [Remaining(patience)[name] for name in Remaining(patience)] == [None] * 4


def test_only_waiting_counts(clock: Clock) -> None:
    patience = Patience(Timeout(first_item=10), clock)
    clock.time += 100  # the caller does something else
    assert patience.left == 10
    wait(patience, clock, 4)
    clock.time += 100
    assert patience.left == 6


def test_time_passes_while_somebody_waits(clock: Clock) -> None:
    patience = Patience(Timeout(first_item=10), clock)
    with patience.waiting():
        clock.time += 4
        assert patience.left == 6


def test_an_item_begins_a_new_silence(clock: Clock) -> None:
    patience = Patience(Timeout(first_item=10, gap=3), clock)
    wait(patience, clock, 9)
    patience.item()
    assert patience.left == 3
    wait(patience, clock, 2)  # a heartbeat came, no item
    assert patience.left == 1


def test_the_total_passes_whatever_the_caller_does(clock: Clock) -> None:
    patience = Patience(Timeout(total=10), clock)
    clock.time += 4
    patience.item()
    assert (patience.total, patience.left) == (6, 6)


def test_the_longest_gap_is_the_longest_wait_after_the_first_item(clock: Clock) -> None:
    patience = Patience(Timeout(), clock)
    for seconds in (9, 2, 5, 1):
        wait(patience, clock, seconds)
        clock.time += 20
        patience.item()
    assert patience.longest == 5


def test_a_pause_fits_when_something_can_still_come_after_it(clock: Clock) -> None:
    patience = Patience(Timeout(first_item=10, total=8), clock)
    assert patience.fits(7.9)
    assert not patience.fits(8)


def test_what_is_raised_is_the_limit_that_passed_first(clock: Clock) -> None:
    patience = Patience(Timeout(first_item=10, gap=3, total=12), clock)
    wait(patience, clock, 10)
    assert type(patience.error()) is FirstItemTimeout
    assert patience.error().message == "no item within 10 s"
    patience.item()
    assert type(patience.error()) is DeadlineExceeded
    assert patience.error().message == "not complete within the 12 s that it had in all"
    patience = Patience(Timeout(gap=0.5, total=12), clock)
    patience.item()
    assert type(patience.error()) is ItemTimeout
    assert patience.error().message == "no further item within 0.5 s"


def test_what_connecting_took_is_gone_when_the_head_is_waited_for(clock: Clock) -> None:
    patience = Patience(Timeout(connect=5, first_item=8), clock)
    remaining = Remaining(patience)
    with patience.waiting():
        assert (remaining["connect"], remaining.get("pool")) == (5, 5)
        clock.time += 4
        assert (remaining["connect"], remaining["write"], remaining.get("read")) == (4, 4, 4)
        clock.time += 10
        assert remaining["read"] == SHORTEST


def test_after_the_head_the_library_has_no_limit(clock: Clock) -> None:
    remaining = Remaining(Patience(Timeout(), clock))
    remaining.answered = True
    assert dict(remaining) == {"connect": None, "read": None, "write": None, "pool": None}
    assert len(remaining) == 4


def test_what_was_said_begins_the_silence_anew(clock: Clock) -> None:
    patience = Patience(Timeout(first_item=10), clock)
    wait(patience, clock, 9)
    patience.said()
    clock.time += 20  # nobody waits
    assert patience.left == 10
    with patience.waiting():
        clock.time += 4
        assert patience.left == 6
        patience.said()
        clock.time += 3
        assert patience.left == 7
    assert patience.left == 7
    wait(patience, clock, 2)
    assert patience.left == 5
