"""An endpoint that speaks another API, over ASGI in memory: every answer and every error is the API's own."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgi import Call, ask, assert_nothing_left, post, total
from sessions import talk
from shouting import Shouts

from headrace.server.app import Application
from headrace.services.decorators import service

NewApp = Any


@pytest.fixture
async def app(new_app: NewApp) -> AsyncIterator[Application]:
    """The shouts, started. Nothing of any exchange is left when the test is over."""
    application = new_app(Shouts)
    async with application.runtime:
        yield application
        await assert_nothing_left(application)


@pytest.fixture
def shouts(app: Application) -> Any:
    return app.runtime.instance


# -- answers


async def test_a_stream_is_answered_in_the_dialect(app: Application) -> None:
    answer = await post(app, "/shout", {"say": "it rains"})
    assert (answer.status, answer.body, answer.complete) == (200, b"+ IT\n+ RAINS\n.\n", True)
    assert total(app, "headrace_streams_total", end="ok", endpoint="Shouts.shout") == 1
    assert total(app, "headrace_items_total", endpoint="Shouts.shout") == 2


async def test_it_has_the_headers_of_every_stream(app: Application) -> None:
    headers = (await post(app, "/shout", {"say": "a"}, x_request_id="r-1")).headers
    assert headers.pop("headrace-stream-id").startswith("s_")
    assert headers.pop("server-timing").startswith("first_item;dur=")
    assert headers == {
        "content-type": "text/shout; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "x-request-id": "r-1",
    }


@pytest.mark.parametrize("accept", ["image/png", "text/event-stream", "application/json", "*/*", "nonsense"])
async def test_accept_makes_no_difference(app: Application, accept: str) -> None:
    answer = await post(app, "/shout", {"say": "a"}, accept=accept)
    assert (answer.status, answer.body) == (200, b"+ A\n.\n")


async def test_what_is_asked_for_gathers(app: Application) -> None:
    answer = await post(app, "/shout", {"say": "it rains", "whole": True}, accept="text/event-stream")
    assert (answer.status, answer.document) == (200, {"said": "IT RAINS"})
    assert (answer.headers["content-type"], answer.headers["content-length"]) == ("application/json", "20")


async def test_a_method_that_returns_answers_once(app: Application) -> None:
    answer = await ask(app, "GET", "/voices/alto")
    assert (answer.status, answer.document) == (200, {"said": "ALTO"})


async def test_a_request_without_a_body_can_be_a_stream(app: Application) -> None:
    answer = await ask(app, "DELETE", "/voices/alto/last")
    assert (answer.status, answer.body) == (200, b"+ ALTO\n.\n")


async def test_other_endpoints_of_the_service_speak_as_before(app: Application) -> None:
    assert (await post(app, "/whisper", {"say": "it rains"})).body == b"itrains"
    wrong = await post(app, "/whisper", {"say": 5})
    assert (wrong.status, wrong.headers["content-type"]) == (422, "application/problem+json")


# -- errors before the head


@pytest.mark.parametrize(
    ("say", "status", "oops"),
    [
        ("busy", 429, "somebody shouts"),
        ("pause busy", 429, "somebody shouts"),
        ("crash", 500, "The service failed; the reason is in its log."),
        ("pause crash", 500, "The service failed; the reason is in its log."),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
async def test_a_failure_before_anything_is_written_is_a_status(
    app: Application, say: str, status: int, oops: str, whole: bool
) -> None:
    answer = await post(app, "/shout", {"say": say, "whole": whole}, x_request_id="r-1")
    assert (answer.status, answer.document, answer.complete) == (status, {"oops": oops}, True)
    assert (answer.headers["content-type"], answer.headers["x-request-id"]) == ("application/json", "r-1")
    assert answer.headers["x-shout"] == "r-1"
    assert answer.headers.get("retry-after") == ("7" if status == 429 else None)


async def test_a_gathered_answer_that_fails_later_is_a_status_too(app: Application) -> None:
    answer = await post(app, "/shout", {"say": "a b busy", "whole": True})
    assert (answer.status, answer.document) == (429, {"oops": "somebody shouts"})


async def test_arguments_that_the_dialect_refuses_are_told_by_it(app: Application, shouts: Any) -> None:
    answer = await post(app, "/shout", {"say": 5})
    assert (answer.status, answer.document) == (400, {"oops": "say must be a text"})
    broken = await ask(app, "POST", "/shout", pieces=[b"{"], headers={"content-type": "application/json"})
    assert (broken.status, broken.document["oops"][:8]) == (400, "not JSON")
    assert shouts.calls == []
    assert total(app, "headrace_rejected_total", reason="invalid_arguments") == 1


async def test_what_a_method_says_of_the_path_is_told_in_the_dialect(app: Application) -> None:
    answer = await ask(app, "GET", "/voices/falsetto")
    assert (answer.status, answer.document) == (404, {"oops": "there is no voice falsetto"})


async def test_what_the_head_forbids_is_told_in_the_dialect(app: Application, shouts: Any) -> None:
    async def refused(method: str = "POST", **options: Any) -> tuple[int | None, str]:
        answer = await ask(app, method, "/shout", **options)
        return answer.status, answer.document["oops"]

    json = {"content-type": "application/json"}
    assert (await refused("GET"))[0] == 405
    assert (await refused(pieces=[b"{}"], headers={"content-type": "text/plain"}))[0] == 415
    assert (await refused(pieces=[b"{}"], headers={**json, "content-encoding": "gzip"}))[0] == 415
    assert (await refused(pieces=[b"x"], headers={**json, "content-length": "99999999999"}))[0] == 413
    assert (await refused(arguments={"say": "a"}, headers={"host": "evil.example"}))[0] == 403
    assert (await refused(arguments={"say": "a"}, headers={"headrace-timeout": "soon"}))[0] == 400
    assert (await refused(pieces=[b"say=a"], headers={"origin": "http://evil.example"}))[0] == 415
    assert shouts.calls == []


async def test_a_body_that_grows_too_large_is_told_in_the_dialect(new_app: NewApp) -> None:
    app = new_app(Shouts, max_body=1000)
    async with app.runtime:
        json = {"content-type": "application/json", "transfer-encoding": "chunked"}
        answer = await ask(app, "POST", "/shout", pieces=[b'{"say": "', b"a" * 1000, b'"}'], headers=json)
        assert (answer.status, list(answer.document)) == (413, ["oops"])


async def test_a_wrong_method_is_told_with_the_one_that_works(app: Application) -> None:
    answer = await ask(app, "GET", "/shout")
    assert answer.headers["allow"] == "POST"
    line = 'curl -N http://127.0.0.1:8000/shout --json \'{"say": "text"}\''
    assert answer.document["oops"] == f"HR14 /shout takes POST, not GET: {line}"


async def test_values_that_the_service_knows_to_work_stand_in_the_line(new_app: NewApp) -> None:
    @service
    class Known(Shouts):
        @property
        def example_arguments(self) -> dict[str, str]:
            return {"say": "it rains", "voice": "alto"}

    app = new_app(Known)
    async with app.runtime:
        answer = await ask(app, "GET", "/shout")
        line = 'curl -N http://127.0.0.1:8000/shout --json \'{"say": "it rains"}\''
        assert answer.document["oops"].endswith(f": {line}")
        answer = await ask(app, "DELETE", "/voices/nobody")
        assert answer.document["oops"].endswith(": curl -N http://127.0.0.1:8000/voices/alto")
        answer = await ask(app, "POST", "/shout", pieces=[b"say=a"], headers={"content-type": "text/plain"})
        assert answer.document["oops"].endswith(f": {line}")


async def test_without_a_key_nothing_runs_and_the_dialect_says_so(new_app: NewApp) -> None:
    app = new_app(Shouts, api_key=("k",))
    async with app.runtime:
        for headers in ({}, {"authorization": "Bearer x"}, {"x-api-key": "x"}, {"api-key": "x"}):
            answer = await ask(app, "POST", "/shout", arguments={"say": "a"}, headers=headers)
            assert (answer.status, list(answer.document)) == (401, ["oops"])
            assert answer.headers["www-authenticate"] == "Bearer"
        assert app.runtime.instance.calls == []
        known = await ask(app, "POST", "/shout", arguments={"say": "a"}, headers={"api-key": "k"})
        assert (known.status, app.runtime.instance.calls) == (200, ["a"])


async def test_no_place_and_too_much_are_told_in_the_dialect(new_app: NewApp) -> None:
    app = new_app(Shouts, max_concurrency=1, max_queue=0, key_rate=1.0, key_burst=2)
    async with app.runtime:
        held = Call(app, "POST", "/shout", arguments={"say": "wait"}).start()
        await app.runtime.instance.entered.wait()
        full = await post(app, "/shout", {"say": "a"})
        assert (full.status, list(full.document), full.headers["retry-after"]) == (503, ["oops"], "1")
        more = await post(app, "/shout", {"say": "a"})
        assert (more.status, list(more.document), more.headers["retry-after"]) == (429, ["oops"], "1")
        held.leave()
        await held.ended()
        assert app.runtime.instance.calls == ["wait"]


async def test_a_deadline_in_the_queue_is_told_in_the_dialect(new_app: NewApp) -> None:
    app = new_app(Shouts, max_concurrency=1)
    async with app.runtime:
        held = Call(app, "POST", "/shout", arguments={"say": "wait"}).start()
        await app.runtime.instance.entered.wait()
        late = await post(app, "/shout", {"say": "a"}, headrace_timeout="0.01")
        assert (late.status, list(late.document)) == (504, ["oops"])
        held.leave()
        await held.ended()


async def test_a_dialect_that_cannot_tell_an_error_is_made_up_for(
    app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headrace")
    answer = await post(app, "/shout", {"say": "untellable"})
    assert (answer.status, answer.headers["content-type"]) == (429, "application/problem+json")
    assert (answer.document["code"], answer.document["detail"]) == ("busy", "untellable")
    told = [record.getMessage() for record in caplog.records if record.exc_info]
    assert told == ["Shouting cannot tell Busy"]


async def test_the_log_has_the_status_that_the_client_has(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headrace.access")
    await post(app, "/shout", {"say": 5})
    await ask(app, "GET", "/shout")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].endswith(" 400 invalid_arguments")
    assert lines[1:] == ["GET /shout 405 method_not_allowed"]


async def test_a_path_that_is_near_is_named(app: Application) -> None:
    near = await ask(app, "GET", "/voice/alto")
    assert near.document["detail"] == "there is nothing at this path. Did you mean /voices/{voice}?"
    far = await ask(app, "GET", "/completely/elsewhere/than/that")
    assert far.document["detail"] == (
        "there is nothing at this path. Shouts answers at POST /shout, GET /voices/{voice}, "
        "DELETE /voices/{voice}/last, GET /books/{book:path}/pages/{page}, POST /whisper"
    )


async def test_a_websocket_is_refused_in_the_dialect(app: Application, shouts: Any) -> None:
    session = await talk(app, "/shout", '{"say": "a"}')
    assert session.accepted is None
    assert session.denial is not None
    status, document = session.denial
    assert (status, document["oops"][:53]) == (405, "HR14 Shouts.shout speaks an API that has no WebSocket")
    assert shouts.calls == []
    assert (await talk(app, "/whisper", '{"say": "a"}')).said == ["a"]


# -- errors after the head


@pytest.mark.parametrize(
    ("say", "message"),
    [
        ("a busy", "somebody shouts"),
        ("a crash", "The service failed; the reason is in its log."),
        ("a last", "not the last one"),
    ],
)
async def test_a_failure_in_the_stream_is_told_in_the_dialect(app: Application, say: str, message: str) -> None:
    answer = await post(app, "/shout", {"say": say})
    items, _, failure = answer.body.decode().rpartition("! ")
    assert (answer.status, items[:4], failure) == (200, "+ A\n", message + "\n")
    assert (answer.complete, answer.raised) == (True, None)
    assert total(app, "headrace_streams_total", end="ok") == 0


@pytest.mark.parametrize(
    ("say", "reason"),
    [
        ("a wrong", "HR08 item 2 is int, expected Word | Pause"),
        ("a half", "HR08 item 2 is Word that cannot be written"),
    ],
)
async def test_an_item_that_cannot_be_written_is_an_invalid_one(app: Application, say: str, reason: str) -> None:
    answer = await post(app, "/shout", {"say": say})
    assert answer.body.decode().startswith(f"+ A\n! {reason}")
    assert total(app, "headrace_streams_total", end="error") == 1


@pytest.mark.parametrize(("say", "oops"), [("a wrong", "HR08 item 2 is int"), ("a half", "an item cannot be written")])
async def test_a_gathered_answer_that_cannot_be_written_is_a_status(app: Application, say: str, oops: str) -> None:
    answer = await post(app, "/shout", {"say": say, "whole": True})
    assert (answer.status, answer.document["oops"][: len(oops)]) == (500, oops)
    assert total(app, "headrace_streams_total", end="error") == 1


# -- bounds, heartbeats, endings


async def test_a_gathered_answer_is_bounded(new_app: NewApp) -> None:
    app = new_app(Shouts, max_answer=100)
    async with app.runtime:
        small = await post(app, "/shout", {"say": "a b", "whole": True})
        assert (small.status, small.document) == (200, {"said": "A B"})
        large = await post(app, "/shout", {"say": "a " * 200, "whole": True})
        assert (large.status, large.document["oops"][:19]) == (500, "the gathered answer")
        streamed = await post(app, "/shout", {"say": "a " * 200})
        assert (streamed.status, len(streamed.body)) == (200, 200 * len("+ A\n") + len(".\n"))


async def test_a_heartbeat_sends_the_head_before_the_first_item(new_app: NewApp) -> None:
    app = new_app(Shouts, heartbeat=0.01)
    async with app.runtime:
        call = Call(app, "POST", "/shout", arguments={"say": "wait"}).start()
        await call.await_text(b"~\n~\n")
        assert (call.status, call.headers["content-type"]) == (200, "text/shout; charset=utf-8")
        call.leave()
        await call.ended()


async def test_items_that_write_nothing_leave_the_status_to_what_comes(app: Application, shouts: Any) -> None:
    call = Call(app, "POST", "/shout", arguments={"say": "pause pause wait"}).start()
    await shouts.entered.wait()
    assert call.status is None
    stream = next(iter(app.runtime.live.values()))
    assert stream.items == 2
    stream.cancel()
    await call.ended()
    assert (call.status, call.document) == (499, {"oops": "The stream was stopped."})


async def test_a_client_that_leaves_stops_the_work(app: Application, shouts: Any) -> None:
    call = Call(app, "POST", "/shout", arguments={"say": "a wait"}).start()
    await call.await_text(b"+ A\n")
    call.leave()
    await call.ended()
    assert (shouts.running, call.raised) == (0, None)
    assert total(app, "headrace_streams_total", end="client_gone") == 1


async def test_a_client_that_leaves_the_queue_runs_nothing(new_app: NewApp) -> None:
    app = new_app(Shouts, max_concurrency=1)
    async with app.runtime:
        held = Call(app, "POST", "/shout", arguments={"say": "wait"}).start()
        await app.runtime.instance.entered.wait()
        queued = Call(app, "POST", "/shout", arguments={"say": "never"}).start()
        while not app.runtime.places.waiting:
            await asyncio.sleep(0)
        queued.leave()
        await queued.ended()
        held.leave()
        await held.ended()
        assert app.runtime.instance.calls == ["wait"]
        assert total(app, "headrace_streams_started_total") == 2
        assert total(app, "headrace_streams_total", end="client_gone") == 2


async def test_a_server_that_stops_says_so_in_the_dialect(app: Application, shouts: Any) -> None:
    call = Call(app, "POST", "/shout", arguments={"say": "a wait"}).start()
    await shouts.entered.wait()
    call.cancel()
    await call.ended()
    assert call.body == b"+ A\n! The server is shutting down; another one can answer.\n"
    assert total(app, "headrace_streams_total", end="shutdown") == 1


async def test_a_stream_is_stopped_by_its_id(app: Application, shouts: Any) -> None:
    call = Call(app, "POST", "/shout", arguments={"say": "a wait"}).start()
    await call.await_text(b"+ A\n")
    stopped = await ask(app, "DELETE", f"/streams/{call.headers['headrace-stream-id']}")
    await call.ended()
    assert (stopped.status, call.body) == (204, b"+ A\n! The stream was stopped.\n")
