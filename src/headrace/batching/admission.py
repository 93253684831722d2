"""Who joins a batch that is running: the oldest, in their order, as many as there are places and room for their costs.

Nobody overtakes: a request that does not fit yet is waited for, or a stream of small ones would keep it out for ever.
A plain rule without a clock and without I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Admission:
    """At most `places` members at a time, whose costs add up to `cost` at most; None: no bound."""

    places: int
    cost: float | None = None

    def fits(self, cost: float) -> bool:
        """Whether a request of this cost could ever join."""
        return self.cost is None or cost <= self.cost

    def take(self, waiting: Iterable[float], running: Iterable[float]) -> int:
        """How many of the oldest may join.

        Args:
            waiting: the costs of those that wait, the oldest first.
            running: the costs of those that run.
        """
        costs = list(running)
        left = self.places - len(costs)
        room = math.inf if self.cost is None else self.cost - math.fsum(costs)
        count = 0
        for each in waiting:
            if count >= left or each > room:
                break
            room -= each
            count += 1
        return count
