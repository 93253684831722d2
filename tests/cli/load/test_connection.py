"""Connections: one answer after the other, and every way in which a response can end or not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from headrace.cli.load.answer import Answer
from headrace.cli.load.connection import Connection, Connections
from headrace.cli.load.request import Request, address_of, ask_endpoint
from headrace.errors import ConnectionFailed

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
ITEM = b"9\r\ndata: 1\n\n\r\n"
WHOLE = CHUNKED + ITEM + b"0\r\n\r\n"


class Server:
    """Answers every request with these bytes, and closes the connection after the last one where it is told."""

    def __init__(self, data: bytes, close: bool) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.left = asyncio.Event()
        self._data = data
        self._close = close

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head + await reader.readexactly(2))
                writer.write(self._data)
                await writer.drain()
                if self._close:
                    return
        self.left.set()


@asynccontextmanager
async def serving(data: bytes, close: bool = False) -> AsyncIterator[tuple[Server, Request]]:
    server = Server(data, close)
    async with asyncio.timeout(10), await asyncio.start_server(server.answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield server, ask_endpoint(address_of(f"http://127.0.0.1:{port}/write"), {}, "sse", None)


def clock() -> Callable[[], float]:
    """Every look at it takes a second."""
    times = iter(range(1000))
    return lambda: float(next(times))


async def asked(data: bytes, *, close: bool = False) -> Answer:
    async with serving(data, close) as (_, request):
        connections = Connections(request, clock())
        connection = await connections.take()
        answer = await connection.ask(request)
        connections.give_back(connection)
        connections.close()
        return answer


async def test_answers_follow_each_other_on_one_connection() -> None:
    async with serving(WHOLE) as (server, request):
        connections = Connections(request, clock())
        for _ in range(3):
            connection = await connections.take()
            answer = await connection.ask(request)
            assert (answer.items, answer.failed) == (1, None)
            assert answer.ended is not None
            connections.give_back(connection)
        assert (server.connections, server.requests) == (1, [request.data] * 3)
        connections.close()
        await server.left.wait()


@pytest.mark.parametrize(
    ("data", "close", "items"),
    [
        pytest.param(HEAD + b"content-length: 9\r\n\r\ndata: 1\n\n", False, 1, id="a length"),
        pytest.param(HEAD + b"\r\ndata: 1\n\ndata: 2\n\n", True, 2, id="until it closes"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + WHOLE, False, 1, id="an interim response before"),
        pytest.param(HEAD + b"connection: close\r\ncontent-length: 0\r\n\r\n", True, 0, id="nothing"),
    ],
)
async def test_a_whole_response_is_no_failure(data: bytes, close: bool, items: int) -> None:
    answer = await asked(data, close=close)
    assert (answer.items, answer.failed) == (items, None)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(b"", "not answered", id="nothing"),
        pytest.param(HEAD, "not answered", id="half a head"),
        pytest.param(CHUNKED + ITEM, "truncated", id="chunks without the last"),
        pytest.param(HEAD + b"content-length: 99\r\n\r\ndata: 1\n\n", "truncated", id="less than the length"),
        pytest.param(b"SSH-2.0-OpenSSH_9\r\n", "malformed", id="not HTTP"),
        pytest.param(CHUNKED + ITEM + b"zz\r\n", "malformed", id="a broken chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "malformed", id="a head without end"),
        pytest.param(b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy", "status 503", id="a status"),
        pytest.param(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "malformed", id="upgrade"),
        pytest.param(
            CHUNKED + b"17\r\nevent: error\ndata: no\n\n\r\n", "error server_error", id="an error in the stream"
        ),
        pytest.param(HEAD.replace(b"event-stream", b"html") + b"\r\nhello", "malformed", id="no stream"),
    ],
)
async def test_a_failure_is_known_by_its_kind(data: bytes, kind: str) -> None:
    answer = await asked(data, close=True)
    assert answer.failed is not None
    assert answer.failed.kind == kind


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(CHUNKED + b"17\r\nevent: error\ndata: no\n\n\r\n", id="an error in the stream"),
        pytest.param(b"SSH-2.0-OpenSSH_9\r\n", id="not HTTP"),
    ],
)
async def test_a_response_that_has_failed_is_not_waited_for(data: bytes) -> None:
    async with serving(data) as (server, request):
        connection = await Connections(request, clock()).take()
        assert (await connection.ask(request)).failed is not None
        assert not connection.usable
        await server.left.wait()


async def test_a_refusal_leaves_the_connection_usable() -> None:
    async with serving(b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy") as (server, request):
        connections = Connections(request, clock())
        for _ in range(2):
            connection = await connections.take()
            await connection.ask(request)
            connections.give_back(connection)
        assert server.connections == 1
        connections.close()
        await server.left.wait()


async def test_a_connection_that_the_server_will_close_is_not_used_again() -> None:
    async with serving(WHOLE.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n")) as (server, request):
        connections = Connections(request, clock())
        for _ in range(2):
            connection = await connections.take()
            await connection.ask(request)
            connections.give_back(connection)
        assert server.connections == 2
        connections.close()


class Wires(asyncio.Transport):
    """Between a connection and nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True


