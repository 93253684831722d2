"""One client connection: uvicorn's HTTP protocol, within bounds.

uvicorn parses and answers. What is added here uses only what its classes offer to a subclass - the callbacks of asyncio
and of the parser, `pipeline`, `flow`, `cycle`, `send_400_response`, `_start_asgi_task` - and a test fails when a new
uvicorn no longer offers it:

* a time for the request's head, and a size for it and for what chunked coding adds to a body;
* exactly one Host (RFC 9112, section 3.2); trailers are dropped and never become headers (section 7.1.2);
* few pipelined requests, and a running stream that notices its client's leaving although others wait behind it;
* no chunked coding for HTTP/1.0, and a reset where only the end of the connection could tell a failure from an end;
* the end of a peer that no longer reads, by lack of progress;
* for who holds the `send` and the `receive` of its request themselves, ways around them that need no task and no wait.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from headrace.errors import AmbiguousRequest, HeadTooLarge, RequestError, RequestTimeout
from headrace.server.progress import Progress
from headrace.server.response import problem_body
from headrace.server.stand_ins import Addressed, Bundle, CloseDelimited
from headrace.server.transport import reset, unacknowledged
from headrace.wire.problem import MEDIA_TYPE

CONNECTION = "headrace.connection"
"""Where a request's scope has its `Connection`: a weak reference, since the connection has the scope."""

CUT_SECONDS = 1.0
"""How long a cut waits for the peer to take what was sent before it."""

FRESH_SECONDS = 0.5
"""How long a server that stops waits for the first request of a connection that it has accepted."""

LINGER_SECONDS = 1.0
LINGER_SIZE = 1024 * 1024
"""How long, and how much of, a body is still received after it was refused: closing at once would reset the answer."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection may take; times in seconds, sizes in bytes."""

    head_time: float = 10.0
    write_time: float = 30.0
    head_size: int = 64 * 1024
    overhead_size: int = 16 * 1024
    pipelined: int = 8


