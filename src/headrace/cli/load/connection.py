"""Connections that cost next to nothing, so that the load is limited by the server and not by who makes it.

HTTP/1.1 as a protocol of the event loop, the parser of uvicorn under it, one answer after the other. A general client
takes ten times as long for a read. It knows no proxies, redirects and cookies, for which a measurement has no use.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

import httptools

from headrace.cli.load.answer import Answer
from headrace.cli.load.request import Request
from headrace.client.steps import Head
from headrace.errors import ConnectionFailed, WireError

CONNECT_SECONDS = 5.0
MAX_HEAD = 64 * 1024
"""Bytes of a response's head."""


class Connection(asyncio.Protocol):
    """One connection; it takes one request after the other.

    Args:
        clock: seconds; monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.usable = False
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._response = _Response()
        self._over: asyncio.Future[None] | None = None

    async def ask(self, request: Request) -> Answer:
        """Sends a request. Returns its answer when that has ended, however it did."""
        assert self._transport is not None
        self._response = _Response()
        self._over = asyncio.get_running_loop().create_future()
        self._answer = answer = Answer(request, self._clock())
        self._transport.write(request.data)
        try:
            await self._over
        finally:
            self._answer = None
        return answer

    def abort(self) -> None:
        """Closes the connection at once."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    # -- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport, self.usable = cast(asyncio.Transport, transport), True  # uvloop's is one, and no subclass

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        answer, response = self._answer, self._response
        if answer is None or answer.ended is not None:
            self.abort()  # nobody has asked for more
            return
        now = self._clock()
        try:
            pieces = response.feed(data)
        except WireError as error:
            answer.fail(error)
        else:
            if response.head is not None and answer.head is None:
                answer.begin(response.head)
            if pieces:
                answer.body(b"".join(pieces), now)
        if answer.failed is not None:
            self.abort()
            self._end(answer, False, now)
        elif response.complete:
            self.usable = self.usable and response.lasting
            self._end(answer, True, now)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self.usable = False
        if self._answer is not None and self._answer.ended is None:
            head = self._response.head
            self._end(self._answer, head is not None and not head.framed and exc is None, self._clock())

    def _end(self, answer: Answer, complete: bool, now: float) -> None:
        answer.end(complete, now)
        if self._over is not None and not self._over.done():
            self._over.set_result(None)


class _Response:
    """A response as it comes; the parser calls it.

    Attributes:
        head: None before it is there. Interim responses have none.
        complete: all of it is there.
        lasting: the connection can be used again after it.
    """

    def __init__(self) -> None:
        self.head: Head | None = None
        self.complete = False
        self.lasting = False
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._size = 0  # of the head, so far
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces of the body in these bytes.

        Raises:
            WireError: they are not HTTP.
        """
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise WireError(f"what came is not HTTP as it should be: {error.__context__ or error}") from error
        if self.head is None:
            self._size += len(data)
            if self._size > MAX_HEAD:
                raise WireError(f"a head of more than {MAX_HEAD} bytes")
        pieces, self._pieces = self._pieces, []
        return pieces

    def on_message_begin(self) -> None:
        """A response begins; raises when it is a second one."""
        if self.complete:
            raise WireError("more than one response came")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """All fields are there."""
        status, headers, self._headers = self._parser.get_status_code(), self._headers, {}
        if status >= 200:
            framed = "content-length" in headers or "chunked" in headers.get("transfer-encoding", "").lower()
            self.head = Head(status, headers, framed)
            self.lasting = bool(self._parser.should_keep_alive())  # at the end of it, the parser has forgotten

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        """The response has ended, unless it was an interim one."""
        self.complete = self.head is not None


class Connections:
    """The connections to one server that nobody uses now, and new ones. Whoever made it closes it."""

    def __init__(self, request: Request, clock: Callable[[], float]) -> None:
        self._request = request
        self._clock = clock
        self._idle: list[Connection] = []
        self._tls = ssl.create_default_context() if request.tls else None

    async def take(self) -> Connection:
        """An open connection.

        Raises:
            ConnectionFailed: there is none to be had.
        """
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        loop, request = asyncio.get_running_loop(), self._request
        where = f"{request.host}:{request.port}"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._clock), request.host, request.port, ssl=self._tls
                )
        except TimeoutError as error:
            raise ConnectionFailed(f"no connection to {where} within {CONNECT_SECONDS:g} s") from error
        except ssl.SSLError as error:
            raise ConnectionFailed(f"no secure connection to {where}: {error}; is it https?") from error
        except OSError as error:
            reason = error.strerror or error
            raise ConnectionFailed(
                f"cannot connect to {where}: {reason}; is the address right, and the server running?"
            ) from error
        return connection

    def give_back(self, connection: Connection) -> None:
        """It is used no more, for now."""
        if connection.usable:
            self._idle.append(connection)
        else:
            connection.abort()

    def close(self) -> None:
        """Closes those that nobody uses."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
