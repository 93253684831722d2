"""The probabilities of tokens, in the form of chat and in that of completions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from headrace.engines.events import Alternative, TokenLogprob

IMPOSSIBLE = -9999.0
"""What stands for a probability of zero, whose logarithm JSON cannot say."""


def logprobs_content(tokens: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """The tokens as chat tells them: each with its bytes, and the likeliest ones at its place."""
    return [_told(token) | {"top_logprobs": [_told(each) for each in token.top]} for token in tokens]


class LegacyLogprobs:
    """The tokens as completions tell them: columns, with where each token begins in the answer so far."""

    def __init__(self) -> None:
        self._offset = 0

    def columns(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        """The columns of the next tokens."""
        offsets = []
        for token in tokens:
            offsets.append(self._offset)
            self._offset += len(token.token)
        return {
            "tokens": [token.token for token in tokens],
            "token_logprobs": [_sayable(token.logprob) for token in tokens],
            "top_logprobs": [{each.token: _sayable(each.logprob) for each in token.top} for token in tokens],
            "text_offset": offsets,
        }


def _told(token: TokenLogprob | Alternative) -> dict[str, Any]:
    return {"token": token.token, "logprob": _sayable(token.logprob), "bytes": list(token.bytes)}


def _sayable(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else IMPOSSIBLE
