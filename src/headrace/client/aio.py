"""The client for async code: `async with`, `async for`. What it does stands in `protocol`."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread
import httpx2

from headrace.client.arguments import Upload
from headrace.client.asgi import AsgiTransport
from headrace.client.configured import Configured
from headrace.client.connections import address, asynchronous, incoming, outgoing
from headrace.client.conversation import AsyncConversation
from headrace.client.dialogue import dialogue
from headrace.client.drive import drive, limited
from headrace.client.protocol import Caller, Exchange, Reading, joined
from headrace.client.request import Options, bearer
from headrace.client.saving import Saving
from headrace.client.sockets import Sockets
from headrace.client.steps import (
    Close,
    Head,
    Look,
    Operation,
    OutOfTime,
    Pause,
    Receive,
    Send,
    SourceFailed,
    Steps,
    T,
)
from headrace.client.typed import RemoteMethod
from headrace.client.ways import ways
from headrace.wire.events import Footer, Header
from headrace.wire.stream_types import StreamTypes

CLOSES_WITHIN = 2.0
"""Seconds that closing a response may take, also for a task that was cancelled."""

_END: Any = object()


class AsyncClient(Configured):
    """The endpoints of one server.

        async with AsyncClient("http://localhost:8000") as client:
            async with client.stream("write", topic="rain") as stream:
                async for line in stream:
                    print(line, end="")

    It keeps connections for the next stream. Close it, or use it in an `async with` block. It belongs to one
    event loop.

    Args:
        url: the server's address.
        app: an ASGI application instead, which runs on this event loop. An `async with` block starts and stops it.
        transport: a transport of the HTTP library instead; closed with the client.
        api_key: sent as a bearer token.
        verify: False accepts any certificate; a context has certificates of your own.

    Raises:
        ValueError: the address or the key is none.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        app: Any = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        api_key: str | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        base = address(url, app, transport)
        self._caller = Caller(base, Options(headers=bearer(api_key)), _now)
        if app is not None:
            transport = AsgiTransport(app)
        self._connections = Connections(asynchronous(base, transport, verify), transport, ways(transport, verify))
        self._owner = True

    def stream(self, endpoint: str, /, **arguments: Any) -> AsyncStream:
        """See `Client.stream`."""
        return AsyncStream(self._caller.stream(endpoint, arguments), self._connections.driver())

    def connect(self, endpoint: str, /, **arguments: Any) -> AsyncConversation:
        """See `Client.connect`."""
        return AsyncConversation(dialogue(self._caller, endpoint, arguments), self._connections.sockets())

    async def call(self, endpoint: str, /, **arguments: Any) -> Any:
        """See `Client.call`."""
        exchange = self._caller.call(endpoint, arguments)
        async with AsyncStream(exchange, self._connections.driver()) as stream:
            return await anext(stream)

    def _invoke(self, method: RemoteMethod, arguments: dict[str, Any]) -> Any:
        if method.streams:
            return events(self.stream(method.path, **arguments), method.types)
        return self.call(method.path, **arguments)

    async def aclose(self) -> None:
        """Closes the connections. Streams that are still open break off."""
        if self._owner:
            await self._connections.aclose()

    async def __aenter__(self) -> Self:
        if self._owner:
            await self._connections.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncStream(Reading):
    """One stream: a context manager, and inside its block an iterator over the items. Leaving it stops the work.

    Entering returns once the header, the first item or the end is there. See `Exchange` for the errors.
    """

    def __init__(self, exchange: Exchange, driver: AsyncDriver) -> None:
        super().__init__(exchange)
        self._driver = driver
        self._items = exchange.items

    async def __aenter__(self) -> Self:
        await self._driver.run(self._exchange.open())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._driver.run(self._exchange.close())

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if not self._items and not await self._driver.run(self._exchange.more()):
            raise StopAsyncIteration
        return self._items.popleft()

    async def collect(self) -> list[Any]:
        """All items that are still to come."""
        items: list[Any] = []
        while await self._driver.run(self._exchange.more()):
            items += self._exchange.take()
        return items

    async def text(self) -> str:
        """The text of all items that are still to come; raises TypeError where they are none."""
        return joined(await self.collect())

    async def save(self, path: str | os.PathLike[str]) -> None:
        """See `Stream.save`."""
        self._exchange.check_whole()
        with Saving(path) as saving:
            while await self._driver.run(self._exchange.more()):
                await anyio.to_thread.run_sync(saving.write, self._exchange.take())


