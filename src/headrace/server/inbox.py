"""The receiving side of one HTTP exchange: the request's body, and the moment the client leaves.

ASGI tells both through one `receive()`, so one reader must own it. Until `watch` is called, the body is read in place
by whoever answers. From then on a task reads ahead, by a bounded amount, and calls back when the client is gone: only
a `receive()` that is waiting notices a client that leaves while the server has nothing to write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.types import Receive

from headrace.errors import BodyTooLarge, ClientGone

AHEAD = 64 * 1024
"""Bytes of the body that are read before anybody asks for them."""


class Inbox:
    """One exchange's `receive()`.

    `gone` is true from the moment the client left.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ahead: list[bytes] = []
        self._size = 0
        self._complete = False  # the whole body was received
        self._moved = asyncio.Event()  # something arrived, or something was taken
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            BodyTooLarge: it is larger than `limit` bytes; the rest was not read.
            ClientGone: the client left before it was through.
        """
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge(f"the body is larger than {limit} bytes, which is all this server takes")
            parts.append(chunk)
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises ClientGone when the client leaves before it is through."""
        while True:
            for chunk in self._take():
                yield chunk
            if self._ahead:
                continue
            if self._complete:
                return
            if self.gone:
                raise ClientGone
            if self._watcher is None:
                await self._read()
            else:
                self._moved.clear()
                await self._moved.wait()

    def _take(self) -> list[bytes]:
        chunks, self._ahead, self._size = self._ahead, [], 0
        self._moved.set()
        return chunks

    async def _read(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.gone = True
        else:
            if chunk := message.get("body", b""):
                self._ahead.append(chunk)
                self._size += len(chunk)
            self._complete = not message.get("more_body", False)

    @contextlib.asynccontextmanager
    async def watch(self, on_gone: Callable[[], None]) -> AsyncIterator[None]:
        """Reads ahead inside the block, and calls `on_gone` once when the client leaves."""
        self._watcher = asyncio.get_running_loop().create_task(self._watch(on_gone))
        try:
            yield
        finally:
            watcher, self._watcher = self._watcher, None
            if not watcher.done():
                watcher.cancel()

    async def _watch(self, on_gone: Callable[[], None]) -> None:
        while not self.gone:
            if self._size >= AHEAD and not self._complete:
                self._moved.clear()
                await self._moved.wait()
            await self._read()
            self._moved.set()
        on_gone()
