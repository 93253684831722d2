"""A WebSocket to an ASGI application in the same process, as a server would run it, within bounds both ways.

An application that is ahead of its reader waits, and so does who says more than it listens to. One that raises or
returns without closing has broken the connection off, which is never an ending.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import httpx2

from headrace.client.asgi import AHEAD, GRACE, App, AsgiTransport, Message, scope_of
from headrace.client.sockets import SWITCHED, Refused, Socket
from headrace.client.steps import Head, Send
from headrace.wire.websocket import ARGUMENTS_FIRST, BINARY, SUBPROTOCOL, TEXT, frame

AHEAD_MESSAGES = 16
"""Messages that wait for the application before who sends them waits too."""


class AsgiSockets:
    """The conversations with one application; closed with its transport."""

    def __init__(self, transport: AsgiTransport) -> None:
        self._transport = transport

    async def open(self, send: Send) -> tuple[Head, Socket]:
        """See `Sockets.open`."""
        url, content = send.request.url, send.request.payload.content
        assert isinstance(content, bytes)
        request = httpx2.Request("GET", url, headers=dict(send.headers))
        socket = AsgiWebSocket(request, self._transport.state, content.decode())
        self._transport.begin(socket)
        try:
            head = await socket.head()
        except BaseException:
            await socket.aclose()
            raise
        return head, socket if head.status == SWITCHED else Refused(socket.body)

    async def aclose(self) -> None:
        """The transport closes them."""


class AsgiWebSocket:
    """One connection (a `Socket`); `body` is that of a handshake that was refused. `begins` is the first message."""

    def __init__(self, request: httpx2.Request, state: dict[str, Any], begins: str) -> None:
        self.body = b""
        self._scope = {**_scope(request), **state}
        self._said: deque[Message] = deque([{"type": "websocket.connect"}, _received(begins)])
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._status = 0
        self._headers: dict[str, str] = {}
        self._answered = False  # the head is whole, with the body of a refusal
        self._closed = ""  # how it was
        self._left = False
        self._moved = asyncio.Event()  # something came, was taken, or is over
        self._task: asyncio.Task[Any] | None = None

    async def run(self, app: App) -> None:
        """Runs the application."""
        self._task = asyncio.current_task()
        try:
            await app(self._scope, self._receive, self._send)
        except Exception as error:
            self._closed = self._closed or f"the application broke the connection off: {error!r}"
        finally:
            self._closed = self._closed or "the application returned before it closed the connection"
            self._moved.set()

    async def head(self) -> Head:
        """Waits for the answer to the handshake."""
        while not self._answered:
            if self._closed:
                raise httpx2.RemoteProtocolError(self._closed)
            await self._move()
        return Head(self._status, self._headers, framed=True)

    async def send(self, message: str | bytes) -> None:
        """See `Socket.send`."""
        while len(self._said) >= AHEAD_MESSAGES and not self._closed:
            await self._move()
        if self._closed:
            raise httpx2.WriteError(self._closed)
        self._said.append(_received(message))
        self._moved.set()

    async def receive(self) -> bytes:
        """See `Socket.receive`."""
        while not self._frames:
            if self._closed:
                raise httpx2.ReadError(self._closed)
            await self._move()
        data = self._frames.popleft()
        self._size -= len(data)
        self._moved.set()
        return data

    async def aclose(self) -> None:
        """The application is told that its client left, and has a little time to notice."""
        self.leave()
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=GRACE)

    def leave(self) -> None:
        """See `AsgiExchange.leave`."""
        self._left = True
        self._closed = self._closed or "the client left"
        self._moved.set()

    async def _receive(self) -> Message:
        while not (self._said or self._left):
            await self._move()
        if self._left:
            return {"type": "websocket.disconnect", "code": 1005, "reason": ""}
        message = self._said.popleft()
        self._moved.set()
        return message

    async def _send(self, message: Message) -> None:
        while self._size >= AHEAD and not self._left:
            await self._move()
        if self._left:
            raise ConnectionResetError("the client left")
        kind = message["type"]
        if self._closed or kind not in (_OPEN if self._status == SWITCHED else _OPENING):
            raise RuntimeError(f"the message {kind!r} is not expected here")
        match kind:
            case "websocket.accept":
                self._answer(SWITCHED, message)
                self._headers["sec-websocket-protocol"] = message.get("subprotocol") or ""
                self._answered = True
            case "websocket.http.response.start":
                self._answer(message["status"], message)
            case "websocket.http.response.body":
                self.body += message.get("body", b"")
                self._answered = not message.get("more_body", False)
            case "websocket.send":
                self._take(message)
            case _ if self._status != SWITCHED:
                self._status, self._answered = 403, True
            case _:
                reason = f", {message['reason']}" if message.get("reason") else ""
                self._closed = f"the server closed the connection with code {message.get('code', 1000)}{reason}"
        self._moved.set()

    def _answer(self, status: int, message: Message) -> None:
        self._status = status
        self._headers = {name.decode().lower(): value.decode("latin-1") for name, value in message.get("headers", ())}

    def _take(self, message: Message) -> None:
        text = message.get("text")
        data = frame(BINARY, bytes(message["bytes"])) if text is None else frame(TEXT, text.encode())
        self._frames.append(data)
        self._size += len(data)

    async def _move(self) -> None:
        self._moved.clear()
        await self._moved.wait()


_OPEN = {"websocket.send", "websocket.close"}
_OPENING = {"websocket.accept", "websocket.close", "websocket.http.response.start", "websocket.http.response.body"}


def _received(message: str | bytes) -> Message:
    return {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}


def _scope(request: httpx2.Request) -> dict[str, Any]:
    scope = scope_of(request)
    del scope["method"]
    return {
        **scope,
        "type": "websocket",
        "scheme": "wss" if request.url.scheme == "https" else "ws",
        "subprotocols": [SUBPROTOCOL, ARGUMENTS_FIRST],
        "extensions": {"websocket.http.response": {}},
    }
