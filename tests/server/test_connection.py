"""The bounds of a connection, on uvicorn's protocol with a transport in memory."""

import asyncio
import gc
import itertools
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from headrace.server.connection import CONNECTION, Bounds, Connection, bounded

BOUNDS = Bounds(head_time=0.02, write_time=0.02, head_size=1000, overhead_size=100, pipelined=2)


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.closed = asyncio.Event()
        self.unread: Iterator[int] = iter(())  # what the peer has not read, at each look
        self.looks = 0
        self.told: list[str] = []

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        self.told.append(name)
        return default

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        self.looks += 1
        return next(self.unread, 0)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        self.closed.set()

    def abort(self) -> None:
        self.closed.set()

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol


class App:
    """An ASGI application whose requests wait until they are let go."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.gone: list[str] = []
        self.go = asyncio.Event()
        self.called = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.send = send
        self.scopes.append(scope)
        self.called.set()
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hi", "more_body": True})
        left = asyncio.ensure_future(receive())
        waiting = asyncio.ensure_future(self.go.wait())
        await asyncio.wait({left, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if left.done():
            self.gone.append(scope["path"])
        left.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Client:
    """One connection to the application."""

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(app, http=bounded(BOUNDS), ws="none", log_config=None, lifespan="off")
        self.transport = Transport()
        self.connection = bounded(BOUNDS)(config, ServerState(), {}, asyncio.get_running_loop())
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.connection.data_received(data)

    def leave(self) -> None:
        self.connection.connection_lost(ConnectionResetError())

    @property
    def status(self) -> bytes:
        return self.transport.written[9:12]


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def client(app: App) -> AsyncIterator[Client]:
    client = Client(app)
    yield client
    app.go.set()
    client.leave()


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def request(path: bytes = b"/", *headers: bytes, version: bytes = b"1.1", host: bytes = b"host: x\r\n") -> bytes:
    return b"GET %b HTTP/%b\r\n%b%b\r\n" % (path, version, host, b"".join(headers))


def test_uvicorn_still_offers_what_we_use() -> None:
    assert issubclass(Connection, HttpToolsProtocol)
    for name in ("on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body", "send_400_response"):
        assert callable(getattr(HttpToolsProtocol, name))
    for name in ("_start_asgi_task", "on_response_complete", "timeout_keep_alive_handler", "data_received"):
        assert callable(getattr(HttpToolsProtocol, name))
    assert callable(RequestResponseCycle.send)


async def test_a_cycle_still_has_what_we_set(app: App, client: Client) -> None:
    client.send(request())
    for name in ("disconnected", "response_complete", "response_started", "more_body", "chunked_encoding"):
        assert hasattr(client.connection.cycle, name)
    for name in ("expected_content_length", "waiting_for_100_continue", "message_event", "body", "transport"):
        assert hasattr(client.connection.cycle, name)
    assert hasattr(client.connection, "pipeline")
    assert hasattr(client.connection.flow, "resume_reading")


async def test_a_good_request_is_answered_and_knows_its_connection(app: App, client: Client) -> None:
    client.send(request())
    await turns()
    assert client.status == b"200"
    assert app.scopes[0][CONNECTION]() is client.connection


@pytest.mark.parametrize("host", [b"", b"host: a\r\nhost: b\r\n"])
async def test_a_request_has_exactly_one_host(app: App, client: Client, host: bytes) -> None:
    client.send(request(host=host))
    await turns()
    assert (client.status, client.transport.is_closing(), app.scopes) == (b"400", True, [])
    assert b'"code": "ambiguous_request"' in client.transport.written


async def test_http_1_0_needs_no_host_and_gets_no_chunks(app: App, client: Client) -> None:
    app.go.set()
    client.send(request(version=b"1.0", host=b""))
    await turns()
    head, _, body = client.transport.written.partition(b"\r\n\r\n")
    assert (client.status, body) == (b"200", b"hi")
    assert b"transfer-encoding" not in head
    assert client.transport.is_closing()


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET / HTTP/2.0\r\nhost: x\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
    ],
)
async def test_what_can_be_read_in_two_ways_is_refused(app: App, client: Client, data: bytes) -> None:
    client.send(data)
    await turns()
    assert (client.status, client.transport.is_closing()) == (b"400", True)


@pytest.mark.parametrize("head", [b"GET /%b", b"GET / HTTP/1.1\r\nhost: x\r\na: %b", b"GET / HTTP/1.1\r\n%b: a"])
async def test_a_head_without_end_is_refused_at_the_limit(app: App, client: Client, head: bytes) -> None:
    client.send(head % (b"a" * 100))
    for _ in range(20):
        client.send(b"a" * 100)
    assert client.status == b"431"


async def test_a_head_that_is_too_large_in_one_piece_is_refused(app: App, client: Client) -> None:
    client.send(request(b"/", b"a: " + b"a" * 1000 + b"\r\n"))
    await turns()
    assert (client.status, app.scopes) == (b"431", [])


async def test_a_head_that_does_not_come_is_waited_for_only_so_long(client: Client) -> None:
    await asyncio.wait_for(client.transport.closed.wait(), 5)
    assert client.transport.written == b""


async def test_a_head_that_does_not_end_in_time_is_408(client: Client) -> None:
    client.send(b"GET / HTTP/1.1\r\n")
    await asyncio.wait_for(client.transport.closed.wait(), 5)
    assert client.status == b"408"


async def test_trailers_do_not_become_headers(app: App, client: Client) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    client.send(head + b"1\r\na\r\n0\r\nx-admin: yes\r\n\r\n")
    await turns()
    assert b"x-admin" not in [name for name, _ in app.scopes[0]["headers"]]


@pytest.mark.parametrize("piece", [b"1\r\na\r\n" * 10, b"1;" + b"x" * 50 + b"\r\na\r\n"])
async def test_chunks_that_are_nearly_all_framing_are_refused(app: App, client: Client, piece: bytes) -> None:
    client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(10):
        client.send(piece)
    assert client.status == b"400"


async def test_reasonable_chunks_are_taken_without_end(app: App, client: Client) -> None:
    client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(200):
        client.send(b"1e\r\n" + b"x" * 30 + b"\r\n")
        await asyncio.sleep(0)
    client.send(b"0\r\n\r\n")
    await turns()
    assert client.status == b"200"


async def test_a_second_request_in_one_piece_is_not_taken_for_framing(app: App, client: Client) -> None:
    app.go.set()
    for _ in range(5):
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 300\r\n\r\n" + b"x" * 300)
        await turns()
    assert client.transport.written.count(b"HTTP/1.1 200") == 5


class Parts:
    """An application that writes parts of its body in place."""

    def __init__(self) -> None:
        self.head: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.end = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def other(message: Any) -> None:
            await send(message)

        connection: Connection = scope[CONNECTION]()
        assert connection.part_writer(other) is None
        write = connection.part_writer(send)
        assert write is not None
        assert not write(b"before the head")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.write = write
        self.head.set_result(None)
        await self.end.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.fixture
async def parts() -> AsyncIterator[tuple[Parts, Client]]:
    app = Parts()
    client = Client(app)
    yield app, client
    app.end.set()
    client.leave()
    await turns()


async def test_a_part_is_written_in_place_as_a_chunk(parts: tuple[Parts, Client]) -> None:
    app, client = parts
    client.send(request())
    await app.head
    assert app.write(b"hello, hello, hello")
    assert app.write(b"")
    app.end.set()
    await turns()
    assert client.transport.written.endswith(b"\r\n\r\n13\r\nhello, hello, hello\r\n0\r\n\r\n")
    assert not app.write(b"behind the end")


def pause(client: Client) -> None:
    client.connection.pause_writing()


def close(client: Client) -> None:
    client.transport.close()


@pytest.mark.parametrize("hinder", [pause, close, Client.leave])
async def test_no_part_is_written_in_place_to_a_peer_that_cannot_take_it(
    parts: tuple[Parts, Client], hinder: Callable[[Client], None]
) -> None:
    app, client = parts
    client.send(request())
    await app.head
    hinder(client)
    written = client.transport.written
    assert not app.write(b"x")
    assert client.transport.written == written


async def test_a_response_without_chunks_is_not_written_in_place() -> None:
    client = Client(app := App())
    client.send(request(version=b"1.0"))
    await app.called.wait()
    connection: Connection = app.scopes[0][CONNECTION]()
    assert connection.part_writer(app.send) is None
    app.go.set()
    await turns()
    client.leave()


async def test_a_client_that_leaves_is_noticed_although_requests_wait_behind(app: App, client: Client) -> None:
    client.send(request(b"/first") + request(b"/second"))
    await turns()
    assert client.transport.reading
    client.leave()
    await turns()
    assert app.gone == ["/first"]
    assert len(app.scopes) == 1


async def test_too_many_requests_behind_a_running_one_close_the_connection(app: App, client: Client) -> None:
    client.send(request() * 4)
    assert client.transport.is_closing()


async def test_garbage_behind_a_running_response_is_not_answered_into_it(app: App, client: Client) -> None:
    client.send(request())
    await turns()
    before = client.transport.written
    client.send(b"\x00garbage\r\n\r\n")
    assert client.transport.is_closing()
    assert client.transport.written == before


async def test_reading_goes_on_behind_a_running_response(app: App, client: Client) -> None:
    client.send(request(b"/first"))
    await turns()
    client.send(request(b"/second"))
    assert client.transport.reading


async def test_a_body_that_waits_behind_a_running_response_is_bounded(app: App, client: Client) -> None:
    client.send(request(b"/first"))
    await turns()
    client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n" + b"x" * 70_000)
    assert client.transport.is_closing()


async def test_a_peer_that_reads_nothing_is_evicted(app: App, client: Client) -> None:
    app.go.set()
    client.send(request())  # no head is awaited after it for a while
    await turns()
    client.transport.unread = itertools.repeat(1000)
    client.connection.pause_writing()
    await asyncio.wait_for(client.transport.closed.wait(), 5)
    assert client.connection.evicted


async def test_a_peer_that_reads_slowly_stays_however_long_it_takes(app: App, client: Client) -> None:
    app.go.set()
    client.send(request())  # no head is awaited while this one is answered, and none after it for a while
    await turns()
    client.transport.looks = 0
    client.transport.unread = itertools.count(1_000_000, -1)
    client.connection.pause_writing()
    async with asyncio.timeout(5):
        while client.transport.looks < 12:  # three times the write time
            await turns(1)
    assert (client.connection.evicted, client.transport.is_closing()) == (False, False)
    client.connection.resume_writing()


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def test_the_rest_of_a_refused_body_is_dropped_and_not_for_ever() -> None:
    client = Client(refuse)
    client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n")
    await turns()
    assert (client.status, client.transport.is_closing()) == (b"413", False)
    for _ in range(20):
        client.send(b"x" * 65536)
    assert client.transport.is_closing()
    client.leave()


async def test_a_server_that_stops_waits_for_the_request_of_a_connection_it_has_just_accepted(app: App) -> None:
    app.go.set()
    client = Client(app)
    client.connection.shutdown()
    assert not client.transport.is_closing()
    client.send(request())
    await turns()
    assert (client.status, client.transport.is_closing()) == (b"200", True)
    assert b"connection: close" in client.transport.written
    client.leave()


async def test_a_server_that_stops_closes_connections_that_have_had_their_answer(app: App, client: Client) -> None:
    app.go.set()
    client.send(request())
    await turns()
    client.connection.shutdown()
    assert client.transport.is_closing()


# -- a WebSocket takes over


UPGRADE = request(b"/talk", b"connection: Upgrade\r\nupgrade: websocket\r\n")


class Taken:
    """A WebSocket protocol that writes down what it is given."""

    made: list["Taken"]

    def __init__(self, **_: Any) -> None:
        self.head = b""
        self.made.append(self)

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.head += data


@pytest.fixture
def taken(client: Client) -> list[Taken]:
    """The WebSockets that were begun."""
    made: list[Taken] = []
    client.connection.ws_protocol_class = type("Recording", (Taken,), {"made": made})  # type: ignore[assignment]
    return made


async def test_a_websocket_gets_the_connection_and_the_head(client: Client, taken: list[Taken]) -> None:
    client.send(UPGRADE)
    assert [each.head[:15] for each in taken] == [b"GET /talk HTTP/"]
    assert client.transport.protocol is taken[0]


async def test_a_websocket_may_begin_after_an_answer(app: App, client: Client, taken: list[Taken]) -> None:
    app.go.set()
    client.send(request())
    await turns()
    client.send(UPGRADE)
    assert (len(taken), client.transport.is_closing()) == (1, False)


async def test_no_websocket_takes_the_connection_of_a_running_stream(
    app: App, client: Client, taken: list[Taken]
) -> None:
    client.send(request(b"/running"))
    await turns()
    client.send(UPGRADE)
    await turns()
    assert (taken, client.transport.is_closing(), app.gone) == ([], True, ["/running"])


async def test_no_websocket_begins_before_the_answer_before_it_was_read(
    app: App, client: Client, taken: list[Taken]
) -> None:
    app.go.set()
    client.send(request())
    await turns()
    client.transport.unread = itertools.repeat(1000)
    client.send(UPGRADE)
    assert (taken, client.transport.is_closing()) == ([], True)


async def test_what_was_watched_for_the_answer_before_is_no_longer(
    app: App, client: Client, taken: list[Taken]
) -> None:
    app.go.set()
    client.send(request())
    await turns()
    client.connection.pause_writing()
    client.send(UPGRADE)
    assert len(taken) == 1
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(3 * BOUNDS.write_time, later.set)
    await later.wait()
    assert not client.connection.evicted


async def test_a_server_that_stops_leaves_the_refusal_of_a_handshake_to_the_application(
    client: Client, taken: list[Taken]
) -> None:
    client.connection.shutdown()
    client.send(UPGRADE)
    assert (len(taken), client.transport.written) == (1, b"")


# -- ways around `send` and `receive`


class Direct:
    """An application that goes around `receive`, and ends when it is let go."""

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.watched = False
        self.gone: list[str] = []
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        connection: Connection = scope[CONNECTION]()
        self.body = connection.take_body(receive)
        if scope["path"] != "/unwatched":
            self.watched = connection.call_when_gone(receive, lambda: self.gone.append(scope["path"]))
        self.asked.set()
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


POST = b"POST /%b HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n%b\r\n"


async def test_a_body_that_is_there_is_taken_without_receive() -> None:
    client = Client(app := Direct())
    client.send(POST % (b"a", b"") + b"body")
    await app.asked.wait()
    assert (app.body, app.watched) == (b"body", True)
    client.leave()
    assert app.gone == ["/a"]
    app.go.set()
    await turns()


@pytest.mark.parametrize("rest", [(b"", b"bo"), (b"expect: 100-continue\r\n", b"body")])
async def test_a_body_that_receive_has_to_ask_for_is_not_taken(rest: tuple[bytes, bytes]) -> None:
    headers, came = rest
    client = Client(app := Direct())
    client.send(POST % (b"a", headers) + came)
    await app.asked.wait()
    assert app.body is None
    app.go.set()
    client.leave()
    await turns()


async def test_after_the_body_was_taken_receive_tells_the_leaving_alone() -> None:
    asked, told = asyncio.Event(), list[Any]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope[CONNECTION]().take_body(receive) == b"body"
        asked.set()
        told.append(await receive())

    client = Client(app)
    client.send(POST % (b"a", b"") + b"body")
    await asked.wait()
    await turns()
    assert told == []
    client.leave()
    await turns()
    assert told == [{"type": "http.disconnect"}]


async def test_a_taken_body_lets_the_connection_read_on_so_that_a_leaving_is_noticed() -> None:
    client = Client(app := Direct())
    client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 70000\r\n\r\n" + b"x" * 70_000)
    assert not client.transport.reading
    await app.asked.wait()
    assert app.body == b"x" * 70_000
    assert client.transport.reading
    app.go.set()
    client.leave()
    await turns()


async def test_a_middleware_that_receives_is_not_gone_around() -> None:
    app = Direct()

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        async def other() -> Any:
            return await receive()

        await app(scope, other, send)

    client = Client(middleware)
    client.send(POST % (b"a", b"") + b"body")
    await app.asked.wait()
    assert (app.body, app.watched) == (None, False)
    app.go.set()
    client.leave()
    await turns()


async def test_a_client_that_has_left_already_is_not_watched() -> None:
    client = Client(app := Direct())
    client.send(POST % (b"a", b"") + b"body")
    client.leave()
    await app.asked.wait()
    assert (app.body, app.watched, app.gone) == (None, False, [])
    app.go.set()
    await turns()


async def test_nobody_is_called_for_a_client_that_leaves_after_its_answer() -> None:
    client = Client(app := Direct())
    client.send(POST % (b"a", b"") + b"body")
    app.go.set()
    await turns()
    assert client.status == b"200"
    app.go.clear()
    client.send(POST % (b"unwatched", b"") + b"next")
    await turns()
    client.leave()
    assert (app.body, app.gone) == (b"next", [])
    app.go.set()
    await turns()


async def test_a_running_request_is_told_when_garbage_behind_it_ends_the_connection() -> None:
    client = Client(app := Direct())
    client.send(POST % (b"a", b"") + b"body")
    await app.asked.wait()
    client.send(b"garbage")
    assert app.gone == ["/a"]
    client.leave()
    assert app.gone == ["/a"]
    app.go.set()
    await turns()


async def test_what_the_server_s_own_send_writes_in_a_block_is_one_write() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def other(message: Any) -> None:
            await send(message)

        connection: Connection = scope[CONNECTION]()
        with connection.bundler(other)():
            await other({"type": "http.response.start", "status": 200, "headers": []})
            assert client.transport.written.endswith(b"\r\n\r\n")
        before = client.transport.written
        with connection.bundler(send)():
            await send({"type": "http.response.body", "body": b"hi", "more_body": True})
            assert client.transport.written == before
        assert client.transport.written == before + b"2\r\nhi\r\n"
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    client = Client(app)
    client.send(request())
    await turns()
    assert client.transport.written.endswith(b"hi\r\n0\r\n\r\n")
    client.leave()


# -- what a connection costs


async def test_a_new_connection_is_not_asked_for_its_socket(client: Client) -> None:
    assert "peername" in client.transport.told
    assert "socket" not in client.transport.told


async def test_a_connection_that_is_gone_is_freed_at_once() -> None:
    client = Client(app := Direct())
    client.send(POST % (b"a", b"") + b"body")
    app.go.set()
    await turns()
    client.connection.connection_lost(None)
    connection = weakref.ref(client.connection)
    gc.disable()
    try:
        del client
        assert connection() is None
    finally:
        gc.enable()


async def test_the_dictionary_of_a_connection_is_small_enough_to_be_shared(app: App, client: Client) -> None:
    client.send(request())
    assert len(vars(client.connection)) <= 30
