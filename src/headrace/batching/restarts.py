"""How often something that fails is started again: so many times within a while, then not until that has passed.

Time is an argument, so that the rule holds without a clock.
"""

from __future__ import annotations

from collections import deque

RESTARTS = 5
WITHIN = 60.0
"""Seconds."""


class Restarts:
    """The failures of one thing that is started again after each of them."""

    def __init__(self) -> None:
        self._failures: deque[float] = deque(maxlen=RESTARTS + 1)

    def count(self, now: float) -> None:
        """It failed at this time, in seconds of a clock that never goes back."""
        self._failures.append(now)

    def wait(self, now: float) -> float:
        """Seconds until it may be started again; 0: it may."""
        if len(self._failures) <= RESTARTS:
            return 0.0
        return max(0.0, self._failures[0] + WITHIN - now)
