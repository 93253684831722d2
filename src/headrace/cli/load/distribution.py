"""Many durations, of which the mean and the percentiles are asked for at the end.

Items that came in one read came at the same time: the gaps between them are zero, and only counted. Of the others at
most `limit` are kept: at the limit every second one is let go, and from then on only every second one, then every
fourth, is kept. The mean always is of all of them.
"""

from __future__ import annotations

from array import array

LIMIT = 1_000_000


class Distribution:
    """Durations in seconds; none is negative.

    Args:
        limit: how many are kept, eight bytes each; even.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.count = 0
        self._limit = limit
        self._zeros = 0
        self._sum = 0.0
        self._kept = array("d")
        self._stride = 1  # each of them stands for so many
        self._seen = 0

    def add(self, seconds: float) -> None:
        """One more."""
        self.count += 1
        self._sum += seconds
        self._keep(seconds)

    def add_zeros(self, count: int) -> None:
        """So many more, of no duration."""
        self.count += count
        self._zeros += count

    def merge(self, other: Distribution) -> None:
        """All of another one."""
        self.count += other.count
        self._zeros += other._zeros
        self._sum += other._sum
        for seconds in other._kept:
            for _ in range(other._stride):
                self._keep(seconds)

    @property
    def mean(self) -> float | None:
        """In seconds; None of none."""
        return self._sum / self.count if self.count else None

    def percentile(self, percent: float) -> float | None:
        """In seconds, interpolated between its two neighbours as numpy does it by default; None of none."""
        kept = sorted(self._kept)
        total = self._zeros + len(kept) * self._stride
        if not total:
            return None

        def at(index: int) -> float:
            return 0.0 if index < self._zeros else kept[(index - self._zeros) // self._stride]

        position = (total - 1) * percent / 100
        below = int(position)
        low, high = at(below), at(min(below + 1, total - 1))
        return low + (high - low) * (position - below)

    def _keep(self, seconds: float) -> None:
        if self._seen % self._stride == 0:
            if len(self._kept) == self._limit:
                del self._kept[1::2]
                self._stride *= 2
            if self._seen % self._stride == 0:
                self._kept.append(seconds)
        self._seen += 1
