"""One exchange from the head to the ending, and everything that a client can do in between."""

import asyncio
import gc
import weakref
from typing import Any

import pytest
from asgi import Call, ask, assert_nothing_left, post, total

from headrace.errors import StreamError
from headrace.server.app import Application
from headrace.server.http import HttpExchange
from headrace.server.response import ResponseAborted
from headrace.streams.joining import WIDE

NewApp = Any


class Busy(StreamError):
    """All slots are taken."""

    code = "busy"
    status = 429
    retryable = True


# -- answers


async def test_a_stream_is_answered_in_the_format_that_its_client_asks_for(app: Application) -> None:
    text = await post(app, "/count", {"to": 3})
    assert (text.status, text.body, text.complete) == (200, b"0 1 2 ", True)
    events = await post(app, "/count", {"to": 1}, accept="text/event-stream")
    assert events.body.startswith(b'id: 1\ndata: "0 "\n\nevent: end\ndata: {"items":1,')
    lines = await post(app, "/count", {"to": 1}, accept="application/x-ndjson")
    assert lines.body.startswith(b'{"item":"0 "}\n{"end":{"items":1,')
    gathered = await post(app, "/count", {"to": 3}, accept="application/json")
    assert (gathered.body, gathered.headers["content-length"]) == (b'"0 1 2 "', "8")


async def test_every_stream_has_the_headers_that_keep_it_flowing(app: Application) -> None:
    headers = (await post(app, "/count", {"to": 1}, x_request_id="r-1")).headers
    assert headers.pop("headrace-stream-id").startswith("s_")
    assert headers.pop("server-timing").startswith("first_item;dur=")
    assert headers == {
        "content-type": "text/plain; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "x-request-id": "r-1",
    }


async def test_a_stream_without_items_is_complete(app: Application) -> None:
    empty = await post(app, "/count", {"to": 0})
    assert (empty.status, empty.body, empty.headers["content-length"], empty.complete) == (200, b"", "0", True)


async def test_a_method_that_returns_answers_once(app: Application) -> None:
    answer = await post(app, "/add", {"a": 1, "b": 2})
    assert (answer.status, answer.headers["content-type"], answer.document) == (200, "application/json", 3)


async def test_a_sync_generator_is_a_stream_like_any_other(app: Application) -> None:
    assert (await post(app, "/sync", {"to": 3})).body == b"0 1 2 "


# -- failures


@pytest.mark.parametrize("accept", ["text/plain", "text/event-stream", "application/x-ndjson", "application/json"])
async def test_a_failure_before_the_first_event_is_a_status(app: Application, errors: Any, accept: str) -> None:
    errors["busy"] = Busy("come back later")
    answer = await post(app, "/fail", {"error": "busy"}, accept=accept)
    assert (answer.status, answer.complete, answer.raised) == (429, True, None)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.document["code"] == "busy"
    assert answer.document["detail"] == "come back later"
    assert answer.document["stream_id"].startswith("s_")


async def test_a_text_stream_that_fails_is_cut_after_its_items(app: Application, errors: Any) -> None:
    answer = await post(app, "/fail", {"error": "secret", "after": 3})
    assert (answer.status, answer.body, answer.complete) == (200, b"0 1 2 ", False)
    assert isinstance(answer.raised, ResponseAborted)
    assert str(answer.raised) == "Desk.fail failed with internal: the connection is cut to say so"


async def test_events_that_fail_end_with_an_error_and_a_clean_close(app: Application, errors: Any) -> None:
    answer = await post(app, "/fail", {"error": "secret", "after": 1}, accept="text/event-stream")
    assert answer.body.startswith(b'id: 1\ndata: "0 "\n\nevent: error\ndata: {"code":"internal"')
    assert (answer.complete, answer.raised) == (True, None)
    assert b"4711" not in answer.body


async def test_a_gathered_answer_that_fails_sends_nothing_of_it(app: Application, errors: Any) -> None:
    answer = await post(app, "/fail", {"error": "secret", "after": 3}, accept="application/json")
    assert (answer.status, answer.document["code"]) == (500, "internal")


async def test_endings_are_counted_by_how_they_ended(app: Application, errors: Any) -> None:
    await post(app, "/count", {})
    await post(app, "/fail", {"error": "secret", "after": 1})
    await post(app, "/count", {"to": "many"})
    assert total(app, "headrace_streams_total", end="ok") == 1
    assert total(app, "headrace_streams_total", end="error") == 1
    assert total(app, "headrace_streams_total", end="rejected") == 1
    assert total(app, "headrace_rejected_total", reason="invalid_arguments") == 1


# -- a client that leaves


