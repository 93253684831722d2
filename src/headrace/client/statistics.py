"""What a stream was like for its reader. Times are taken where the bytes arrive, once per read and not per item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statistics:
    """One stream so far.

    Attributes:
        ttft: seconds from the request to the first item; None before it.
        items: how many came.
        items_per_second: over the stretch from the first to the last; None where there is no such stretch.
        longest_gap: the longest wait for an item after the first, in seconds. What the caller did between two items is
            not in it.
        bytes: of the body, as they were read.
    """

    ttft: float | None = None
    items: int = 0
    items_per_second: float | None = None
    longest_gap: float = 0.0
    bytes: int = 0

    def __str__(self) -> str:
        parts = [f"{self.items} items"]
        if self.ttft is not None:
            parts.insert(0, f"first after {self.ttft * 1000:.0f} ms")
        if self.items_per_second is not None:
            parts.append(f"{self.items_per_second:.1f}/s")
            parts.append(f"longest gap {self.longest_gap * 1000:.0f} ms")
        return ", ".join([*parts, f"{self.bytes} bytes"])


class Tally:
    """Counts one stream; it began when this was made."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._first = self._last = 0.0
        self._before = 0  # items that came with the first
        self.items = 0
        self.bytes = 0

    def count(self, items: int) -> None:
        """So many items came at once, now."""
        self._last = self._clock()
        if not self.items:
            self._first, self._before = self._last, items
        self.items += items

    def statistics(self, longest_gap: float) -> Statistics:
        """So far."""
        stretch = self._last - self._first
        return Statistics(
            ttft=self._first - self._began if self.items else None,
            items=self.items,
            items_per_second=(self.items - self._before) / stretch if stretch > 0 else None,
            longest_gap=longest_gap,
            bytes=self.bytes,
        )
