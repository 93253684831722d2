"""The client for code without an event loop: `with`, `for`, and blocking reads. What it does stands in `protocol`.

One client may be used by several threads, one stream by one at a time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import httpx2

from headrace.client.arguments import Upload
from headrace.client.asgi import AsgiTransport
from headrace.client.configured import Configured
from headrace.client.connections import address, blocking, incoming, outgoing
from headrace.client.conversation_sync import Conversation
from headrace.client.dialogue import dialogue
from headrace.client.portal import LoopThread, PortalTransport
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
from headrace.client.watchdog import Watch, Watchdog
from headrace.client.ways import ways
from headrace.wire.events import Footer, Header
from headrace.wire.stream_types import StreamTypes

_END: Any = object()


class Client(Configured):
    """The endpoints of one server.

        with Client("http://localhost:8000") as client:
            with client.stream("write", topic="rain") as stream:
                for line in stream:
                    print(line, end="")

    It keeps connections for the next stream. Close it, or use it in a `with` block.

    Args:
        url: the server's address.
        app: an ASGI application instead, which runs in this process on a thread of its own. A `with` block starts and
            stops it.
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
        transport: httpx2.BaseTransport | None = None,
        api_key: str | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        base = address(url, app, transport)
        self._caller = Caller(base, Options(headers=bearer(api_key)), time.monotonic)
        if app is not None:
            transport = PortalTransport(AsgiTransport(app))
        self._connections = Connections(blocking(base, transport, verify), transport, verify)
        self._owner = True

    def stream(self, endpoint: str, /, **arguments: Any) -> Stream:
        """A stream of an endpoint, given by its name or its path. Nothing is sent before its block is entered.

        Raises:
            TypeError, ValueError: the arguments cannot be sent.
            RuntimeError: the client is closed.
        """
        return Stream(self._caller.stream(endpoint, arguments), self._connections.driver())

    def connect(self, endpoint: str, /, **arguments: Any) -> Conversation:
        """A conversation with an endpoint that has an iterator among its parameters, over a WebSocket.

        The arguments are those of its other parameters; `format` and `method` mean nothing here. Nothing is sent
        before its block is entered, and nothing is sent again once the server has accepted.

        Raises:
            TypeError, ValueError: the arguments cannot be sent.
            RuntimeError: the client is closed.
        """
        return Conversation(dialogue(self._caller, endpoint, arguments), *self._connections.sockets())

    def call(self, endpoint: str, /, **arguments: Any) -> Any:
        """The whole answer of an endpoint as one value.

        A stream is gathered by the server: text to one `str`, bytes to `bytes`, others to a list, and a stream with a
        header or footer to a dict of `header`, `items` and `footer`. The timeout `first_item` is for the whole answer.

        Raises:
            StreamError: there is none.
            WireError: what came is no answer of the type.
            TypeError, ValueError, RuntimeError: as for `stream`.
        """
        exchange = self._caller.call(endpoint, arguments)
        with Stream(exchange, self._connections.driver()) as stream:
            return next(stream)

    def _invoke(self, method: RemoteMethod, arguments: dict[str, Any]) -> Any:
        if method.streams:
            return events(self.stream(method.path, **arguments), method.types)
        return self.call(method.path, **arguments)

    def close(self) -> None:
        """Closes the connections. Streams that are still open break off."""
        if self._owner:
            self._connections.close()

    def __enter__(self) -> Self:
        if self._owner:
            self._connections.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Stream(Reading):
    """One stream: a context manager, and inside its block an iterator over the items. Leaving it stops the work.

    Entering returns once the header, the first item or the end is there. See `Exchange` for the errors.
    """

    def __init__(self, exchange: Exchange, driver: Driver) -> None:
        super().__init__(exchange)
        self._driver = driver
        self._items = exchange.items

    def __enter__(self) -> Self:
        self._driver.run(self._exchange.open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._driver.run(self._exchange.close())

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._items and not self._driver.run(self._exchange.more()):
            raise StopIteration
        return self._items.popleft()

    def collect(self) -> list[Any]:
        """All items that are still to come."""
        return list(self)

    def text(self) -> str:
        """The text of all items that are still to come; raises TypeError where they are none."""
        return joined(self.collect())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes text or bytes to a file, which is there when the stream is complete and not before.

        Raises:
            TypeError: an item is neither.
            RuntimeError: items were taken before, so that the file could not be whole.
        """
        self._exchange.check_whole()
        with Saving(path) as saving:
            while self._driver.run(self._exchange.more()):
                saving.write(self._exchange.take())


def events(stream: Stream, types: StreamTypes) -> Iterator[Any]:
    """What the endpoint itself yields: `Header`, the items, `Footer`. Opens the stream, and closes it."""
    with stream:
        if types.header is not None:
            yield Header(stream.header)
        yield from stream
        if types.footer is not None:
            yield Footer(stream.footer)


class Connections:
    """What the clients that `with_options` makes have in common."""

    def __init__(
        self, http: httpx2.Client, transport: httpx2.BaseTransport | None, verify: ssl.SSLContext | bool
    ) -> None:
        self._http = http
        self._transport = transport
        self._watchdog = Watchdog()
        inner = transport.inner if isinstance(transport, PortalTransport) else transport
        self._thread = transport.thread if isinstance(transport, PortalTransport) else LoopThread()
        self._sockets = ways(inner, verify)

    def driver(self) -> Driver:
        """A driver for one stream; raises RuntimeError when the client is closed."""
        self._check_open()
        return Driver(self._http, self._watchdog)

    def sockets(self) -> tuple[Sockets, LoopThread]:
        """What opens the WebSocket of a conversation, and where; raises RuntimeError when the client is closed."""
        self._check_open()
        return self._sockets, self._thread

    def enter(self) -> None:
        """Starts what has to be started."""
        if self._transport is not None:
            self._transport.__enter__()

    def close(self) -> None:
        """Closes all."""
        self._http.close()
        self._thread.close(self._sockets.aclose)

    def _check_open(self) -> None:
        if self._http.is_closed:
            raise RuntimeError("this client is closed; make a new one")


class Driver:
    """Carries out the operations of one stream, one after the other."""

    def __init__(self, http: httpx2.Client, watchdog: Watchdog) -> None:
        self._http = http
        self._watchdog = watchdog
        self._watch: Watch | None = None
        self._response: httpx2.Response | None = None
        self._body: Iterator[bytes] = iter(())

    def run(self, steps: Steps[T]) -> T:
        """Runs to the end of the steps. Whatever leaves them with an error leaves the response closed."""
        result: Any = None
        error: Exception | None = None
        try:
            while True:
                operation = steps.send(result) if error is None else steps.throw(error)
                result = error = None
                try:
                    result = self._perform(operation)
                except Exception as raised:
                    error = raised
        except StopIteration as stop:
            value: T = stop.value
            return value
        except SourceFailed as failed:
            self._close()
            raise failed.error from None
        except BaseException:
            steps.close()
            self._close()
            raise

    def _perform(self, operation: Operation) -> Any:
        match operation:
            case Receive(within):
                return self._receive(within)
            case Send():
                return self._send(operation)
            case Look(upload):
                return _look(upload)
            case Pause(seconds):
                time.sleep(seconds)
            case Close():
                self._close()
        return None

    def _send(self, send: Send) -> Head:
        upload = send.request.upload
        pieces = None if upload is None or upload.empty else _pieces(upload)
        try:
            self._response = self._http.send(outgoing(send, pieces), stream=True)
        except (httpx2.ReadTimeout, httpx2.WriteTimeout) as error:
            raise OutOfTime from error
        self._body = self._response.iter_raw()
        connection = self._response.extensions.get("network_stream")
        shut = None if connection is None else connection.get_extra_info("socket")
        self._watch = None if shut is None else self._watchdog.watch(lambda: _shut_down(shut))
        return incoming(self._response)

    def _receive(self, within: float | None) -> bytes:
        watch = self._watch
        if within is None or watch is None:
            return next(self._body, b"")
        watch.set(within)
        try:
            return next(self._body, b"")
        except httpx2.TransportError as error:
            if watch.fired:
                raise OutOfTime from error
            raise
        finally:
            watch.clear()

    def _close(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.end()
        response, self._response = self._response, None
        if response is not None:
            response.close()


def _shut_down(shut: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        shut.shutdown(socket.SHUT_RDWR)


def _look(upload: Upload) -> list[Any]:
    value = _next(upload)
    return [] if value is _END else [value]


def _pieces(upload: Upload) -> Iterator[bytes]:
    yield from upload.begin()
    while (value := _next(upload)) is not _END:
        try:
            piece = upload.encode(value)
        except TypeError as error:
            raise SourceFailed(error) from error
        yield piece


def _next(upload: Upload) -> Any:
    if not isinstance(upload.source, Iterator):
        raise TypeError(f"argument {upload.name!r} is an async iterator; use AsyncClient, or an iterator")
    try:
        return next(upload.source, _END)
    except Exception as error:
        raise SourceFailed(error) from error
