"""The shape of JSON (RFC 8259) before it is read: how deep it is nested and how many values it has.

Reading makes an object of every value, many times as large as its text, so what nobody would send is refused by its
bytes alone. That takes a fixed number of looks at each of them, whatever they are, and next to no memory; whether they
are JSON at all, the reader finds out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

BLOCK = 64 * 1024
"""Bytes that are looked at in one go."""

_MARKS = b",[]{}"
_OTHERS = bytes(set(range(256)) - set(_MARKS))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed bytes, 1 and -1


def is_deeper(data: bytes, most: int) -> bool:
    """Whether arrays and objects lie in each other, more than so many."""
    if data.count(b"[") + data.count(b"{") <= most:
        return False
    level = 0
    for marks in _marks(data):
        levels = list(accumulate(memoryview(marks.translate(_STEPS, b",")).cast("b"), initial=level))
        if max(levels) > most:
            return True
        level = levels[-1]
    return False


def has_more_values(data: bytes, most: int) -> bool:
    """Whether there are more than so many commas, arrays and objects; every value but the first brings one of them."""
    if _values(data) <= most:
        return False
    values = 0
    for marks in _marks(data):
        values += _values(marks)
        if values > most:
            return True
    return False


def _values(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _marks(data: bytes) -> Iterator[bytes]:
    """The commas and brackets that do not stand in a text, block by block."""
    plain = data.replace(rb"\\", b"").replace(rb"\"", b"")  # in this order; then every quote begins or ends a text
    inside = 0
    for at in range(0, len(plain), BLOCK):
        pieces = plain[at : at + BLOCK].split(b'"')
        yield b"".join(pieces[inside::2]).translate(None, _OTHERS)
        inside ^= (len(pieces) - 1) & 1
