"""Softmax attention over the rows of a pool; each key-value head serves several query heads.

Rows with one new token each, which is what most steps have, are taken in groups of rows side by side, and a group looks
only as far back as the longest of its rows reaches. Rows with several new tokens are padded to the one that has most.

In the shapes at the line ends: B rows, T the most new tokens of one of them, N new tokens of all, S positions that are
seen, H heads, K key-value heads, G = H / K, E width of a head.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from headrace.engines.tiny.checkpoint import Array

WASTE = 400
"""Scores of a head that may be computed in vain, to have more rows in one group."""


class Attention:
    """Attention of the rows of one call, for all layers.

    Args:
        row: (N,), of each new token; row by row.
        column: (N,), which of its row's new tokens it is.
        position: (N,), where it stands in its row.
    """

    def __init__(self, row: NDArray[np.int64], column: NDArray[np.int64], position: NDArray[np.int64]) -> None:
        second = np.flatnonzero(column)
        single = int(second[0]) - 1 if len(second) else len(row)  # leading rows with one token, and their tokens
        self._parts: list[tuple[slice, _Single | _Several]] = []
        if single:
            self._parts.append((slice(single), _Single(position[:single] + 1)))
        if single < len(row):
            several = _Several(row[single:] - single, column[single:], position[single:])
            self._parts.append((slice(single, len(row)), several))

    def mix(self, queries: Array, keys: Array, values: Array, mixed: Array) -> None:
        """Writes (N, H, E), for each token, into `mixed`.

        Args:
            queries: (N, H, E).
            keys: (B, K, positions, E), those of the new tokens included.
            values: likewise.
            mixed: (N, H, E), contiguous.
        """
        for those, part in self._parts:
            part.mix(queries[those], keys[those], values[those], mixed[those])


class _Single:
    """Attention of rows with one new token.

    Args:
        seen: (B,), positions that each row sees.
    """

    def __init__(self, seen: NDArray[np.int64]) -> None:
        self._groups = [*groups(seen)]

    def mix(self, queries: Array, keys: Array, values: Array, mixed: Array) -> None:
        """See `Attention.mix`."""
        count, _, width = queries.shape
        shape = count, keys.shape[1], -1, width  # (B, K, G, E)
        queries, mixed = queries.reshape(shape), mixed.reshape(shape)
        for rows, seen, hidden in self._groups:
            _attend(queries[rows], keys[rows, :, :seen], values[rows, :, :seen], hidden, mixed[rows])


class _Several:
    """Attention of rows with several new tokens; see `Attention`."""

    def __init__(self, row: NDArray[np.int64], column: NDArray[np.int64], position: NDArray[np.int64]) -> None:
        self._places = row, slice(None), column
        self._seen = int(position.max()) + 1
        positions = np.zeros((int(row[-1]) + 1, 1, 1, int(column.max()) + 1, 1), np.int64)
        positions[row, 0, 0, column, 0] = position
        self._hidden = _hidden(np.arange(self._seen) > positions)  # (B, 1, 1, T, S)

    def mix(self, queries: Array, keys: Array, values: Array, mixed: Array) -> None:
        """See `Attention.mix`."""
        heads, width = queries.shape[1:]
        count, shared = keys.shape[:2]
        most = self._hidden.shape[3]
        padded = np.zeros((count, heads, most, width), np.float32)  # (B, H, T, E)
        padded[self._places] = queries
        grouped = padded.reshape(count, shared, -1, width)  # (B, K, G T, E), the same memory
        hidden = np.repeat(self._hidden, heads // shared, axis=2).reshape(count, 1, -1, self._seen)  # (B, 1, G T, S)
        _attend(grouped, keys[:, :, : self._seen], values[:, :, : self._seen], hidden, grouped)
        mixed[...] = padded[self._places]


def groups(seen: NDArray[np.int64]) -> Iterator[tuple[slice, int, Array | None]]:
    """Rows side by side, the most positions that one of them sees, and what is hidden from the others.

    A group is as large as may be while it computes at most `WASTE` scores too many.
    """
    begin, most, total = 0, 0, 0
    lengths = seen.tolist()
    for row, length in enumerate([*lengths, 0]):
        further = max(most, length)
        if row == len(lengths) or further * (row - begin + 1) - (total + length) > WASTE:
            rows = slice(begin, row)
            equal = total == most * (row - begin)
            yield rows, most, None if equal else _hidden(np.arange(most) >= seen[rows, None, None, None])
            begin, further, total = row, length, 0
        most, total = further, total + length


def _hidden(where: NDArray[np.bool_]) -> Array:
    return np.where(where, np.float32(-np.inf), np.float32(0))


def _attend(queries: Array, keys: Array, values: Array, hidden: Array | None, mixed: Array) -> None:
    """Softmax attention of some rows; what it gives is written to `mixed`.

    Args:
        queries: (B, K, Q, E), Q for each key-value head.
        keys: (B, K, S, E); values likewise.
        hidden: what is added to the scores, (B, K, Q, S); axes may be 1.
        mixed: as the queries.
    """
    scores: Array = queries @ keys.swapaxes(2, 3)  # (B, K, Q, S)
    if hidden is not None:
        scores += hidden
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    np.matmul(scores, values, out=mixed)
    mixed /= scores.sum(axis=-1, keepdims=True)
