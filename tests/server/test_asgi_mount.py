"""One HTTP request to a mounted application, and everything that can happen in between; in memory."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgi import Call, ask, total
from starlette.requests import ClientDisconnect

from headrace.config import Settings
from headrace.errors import StreamError
from headrace.server.app import Application
from headrace.server.response import ResponseAborted
from headrace.services.context import context
from headrace.services.decorators import asgi_app, endpoint, service

Handler = Callable[[Any, Any, Any], Awaitable[None]]
PLAIN = [(b"content-type", b"text/plain")]


class Busy(StreamError):
    """All slots are taken."""

    code = "busy"
    status = 429


class Stage:
    """A bare application whose only route the test writes; what it is called with is in `scopes`."""

    def __init__(self) -> None:
        self.handler: Handler = answer
        self.scopes: list[Any] = []
        self.entered = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["model"] = "tiny"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.scopes.append(scope)
        self.entered.set()
        try:
            await self.handler(scope, receive, send)
        finally:
            self.left.set()


def head(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [*PLAIN, *headers]}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send(head())
    await send(body(b"done"))


def new_application(stage: Stage, path: str = "/", **settings: Any) -> Application:
    @asgi_app(stage, path=path)
    @service
    class Poet:
        @endpoint
        async def write(self) -> str:
            return "endpoint"

    return Application(Poet, Settings(**settings))


@pytest.fixture
async def stage() -> Stage:
    return Stage()


@pytest.fixture
async def app(stage: Stage) -> AsyncIterator[Application]:
    application = new_application(stage)
    async with application.runtime:
        yield application
        await settled(application)


async def settled(application: Application) -> None:
    """Nothing is left of any request; the task of the lifespan goes on."""
    lifespans = {each._task for each in application.runtime._lifespans.values()}
    for task in asyncio.all_tasks() - lifespans - {asyncio.current_task()}:
        async with asyncio.timeout(5):
            await asyncio.wait((task,))
    runtime = application.runtime
    assert (runtime.places.running, runtime.places.waiting, runtime.live) == (0, 0, {})
    assert total(application, "headrace_streams_total") == total(application, "headrace_streams_started_total")


def ended(app: Application, how: str) -> float:
    return total(app, "headrace_streams_total", endpoint="Poet.app /", end=how)


# -- who answers


async def test_the_application_answers_what_is_nobody_else_s(app: Application) -> None:
    assert (await ask(app, "GET", "/any/path")).body == b"done"
    assert (await ask(app, "POST", "/write", arguments={})).body == b"endpoint"
    assert (await ask(app, "GET", "/livez")).document == {"status": "live"}
    assert (await ask(app, "GET", "/write")).status == 405
    assert (await ask(app, "GET", "/openapi.json")).document["info"]["title"] == "Poet"


async def test_below_a_path_the_application_knows_its_root(stage: Stage) -> None:
    app = new_application(stage, "/a")
    async with app.runtime:
        assert (await ask(app, "GET", "/a/x", root_path="/poet")).status == 200
        assert (await ask(app, "GET", "/poet/a/x", root_path="/poet")).status == 200
        assert (await ask(app, "GET", "/poet/b", root_path="/poet")).status == 404
    assert [(scope["path"], scope["root_path"]) for scope in stage.scopes] == [("/poet/a/x", "/poet/a")] * 2


async def test_the_scope_has_the_state_of_the_lifespan_and_nothing_of_a_framework_around(
    app: Application, stage: Stage
) -> None:
    await ask(app, "GET", "/", state={"mine": 1}, router="theirs", path_params={"a": "b"}, user="me")
    (scope,) = stage.scopes
    assert scope["state"] == {"mine": 1, "model": "tiny"}
    assert {"router", "path_params"} & scope.keys() == set()
    assert scope["user"] == "me"


# -- the head and the body


async def test_the_answer_passes_and_its_head_gets_two_names(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send(head(203, (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")))
        await send(body(b"one ", more=True))
        await send(body(b"", more=True))
        await send(body(b"two"))

    stage.handler = handler
    call = await ask(app, "GET", "/", headers={"x-request-id": "mine"})
    assert (call.status, call.body, call.complete) == (203, b"one two", True)
    names = [name for name, _ in call.messages[0]["headers"]]
    assert names == [b"content-type", b"set-cookie", b"set-cookie", b"x-request-id", b"headrace-stream-id"]
    assert call.headers["x-request-id"] == "mine"
    assert [message.get("body") for message in call.messages[1:]] == [b"one ", b"two"]
    assert total(app, "headrace_items_total", endpoint="Poet.app /") == 2


async def test_names_that_the_application_gives_itself_stay(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send(head(200, (b"x-request-id", b"its own")))
        await send(body(b""))

    stage.handler = handler
    call = await ask(app, "GET", "/", headers={"x-request-id": "mine"})
    assert [value for name, value in call.messages[0]["headers"] if name == b"x-request-id"] == [b"its own"]


async def test_the_code_knows_the_request_and_the_instance(app: Application, stage: Stage) -> None:
    seen = []

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        seen.append((context.request_id, context.remaining, context.stream_id in app.runtime.live))
        await answer(scope, receive, send)

    stage.handler = handler
    await ask(app, "GET", "/", headers={"x-request-id": "mine", "headrace-timeout": "30"})
    ((request_id, remaining, live),) = seen
    assert (request_id, live) == ("mine", True)
    assert 29 < remaining <= 30


async def test_the_head_waits_for_the_body_but_not_longer_than_a_heartbeat(stage: Stage) -> None:
    go_on = asyncio.Event()

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        await go_on.wait()
        await send(body(b"late"))

    stage.handler = handler
    app = new_application(stage, heartbeat=0.01)
    async with app.runtime:
        call = Call(app).start()
        async with asyncio.timeout(5):
            while call.status is None:
                await asyncio.sleep(0)
        go_on.set()
        await call.ended()
        assert (call.status, call.body) == (200, b"late")


# -- the body of the request


async def test_the_application_reads_the_body_and_then_the_end_of_the_exchange(app: Application, stage: Stage) -> None:
    read = []

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            read.append((message["type"], message.get("body")))
        await answer(scope, receive, send)
        read.append(((await receive())["type"], None))

    stage.handler = handler
    await ask(app, "POST", "/", pieces=[b"one", b"two"])
    assert b"".join(data for _, data in read if data) == b"onetwo"
    assert read[-1] == ("http.disconnect", None)


async def test_two_tasks_may_receive_at_once(app: Application, stage: Stage) -> None:
    read: list[Any] = []

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        tasks = [asyncio.create_task(receive()) for _ in range(2)]
        await asyncio.sleep(0)
        call.send(b"one", last=True)
        read.extend([(await task)["body"] for task in tasks])
        await answer(scope, receive, send)

    stage.handler = handler
    call = Call(app, "POST", pieces=[], unfinished=True, headers={"transfer-encoding": "chunked"})
    await call.start().ended()
    assert (read, call.body) == ([b"one", b""], b"done")


async def test_the_end_of_the_exchange_is_told_after_the_last_message_is_through(
    app: Application, stage: Stage
) -> None:
    heard: list[bool] = []

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        listening = asyncio.create_task(receive())
        await send(head())
        sending = asyncio.create_task(send(body(b"done")))
        for _ in range(10):
            await asyncio.sleep(0)
        heard.append(listening.done())
        call.unblock()
        await sending
        assert (await listening)["type"] == "http.disconnect"

    stage.handler = handler
    call = Call(app)
    call.block()
    await call.start().ended()
    assert (heard, call.body, ended(app, "ok")) == ([False], b"done", 1)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused(stage: Stage, announced: bool) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await answer(scope, receive, send)

    stage.handler = handler
    app = new_application(stage, max_body=10)
    async with app.runtime:
        headers = {"content-length": "12"} if announced else {"transfer-encoding": "chunked"}
        version = "1.1" if announced else "2"
        call = await ask(app, "POST", "/", pieces=[b"x" * 6, b"x" * 6], headers=headers, http_version=version)
        assert (call.status, call.document["code"]) == (413, "body_too_large")
        await settled(app)


async def test_a_body_that_halts_is_refused(stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass

    stage.handler = handler
    app = new_application(stage, body_timeout=0.01)
    async with app.runtime:
        call = await ask(app, "POST", "/", pieces=[b"x"], unfinished=True)
        assert (call.status, call.document["code"]) == (408, "request_timeout")


# -- endings


async def test_a_client_that_leaves_cancels_the_application(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        await send(body(b"one", more=True))
        await asyncio.Event().wait()

    stage.handler = handler
    call = Call(app).start()
    await call.await_text(b"one")
    call.leave()
    await call.ended()
    assert stage.left.is_set()
    assert (ended(app, "client_gone"), call.raised, call.complete) == (1, None, False)


async def test_an_application_that_ends_by_itself_when_its_client_leaves_is_no_failure(
    app: Application, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        raise ClientDisconnect

    stage.handler = handler
    call = Call(app, "POST", pieces=[b"x"], unfinished=True).start()
    await stage.entered.wait()
    call.leave()
    with caplog.at_level(logging.ERROR):
        await call.ended()
    assert (ended(app, "client_gone"), caplog.text) == (1, "")


async def test_what_goes_on_after_the_answer_outlives_the_client(app: Application, stage: Stage) -> None:
    go_on = asyncio.Event()

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await answer(scope, receive, send)
        await go_on.wait()

    stage.handler = handler
    call = Call(app).start()
    await call.await_text(b"done")
    call.leave()
    await asyncio.sleep(0)
    assert not stage.left.is_set()
    go_on.set()
    await call.ended()
    assert ended(app, "ok") == 1


async def test_a_failure_before_the_body_is_a_status(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        raise RuntimeError("the secret is 4711")

    stage.handler = handler
    call = await ask(app, "GET", "/")
    assert (call.status, call.document["code"], ended(app, "error")) == (500, "internal", 1)
    assert b"4711" not in call.body


async def test_a_failure_in_the_body_is_a_cut(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        await send(body(b"one", more=True))
        raise RuntimeError("the secret is 4711")

    stage.handler = handler
    call = await ask(app, "GET", "/")
    assert (call.body, call.complete, ended(app, "error")) == (b"one", False, 1)
    assert isinstance(call.raised, ResponseAborted)


@pytest.mark.parametrize("sent", [[], [head()], [head(), body(b"one", more=True)]])
async def test_an_application_that_returns_early_has_failed(
    app: Application, stage: Stage, sent: list[dict[str, Any]]
) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        for message in sent:
            await send(message)

    stage.handler = handler
    call = await ask(app, "GET", "/")
    assert ended(app, "error") == 1
    assert call.status == (200 if len(sent) == 2 else 500)
    assert call.complete is (len(sent) < 2)


async def failed_whole(send: Any, error: Exception) -> None:
    """What Starlette does with an exception."""
    await send(head(500))
    await send(body(b"Internal Server Error"))
    raise error


async def test_the_framework_s_500_is_told_where_the_error_is_none_of_ours(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await failed_whole(send, RuntimeError("the secret is 4711"))

    stage.handler = handler
    call = await ask(app, "GET", "/")
    assert (call.status, call.body, call.complete, call.raised) == (500, b"Internal Server Error", True, None)
    assert ended(app, "error") == 1


async def test_an_error_of_our_tree_is_told_in_the_place_of_the_framework_s_500(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await failed_whole(send, Busy())

    stage.handler = handler
    call = await ask(app, "GET", "/")
    assert (call.status, call.document["code"]) == (429, "busy")


async def test_a_500_that_the_application_means_is_an_answer(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send(head(500))
        await send(body(b"sorry"))

    stage.handler = handler
    call = await ask(app, "GET", "/")
    assert (call.status, call.body, ended(app, "ok")) == (500, b"sorry", 1)


async def test_a_failure_after_the_answer_leaves_it_whole(
    app: Application, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await answer(scope, receive, send)
        raise RuntimeError("in the background")

    stage.handler = handler
    with caplog.at_level(logging.ERROR):
        call = await ask(app, "GET", "/")
    assert (call.body, call.complete, call.raised) == (b"done", True, None)
    assert "in the background" in caplog.text


async def test_a_deadline_is_a_status_before_the_body(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    stage.handler = handler
    call = await ask(app, "GET", "/", headers={"headrace-timeout": "0.01"})
    assert (call.status, call.document["code"], ended(app, "timeout")) == (504, "deadline_exceeded", 1)


async def test_a_server_that_stops_cuts_what_still_runs(app: Application, stage: Stage) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        await send(body(b"one", more=True))
        await asyncio.Event().wait()

    stage.handler = handler
    call = Call(app).start()
    await call.await_text(b"one")
    call.cancel()
    await call.ended()
    assert (call.complete, ended(app, "shutdown")) == (False, 1)


async def test_there_is_a_place_for_each_request_or_a_refusal(stage: Stage) -> None:
    go_on = asyncio.Event()

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await answer(scope, receive, send)

    stage.handler = handler
    app = new_application(stage, max_concurrency=1, max_queue=0)
    async with app.runtime:
        first = Call(app).start()
        await stage.entered.wait()
        refused = await ask(app, "GET", "/")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        go_on.set()
        await first.ended()
        assert (len(stage.scopes), ended(app, "rejected"), ended(app, "ok")) == (1, 1, 1)
        await settled(app)


async def test_a_message_to_a_client_that_is_gone_fails_as_asgi_says(app: Application, stage: Stage) -> None:
    raised: list[type[BaseException]] = []

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        try:
            await send(body(b"one", more=True))
        except OSError as error:
            raised.append(type(error))
            raise

    stage.handler = handler
    call = Call(app)
    call.break_send(ConnectionResetError())
    await call.start().ended()
    assert (raised, ended(app, "client_gone")) == ([ConnectionAbortedError], 1)
