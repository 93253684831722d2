"""One WebSocket to one endpoint, from the handshake to the close code. `docs/wire-format.md` has the rules.

The connection is accepted before a place is asked for: only an open one can say that there is none, and when to try
again. The first message carries the arguments, unless the query of the URL has them, or the endpoint has none and
the client did not announce it. A parameter that is an `AsyncIterator` gets all that follow.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from headrace.errors import (
    ClientGone,
    InvalidArguments,
    InvalidItem,
    MalformedBody,
    RequestError,
    SlowReader,
    StreamError,
    UnsupportedMediaType,
    WireError,
)
from headrace.server.exchange import Exchange, Share
from headrace.server.messages import Messages
from headrace.server.request import HttpRequest
from headrace.server.routes import Route
from headrace.server.websocket_connection import WebSocketConnection
from headrace.services.runtime import Runtime
from headrace.streams.stream import Stream
from headrace.wire.codec import Codec
from headrace.wire.formats import Choice
from headrace.wire.websocket import (
    ARGUMENTS_FIRST,
    MESSAGES,
    PLAIN_MESSAGES,
    SUBPROTOCOL,
    TEXT,
    close_code,
    close_reason,
    messages,
    named,
)

SWITCHED = 101
"""The status of a handshake that was accepted."""


class WebSocketSink:
    """Where the records of a stream leave as messages (a `Sink`)."""

    def __init__(self, send: Send, connection: WebSocketConnection | None) -> None:
        self._send = send
        self._connection = connection
        self.ending: StreamError | None = None  # what `finish` will close with

    def try_write(self, records: list[bytes]) -> bool:
        """See `Sink.try_write`."""
        return self._connection is not None and self._connection.try_write(b"".join(records))

    async def write(self, records: list[bytes]) -> None:
        """See `Sink.write`."""
        frames = b"".join(records)
        with self._translated():
            if self._connection is not None:
                await self._connection.write(frames)
                return
            for kind, payload in messages(frames):
                key, value = ("text", payload.decode()) if kind == TEXT else ("bytes", payload)
                await self._send({"type": "websocket.send", key: value})

    async def finish(self, records: list[bytes]) -> None:
        """See `Sink.finish`. The close code is that of `ending`."""
        if any(records):
            await self.write(records)
        code, reason = close_code(self.ending), close_reason(self.ending)
        with self._translated():
            if self._connection is not None:
                self._connection.close(code, reason)
            else:
                await self._send({"type": "websocket.close", "code": code, "reason": reason})

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """What a closed connection raises: ASGI says OSError, and servers say RuntimeError after a close of theirs."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            evicted = self._connection is not None and self._connection.evicted
            raise (SlowReader if evicted else ClientGone) from error


