"""The service of the tests about code that is late, silent, blocking or deaf to its cancellation."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from headrace import context, endpoint, service


@service
class Stuck:
    def __init__(self) -> None:
        self.entered = 0
        self.left = 0
        self.go_home = asyncio.Event()

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, int]:
        return {"entered": self.entered, "left": self.left}

    async def wait(self, seconds: float) -> None:
        self.entered += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.left += 1

    @endpoint(item_timeout=1.5)
    async def silent(self, items: int) -> AsyncIterator[str]:
        for number in range(items):
            yield f"{number} "
        await self.wait(3600)

    @endpoint(first_item_timeout=0.5)
    async def late(self) -> AsyncIterator[str]:
        await self.wait(3600)
        yield "never"

    @endpoint
    async def answer(self, after: float) -> float:
        await self.wait(after)
        return context.remaining or 0.0

    @endpoint(timeout=1.0)
    async def prompt(self, after: float = 0.0) -> AsyncIterator[str]:
        yield f"{context.remaining} "
        await self.wait(after)

    @endpoint
    async def chatter(self, pause: float = 0.05) -> AsyncIterator[str]:
        while True:
            yield "word "
            await self.wait(pause)

    @endpoint
    async def deaf(self) -> AsyncIterator[str]:
        yield "I stay "
        while not self.go_home.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.go_home.wait()
        self.left += 1

    @endpoint
    async def release(self) -> bool:
        self.go_home.set()
        return True

    @endpoint
    async def generate(self, seconds: float) -> AsyncIterator[str]:
        yield "now "
        time.sleep(seconds)
        yield "done "