async def events(stream: AsyncStream, types: StreamTypes) -> AsyncGenerator[Any, None]:
    """What the endpoint itself yields: `Header`, the items, `Footer`. Opens the stream, and closes it."""
    async with stream:
        if types.header is not None:
            yield Header(stream.header)
        async for item in stream:
            yield item
        if types.footer is not None:
            yield Footer(stream.footer)


class Connections:
    """What the clients that `with_options` makes have in common."""

    def __init__(self, http: httpx2.AsyncClient, transport: httpx2.AsyncBaseTransport | None, sockets: Sockets) -> None:
        self._http = http
        self._transport = transport
        self._sockets = sockets

    def driver(self) -> AsyncDriver:
        """A driver for one stream; raises RuntimeError when the client is closed."""
        self._check_open()
        return AsyncDriver(self._http)

    def sockets(self) -> Sockets:
        """What opens the WebSocket of a conversation; raises RuntimeError when the client is closed."""
        self._check_open()
        return self._sockets

    async def enter(self) -> None:
        """Starts what has to be started."""
        if self._transport is not None:
            await self._transport.__aenter__()

    async def aclose(self) -> None:
        """Closes all."""
        await self._sockets.aclose()
        await self._http.aclose()

    def _check_open(self) -> None:
        if self._http.is_closed:
            raise RuntimeError("this client is closed; make a new one")


class AsyncDriver:
    """Carries out the operations of one stream, one after the other."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._response: httpx2.Response | None = None
        self._body: AsyncIterator[bytes]

    async def run(self, steps: Steps[T]) -> T:
        """Runs to the end of the steps. Whatever leaves them with an error leaves the response closed."""
        try:
            return await drive(steps, self._perform)
        except SourceFailed as failed:
            await self._close()
            raise failed.error from None
        except BaseException:
            await self._close()
            raise

    async def _perform(self, operation: Operation) -> Any:
        match operation:
            case Receive(within):
                return await self._receive(within)
            case Send():
                return await self._send(operation)
            case Look(upload):
                return await _look(upload)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Close():
                await self._close()
        return None

    async def _send(self, send: Send) -> Head:
        upload = send.request.upload
        pieces = None if upload is None or upload.empty else _pieces(upload)
        try:
            self._response = await limited(send.within, self._http.send(outgoing(send, pieces), stream=True))
        except (httpx2.ReadTimeout, httpx2.WriteTimeout) as error:
            raise OutOfTime from error
        self._body = self._response.aiter_raw()
        return incoming(self._response)

    async def _receive(self, within: float | None) -> bytes:
        if within is None:
            return await anext(self._body, b"")
        return await limited(within, anext(self._body, b""))

    async def _close(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            with anyio.move_on_after(CLOSES_WITHIN, shield=True):
                await response.aclose()


def _now() -> float:
    return asyncio.get_running_loop().time()  # what the timeouts of this loop go by, whatever a test makes of it


async def _look(upload: Upload) -> list[Any]:
    value = await _next(upload)
    return [] if value is _END else [value]


async def _pieces(upload: Upload) -> AsyncIterator[bytes]:
    for piece in upload.begin():
        yield piece
    while (value := await _next(upload)) is not _END:
        try:
            piece = upload.encode(value)
        except TypeError as error:
            raise SourceFailed(error) from error
        yield piece


async def _next(upload: Upload) -> Any:
    source = upload.source
    try:
        if isinstance(source, Iterator):  # taking a value may block: files do, and whatever else the caller has
            return await anyio.to_thread.run_sync(next, source, _END, abandon_on_cancel=True)
        return await anext(source, _END)
    except Exception as error:
        raise SourceFailed(error) from error
