"""WebSockets over the network, by the `websockets` package; what it raises is translated here (see `sockets`).

No redirect is followed, as none is for streams: credentials and arguments are for the server that the caller named.
"""

from __future__ import annotations

import asyncio
import ssl

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, ProxyError, WebSocketException
from websockets.http11 import Response
from websockets.typing import Subprotocol

from headrace.client.sockets import Refused, Socket
from headrace.client.steps import Head, Send
from headrace.wire.decoding import MAX_RECORD
from headrace.wire.websocket import ARGUMENTS_FIRST, BINARY, SUBPROTOCOL, TEXT, frame

PING_SECONDS = 20.0
"""Between two pings, which keep proxies from taking a silent connection for a dead one."""

LEAVES_WITHIN = 0.2
"""Seconds for the close frame that answers ours, before the connection is cut: it stands behind all unread items."""


class WebSockets:
    """The connections of one client. `verify` is the one of `Client`."""

    def __init__(self, verify: ssl.SSLContext | bool) -> None:
        self._verify = verify
        self._open: set[ClientConnection] = set()

    async def open(self, send: Send) -> tuple[Head, Socket]:
        """See `Sockets.open`. The arguments are sent with it."""
        handshake = Handshake(
            "ws" + send.request.url.removeprefix("http"),
            subprotocols=[Subprotocol(SUBPROTOCOL), Subprotocol(ARGUMENTS_FIRST)],
            additional_headers=dict(send.headers),
            user_agent_header=None,  # it is among the headers
            compression=None,  # whoever compresses a stream holds it back
            open_timeout=None,
            ping_interval=PING_SECONDS,
            # A server that works on what it heard does not read on, and the ping waits with the rest. It is not
            # dead: whether it is too slow, the timeouts of the conversation decide.
            ping_timeout=None,
            max_size=MAX_RECORD,
            ssl=self._tls(send.request.url),
        )
        try:
            async with asyncio.timeout(send.remaining["connect"]):
                connection = await handshake
        except InvalidStatus as refused:
            return _head(refused.response), Refused(bytes(refused.response.body or b""))
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(str(error)) from error
        except ProxyError as error:
            raise httpx2.ProxyError(str(error)) from error
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error
        except WebSocketException as error:
            gone = isinstance(error.__cause__, (EOFError, OSError))
            raise httpx2.RemoteProtocolError("disconnected" if gone else str(error)) from error
        assert connection.response is not None
        self._open.add(connection)
        socket = NetworkSocket(connection, self._open)
        content = send.request.payload.content
        assert isinstance(content, bytes)
        await socket.begin(content.decode())
        return _head(connection.response), socket

    async def aclose(self) -> None:
        """See `Sockets.aclose`."""
        for connection in list(self._open):
            await _close(connection)

    def _tls(self, url: str) -> ssl.SSLContext | None:
        if not url.startswith("https:"):
            return None
        if isinstance(self._verify, ssl.SSLContext):
            return self._verify
        context = ssl.create_default_context()
        if not self._verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


class Handshake(connect):
    """One that follows no redirect."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """The redirect itself is the answer."""
        return exc


class NetworkSocket:
    """One connection (a `Socket`); `opened` are those of its client."""

    def __init__(self, connection: ClientConnection, opened: set[ClientConnection]) -> None:
        self._connection = connection
        self._opened = opened

    async def begin(self, message: str) -> None:
        """Sends the first message; where the connection is closed already, what it brought tells why."""
        try:
            await self._connection.send(message)
        except ConnectionClosed:
            return
        except BaseException:
            await self.aclose()
            raise

    async def send(self, message: str | bytes) -> None:
        """See `Socket.send`."""
        try:
            await self._connection.send(message)
        except ConnectionClosed as closed:
            raise httpx2.WriteError(_how(closed)) from closed

    async def receive(self) -> bytes:
        """See `Socket.receive`."""
        try:
            message = await self._connection.recv()
        except ConnectionClosed as closed:
            raise httpx2.ReadError(_how(closed)) from closed
        return frame(TEXT, message.encode()) if isinstance(message, str) else frame(BINARY, message)

    async def aclose(self) -> None:
        """See `Socket.aclose`."""
        try:
            await _close(self._connection)
        finally:
            self._opened.discard(self._connection)


async def _close(connection: ClientConnection) -> None:
    try:
        async with asyncio.timeout(LEAVES_WITHIN):  # also where the close frame cannot leave, behind what is unheard
            await connection.close()
    except TimeoutError:
        pass
    finally:
        connection.transport.abort()
    await connection.wait_closed()


def _head(response: Response) -> Head:
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return Head(response.status_code, headers, framed=True)


def _how(closed: ConnectionClosed) -> str:
    if closed.rcvd is not None:
        reason = f", {closed.rcvd.reason}" if closed.rcvd.reason else ""
        return f"the server closed the connection with code {closed.rcvd.code}{reason}"
    if closed.sent is not None and closed.sent.reason:
        return f"the connection was closed with code {closed.sent.code}, {closed.sent.reason}"
    return "the connection was lost (code 1006)"
