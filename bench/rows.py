"""The rows of a pool of keys and values, one for each sequence that a model advances step by step.

The rows in use are the first ones, so a step works on slices and copies nothing. They stand in groups, the longest
sequences in the first: attention looks only as far back as the longest one of a group reaches. When a sequence ends,
the longest of each later group moves up, and the last row of all is free.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

GROUP = 8


class Rows(ABC):
    """Greedy steps of up to `places` sequences.

    Attributes:
        names: of the sequences, row by row.
        lengths: tokens that were read, row by row.
        last: the tokens that were made last, and are read next.
    """

    def __init__(self, places: int) -> None:
        self.names: list[Any] = []
        self.lengths = np.zeros(places, np.int64)
        self.last = np.zeros(places, np.int64)

    def join(self, names: Sequence[Any], prompts: Sequence[Sequence[int]]) -> list[tuple[Any, int]]:
        """Reads prompts of one length; the first token of each sequence, with its name."""
        rows = slice(len(self.names), len(self.names) + len(names))
        self.names += names
        self.lengths[rows] = 0
        return self._advance(rows, np.asarray(prompts))

    def step(self) -> list[tuple[Any, int]]:
        """The next token of each sequence, with its name."""
        rows = slice(0, len(self.names))
        return self._advance(rows, self.last[rows, None]) if self.names else []

    def drop(self, name: Any) -> None:
        """Ends a sequence."""
        hole, end = self.names.index(name), len(self.names)
        while (first := (hole // GROUP + 1) * GROUP) < end:
            hole = self._move(first + int(self.lengths[first : min(first + GROUP, end)].argmax()), hole)
        if hole < end - 1:
            self._move(end - 1, hole)
        self.names.pop()

    def groups(self, rows: slice) -> list[tuple[slice, slice, int]]:
        """Of some of the rows: each group, where it is among them, and how far its longest sequence reaches.

        Groups that reach equally far are one.
        """
        groups: list[tuple[slice, slice, int]] = []
        begin, first = rows.start, rows.start
        while begin < rows.stop:
            end = min((begin // GROUP + 1) * GROUP, rows.stop)
            longest = int(self.lengths[begin:end].max())
            if groups and groups[-1][2] == longest:
                begin = groups.pop()[0].start
            groups.append((slice(begin, end), slice(begin - first, end - first), longest))
            begin = end
        return groups

    @abstractmethod
    def compute(self, rows: slice, ids: Any) -> Any:
        """Reads new tokens [rows, tokens], which `lengths` counts already; the one that follows in each row."""

    @abstractmethod
    def copy(self, source: int, target: int) -> None:
        """Copies the keys and values of a row."""

    def _advance(self, rows: slice, ids: Any) -> list[tuple[Any, int]]:
        self.lengths[rows] += ids.shape[1]
        self.last[rows] = self.compute(rows, ids)
        return list(zip(self.names[rows], self.last[rows].tolist(), strict=True))

    def _move(self, source: int, target: int) -> int:
        self.copy(source, target)
        for each in (self.names, self.lengths, self.last):
            each[target] = each[source]  # type: ignore[index]
        return source


def compare(steps: Rows, alone: Callable[[list[int], int], list[int]]) -> None:
    """Compares the tokens of 40 sequences that come and go, at most 20 at a time, with those of the model alone.

    Args:
        steps: with at least 20 places, for sequences of 60 tokens.
        alone: makes so many tokens after a prompt, without rows.
    """
    made, left = dict[int, list[int]](), list(range(40))
    prompts = {name: [1, *range(20 + name, 30 + name + name // 2 % 3)] for name in left}
    lengths = {name: 5 + 11 * name % 37 for name in left}
    while left or steps.names:
        tokens = steps.step()
        if left and len(steps.names) < 19:
            pair, left = left[:2], left[2:]  # two of one length join together
            tokens += steps.join(pair, [prompts[name] for name in pair])
        for name, token in tokens:
            made.setdefault(name, []).append(token)
            if len(made[name]) == lengths[name]:
                steps.drop(name)
    for name, found in made.items():
        assert found == alone(prompts[name], lengths[name]), name
    print(f"{sum(lengths.values())} tokens of {len(made)} sequences are those of the model alone")
