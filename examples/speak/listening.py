"""Hears the next text while the current one is spoken.

One read of the client's next message is always under way. Waiting for a while and waiting for the next text are then
the same wait, so who interrupts is heard at once, and texts that nobody has asked for yet stay in the server's bounded
inbox.
"""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType


class Listening:
    """The texts of one conversation; `idle` is how long it may be silent, in seconds."""

    def __init__(self, texts: AsyncIterator[str], idle: float) -> None:
        self.texts = texts
        self.idle = idle
        self.next: asyncio.Task[str | None]

    async def __aenter__(self) -> "Listening":
        self.next = asyncio.create_task(self.read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.next.cancel()
        await asyncio.gather(self.next, return_exceptions=True)  # that of a client that is gone is known by now

    async def read(self) -> str | None:
        return await anext(self.texts, None)

    async def text(self) -> str | None:
        """The next text; None after the last one, and when none comes for `idle` seconds."""
        if not await self.heard(self.idle):
            return None
        text = await self.next
        if text is not None:
            self.next = asyncio.create_task(self.read())
        return text

    async def interrupted(self, seconds: float) -> bool:
        """Waits so long, or until the next text is there; says whether it is. A client that says no more only waits."""
        if not await self.heard(seconds):
            return False
        if self.next.exception() is None and self.next.result() is None:
            await asyncio.sleep(seconds)
            return False
        return True

    async def heard(self, seconds: float) -> bool:
        await asyncio.wait((self.next,), timeout=seconds)
        return self.next.done()
