"""One WebSocket to a mounted application, and everything that can happen in between; in memory."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgi import total
from sessions import Session
from starlette.websockets import WebSocketDisconnect

from headrace.config import Settings
from headrace.errors import StreamError
from headrace.server.app import Application
from headrace.services.context import context
from headrace.services.decorators import asgi_app, endpoint, service

Handler = Callable[[Any, Any, Any], Awaitable[None]]
WITHIN = 5.0


class Busy(StreamError):
    """All slots are taken."""

    code = "busy"
    status = 429


class Stage:
    """A bare application; the test writes what it does after the handshake was offered."""

    def __init__(self) -> None:
        self.handler: Handler = echo
        self.entered = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        assert (await receive())["type"] == "websocket.connect"
        self.entered.set()
        try:
            await self.handler(scope, receive, send)
        finally:
            self.left.set()


async def accept(send: Any) -> None:
    await send({"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"x-mine", b"1")]})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await accept(send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


@pytest.fixture
async def stage() -> Stage:
    return Stage()


def new_application(stage: Stage, **settings: Any) -> Application:
    @asgi_app(stage)
    @service
    class Poet:
        @endpoint
        async def write(self) -> str:
            return "endpoint"

    return Application(Poet, Settings(**settings))


@pytest.fixture
async def app(stage: Stage) -> AsyncIterator[Application]:
    application = new_application(stage)
    async with application.runtime:
        yield application
        async with asyncio.timeout(WITHIN):
            while asyncio.all_tasks() != {asyncio.current_task()}:
                await asyncio.sleep(0)
        assert (application.runtime.places.running, application.runtime.live) == (0, {})
        assert total(application, "headrace_streams_total") == total(application, "headrace_streams_started_total")


def ended(app: Application, how: str) -> float:
    return total(app, "headrace_streams_total", endpoint="Poet.app /", end=how)


async def test_messages_pass_both_ways(app: Application) -> None:
    session = Session(app, "/any", "one", b"\x00\x01").start()
    await session.arrived(2)
    assert session.said == ["one", b"\x00\x01"]
    assert session.accepted is not None
    assert session.accepted["subprotocol"] == "chat"
    assert session.headers["x-mine"] == "1"
    assert session.headers["headrace-stream-id"].startswith("s_")
    session.leave()
    await session.ended()
    assert total(app, "headrace_items_total", endpoint="Poet.app /") == 2


async def test_an_endpoint_comes_before_the_application(app: Application) -> None:
    session = await Session(app, "/write").start().ended()
    assert session.said == ["endpoint"]


async def test_the_code_knows_its_request(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await accept(send)
        await send({"type": "websocket.send", "text": context.request_id})

    stage.handler = handler
    session = await Session(app, "/", headers={"x-request-id": "mine"}).start().ended()
    assert (session.said, session.closed) == (["mine"], (1000, ""))


async def test_the_application_s_own_close_is_told(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await accept(send)
        await send({"type": "websocket.close", "code": 4000, "reason": "enough"})

    stage.handler = handler
    session = await Session(app, "/").start().ended()
    assert (session.closed, ended(app, "ok")) == ((4000, "enough"), 1)


async def test_what_goes_on_after_its_close_outlives_the_client(app: Application, stage: Stage) -> None:
    go_on = asyncio.Event()

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await accept(send)
        await send({"type": "websocket.close", "code": 1000})
        await go_on.wait()

    stage.handler = handler
    session = Session(app, "/").start()
    await stage.entered.wait()
    session.leave()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not stage.left.is_set()
    go_on.set()
    await session.ended()
    assert ended(app, "ok") == 1


async def test_an_application_that_listens_is_told_that_its_client_left(app: Application, stage: Stage) -> None:
    told: list[Any] = []

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await accept(send)
        told.append(await receive())

    stage.handler = handler
    session = Session(app, "/").start()
    await stage.entered.wait()
    await asyncio.sleep(0)
    session.leave()
    await session.ended()
    assert told == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
    assert (ended(app, "ok"), session.closed) == (1, None)


async def test_an_application_that_raises_because_its_client_left_has_not_failed(
    app: Application, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await accept(send)
        await receive()
        raise WebSocketDisconnect(1006)

    stage.handler = handler
    session = Session(app, "/").start()
    await stage.entered.wait()
    await asyncio.sleep(0)
    session.leave()
    with caplog.at_level(logging.ERROR):
        await session.ended()
    assert (ended(app, "client_gone"), caplog.text) == (1, "")


async def test_an_application_that_does_something_else_is_cancelled_at_once(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await accept(send)
        await asyncio.Event().wait()

    stage.handler = handler
    session = Session(app, "/").start()
    await stage.entered.wait()
    started = asyncio.get_running_loop().time()
    session.leave()
    await session.ended()
    assert (ended(app, "client_gone"), stage.left.is_set()) == (1, True)
    assert asyncio.get_running_loop().time() - started < 0.5  # well within the grace of one that listens


async def test_an_application_that_does_not_end_when_it_was_told_is_cancelled(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await accept(send)
        await receive()
        await asyncio.Event().wait()

    stage.handler = handler
    session = Session(app, "/").start()
    await stage.entered.wait()
    await asyncio.sleep(0)
    session.leave()
    await session.ended()
    assert ended(app, "client_gone") == 1


@pytest.mark.parametrize(("error", "code"), [(RuntimeError("the secret is 4711"), 1011), (Busy(), 1011)])
async def test_a_failure_is_a_close_code(app: Application, stage: Stage, error: Exception, code: int) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await accept(send)
        raise error

    stage.handler = handler
    session = await Session(app, "/").start().ended()
    assert session.closed is not None
    assert session.closed[0] == code
    assert "4711" not in session.closed[1]
    assert (ended(app, "error"), session.raised) == (1, None)


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("the secret is 4711"), 500), (Busy(), 429), (None, 500)])
async def test_before_the_handshake_a_failure_is_its_answer(
    app: Application, stage: Stage, error: Exception | None, status: int
) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        if error is not None:
            raise error

    stage.handler = handler
    session = await Session(app, "/").start().ended()
    assert session.denial is not None
    assert session.denial[0] == status


async def test_a_refusal_of_the_application_s_own_passes(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 402, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b'{"pay": 1}'})

    stage.handler = handler
    session = await Session(app, "/").start().ended()
    assert (session.denial, ended(app, "ok")) == ((402, {"pay": 1}), 1)


async def test_a_close_before_the_handshake_is_a_refusal(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 1008})

    stage.handler = handler
    session = await Session(app, "/").start().ended()
    assert (session.closed, session.accepted) == ((1008, ""), None)


async def test_a_deadline_closes(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await accept(send)
        await asyncio.Event().wait()

    stage.handler = handler
    session = await Session(app, "/", headers={"headrace-timeout": "0.01"}).start().ended()
    assert session.closed is not None
    assert (session.closed[0], ended(app, "timeout")) == (1011, 1)


async def test_a_server_that_stops_says_that_it_restarts(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await accept(send)
        await asyncio.Event().wait()

    stage.handler = handler
    session = Session(app, "/").start()
    await stage.entered.wait()
    await asyncio.sleep(0)
    session.cancel()
    await session.ended()
    assert session.closed is not None
    assert (session.closed[0], ended(app, "shutdown")) == (1012, 1)


async def test_without_a_place_the_handshake_is_refused(stage: Stage) -> None:
    app = new_application(stage, max_concurrency=1, max_queue=0)
    async with app.runtime:
        first = Session(app, "/").start()
        await stage.entered.wait()
        refused = await Session(app, "/").start().ended()
        assert refused.denial is not None
        assert refused.denial[0] == 503
        first.leave()
        await first.ended()


async def test_a_message_to_a_client_that_is_gone_fails_as_asgi_says(app: Application, stage: Stage) -> None:
    raised: list[type[BaseException]] = []
    gone = asyncio.Event()

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await accept(send)
        receiving = asyncio.create_task(receive())
        await gone.wait()
        try:
            await send({"type": "websocket.send", "text": "hello"})
        except OSError as error:
            raised.append(type(error))
        await receiving

    stage.handler = handler
    session = Session(app, "/").start()
    await stage.entered.wait()
    await asyncio.sleep(0)
    session.leave()
    gone.set()
    await session.ended()
    assert raised == [ConnectionAbortedError]
