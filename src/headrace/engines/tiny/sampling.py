"""Chooses a token from logits: greedy, or drawn at a temperature from the smallest likely set.

Top-p ("nucleus") sampling: Holtzman et al. 2020, https://arxiv.org/abs/1904.09751. Each sequence draws from a random
generator of its own, so a seed gives the same answer whatever else runs beside it.
"""

from __future__ import annotations

import numpy as np

from headrace.engines.engine import Sampling
from headrace.engines.tiny.checkpoint import Array


class Sampler:
    """Chooses the tokens of one sequence; expects values that `arguments.check` has let pass."""

    def __init__(self, sampling: Sampling) -> None:
        self._temperature = sampling.temperature
        self._top_p = sampling.top_p
        self._random = np.random.default_rng(sampling.seed)

    def choose(self, logits: Array) -> int:
        """The id of the next token; `logits` is (V,). Of equal logits the lowest id comes first."""
        if self._temperature == 0:
            return int(logits.argmax())
        scaled = (logits.astype(np.float64) - logits.max()) / self._temperature  # (V,), at most 0: exp cannot overflow
        weights = np.exp(scaled)
        likely = np.argsort(-weights, kind="stable")  # ids, the likeliest first
        reached = np.cumsum(weights[likely])
        kept = 1 + int(np.searchsorted(reached, self._top_p * reached[-1]))  # the token that reaches top_p is kept
        kept = min(kept, len(likely))
        drawn = self._random.random() * reached[kept - 1]
        return int(likely[np.searchsorted(reached[:kept], drawn, side="right")])
