"""What a conversation needs of a WebSocket, wherever it goes: over the network, or to an application in this process.

Errors are those of the HTTP library, so that they are translated where all others are: `ConnectError` and its kin from
the handshake, `WriteError` and `ReadError` from a connection that is closed, with how it was closed as their text.
"""

from __future__ import annotations

from typing import Protocol

from headrace.client.steps import Head, Send

SWITCHED = 101
"""The status of a handshake that was accepted."""


class Socket(Protocol):
    """An open WebSocket. One task may send while another one receives."""

    async def send(self, message: str | bytes) -> None:
        """Returns when the connection has taken it; raises httpx2.WriteError."""

    async def receive(self) -> bytes:
        """The next message as a frame, see `wire.websocket.frame`; raises httpx2.ReadError. Can be cancelled."""

    async def aclose(self) -> None:
        """Closes the connection; the other end is told."""


class Sockets(Protocol):
    """Opens the WebSockets of one client."""

    async def open(self, send: Send) -> tuple[Head, Socket]:
        """Does the handshake; `Refused` stands for the socket where the status is another than `SWITCHED`."""

    async def aclose(self) -> None:
        """Closes what is still open."""


class Refused:
    """The answer to a handshake that was refused, in the place of a socket: its body, then nothing."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def send(self, message: str | bytes) -> None:
        """Nobody listens."""

    async def receive(self) -> bytes:
        """The body, once."""
        body, self._body = self._body, b""
        return body

    async def aclose(self) -> None:
        """It is closed."""


class NoSockets:
    """For a client whose transport carries none."""

    async def open(self, send: Send) -> tuple[Head, Socket]:
        """Raises RuntimeError."""
        raise RuntimeError(
            "this client has a transport of the HTTP library, which carries no WebSockets; "
            "give it the server's address, Client('http://localhost:8000'), or app=..."
        )

    async def aclose(self) -> None:
        """Nothing is open."""
