"""The generators that every peer serves; each item has one `~`, which `reader.c` counts.

`plain` never suspends, `polite` gives the loop its turn before each item, `paced` makes 20 items a second and stamps
them, `threaded` is an ordinary generator, `silent` makes nothing. `engine` reads one decode loop, which makes one item
for each stream every 50 ms.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

ITEM = "~token"
PACE = 0.05  # seconds


def stamped() -> str:
    """An item that says when it was made."""
    return f"~{time.monotonic_ns():016d}"


async def plain(count: int) -> AsyncIterator[str]:
    """Never suspends."""
    for _ in range(count):
        yield ITEM


async def polite(count: int) -> AsyncIterator[str]:
    """Suspends before each item."""
    for _ in range(count):
        await asyncio.sleep(0)
        yield ITEM


async def paced(count: int) -> AsyncIterator[str]:
    """20 items a second."""
    for _ in range(count):
        await asyncio.sleep(PACE)
        yield stamped()


def threaded(count: int) -> Iterator[str]:
    """An ordinary generator that never waits."""
    for _ in range(count):
        yield ITEM


async def silent(count: int) -> AsyncIterator[str]:
    """Makes nothing, for an hour."""
    await asyncio.sleep(3600)
    yield ITEM


class Engine:
    """One loop that makes an item for each of its streams every 50 ms, and hands them over one queue each."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[str]] = set()
        self._loop: asyncio.Task[None] | None = None

    async def stream(self, count: int) -> AsyncIterator[str]:
        """The next items."""
        if self._loop is None:
            self._loop = asyncio.create_task(self._run())
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._queues.add(queue)
        try:
            for _ in range(count):
                yield await queue.get()
        finally:
            self._queues.discard(queue)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PACE)
            item = stamped()
            for queue in self._queues:
                queue.put_nowait(item)


ENGINE = Engine()


ASYNC = {"plain": plain, "polite": polite, "paced": paced, "silent": silent, "engine": ENGINE.stream}
