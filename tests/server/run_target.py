"""The service that the tests of the serving process start."""

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator

from headrace import endpoint, service


class Model:
    """Has references to itself, as models do."""

    def __init__(self) -> None:
        self.layers = [self]


@service
class Clock:
    def __init__(self, start_seconds: float = 0.0, on_start_seconds: float = 0.0) -> None:
        print("constructing", flush=True)
        time.sleep(start_seconds)
        self._seconds = on_start_seconds
        self._model = Model()

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
    async def unload(self) -> dict[str, int]:
        """Lets the model go. How much of it is left then, and how many objects no collection goes through."""
        left = weakref.ref(self._model)
        self._model = Model()
        gc.collect()
        return {"left": int(left() is not None), "passed_over": gc.get_freeze_count()}

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