async def test_a_client_that_leaves_while_its_body_is_read_starts_nothing(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", pieces=[b'{"fi'], unfinished=True, headers={"content-type": "application/json"})
    call.start().leave()
    await call.ended()
    assert (desk.calls, call.raised) == (0, None)
    assert total(app, "headrace_streams_total", end="client_gone") == 1


async def test_a_client_that_leaves_right_after_its_body_starts_nothing(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={})
    call.leave()
    await call.start().ended()
    assert (desk.running, call.raised) == (0, None)
    assert total(app, "headrace_streams_total", end="client_gone") == 1


async def test_a_client_that_leaves_a_silent_generator_stops_it(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={}).start()
    await desk.entered.wait()
    call.leave()
    await call.ended()
    assert (desk.running, call.raised) == (0, None)
    assert total(app, "headrace_streams_total", end="client_gone") == 1


async def test_a_client_that_leaves_before_the_head_is_answered_all_the_same(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={}).start()
    await desk.entered.wait()
    call.leave()
    assert ((await call.ended()).status, call.complete) == (499, True)


async def test_a_client_that_leaves_after_items_is_told_nothing_more(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={"first": 2}, headers={"accept": "application/x-ndjson"}).start()
    await call.await_text(b'{"item":"1 "}\n')
    call.leave()
    await call.ended()
    assert (desk.running, call.complete, call.raised) == (0, False, None)
    assert b"error" not in call.body


async def test_a_client_that_leaves_a_blocked_write_stops_the_generator(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={"first": 1})
    call.block()
    call.start()
    await desk.entered.wait()
    call.leave()
    await call.ended()
    assert (desk.running, call.raised) == (0, None)


async def test_a_client_that_leaves_while_the_ending_is_written_is_no_error(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={"first": 1}).start()
    await call.await_text(b"0 ")
    call.break_send(OSError("the connection is closed"))
    desk.go_on.set()
    await call.ended()
    assert (desk.running, call.complete, call.raised) == (0, False, None)


@pytest.mark.parametrize("path", ["/livez", "/nothing", "/add"])
async def test_a_client_that_is_gone_when_it_is_answered_is_no_error(app: Application, path: str) -> None:
    call = Call(app, "GET", path)
    call.break_send(OSError("the connection is closed"))
    assert (await call.start().ended()).raised is None


async def test_a_problem_for_a_client_that_is_gone_is_no_error(app: Application, errors: Any) -> None:
    call = Call(app, "POST", "/fail", arguments={"error": "secret"})
    call.break_send(OSError("the connection is closed"))
    assert (await call.start().ended()).raised is None


async def test_a_receive_that_raises_is_a_client_that_left(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={}).start()
    await desk.entered.wait()
    call.break_receive(RuntimeError("a middleware stumbled"))
    await call.ended()
    assert (desk.running, call.raised) == (0, None)


async def test_nothing_is_received_after_the_client_left(app: Application) -> None:
    call = Call(app, "POST", "/wait", arguments={})
    call.leave()
    await call.start().ended()
    assert call.received == 3  # the arguments, the end of the body, the disconnect


# -- the queue


async def test_one_more_than_there_are_places_waits_and_the_next_one_is_refused(new_app: NewApp) -> None:
    app = new_app(max_concurrency=1, max_queue=1)
    async with app.runtime:
        first = Call(app, "POST", "/wait", arguments={}).start()
        await app.runtime.instance.entered.wait()
        second = Call(app, "POST", "/add", arguments={"a": 1, "b": 2}).start()
        third = await post(app, "/add", {"a": 1, "b": 2})
        assert (third.status, third.document["code"], third.headers["retry-after"]) == (503, "overloaded", "1")
        assert third.received == 0, "refused before its body was read"
        app.runtime.instance.go_on.set()
        assert (await second.ended()).document == 3
        assert (await first.ended()).body == b"late"
        assert total(app, "headrace_queue_wait_seconds_count") == 1
        await assert_nothing_left(app)


async def test_a_client_that_leaves_the_queue_never_runs(new_app: NewApp) -> None:
    app = new_app(max_concurrency=1)
    async with app.runtime:
        desk = app.runtime.instance
        first = Call(app, "POST", "/wait", arguments={}).start()
        await desk.entered.wait()
        second = Call(app, "POST", "/wait", arguments={})
        second.leave()
        await second.start().ended()
        assert (desk.calls, app.runtime.places.waiting) == (1, 0)
        first.leave()
        await first.ended()
        assert total(app, "headrace_streams_total", end="client_gone") == 2
        await assert_nothing_left(app)


async def test_a_body_that_arrives_in_the_queue_is_not_lost(new_app: NewApp) -> None:
    app = new_app(max_concurrency=1)
    async with app.runtime:
        desk = app.runtime.instance
        first = Call(app, "POST", "/wait", arguments={}).start()
        await desk.entered.wait()
        headers = {"content-type": "application/octet-stream", "accept": "application/octet-stream"}
        second = Call(app, "POST", "/echo", pieces=[b"one "], unfinished=True, headers=headers).start()
        while app.runtime.places.waiting == 0:
            await asyncio.sleep(0)
        second.send(b"two ")
        desk.go_on.set()
        await first.ended()
        await second.await_text(b"one two ")
        second.send(b"three", last=True)
        assert (await second.ended()).body == b"one two three"
        await assert_nothing_left(app)


async def test_a_deadline_in_the_queue_is_504_and_frees_the_turn(new_app: NewApp) -> None:
    app = new_app(max_concurrency=1)
    async with app.runtime:
        desk = app.runtime.instance
        first = Call(app, "POST", "/wait", arguments={}).start()
        await desk.entered.wait()
        late = await post(app, "/wait", {}, headrace_timeout="0.01")
        assert (late.status, late.document["code"], desk.calls) == (504, "deadline_exceeded", 1)
        first.leave()
        await first.ended()
        await assert_nothing_left(app)


# -- stopped from elsewhere


async def test_the_deadline_ends_a_stream_in_band(app: Application) -> None:
    answer = await post(app, "/wait", {"first": 1}, accept="application/x-ndjson", headrace_timeout="0.05")
    assert b'{"error":{"code":"deadline_exceeded"' in answer.body
    assert answer.complete


async def test_the_deadline_holds_while_the_body_is_read(app: Application) -> None:
    headers = {"content-type": "application/json", "headrace-timeout": "0.01"}
    call = await ask(app, "POST", "/count", pieces=[b"{"], unfinished=True, headers=headers)
    assert (call.status, call.document["code"]) == (504, "deadline_exceeded")


async def test_a_server_that_stops_tells_its_streams_in_band(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={"first": 1}, headers={"accept": "text/event-stream"}).start()
    await call.await_text(b'"0 "')
    call.cancel()
    await call.ended()
    assert b'event: error\ndata: {"code":"shutting_down"' in call.body
    assert call.complete
    assert isinstance(call.raised, asyncio.CancelledError)
    assert total(app, "headrace_streams_total", end="shutdown") == 1


async def test_a_server_that_stops_answers_503_where_nothing_was_sent(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={}).start()
    await desk.entered.wait()
    call.cancel()
    await call.ended()
    assert (call.status, call.document["code"]) == (503, "shutting_down")


async def test_a_server_that_stops_empties_the_queue(new_app: NewApp) -> None:
    app = new_app(max_concurrency=1)
    async with app.runtime:
        calls = [Call(app, "POST", "/wait", arguments={}).start() for _ in range(3)]
        await app.runtime.instance.entered.wait()
        for call in calls:
            call.cancel()
        assert [(await call.ended()).status for call in calls] == [503, 503, 503]
        await assert_nothing_left(app)


# -- heartbeats


async def test_a_silent_stream_sends_its_head_and_signs_of_life(new_app: NewApp) -> None:
    app = new_app(heartbeat=0.01)
    async with app.runtime:
        call = Call(app, "POST", "/wait", arguments={}, headers={"accept": "text/event-stream"}).start()
        await call.await_text(b": keep-alive\n: keep-alive\n")
        assert call.headers["server-timing"].startswith("head;dur=")
        call.leave()
        await call.ended()
        await assert_nothing_left(app)


async def test_a_sign_of_life_that_has_not_left_yet_does_not_run_into_a_problem(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={}, headers={"accept": "text/event-stream"}).start()
    await desk.entered.wait()
    (stream,) = app.runtime.live.values()
    call.block()
    stream.outlet.beat(b": keep-alive\n")
    stream.cancel(Busy("come back later"))
    window_closed = asyncio.Event()
    asyncio.get_running_loop().call_later(2 * WIDE, window_closed.set)
    await window_closed.wait()
    call.unblock()
    await call.ended()
    assert (call.status, call.document["code"]) == (429, "busy")


# -- what an exchange leaves behind


async def test_an_exchange_that_is_over_is_freed_at_once(app: Application, desk: Any) -> None:
    call = Call(app, "POST", "/wait", arguments={"first": 1}).start()
    await call.await_text(b"0 ")
    gc.collect()
    (freed,) = [weakref.ref(each) for each in gc.get_objects() if isinstance(each, HttpExchange)]
    gc.disable()
    try:
        desk.go_on.set()
        await call.ended()
        await asyncio.sleep(0)  # the task that watched the client is through
        assert freed() is None
    finally:
        gc.enable()
