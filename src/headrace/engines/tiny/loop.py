"""The token loop: one generation from its arguments to its `Finish`, as an ordinary generator.

It yields once per token, also where a token gives no text yet: between any two tokens it can be closed.

This is the one module through which the package first imports numpy.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

# Read by numpy's OpenBLAS when it is loaded. Matrices this small gain nothing from a second thread, and on busy cores
# the threads' waiting for each other costs ten times the work. A setting of the user's own stands.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from headrace.engines.engine import EngineEvent, Finish, Generation, TextDelta
from headrace.engines.tiny.arguments import check, entry, refusal
from headrace.engines.tiny.checkpoint import InvalidCheckpoint, read_config, read_tensors
from headrace.engines.tiny.model import KeyValueCache, Llama
from headrace.engines.tiny.sampling import Sampler
from headrace.engines.tiny.stopping import StopStrings
from headrace.engines.tiny.tokenizer import Tokenizer


class TokenLoop:
    """A loaded model and its tokenizer. Threads may run `steps` beside each other."""

    def __init__(self, model: Llama, tokenizer: Tokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._caches: set[KeyValueCache] = set()

    @classmethod
    def load(cls, folder: Path) -> TokenLoop:
        """Reads a checkpoint folder; `InvalidCheckpoint` or `OSError` if that fails."""
        config = read_config(folder / "config.json")
        tokenizer = Tokenizer.read(folder / "tokenizer.json")
        if tokenizer.size > config.vocabulary:
            raise InvalidCheckpoint(f"{folder}: {tokenizer.size} tokens, but the model knows only {config.vocabulary}")
        return cls(Llama(config, read_tensors(folder / "model.safetensors")), tokenizer)

    @property
    def active(self) -> int:
        """How many generations hold a cache now."""
        return len(self._caches)

    def steps(self, generation: Generation) -> Generator[list[EngineEvent], None, None]:
        """The events of each token, often one and sometimes none; in the last list, `Finish` is the last.

        Raises:
            InvalidArguments: see `arguments.check`; or the prompt leaves no room for an answer.
        """
        check(generation)
        prompt = self._prompt(generation)
        sampling = generation.sampling
        limit = min(sampling.max_tokens, self._model.config.positions - len(prompt))
        sampler, decoder, stops = Sampler(sampling), self._tokenizer.decoder(), StopStrings(sampling.stop)
        cache = KeyValueCache(self._model.config, len(prompt) + limit)
        self._caches.add(cache)
        try:
            made, ended, pending = 0, False, prompt
            while made < limit and not ended:
                token = sampler.choose(self._model.forward(pending, cache))
                if token in self._model.config.end_tokens:
                    ended = True
                else:
                    made, pending = made + 1, [token]
                    yield _deltas(stops.feed(decoder.feed(token)))
                    ended = stops.stopped
            rest = _deltas(stops.feed(decoder.end()) + stops.end())
            yield [*rest, Finish("stop" if ended or stops.stopped else "length", len(prompt), made)]
        finally:
            self._caches.discard(cache)

    def _prompt(self, generation: Generation) -> list[int]:
        """The ids to begin with, at most all positions but one."""
        messages, prompt = generation.messages, generation.prompt or ""
        pointer = "/prompt" if messages is None else "/messages"
        length = len(prompt) if messages is None else sum(len(message.content) for message in messages)
        positions = self._model.config.positions
        if length > positions * self._tokenizer.longest_token:  # far too long: not worth the time of encoding it
            raise _too_long(pointer, f"{length} characters", positions)
        ids = self._tokenizer.completion(prompt) if messages is None else self._tokenizer.chat(messages)
        if len(ids) >= positions:
            raise _too_long(pointer, f"{len(ids)} tokens", positions)
        return ids


def _deltas(text: str) -> list[EngineEvent]:
    return [TextDelta(text)] if text else []


def _too_long(pointer: str, size: str, positions: int) -> Exception:
    detail = f"the prompt has {size}; the model reads {positions} tokens, its answer included"
    return refusal([entry(pointer, detail, "too_long")])
