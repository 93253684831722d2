"""A checkpoint that is loaded: its tokenizer, and the decoding loop over its model.

This is the one module of the built-in engine through which numpy is first imported.
"""

from __future__ import annotations

import os
from pathlib import Path

# Read by numpy's OpenBLAS when it is loaded. Matrices this small gain nothing from a second thread, and on busy cores
# the threads' waiting for each other costs ten times the work. A setting of the user's own stands.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from headrace.engines.arguments import check_length, check_tokens, too_long
from headrace.engines.decoding import Decoding
from headrace.engines.generation import Generation
from headrace.engines.tiny.checkpoint import InvalidCheckpoint, read_config, read_tensors
from headrace.engines.tiny.model import Llama
from headrace.engines.tiny.pool import LlamaPool
from headrace.engines.tiny.tokenizer import Tokenizer


class LoadedModel:
    """What exists of a checkpoint between start and stop.

    Attributes:
        decoding: makes its answers.
        context: tokens that it reads.
    """

    def __init__(self, model: Llama, tokenizer: Tokenizer, rows: int) -> None:
        self.context = model.config.positions
        pool, vocabulary = LlamaPool(model, rows, self.context), tokenizer.vocabulary(model.config.end_tokens)
        self.decoding = Decoding(pool, vocabulary, packed=True)
        self._tokens = model.config.vocabulary
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path, rows: int) -> LoadedModel:
        """Reads a checkpoint folder; `InvalidCheckpoint` or `OSError` if that fails."""
        config = read_config(folder / "config.json")
        tokenizer = Tokenizer.read(folder / "tokenizer.json")
        if tokenizer.size > config.vocabulary:
            raise InvalidCheckpoint(f"{folder}: {tokenizer.size} tokens, but the model knows only {config.vocabulary}")
        return cls(Llama(config, read_tensors(folder / "model.safetensors")), tokenizer, rows)

    def prompt(self, generation: Generation) -> list[int]:
        """The tokens to begin with.

        Raises:
            ContextTooLong: they leave no room for an answer.
            InvalidArguments: there are none, or one that the model does not have.
        """
        check_tokens(generation, self._tokens)
        tokens = self._encoded(generation)
        check_length(generation, len(tokens), self.context)
        return tokens

    def _encoded(self, generation: Generation) -> list[int]:
        messages, prompt = generation.messages, "" if generation.prompt is None else generation.prompt
        if not isinstance(prompt, str):
            return [*prompt]
        length = len(prompt) if messages is None else sum(len(message.content) for message in messages)
        if length > self.context * self._tokenizer.longest_token:  # far too long: not worth the time of encoding it
            raise too_long(generation, f"{length} characters", self.context)
        return self._tokenizer.completion(prompt) if messages is None else self._tokenizer.chat(messages)
