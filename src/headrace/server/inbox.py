"""The receiving side of one HTTP exchange: the request's body, and the moment the client leaves.

ASGI tells both through one `receive()`, so one reader must own it. Until `watch` is called, the body is read in place
by whoever answers. From then on a task reads ahead, by a bounded amount, and calls back when the client is gone: only
a `receive()` that is waiting notices a client that leaves while the server has nothing to write. Once started, the task
reads to the end of the exchange: a `receive()` that is cancelled may lose the message that it was about to return.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from starlette.types import Receive

from headrace.errors import BodyTooLarge, ClientGone, RequestTimeout

AHEAD = 64 * 1024
"""Bytes of the body that are read before anybody asks for them."""

SLOWEST = 64
"""Bytes a second, over all of it, that a body which is read whole must come with once its patience is used up."""

logger = logging.getLogger("headrace.server")


class Inbox:
    """One exchange's `receive()`.

    Args:
        patience: seconds that a body may make no progress.

    `gone` is true from the moment the client left, and from `close` on.
    """

    def __init__(self, receive: Receive, patience: float = 30.0) -> None:
        self._receive = receive
        self._patience = patience
        self._ahead: list[bytes] = []
        self._size = 0
        self._complete = False  # the whole body was received
        self._moved = asyncio.Event()  # something arrived, or something was taken
        self._reader: asyncio.Task[None] | None = None
        self._on_gone: Callable[[], None] | None = None
        self.gone = False

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            BodyTooLarge: it is larger than `limit` bytes; the rest was not read.
            RequestTimeout: it came to a halt, or drips below `SLOWEST`.
            ClientGone: the client left before it was through.
        """
        parts: list[bytes] = []
        size, loop = 0, asyncio.get_running_loop()
        since = loop.time()
        while arrived := await self._arrived():
            size += sum(map(len, arrived))
            if size > limit:
                raise BodyTooLarge(f"the body is larger than {limit} bytes, which is all this server takes")
            if (taken := loop.time() - since) > self._patience and size < SLOWEST * taken:
                raise RequestTimeout(f"the body came with less than {SLOWEST} bytes a second")
            parts += arrived
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            RequestTimeout: it came to a halt.
            ClientGone: the client left before it was through.
        """
        while arrived := await self._arrived():
            for chunk in arrived:
                yield chunk

    def watch(self, on_gone: Callable[[], None]) -> None:
        """From now on reads ahead, and calls `on_gone` when the client leaves: at once if it has left already.

        A second call replaces the callback.
        """
        self._on_gone = on_gone
        if self.gone:
            on_gone()
        elif self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read_ahead())

    def close(self) -> None:
        """Reads no more and calls nobody back. Whoever still waits for the body gets ClientGone."""
        self.gone, self._on_gone = True, None
        self._moved.set()
        if self._reader is not None:
            self._reader.cancel()

    async def _arrived(self) -> list[bytes]:
        """All that has arrived and was not taken, waiting for the first of it; nothing at the end of the body."""
        while not self._ahead:
            if self._complete:
                return []
            if self.gone:
                raise ClientGone
            try:
                async with asyncio.timeout(self._patience):
                    await self._news()
            except TimeoutError:
                raise RequestTimeout(f"nothing of the body came for {self._patience:g} s") from None
        arrived, self._ahead, self._size = self._ahead, [], 0
        self._moved.set()
        return arrived

    async def _news(self) -> None:
        if self._reader is None:
            await self._read()
        else:
            self._moved.clear()
            await self._moved.wait()

    async def _read(self) -> None:
        try:
            message = await self._receive()
        except Exception as error:  # of the server or a middleware: nobody can say any more what the client does
            logger.warning("receive() failed; the client is taken for gone: %r", error)
            message = {"type": "http.disconnect"}
        if message["type"] != "http.request" or self._complete:
            self.gone = True  # after the whole body, only a disconnect can come
            return
        if chunk := message.get("body", b""):
            self._ahead.append(chunk)
            self._size += len(chunk)
        self._complete = not message.get("more_body", False)

    async def _read_ahead(self) -> None:
        while not self.gone:
            if self._size >= AHEAD and not self._complete:
                self._moved.clear()
                await self._moved.wait()
            else:
                await self._read()
                self._moved.set()
        if self._on_gone is not None:
            self._on_gone()
