"""The shape of JSON (RFC 8259) before it is read: how deep it is nested and how many values it has.

Reading makes an object of every value, many times as large as its text, so what nobody would send is refused by its
bytes alone. Each of them is looked at a fixed number of times, whatever they are; whether they are JSON at all, the
reader finds out.
"""

from __future__ import annotations

import re
from itertools import accumulate


def is_deeper(data: bytes, most: int) -> bool:
    """Whether arrays and objects lie in each other, more than so many."""
    if data.count(b"[") + data.count(b"{") <= most:
        return False
    steps = _without_texts(data).translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0) > most


def has_more_values(data: bytes, most: int) -> bool:
    """Whether there are more than so many commas, arrays and objects; every value but the first brings one of them."""
    return _marks(data) > most and _marks(_without_texts(data)) > most


def _without_texts(data: bytes) -> bytes:
    return _TEXT.sub(b"", data)


def _marks(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


# A text without its end goes to the end of the data, and the second `+` never gives back what the first one took: else
# a body of nothing but escaped quotes is looked at from each of them again.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed bytes, 1 and -1
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
