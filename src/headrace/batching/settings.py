"""Checks what the batching decorators are given, when they are applied: a wrong value is told with the accepted range.

A float that is a whole number counts as one, because configuration files and divisions make such floats.
"""

from __future__ import annotations

import math
from typing import Any


def count_of(name: str, value: Any) -> int:
    """A setting that is a whole number, 1 or more.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is below 1.
    """
    whole = value
    if isinstance(value, float) and value.is_integer():
        whole = int(value)
    if isinstance(whole, bool) or not isinstance(whole, int):
        raise TypeError(f"{name}={value!r} is not a whole number; write 1 or more, as in {name}=8")
    if whole < 1:
        raise ValueError(f"{name}={value!r} is too small; write 1 or more, as in {name}=8")
    return whole


def seconds_of(name: str, value: Any) -> float:
    """A setting that is a time in seconds: 0 or more, and finite.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative, infinite or not a number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}={value!r} is not a number of seconds; write 0 or more, as in {name}=0.01")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}={value!r} is out of range; write a finite time of 0 s or more, as in {name}=0.01")
    return float(value)


def function_of(name: str, value: Any) -> Any:
    """A setting that is a function; None is none.

    Raises:
        TypeError: it cannot be called.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name}={value!r} is not a function; write None or one, as in {name}=len")
    return value
