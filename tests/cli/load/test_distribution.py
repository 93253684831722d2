"""Means and percentiles, of all durations and of those that are kept."""

import pytest

from headrace.cli.load.distribution import Distribution


def of(*seconds: float, zeros: int = 0, limit: int = 1000) -> Distribution:
    distribution = Distribution(limit)
    distribution.add_zeros(zeros)
    for each in seconds:
        distribution.add(each)
    return distribution


@pytest.mark.parametrize(
    ("distribution", "mean", "median", "p99"),
    [
        (of(), None, None, None),
        (of(5.0), 5.0, 5.0, 5.0),
        (of(4.0, 1.0, 3.0, 2.0), 2.5, 2.5, 3.97),
        (of(*range(1, 102)), 51.0, 51.0, 100.0),
        (of(6.0, 2.0, zeros=2), 2.0, 1.0, 5.88),
        (of(zeros=3), 0.0, 0.0, 0.0),
    ],
)
def test_percentiles_are_interpolated_as_numpy_does_it(
    distribution: Distribution, mean: float | None, median: float | None, p99: float | None
) -> None:
    assert distribution.mean == mean
    assert distribution.percentile(50) == median
    assert distribution.percentile(99) == pytest.approx(p99)


def test_the_ends_are_the_least_and_the_greatest() -> None:
    assert (of(3.0, 9.0, 1.0).percentile(0), of(3.0, 9.0, 1.0).percentile(100)) == (1.0, 9.0)


def test_at_the_limit_every_second_one_stands_for_two_and_the_mean_is_of_all() -> None:
    distribution = of(*range(100), limit=10)
    assert len(distribution._kept) <= 10
    assert list(distribution._kept) == [0.0, 16.0, 32.0, 48.0, 64.0, 80.0, 96.0]
    assert (distribution.count, distribution.mean) == (100, 49.5)
    assert distribution.percentile(50) == 48.0


def test_a_limit_that_is_reached_and_not_passed_keeps_all() -> None:
    assert list(of(*range(10), limit=10)._kept) == [float(n) for n in range(10)]


def test_merged_ones_are_as_if_they_had_been_one() -> None:
    merged = of(1.0, zeros=1)
    merged.merge(of(2.0, 5.0, zeros=2))
    assert (merged.count, merged.mean, merged.percentile(50), merged.percentile(100)) == (6, 8 / 6, 0.5, 5.0)


def test_what_stands_for_several_is_merged_as_several() -> None:
    merged = Distribution()
    merged.merge(of(*range(12), limit=10))
    assert (merged.count, merged.mean) == (12, 5.5)
    assert list(merged._kept) == [0.0, 0.0, 2.0, 2.0, 4.0, 4.0, 6.0, 6.0, 8.0, 8.0, 10.0, 10.0]
