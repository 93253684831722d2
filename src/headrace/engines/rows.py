"""Who stands in which row of a pool.

The rows in use are the first ones, and about in the order of their lengths, the longest first: then attention over some
rows side by side need not look further back than they reach. Newcomers, which are short, come last. When one leaves,
the longest of the next group moves up, and so on through the groups, until the last row of all is free: a move for each
group, where keeping the exact order would take one for each row.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np

from headrace.engines.pool import Pool

T = TypeVar("T")

GROUP = 8
"""Rows whose order among each other does not matter."""


class Rows(Generic[T]):
    """The rows in use.

    Attributes:
        places: who stands in them, row by row.
        lengths: tokens that a row holds.
        tokens: the last token that was made in a row, which is read next.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.places: list[T] = []
        self.lengths = np.zeros(pool.rows, np.int64)
        self.tokens = np.zeros(pool.rows, np.int64)

    def free(self, row: int) -> None:
        """One leaves."""
        end = len(self.places)
        while (begin := (row // GROUP + 1) * GROUP) < end:
            row = self._move(begin + int(self.lengths[begin : min(begin + GROUP, end)].argmax()), row)
        if row < end - 1:
            self._move(end - 1, row)
        self.places.pop()

    def _move(self, source: int, target: int) -> int:
        self._pool.move(source, target, int(self.lengths[source]))
        self.places[target] = self.places[source]
        for each in (self.lengths, self.tokens):
            each[target] = each[source]
        return source
