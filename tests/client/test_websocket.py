"""WebSockets over the network: a server of the same library on the other end."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request as Asked
from websockets.http11 import Response
from websockets.typing import Subprotocol

from headrace.client.arguments import Payload
from headrace.client.request import Request
from headrace.client.sockets import Refused
from headrace.client.steps import Send
from headrace.client.timeouts import Patience, Remaining, Timeout
from headrace.client.websocket import WebSockets
from headrace.wire.websocket import BINARY, TEXT, frame

WITHIN = 5.0
Answer = Callable[[ServerConnection], Awaitable[None]]


def send(url: str, connect: float = 5.0) -> Send:
    headers = {"user-agent": "headrace-python", "authorization": "Bearer k"}
    request = Request("GET", url, headers, Payload("", b'{"to":1}', None))
    return Send(request, headers, Remaining(Patience(Timeout(connect=connect), lambda: 0.0)), None)


@asynccontextmanager
async def serving(answer: Answer, refuse: Any = None) -> AsyncIterator[str]:
    async with (
        asyncio.timeout(WITHIN),
        serve(answer, "127.0.0.1", 0, subprotocols=[Subprotocol("headrace.v1")], process_request=refuse) as server,
    ):
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"


async def test_a_connection_takes_messages_both_ways_and_tells_its_close() -> None:
    heard: list[Any] = []

    async def answer(connection: ServerConnection) -> None:
        assert connection.request is not None
        heard.append(dict(connection.request.headers.raw_items()))
        heard.extend([await connection.recv(), await connection.recv()])
        await connection.send("a")
        await connection.send(b"")
        await connection.close(1012, "soon")

    async with serving(answer) as url:
        sockets = WebSockets(verify=True)
        head, socket = await sockets.open(send(url))
        assert (head.status, head.headers["sec-websocket-protocol"]) == (101, "headrace.v1")
        await socket.send(b"x")
        assert [await socket.receive(), await socket.receive()] == [frame(TEXT, b"a"), frame(BINARY, b"")]
        with pytest.raises(httpx2.ReadError, match=r"^the server closed the connection with code 1012, soon$"):
            await socket.receive()
        with pytest.raises(httpx2.WriteError, match="1012"):
            await socket.send("y")
        await socket.aclose()
        await socket.aclose()
    headers = heard.pop(0)
    assert heard == ['{"to":1}', b"x"]
    assert headers["Sec-WebSocket-Protocol"] == "headrace.v1, headrace.arguments"
    assert (headers["user-agent"], headers["authorization"]) == ("headrace-python", "Bearer k")
    assert not {"User-Agent", "Sec-WebSocket-Extensions"} & set(headers)


async def test_a_connection_that_is_lost_is_1006() -> None:
    async def answer(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with serving(answer) as url:
        _, socket = await WebSockets(verify=True).open(send(url))
        with pytest.raises(httpx2.ReadError, match=r"lost \(code 1006\)"):
            await socket.receive()
        await socket.aclose()


async def test_a_message_above_the_limit_closes_and_says_why() -> None:
    async def answer(connection: ServerConnection) -> None:
        await connection.send(b"x" * (16 * 1024 * 1024 + 1))
        await connection.wait_closed()

    async with serving(answer) as url:
        _, socket = await WebSockets(verify=True).open(send(url))
        with pytest.raises(httpx2.ReadError, match=r"code 1009.*exceeds limit"):
            await socket.receive()
        await socket.aclose()


@pytest.mark.parametrize(("status", "headers"), [(404, {}), (307, {"location": "http://127.0.0.1:1/elsewhere"})])
async def test_a_refusal_is_an_answer_and_a_redirect_is_not_followed(status: int, headers: dict[str, str]) -> None:
    async def refuse(connection: ServerConnection, asked: Asked) -> Response:
        return Response(status, "no", Headers(**headers, **{"Content-Length": "3"}), b"why")

    async def answer(connection: ServerConnection) -> None: ...

    async with serving(answer, refuse) as url:
        head, socket = await WebSockets(verify=True).open(send(url))
        assert (head.status, await socket.receive(), isinstance(socket, Refused)) == (status, b"why", True)
        assert head.headers.get("location") == headers.get("location")


async def test_nobody_who_listens_is_a_connect_error() -> None:
    with pytest.raises(httpx2.ConnectError, match="Connect call failed"):
        await WebSockets(verify=True).open(send("http://127.0.0.1:1/x"))


@pytest.mark.parametrize(
    ("said", "match"), [(b"", "disconnected"), (b"SSH-2.0-x\r\n\r\n", "did not receive a valid HTTP response")]
)
async def test_what_does_not_speak_http_is_a_protocol_error(said: bytes, match: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(httpx2.RemoteProtocolError, match=match):
            await WebSockets(verify=True).open(send(f"http://127.0.0.1:{port}/x"))


async def test_a_handshake_has_the_time_to_connect() -> None:
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client leaves
        writer.close()
        await writer.wait_closed()
        over.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        began = asyncio.get_running_loop().time()
        with pytest.raises(httpx2.ConnectTimeout):
            await WebSockets(verify=True).open(send(f"http://127.0.0.1:{port}/x", connect=0.05))
        assert asyncio.get_running_loop().time() - began < 1
        await asyncio.wait_for(over.wait(), WITHIN)


async def test_leaving_ends_a_connection_whose_other_end_says_nothing() -> None:
    asked, over = asyncio.Event(), asyncio.Event()

    async def answer(connection: ServerConnection) -> None:
        connection.transport.pause_reading()  # type: ignore[attr-defined]
        asked.set()
        await over.wait()
        connection.transport.resume_reading()  # type: ignore[attr-defined]

    async with serving(answer) as url:
        sockets = WebSockets(verify=True)
        _, socket = await sockets.open(send(url))
        await asked.wait()
        began = asyncio.get_running_loop().time()
        await sockets.aclose()
        assert asyncio.get_running_loop().time() - began < 1
        with pytest.raises(httpx2.ReadError):
            await socket.receive()
        over.set()


@pytest.mark.parametrize("verify", [True, False, ssl.create_default_context()], ids=["true", "false", "context"])
async def test_a_server_without_tls_fails_the_secure_handshake(verify: ssl.SSLContext | bool) -> None:
    async def answer(connection: ServerConnection) -> None: ...

    async with serving(answer) as url:
        with pytest.raises(httpx2.ConnectError):
            await WebSockets(verify=verify).open(send(url.replace("http:", "https:")))
