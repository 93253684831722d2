"""Several streams as one: they are made beside each other, and told as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeAlias, TypeVar

AHEAD = 64
"""Items that may be made before the reader takes them, of all streams together."""

T = TypeVar("T")
_Made: TypeAlias = "asyncio.Queue[tuple[int, T] | BaseException | None]"


async def merged(sources: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[tuple[int, T], None]:
    """The items of all sources, each with the number of its source.

    Closing it closes all of them. If one fails, the others are closed, and the failure is raised.
    """
    made: _Made[T] = asyncio.Queue(AHEAD)
    tasks = [asyncio.create_task(_make(number, source, made)) for number, source in enumerate(sources)]
    left = len(tasks)
    try:
        while left:
            match await made.get():
                case None:
                    left -= 1
                case BaseException() as error:
                    raise error
                case item:
                    yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _make(number: int, source: AsyncGenerator[T, None], made: _Made[T]) -> None:
    """Puts the items of one source, then None or what it failed with."""
    end: BaseException | None = None
    try:
        async with aclosing(source) as items:
            async for item in items:
                await made.put((number, item))
    except BaseException as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # nobody reads any more
            raise
        end = error
    await made.put(end)
