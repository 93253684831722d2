"""The bounds of a WebSocket connection, on uvicorn's protocol with a transport in memory."""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from wire_socket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, handshake

from headrace.server.websocket_connection import FRAGMENTS, WEBSOCKET, WebSocketConnection, bounded_websocket

WITHIN = 5.0


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.closing = False
        self.aborted = False
        self.unread: Iterator[int] = iter(())  # what the peer has not read, at each look
        self.news = asyncio.Event()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written += bytes(data)
        self.news.set()

    def get_write_buffer_size(self) -> int:
        return next(self.unread, 0)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        self.news.set()

    def abort(self) -> None:
        self.closing = self.aborted = True
        self.news.set()


class App:
    """An ASGI application that accepts, and then does what the test lets it do."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.go = asyncio.Event()
        self.accepted = asyncio.Event()
        self.error: BaseException | None = None
        self.deny = False
        self.receive: Callable[[], Any] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        self.receive = receive
        await receive()
        if self.deny:
            await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"{}", "more_body": False})
            return
        await send({"type": "websocket.accept"})
        self.accepted.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error


class Client:
    """One connection to the application."""

    def __init__(self, app: App, ping: float | None = None, write_time: float = 0.02) -> None:
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            ws=bounded_websocket(write_time),
            ws_max_size=100_000,
            ws_ping_interval=ping,
            ws_ping_timeout=ping,
            ws_per_message_deflate=False,
            log_config=None,
            lifespan="off",
        )
        config.load()
        self.app = app
        self.state = ServerState()
        self.transport = Transport()
        made = bounded_websocket(write_time)(config, self.state, {}, asyncio.get_running_loop())
        self.connection: WebSocketConnection = made
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.connection.data_received(data)

    async def open(self) -> "Client":
        self.send(handshake("/"))
        async with asyncio.timeout(WITHIN):
            await self.app.accepted.wait()
        assert self.transport.written.startswith(b"HTTP/1.1 101 ")
        self.transport.written = b""
        return self

    async def receive(self) -> Any:
        assert self.app.receive is not None
        async with asyncio.timeout(WITHIN):
            return await self.app.receive()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN):
            while not holds():
                self.transport.news.clear()
                await self.transport.news.wait()

    @property
    def code(self) -> int | None:
        """The code of the close frame, where one frame with nothing before it was written."""
        if self.transport.written[:1] != b"\x88":
            return None
        (code,) = struct.unpack("!H", self.transport.written[2:4])
        return int(code)

    def leave(self) -> None:
        self.transport.closing = True
        self.connection.connection_lost(None)


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def client(app: App) -> AsyncIterator[Client]:
    client = await Client(app).open()
    yield client
    if not client.connection.disconnected:
        client.leave()
    app.go.set()
    if tasks := client.state.tasks:
        await asyncio.wait(tasks, timeout=WITHIN)
    assert not client.state.connections


def test_uvicorn_still_has_what_is_used_here() -> None:
    handlers = "handle_cont handle_ping handle_parser_exception send_receive_event_to_app keepalive_timeout"
    for name in f"{handlers} schedule_ping pause_writing resume_writing run_asgi receive shutdown".split():
        assert callable(getattr(WebSocketsSansIOProtocol, name)), name


async def test_the_application_finds_the_connection_in_its_scope(client: Client, app: App) -> None:
    assert app.scopes[0][WEBSOCKET] is client.connection


# -- writing


async def test_many_messages_leave_in_one_write(client: Client) -> None:
    await client.connection.write(b"\x81\x01a\x81\x01b")
    assert client.transport.written == b"\x81\x01a\x81\x01b"


async def test_frames_are_written_in_place_where_the_peer_can_take_more(client: Client) -> None:
    assert client.connection.try_write(b"\x81\x01a")
    client.connection.pause_writing()
    assert not client.connection.try_write(b"\x81\x01b")
    client.connection.resume_writing()
    client.connection.close(1000)
    written = client.transport.written
    assert not client.connection.try_write(b"\x81\x01b")
    assert client.transport.written == written
    assert written.startswith(b"\x81\x01a\x88")


async def test_a_write_returns_when_the_peer_can_take_more(client: Client) -> None:
    client.connection.pause_writing()
    writing = asyncio.ensure_future(client.connection.write(b"\x81\x00"))
    await client.until(lambda: client.transport.written == b"\x81\x00")
    assert not writing.done()
    client.connection.resume_writing()
    await asyncio.wait_for(writing, WITHIN)


async def test_nothing_is_written_to_a_closed_connection(client: Client) -> None:
    client.connection.close(1000)
    written = client.transport.written
    with pytest.raises(ClientDisconnected):
        await client.connection.write(b"\x81\x00")
    with pytest.raises(ClientDisconnected):
        client.connection.close(1011)
    assert client.transport.written == written


async def test_closing_waits_for_the_peers_answer(client: Client) -> None:
    client.connection.close(1000, "done")
    assert client.transport.written == b"\x88\x06\x03\xe8done"
    assert not client.transport.closing
    client.send(frame(CLOSE, b"\x03\xe8"))
    assert client.transport.closing


async def test_the_answer_is_found_behind_messages_that_nobody_took(client: Client) -> None:
    client.send(frame(TEXT, b"x") * 3000 + frame(CLOSE, b"\x03\xe8"))
    assert not client.transport.reading
    client.connection.close(1000)
    assert (client.transport.reading, client.transport.closing) == (True, True)


# -- messages


async def test_messages_come_in_order_and_stop_the_reading_until_they_are_taken(client: Client) -> None:
    client.send(frame(TEXT, "é".encode()) + frame(BINARY, b"\xff"))
    assert not client.transport.reading
    assert (await client.receive())["text"] == "é"
    assert (await client.receive())["bytes"] == b"\xff"
    assert client.transport.reading


async def test_messages_that_nobody_takes_stay_bytes(client: Client) -> None:
    count = 40_000
    client.send(frame(TEXT) * count)
    assert client.connection.queue.qsize() < 2000
    for _ in range(count):
        assert (await client.receive())["text"] == ""
    assert client.transport.reading


@pytest.mark.parametrize("cut", [1, 7, 1000])
async def test_a_message_may_come_in_pieces_and_in_fragments(client: Client, cut: int) -> None:
    data = frame(TEXT, b"a" * 3000, fin=False) + frame(PING, b"p") + frame(CONTINUATION, "é".encode())
    for at in range(0, len(data), cut):
        client.send(data[at : at + cut])
    assert (await client.receive())["text"] == "a" * 3000 + "é"
    assert client.transport.written == b"\x8a\x01p"


async def test_a_character_may_be_cut_by_fragments(client: Client) -> None:
    client.send(frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"\xa9"))
    assert (await client.receive())["text"] == "é"


ILLEGAL = {
    "reserved bit 1": (frame(TEXT, b"x", reserved=4), 1002),
    "reserved bit 3": (frame(TEXT, b"x", reserved=1), 1002),
    "reserved opcode": (frame(3, b"x"), 1002),
    "reserved control opcode": (frame(11, b"x"), 1002),
    "unmasked": (frame(TEXT, b"x", masked=False), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "nothing to continue": (frame(CONTINUATION, b"x"), 1002),
    "message in a message": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "close of one byte": (frame(CLOSE, b"x"), 1002),
    "close with a code that is none": (frame(CLOSE, struct.pack("!H", 999)), 1002),
    "close with a code that is never sent": (frame(CLOSE, struct.pack("!H", 1006)), 1002),
    "close with a reason that is no text": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "no text": (frame(TEXT, b"\xff"), 1007),
    "half a character": (frame(TEXT, b"\xc3"), 1007),
    "no text across fragments": (frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"x"), 1007),
    "half a surrogate pair": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "too big by its head": (frame(BINARY, size=100_001), 1009),
    "too big by far": (frame(BINARY, size=1 << 62), 1009),
    "too big in fragments": (
        frame(BINARY, b"x" * 60_000, fin=False) + frame(CONTINUATION, b"x" * 60_000, fin=False),
        1009,
    ),
    "endless fragments": (frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * FRAGMENTS, 1009),
}


@pytest.mark.parametrize("name", ILLEGAL)
async def test_what_is_not_allowed_closes_with_its_code(
    client: Client, app: App, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    data, code = ILLEGAL[name]
    client.send(data)
    assert (client.code, client.transport.closing) == (code, True)
    assert (await client.receive())["type"] == "websocket.disconnect"
    assert caplog.records == []


async def test_what_is_not_allowed_after_our_close_just_ends_it(client: Client) -> None:
    client.connection.close(1000)
    client.send(frame(TEXT, b"\xff"))
    assert client.transport.written == b"\x88\x02\x03\xe8"
    assert client.transport.closing


async def test_what_comes_before_the_handshake_is_accepted_waits(app: App) -> None:
    client = Client(app)
    client.send(handshake("/"))
    client.send(frame(TEXT, b"ear"))
    client.send(frame(TEXT, b"ly"))
    assert not client.transport.reading
    async with asyncio.timeout(WITHIN):
        await app.accepted.wait()
    assert [(await client.receive())["text"] for _ in range(2)] == ["ear", "ly"]
    assert client.transport.reading
    client.leave()


async def test_half_a_frame_that_comes_early_is_read_on(app: App) -> None:
    client = Client(app)
    client.send(handshake("/"))
    client.send(frame(TEXT, b"early")[:3])
    async with asyncio.timeout(WITHIN):
        await app.accepted.wait()
    assert client.transport.reading
    client.send(frame(TEXT, b"early")[3:])
    assert (await client.receive())["text"] == "early"
    client.leave()


async def test_what_is_not_allowed_and_comes_early_closes_with_its_code(app: App) -> None:
    client = Client(app)
    client.send(handshake("/"))
    client.send(frame(TEXT, b"\xff"))
    assert client.transport.written == b""
    async with asyncio.timeout(WITHIN):
        await app.accepted.wait()
    assert client.transport.written.partition(b"\r\n\r\n")[2][:4] == b"\x88\x22\x03\xef"
    client.leave()


# -- pings


async def test_pings_are_answered(client: Client) -> None:
    client.send(frame(PING, b"a") + frame(PING, b"b"))
    assert client.transport.written == b"\x8a\x01a\x8a\x01b"


async def test_of_pings_that_a_peer_sends_while_it_reads_nothing_only_the_last_is_answered(client: Client) -> None:
    client.connection.pause_writing()
    for n in range(1000):
        client.send(frame(PING, b"x%d" % n) + frame(PING, b"y%d" % n))
    assert client.transport.written == b""
    client.connection.resume_writing()
    assert client.transport.written == b"\x8a\x04y999"


async def test_a_peer_that_answers_pings_stays(app: App) -> None:
    client = await Client(app, ping=0.01).open()
    for _ in range(5):
        await client.until(lambda: client.transport.written[:1] == b"\x89")
        ping, client.transport.written = client.transport.written, b""
        client.send(frame(PONG, ping[2:6]))
    assert not client.transport.closing
    client.leave()


async def test_a_peer_that_answers_no_ping_is_gone(app: App) -> None:
    client = await Client(app, ping=0.01).open()
    await client.until(lambda: client.transport.closing)
    assert client.transport.written[:2] == b"\x89\x04"
    assert client.transport.written[6:10] == b"\x88\x18\x03\xf3"
    client.leave()


async def test_a_peer_whose_messages_are_not_taken_here_is_not_held_dead(app: App) -> None:
    client = await Client(app, ping=0.01).open()
    client.send(frame(TEXT, b"x"))
    await client.until(lambda: client.transport.written.count(b"\x89\x04") >= 3)
    assert not client.transport.closing
    client.leave()


async def test_a_peer_that_still_reads_what_stands_before_the_ping_is_not_held_dead(app: App) -> None:
    client = await Client(app, ping=0.01).open()
    client.transport.unread = iter([3, 2])
    await client.until(lambda: client.transport.closing)
    assert client.transport.written.count(b"\x89\x04") == 3
    client.leave()


# -- peers that do not read


async def test_a_peer_that_reads_nothing_is_reset(client: Client) -> None:
    lost: list[bool] = []
    client.connection.on_lost = lambda: lost.append(client.connection.evicted)
    client.transport.unread = iter([70_000] * 100)
    client.connection.pause_writing()
    await client.until(lambda: client.transport.aborted)
    client.leave()
    assert lost == [True]


async def test_a_peer_that_reads_slowly_is_not(client: Client) -> None:
    client.transport.unread = iter(range(70_000, 69_990, -1))
    client.connection.pause_writing()
    paused = asyncio.get_running_loop().time()
    await client.until(lambda: client.transport.aborted)
    assert asyncio.get_running_loop().time() - paused > 0.05  # ten looks, each a quarter of the time, then the time


async def test_a_peer_that_catches_up_is_not(client: Client) -> None:
    client.transport.unread = iter([70_000] * 100)
    client.connection.pause_writing()
    client.connection.resume_writing()
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.06, later.set)
    await later.wait()
    assert not client.transport.aborted


async def test_a_lost_connection_is_told_although_nobody_receives(client: Client) -> None:
    lost: list[None] = []
    client.connection.on_lost = lambda: lost.append(None)
    client.send(frame(TEXT, b"x") * 5000)
    client.leave()
    assert lost == [None]


# -- the application


async def test_an_application_that_fails_closes_with_1011(client: Client, app: App) -> None:
    app.error = RuntimeError("broken")
    app.go.set()
    await client.until(lambda: client.code == 1011)


async def test_an_application_that_is_cancelled_closes_with_1012(client: Client) -> None:
    (task,) = client.state.tasks
    task.cancel()
    await client.until(lambda: client.code == 1012)


async def test_an_application_that_fails_after_its_close_closes_once(client: Client, app: App) -> None:
    client.connection.close(1000)
    app.error = RuntimeError("broken")
    app.go.set()
    (task,) = client.state.tasks
    await asyncio.wait((task,), timeout=WITHIN)
    assert client.transport.written == b"\x88\x02\x03\xe8"


async def test_an_application_that_denies_the_handshake_has_answered(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    app.deny = True
    client = Client(app)
    client.send(handshake("/"))
    await client.until(lambda: client.transport.closing)
    (task,) = client.state.tasks or {asyncio.ensure_future(asyncio.sleep(0))}
    await asyncio.wait((task,), timeout=WITHIN)
    assert client.transport.written.startswith(b"HTTP/1.1 404 ")
    assert client.transport.written.count(b"HTTP/1.1") == 1
    assert caplog.records == []
    client.leave()


@pytest.mark.parametrize(
    ("headers", "status"),
    [("x: y\r\n" * 200, b"431"), (f"x: {'y' * 10_000}\r\n", b"431"), ("sec-websocket-version: 7\r\n", b"400")],
)
async def test_a_handshake_that_the_parser_refuses_is_answered_and_closed(
    app: App, headers: str, status: bytes
) -> None:
    client = Client(app)
    client.send(handshake("/", headers))
    assert (client.transport.written[9:12], client.transport.closing) == (status, True)
    assert app.scopes == []
    client.leave()


# -- a server that stops


async def test_a_server_that_stops_lets_a_session_run(client: Client) -> None:
    client.connection.shutdown()
    assert (client.transport.closing, client.transport.written) == (False, b"")


async def test_a_server_that_stops_waits_no_longer_for_a_peers_close_frame(client: Client) -> None:
    client.connection.close(1000)
    client.connection.shutdown()
    assert client.transport.closing


async def test_a_session_that_ends_while_the_server_stops_is_soon_closed(client: Client) -> None:
    client.connection.shutdown()
    client.connection.close(1000)
    assert client.connection.close_timer is not None
    assert client.connection.close_timer.when() - asyncio.get_running_loop().time() < 1.1
