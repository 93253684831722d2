"""Greedy steps of the sequences that stand in a pool: what every way of batching in `bench.continuous` works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.engines.pool import Pool
from headrace.engines.rows import Rows


class Greedy:
    """The sequences of a pool, each with a name.

    Args:
        pool: of the model.
        packed: padding costs it nothing: newcomers and the others are read in one call.
    """

    def __init__(self, pool: Pool, packed: bool) -> None:
        self._pool = pool
        self._packed = packed
        self._rows = Rows[Any](pool)

    @property
    def names(self) -> Sequence[Any]:
        """Of all that are in it."""
        return self._rows.places

    def step(self, names: Sequence[Any] = (), prompts: Sequence[Sequence[int]] = ()) -> list[tuple[Any, int]]:
        """The next token of each sequence, with its name; newcomers have prompts of one length."""
        rows, running = self._rows, len(self._rows.places)
        rows.places += names
        count = len(rows.places)
        rows.lengths[running:count] = 0
        new = np.ones(count, np.int64)
        new[running:] = len(prompts[0]) if prompts else 1
        tokens = np.zeros((count, max(new, default=1)), np.int64)
        tokens[:running, 0] = rows.tokens[:running]
        if prompts:
            tokens[running:] = prompts
        for span in [slice(count)] if self._packed else [slice(running), slice(running, count)]:
            if rows.places[span]:
                logits = self._pool.compute(
                    span.start or 0, tokens[span, : new[span].max()], new[span], rows.lengths[span]
                )
                rows.tokens[span] = logits.argmax(axis=1)
        rows.lengths[:count] += new
        return list(zip(rows.places, rows.tokens[:count].tolist(), strict=True))

    def drop(self, name: Any) -> None:
        """Ends a sequence."""
        self._rows.free(self.names.index(name))


def compare(steps: Greedy, alone: Callable[[list[int], int], list[int]]) -> None:
    """Compares the tokens of 40 sequences that come and go, at most 20 at a time, with those of the model alone.

    Args:
        steps: with at least 20 rows, for sequences of 60 tokens.
        alone: makes so many tokens after a prompt, without a pool.
    """
    made, left = dict[int, list[int]](), list(range(40))
    prompts = {name: [1, *range(20 + name, 30 + name + name // 2 % 3)] for name in left}
    lengths = {name: 5 + 11 * name % 37 for name in left}
    while left or steps.names:
        pair = left[:2] if len(steps.names) < 19 else []  # two of one length join together
        left = left[len(pair) :]
        for name, token in steps.step(pair, [prompts[name] for name in pair]):
            made.setdefault(name, []).append(token)
            if len(made[name]) == lengths[name]:
                steps.drop(name)
    for name, found in made.items():
        assert found == alone(prompts[name], lengths[name]), name
    print(f"{sum(lengths.values())} tokens of {len(made)} sequences are those of the model alone")
