"""A server and its connections without sockets: the protocols of `headrace run`, and peers that keep nothing."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import uvicorn
from asgi import assert_nothing_left, total
from uvicorn.server import ServerState

from headrace.config import Settings
from headrace.server.app import Application
from headrace.server.connection import Bounds, bounded
from headrace.server.websocket_connection import bounded_websocket


class Peer(asyncio.Transport):
    """The other end of a connection: reads everything at once, keeps nothing, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.bytes = 0
        self.head = b""
        self.written = asyncio.Event()
        self.closed = asyncio.Event()
        self.protocol: Any = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.writes += 1
        self.bytes += len(data)
        self.head = self.head or bytes(data)
        self.written.set()

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            asyncio.get_running_loop().call_soon(lambda: self.protocol.connection_lost(None))

    abort = close


class Server:
    """One application behind uvicorn's protocol, as `headrace run` has it, and no sockets."""

    def __init__(self, target: Any, **settings: Any) -> None:
        loop = asyncio.get_running_loop()
        self.application = Application(target, Settings(**settings), loop.time)
        http, websocket = bounded(Bounds()), bounded_websocket(30.0)
        self._config: Any = uvicorn.Config(
            self.application, http=http, ws=websocket, log_config=None, lifespan="off", access_log=False
        )
        self._config.load()
        self._state = ServerState()

    async def __aenter__(self) -> "Server":
        await self.application.runtime.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Nothing is left of any stream."""
        if kind is None:
            await assert_nothing_left(self.application)
        await self.application.runtime.__aexit__(None, None, None)

    def connect(self, data: bytes) -> Peer:
        """A connection on which these bytes have come."""
        peer = Peer()
        connection: Any = self._config.http_protocol_class(self._config, self._state, {})
        peer.protocol = connection
        connection.connection_made(peer)
        connection.data_received(data)
        return peer

    def ask(self, path: str, accept: str = "text/plain", **arguments: Any) -> Peer:
        """A request whose connection ends with it; `ws` and `ws headrace.v1` ask for a WebSocket."""
        if accept.startswith("ws"):
            query = "&".join(f"{name}={value}" for name, value in arguments.items())
            named = "sec-websocket-protocol: headrace.v1\r\n" if accept == "ws headrace.v1" else ""
            head = f"GET {path}?{query} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
            return self.connect(f"{head}{key}{named}\r\n".encode())
        body = json.dumps(arguments).encode()
        return self.connect(self._head(path, accept, "application/json", len(body)) + body)

    async def post(self, path: str, accept: str, content_type: str, pieces: Sequence[bytes]) -> Peer:
        """A request whose body comes in these pieces, one after the other."""
        peer = self.connect(self._head(path, accept, content_type, sum(map(len, pieces))))
        for piece in pieces:
            await asyncio.sleep(0)
            peer.protocol.data_received(piece)
        return peer

    @staticmethod
    def _head(path: str, accept: str, content_type: str, size: int) -> bytes:
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: {accept}\r\n"
        return f"{head}content-type: {content_type}\r\ncontent-length: {size}\r\n\r\n".encode()

    async def read(self, *peers: Peer) -> None:
        """Waits for the ends of all of them; every stream that has ended is complete."""
        for peer in peers:
            await peer.closed.wait()
            assert peer.head[9:12] in (b"200", b"101"), peer.head
        assert total(self.application, "headrace_streams_total", end="ok") == self.ended

    @property
    def items(self) -> float:
        """Made so far, in all streams."""
        return total(self.application, "headrace_items_total")

    @property
    def ended(self) -> float:
        """Streams."""
        return total(self.application, "headrace_streams_total")
