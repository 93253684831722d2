"""A checkpoint that is loaded and makes answers: the pieces of this folder, put together."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import torch

from headrace.engines.choices import choices
from headrace.engines.decoding import Decoding
from headrace.engines.engine import ModelInfo
from headrace.engines.events import EngineEvent
from headrace.engines.generation import Generation, Sampling
from headrace.engines.markup import TAIL, Markup
from headrace.engines.pool import Pool
from headrace.engines.tiny.checkpoint import InvalidCheckpoint
from headrace.engines.transformers.agreement import Disagreement, agreeing_pool
from headrace.engines.transformers.checkpoint import Checkpoint, load
from headrace.engines.transformers.memory import NoRoom
from headrace.engines.transformers.prompts import Prompts
from headrace.engines.transformers.source import Source
from headrace.engines.transformers.vocabulary import CheckpointVocabulary
from headrace.errors import SetupError
from headrace.streams.closing import AsyncClosing

MAX_LOGPROBS = 20


class LoadedModel:
    """What exists of an engine between its start and its stop.

    Args:
        checkpoint: the model and its tokenizer.
        pool: in which it lies.
        prefill: prompt tokens that are read in a step.
        tool_parser: the name of a form of calls; None: the one that the chat template shows.
    """

    def __init__(
        self, checkpoint: Checkpoint, pool: Pool, *, prefill: int = 256, tool_parser: str | None = None
    ) -> None:
        self._prompts = Prompts(checkpoint.tokenizer, pool.positions, checkpoint.vocabulary)
        self._vocabulary = CheckpointVocabulary(checkpoint.tokenizer, checkpoint.end_tokens)
        self._positions = pool.positions
        self._markup = Markup(self._prompts.template, tool_parser)
        self.decoding = Decoding(pool, self._vocabulary, prefill=prefill)

    @classmethod
    def load(cls, source: Source, rows: int, most: int, least: int, **options: Any) -> LoadedModel:
        """Loads a checkpoint; blocks for as long as that takes.

        Args:
            source: the checkpoint.
            rows: answers at the same time.
            most: tokens of a prompt and its answer, where the model reads them and memory has room for them.
            least: those that there must be room for.
            options: as for the class.

        Raises:
            InvalidCheckpoint: it cannot be loaded, or not be run.
            SetupError: it does not fit into memory, or has no use for the `tool_parser`.
        """
        _leave_a_core()
        checkpoint = load(source)
        most = min(most, checkpoint.context or most)
        try:
            pool = agreeing_pool(checkpoint.model, source.name, rows, most, min(least, most))
        except Disagreement as error:
            raise InvalidCheckpoint(f"the model in {source.model} cannot be run: {error}") from error
        except (NoRoom, MemoryError, torch.OutOfMemoryError) as error:
            raise SetupError(f"too little memory beside the model; choose fewer rows or positions: {error}") from error
        return cls(checkpoint, pool, **options)

    def info(self, name: str) -> ModelInfo:
        """What the model is and can do, under the name that clients ask for."""
        return ModelInfo(
            name,
            context=self._positions,
            max_logprobs=MAX_LOGPROBS,
            tools=self._markup.tools,
            token_prompts=True,
        )

    def tokens(self, generation: Generation) -> list[int]:
        """The prompt; threads may make some beside each other. Raises as `Prompts.tokens` does."""
        return self._prompts.tokens(generation)

    def events(self, prompt: Sequence[int], generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        """The answers to a prompt; closing it frees their rows at the next step."""
        events = choices(generation, lambda alone: self._answer(prompt, alone.sampling))
        return self._markup.read(events, generation, lambda: self._vocabulary.decode(prompt[-TAIL:]))

    @staticmethod
    def collect() -> None:
        """Gives back the memory of models that nobody uses any more: they have references to themselves."""
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    async def _answer(self, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[EngineEvent, None]:
        steps = self.decoding.generate(prompt, sampling)
        async with AsyncClosing(steps):
            async for step in steps:
                for event in step:
                    yield event


def _leave_a_core() -> None:
    """One is for the event loop, unless the user has set the number of threads."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))
