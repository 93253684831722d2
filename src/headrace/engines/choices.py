"""Several answers to one prompt, for engines that make one at a time: all of them are made beside each other."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeAlias

from headrace.engines.events import EngineEvent, Usage
from headrace.engines.generation import Generation
from headrace.engines.merging import merged

_SEEDS = 2**63

_One: TypeAlias = Callable[[Generation], AsyncGenerator[EngineEvent, None]]


async def choices(generation: Generation, one: _One) -> AsyncGenerator[EngineEvent, None]:
    """The events of `n` answers, as they come, and one `Usage` for all; closing it ends them all.

    Each answer is a generation of its own, with the index of the answer, and its seed is one higher than that of the
    answer before. If one fails, the others end, and the failure is raised.

    Args:
        generation: what is asked for.
        one: makes the events of a generation with one answer.
    """
    if generation.n == 1:
        async with contextlib.aclosing(one(generation)) as events:
            async for event in events:
                yield event
        return
    usages: list[Usage] = []
    alone = [one(_alone(generation, index)) for index in range(generation.n)]
    async with contextlib.aclosing(merged(alone)) as numbered:
        async for index, event in numbered:
            if isinstance(event, Usage):
                usages.append(event)
            else:
                yield dataclasses.replace(event, index=index)
    if usages:
        yield _together(usages)


def _alone(generation: Generation, index: int) -> Generation:
    sampling = generation.sampling
    if sampling.seed is not None:
        sampling = dataclasses.replace(sampling, seed=(sampling.seed + index) % _SEEDS)
    return dataclasses.replace(generation, sampling=sampling, n=1)


def _together(usages: Sequence[Usage]) -> Usage:
    """The prompt is the same for all of them."""
    return Usage(
        prompt_tokens=usages[0].prompt_tokens,
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        cached_tokens=usages[0].cached_tokens,
        reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
    )
