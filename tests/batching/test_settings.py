"""What the decorators refuse, and the range that they name."""

import math
from typing import Any

import pytest

from headrace.batching.settings import count_of, function_of, seconds_of


@pytest.mark.parametrize(("given", "count"), [(1, 1), (64, 64), (8.0, 8)])
def test_a_count_is_a_whole_number(given: Any, count: int) -> None:
    assert count_of("size", given) == count
    assert type(count_of("size", given)) is int


@pytest.mark.parametrize("given", ["8", None, 2.5, True, math.nan, math.inf])
def test_anything_else_is_no_count(given: Any) -> None:
    with pytest.raises(TypeError, match=r"^size=.* is not a whole number; write 1 or more, as in size=8$"):
        count_of("size", given)


@pytest.mark.parametrize("given", [0, -1, 0.0])
def test_a_count_is_one_or_more(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^size=.* is too small; write 1 or more, as in size=8$"):
        count_of("size", given)


@pytest.mark.parametrize(("given", "seconds"), [(0, 0.0), (0.01, 0.01), (15, 15.0)])
def test_a_time_is_a_number_of_seconds(given: Any, seconds: float) -> None:
    assert seconds_of("wait", given) == seconds
    assert type(seconds_of("wait", given)) is float


@pytest.mark.parametrize("given", ["1", None, True])
def test_anything_else_is_no_time(given: Any) -> None:
    with pytest.raises(TypeError, match=r"^wait=.* is not a number of seconds; write 0 or more, as in wait=0.01$"):
        seconds_of("wait", given)


@pytest.mark.parametrize("given", [-0.1, math.inf, math.nan])
def test_a_time_is_finite_and_not_negative(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^wait=.* is out of range; write a finite time of 0 s or more"):
        seconds_of("wait", given)


def test_a_function_may_be_left_out() -> None:
    assert function_of("measure", None) is None
    assert function_of("measure", len) is len


def test_what_cannot_be_called_is_no_function() -> None:
    with pytest.raises(TypeError, match=r"^measure=3 is not a function; write None or one, as in measure=len$"):
        function_of("measure", 3)
