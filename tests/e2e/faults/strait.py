"""What the fault tests of WebSockets are served by, beside the ward and the pond: it listens while it speaks."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

from headrace import endpoint, service


@service
class Strait:
    def __init__(self) -> None:
        self.running = 0
        self.closed = 0

    @contextlib.contextmanager
    def _runs(self) -> Iterator[None]:
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self.closed += 1

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, int]:
        return {"running": self.running, "closed": self.closed, "tasks": len(asyncio.all_tasks())}

    @endpoint
    async def count(self, to: int, pause: float = 0.0) -> AsyncIterator[str]:
        with self._runs():
            for n in range(to):
                yield str(n)
                await asyncio.sleep(pause)

    @endpoint
    async def echo(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        with self._runs():
            async for word in words:
                yield word

    @endpoint
    async def swallow(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[int]:
        """The size of each message."""
        with self._runs():
            async for block in blocks:
                yield len(block)

    @endpoint
    async def deaf(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        """Listens to nothing, and says one word."""
        with self._runs():
            yield "what?"
            await asyncio.Event().wait()

    @endpoint
    async def sing(self, words: AsyncIterator[str], size: int = 16) -> AsyncIterator[str]:
        """Listens to nothing, and does not stop."""
        with self._runs():
            while True:
                yield "la" * size
                await asyncio.sleep(0.01)

    @endpoint(item_timeout=1.0, first_item_timeout=0.5)
    async def hush(self, words: int) -> AsyncIterator[str]:
        """So many words, and then nothing."""
        with self._runs():
            for n in range(words):
                yield str(n)
            await asyncio.Event().wait()

    @endpoint
    def blocks(self, seconds: float) -> Iterator[str]:
        with self._runs():
            while True:
                yield "x"
                time.sleep(seconds)
