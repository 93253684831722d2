"""The receiving side of one WebSocket exchange: the client's messages, and the moment it leaves.

A task reads ahead, by a bounded amount, so that a client that leaves is noticed while nothing is written to it, and
what it says while an answer is being made is there at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from starlette.types import Receive

from headrace.errors import ClientGone, RequestTimeout

AHEAD = 64 * 1024
"""Bytes of messages that are read before anybody asks for them."""

AHEAD_MESSAGES = 256
"""Messages, likewise: empty ones weigh nothing."""

logger = logging.getLogger("headrace.server")


class Messages:
    """One exchange's `receive()`, after the handshake. A message is `str` or `bytes`, as it came.

    Attributes:
        surplus: a message came after `end`.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ahead: deque[str | bytes] = deque()
        self._size = 0
        self._moved = asyncio.Event()  # something arrived, or something was taken
        self._on_gone: Callable[[], None] | None = None
        self._gone = False
        self._ended = False
        self.surplus = False
        self._reader = asyncio.get_running_loop().create_task(self._read_ahead())

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Calls `on_gone` when the client leaves, or says more than it may: at once if it has already."""
        self._on_gone = on_gone
        if self._gone or self.surplus:
            on_gone()

    def end(self) -> None:
        """No further message is expected; one that comes is `surplus`."""
        self._ended = True
        if self._ahead:
            self._notice_surplus()

    def leave(self) -> None:
        """The client has left, as its connection knows while nothing is read from it."""
        self._gone = True
        self._moved.set()

    def close(self) -> None:
        """Reads no more and calls nobody back. Whoever still waits for a message gets ClientGone."""
        self._gone = True
        self._moved.set()
        self._reader.cancel()

    async def take(self, patience: float | None = None) -> str | bytes:
        """The next message.

        Args:
            patience: seconds to wait for it; None: for ever.

        Raises:
            RequestTimeout: it did not come.
            ClientGone: the client left, and everything it said was taken.
        """
        try:
            async with asyncio.timeout(patience):
                while not self._ahead:
                    if self._gone:
                        raise ClientGone
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise RequestTimeout(f"no message came for {patience:g} s") from None
        message = self._ahead.popleft()
        self._size -= len(message)
        self._moved.set()
        return message

    async def _read_ahead(self) -> None:
        while not self._gone:
            if self._size >= AHEAD or len(self._ahead) >= AHEAD_MESSAGES:
                self._moved.clear()
                await self._moved.wait()
            else:
                await self._read()
                self._moved.set()
        if self._on_gone is not None:
            self._on_gone()

    async def _read(self) -> None:
        try:
            event = await self._receive()
        except Exception as error:  # of the server or a middleware: nobody can say any more what the client does
            logger.warning("receive() failed; the client is taken for gone: %r", error)
            event = {"type": "websocket.disconnect"}
        if event["type"] != "websocket.receive":
            self._gone = True
            return
        text: str | None = event.get("text")
        message = event["bytes"] if text is None else text
        self._ahead.append(message)
        self._size += len(message)
        if self._ended:
            self._notice_surplus()

    def _notice_surplus(self) -> None:
        self.surplus = True
        if self._on_gone is not None:
            self._on_gone()
