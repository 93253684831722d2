"""The ASGI application: who answers, how it starts without help, and the protocols around it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgi import Call, Lifespan, ask, assert_nothing_left, post, total
from sessions import talk

from headrace.config import Settings
from headrace.server.app import Application
from headrace.services.decorators import endpoint, service


@service
class Slow:
    """Starts when it is told to."""

    def __init__(self, go_on: asyncio.Event, log: list[str], fails: list[Exception]) -> None:
        self._go_on, self._log, self._fails = go_on, log, fails
        log.append("made")

    async def on_start(self) -> None:
        self._log.append("starts")
        await self._go_on.wait()
        if self._fails:
            raise self._fails.pop()
        self._log.append("started")

    async def on_stop(self) -> None:
        self._log.append("stopped")

    @endpoint
    async def say(self) -> AsyncIterator[str]:
        yield "hello"


class Start:
    """A `Slow`, and what happened to it."""

    def __init__(self, *fails: Exception, ready: bool = True, **settings: Any) -> None:
        self.go_on = asyncio.Event()
        self.log: list[str] = []
        if ready:
            self.go_on.set()
        self.app = Application(Slow.bind(self.go_on, self.log, list(fails)), Settings(**settings))

    async def begun(self) -> None:
        while "starts" not in self.log:
            await asyncio.sleep(0)


# -- lifespan


async def test_the_lifespan_starts_and_stops_the_service() -> None:
    start = Start()
    lifespan = Lifespan(start.app)
    assert await lifespan.startup() == {"type": "lifespan.startup.complete"}
    assert start.log == ["made", "starts", "started"]
    assert (await post(start.app, "/say", {})).body == b"hello"
    assert await lifespan.shutdown() == {"type": "lifespan.shutdown.complete"}
    assert start.log == ["made", "starts", "started", "stopped"]
    await assert_nothing_left(start.app)


async def test_a_start_that_fails_is_told_to_the_server(caplog: pytest.LogCaptureFixture) -> None:
    start = Start(RuntimeError("no model"))
    message = await Lifespan(start.app).startup()
    assert message == {
        "type": "lifespan.startup.failed",
        "message": "Slow could not be started: RuntimeError: no model",
    }
    assert [record.message for record in caplog.records] == ["Slow could not be started: RuntimeError: no model"]
    assert "stopped" not in start.log


async def test_a_lifespan_that_is_cancelled_stops_the_service() -> None:
    start = Start()
    lifespan = Lifespan(start.app)
    await lifespan.startup()
    assert lifespan.task is not None
    lifespan.task.cancel()
    await asyncio.wait((lifespan.task,))
    assert start.log[-1] == "stopped"


async def test_a_second_lifespan_starts_the_service_again() -> None:
    start = Start()
    for _ in range(2):
        lifespan = Lifespan(start.app)
        await lifespan.startup()
        assert (await ask(start.app, "GET", "/readyz")).status == 200
        await lifespan.shutdown()
    assert start.log == ["made", "starts", "started", "stopped"] * 2


# -- without a lifespan


async def test_without_a_lifespan_the_first_request_starts_the_service_for_all() -> None:
    start = Start(ready=False)
    calls = [Call(start.app, "POST", "/say", arguments={}).start() for _ in range(3)]
    await start.begun()
    start.go_on.set()
    assert [(await call.ended()).body for call in calls] == [b"hello", b"hello", b"hello"]
    assert start.log == ["made", "starts", "started"]
    await assert_nothing_left(start.app)


async def test_a_request_that_is_given_up_does_not_stop_the_start() -> None:
    start = Start(ready=False)
    first = Call(start.app, "POST", "/say", arguments={}).start()
    await start.begun()
    first.cancel()
    await first.ended()
    start.go_on.set()
    assert (await post(start.app, "/say", {})).body == b"hello"
    assert start.log == ["made", "starts", "started"]
    await assert_nothing_left(start.app)


async def test_a_start_that_fails_answers_everybody_once_and_the_next_request_tries_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    start = Start(RuntimeError("the secret is 4711"), ready=False)
    calls = [Call(start.app, "POST", "/say", arguments={}).start() for _ in range(3)]
    await start.begun()
    start.go_on.set()
    for call in calls:
        await call.ended()
        assert (call.status, call.document["code"], b"4711" in call.body) == (500, "internal", False)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert (await post(start.app, "/say", {})).body == b"hello"
    await assert_nothing_left(start.app)


async def test_who_has_no_key_does_not_start_the_service() -> None:
    start = Start(api_key=("k",))
    assert (await post(start.app, "/say", {})).status == 401
    assert start.log == []


# -- other protocols


async def test_the_first_websocket_starts_the_service() -> None:
    start = Start()
    session = await talk(start.app, "/say")
    assert (session.said, session.closed, session.raised) == (["hello"], (1000, ""), None)
    assert start.log == ["made", "starts", "started"]
    await assert_nothing_left(start.app)


async def test_a_websocket_of_a_service_that_cannot_start_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    start = Start(RuntimeError("the secret is 4711"))
    session = await talk(start.app, "/say")
    assert session.denial is not None
    assert (session.denial[0], session.denial[1]["code"], session.accepted) == (500, "internal", None)
    assert "4711" not in str(session.denial)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    await assert_nothing_left(start.app)


async def test_a_websocket_without_the_key_does_not_start_the_service() -> None:
    start = Start(api_key=("k",))
    session = await talk(start.app, "/say")
    assert session.denial is not None
    assert (session.denial[0], start.log) == (401, [])


async def test_a_protocol_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="'gopher'"):
        await Start().app({"type": "gopher"}, asyncio.Queue().get, asyncio.Queue().put)


# -- refusals


async def test_an_unknown_path_is_404_and_names_what_there_is(app: Application) -> None:
    call = await ask(app, "GET", "/cuont")
    assert (call.status, call.document["detail"]) == (404, "there is nothing at this path. Did you mean /count?")
    call = await ask(app, "GET", "/")
    assert call.document["detail"].startswith(
        "there is nothing at this path. Desk answers at GET /count, POST /wait, POST /fail, POST /add"
    )


async def test_below_a_mount_the_paths_are_those_that_a_client_types(app: Application) -> None:
    call = await ask(app, "GET", "/desk/cuont", root_path="/desk")
    assert call.document["detail"] == "there is nothing at this path. Did you mean /desk/count?"
    call = await ask(app, "GET", "/desk/add", root_path="/desk")
    assert call.document["detail"].startswith("HR14 /desk/add takes POST, not GET: curl -N http://127.0.0.1:8000/desk/")
    assert (await ask(app, "GET", "/desk/count?to=1", root_path="/desk")).body == b"0 "


async def test_a_wrong_method_is_405_with_what_is_allowed(app: Application) -> None:
    call = await ask(app, "DELETE", "/count")
    assert (call.status, call.headers["allow"]) == (405, "GET, POST")
    assert (await ask(app, "HEAD", "/count")).status == 405
    assert (await ask(app, "X" * 10_000, "/count")).status == 405


async def test_no_refusal_is_large(app: Application) -> None:
    calls = [
        await ask(app, "GET", "/" + "x" * 60_000),
        await ask(app, "Y" * 60_000, "/count"),
        await ask(app, "POST", "/count", headers={"accept": "image/png, " * 6_000}),
        await ask(app, "POST", "/count", pieces=[b"x"], headers={"content-type": "x" * 60_000}),
        await ask(app, "POST", "/count", headers={"content-encoding": "x" * 60_000}),
        await ask(app, "POST", "/count", headers={"headrace-timeout": "x" * 60_000}),
        await post(app, "/count", {"x" * 60_000: 1}),
        await ask(app, "OPTIONS", "/count", headers={"access-control-request-method": "PUT", "origin": "x" * 60_000}),
    ]
    assert [call.status for call in calls] == [404, 405, 406, 415, 415, 400, 422, 405]
    for call in calls:
        assert len(call.body) < 1500
        assert call.document["status"] == call.status
        assert call.headers["content-type"] == "application/problem+json"


async def test_a_preflight_is_answered_for_allowed_origins_only(new_app: Any) -> None:
    app = new_app(cors_origin=("https://page.example",), api_key=("k",))
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    call = await ask(app, "OPTIONS", "/add", headers={**preflight, "origin": "https://page.example"})
    assert (call.status, call.headers["access-control-allow-origin"]) == (200, "https://page.example")
    call = await ask(app, "OPTIONS", "/add", headers={**preflight, "origin": "https://evil.example"})
    assert call.status == 400
    assert "access-control-allow-origin" not in call.headers


async def test_a_server_that_fails_in_our_own_code_answers_500(
    app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    call = await ask(app, "GET", "/add", headers={"x-request-id": "r-1"}, server=("too", "many", "parts"))
    assert (call.status, call.document["code"], call.raised) == (500, "internal", None)
    assert "a request failed outside the user's code (request r-1)" in caplog.messages


async def test_a_send_that_fails_after_the_head_leaves_the_application(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={"first": 1}).start()
    await call.await_text(b"0 ")
    call.break_send(RuntimeError("the server stumbled"))
    desk.go_on.set()
    await call.ended()
    assert call.raised is not None
    assert not call.complete


async def test_refusals_are_logged_without_the_query(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "headrace.access"):
        await ask(app, "GET", "/nothing?token=s3cret")
    assert caplog.messages == ["GET /nothing 404 not_found"]


# -- the share of a caller


async def test_a_key_has_its_share_and_another_key_its_own(new_app: Any) -> None:
    app = new_app(api_key=("a", "b"), key_concurrency=1)
    async with app.runtime:
        first = Call(app, "POST", "/wait", arguments={"first": 1}, headers={"x-api-key": "a"}).start()
        await first.await_text(b"0 ")
        refused = Call(app, "POST", "/count", arguments={"to": 1}, headers={"authorization": "Bearer a"}).start()
        await refused.ended()
        assert (refused.status, refused.document["code"], refused.received) == (429, "rate_limited", 0)
        assert refused.headers["retry-after"] == "1"
        assert (await post(app, "/count", {"to": 1}, x_api_key="b")).body == b"0 "
        first.leave()
        await first.ended()
        assert (await post(app, "/count", {"to": 1}, x_api_key="a")).body == b"0 "
        await assert_nothing_left(app)
    assert total(app, "headrace_rejected_total", reason="rate_limited") == 1
    assert total(app, "headrace_streams_total", endpoint="Desk.count", end="rejected") == 1


async def test_without_keys_the_share_is_that_of_an_address(new_app: Any) -> None:
    app = new_app(key_rate=0.001, key_burst=2)
    async with app.runtime:
        statuses = [
            (await ask(app, "GET", "/count", client=(address, port))).status
            for port, address in enumerate(["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"])
        ]
        assert statuses == [200, 200, 429, 200]
        assert (await ask(app, "GET", "/count", client=None)).status == 200
        assert [(await ask(app, "GET", "/livez")).status for _ in range(5)] == [200] * 5
        await assert_nothing_left(app)


async def test_a_request_that_waits_counts_for_the_share_and_a_refused_one_does_not(new_app: Any) -> None:
    app = new_app(max_concurrency=1, max_queue=1, key_concurrency=2)
    async with app.runtime:
        first = Call(app, "POST", "/wait", arguments={"first": 1}, client=("192.0.2.1", 1)).start()
        await first.await_text(b"0 ")
        waits = Call(app, "POST", "/wait", arguments={"first": 1}, client=("192.0.2.1", 2)).start()
        while not app.runtime.places.waiting:
            await asyncio.sleep(0)
        assert (await post(app, "/count", {})).status == 503
        assert (await ask(app, "POST", "/count", arguments={}, client=("192.0.2.1", 3))).status == 429
        assert (await ask(app, "POST", "/count", pieces=[b"x"], client=("192.0.2.1", 3))).status == 415
        waits.leave()
        first.leave()
        await waits.ended()
        await first.ended()
        assert (await ask(app, "POST", "/count", arguments={"to": 1}, client=("192.0.2.1", 4))).body == b"0 "
        await assert_nothing_left(app)


# -- named parts of a path


async def test_parts_of_the_path_become_arguments(new_app: Any) -> None:
    @service
    class Book:
        @endpoint(path="/books/{book}", methods=("GET", "POST"))
        async def read(self, book: str, page: int = 1) -> str:
            return f"{book} {page}"

        @endpoint(path="/books/{book}/scan", methods=("PUT",))
        async def scan(self, book: str, data: bytes, page: int = 1) -> str:
            return f"{book} {page} {data!r}"

        @endpoint(path="/books/new")
        async def new(self) -> str:
            return "new"

    app = new_app(Book)
    async with app.runtime:
        assert (await ask(app, "GET", "/books/a b?page=2")).body == b"a b 2"
        assert (await post(app, "/books/%2F", {"page": 3})).body == b"%2F 3"
        assert (await post(app, "/books/new", {})).body == b"new"
        assert (await ask(app, "PUT", "/books/a/scan?page=2", pieces=[b"x"])).body == b"a 2 b'x'"
        assert total(app, "headrace_streams_total", endpoint="Book.read", end="ok") == 2
        wrong = await ask(app, "DELETE", "/books/a")
        assert (wrong.status, wrong.headers["allow"]) == (405, "GET, POST")
        assert wrong.document["detail"].startswith("HR14 /books/{book} takes GET or POST, not DELETE: curl -N ")
        twice = await post(app, "/books/a", {"book": "b"})
        assert (twice.status, twice.document["errors"][0]["pointer"]) == (422, "/book")
        for path in ("/books/", "/books/a/b", "/book/a"):
            missing = await post(app, path, {})
            assert (missing.status, "Did you mean" in missing.document["detail"]) == (404, True)


async def test_a_pattern_takes_no_path_of_the_server_itself(new_app: Any) -> None:
    @service
    class Everything:
        @endpoint(path="/{anything:path}", methods=("GET", "DELETE"))
        async def read(self, anything: str) -> str:
            return anything

    app = new_app(Everything)
    async with app.runtime:
        assert (await ask(app, "GET", "/a/b")).body == b"a/b"
        assert (await ask(app, "GET", "/livez")).document == {"status": "live"}
        assert (await ask(app, "GET", "/openapi.json")).document["info"]["title"] == "Everything"
        assert (await ask(app, "DELETE", "/streams/s_1")).document["detail"] == "no stream with this id runs here"
