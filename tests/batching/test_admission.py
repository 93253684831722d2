"""The oldest join, as many as fit; nobody overtakes."""

import pytest

from headrace.batching.admission import Admission


@pytest.mark.parametrize(
    ("places", "cost", "waiting", "running", "count"),
    [
        (4, None, [], [], 0),
        (4, None, [1], [], 1),
        (4, None, [1] * 9, [], 4),
        (4, None, [1] * 9, [1] * 3, 1),
        (4, None, [1] * 9, [1] * 4, 0),
        (4, None, [1] * 9, [1] * 5, 0),
        (4, 10, [4, 6, 1], [], 2),
        (4, 10, [4, 7, 1], [], 1),  # the one that would fit waits behind the one that does not
        (4, 10, [11], [], 0),
        (4, 10, [3], [8], 0),
        (4, 10, [2, 1], [8], 1),
        (4, 10, [0, 0], [10], 2),
        (4, 10, [0.1] * 3, [9.7], 3),
        (1, 10, [1, 1], [], 1),
    ],
)
def test_how_many_of_the_oldest_join(
    places: int, cost: float | None, waiting: list[float], running: list[float], count: int
) -> None:
    assert Admission(places, cost).take(waiting, running) == count


@pytest.mark.parametrize(("cost", "fits"), [(0, True), (10, True), (10.5, False)])
def test_a_request_fits_that_could_join_alone(cost: float, fits: bool) -> None:
    assert Admission(4, 10).fits(cost) is fits
    assert Admission(4).fits(cost)