class Connection(HttpToolsProtocol):
    """uvicorn's protocol within `bounds`.

    Attributes:
        evicted: the peer did not read for `bounds.write_time`, and its connection was reset.
    """

    bounds: ClassVar[Bounds] = Bounds()

    # Beside uvicorn's in its dictionary they would be over the 30 attributes that instances of a class can share the
    # names of (CPython, PEP 412): every connection would have a whole table of its own, of 1.5 kB.
    __slots__ = (
        "_body_size",
        "_field_size",
        "_head_begun",
        "_head_size",
        "_head_timer",
        "_in_head",
        "_leaving",
        "_lingered",
        "_messages",
        "_on_gone",
        "_overhead",
        "_reader",
        "_refusal",
        "_running",
        "evicted",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.evicted = False
        self._running: RequestResponseCycle | None = None
        self._on_gone: Callable[[], None] | None = None  # of the running one
        self._leaving = False  # the server stops, and the first request is still awaited
        self._refusal: RequestError | None = None
        self._messages = 0
        self._in_head = True
        self._head_begun = False
        self._head_size = 0  # as received
        self._field_size = 0  # as parsed: several heads may come in one piece
        self._body_size = 0
        self._overhead = 0
        self._lingered: int | None = None  # bytes dropped since a response ended before its request did
        self._head_timer: asyncio.TimerHandle | None = None

    # -- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock of the first request's head."""
        super().connection_made(Addressed(transport))
        self.transport, self.flow = transport, FlowControl(transport)
        self._reader = Progress(transport, self.bounds.write_time)
        self._await_head()

    def shutdown(self) -> None:
        """The server stops. A connection that was opened just now may still send its one request: it is on its way."""
        if self._messages or self._leaving:
            super().shutdown()
            return
        self._leaving = True
        self.loop.call_later(FRESH_SECONDS, self.shutdown)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells every request of the connection, not only the newest."""
        self._stop_head_timer()
        self._reader.stop()
        super().connection_lost(exc)
        for cycle in (self._running, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                self._disconnect(cycle)

    def _disconnect(self, cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True
        cycle.message_event.set()
        if cycle is self._running and self._on_gone is not None:
            on_gone, self._on_gone = self._on_gone, None
            on_gone()

    def data_received(self, data: bytes) -> None:
        """Counts what is neither body nor a head that is through, and refuses more of it than the bounds allow."""
        if self._lingered is not None:
            self._lingered += len(data)
            if self._lingered > LINGER_SIZE:
                self.transport.close()
            return
        was_in_head, messages, body_before = self._in_head, self._messages, self._body_size
        if was_in_head:
            self._head_size += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            if self._head_size > self.bounds.head_size:
                self._refuse(HeadTooLarge(f"the head is larger than {self.bounds.head_size} bytes"))
        elif not was_in_head and messages == self._messages:
            self._overhead += len(data) - (self._body_size - body_before)
            if self._overhead > self.bounds.overhead_size + self._body_size // 4:
                self._refuse(AmbiguousRequest("the chunks of the body are too small, or what is around them too large"))

    def on_response_complete(self) -> None:
        """A response ends; what is still to come of a request that it did not wait for is dropped, for a while."""
        cycle, self._on_gone = self._running, None
        super().on_response_complete()
        if cycle is not None and cycle.more_body and not self.transport.is_closing():
            self._lingered = 0
            self.loop.call_later(LINGER_SECONDS, self.transport.close)

    # -- the parser's callbacks

    def on_message_begin(self) -> None:
        """A request begins: its head is counted and timed."""
        super().on_message_begin()
        self._messages += 1
        self._in_head = self._head_begun = True
        self._field_size = self._body_size = self._overhead = 0
        if self._head_timer is None:
            self._await_head()

    def on_url(self, url: bytes) -> None:
        """Part of the request line."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; after the body has begun it is a trailer, and dropped."""
        if self._in_head:
            self._count_head(len(name) + len(value) + 4)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is through: exactly one Host, and not too many requests that wait for their turn."""
        self._in_head = self._head_begun = False
        self._head_size = 0
        self._stop_head_timer()
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise self._doubtful(AmbiguousRequest("this server speaks HTTP/1.1 and HTTP/1.0"))
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise self._doubtful(AmbiguousRequest(f"a request has exactly one Host, this one has {hosts}"))
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope[CONNECTION] = weakref.ref(self)
        super().on_headers_complete()
        if self.parser.should_upgrade() and self._should_upgrade():
            return  # `handle_websocket_upgrade` follows, and nothing of a request and its response
        if self._leaving:
            self.cycle.keep_alive = False
        if version == "1.0":
            CloseDelimited(self.cycle)
        if self.pipeline:
            # uvicorn stops reading now, and then nobody notices a client that leaves. Read on, within bounds.
            self.flow.resume_reading()
            if len(self.pipeline) > self.bounds.pipelined:
                raise self._doubtful(AmbiguousRequest("too many requests at once on one connection"))

    def on_body(self, body: bytes) -> None:
        """A part of the body. One that waits behind a running request is bounded, since reading goes on."""
        self._body_size += len(body)
        super().on_body(body)
        if self.pipeline and len(self.cycle.body) > HIGH_WATER_LIMIT:
            raise self._doubtful(AmbiguousRequest("a pipelined request has too large a body"))

    def handle_websocket_upgrade(self) -> None:
        """A WebSocket takes over, where nothing is under way that would then have lost its connection."""
        running = self._running
        if (running is not None and not running.response_complete) or self.transport.get_write_buffer_size():
            self._refuse(AmbiguousRequest("a WebSocket begins on a connection where no other answer is under way"))
            return
        self._reader.stop()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what the parser refuses, and to what a callback above has raised."""
        self._refuse(self._refusal or AmbiguousRequest("the request is not valid HTTP"))

    def _doubtful(self, refusal: RequestError) -> RequestError:
        """Keeps the reason: the parser wraps what its callbacks raise, and uvicorn then calls `send_400_response`."""
        self._refusal = refusal
        return refusal

    def _count_head(self, size: int) -> None:
        self._field_size += size
        if self._field_size > self.bounds.head_size:
            raise self._doubtful(HeadTooLarge(f"the head is larger than {self.bounds.head_size} bytes"))

    def _refuse(self, error: RequestError) -> None:
        """Answers with a problem, unless a response is under way, and closes: what follows cannot be trusted."""
        if self.transport.is_closing():
            return
        running = self._running
        if running is None or running.response_complete or not running.response_started:
            body = problem_body(error)
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[error.status] + head.encode() + body)
        if running is not None and not running.response_complete:
            self._disconnect(running)
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def part_writer(self, send: Any) -> Callable[[bytes], bool] | None:
        """What writes parts of the running response's body in place, as `send` does that the server gave to the
        application; None where `send` is another: a middleware's, or one that does not send chunks.

        It writes a part that is not empty, after the head, or says False: then `send` has to be asked. Raises nothing.
        """
        owner: object = getattr(send, "__self__", None)
        if self._running is None or owner is not self._running:
            return None
        return partial(self._write_part, self._running)

    def _write_part(self, cycle: RequestResponseCycle, body: bytes) -> bool:
        if (
            not cycle.chunked_encoding
            or cycle.disconnected
            or cycle.response_complete
            or self.flow.write_paused
            or self.transport.is_closing()
        ):
            return False
        if body:
            self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def bundler(self, send: Any) -> Callable[[], AbstractContextManager[None]]:
        """What makes one write of all that `send`, the server's own, writes inside a block (`Bundle`); else nothing."""
        cycle = self._running_of(send)
        return nullcontext if cycle is None else partial(Bundle, cycle)

    def take_body(self, receive: Any) -> bytes | None:
        """The whole body of the running request, where all of it has arrived; then `receive` has only the client's
        leaving to tell. None where it has to be asked: it is not the server's own, or something is still to come.
        """
        cycle = self._running_of(receive)
        if cycle is None or cycle.more_body or cycle.waiting_for_100_continue:
            return None
        self.flow.resume_reading()  # from here on as uvicorn's own `receive`
        cycle.message_event.clear()
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    def call_when_gone(self, receive: Any, on_gone: Callable[[], None]) -> bool:
        """Calls `on_gone` once if the client leaves before its answer is complete. False where `receive` has to be
        asked for that: it is not the server's own, or the client has left already.
        """
        if self._running_of(receive) is None:
            return False
        self._on_gone = on_gone
        return True

    def _running_of(self, given: Any) -> RequestResponseCycle | None:
        """The running request, if its client is there and a `send` or `receive` is the one that the server gave to the
        application: a middleware's may have to see everything.
        """
        owner: object = getattr(given, "__self__", None)
        if self._running is None or owner is not self._running or self._running.disconnected:
            return None
        return self._running

    async def cut(self) -> None:
        """Makes sure that a response which breaks off here cannot look complete.

        A chunked one lacks its last chunk. One that the end of the connection delimits is ended by a reset instead,
        after the peer has acknowledged what was sent, since a reset drops the rest.
        """
        if self._running is None or self._running.chunked_encoding:
            return
        until = self.loop.time() + CUT_SECONDS
        while unacknowledged(self.transport) and not self.transport.is_closing() and self.loop.time() < until:
            await asyncio.sleep(0.005)
        reset(self.transport)

    # -- the time of a head

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.bounds.head_time, self._head_expired)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_expired(self) -> None:
        if self._running is not None and not self._running.response_complete:
            self._await_head()  # it waits behind a response that is still being made
        elif self._head_begun:
            self._refuse(RequestTimeout(f"the head of the request did not arrive within {self.bounds.head_time:g} s"))
        else:
            self.transport.close()

    # -- a peer that does not read

    def pause_writing(self) -> None:
        """The peer has not read for a while: from now on it must show progress."""
        super().pause_writing()
        self._reader.start(self._evict)

    def resume_writing(self) -> None:
        """The peer has caught up."""
        super().resume_writing()
        self._reader.stop()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for the keep-alive time. What the peer has not read yet must move, or it is reset as well."""
        super().timeout_keep_alive_handler()
        if not self._reader.watching and self.transport.get_write_buffer_size():
            self._reader.start(self._evict)

    def _evict(self) -> None:
        self.evicted = True
        reset(self.transport)


def bounded(bounds: Bounds) -> type[Connection]:
    """The protocol class for a server with these bounds."""
    return type("BoundedConnection", (Connection,), {"bounds": bounds})
