"""What stands in the place of uvicorn's own objects, where they do more or less than a connection of ours needs."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Addressed(asyncio.Transport):
    """A transport as uvicorn is to see it when it asks for the addresses: without its socket.

    uvicorn prefers the socket's, and there they cost a second object and several system calls per question.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of the transport; addresses are (host, port), also of IPv6, which adds two numbers."""
        if name == "socket":
            return None
        found = self._transport.get_extra_info(name, default)
        return found[:2] if isinstance(found, tuple) else found


class Bundle(AbstractContextManager[None]):
    """Inside the block it keeps what the response writes to its transport; at the end of the block, and before the
    connection is closed, that leaves in one write.

    uvicorn writes the head of a response and its body one by one, and each write is a system call here and wakes a
    reader there. The block waits for nothing once something was written in it: what is kept would wait too.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._kept: list[bytes] = []

    def __enter__(self) -> None:
        stand_in: Any = self
        self._cycle.transport = stand_in

    def __exit__(self, *_: object) -> None:
        self._cycle.transport = self._transport
        self._let_go()

    def write(self, data: bytes) -> None:
        """Keeps it."""
        self._kept.append(data)

    def close(self) -> None:
        """Closes the connection, after what was kept."""
        self._let_go()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    def _let_go(self) -> None:
        kept, self._kept = self._kept, []
        if kept:
            self._transport.writelines(kept)


class CloseDelimited:
    """Sends one response to an HTTP/1.0 client: not chunked, ended by the end of the connection.

    uvicorn would send it chunked. This tells it before each part that the part is as long as was announced.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._send = cycle.send
        self._unknown_length = False
        cycle.send = self.send  # type: ignore[method-assign]

    async def send(self, message: Any) -> None:
        """The ASGI `send` of the response."""
        if message["type"] == "http.response.start":
            self._unknown_length = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
            if self._unknown_length:
                self._cycle.chunked_encoding = False
        elif self._unknown_length and self._cycle.scope["method"] != "HEAD":
            self._cycle.expected_content_length = len(message.get("body", b""))
        await self._send(message)
