"""From requests to events: asked again while nothing came, and never afterwards."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from upstream import CUT, DONE, HEAD, HELLO, RESET, ROLE, Script, Status, Upstream, error, finish, says, upstream

from headrace.engines.events import EngineEvent, Finish, TextDelta, Usage
from headrace.engines.generation import Generation, Message
from headrace.engines.openai_upstream.clients import Address, Clients
from headrace.engines.openai_upstream.reading import Reading
from headrace.engines.openai_upstream.request import Terms
from headrace.engines.openai_upstream.retries import Retries
from headrace.engines.refusals import ContextTooLong, UpstreamFailed
from headrace.errors import InvalidArguments, StreamError, StreamTruncated

HI = Generation(messages=[Message("user", "hi")])
NOW = {"retry-after-ms": "1"}
BUSY: Script = [Status(503, error("Busy."), NOW)]
WORLD = [TextDelta("Hello"), TextDelta(", "), TextDelta("world"), Finish("stop"), Usage(3, 4)]


async def read(server: Upstream, hands: Any, events: list[EngineEvent], terms: Terms | None = None) -> Reading:
    """Reads a whole generation into `events`."""
    clients = Clients(Address(server.url, "k", None, {}, 5.0, 5.0))
    reading = Reading(clients.take(), terms or Terms("tiny", {}), HI, Retries(2, None, hands.clock))
    try:
        while (more := await reading.step()) is not None:
            events += more
        events += reading.chunks.end()
    finally:
        await reading.close()
        await clients.give_back()
    return reading


async def events_of(hands: Any, *scripts: Script) -> tuple[list[EngineEvent], int, int]:
    """The events, the requests that they took, and the retries that were counted."""
    events: list[EngineEvent] = []
    async with upstream(*scripts) as server:
        reading = await read(server, hands, events)
    return events, len(server.requests), reading.retries.used


async def failure_of(hands: Any, *scripts: Script) -> tuple[StreamError, list[EngineEvent], int]:
    """The error, what came before, and the requests that it took."""
    events: list[EngineEvent] = []
    async with upstream(*scripts) as server:
        with pytest.raises(StreamError) as failed:
            await read(server, hands, events)
    return failed.value, events, len(server.requests)


async def test_an_answer_takes_one_request(hands: Any) -> None:
    assert await events_of(hands, HELLO) == (WORLD, 1, 0)
    assert hands.slept == []


@pytest.mark.parametrize(
    "failing",
    [
        [Status(408, error("Slow."), NOW)],
        [Status(409, error("Locked."), NOW)],
        [Status(429, error("Too many."), NOW)],
        [Status(500, "oops", NOW)],
        BUSY,
        [Status(529, {"type": "error"}, NOW)],
        [RESET],
        [HEAD, RESET],
        [HEAD, CUT],
        [HEAD],
        [b": note\n", RESET],
        [error("Overloaded.", code=503), DONE],
        [error("Sorry."), DONE],
    ],
    ids=["408", "409", "429", "500", "503", "529", "reset", "head, reset", "head, cut", "empty", "comment, reset",
         "503 in the stream", "failure in the stream"],
)  # fmt: skip
async def test_what_fails_before_its_first_chunk_is_asked_again(hands: Any, failing: Script) -> None:
    assert await events_of(hands, failing, failing, HELLO) == (WORLD, 3, 2)
    assert len(hands.slept) == 2


async def test_it_is_not_asked_for_ever(hands: Any) -> None:
    failed, events, requests = await failure_of(hands, BUSY)
    assert (failed.code, failed.status, failed.message) == ("upstream_failed", 503, "Busy.")
    assert (events, requests) == ([], 3)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidArguments),
        (401, UpstreamFailed),
        (403, UpstreamFailed),
        (404, UpstreamFailed),
        (405, UpstreamFailed),
        (413, UpstreamFailed),
        (422, InvalidArguments),
    ],
)
async def test_what_a_retry_does_not_help_is_asked_once(hands: Any, status: int, kind: type[StreamError]) -> None:
    failed, _, requests = await failure_of(hands, [Status(status, error("No."), NOW)])
    assert (type(failed), requests) == (kind, 1)


async def test_who_says_that_a_retry_does_not_help_is_asked_once(hands: Any) -> None:
    _, _, requests = await failure_of(hands, [Status(503, error("No."), {"x-should-retry": "false"})])
    assert requests == 1


@pytest.mark.parametrize(
    "ending",
    [[RESET], [CUT], [error("Out of memory.")], [b"data: {\n\n"]],
    ids=["reset", "cut", "failure", "garbage"],
)
@pytest.mark.parametrize("first", [ROLE, says("Hello")], ids=["role", "text"])
async def test_once_a_chunk_came_it_is_not_asked_again(hands: Any, first: Any, ending: Sequence[Any]) -> None:
    _, _, requests = await failure_of(hands, [first, *ending])
    assert requests == 1


@pytest.mark.parametrize(
    "script",
    [[says("Hello"), RESET], [says("Hello"), CUT], [says("Hello")], [says("Hello"), DONE]],
    ids=["reset", "cut", "ended", "the mark alone"],
)
async def test_an_answer_that_was_cut_is_truncated_and_not_complete(hands: Any, script: Script) -> None:
    failed, events, _ = await failure_of(hands, script)
    assert (type(failed), events) == (StreamTruncated, [TextDelta("Hello")])


@pytest.mark.parametrize("ending", [[RESET], [CUT], [b"data: {\n\n"], []], ids=["reset", "cut", "garbage", "no mark"])
async def test_what_breaks_behind_the_last_finish_breaks_nothing(hands: Any, ending: Sequence[Any]) -> None:
    events, requests, _ = await events_of(hands, [says("Hello"), finish("stop"), *ending])
    assert (events, requests) == ([TextDelta("Hello"), Finish("stop")], 1)


async def test_a_failure_is_told_in_the_upstreams_words(hands: Any) -> None:
    failed, events, _ = await failure_of(hands, [says("Hello"), error("Out of memory.", code="oom"), DONE])
    assert (type(failed), failed.message, events) == (UpstreamFailed, "Out of memory. (oom)", [TextDelta("Hello")])


async def test_what_came_before_a_chunk_that_makes_no_sense_is_not_lost(hands: Any) -> None:
    together = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in (says("Hello"), says("?", index=7)))
    failed, events, requests = await failure_of(hands, [together, DONE])
    assert (type(failed), events, requests) == (UpstreamFailed, [TextDelta("Hello")], 1)


async def test_an_option_that_is_refused_is_left_out_at_once_and_from_then_on(hands: Any) -> None:
    refusing = Status(400, error("Unrecognized request argument supplied: stream_options"))
    terms = Terms("tiny", {})
    async with upstream([refusing], HELLO) as server:
        for _ in range(2):
            reading = await read(server, hands, [], terms)
            assert reading.retries.used == 0
    assert ["stream_options" in request.body for request in server.requests] == [True, False, False]
    assert hands.slept == []


async def test_an_option_that_is_refused_again_is_an_error(hands: Any) -> None:
    failed, _, requests = await failure_of(hands, [Status(400, error("stream_options are not known"))])
    assert (type(failed), requests) == (InvalidArguments, 2)


async def test_a_prompt_that_is_too_long_is_known(hands: Any) -> None:
    body = error("This model's maximum context length is 4096 tokens.", code="context_length_exceeded")
    failed, _, requests = await failure_of(hands, [Status(400, body)])
    assert (type(failed), requests) == (ContextTooLong, 1)
