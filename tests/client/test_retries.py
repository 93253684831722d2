"""When a request is sent again, and after which pause."""

import pytest

from headrace.client.retries import pause_before, read_advice
from headrace.client.timeouts import Patience, Timeout
from headrace.errors import InternalError, Overloaded, StreamError


def pause(
    attempt: int = 1,
    error: StreamError | None = None,
    advice: float | None = None,
    timeout: Timeout | None = None,
    chance: float = 1.0,
) -> float | None:
    patience = Patience(timeout or Timeout(), lambda: 0.0)
    return pause_before(attempt, error or Overloaded(), advice, patience, lambda: chance)


def test_only_an_error_that_says_so_is_tried_again() -> None:
    assert pause(error=InternalError()) is None
    told = StreamError("busy")
    told.retryable = True
    assert pause(error=told) == 0.25


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 0.25), (2, 0.5), (3, 1.0), (6, 8.0), (60, 8.0)])
def test_pauses_double_up_to_a_limit(attempt: int, seconds: float) -> None:
    assert pause(attempt) == seconds


def test_half_of_a_pause_is_chance() -> None:
    assert pause(3, chance=0.0) == 0.5
    assert pause(3, chance=0.5) == 0.75


def test_the_server_is_given_the_time_that_it_names() -> None:
    assert pause(advice=3.0) == 3.25
    assert pause(advice=30.0, timeout=Timeout(first_item=None)) == 30.25


def test_who_is_told_to_come_back_much_later_is_told_so_at_once() -> None:
    assert pause(advice=31.0) is None


def test_a_pause_that_does_not_fit_is_not_begun() -> None:
    assert pause(advice=3.0, timeout=Timeout(total=3.2)) is None
    assert pause(advice=3.0, timeout=Timeout(first_item=3.2)) is None
    assert pause(advice=3.0, timeout=Timeout(total=3.3)) == 3.25


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("7", 7.0), ("0", 0.0), ("", None), ("-1", None), ("1.5", None), ("\u0663", None), ("9" * 400, None)],
        ("Fri, 20 Nov 2026 15:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds(text: str, seconds: float | None) -> None:
    assert read_advice(text) == seconds
