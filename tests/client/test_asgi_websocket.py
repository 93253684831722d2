"""A WebSocket to an application in the same process."""

import asyncio
from typing import Any

import httpx2
import pytest

from headrace.client.arguments import Payload
from headrace.client.asgi import AHEAD, AsgiTransport
from headrace.client.asgi_websocket import AHEAD_MESSAGES, AsgiSockets
from headrace.client.request import Request
from headrace.client.sockets import Refused, Socket
from headrace.client.steps import Head, Send
from headrace.client.timeouts import Patience, Remaining, Timeout
from headrace.wire.websocket import BINARY, TEXT, frame

WITHIN = 5.0
ACCEPT = {"type": "websocket.accept", "subprotocol": "headrace.v1", "headers": [(b"headrace-stream-id", b"s_1")]}


async def connect(app: Any) -> tuple[Head, Socket]:
    request = Request("GET", "http://localhost/a%20b?c=d", {"x-a": "b"}, Payload("", b'{"to":1}', None))
    send = Send(request, {"x-a": "b"}, Remaining(Patience(Timeout(), lambda: 0.0)), None)
    async with asyncio.timeout(WITHIN):
        return await AsgiSockets(AsgiTransport(app)).open(send)


async def test_a_conversation_from_the_handshake_to_its_close() -> None:
    scopes, heard = [], []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        heard.append(await receive())
        await send(ACCEPT)
        heard.append(await receive())
        heard.append(await receive())
        await send({"type": "websocket.send", "text": "a"})
        await send({"type": "websocket.send", "bytes": b"b"})
        await send({"type": "websocket.close", "code": 1000, "reason": ""})

    head, socket = await connect(app)
    assert (head.status, head.headers["headrace-stream-id"]) == (101, "s_1")
    assert head.headers["sec-websocket-protocol"] == "headrace.v1"
    await socket.send(b"x")
    assert [await socket.receive(), await socket.receive()] == [frame(TEXT, b"a"), frame(BINARY, b"b")]
    with pytest.raises(httpx2.ReadError, match=r"the server closed the connection with code 1000$"):
        await socket.receive()
    with pytest.raises(httpx2.WriteError, match="code 1000"):
        await socket.send("y")
    await socket.aclose()
    assert heard == [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": '{"to":1}'},
        {"type": "websocket.receive", "bytes": b"x"},
    ]
    (scope,) = scopes
    assert (scope["type"], scope["scheme"], scope["path"], scope["query_string"]) == ("websocket", "ws", "/a b", b"c=d")
    assert scope["subprotocols"] == ["headrace.v1", "headrace.arguments"]
    assert (b"x-a", b"b") in scope["headers"]


async def test_a_refusal_is_its_status_and_its_body() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 404, "headers": [(b"a", b"b")]})
        await send({"type": "websocket.http.response.body", "body": b"no", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"pe"})

    head, socket = await connect(app)
    assert (head.status, head.headers, await socket.receive()) == (404, {"a": "b"}, b"nope")
    assert isinstance(socket, Refused)


async def test_a_close_before_the_handshake_is_answered_is_a_403() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close"})

    assert (await connect(app))[0].status == 403


async def test_an_application_that_raises_before_it_answers_is_no_connection() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("x")

    with pytest.raises(httpx2.RemoteProtocolError, match=r"broke the connection off: KeyError\('x'\)"):
        await connect(app)


async def test_an_application_that_returns_without_a_close_has_lost_the_connection() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await send({"type": "websocket.send", "text": "a"})

    _, socket = await connect(app)
    assert await socket.receive() == frame(TEXT, b"a")
    with pytest.raises(httpx2.ReadError, match="returned before it closed"):
        await socket.receive()


async def test_a_client_that_leaves_is_told_to_the_application() -> None:
    heard = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        while (message := await receive())["type"] != "websocket.disconnect":
            heard.append(message["type"])
        with pytest.raises(OSError, match="the client left"):
            await send({"type": "websocket.send", "text": "a"})
        heard.append("left")

    _, socket = await connect(app)
    for _ in range(10):
        await asyncio.sleep(0)  # until it has heard all
    await socket.aclose()
    assert heard == ["websocket.connect", "websocket.receive", "left"]


async def test_who_is_ahead_waits_on_either_side() -> None:
    sent = 0
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send(ACCEPT)
        while sent < 10:
            await send({"type": "websocket.send", "bytes": b"x" * (AHEAD // 2)})
            sent += 1
        await go_on.wait()
        while (await receive())["type"] != "websocket.disconnect":
            pass

    _, socket = await connect(app)
    for _ in range(50):
        await asyncio.sleep(0)
    assert sent == 2
    async with asyncio.timeout(WITHIN):
        for _ in range(10):
            await socket.receive()
        said = asyncio.ensure_future(_say(socket, 2 * AHEAD_MESSAGES))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not said.done()
        go_on.set()
        await said
    await socket.aclose()


async def _say(socket: Socket, messages: int) -> None:
    for _ in range(messages):
        await socket.send("x")


async def test_messages_that_no_server_would_take_are_refused() -> None:
    errors = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in ({"type": "websocket.send", "text": "early"}, {"type": "http.response.start", "status": 200}):
            try:
                await send(message)
            except RuntimeError as error:
                errors.append(str(error))
        await send(ACCEPT)
        with pytest.raises(RuntimeError, match=r"'websocket\.accept' is not expected here"):
            await send(ACCEPT)

    _, socket = await connect(app)
    await socket.aclose()
    assert errors == [
        "the message 'websocket.send' is not expected here",
        "the message 'http.response.start' is not expected here",
    ]


async def test_the_transport_takes_its_conversations_along() -> None:
    left = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            raise NotImplementedError
        await send(ACCEPT)
        while (await receive())["type"] != "websocket.disconnect":
            pass
        left.set()

    async with AsgiTransport(app) as transport:
        request = Request("GET", "http://localhost/a", {}, Payload("", b"{}", None))
        await AsgiSockets(transport).open(Send(request, {}, Remaining(Patience(Timeout(), lambda: 0.0)), None))
    assert left.is_set()