class WebSocketExchange(Exchange):
    """One connection. What can be refused by its head was refused before."""

    def __init__(
        self,
        runtime: Runtime,
        route: Route,
        request: HttpRequest,
        receive: Receive,
        send: Send,
        key: str = "",
        share: Share = contextlib.nullcontext,
    ) -> None:
        self._send = send
        self._key = key
        self._named = SUBPROTOCOL in request.subprotocols
        self._connection: WebSocketConnection | None = request.websocket
        self._sink = WebSocketSink(send, self._connection)
        self._endpoint = endpoint = route.endpoint
        self._parts = route.parts
        deadline = endpoint.timeouts.deadline(runtime.clock(), request.timeout)
        self._messages = Messages(receive)  # reads from now on
        if self._connection is not None:
            self._connection.on_lost = self._messages.leave
        super().__init__(runtime, endpoint, request, self._messages, share, deadline)

    async def answer(self) -> None:
        """Accepts the connection, answers, and closes it.

        Raises:
            asyncio.CancelledError: the server stops; the client was told.
        """
        choice = Choice(MESSAGES if self._named else PLAIN_MESSAGES, "", self._endpoint.types)
        stream = self._runtime.open(self._endpoint, choice.answer(), self._sink, self._key)
        await self._complete(stream)

    async def _begin(self, stream: Stream) -> None:
        headers = {"headrace-stream-id": stream.id, "x-request-id": self._request.id}
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        subprotocol = SUBPROTOCOL if self._named else None
        try:
            await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": encoded})
        except OSError as error:
            raise ClientGone from error

    async def _work(self, stream: Stream, arguments: Mapping[str, Any]) -> StreamError | None:
        return await self._runtime.run(stream, self._endpoint, arguments, self._deadline)

    async def _arguments(self, stream: Stream) -> Mapping[str, Any]:
        arguments, body = self._endpoint.arguments, self._endpoint.arguments.body
        patience = self._runtime.settings.body_timeout
        values = arguments.from_path(self._parts)
        if self._request.query:
            values |= arguments.from_query(self._request.query)
        elif arguments.names or ARGUMENTS_FIRST in self._request.subprotocols:
            message = await self._messages.take(patience)
            if not isinstance(message, str):
                raise UnsupportedMediaType("the first message carries the arguments, a JSON object as text")
            values |= arguments.from_json(message.encode())
        if body is not None and body.items is not None:
            values[body.name] = self._items(body.items)
            return values
        if body is not None:
            values[body.name] = _binary(await self._messages.take(patience))
        self._messages.end()
        return values

    async def _items(self, codec: Codec) -> AsyncIterator[Any]:
        """The messages that follow, until the client says that there are no more."""
        while True:
            message = await self._messages.take()
            if isinstance(message, bytes) or codec.kind == "bytes":
                if self._named and isinstance(message, str) and _read(message)[0] == "end":
                    break
                if codec.kind != "bytes":
                    raise UnsupportedMediaType(f"a binary message where {codec.name} is expected, as text")
                yield _binary(message)
            elif self._named:
                name, data = _read(message)
                if name == "end":
                    break
                if name != "item":
                    raise MalformedBody(
                        f'a message named "{name[:40]}"; items are {{"item": ...}}, then {{"end": {{}}}}'
                    )
                yield _item(codec, data)
            else:
                yield message if codec.kind == "text" else _item(codec, message.encode())
        self._messages.end()

    def _status(self, error: StreamError | None) -> int:
        return SWITCHED

    def _why_gone(self) -> StreamError:
        if self._messages.surplus:
            return RequestError("a message came that nobody expects: this endpoint has got all that it takes")
        return SlowReader() if self._connection is not None and self._connection.evicted else ClientGone()

    async def _tell(self, stream: Stream, error: StreamError | None) -> None:
        if isinstance(error, (ClientGone, SlowReader)):
            return
        self._sink.ending = error
        if stream.ending is None and error is not None:
            stream.refuse(error)
        with contextlib.suppress(ClientGone, SlowReader):
            if stream.torn:
                await self._sink.finish([])
            else:
                await stream.finish()


def _read(message: str) -> tuple[str, bytes]:
    try:
        return named(message.encode("utf-8", "replace"))
    except WireError as error:
        raise MalformedBody(str(error)) from None


def _binary(message: str | bytes) -> bytes:
    if isinstance(message, str):
        raise UnsupportedMediaType("a text message where bytes are expected, as a binary one")
    return message


def _item(codec: Codec, data: bytes) -> Any:
    try:
        return codec.loads(data)
    except WireError as error:
        raise MalformedBody(f"a message is not JSON: {error}") from None
    except InvalidItem as error:
        detail = {"pointer": "", "detail": error.message, "type": error.code}
        raise InvalidArguments(f"HR16 a message does not fit: {error.message}", [detail]) from None


def denying(scope: Scope, send: Send) -> Send:
    """The `send` of an HTTP response that refuses a handshake (ASGI, "Websocket Denial Response").

    A server that cannot send one is told to close, which is a 403 without a body.
    """
    tells = "websocket.http.response" in scope.get("extensions", {})

    async def deny(message: Message) -> None:
        if tells:
            await send({**message, "type": f"websocket.{message['type']}"})
        elif message["type"] == "http.response.start":
            await send({"type": "websocket.close"})

    return deny
