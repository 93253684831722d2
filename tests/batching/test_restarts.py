"""Five restarts within a minute; then none until the first of the failures is a minute old."""

from headrace.batching.restarts import Restarts


def test_it_may_be_started_again_five_times() -> None:
    restarts = Restarts()
    waits = []
    for second in range(6):
        restarts.count(100.0 + second)
        waits.append(restarts.wait(100.0 + second))
    assert waits == [0, 0, 0, 0, 0, 55]


def test_it_may_be_started_again_when_the_oldest_failure_is_a_minute_old() -> None:
    restarts = Restarts()
    for second in range(6):
        restarts.count(100.0 + second)
    assert [restarts.wait(now) for now in (159.0, 159.5, 160.0, 1000.0)] == [1, 0.5, 0, 0]
    restarts.count(160.0)
    assert restarts.wait(160.0) == 1  # that of 101.0 counts now


def test_failures_that_are_far_apart_do_not_add_up() -> None:
    restarts = Restarts()
    for minute in range(50):
        restarts.count(minute * 13.0)
        assert restarts.wait(minute * 13.0) == 0
