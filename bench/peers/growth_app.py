"""Items of any size, for `bench.growth`: `headrace run bench/peers/growth_app.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from headrace import endpoint, service


@service
class Source:
    """Each item has one `~`, which `reader.c` counts."""

    @endpoint
    async def plain(self, count: int, size: int = 4) -> AsyncIterator[str]:
        """Never suspends."""
        item = "~" + "x" * (size - 1)
        for _ in range(count):
            yield item

    @endpoint
    async def polite(self, count: int, size: int = 4) -> AsyncIterator[str]:
        """Gives the loop its turn before each item, so all streams advance together."""
        item = "~" + "x" * (size - 1)
        for _ in range(count):
            await asyncio.sleep(0)
            yield item
