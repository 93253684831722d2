"""The logarithmic probabilities of an answer's tokens, and in which piece of its text each of them is told.

They are those of the model itself: before penalties, biases, temperature, top-k and top-p.

Text may be held back, because a character is not complete or a stop string may have begun. A token is told with the
piece that has the end of its text. Of a token that a stop string cuts, the part is told that is in the text.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from headrace.engines.events import Alternative, TokenLogprob
from headrace.engines.vocabulary import Vocabulary


def token_logprob(logits: NDArray[np.float32], token: int, count: int, vocabulary: Vocabulary) -> TokenLogprob:
    """What is told of a token.

    Args:
        logits: (V,), of its place.
        token: the one that was chosen.
        count: of the likeliest tokens beside it.
        vocabulary: of the model.
    """
    highest = float(logits.max())
    total = highest + float(np.log(np.exp(logits.astype(np.float64) - highest).sum()))

    def alternative(token: int) -> Alternative:
        text = vocabulary.token_bytes(token)
        return Alternative(text.decode("utf-8", "replace"), text, float(logits[token]) - total)

    count = min(count, len(logits))
    likeliest = np.argpartition(-logits, count - 1)[:count] if count else np.empty(0, np.int64)
    likeliest = likeliest[np.lexsort((likeliest, -logits[likeliest]))]
    top = tuple(alternative(each) for each in likeliest.tolist())
    chosen = alternative(token)
    return TokenLogprob(chosen.token, chosen.bytes, chosen.logprob, top)


class HeldLogprobs:
    """What is known of the tokens whose text has not gone out yet."""

    def __init__(self) -> None:
        self._held: deque[tuple[TokenLogprob, int, str]] = deque()  # with where its text begins, and that text
        self._received = 0  # characters
        self._sent = 0

    def add(self, logprob: TokenLogprob, text: str) -> None:
        """The next token, and the characters that it has completed."""
        self._held.append((logprob, self._received, text))
        self._received += len(text)

    def release(self, text: str) -> tuple[TokenLogprob, ...]:
        """The tokens of the text that goes out next."""
        self._sent += len(text)
        released = []
        while self._held:
            logprob, begin, own = self._held[0]
            if begin + max(len(own), 1) > self._sent:  # one without text is a part of the next character
                break
            released.append(logprob)
            self._held.popleft()
        return tuple(released)

    def end(self, text: str, *, stopped: bool) -> tuple[TokenLogprob, ...]:
        """The tokens of the last text, and all that are left unless a stop string has taken their text away."""
        released = self.release(text)
        if not stopped:
            return (*released, *(logprob for logprob, _, _ in self._held))
        if self._held and (kept := self._sent - self._held[0][1]) > 0:
            logprob, _, own = self._held[0]
            part = logprob.bytes[: len(logprob.bytes) - len(own[kept:].encode())]
            return (*released, TokenLogprob(part.decode("utf-8", "replace"), part, logprob.logprob, logprob.top))
        return released
