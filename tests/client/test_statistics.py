"""The numbers of a stream."""

import pytest

from headrace.client.statistics import Statistics, Tally


class Clock:
    time = 10.0

    def __call__(self) -> float:
        return self.time


def test_a_stream_that_has_not_begun() -> None:
    assert Tally(Clock()).statistics(0.0) == Statistics(None, 0, None, 0.0, 0)


def test_the_rate_is_of_the_stretch_from_the_first_item_to_the_last() -> None:
    clock = Clock()
    tally = Tally(clock)
    clock.time = 12.0
    tally.count(2)
    tally.bytes += 20
    clock.time = 14.0
    tally.count(8)
    tally.bytes += 80
    clock.time = 99.0
    assert tally.statistics(1.5) == Statistics(2.0, 10, 4.0, 1.5, 100)


def test_one_read_has_no_stretch() -> None:
    clock = Clock()
    tally = Tally(clock)
    clock.time = 11.0
    tally.count(5)
    assert tally.statistics(0.0) == Statistics(1.0, 5, None, 0.0, 0)


@pytest.mark.parametrize(
    ("statistics", "text"),
    [
        (Statistics(), "0 items, 0 bytes"),
        (Statistics(0.0841, 1, None, 0.0, 12), "first after 84 ms, 1 items, 12 bytes"),
        (
            Statistics(0.0841, 128, 61.23, 0.02, 900),
            "first after 84 ms, 128 items, 61.2/s, longest gap 20 ms, 900 bytes",
        ),
    ],
)
def test_it_reads_as_one_line(statistics: Statistics, text: str) -> None:
    assert str(statistics) == text
