"""`VllmEngine`: a model run by vLLM (https://docs.vllm.ai), behind the engine protocol.

vLLM has its own scheduler and its own processes, which are started with the engine and end with it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from headrace.engines.arguments import check
from headrace.engines.engine import ModelInfo
from headrace.engines.events import EngineEvent
from headrace.engines.generation import Generation
from headrace.engines.tool_calls.forms import parser_for
from headrace.engines.transformers.source import Source
from headrace.engines.vllm.library import Library, load
from headrace.engines.vllm.running import Running
from headrace.errors import SetupError, ShuttingDown


class VllmEngine:
    """Runs a model with vLLM; needs the extra `vllm`.

    vLLM's processes begin by importing the script that started the engine, so that needs the usual
    `if __name__ == "__main__":`; a service that `headrace run` imports does not.

    Args:
        model: a checkpoint folder, or a name on the model hub.
        name: what clients ask for; None: the folder's name, or the name on the hub.
        tool_parser: the form in which the model writes calls (a key of `headrace.engines.tool_calls.forms.FORMS`);
            None: the one that its chat template shows.
        library: where vLLM comes from; tests give something else.
        engine_arguments: of vLLM (`AsyncEngineArgs`), such as `dtype`, `max_model_len` or `tensor_parallel_size`.

    Raises:
        SetupError: there is no such `tool_parser`.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        name: str | None = None,
        tool_parser: str | None = None,
        library: Callable[[], Library] = load,
        **engine_arguments: Any,
    ) -> None:
        if tool_parser is not None:
            parser_for(tool_parser)  # a wrong name is told before minutes of loading
        self._model = str(model)
        self._tool_parser = tool_parser
        self._library = library
        self._engine_arguments = engine_arguments
        self._info = ModelInfo(name or Source(self._model).name)
        self._running: Running | None = None
        self._stopped = False

    @property
    def info(self) -> ModelInfo:
        """What the model is and can do; before the start, its name alone."""
        return self._info

    @property
    def healthy(self) -> bool:
        """Whether vLLM's processes are there and can generate."""
        return self._running is not None and self._running.healthy

    @property
    def active(self) -> int:
        """How many answers vLLM has been asked for."""
        return 0 if self._running is None else self._running.active

    async def start(self) -> None:
        """Starts vLLM, which takes a minute or more.

        Raises:
            DefinitionError: vLLM is not installed (HR22).
            SetupError: it does not start, or the model takes no tools although a `tool_parser` was given.
        """
        if self._running is None:
            starting = asyncio.create_task(asyncio.to_thread(self._start))
            try:
                running = await asyncio.shield(starting)
            except asyncio.CancelledError:
                starting.add_done_callback(_discard)
                raise
            await running.answers()
            self._running = running
            self._info = running.info(self._info.name)

    async def stop(self) -> None:
        """Ends vLLM's processes; generations still open end with `ShuttingDown`."""
        running, self._running, self._stopped = self._running, None, True
        if running is not None:
            await running.stop()

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        """See `headrace.engines.engine.Engine.generate`; closing it aborts the requests in vLLM.

        Raises:
            SetupError: besides, the engine was not started.
            WorkerLost: vLLM's processes are gone.
        """
        running = self._running
        if running is None:
            raise ShuttingDown if self._stopped else SetupError("the engine is not running; await its start() first")
        check(generation, self._info)
        prompt = await asyncio.to_thread(running.tokens, generation)
        async with aclosing(running.events(prompt, generation)) as events:
            async for event in events:
                yield event

    def _start(self) -> Running:
        return Running.start(self._library(), self._model, self._engine_arguments, self._tool_parser)


def _discard(starting: asyncio.Task[Running]) -> None:
    """It has started, and nobody waits for it any more."""
    if not starting.cancelled() and starting.exception() is None:
        threading.Thread(target=starting.result().close, name="headrace-vllm-close").start()