REQUEST = ask_endpoint(address_of("http://localhost:8000/write"), {}, "sse", None)


async def fed(*pieces: bytes) -> tuple[Connection, Wires, Answer]:
    """A connection without a network, and what came of the answer that these pieces are."""
    connection, wires = Connection(clock()), Wires()
    connection.connection_made(wires)
    asking = asyncio.create_task(connection.ask(REQUEST))
    while not wires.sent:
        await asyncio.sleep(0)
    for piece in pieces:
        connection.data_received(piece)
    async with asyncio.timeout(10):
        return connection, wires, await asking


INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"


@pytest.mark.parametrize("size", [1, 5, len(INTERIM), 1000])
async def test_a_response_can_be_cut_anywhere(size: int) -> None:
    data = INTERIM + WHOLE
    connection, wires, answer = await fed(*(data[n : n + size] for n in range(0, len(data), size)))
    assert (answer.items, answer.failed, connection.usable, wires.aborted) == (1, None, True, False)
    assert wires.sent == [REQUEST.data]


async def test_a_read_is_timed_once_when_it_comes() -> None:
    _, _, answer = await fed(CHUNKED, ITEM + ITEM, ITEM, b"0\r\n\r\n")
    assert (answer.started, answer.first, answer.ended) == (0.0, 2.0, 4.0)
    assert (answer.items, answer.gaps.count, answer.gaps.mean) == (3, 2, 0.5)


async def test_a_second_response_is_a_failure() -> None:
    connection, wires, answer = await fed(WHOLE + WHOLE)
    assert answer.failed is not None
    assert "more than one response came" in answer.failed.message
    assert (connection.usable, wires.aborted) == (False, True)


async def test_a_response_that_nobody_asked_for_closes_the_connection() -> None:
    connection, wires, answer = await fed(WHOLE)
    connection.data_received(WHOLE)
    assert (answer.failed, connection.usable, wires.aborted) == (None, False, True)


async def test_a_connection_that_was_closed_while_idle_is_passed_over() -> None:
    async with serving(WHOLE, close=True) as (server, request):
        connections = Connections(request, clock())
        connection = await connections.take()
        await connection.ask(request)
        while connection.usable:
            await asyncio.sleep(0)
        connections._idle.append(connection)
        assert await connections.take() is not connection
        assert server.connections <= 2


async def test_who_stops_waiting_closes_the_connection() -> None:
    async with serving(CHUNKED + ITEM) as (server, request):
        connection = await Connections(request, clock()).take()
        asking = asyncio.create_task(connection.ask(request))
        while not server.requests:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        connection.abort()
        await server.left.wait()


async def test_an_address_without_a_server_is_told() -> None:
    request = ask_endpoint(address_of("http://127.0.0.1:1/write"), {}, None, None)
    with pytest.raises(ConnectionFailed, match=r"cannot connect to 127.0.0.1:1: .*is the address right"):
        await Connections(request, clock()).take()


async def test_a_server_without_tls_is_told() -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with asyncio.timeout(10), await asyncio.start_server(speak, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        request = ask_endpoint(address_of(f"https://127.0.0.1:{port}/write"), {}, None, None)
        with pytest.raises(ConnectionFailed, match=rf"no secure connection to 127.0.0.1:{port}: .*; is it https\?"):
            await Connections(request, clock()).take()
