"""Decides how many of the oldest waiting calls a batch takes, and how long it may still wait for more.

Plain values: no clock, no I/O. Whoever asks passes what waits and how long it has waited. A batch takes calls from the
front only, so one that does not fit keeps its place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """The oldest calls that fit into one batch.

    Attributes:
        count: how many they are; 0 when the very first one is too large for any batch.
        full: more company would not fit, so that nothing is to be waited for.
        size: what they measure together.
    """

    count: int
    full: bool
    size: float


@dataclass(frozen=True, slots=True)
class Policy:
    """How large a batch may be, and how long it waits to become so.

    Attributes:
        max_batch_size: the most that the calls of one batch measure together; without a measure, their number.
        batch_wait_timeout_s: seconds that the oldest call waits for company.
    """

    max_batch_size: int
    batch_wait_timeout_s: float

    def take(self, waiting: int, measure: Callable[[int], float] | None = None) -> Choice:
        """Which of the oldest calls are the next batch.

        Args:
            waiting: how many wait.
            measure: the size of the oldest n together, which does not fall as n grows; None: n itself.
        """
        size: float
        if measure is None:
            size = count = min(waiting, self.max_batch_size)
        else:
            count = bisect_right(range(1, waiting + 1), float(self.max_batch_size), key=measure)
            size = measure(count) if count else 0.0
        return Choice(count, count < waiting or size >= self.max_batch_size, size)

    def wait(self, choice: Choice, waited: float) -> float:
        """Seconds that a batch still waits though it could run now; 0: it starts.

        Args:
            choice: what `take` gave.
            waited: seconds since the oldest call came.
        """
        return 0.0 if choice.full else max(0.0, self.batch_wait_timeout_s - waited)
