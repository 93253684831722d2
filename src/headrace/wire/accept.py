"""The Accept header (RFC 9110, section 12.5.1): which media types a client takes, and how gladly.

Read leniently: a range that makes no sense is passed over, a weight that makes none counts as 1. Parameters other than
the weight are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaRange:
    """`type/subtype`, `type/*` or `*/*`, in lower case, and its weight from 0 (not at all) to 1."""

    type: str
    subtype: str
    weight: float = 1.0

    @property
    def precision(self) -> int:
        """The more precise range decides where several match: 2 for `type/subtype`, 1 for `type/*`, 0 for `*/*`."""
        return (self.type != "*") + (self.subtype != "*")

    def matches(self, media_type: str) -> bool:
        """Whether a media type without parameters is of this range."""
        type_, _, subtype = media_type.partition("/")
        return self.type in ("*", type_) and self.subtype in ("*", subtype)


def parse_accept(accept: str | None) -> tuple[MediaRange, ...]:
    """The ranges in the client's order; `*/*` for a header that is absent or says nothing."""
    ranges: list[MediaRange] = []
    for element in _QUOTED.sub("", accept or "").lower().split(","):
        name, *parameters = (part.strip() for part in element.split(";"))
        found = _RANGE.fullmatch("*/*" if name == "*" else name)  # "*" alone: Java's HttpURLConnection
        if found is not None:
            ranges.append(MediaRange(found[1], found[2], _weight(parameters)))
    return tuple(ranges) or (MediaRange("*", "*"),)


def preference(ranges: Sequence[MediaRange], media_type: str, *, exact: bool = False) -> tuple[float, int] | None:
    """How gladly this media type is taken: the weight, and minus the place of the range that says so.

    None: not at all. `exact` counts only ranges that name the type in full.
    """
    matching = [(range_.precision, -place, range_) for place, range_ in enumerate(ranges) if range_.matches(media_type)]
    if not matching:
        return None
    precision, place, range_ = max(matching, key=lambda match: match[:2])
    if range_.weight == 0 or (exact and precision < 2):
        return None
    return range_.weight, place


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            number = _NUMBER.fullmatch(value.strip())
            return 1.0 if number is None else min(1.0, float(number[0]))
    return 1.0


_QUOTED = re.compile(r'"[^"]*"')  # commas and semicolons inside are no separators
_RANGE = re.compile(r"([^\s/*]+|\*(?=/\*))/([^\s/*]+|\*)")
_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
