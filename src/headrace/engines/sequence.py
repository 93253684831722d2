"""One answer while it is made: its tokens become events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headrace.engines.events import EngineEvent, Finish, TextDelta, Usage
from headrace.engines.generation import Sampling
from headrace.engines.logprobs import HeldLogprobs, token_logprob
from headrace.engines.sampling import Sampler
from headrace.engines.stopping import StopStrings
from headrace.engines.vocabulary import Vocabulary


class Answer:
    """The answer to one prompt.

    Args:
        prompt: its tokens, at least one.
        sampling: how tokens are chosen; `max_tokens` is not looked at.
        limit: of the answer's tokens, at least 1.
        vocabulary: of the model.

    Attributes:
        prompt: (P,).
        read: how many of its tokens the model has read.
        finished: the last event was made.
    """

    def __init__(self, prompt: Sequence[int], sampling: Sampling, limit: int, vocabulary: Vocabulary) -> None:
        self.prompt: NDArray[np.int64] = np.asarray(prompt, np.int64)
        self.read = 0
        self.finished = False
        self._limit = limit
        self._vocabulary = vocabulary
        self._end_tokens = vocabulary.end_tokens
        self._sampler = Sampler(sampling)
        self._text = vocabulary.text()
        self._stops = StopStrings(sampling.stop)
        self._told = sampling.logprobs
        self._logprobs = HeldLogprobs()
        self._made = 0

    @property
    def unread(self) -> int:
        """How many tokens of the prompt the model has still to read."""
        return len(self.prompt) - self.read

    def read_on(self, count: int) -> NDArray[np.int64]:
        """The next so many tokens of the prompt, which the model reads now."""
        self.read += count
        return self.prompt[self.read - count : self.read]

    def advance(self, logits: NDArray[np.float32], likeliest: int) -> tuple[int, list[EngineEvent]]:
        """Chooses the next token.

        Args:
            logits: (V,), of its place.
            likeliest: the first of the highest ones.

        Returns:
            The token, and its events, often one and sometimes none; where it ends the answer, `Finish` and `Usage`
            are the last.
        """
        token = likeliest if self._sampler.greedy else self._sampler.choose(logits)
        if token in self._end_tokens:
            return token, self._end("", "stop")
        self._made += 1
        piece = self._text.feed(token)
        if self._told is not None:
            self._logprobs.add(token_logprob(logits, token, self._told, self._vocabulary), piece)
        text = self._stops.feed(piece)
        if self._stops.found is not None:
            return token, self._end(text, "stop")
        if self._made == self._limit:
            return token, self._end(text, "length")
        if self._told is not None:
            return token, [TextDelta(text, 0, self._logprobs.release(text))] if text else []
        return token, [TextDelta(text)] if text else []

    def _end(self, text: str, reason: Literal["stop", "length"]) -> list[EngineEvent]:
        """The last events, after all text that was held back."""
        self.finished = True
        text += self._stops.feed(self._text.end()) + self._stops.end()
        stop = self._stops.found
        logprobs = () if self._told is None else self._logprobs.end(text, stopped=stop is not None)
        deltas = [TextDelta(text, 0, logprobs)] if text or logprobs else []
        finish = Finish("stop" if stop is not None else reason, stop=stop)
        return [*deltas, finish, Usage(len(self.prompt), self._made)]
