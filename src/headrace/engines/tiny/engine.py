"""`TinyEngine`: the built-in model behind the engine protocol.

Every generation runs alone, with a key-value cache of its own, on a worker thread; the events reach the event loop in
bursts. Numpy lets go of the interpreter's lock while it multiplies, so the loop stays free.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.engines.engine import EngineEvent, Generation
from headrace.errors import SetupError, ShuttingDown
from headrace.streams.threads import Threads

if TYPE_CHECKING:
    from headrace.engines.tiny.loop import TokenLoop

CHECKPOINT = Path(__file__).with_name("data")
"""The built-in model's folder, in Hugging Face format; other engines can load it too."""


@dataclass(frozen=True, slots=True)
class _Running:
    """What exists between start and stop."""

    loop: TokenLoop
    threads: Threads
    stopping: threading.Event = field(default_factory=threading.Event)

    def steps(self, generation: Generation) -> Iterator[list[EngineEvent]]:
        """The events of each token; runs on a worker thread, which may close it between any two."""
        with contextlib.closing(self.loop.steps(generation)) as steps:
            for step in steps:
                if self.stopping.is_set():
                    raise ShuttingDown
                yield step


class TinyEngine:
    """Runs a small Llama-style checkpoint in numpy.

    Args:
        folder: a checkpoint folder in Hugging Face format.
        concurrency: how many generations run at the same time; more wait for their turn.
    """

    model = "tinychat"

    def __init__(self, folder: Path = CHECKPOINT, *, concurrency: int = 32) -> None:
        self._folder = folder
        self._concurrency = concurrency
        self._running: _Running | None = None

    @property
    def active(self) -> int:
        """How many generations are under way, each with its cache."""
        return 0 if self._running is None else self._running.loop.active

    async def start(self) -> None:
        """Loads the model on a worker thread. Raises `InvalidCheckpoint` or `OSError` if its files are not usable."""
        if self._running is None:
            loop = await asyncio.to_thread(_load, self._folder)
            self._running = _Running(loop, Threads(limit=self._concurrency))

    async def stop(self) -> None:
        """Frees the model; generations still open end with `ShuttingDown` at their next token."""
        running, self._running = self._running, None
        if running is not None:
            running.stopping.set()

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
        """Text deltas, then one `Finish`; closing it earlier ends the work at the next token.

        Raises:
            InvalidArguments: a value is out of range, or the prompt leaves no room for an answer.
            ShuttingDown: the engine was stopped.
            SetupError: the engine was not started.
        """
        running = self._running
        if running is None:
            raise SetupError("the engine is not running; await its start() first")
        async with contextlib.aclosing(running.threads.bursts(lambda: running.steps(generation))) as bursts:
            async for burst in bursts:
                for step in burst:
                    for event in step:
                        yield event


def _load(folder: Path) -> TokenLoop:
    from headrace.engines.tiny.loop import TokenLoop  # brings numpy, which nobody needs who does not start the engine

    return TokenLoop.load(folder)
