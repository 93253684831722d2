"""How many of the oldest a batch takes, and when it starts: a plain rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.batching.policy import Choice, Policy


@pytest.mark.parametrize(
    ("waiting", "choice"),
    [
        (0, Choice(0, False, 0)),
        (1, Choice(1, False, 1)),
        (3, Choice(3, False, 3)),
        (4, Choice(4, True, 4)),
        (9, Choice(4, True, 4)),
    ],
)
def test_without_a_measure_calls_are_counted(waiting: int, choice: Choice) -> None:
    assert Policy(4, 0.01).take(waiting) == choice


@pytest.mark.parametrize(
    ("sizes", "choice"),
    [
        ([], Choice(0, False, 0)),
        ([4], Choice(1, False, 4)),
        ([4, 6], Choice(2, True, 10)),
        ([4, 7, 1], Choice(1, True, 4)),  # the 7 keeps its place before the 1
        ([0, 0, 0], Choice(3, False, 0)),
        ([11, 1], Choice(0, True, 0)),
        ([2.5, 2.5], Choice(2, False, 5)),
    ],
)
def test_with_a_measure_the_oldest_are_taken_that_fit_together(sizes: list[float], choice: Choice) -> None:
    assert Policy(10, 0.01).take(len(sizes), lambda count: sum(sizes[:count])) == choice


def test_the_measure_may_be_that_of_a_padded_batch() -> None:
    lengths = [2, 3, 5, 2]
    padded = Policy(10, 0.01).take(4, lambda count: count * max(lengths[:count]))
    assert padded == Choice(2, True, 6)


@pytest.mark.parametrize(
    ("choice", "waited", "wait"),
    [
        (Choice(1, False, 1), 0.0, 0.5),
        (Choice(1, False, 1), 0.2, 0.3),
        (Choice(1, False, 1), 0.7, 0.0),
        (Choice(4, True, 4), 0.0, 0.0),
    ],
)
def test_a_batch_waits_until_it_is_full_or_its_oldest_has_waited_enough(
    choice: Choice, waited: float, wait: float
) -> None:
    assert Policy(4, 0.5).wait(choice, waited) == pytest.approx(wait)


def test_without_a_timeout_nothing_is_waited_for() -> None:
    assert Policy(4, 0.0).wait(Choice(1, False, 1), 0.0) == 0.0


@given(st.lists(st.integers(0, 12)), st.integers(1, 20))
def test_what_is_taken_fits_and_one_more_would_not(sizes: list[int], most: int) -> None:
    choice = Policy(most, 0.01).take(len(sizes), lambda count: sum(sizes[:count]))
    assert sum(sizes[: choice.count]) == choice.size <= most
    assert choice.count == len(sizes) or sum(sizes[: choice.count + 1]) > most
