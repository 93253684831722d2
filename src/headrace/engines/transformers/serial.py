"""`SerialPool`: a cache of its own for each sequence; the rows of a step are computed one after another.

For models whose state cannot lie in slots (`slots`): recurrent ones, or those that derive positions from the cache. It
is slower, since rows share nothing but the loop; the answers are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_STATES = (
    "past_key_values",
    "cache_params",
    "state",
)  # what models call it, among their arguments and in their output alike


class SerialPool:
    """A `Pool` (`headrace.engines.pool`) for any causal language model. Memory is taken as sequences grow.

    Args:
        model: the model, in evaluation mode.
        rows: how many sequences.
        positions: tokens of the longest one.
    """

    def __init__(self, model: Any, rows: int, positions: int) -> None:
        self.rows = rows
        self.positions = positions
        self._model = model
        self._states: list[dict[str, Any]] = [{} for _ in range(rows)]

    @property
    def position_bytes(self) -> int:
        """None that are taken before they are used."""
        return 0

    def compute(
        self, first: int, tokens: NDArray[np.int64], new: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """See `Pool.compute`."""
        rows = zip(tokens, new, lengths, strict=True)
        with torch.inference_mode():
            return np.stack(
                [self._row(first + at, row[:count], length) for at, (row, count, length) in enumerate(rows)]
            )

    def move(self, source: int, target: int, length: int) -> None:
        """See `Pool.move`. Both rows have the same state then, and only the target goes on with it."""
        self._states[target] = self._states[source]

    def _row(self, row: int, tokens: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        if length == 0:
            self._states[row] = {}  # of the sequence that was here before
        ids = torch.from_numpy(tokens)[None].to(self._model.device)  # (1, T)
        # Some recurrent models (Mamba) begin several tokens always from nothing, and go on only by one at a time.
        pieces = ids.split(1, dim=1) if _is_recurrent(self._states[row]) else (ids,)
        for piece in pieces:
            output = self._model(input_ids=piece, use_cache=True, **self._states[row])
            self._states[row] = {name: output[name] for name in _STATES if output.get(name) is not None}
        logits: NDArray[np.float32] = output.logits[0, -1].float().cpu().numpy()  # (V,)
        return logits


def _is_recurrent(state: dict[str, Any]) -> bool:
    return any(any(getattr(each, "is_linear", ())) for each in state.values())
