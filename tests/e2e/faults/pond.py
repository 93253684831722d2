"""What the tests of slow peers and hostile requests are served by."""

import asyncio
from collections.abc import AsyncIterator

from headrace import endpoint, service


@service
class Pond:
    def __init__(self) -> None:
        self.running = 0
        self.made = 0

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, int]:
        return {"running": self.running, "made": self.made}

    @endpoint
    async def drip(self, pause: float = 0.0, count: int = 1_000_000) -> AsyncIterator[str]:
        self.running += 1
        try:
            for _ in range(count):
                yield "drop "
                await asyncio.sleep(pause)
        finally:
            self.running -= 1

    @endpoint
    async def hush(self, pause: float = 0.0) -> AsyncIterator[str]:
        """One item, and then nothing for ever."""
        self.running += 1
        try:
            yield "hush"
            await asyncio.Event().wait()
        finally:
            self.running -= 1

    @endpoint
    async def flood(self, size: int) -> AsyncIterator[bytes]:
        """As many bytes, as fast as they are taken."""
        self.running += 1
        try:
            block = bytes(64 * 1024)
            for _ in range(size // len(block)):
                self.made += len(block)
                yield block
        finally:
            self.running -= 1

    @endpoint
    async def blocks(self, count: int, size: int) -> AsyncIterator[str]:
        for _ in range(count):
            yield "x" * size

    @endpoint
    async def breaks(self, after: int) -> AsyncIterator[str]:
        for _ in range(after):
            yield "part "
            await asyncio.sleep(0.01)
        raise RuntimeError("broken")
