"""`TransformersEngine`: a checkpoint of the `transformers` library behind the engine protocol.

All answers share the steps of one decoding loop (`headrace.engines.decoding`). What the library itself has for this is
not used: `generate` makes one answer at a time, or a batch that waits for its slowest member, and its streamer gives
whole words of one answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import weakref
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.engines.arguments import check
from headrace.engines.engine import ModelInfo
from headrace.engines.events import EngineEvent
from headrace.engines.generation import Generation
from headrace.engines.tool_calls.forms import parser_for
from headrace.engines.transformers.source import Source
from headrace.errors import DefinitionError, Mistake, SetupError, ShuttingDown

if TYPE_CHECKING:
    from headrace.engines.transformers.loaded import LoadedModel

MOST_POSITIONS = 8192
"""Tokens of a sequence, unless the user asks for more: the memory of all rows is taken when the engine starts."""

PREFILL = 256
"""Tokens of prompts that a step reads, unless the user says otherwise."""

LEAST_POSITIONS = 24
"""Tokens of a sequence with which a model can be tried."""

FREED_WITHIN = 1.0
"""Seconds that a stop waits until nobody uses the model any more; a generation that is not read may keep it longer."""

LOOK = 0.01
"""Seconds until it looks again."""

PACKAGES = ("torch", "transformers", "jinja2")


class TransformersEngine:
    """Runs any causal language model of the `transformers` library; needs the extra `transformers`.

    Args:
        model: a checkpoint folder, or a name on the model hub. The weights must be safetensors.
        name: what clients ask for; None: the folder's name, or the name on the hub.
        device: as torch names it (`cpu`, `cuda:1`); None: the first GPU, or else the CPU.
        dtype: of the weights, as torch names it (`bfloat16`); None: the checkpoint's own on a GPU, float32 on a CPU.
        rows: how many answers are made at the same time; more wait for their turn.
        positions: tokens of a prompt and its answer, at most the model's context. None: the context, up to
            `MOST_POSITIONS`, and as far as memory has room for all rows.
        prefill: prompt tokens that are read in a step. With more of them newcomers have their first token sooner; with
            fewer the others keep their pace.
        revision: of a name on the hub: a branch, a tag or a commit.
        trust_remote_code: whether Python code that comes with the checkpoint may run. Read it first.
        tool_parser: the form in which the model writes calls (a key of `headrace.engines.tool_calls.forms.FORMS`);
            None: the one that its chat template shows.

    Raises:
        ValueError: a number is out of range.
        SetupError: there is no such `tool_parser`.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        name: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        rows: int = 32,
        positions: int | None = None,
        prefill: int = PREFILL,
        revision: str | None = None,
        trust_remote_code: bool = False,
        tool_parser: str | None = None,
    ) -> None:
        for option, value in (("rows", rows), ("prefill", prefill)):
            if value < 1:
                raise ValueError(f"{option} is {value}; it must be at least 1")
        if positions is not None and positions < LEAST_POSITIONS:
            raise ValueError(f"positions is {positions}; it must be at least {LEAST_POSITIONS}")
        if tool_parser is not None:
            parser_for(tool_parser)  # a wrong name is told before hours of loading
        self._source = Source(str(model), revision, device, dtype, trust_remote_code)
        self._rows = rows
        self._most, self._least = positions or MOST_POSITIONS, positions or LEAST_POSITIONS
        self._prefill = prefill
        self._tool_parser = tool_parser
        self._info = ModelInfo(name or self._source.name)
        self._loaded: LoadedModel | None = None
        self._stopped = False

    @property
    def info(self) -> ModelInfo:
        """What the model is and can do; before the start, its name alone."""
        return self._info

    @property
    def healthy(self) -> bool:
        """Whether it is started and can generate."""
        return self._loaded is not None and self._loaded.decoding.healthy

    @property
    def active(self) -> int:
        """How many answers have a row now."""
        return 0 if self._loaded is None else self._loaded.decoding.active

    async def start(self) -> None:
        """Loads the model on a worker thread.

        Raises:
            DefinitionError: a package is missing (HR22).
            InvalidCheckpoint: the checkpoint cannot be loaded, or not be run; the message says why and what to do.
            SetupError: it does not fit into memory, or takes no tools although a `tool_parser` was given.
        """
        if self._loaded is None:
            self._loaded = await asyncio.to_thread(self._load)
            self._info = self._loaded.info(self._info.name)
            self._stopped = False

    async def stop(self) -> None:
        """Frees the model; generations still open end with `ShuttingDown` at their next token."""
        loaded, self._loaded, self._stopped = self._loaded, None, True
        if loaded is None:
            return
        decoding, collect, loop = weakref.ref(loaded.decoding), loaded.collect, asyncio.get_running_loop()
        loaded.decoding.close()
        del loaded
        until = loop.time() + FREED_WITHIN
        while decoding() is not None and loop.time() < until:  # the thread of its steps is on its way out
            await asyncio.sleep(LOOK)
            await asyncio.to_thread(collect)

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        """See `headrace.engines.engine.Engine.generate`. Raises `SetupError`, too, if the engine was not started."""
        loaded = self._loaded
        if loaded is None:
            raise ShuttingDown if self._stopped else SetupError("the engine is not running; await its start() first")
        check(generation, self._info)
        prompt = await asyncio.to_thread(loaded.tokens, generation)
        async with contextlib.aclosing(loaded.events(prompt, generation)) as events:
            async for event in events:
                yield event

    def _load(self) -> LoadedModel:
        # Threads that wait by spinning make each other many times slower where cores are busy. Read when torch is
        # loaded; a setting of the user's own stands.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            from headrace.engines.transformers.loaded import LoadedModel
        except ModuleNotFoundError as error:
            if error.name not in PACKAGES:
                raise
            what = f'TransformersEngine needs "{error.name}", which is not installed'
            fix = f'{sys.executable} -m pip install "headrace[transformers]"'
            raise DefinitionError([Mistake("HR22", what, fix=fix)]) from error
        return LoadedModel.load(
            self._source, self._rows, self._most, self._least, prefill=self._prefill, tool_parser=self._tool_parser
        )
