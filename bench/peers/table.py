"""Who is compared, and with what: the servers and the workloads."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.composition import RAY

CACHE = Path.home() / ".cache" / "headrace"


@dataclass(frozen=True)
class Workload:
    """What is asked of a server: streams at once, items of each, and how often."""

    name: str
    route: str
    streams: int
    items: int
    repeat: int = 1
    websocket: bool = False
    quick_items: int = 500

    @property
    def tokens(self) -> int:
        """All items."""
        return self.streams * self.items * self.repeat


WORKLOADS = (
    Workload("plain/64", "plain", 64, 500),
    Workload("yield0/64", "polite", 64, 500),
    Workload("sync/64", "threaded", 64, 500),
    Workload("paced/200", "paced", 200, 200, quick_items=60),
    Workload("engine/256", "engine", 256, 200, quick_items=60),
    Workload("engine/256 pushed", "pushed", 256, 200, quick_items=60),
    Workload("ws/64", "plain", 64, 500, websocket=True),
    Workload("one item", "plain", 1, 1, repeat=300),
)


@dataclass(frozen=True)
class Peer:
    """A server: what it needs, how it starts, and what it is asked with.

    Attributes:
        environment: its folder below `CACHE`; "": this one.
        packages: that are installed there.
        command: with `PORT` in it.
        routes: that it has.
        body: arguments go in a JSON body, and not in the query.
        path: of a route, with `ROUTE` in it.
        websocket: the path that answers handshakes; "": none.
    """

    name: str
    environment: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    routes: frozenset[str]
    body: bool = False
    path: str = "/ROUTE"
    accept: str = "*/*"
    websocket: str = ""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return CACHE / self.environment / "bin" / "python" if self.environment else Path(sys.executable)

    def serves(self, workload: Workload) -> bool:
        """Whether it has what the workload asks for."""
        return bool(self.websocket) if workload.websocket else workload.route in self.routes

    def request(self, workload: Workload) -> bytes:
        """The bytes of a request."""
        arguments = json.dumps({"name": workload.route, "count": workload.items}).encode()
        if workload.websocket:
            return _handshake(self.websocket) + _text_frame(b'{"count": %d}' % workload.items)
        path = self.path.replace("ROUTE", workload.route)
        head = f"host: 127.0.0.1\r\naccept: {self.accept}\r\n"
        if not self.body:
            return f"GET {path}?count={workload.items} HTTP/1.1\r\n{head}\r\n".encode()
        if "ROUTE" in self.path:
            arguments = b'{"count": %d}' % workload.items
        head += f"content-type: application/json\r\ncontent-length: {len(arguments)}\r\n"
        return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + arguments


def _handshake(path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def _text_frame(text: bytes) -> bytes:
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text  # masked with zeros (RFC 6455, section 5.3)


COMMON = frozenset({"plain", "polite", "paced", "engine", "silent"})
PYTHON = "PYTHON"
UVICORN = (PYTHON, "-m", "uvicorn", "--port", "PORT")
FASTAPI = ("peer-fastapi", ("fastapi", "uvicorn[standard]", "sse-starlette"))
PEERS = (
    Peer("limit", "", (), (PYTHON, "-m", "bench.peers.limit", "PORT"), COMMON | {"pushed"}),
    Peer(
        "headrace",
        "",
        (),
        (PYTHON, "-m", "headrace", "run", "bench/peers/headrace_app.py", "--port", "PORT", "--max-concurrency", "5000"),
        COMMON | {"threaded", "pushed"},
        body=True,
        accept="text/event-stream",
        websocket="/plain",
    ),
    Peer("FastAPI", *FASTAPI, (*UVICORN, "bench.peers.fastapi_app:app"), COMMON | {"threaded"}, websocket="/ws"),
    Peer("FastAPI SSE", *FASTAPI, (*UVICORN, "bench.peers.fastapi_sse_app:app"), COMMON | {"threaded"}),
    Peer("sse-starlette", *FASTAPI, (*UVICORN, "bench.peers.sse_starlette_app:app"), COMMON),
    Peer(
        "BentoML",
        "peer-bentoml",
        ("bentoml",),
        (PYTHON, "-m", "bentoml", "serve", "bench.peers.bentoml_app:Source", "--host", "127.0.0.1", "--port", "PORT"),
        COMMON | {"threaded"},
        body=True,
    ),
    Peer(
        "LitServe",
        "peer-litserve",
        ("litserve",),
        (PYTHON, "-m", "bench.peers.litserve_app", "PORT"),
        COMMON,
        body=True,
        path="/predict",
    ),
    Peer("Ray Serve", f"ray-{RAY}", (f"ray[serve]=={RAY}",), (PYTHON, "-m", "bench.peers.ray_app", "PORT"), COMMON),
)
