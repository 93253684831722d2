"""The service that the tests of the serving process start."""

import asyncio
import time
from collections.abc import AsyncIterator

from headrace import endpoint, service


@service
class Clock:
    def __init__(self, start_seconds: float = 0.0, on_start_seconds: float = 0.0) -> None:
        print("constructing", flush=True)
        time.sleep(start_seconds)
        self._seconds = on_start_seconds

    async def on_start(self) -> None:
        print("starting", flush=True)
        await asyncio.sleep(self._seconds)

    async def on_stop(self) -> None:
        print("on_stop has run", flush=True)

    @endpoint
    async def tick(self, times: int, pause: float = 0.05) -> AsyncIterator[str]:
        for n in range(times):
            yield f"{n} "
            await asyncio.sleep(pause)

    @endpoint
    async def stubborn(self) -> AsyncIterator[str]:
        yield "here "
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    @endpoint
    async def blocked(self) -> AsyncIterator[str]:
        yield "here "
        await asyncio.to_thread(time.sleep, 3600)
