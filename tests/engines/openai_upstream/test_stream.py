"""One generation: cancelled from anywhere, measured, and closed however it ends."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from upstream import (
    AZURE,
    CUT,
    DONE,
    FILTERED,
    HEAD,
    HELLO,
    ROLE,
    STALL,
    Gate,
    Script,
    Status,
    Upstream,
    calls,
    delta,
    error,
    finish,
    says,
    upstream,
    usage,
)

from headrace.engines.events import Finish, TextDelta, Usage
from headrace.engines.generation import Generation, Message
from headrace.engines.openai_upstream.clients import Address, Clients
from headrace.engines.openai_upstream.measures import Clock
from headrace.engines.openai_upstream.request import Terms
from headrace.engines.openai_upstream.stream import UpstreamStream
from headrace.errors import Cancelled, DeadlineExceeded, InvalidArguments, ShuttingDown, StreamTruncated

HI = Generation(messages=[Message("user", "hi")])
AT_ONCE = 0.1  # seconds


class Opened(UpstreamStream):
    """A stream of a server; `ended`: how often it said that it is over."""

    def __init__(self, server: Upstream, **options: Any) -> None:
        self.clients = Clients(Address(server.url, "k", None, {}, 5.0, 5.0))
        self.endings: list[str | None] = []
        settings: dict[str, Any] = {"retries": 2, "timeout": None, "clock": Clock(), **options}
        super().__init__(self.clients, Terms("tiny", {}), HI, ended=self._over, **settings)

    def _over(self, stream: UpstreamStream) -> None:
        self.endings.append(stream.measures.outcome)


@asynccontextmanager
async def opened(script: Script, **options: Any) -> AsyncIterator[tuple[Opened, Upstream]]:
    async with upstream(script) as server, Opened(server, **options) as stream:
        stream.clients.take()  # as an engine does that was started, so that closing the stream is what closes it
        yield stream, server
        await stream.clients.give_back()
    assert len(stream.endings) <= 1


async def read(stream: UpstreamStream) -> list[Any]:
    return [event async for event in stream]


# -- cancelled

STALLS: dict[str, Script] = {
    "before the head": [STALL],
    "before the first chunk": [HEAD, STALL],
    "before the first token": [FILTERED, ROLE, STALL],
    "in the middle": [ROLE, says("Hello"), STALL],
    "before the mark": [ROLE, says("Hello"), finish("stop"), usage(3, 4), STALL],
}


@pytest.mark.parametrize("script", STALLS.values(), ids=STALLS)
async def test_cancel_wakes_a_stalled_stream_and_closes_the_upstream(script: Script) -> None:
    async with opened(script) as (stream, server):
        reader = asyncio.ensure_future(read(stream))
        request = await server.request()
        await _until_it_waits(stream, says("Hello") in script)
        started = time.monotonic()
        stream.cancel()
        with pytest.raises(Cancelled, match="the generation was cancelled"):
            await reader
        assert await request.left(within=AT_ONCE) - started < AT_ONCE
        assert stream.measures.outcome == "cancelled"


@pytest.mark.parametrize("script", STALLS.values(), ids=STALLS)
async def test_a_task_that_is_cancelled_closes_the_upstream(script: Script) -> None:
    async with opened(script) as (stream, server):
        reader = asyncio.ensure_future(read(stream))
        request = await server.request()
        await _until_it_waits(stream, says("Hello") in script)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await request.left(within=AT_ONCE)
        assert stream.endings == ["cancelled"]


async def _until_it_waits(stream: UpstreamStream, has_text: bool) -> None:
    async with asyncio.timeout(5.0):
        while has_text and not stream.answer.text:
            await asyncio.sleep(0)


async def test_cancel_from_another_thread_wakes_it() -> None:
    asyncio.get_running_loop().set_debug(True)  # it then refuses what is not safe
    async with opened([says("Hello"), STALL]) as (stream, server):
        assert await anext(stream) == TextDelta("Hello")
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await asyncio.to_thread(stream.cancel)
        async with asyncio.timeout(5.0):
            with pytest.raises(Cancelled):
                await reader
        await server.requests[0].left(within=AT_ONCE)


async def test_what_came_before_the_cancel_is_kept() -> None:
    early = {**says("Hello"), "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    async with opened([early, STALL]) as (stream, _):
        await anext(stream)
        stream.cancel()
        with pytest.raises(Cancelled):
            await anext(stream)
        assert (stream.answer.text, stream.answer.complete) == ("Hello", False)
        assert (stream.measures.prompt_tokens, stream.measures.tokens) == (3, 1)


async def test_a_stream_that_was_cancelled_before_it_began_asks_nothing() -> None:
    async with opened(HELLO) as (stream, server):
        stream.cancel()
        with pytest.raises(Cancelled):
            await anext(stream)
        assert server.requests == []


async def test_cancel_is_of_one_stream() -> None:
    async with opened(HELLO) as (one, _), opened(HELLO) as (other, _):
        one.cancel()
        assert (await read(other))[-1] == Usage(3, 4)


async def test_events_that_wait_do_not_hide_a_cancel() -> None:
    many = b"".join(b"data: %b\n\n" % json.dumps(says("a")).encode() for _ in range(9))
    async with opened([many, STALL]) as (stream, _):
        await anext(stream)
        stream.cancel()
        with pytest.raises(Cancelled):
            await anext(stream)
        assert await read(stream) == []
        assert stream.answer.text == "a"


async def test_the_reason_of_a_cancel_may_be_another_one() -> None:
    async with opened([says("Hello"), STALL]) as (stream, _):
        await anext(stream)
        stream.cancel(ShuttingDown())
        stream.cancel()
        with pytest.raises(ShuttingDown):
            await anext(stream)
        assert stream.endings == ["cancelled"]


async def test_a_cancel_behind_the_end_changes_nothing() -> None:
    async with opened(HELLO) as (stream, _):
        await read(stream)
        stream.cancel()
        assert await read(stream) == []
        assert stream.measures.outcome == "complete"


async def test_a_cancel_behind_the_last_chunk_loses_nothing() -> None:
    async with opened(HELLO) as (stream, _):
        events = [await anext(stream)]
        while stream.measures.outcome is None:
            events.append(await anext(stream))
        stream.cancel()
        assert [*events, *await read(stream)][-2:] == [Finish("stop"), Usage(3, 4)]


async def test_a_cancel_is_no_harm_when_the_event_loop_of_its_reader_is_gone() -> None:
    kept: list[UpstreamStream] = []

    async def elsewhere() -> None:
        async with opened(HELLO) as (stream, _):
            await read(stream)
            kept.append(stream)

    await asyncio.to_thread(asyncio.run, elsewhere())
    kept[0].cancel()
    assert kept[0].measures.outcome == "complete"


async def test_a_pause_before_a_retry_is_cancelled_too() -> None:
    sleeping = asyncio.Event()

    async def sleep(seconds: float) -> None:
        sleeping.set()
        await asyncio.Event().wait()

    async with opened([Status(503, error("Busy."))], clock=Clock(sleep=sleep)) as (stream, _):
        reader = asyncio.ensure_future(read(stream))
        await sleeping.wait()
        stream.cancel()
        with pytest.raises(Cancelled):
            await reader


# -- left and closed


async def test_leaving_the_block_closes_the_upstream() -> None:
    async with upstream([says("Hello"), STALL]) as server:
        async with Opened(server) as stream:
            async for _ in stream:
                break
        await server.requests[0].left(within=AT_ONCE)
    assert stream.endings == ["cancelled"]


async def test_closing_twice_is_closing_once() -> None:
    async with opened([says("Hello"), STALL]) as (stream, _):
        await anext(stream)
        await stream.aclose()
        await stream.aclose()
        assert stream.endings == ["cancelled"]
        assert await read(stream) == []


async def test_a_stream_that_nobody_read_asks_nothing_and_is_not_counted() -> None:
    async with opened(HELLO) as (stream, server):
        pass
    assert (server.requests, stream.endings, stream.measures.outcome) == ([], [], "cancelled")


@pytest.mark.parametrize(
    ("script", "kind", "outcome"),
    [
        ([says("Hello"), CUT], StreamTruncated, "truncated"),
        ([says("Hello"), DONE], StreamTruncated, "truncated"),
        ([Status(400, error("No."))], InvalidArguments, "failed"),
        ([says("Hello"), finish("abort"), DONE], Exception, "failed"),
    ],
    ids=["cut", "the mark alone", "refused", "aborted"],
)
async def test_a_stream_that_failed_has_ended(script: Script, kind: type[Exception], outcome: str) -> None:
    async with opened(script) as (stream, _):
        with pytest.raises(kind):
            await read(stream)
        assert stream.endings == [outcome]
        assert await read(stream) == []
        assert not stream.answer.complete


@pytest.mark.parametrize(
    "script",
    [HELLO, [says("Hello"), CUT], [Status(400, error("No."))], [says("Hello"), STALL]],
    ids=["complete", "cut", "refused", "left"],
)
async def test_the_client_is_given_back(script: Script) -> None:
    async with upstream(script) as server:
        async with Opened(server) as stream:
            with suppress(StreamTruncated, InvalidArguments):
                async for _ in stream:
                    if script[-1] is STALL:
                        break
        with pytest.raises(KeyError):
            await stream.clients.give_back()


# -- time


async def test_the_deadline_ends_a_stream_that_is_silent(hands: Any) -> None:
    async with opened([says("Hello"), STALL], timeout=60.0, clock=hands.clock) as (stream, server):
        await anext(stream)
        hands.time += 59.95
        with pytest.raises(DeadlineExceeded, match="had not answered within 60 s"):
            await anext(stream)
        await server.requests[0].left(within=AT_ONCE)
        assert stream.endings == ["failed"]


async def test_the_deadline_counts_what_was_read(hands: Any) -> None:
    async with opened([says("Hello"), STALL], timeout=60.0, clock=hands.clock) as (stream, _):
        await anext(stream)
        hands.time += 60.0
        with pytest.raises(DeadlineExceeded):
            await anext(stream)


@pytest.mark.parametrize(
    "first",
    [
        says("a"),
        delta(refusal="a"),
        delta(reasoning_content="a"),
        calls({"index": 0, "id": "c", "function": {"name": "f"}}),
    ],
    ids=["text", "refusal", "reasoning", "call"],
)
async def test_the_first_token_is_the_first_delta_of_any_kind(hands: Any, first: Any) -> None:
    gates = [Gate(), Gate(), Gate()]
    script = [FILTERED, ROLE, gates[0], first, gates[1], says("b"), gates[2], finish("stop"), usage(3, 5), DONE]
    async with opened(script, clock=hands.clock) as (stream, server):
        reader = asyncio.ensure_future(read(stream))
        for number, gate in enumerate(gates):
            await server.request()
            await _until_it_measured(stream, number)
            hands.time += 10.0 * (number + 1)
            gate.opened.set()
        await reader
        measures = stream.measures
    assert measures.first_token_seconds == 10.0
    assert measures.longest_gap_seconds == 20.0
    assert measures.total_seconds == 60.0
    assert measures.tokens == 5
    assert measures.tokens_per_second == 4 / 20.0


async def _until_it_measured(stream: UpstreamStream, deltas: int) -> None:
    """Waits until so many deltas have left their traces."""
    async with asyncio.timeout(5.0):
        while [stream.measures.first_token_seconds, stream.measures.longest_gap_seconds][:deltas].count(None):
            await asyncio.sleep(0)


async def test_measures_are_of_one_stream_and_say_how_it_ended() -> None:
    async with opened(AZURE) as (stream, _):
        assert stream.measures.outcome is None
        await read(stream)
        assert (stream.measures.outcome, stream.measures.reasons, stream.measures.retries) == ("complete", ("stop",), 0)


async def test_the_answer_is_what_the_events_add_up_to() -> None:
    async with opened(HELLO) as (stream, _):
        await read(stream)
        assert (stream.answer.text, stream.answer.finish, stream.answers.usage) == (
            "Hello, world",
            Finish("stop"),
            Usage(3, 4),
        )
