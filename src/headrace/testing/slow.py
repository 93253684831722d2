"""A client that reads slowly, for what the server does then: its generator waits, and a steady reader is not given up.

A client that does not read at all needs no class: enter the stream and do not iterate it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx2

from headrace.testing.wrapping import WrappingTransport, changed

BUFFER = 4096
"""Bytes that the kernel is to take for a client which is slow."""


class SlowReader(WrappingTransport):
    """Takes `size` bytes of a body at a time, and pauses after them: `AsyncClient(url, transport=SlowReader())`.

    It reads nothing while it pauses, so the server's writes wait as soon as what lies between the two is full:
    64 KiB in process, and the kernel's buffers with a connection.

    Args:
        inner: the way to the server; None is a connection with a receive buffer that is as small as the kernel
            allows, so that a client which does not read is noticed soon.
        size: bytes that are taken at a time.
        pause: seconds after each; 0 never pauses, for a client that is slow by itself.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport | None = None, *, size: int = 1024, pause: float = 0.1) -> None:
        if inner is None:
            inner = httpx2.AsyncHTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)])
        super().__init__(inner)
        self._size = size
        self._pause = pause

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Returns with the head of the response."""
        return changed(await super().handle_async_request(request), self._slowed)

    async def _slowed(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for data in body:
            for start in range(0, len(data), self._size):
                yield data[start : start + self._size]
                await asyncio.sleep(self._pause)
