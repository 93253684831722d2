"""One WebSocket connection: uvicorn's protocol, within bounds.

uvicorn and `websockets` do the handshake and the frames. What is added here uses only what uvicorn's class offers to a
subclass - its handlers of frames, `conn`, `writable`, `transport`:

* many messages in one write, which is what a token costs;
* a message has a bound in fragments as in bytes, messages that nobody has taken yet stay the bytes that they came as,
  and pongs are not piled up for a peer that does not read;
* the end of a peer that no longer reads, by lack of progress; one whose pong cannot have come yet is not held dead;
* a server that stops lets running streams end; an application that fails or is cancelled closes with a code.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from headrace.server.progress import Progress
from headrace.server.transport import reset, unacknowledged
from headrace.wire.websocket import FAILED, INVALID, RESTARTS, TOO_BIG

WEBSOCKET = "headrace.websocket"
"""Where a connection's scope has its `WebSocketConnection`."""

FRAGMENTS = 4096
"""Frames of one message."""

PIECE = 8 * 1024
"""Bytes that are parsed at a time: an empty message is six of them, and as an object a hundred times as much."""

LEAVING_SECONDS = 1.0
"""How long a server that stops waits for the close frame that answers its own."""


class WebSocketConnection(WebSocketsSansIOProtocol):
    """uvicorn's protocol; `write_time` is how long the peer may read nothing, in seconds.

    Attributes:
        evicted: the peer did not read for that long, and its connection was reset.
        on_lost: called once when the connection is gone, also while nobody receives its messages.
    """

    write_time: ClassVar[float] = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.evicted = False
        self.on_lost: Callable[[], None] | None = None
        self._unparsed = b""
        self._pong = b""  # the last one that was not sent
        self._reader: Progress | None = None

    def try_write(self, frames: bytes) -> bool:
        """Writes whole frames where the peer can take more; False: nothing was written. Raises nothing."""
        if not self._is_open or not self.writable.is_set():
            return False
        self.transport.write(frames)
        return True

    async def write(self, frames: bytes) -> None:
        """Writes whole frames, and returns when the peer can take more.

        Raises:
            ClientDisconnected: the connection is closed or closing.
        """
        self._check_open()
        self.transport.write(frames)
        await self.writable.wait()

    def close(self, code: int, reason: str = "") -> None:
        """Sends a close frame behind what was written. The peer then has `close_timeout` seconds for its own.

        Raises:
            ClientDisconnected: the connection is closed or closing.
        """
        self._check_open()
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
            self._parse(b"")

    @property
    def _is_open(self) -> bool:
        return not (self.disconnected or self.close_sent or self.transport.is_closing())

    def _check_open(self) -> None:
        if not self._is_open:
            raise ClientDisconnected

    # -- what comes

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer, the handshake's first of all."""
        self._parse(data)
        if self._early and self._unparsed:
            self.transport.pause_reading()
        if not self.handshake_initiated:  # `websockets` has refused its head, and uvicorn would not pass that on
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def _parse(self, data: bytes) -> None:
        """Parses until there is a message, which stops the reading; the rest waits until that one is taken.

        Before the handshake is accepted nothing of what follows it is parsed, since no frame could be refused yet.
        """
        data, self._unparsed = self._unparsed + data, b""
        at = 0
        while at < len(data) and not (self._early or self.read_paused or self.transport.is_closing()):
            super().data_received(data[at : at + PIECE])
            at += PIECE
        self._unparsed = data[at:]

    @property
    def _early(self) -> bool:
        return self.handshake_initiated and not self.handshake_complete

    async def send(self, message: Any) -> None:
        """An event of the application."""
        await super().send(message)
        if self._unparsed and message["type"] == "websocket.accept":
            self.transport.resume_reading()
            self._parse(b"")

    async def receive(self) -> Any:
        """The next event of the application."""
        event = await super().receive()
        if self._unparsed:
            self._parse(b"")
        return event

    # -- frames

    def handle_cont(self, event: Frame) -> None:
        """A further fragment of a message."""
        if len(self.frames) >= FRAGMENTS:
            self._fail(TOO_BIG, f"a message of more than {FRAGMENTS} fragments")
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """A whole message. Text that is not UTF-8 closes the connection."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self._fail(INVALID, "a text message that is not UTF-8")
                return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answers a ping; of those that a peer sends while it reads nothing, only the last (section 5.5.3)."""
        pongs = self.conn.data_to_send()  # of all pings that were parsed together
        if self.writable.is_set():
            self.transport.write(b"".join(pongs))
        elif pongs:
            self._pong = pongs[-1]

    def _fail(self, code: int, reason: str) -> None:
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    # -- a peer that does not read, or that we do not read

    def pause_writing(self) -> None:
        """The peer has not read for a while: from now on it must show progress."""
        super().pause_writing()
        if self._reader is None:
            self._reader = Progress(self.transport, self.write_time)
        self._reader.start(self._evict)

    def resume_writing(self) -> None:
        """The peer has caught up."""
        super().resume_writing()
        if self._reader is not None:
            self._reader.stop()
        pong, self._pong = self._pong, b""
        if pong and not self.transport.is_closing():
            self.transport.write(pong)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._reader is not None:
            self._reader.stop()
        self._unparsed = b""
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()

    def keepalive_timeout(self) -> None:
        """No pong came. Where it cannot have come yet, ask again later.

        It may wait behind messages that are not taken here; or the ping itself still waits behind what the peer has not
        acknowledged, and then `Progress` and the timers of TCP decide whether the peer is there.
        """
        if self.read_paused or unacknowledged(self.transport):
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()

    def _evict(self) -> None:
        self.evicted = True
        reset(self.transport)

    # -- the application

    def shutdown(self) -> None:
        """The server stops: what runs may end by itself; at the end of the drain it is cancelled."""
        self.close_timeout = LEAVING_SECONDS
        if self.close_sent or not self.handshake_initiated:
            self.transport.close()

    async def run_asgi(self) -> None:
        """Runs the application."""
        application = self.app

        async def closing(scope: Any, receive: Any, send: Any) -> None:
            try:
                await application(scope, receive, send)
                self.handshake_complete |= self.initial_response is not None  # refused: uvicorn would miss an answer
            except BaseException as error:
                if self.handshake_complete:
                    with contextlib.suppress(ClientDisconnected):
                        self.close(RESTARTS if isinstance(error, asyncio.CancelledError) else FAILED)
                raise

        scope: Any = self.scope
        scope[WEBSOCKET] = self
        self.app = closing
        await super().run_asgi()


def bounded_websocket(write_time: float) -> type[WebSocketConnection]:
    """The protocol class for a server that waits that long for a reader, in seconds."""
    return type("BoundedWebSocketConnection", (WebSocketConnection,), {"write_time": write_time})
