"""Chooses a token from logits: greedy, or drawn at a temperature from the smallest likely set.

Top-p ("nucleus") sampling: Holtzman et al. 2020, https://arxiv.org/abs/1904.09751. What shapes the distribution comes
in the order of Hugging Face's `generate`: penalties and biases, temperature, top-k, top-p. Each sequence draws from a
random generator of its own, so a seed gives the same answer whatever else runs beside it.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from headrace.engines.generation import Sampling


class Sampler:
    """Chooses the tokens of one answer; expects values that `arguments.check` has let pass.

    Attributes:
        greedy: it takes the likeliest token of the logits as they are: whoever knows that one need not ask.
    """

    def __init__(self, sampling: Sampling) -> None:
        self._temperature = sampling.temperature
        self._top_k = sampling.top_k
        self._top_p = sampling.top_p
        self._penalties = sampling.presence_penalty, sampling.frequency_penalty
        self._counts: Counter[int] | None = Counter() if any(self._penalties) else None
        self._biases = sampling.logit_bias
        self.greedy = sampling.temperature == 0 and self._counts is None and not self._biases
        if sampling.temperature > 0:
            self._random = np.random.default_rng(sampling.seed)

    def choose(self, logits: NDArray[np.float32]) -> int:
        """The id of the next token; `logits` is (V,). Of equal logits the lowest id comes first."""
        logits = self._adjusted(logits)
        token = int(logits.argmax()) if self._temperature == 0 else self._drawn(logits)
        if self._counts is not None:
            self._counts[token] += 1
        return token

    def _adjusted(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits with penalties and biases."""
        if not (self._counts or self._biases):
            return logits
        logits = logits.copy()
        if self._counts:
            presence, frequency = self._penalties
            counts = np.fromiter(self._counts.values(), np.float32)
            logits[np.fromiter(self._counts, np.int64)] -= presence + frequency * counts
        if self._biases:
            logits[np.fromiter(self._biases, np.int64)] += np.fromiter(self._biases.values(), np.float32)
        return logits

    def _drawn(self, logits: NDArray[np.float32]) -> int:
        scaled = (logits.astype(np.float64) - logits.max()) / self._temperature  # (V,), at most 0: exp cannot overflow
        weights = np.exp(scaled)
        ids: NDArray[np.int64] | None = None  # those that are left; None: all
        if self._top_k is not None and self._top_k < len(weights):
            ids = np.sort(np.argpartition(-weights, self._top_k - 1)[: self._top_k])
            weights = weights[ids]
        if self._top_p < 1:
            kept = nucleus(weights, self._top_p)
            ids, weights = kept if ids is None else ids[kept], weights[kept]
        reached = np.cumsum(weights)
        drawn = int(np.searchsorted(reached, self._random.random() * reached[-1], side="right"))
        return drawn if ids is None else int(ids[drawn])


def nucleus(weights: NDArray[np.float64], top_p: float) -> NDArray[np.int64]:
    """The places of the fewest weights whose sum reaches `top_p` of all, the largest first.

    All that weigh less than their share of the rest are left out before sorting: together they are less than the rest.
    """
    total = weights.sum()
    candidates = np.flatnonzero(weights >= (1 - top_p) * total / len(weights))
    likely = candidates[np.argsort(-weights[candidates], kind="stable")]
    reached = np.cumsum(weights[likely])
    kept: NDArray[np.int64] = likely[: 1 + int(np.searchsorted(reached, top_p * total))]  # with the one that reaches it
    return kept
