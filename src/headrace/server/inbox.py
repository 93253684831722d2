"""The receiving side of one HTTP exchange: the request's body, and the moment the client leaves.

ASGI tells both through one `receive()`, so one reader must own it. Until `watch` is called, the body is read in place
by whoever answers. From then on a task reads ahead, by a bounded amount, and calls back when the client is gone: only
a `receive()` that is waiting notices a client that leaves while the server has nothing to write. Once started, the task
reads to the end of the exchange: a `receive()` that is cancelled may lose the message that it was about to return.

Where our own server has the whole body already, it is asked without `receive()`: that needs no timeout and no task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from starlette.types import Receive

from headrace.errors import BodyTooLarge, ClientGone, RequestTimeout
from headrace.server.connection import Connection

AHEAD = 64 * 1024
"""Bytes of the body that are read before anybody asks for them."""

SLOWEST = 64
"""Bytes a second, over all of it, that a body which is read whole must come with once its patience is used up."""

logger = logging.getLogger("headrace.server")


class Inbox:
    """One exchange's `receive()`.

    Args:
        patience: seconds that a body may make no progress.
        connection: where our own server has the exchange.

    `gone` is true from the moment the client left, and from `close` on.
    """

    def __init__(self, receive: Receive, patience: float = 30.0, connection: Connection | None = None) -> None:
        self._receive = receive
        self._patience = patience
        self._connection = connection
        self._ahead: list[bytes] = []
        self._size = 0
        self._complete = False  # the whole body was received
        self._reader: asyncio.Task[None] | None = None
        self._moved: asyncio.Event | None = None  # for the reader: something arrived, or something was taken
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
        elif self._reader is None and not self._told_by_connection():
            self._moved = asyncio.Event()
            self._reader = asyncio.get_running_loop().create_task(self._read_ahead(self._moved))

    def close(self) -> None:
        """Reads no more and calls nobody back. Whoever still waits for the body gets ClientGone."""
        self.gone, self._on_gone = True, None
        self._stir()
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None  # it has the exception that ends it, whose frames have this inbox

    def _told_by_connection(self) -> bool:
        """Whether the connection itself tells when the client leaves; the body is through then."""
        if self._connection is None or not (self._complete or self._take()):
            return False
        return self._connection.call_when_gone(self._receive, self._leave)

    def _leave(self) -> None:
        self.gone = True
        if self._on_gone is not None:
            self._on_gone()

    def _stir(self) -> None:
        if self._moved is not None:
            self._moved.set()

    def _take(self) -> bool:
        """Takes the body from the connection, where all of it is there."""
        if self._connection is None or self._reader is not None:
            return False
        body = self._connection.take_body(self._receive)
        if body is None:
            return False
        self._add(body, more=False)
        return True

    def _add(self, chunk: bytes, *, more: bool) -> None:
        if chunk:
            self._ahead.append(chunk)
            self._size += len(chunk)
        self._complete = not more

    async def _arrived(self) -> list[bytes]:
        """All that has arrived and was not taken, waiting for the first of it; nothing at the end of the body."""
        while not self._ahead:
            if self._complete:
                return []
            if self.gone:
                raise ClientGone
            if self._take():
                continue
            try:
                async with asyncio.timeout(self._patience):
                    await self._news()
            except TimeoutError:
                raise RequestTimeout(f"nothing of the body came for {self._patience:g} s") from None
        arrived, self._ahead, self._size = self._ahead, [], 0
        self._stir()
        return arrived

    async def _news(self) -> None:
        if self._moved is None:
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
        self._add(message.get("body", b""), more=message.get("more_body", False))

    async def _read_ahead(self, moved: asyncio.Event) -> None:
        while not self.gone:
            if self._size >= AHEAD and not self._complete:
                moved.clear()
                await moved.wait()
            else:
                await self._read()
                moved.set()
        if self._on_gone is not None:
            self._on_gone()
