"""The service of the tests of batches: functions with `@batch` that go wrong on demand."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from headrace import endpoint, service
from headrace.batching import batch, current_batch


def thread(name: str, number: int, count: int) -> Any:
    """Item `number` of a stream that has so many, or its end."""
    return f"{name}.{number}" if number < count else batch.DONE


@service
class Loom:
    def __init__(self) -> None:
        self.pause = 0.005
        self.sizes: list[int] = []
        self.running = 0
        self.gone: dict[str, float] = {}
        self.closed = 0.0

    @batch(max_batch_size=8, batch_wait_timeout_s=0.05, on_error="isolate")
    async def dye(self, names: list[str]) -> list[str]:
        """Answers; one poisoned name spoils the whole call."""
        self.sizes.append(len(names))
        await asyncio.sleep(self.pause)
        if any(name.startswith("poison") for name in names):
            raise ValueError("spoiled")
        return [name.upper() for name in names]

    @batch(max_batch_size=8, batch_wait_timeout_s=0.05, on_error="isolate")
    def spin(self, names: list[str], counts: list[int]) -> Iterator[list[Any]]:
        """Streams, on a thread; one poisoned name spoils the whole call."""
        if any(name.startswith("poison") for name in names):
            raise ValueError("spoiled")
        for number in range(max(counts) + 1):
            yield [thread(name, number, count) for name, count in zip(names, counts, strict=True)]

    @batch(max_batch_size=8, batch_wait_timeout_s=0.05)
    async def weave(self, names: list[str], counts: list[int]) -> AsyncIterator[list[Any]]:
        """Streams, step by step, and writes down who has left."""
        self.running += 1
        try:
            for number in range(max(counts) + 1):
                await asyncio.sleep(self.pause)
                for name, member in zip(names, current_batch().members, strict=True):
                    if member.cancelled:
                        self.gone.setdefault(name, time.monotonic())
                yield [thread(name, number, count) for name, count in zip(names, counts, strict=True)]
        finally:
            self.running -= 1
            self.closed = time.monotonic()

    @batch(max_batch_size=4, batch_wait_timeout_s=0.05)
    async def fray(self, names: list[str], hows: list[str]) -> AsyncIterator[list[Any]]:
        """Yields two right steps; then what the first member asks for."""
        yield [f"{name}.0" for name in names]
        yield [f"{name}.1" for name in names]
        wrong = {"short": names[1:], "long": [*names, "more"], "text": "x" * len(names), "none": None}
        if hows[0] in wrong:
            yield wrong[hows[0]]  # type: ignore[misc]
        if hows[0] == "raise":
            raise RuntimeError("the secret is 4711")

    @endpoint
    async def colour(self, name: str) -> AsyncIterator[str]:
        yield await self.dye(name)

    @endpoint
    async def yarn(self, name: str, count: int) -> AsyncIterator[str]:
        async for item in self.spin(name, count):
            yield item

    @endpoint
    async def cloth(self, name: str, count: int) -> AsyncIterator[str]:
        async for item in self.weave(name, count):
            yield item

    @endpoint
    def cloth_in_a_thread(self, name: str, count: int) -> Iterator[str]:
        yield from self.weave(name, count)  # type: ignore[misc]  # an iterator, on a worker thread

    @endpoint
    async def rag(self, name: str, how: str = "") -> AsyncIterator[str]:
        async for item in self.fray(name, how):
            yield item

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, Any]:
        return {"running": self.running, "gone": self.gone, "sizes": self.sizes, "closed": self.closed}
