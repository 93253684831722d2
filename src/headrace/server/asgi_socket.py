"""One WebSocket to a mounted application: messages pass unchanged, both ways.

The application accepts. Until then a refusal is an answer to the handshake; afterwards it is a close code. A client
that leaves is told to an application that listens, as ASGI has it, which then has a moment to end by itself; one that
does something else is cancelled at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from headrace.errors import ClientGone, InternalError, SlowReader, StreamError
from headrace.server.asgi_mount import app_scope, named
from headrace.server.exchange import Exchange, Share
from headrace.server.messages import Messages
from headrace.server.passage import Passage
from headrace.server.request import HttpRequest
from headrace.server.response import Response, status_of
from headrace.server.visit import Visit
from headrace.server.websocket import SWITCHED, denying
from headrace.services.mounts import MountDefinition
from headrace.services.runtime import Runtime
from headrace.streams.outlet import Outlet
from headrace.streams.recorder import Recorder
from headrace.streams.stream import Stream
from headrace.wire.websocket import close_code, close_reason

LEAVE_GRACE = 1.0
"""Seconds that an application has after it was told that its client left."""

LOST = 1006
"""The code of a connection that ended without one (RFC 6455, section 7.1.5)."""


class AppSocket(Exchange):
    """One connection; the arguments are those of `AppExchange`."""

    def __init__(
        self,
        runtime: Runtime,
        mount: MountDefinition,
        request: HttpRequest,
        scope: Scope,
        receive: Receive,
        send: Send,
        key: str = "",
        share: Share = contextlib.nullcontext,
    ) -> None:
        deadline = mount.timeouts.deadline(runtime.clock(), request.timeout)
        self._conversation = Conversation(receive)
        if request.websocket is not None:
            request.websocket.on_lost = self._conversation.leave
        super().__init__(runtime, mount, request, self._conversation, share, deadline)
        self._mount = mount
        self._scope = app_scope(scope, request, mount, runtime.state(mount))
        self._send = send
        self._passage = Passage(self._pass_on)
        self._stream = runtime.pass_on(mount, self._passage, key)
        self._refused: int | None = None  # the status with which the application has refused
        self._accepted = self._closed = False

    async def answer(self) -> None:
        """Runs the application, and closes what it has left open.

        Raises:
            asyncio.CancelledError: the server stops; the client was told.
        """
        await self._complete(self._stream)

    async def _begin(self, stream: Stream) -> None:
        pass

    async def _arguments(self, stream: Stream) -> Mapping[str, Any]:
        return {}

    async def _work(self, stream: Stream, arguments: Mapping[str, Any]) -> StreamError | None:
        return await self._runtime.drive(stream, self._mount, self._drive, self._deadline)

    async def _drive(self, recorder: Recorder, outlet: Outlet) -> None:
        async def send(message: Message) -> None:
            await self._forward(recorder, message)

        try:
            async with Visit(self._runtime.instance).under_way():
                await self._mount.app(self._scope, self._conversation.receive, send)
        except WebSocketDisconnect as error:
            if self._conversation.left:
                raise ClientGone from error
            raise

    async def _forward(self, recorder: Recorder, message: Message) -> None:
        match message["type"]:
            case "websocket.accept":
                self._accepted = True
                message = named(message, self._request, self._stream)
            case "websocket.close":
                self._refused = None if self._accepted else 403
                self._finish()
            case "websocket.http.response.start":
                self._refused = message["status"]
                message = named(message, self._request, self._stream)
            case "websocket.http.response.body" if not message.get("more_body", False):
                self._finish()
        item = message["type"] == "websocket.send"
        if item:
            recorder.record(message)
        try:
            await self._passage.put_message(message, item=item)
        except ClientGone as error:
            raise ConnectionAbortedError("the client is gone") from error

    def _finish(self) -> None:
        """The application has told the end. From here on the client may leave."""
        self._closed = True
        self._conversation.watch(lambda: None)

    async def _pass_on(self, message: Any) -> None:
        try:
            await self._send(dict(message))
        except (OSError, RuntimeError) as error:  # ASGI says OSError, servers say RuntimeError after a close of theirs
            if self._conversation.left or isinstance(error, OSError):
                raise self._why_gone() from error
            raise

    def _status(self, error: StreamError | None) -> int:
        if self._accepted:
            return SWITCHED
        return self._refused or status_of(error or InternalError())

    def _why_gone(self) -> StreamError:
        connection = self._request.websocket
        return SlowReader() if connection is not None and connection.evicted else ClientGone()

    async def _tell(self, stream: Stream, error: StreamError | None) -> None:
        if self._closed or isinstance(error, (ClientGone, SlowReader)) or self._conversation.left:
            return
        with contextlib.suppress(ClientGone):
            if self._accepted:
                code, reason = close_code(error), close_reason(error)
                await self._pass_on({"type": "websocket.close", "code": code, "reason": reason})
            elif self._refused is None:
                refusal = error or InternalError()
                await Response(denying(self._scope, self._send), self._request.id).problem(refusal)


class Conversation:
    """The application's `receive`, and the moment the client leaves."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages = Messages(self._noted)
        self._connected = False
        self._listening = 0
        self._code = LOST
        self._reason = ""
        self._grace: asyncio.TimerHandle | None = None
        self._on_gone: Callable[[], None] | None = None
        self.left = False
        self.leave = self._messages.leave

    def watch(self, on_gone: Callable[[], None]) -> None:
        """See `Incoming.watch`. Where the application listens just then, `on_gone` comes `LEAVE_GRACE` later."""
        self._on_gone = on_gone
        self._messages.watch(self._left)

    def close(self) -> None:
        """See `Incoming.close`."""
        self._on_gone = None
        if self._grace is not None:
            self._grace.cancel()
        self._messages.close()

    async def receive(self) -> Message:
        """The handshake, the client's messages, and the end."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        self._listening += 1
        try:
            message = await self._messages.take()
        except ClientGone:
            self.left = True
            return {"type": "websocket.disconnect", "code": self._code, "reason": self._reason}
        finally:
            self._listening -= 1
        return {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}

    async def _noted(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._code, self._reason = message.get("code") or LOST, message.get("reason") or ""
        return message

    def _left(self) -> None:
        self.left = True
        if not self._listening:
            self._gone()
        elif self._grace is None:
            self._grace = asyncio.get_running_loop().call_later(LEAVE_GRACE, self._gone)

    def _gone(self) -> None:
        if self._on_gone is not None:
            self._on_gone()
