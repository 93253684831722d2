"""`TinyEngine`: the built-in model behind the engine protocol.

All generations share the steps of one decoding loop, on one thread. Numpy lets go of the interpreter's lock while it
multiplies, so the event loop stays free.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.engines.arguments import check
from headrace.engines.choices import choices
from headrace.engines.engine import ModelInfo
from headrace.engines.events import EngineEvent
from headrace.engines.generation import Generation
from headrace.errors import SetupError
from headrace.streams.closing import AsyncClosing

if TYPE_CHECKING:
    from headrace.engines.tiny.loaded import LoadedModel

CHECKPOINT = Path(__file__).with_name("data")
"""The built-in model's folder, in Hugging Face format; other engines can load it too."""

CONTEXT = 1024
"""Tokens that the built-in model reads, its answer included."""


class TinyEngine:
    """Runs a small Llama-style checkpoint in numpy.

    Args:
        folder: a checkpoint folder in Hugging Face format.
        name: what clients ask for.
        concurrency: how many answers are made at the same time; more wait for their turn.
    """

    def __init__(self, folder: Path = CHECKPOINT, *, name: str = "tiny", concurrency: int = 32) -> None:
        self._folder = folder
        self._concurrency = concurrency
        self._info = ModelInfo(name, context=CONTEXT, max_logprobs=20, token_prompts=True)
        self._loaded: LoadedModel | None = None

    @property
    def info(self) -> ModelInfo:
        """See `Engine.info`; the context of a checkpoint of your own is known when it is started."""
        return self._info

    @property
    def healthy(self) -> bool:
        """See `Engine.healthy`."""
        return self._loaded is not None and self._loaded.decoding.healthy

    @property
    def active(self) -> int:
        """How many answers are under way, each in its row of keys and values."""
        return 0 if self._loaded is None else self._loaded.decoding.active

    async def start(self) -> None:
        """Loads the model on a worker thread. Raises `InvalidCheckpoint` or `OSError` if its files are not usable."""
        if self._loaded is None:
            self._loaded = await asyncio.to_thread(_load, self._folder, self._concurrency)
            self._info = replace(self._info, context=self._loaded.context)

    async def stop(self) -> None:
        """Frees the model; generations still open end with `ShuttingDown` at their next token."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.decoding.close()

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        """The events of a generation; closing it ends the work at the next token.

        Raises:
            InvalidArguments: a value is out of range, or asks for what the model cannot do.
            ContextTooLong: the prompt leaves no room for an answer.
            ShuttingDown: the engine was stopped.
            SetupError: the engine was not started.
        """
        if self._loaded is None:
            raise SetupError("the engine is not running; await its start() first")
        check(generation, self._info)
        prompt, decoding = self._loaded.prompt(generation), self._loaded.decoding

        async def one(each: Generation) -> AsyncGenerator[EngineEvent, None]:
            steps = decoding.generate(prompt, each.sampling)
            async with AsyncClosing(steps):
                async for step in steps:
                    for event in step:
                        yield event

        async with contextlib.aclosing(choices(generation, one)) as events:
            async for event in events:
                yield event


def _load(folder: Path, concurrency: int) -> LoadedModel:
    from headrace.engines.tiny.loaded import LoadedModel  # brings numpy, which nobody needs who does not start it

    return LoadedModel.load(folder, concurrency)
