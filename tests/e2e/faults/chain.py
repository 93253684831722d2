"""A chain of three services: in one process, or with `LEAF_URL` and `MIDDLE_URL` in processes of their own.

Each passes on what the next one streams. `--set Leaf.pause=0.02` is the time between the items of the leaf.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator

from headrace import Handle, context, depends, endpoint, service


@service
class Leaf:
    def __init__(self, pause: float = 0.02) -> None:
        self.pause = pause
        self.running = 0
        self.freed: dict[str, float] = {}

    @endpoint
    async def state(self) -> int:
        """How many generators run."""
        return self.running

    @endpoint
    async def releases(self) -> dict[str, float]:
        """When the generators were freed, by name; forgets them."""
        freed, self.freed = self.freed, {}
        return freed

    @endpoint
    async def run(self, name: str) -> AsyncIterator[str]:
        self.running += 1
        try:
            while True:
                yield f"{name}\n"
                await asyncio.sleep(self.pause)
        finally:
            self.running -= 1
            self.freed[name] = time.monotonic()

    @endpoint
    async def remaining(self) -> float:
        """Seconds that are left."""
        left = context.remaining
        return -1.0 if left is None else left


@service
class Middle:
    leaf: Handle[Leaf] = depends(Leaf, url=os.environ.get("LEAF_URL"))

    @endpoint
    async def run(self, name: str) -> AsyncIterator[str]:
        async for line in self.leaf.run(name):
            yield line

    @endpoint
    async def remaining(self) -> float:
        await asyncio.sleep(0.2)
        return await self.leaf.remaining()


@service
class Front:
    middle: Handle[Middle] = depends(Middle, url=os.environ.get("MIDDLE_URL"))
    leaf: Handle[Leaf] = depends(Leaf, url=os.environ.get("LEAF_URL"))  # the one that Middle has, if in this process

    @endpoint
    async def run(self, name: str) -> AsyncIterator[str]:
        async for line in self.middle.run(name):
            yield line

    @endpoint
    async def remaining(self) -> float:
        await asyncio.sleep(0.2)
        return await self.middle.remaining()

    @endpoint
    async def state(self) -> int:
        return await self.leaf.state()

    @endpoint
    async def releases(self) -> dict[str, float]:
        return await self.leaf.releases()
