"""Each caller's share: a bound on its streams, a token bucket for its starts, and what is remembered of it."""

from contextlib import ExitStack

import pytest

from headrace.errors import RateLimited
from headrace.server.admission import CALLERS, Shares, caller_at


def start(shares: Shares, caller: str, now: float) -> None:
    """A stream that is over at once."""
    with shares.hold(caller, now):
        pass


def refusal(shares: Shares, caller: str, now: float) -> int:
    """The seconds after which a refused caller may try again."""
    with pytest.raises(RateLimited) as refused:
        start(shares, caller, now)
    return refused.value.retry_after


# -- the streams at a time


def test_a_caller_has_its_number_of_streams_and_no_more() -> None:
    shares = Shares(2, 0, 1)
    with shares.hold("a", 0), shares.hold("a", 0):
        assert refusal(shares, "a", 0) == 1
        start(shares, "b", 0)
    start(shares, "a", 0)


def test_a_stream_that_fails_gives_its_share_back() -> None:
    shares = Shares(1, 0, 1)
    with pytest.raises(KeyError), shares.hold("a", 0):
        raise KeyError
    start(shares, "a", 0)
    assert len(shares) == 0


def test_a_refusal_takes_nothing() -> None:
    shares = Shares(1, 1, 2)
    with shares.hold("a", 0):
        for _ in range(5):
            refusal(shares, "a", 0)
    start(shares, "a", 0)


# -- the starts per second


def test_a_quiet_caller_starts_its_burst_at_once_and_then_its_rate() -> None:
    shares = Shares(0, 2, 3)
    for _ in range(3):
        start(shares, "a", 100)
    assert refusal(shares, "a", 100) == 1
    assert refusal(shares, "a", 100.4) == 1
    start(shares, "a", 100.5)
    refusal(shares, "a", 100.5)
    start(shares, "a", 101)


def test_a_bucket_holds_no_more_than_the_burst() -> None:
    shares = Shares(0, 10, 2)
    start(shares, "a", 0)
    for _ in range(2):
        start(shares, "a", 1000)
    refusal(shares, "a", 1000)


@pytest.mark.parametrize(("rate", "seconds"), [(0.1, 10), (0.3, 4), (1, 1), (50, 1)])
def test_who_is_refused_is_told_whole_seconds_after_which_it_works(rate: float, seconds: int) -> None:
    shares = Shares(0, rate, 1)
    start(shares, "a", 0)
    assert refusal(shares, "a", 0) == seconds
    start(shares, "a", seconds)


def test_the_share_of_one_caller_is_not_that_of_another() -> None:
    shares = Shares(0, 1, 1)
    start(shares, "a", 0)
    refusal(shares, "a", 0)
    start(shares, "b", 0)


def test_without_limits_everybody_may_and_nobody_is_remembered() -> None:
    shares = Shares(0, 0, 1)
    with ExitStack() as held:
        for _ in range(1000):
            held.enter_context(shares.hold("a", 0))
        assert len(shares) == 0


# -- what is remembered


def test_a_caller_is_forgotten_when_its_bucket_is_full_again() -> None:
    shares = Shares(1, 10, 5)
    for number in range(1000):
        start(shares, str(number), 0)
    assert len(shares) == 1000
    start(shares, "late", 0.4)
    assert len(shares) == 1001
    start(shares, "later", 0.6)
    assert len(shares) == 2


def test_callers_are_remembered_up_to_a_bound() -> None:
    shares = Shares(0, 0.001, 1)
    for number in range(CALLERS + 1000):
        start(shares, str(number), 0)
    assert len(shares) <= CALLERS + 1
    refusal(shares, str(CALLERS + 999), 0)


# -- who a caller is


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_a_client_is_known_by_its_address_or_its_network(address: str, caller: str) -> None:
    assert caller_at(address) == caller


@pytest.mark.parametrize(
    ("concurrency", "rate", "bounded"), [(0, 0.0, False), (1, 0.0, True), (0, 0.5, True), (1, 0.5, True)]
)
def test_only_shares_with_a_limit_are_bounded(concurrency: int, rate: float, bounded: bool) -> None:
    assert Shares(concurrency, rate, 1).bounded is bounded
