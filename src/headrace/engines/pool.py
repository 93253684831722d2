"""What a model offers that makes many answers step by step: a pool of rows, one for each answer.

The rows in use are always the first ones, so that a step works on slices and copies nothing. The loop that decides who
joins and who leaves is `decoding`; it alone calls what stands here, from one thread.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Pool(Protocol):
    """Keys and values of up to `rows` sequences of up to `positions` tokens.

    In the shapes: B rows of a call, T the most new tokens of one of them, V the vocabulary.
    """

    @property
    def rows(self) -> int:
        """How many sequences it has room for."""
        ...

    @property
    def positions(self) -> int:
        """Tokens of the longest sequence that the model reads."""
        ...

    def compute(
        self, first: int, tokens: NDArray[np.int64], new: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Reads new tokens into the rows from `first` on.

        Args:
            first: the first of B rows that stand side by side.
            tokens: (B, T), each row's new ones from the left, then anything.
            new: (B,), how many of them count, at least 1.
            lengths: (B,), how many tokens each row holds already; they are not computed again.

        Returns:
            (B, V), the logits of the token after each row's last one. The caller may change it; the next call, too.
        """
        ...

    def move(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` positions of a row to another one."""
        ...
