"""One WebSocket exchange over ASGI in memory, from the handshake to the close code."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgi import WITHIN, assert_nothing_left, total
from sessions import Session, talk, talk_v1

from headrace.errors import StreamError
from headrace.server.app import Application
from headrace.server.messages import AHEAD_MESSAGES
from headrace.server.websocket_connection import WEBSOCKET
from headrace.services.decorators import endpoint, service

NewApp = Any


class Busy(StreamError):
    """All slots are taken."""

    code = "busy"
    status = 429
    retryable = True


def end_of(session: Session) -> Any:
    """The last message without its times."""
    last = session.objects[-1]
    if "end" in last:
        return {"end": last["end"]["items"]}
    return {"error": {key: last["error"][key] for key in ("code", "retryable", "items_sent")}}


# -- answers


async def test_plain_messages_are_the_items_and_the_close_code_is_the_end(app: Application) -> None:
    session = await talk(app, "/count", '{"to": 3}')
    assert (session.said, session.closed, session.raised) == (["0 ", "1 ", "2 "], (1000, ""), None)


async def test_under_the_subprotocol_the_ending_is_a_message_too(app: Application) -> None:
    session = await talk_v1(app, "/count", '{"to": 2}')
    assert session.objects[:2] == [{"item": "0 "}, {"item": "1 "}]
    assert (end_of(session), session.closed) == ({"end": 2}, (1000, ""))


async def test_the_subprotocol_is_accepted_only_if_it_is_ours(app: Application) -> None:
    named = await talk(app, "/count", "{}", subprotocols=["chat", "headrace.v1"])
    other = await talk(app, "/count", "{}", subprotocols=["chat"])
    assert named.accepted is not None
    assert other.accepted is not None
    assert (named.accepted["subprotocol"], other.accepted["subprotocol"]) == ("headrace.v1", None)
    assert other.said == ["0 ", "1 ", "2 "]


async def test_the_handshake_names_the_stream_and_the_request(app: Application) -> None:
    session = await talk(app, "/count", "{}", headers={"x-request-id": "r-1"})
    assert session.headers.pop("headrace-stream-id").startswith("s_")
    assert session.headers["x-request-id"] == "r-1"


async def test_a_method_that_returns_answers_once(app: Application) -> None:
    assert (await talk(app, "/add", '{"a": 1, "b": 2}')).said == ["3"]
    assert (await talk_v1(app, "/add", '{"a": 1, "b": 2}')).objects[0] == {"item": 3}


async def test_sync_generators_answer_too(app: Application) -> None:
    assert (await talk(app, "/sync", '{"to": 3}')).said == ["0 ", "1 ", "2 "]


# -- arguments


async def test_arguments_come_in_the_query_instead_of_a_message(app: Application) -> None:
    assert (await talk(app, "/count?to=1")).said == ["0 "]


async def test_an_endpoint_without_arguments_waits_for_none(app: Application) -> None:
    session = await talk_v1(app, "/sum", '{"item": 3}', '{"item": 4}', '{"end": {}}')
    assert [each.get("item") for each in session.objects] == [3, 7, None]


@pytest.mark.parametrize(
    ("path", "messages", "items"),
    [
        ("/sum", ["{}", '{"item": 3}', '{"item": 4}', '{"end": {}}'], [3, 7]),
        ("/count", ['{"to": 1}'], ["0 "]),
        ("/count?to=1", [], ["0 "]),
    ],
)
async def test_a_client_may_announce_that_its_first_message_carries_the_arguments(
    app: Application, path: str, messages: list[str], items: list[Any]
) -> None:
    session = await talk(app, path, *messages, subprotocols=["headrace.v1", "headrace.arguments"])
    assert session.accepted is not None
    assert session.accepted["subprotocol"] == "headrace.v1"
    assert [each["item"] for each in session.objects[:-1]] == items
    assert session.closed == (1000, "")


async def test_announced_arguments_that_an_endpoint_does_not_have_are_refused(app: Application) -> None:
    announced = ["headrace.v1", "headrace.arguments"]
    session = await talk(app, "/sum", '{"item": 3}', '{"end": {}}', subprotocols=announced)
    assert end_of(session)["error"]["code"] == "invalid_arguments"


async def test_a_body_of_bytes_is_the_first_binary_message(app: Application) -> None:
    assert (await talk(app, "/length", b"abc")).said == ["3"]


async def test_arguments_beside_a_body_come_before_it(app: Application) -> None:
    assert (await talk(app, "/named", '{"name": "n", "times": 2}', b"abc")).said == ["nn3"]
    assert (await talk(app, "/named?name=q&times=1", b"abc")).said == ["q3"]


@pytest.mark.parametrize(
    ("path", "messages", "code", "reason"),
    [
        ("/count", ['{"to": "x"}'], 1008, "invalid_arguments: HR16 /to: "),
        ("/count?to=x", [], 1008, "invalid_arguments: HR16 /to: "),
        ("/count", ["not json"], 1007, "malformed_body: the body is not JSON"),
        ("/count", ["[" * 100 + "]" * 100], 1007, "malformed_body: the body is not JSON: it is nested"),
        ("/count", [b"{}"], 1003, "unsupported_media_type: the first message carries the arguments"),
        ("/length", ["text"], 1003, "unsupported_media_type: a text message where bytes are expected"),
    ],
)
async def test_messages_that_do_not_fit_close_with_their_code(
    app: Application, path: str, messages: list[Any], code: int, reason: str
) -> None:
    plain, named = await talk(app, path, *messages), await talk_v1(app, path, *messages)
    assert plain.closed is not None
    assert (plain.closed[0], plain.said) == (code, [])
    assert plain.closed[1].startswith(reason)
    assert named.closed == plain.closed
    assert end_of(named)["error"] == {"code": reason.partition(":")[0], "retryable": False, "items_sent": 0}


@pytest.mark.parametrize(
    ("path", "message", "code", "reason"),
    [
        ("/sum", "x", 1007, "malformed_body: a message is not JSON"),
        ("/sum", '"x"', 1008, "invalid_arguments: HR16 a message does not fit"),
        ("/sum", b"1", 1003, "unsupported_media_type: a binary message where int is expected"),
        ("/echo?prefix=", "text", 1003, "unsupported_media_type: a text message where bytes are expected"),
    ],
)
async def test_plain_items_that_do_not_fit_close_with_their_code(
    app: Application, path: str, message: Any, code: int, reason: str
) -> None:
    session = await talk(app, path, message)
    assert session.closed is not None
    assert session.closed[0] == code
    assert session.closed[1].startswith(reason)


@pytest.mark.parametrize(
    ("message", "code", "error"),
    [
        ("x", 1007, "malformed_body"),
        ('{"items": 1}', 1007, "malformed_body"),
        ('{"item": "x"}', 1008, "invalid_arguments"),
        ('{"item": nope}', 1007, "malformed_body"),
        (b"1", 1003, "unsupported_media_type"),
    ],
)
async def test_under_the_subprotocol_items_come_by_name(app: Application, message: Any, code: int, error: str) -> None:
    session = await talk_v1(app, "/sum", '{"item": 1}', message)
    assert session.closed is not None
    assert (session.closed[0], session.objects[-1]["error"]["code"]) == (code, error)
    assert session.objects[0] == {"item": 1}


async def test_under_the_subprotocol_bytes_end_with_an_end(app: Application) -> None:
    session = await talk_v1(app, "/echo", '{"prefix": ">"}', b"a", b"b", '{"end": {}}')
    assert session.said[:-1] == [b">", b"a", b"b"]
    assert (end_of(session), session.closed) == ({"end": 3}, (1000, ""))


async def test_a_text_message_that_ends_nothing_is_no_bytes(app: Application) -> None:
    session = await talk_v1(app, "/echo?prefix=", '{"item": "a"}')
    assert session.closed is not None
    assert session.closed[0] == 1003


async def test_a_message_that_nobody_expects_ends_the_stream(app: Application, desk: Any) -> None:
    session = Session(app, "/wait", '{"first": 1}').start()
    await session.arrived(1)
    session.say("more")
    await session.ended()
    assert session.closed is not None
    assert session.closed[0] == 1008
    assert "a message came that nobody expects" in session.closed[1]
    assert desk.running == 0


async def test_a_message_after_the_end_of_the_input_is_surplus(app: Application) -> None:
    session = await talk_v1(app, "/sum", '{"end": {}}', '{"item": 1}')
    assert session.closed is not None
    assert session.closed[0] in (1000, 1008)  # the generator may be through before the message is seen


async def test_a_first_message_that_does_not_come_is_a_timeout(new_app: NewApp) -> None:
    app = new_app(body_timeout=0.01)
    session = await talk(app, "/count")
    assert session.closed == (1008, "request_timeout: no message came for 0.01 s")
    await app.runtime.__aexit__(None, None, None)
    await assert_nothing_left(app)


# -- duplex


async def test_what_is_said_is_answered_while_more_is_said(app: Application) -> None:
    session = Session(app, "/sum", subprotocols=["headrace.v1"]).start()
    for number, answer in [(1, 1), (2, 3), (3, 6)]:
        session.say(f'{{"item": {number}}}')
        await session.arrived(number)
        assert session.objects[-1] == {"item": answer}
    session.say('{"end": {}}')
    await session.ended()
    assert end_of(session) == {"end": 3}


async def test_what_is_said_first_may_come_before_the_arguments_are_read(app: Application) -> None:
    chunks = [bytes([n]) for n in range(250)]
    session = await talk_v1(app, "/echo", "{}", *chunks, '{"end": {}}')
    assert session.said[1:-1] == chunks


# -- failures


@pytest.mark.parametrize("after", [0, 2])
async def test_a_failure_closes_with_1011_after_all_items(
    app: Application, errors: dict[str, Exception], after: int
) -> None:
    arguments = json.dumps({"error": "secret", "after": after})
    plain, named = await talk(app, "/fail", arguments), await talk_v1(app, "/fail", arguments)
    assert len(plain.said) == after
    assert plain.closed == (1011, "internal: The service failed; the reason is in its log.")
    assert end_of(named) == {"error": {"code": "internal", "retryable": False, "items_sent": after}}
    assert named.closed == plain.closed


async def test_a_declared_failure_keeps_its_code_and_text(app: Application, errors: dict[str, Exception]) -> None:
    errors["busy"] = Busy("come back later")
    session = await talk_v1(app, "/fail", '{"error": "busy"}')
    assert session.closed == (1011, "busy: come back later")
    assert session.objects[-1]["error"]["message"] == "come back later"


async def test_a_deadline_ends_the_stream(app: Application) -> None:
    session = await talk_v1(app, "/wait", '{"first": 1}', headers={"headrace-timeout": "0.05"})
    assert end_of(session) == {"error": {"code": "deadline_exceeded", "retryable": False, "items_sent": 1}}
    assert session.closed is not None
    assert session.closed[0] == 1011


async def test_a_deadline_that_is_none_is_refused_and_leaves_nothing(app: Application) -> None:
    session = await talk(app, "/count", headers={"headrace-timeout": "soon"})
    assert session.denial is not None
    assert (session.denial[0], session.denial[1]["code"]) == (400, "bad_request")


async def test_a_stream_that_was_stopped_by_its_id_says_so(app: Application, desk: Any) -> None:
    session = Session(app, "/wait", '{"first": 1}', subprotocols=["headrace.v1"]).start()
    await session.arrived(1)
    app.runtime.live[session.headers["headrace-stream-id"]].cancel()
    await session.ended()
    assert end_of(session) == {"error": {"code": "cancelled", "retryable": False, "items_sent": 1}}
    assert desk.running == 0


# -- places


async def test_who_finds_no_place_is_told_to_try_again(new_app: NewApp) -> None:
    app = new_app(max_concurrency=1, max_queue=0)
    async with app.runtime:
        holder = Session(app, "/wait", '{"first": 1}').start()
        await holder.arrived(1)
        refused = await talk_v1(app, "/wait", "{}")
        assert end_of(refused) == {"error": {"code": "overloaded", "retryable": True, "items_sent": 0}}
        assert refused.closed is not None
        assert refused.closed[0] == 1013
        assert refused.closed[1].endswith("try again later")
        holder.leave()
        await holder.ended()
        await assert_nothing_left(app)


async def test_who_waits_for_a_place_and_leaves_never_runs(new_app: NewApp) -> None:
    app = new_app(max_concurrency=1)
    async with app.runtime:
        holder = Session(app, "/wait", '{"first": 1}').start()
        await holder.arrived(1)
        waiting = Session(app, "/wait", "{}").start()
        async with asyncio.timeout(WITHIN):
            while app.runtime.places.waiting == 0:
                await asyncio.sleep(0)
        waiting.leave()
        await waiting.ended()
        assert app.runtime.places.waiting == 0
        holder.leave()
        await holder.ended()
        assert app.runtime.instance.calls == 1
        await assert_nothing_left(app)


async def test_a_caller_that_asks_for_more_than_its_share_is_told_when_to_come_back(new_app: NewApp) -> None:
    app = new_app(key_rate=0.1, key_burst=1)
    async with app.runtime:
        assert (await talk(app, "/count", "{}")).closed == (1000, "")
        refused = await talk(app, "/count", "{}")
        assert refused.closed is not None
        assert refused.closed[0] == 1013
        assert refused.closed[1].startswith("rate_limited: ")
        assert "try again in 10 s" in refused.closed[1]
        await assert_nothing_left(app)


# -- leaving


async def test_a_client_that_leaves_stops_the_generator(app: Application, desk: Any) -> None:
    session = Session(app, "/wait", '{"first": 1}').start()
    await session.arrived(1)
    session.leave()
    await session.ended()
    assert (desk.running, session.closed, session.raised) == (0, None, None)
    assert total(app, "headrace_streams_total", end="client_gone") == 1


async def test_a_client_that_leaves_before_its_arguments_starts_nothing(app: Application, desk: Any) -> None:
    session = Session(app, "/wait").start()
    session.leave()
    await session.ended()
    assert (desk.calls, session.raised) == (0, None)
    assert total(app, "headrace_streams_total", end="client_gone") == 1


async def test_a_client_that_leaves_in_the_handshake_is_one_ending(app: Application) -> None:
    session = Session(app, "/count", "{}")
    session.leave()
    await session.start().ended()
    assert (session.accepted, session.raised) == (None, None)
    assert total(app, "headrace_streams_total", end="client_gone") == 1


async def test_a_client_that_leaves_before_its_refusal_is_no_failure_of_ours(app: Application) -> None:
    session = Session(app, "/nothing")
    session.leave()
    await session.start().ended()
    assert session.raised is None


async def test_a_client_that_leaves_while_it_does_not_read_stops_the_generator(app: Application, desk: Any) -> None:
    session = Session(app, "/wait", '{"first": 3}').start()
    await session.arrived(1)
    session.block()
    session.leave()
    session.unblock()
    await session.ended()
    assert (desk.running, session.raised) == (0, None)


async def test_a_server_that_stops_is_told_to_the_client(app: Application, desk: Any) -> None:
    session = Session(app, "/wait", '{"first": 1}', subprotocols=["headrace.v1"]).start()
    await session.arrived(1)
    session.cancel()
    await session.ended()
    assert end_of(session) == {"error": {"code": "shutting_down", "retryable": True, "items_sent": 1}}
    assert session.closed is not None
    assert session.closed[0] == 1012
    assert isinstance(session.raised, asyncio.CancelledError)
    assert desk.running == 0


async def test_a_server_that_stops_while_arguments_are_awaited_says_so_too(app: Application) -> None:
    session = Session(app, "/wait").start()
    async with asyncio.timeout(WITHIN):
        while session.accepted is None:
            await asyncio.sleep(0)
    session.cancel()
    await session.ended()
    assert session.closed is not None
    assert session.closed[0] == 1012
    assert total(app, "headrace_streams_total", end="shutdown") == 1


async def test_messages_that_nobody_takes_do_not_hide_that_the_client_left(app: Application, desk: Any) -> None:
    # A connection of our own says so itself (`test_websocket_connection`); here it is noticed when one is taken.
    session = Session(app, "/echo", '{"prefix": ""}', *[b"x"] * (AHEAD_MESSAGES + 10)).start()
    await session.arrived(AHEAD_MESSAGES + 11)
    session.leave()
    await session.ended()
    assert desk.running == 0


# -- handshakes that are refused


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/nothing", {}, 404, "not_found"),
        ("/metrics", {}, 404, "not_found"),
        ("/count", {"host": "evil.example"}, 403, "forbidden_host"),
        ("/count", {"origin": "http://evil.example"}, 403, "forbidden_origin"),
        ("/count", {"origin": "null"}, 403, "forbidden_origin"),
    ],
)
async def test_a_handshake_is_refused_with_a_problem_document(
    app: Application, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    session = await talk(app, path, headers=headers)
    assert session.denial is not None
    assert (session.denial[0], session.denial[1]["code"], session.accepted) == (status, code, None)
    assert total(app, "headrace_streams_started_total") == 0


async def test_a_server_that_cannot_deny_is_told_to_close(app: Application) -> None:
    session = await talk(app, "/nothing", tells_denials=False)
    assert (session.denial, session.closed, session.raised) == (None, (1000, ""), None)


@pytest.mark.parametrize(
    ("origin", "allowed"), [("http://localhost:8000", []), ("https://page.example", ["https://page.example"])]
)
async def test_pages_of_this_server_and_of_named_origins_may(new_app: NewApp, origin: str, allowed: list[str]) -> None:
    app = new_app(cors_origin=tuple(allowed))
    async with app.runtime:
        assert (await talk(app, "/count", "{}", headers={"origin": origin})).closed == (1000, "")


async def test_a_key_is_asked_for(new_app: NewApp) -> None:
    app = new_app(api_key=("right",))
    async with app.runtime:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            session = await talk(app, "/count?api_key=right", headers=headers)
            assert session.denial is not None
            assert (session.denial[0], session.denial[1]["code"]) == (401, "unauthorized")
        assert (await talk(app, "/count", "{}", headers={"authorization": "Bearer right"})).closed == (1000, "")


async def test_no_new_session_begins_while_the_server_drains(app: Application) -> None:
    app.drain()
    session = await talk(app, "/count", "{}")
    assert session.denial is not None
    assert (session.denial[0], session.denial[1]["code"]) == (503, "shutting_down")


# -- servers that are not ours


async def test_joined_records_are_messages_again_under_any_server(app: Application) -> None:
    session = await talk(app, "/count", '{"to": 500}')
    assert session.said == [f"{n} " for n in range(500)]


async def test_a_server_that_has_closed_already_is_a_client_that_left(app: Application, desk: Any) -> None:
    session = Session(app, "/wait", '{"first": 1}').start()
    await session.arrived(1)
    session.closed = (1002, "its own")  # from now on `send` raises RuntimeError, as uvicorn's does
    desk.go_on.set()
    await session.ended()
    assert session.raised is None
    assert desk.running == 0


# -- a connection of our own


class Line:
    """A connection that takes frames, as far as the exchange knows one."""

    def __init__(self) -> None:
        self.evicted = False
        self.on_lost: Callable[[], None] | None = None
        self.frames = b""
        self.closed: tuple[int, str] | None = None
        self.written = asyncio.Event()

    def try_write(self, frames: bytes) -> bool:
        return False

    async def write(self, frames: bytes) -> None:
        if self.evicted:
            raise ConnectionResetError
        self.frames += frames
        self.written.set()

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)


@service
class Deaf:
    """Does not listen."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    @endpoint
    async def say(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        yield "what?"
        await self.go_on.wait()
        while True:
            yield "well"


async def test_a_connection_of_our_own_takes_frames_and_the_close(app: Application) -> None:
    line = Line()
    session = await talk(app, "/count", '{"to": 2}', **{WEBSOCKET: line})
    assert (session.said, line.frames, line.closed) == ([], b"\x81\x020 \x81\x021 ", (1000, ""))


async def test_a_lost_connection_ends_a_session_whose_messages_nobody_takes(new_app: NewApp) -> None:
    app, line = new_app(Deaf), Line()
    async with app.runtime:
        session = Session(app, "/say", *["x"] * (AHEAD_MESSAGES + 10), **{WEBSOCKET: line}).start()
        await asyncio.wait_for(line.written.wait(), WITHIN)
        for _ in range(2 * AHEAD_MESSAGES):
            await asyncio.sleep(0)  # until nothing more is read ahead
        assert line.on_lost is not None
        line.on_lost()
        await session.ended()
        assert total(app, "headrace_streams_total", end="client_gone") == 1
        await assert_nothing_left(app)


async def test_a_reader_that_was_evicted_is_counted_as_a_slow_one(new_app: NewApp) -> None:
    app, line = new_app(Deaf), Line()
    async with app.runtime:
        session = Session(app, "/say", **{WEBSOCKET: line}).start()
        await asyncio.wait_for(line.written.wait(), WITHIN)
        line.evicted = True
        app.runtime.instance.go_on.set()
        await session.ended()
        assert total(app, "headrace_streams_total", end="slow_reader") == 1
        await assert_nothing_left(app)


# -- named parts of a path


async def test_parts_of_the_path_are_arguments_beside_the_first_message(new_app: NewApp) -> None:
    @service
    class Book:
        @endpoint(path="/books/{book:path}/pages/{page}")
        async def page(self, book: str, page: int, loud: bool = False) -> AsyncIterator[str]:
            yield f"{book} {page} {loud}"

        @endpoint(path="/books/{book}")
        async def whole(self, book: str) -> str:
            return book

    app = new_app(Book)
    async with app.runtime:
        assert (await talk(app, "/books/a/b/pages/3", '{"loud": true}')).said == ["a/b 3 True"]
        assert (await talk(app, "/books/a/pages/3?loud=true")).said == ["a 3 True"]
        assert (await talk(app, "/books/a")).said == ["a"]
        wrong = await talk_v1(app, "/books/a/pages/b", "{}")
        assert end_of(wrong)["error"]["code"] == "invalid_arguments"
