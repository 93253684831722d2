"""The generations of one request, one for each of its prompts, as one stream of events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import accumulate
from typing import TypeAlias

from headrace.engines.events import EngineEvent, Usage
from headrace.engines.generation import Generation
from headrace.engines.merging import merged

Generate: TypeAlias = Callable[[Generation], AsyncGenerator[EngineEvent, None]]


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
    first = [0, *accumulate(generation.n for generation in generations)]  # index of each one's first answer
    usages: list[Usage] = []
    async with aclosing(merged([generate(generation) for generation in generations])) as events:
        async for number, event in events:
            if isinstance(event, Usage):
                usages.append(event)
            else:
                yield replace(event, index=first[number] + event.index)
    if len(usages) == len(generations):
        yield _together(usages)


def _together(usages: Sequence[Usage]) -> Usage:
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
    )
