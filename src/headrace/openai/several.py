"""The generations of one request, one for each of its prompts, as one stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeAlias

from headrace.engines.events import EngineEvent, Usage
from headrace.engines.generation import Generation

AHEAD = 64
"""Events that may be made before the reader takes them, of all generations together."""

Generate: TypeAlias = Callable[[Generation], AsyncGenerator[EngineEvent, None]]
_Made: TypeAlias = "asyncio.Queue[tuple[int, EngineEvent] | BaseException | None]"


def several(generations: Sequence[Generation], generate: Generate) -> AsyncGenerator[EngineEvent, None]:
    """The events of all generations, made beside each other; then one `Usage`, where each has told its own.

    The answers of a later generation have higher indexes. If one fails, the others end, and the failure is raised.
    Closing it closes all of them.

    Args:
        generations: at least one.
        generate: the engine's.
    """
    return generate(generations[0]) if len(generations) == 1 else _beside(generations, generate)


async def _beside(generations: Sequence[Generation], generate: Generate) -> AsyncGenerator[EngineEvent, None]:
    made: _Made = asyncio.Queue(AHEAD)
    tasks, first = list[asyncio.Task[None]](), 0
    for generation in generations:
        tasks.append(asyncio.create_task(_make(generation, first, generate, made)))
        first += generation.n
    left, usages = len(tasks), list[Usage]()
    try:
        while left:
            match await made.get():
                case None:
                    left -= 1
                case BaseException() as error:
                    raise error
                case (_, Usage() as usage):
                    usages.append(usage)
                case (index, event):
                    yield replace(event, index=index + event.index)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if len(usages) == len(generations):
        yield _together(usages)


async def _make(generation: Generation, first: int, generate: Generate, made: _Made) -> None:
    """Puts the events of one generation with the index of its first answer, then None or what it failed with."""
    try:
        async with aclosing(generate(generation)) as events:
            async for event in events:
                await made.put((first, event))
    except Exception as error:
        await made.put(error)
    else:
        await made.put(None)


def _together(usages: Sequence[Usage]) -> Usage:
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
    )
