"""The application mounted in a Starlette application, with the parent's own middleware, on a uvicorn of the parent's.

The parent passes no lifespan on. One of its middleware is a BaseHTTPMiddleware, which reads and writes the exchange in
tasks of its own: the strictest company there is.
"""

import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served

HERE = Path(__file__).parent
PARENT = """
import sys
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

sys.path.insert(0, sys.argv[1])
from trials import Trials
from headrace.server.app import Application


class Stamp(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-stamp"] = "parent"
        return response


class Pure:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


async def home(request):
    return PlainTextResponse("home")


middleware = [Middleware(Pure), Middleware(Stamp)] if sys.argv[2] == "wrapped" else [Middleware(Pure)]
app = Starlette(routes=[Route("/", home), Mount("/poet", app=Application(Trials))], middleware=middleware)
config = uvicorn.Config(app, port=0, log_level="warning")
server = uvicorn.Server(config)
startup = server.startup


async def announce(sockets=None):
    await startup(sockets)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)


server.startup = announce
server.run()
"""


class Mounted(Served):
    """The parent in a process of its own; paths are those of the mounted application."""

    def __init__(self, kind: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(HERE), kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        return super().request(method, f"/poet{path}", body, headers)

    def send(self, path: str, arguments: object, accept: str = "*/*") -> socket.socket:
        return super().send(f"/poet{path}", arguments, accept)

    def end(self) -> str:
        """Stops it; what it has logged."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=15)[1]


@pytest.fixture(scope="module", params=["bare", "wrapped"])
def poet(request: pytest.FixtureRequest) -> Iterator[Mounted]:
    mounted = Mounted(request.param)
    try:
        yield mounted
        mounted.assert_every_stream_ended()
    finally:
        log = mounted.end()
    assert "No response returned" not in log
    assert "never retrieved" not in log
    assert "without" not in log  # "ASGI callable returned without starting response"


def leave(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_the_parent_s_own_routes_are_its_own(poet: Mounted) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", poet.port, timeout=20)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"home"
    connection.close()


@pytest.mark.parametrize(
    ("path", "accept", "kind", "body"),
    [
        ("/count", "*/*", "text/plain; charset=utf-8", b"0\n1\n"),
        ("/sound", "*/*", "audio/wav", b"RIFF" + bytes(range(256))),
        ("/count", "text/event-stream", "text/event-stream; charset=utf-8", b'id: 1\ndata: "0\\n"\n\nid: 2\n'),
        ("/count", "application/x-ndjson", "application/x-ndjson", b'{"item":"0\\n"}\n{"item":"1\\n"}\n{"end":'),
        ("/count", "application/json", "application/json", b'"0\\n1\\n"'),
    ],
)
def test_every_encoding_answers(poet: Mounted, path: str, accept: str, kind: str, body: bytes) -> None:
    arguments = {"to": 2} if path == "/count" else {}
    status, headers, received = poet.post(path, arguments, accept=accept)
    assert (status, headers["content-type"]) == (200, kind)
    assert received.startswith(body)


def test_items_arrive_one_by_one(poet: Mounted) -> None:
    connection = poet.send("/count", {"to": 3, "pause": 0.2})
    started = time.monotonic()
    received = b""
    while b"0\n" not in received:
        received += connection.recv(65536)
    assert time.monotonic() - started < 0.3
    leave(connection)


def test_a_failure_before_the_first_item_is_a_status(poet: Mounted) -> None:
    status, headers, body = poet.post("/fails", {"after": 0, "how": "busy"})
    assert (status, headers["content-type"]) == (429, "application/problem+json")
    assert json.loads(body)["code"] == "model_busy"


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
def test_a_failure_after_items_is_told_in_band(poet: Mounted, accept: str) -> None:
    status, _, body = poet.post("/fails", {"after": 1}, accept=accept)
    assert status == 200
    assert b'{"code":"internal"' in body
    assert b"4711" not in body


@pytest.mark.parametrize("after", [1, 3])
def test_text_that_fails_is_cut_after_all_of_it(poet: Mounted, after: int) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        poet.post("/fails", {"after": after})
    assert cut.value.partial.decode() == "".join(f"{n} " for n in range(after))


def test_a_client_that_leaves_a_silent_generator_stops_it(poet: Mounted) -> None:
    connection = poet.send("/silent", {})
    poet.until(lambda: poet.state()["running"] == 1, within=2.0)
    leave(connection)
    poet.until(lambda: poet.state()["running"] == 0, within=1.0)


def test_a_client_that_leaves_a_busy_generator_stops_it(poet: Mounted) -> None:
    connection = poet.send("/never_awaits", {"to": 1_000_000_000})
    assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    leave(connection)
    poet.until(lambda: poet.state()["running"] == 0, within=1.0)


def test_a_body_that_streams_arrives_whole(poet: Mounted) -> None:
    chunks = [b"x" * 100_000 for _ in range(20)]
    headers = {"content-type": "application/octet-stream", "content-length": "2000000"}
    connection = http.client.HTTPConnection("127.0.0.1", poet.port, timeout=20)
    connection.request("POST", "/poet/echo", iter(chunks), headers)
    assert len(connection.getresponse().read()) == 2_000_000
    connection.close()


def test_refusals_name_the_paths_that_a_client_types(poet: Mounted) -> None:
    status, _, body = poet.request("GET", "/tokens")
    works = f"curl -N http://127.0.0.1:{poet.port}/poet/tokens --json '{{\"to\": 1}}' -H 'accept: */*'"
    assert (status, json.loads(body)["detail"]) == (405, f"HR14 /poet/tokens takes POST, not GET: {works}")
    assert json.loads(poet.request("GET", "/openapi.json")[2])["servers"] == [{"url": "/poet"}]


def test_a_stream_is_stopped_by_its_id(poet: Mounted) -> None:
    connection = poet.send("/count", {"to": 1_000_000, "pause": 0.01}, accept="application/x-ndjson")
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(2000)
    stream_id = head.partition(b"headrace-stream-id: ")[2].partition(b"\r\n")[0].decode()
    assert poet.request("DELETE", f"/streams/{stream_id}")[0] == 204
    rest = b""
    while not rest.endswith(b"0\r\n\r\n"):
        rest += connection.recv(65536)
    assert b'{"error":{"code":"cancelled"' in rest
    connection.close()
