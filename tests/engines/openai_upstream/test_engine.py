"""The engine: its protocol, on a server of ours and by itself, and what it keeps to itself."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from upstream import CUT, DONE, HELLO, STALL, Status, Upstream, calls, error, finish, says, upstream, usage

from headrace.batching.surroundings import Surroundings, surrounded
from headrace.engines.engine import Embedder, Embeddings, Engine, ModelInfo
from headrace.engines.events import EngineEvent, Finish, TextDelta, ToolCallDelta, Usage
from headrace.engines.generation import Generation, Message, NamedTool, Sampling, Tool
from headrace.engines.openai_upstream.answers import assembled
from headrace.engines.openai_upstream.clients import Azure
from headrace.engines.openai_upstream.engine import OpenAIEngine
from headrace.engines.refusals import UpstreamFailed
from headrace.errors import DeadlineExceeded, InvalidArguments, SetupError, ShuttingDown, StreamError, StreamTruncated
from headrace.metrics import Metrics

HI = Generation(messages=[Message("user", "hi")])
WORLD = [TextDelta("Hello"), TextDelta(", "), TextDelta("world"), Finish("stop"), Usage(3, 4)]
KEY = "k-4711-of-ours"
VECTORS: dict[str, Any] = {
    "object": "list",
    "model": "tiny",
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
    "data": [
        {"object": "embedding", "index": 1, "embedding": [2.0, 0.0]},
        {"object": "embedding", "index": 0, "embedding": [1.0, 0.5]},
    ],
}


def engine_of(server: Upstream, **options: Any) -> OpenAIEngine:
    return OpenAIEngine("tiny", base_url=server.url, api_key=KEY, **options)


async def generated(engine: OpenAIEngine, generation: Generation = HI) -> list[EngineEvent]:
    return [event async for event in engine.generate(generation)]


# -- without a server


async def test_it_generates_without_a_start() -> None:
    async with upstream() as server:
        assert await generated(engine_of(server)) == WORLD
    assert server.requests[0].body["messages"] == [{"role": "user", "content": "hi"}]


async def test_without_a_start_nothing_stays_open() -> None:
    async with upstream() as server:
        engine = engine_of(server)
        await generated(engine)
        await generated(engine)
    assert server.connections == 2


def test_event_loops_may_come_and_go() -> None:
    engine = None

    async def main() -> list[EngineEvent]:
        nonlocal engine
        async with upstream() as server:
            engine = engine_of(server)
            return await generated(engine)

    assert asyncio.run(main()) == WORLD
    assert asyncio.run(main()) == WORLD


async def test_its_stream_can_be_awaited_whole() -> None:
    async with upstream() as server:
        answers = await assembled(engine_of(server).generate(HI))
    assert (answers[0].text, answers.usage) == ("Hello, world", Usage(3, 4))


# -- in a service


async def test_between_start_and_stop_connections_are_kept() -> None:
    async with upstream() as server, engine_of(server) as engine:
        assert engine.healthy
        await generated(engine)
        await generated(engine)
        assert server.connections == 1
    assert not engine.healthy


async def test_it_is_an_engine() -> None:
    async with upstream() as server:
        engine: Engine = engine_of(server)
        assert not engine.healthy
        await engine.start()
        await engine.start()
        events: AsyncGenerator[EngineEvent, None] = engine.generate(HI)
        async with contextlib.aclosing(events):
            assert await anext(events) == TextDelta("Hello")
        await engine.stop()
        await engine.stop()
        assert not engine.healthy


async def test_stopping_ends_what_is_open() -> None:
    async with upstream([says("Hello"), STALL]) as server:
        engine = engine_of(server)
        await engine.start()
        async with engine.open(HI) as stream:
            await anext(stream)
            reader = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            await engine.stop()
            with pytest.raises(ShuttingDown):
                await reader
        await server.requests[0].left(within=0.1)


async def test_a_stopped_engine_generates_no_more_until_it_starts_again() -> None:
    async with upstream() as server:
        engine = engine_of(server)
        await engine.stop()
        with pytest.raises(ShuttingDown):
            await generated(engine)
        async with engine:
            assert await generated(engine) == WORLD


async def test_a_start_without_a_key_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    engine = OpenAIEngine("tiny")
    with pytest.raises(SetupError, match="OPENAI_API_KEY"):
        await engine.start()
    assert not engine.healthy


@pytest.mark.parametrize("before", [[], [says("Hello")]], ids=["before the first token", "in the middle"])
async def test_closing_a_generation_closes_the_upstream_at_once(before: list[Any]) -> None:
    async with upstream([*before, STALL]) as server:
        events = engine_of(server).generate(HI)
        reader = asyncio.ensure_future(anext(events))
        request = await server.request()
        if before:
            await reader
        started = time.monotonic()
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader
        await events.aclose()
        assert await request.left(within=0.1) - started < 0.1


async def test_generations_run_beside_each_other() -> None:
    async with upstream() as server, engine_of(server) as engine:
        assert await asyncio.gather(*(generated(engine) for _ in range(16))) == [WORLD] * 16


# -- what is asked


async def test_a_forced_call_is_a_call_although_the_upstream_says_stop() -> None:
    call = calls({"index": 0, "id": "call_1", "function": {"name": "look", "arguments": '{"x":1}'}})
    generation = Generation(messages=HI.messages, tools=[Tool("look")], tool_choice=NamedTool("look"))
    async with upstream([call, finish("stop"), usage(3, 4), DONE]) as server:
        events = await generated(engine_of(server), generation)
    assert events == [ToolCallDelta(0, '{"x":1}', "call_1", "look"), Finish("tool_calls"), Usage(3, 4)]
    assert server.requests[0].body["tool_choice"] == {"type": "function", "function": {"name": "look"}}


async def test_several_answers_have_their_index() -> None:
    script = [says("b", 1), says("a", 0), finish("stop", 0), finish("length", 1), DONE]
    async with upstream(script) as server:
        events = await generated(engine_of(server), Generation(messages=HI.messages, n=2))
    assert events == [TextDelta("b", 1), TextDelta("a", 0), Finish("stop", 0), Finish("length", 1)]
    assert server.requests[0].body["n"] == 2


async def test_a_prompt_is_continued() -> None:
    text = {"choices": [{"index": 0, "text": " upon", "finish_reason": "stop"}]}
    async with upstream([text, DONE]) as server:
        assert await generated(engine_of(server), Generation(prompt="Once")) == [TextDelta(" upon"), Finish("stop")]
    assert server.requests[0].path == "/v1/completions"


async def test_members_of_the_body_and_headers_can_be_added() -> None:
    async with upstream() as server:
        await generated(engine_of(server, extra={"reasoning_effort": "low"}, headers={"x-title": "rain"}))
    assert server.requests[0].body["reasoning_effort"] == "low"
    assert server.requests[0].headers["x-title"] == "rain"


async def test_a_deployment_on_azure_is_asked() -> None:
    async with upstream() as server:
        azure = Azure(server.url.removesuffix("/v1"), "2024-10-21")
        assert await generated(OpenAIEngine("gpt", azure=azure, api_key=KEY)) == WORLD
    assert server.requests[0].path == "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
    assert server.requests[0].headers["api-key"] == KEY


@pytest.mark.parametrize(
    ("generation", "pointer"),
    [
        (Generation(), ""),
        (Generation(messages=[]), "/messages"),
        (Generation(messages=HI.messages, sampling=Sampling(temperature=float("nan"))), "/temperature"),
        (Generation(messages=HI.messages, n=129), "/n"),
    ],
)
async def test_what_no_upstream_takes_is_refused_without_asking(generation: Generation, pointer: str) -> None:
    async with upstream() as server:
        with pytest.raises(InvalidArguments) as refused:
            await generated(engine_of(server), generation)
    assert (refused.value.errors[0]["pointer"], server.requests) == (pointer, [])


async def test_what_the_model_cannot_do_can_be_told() -> None:
    async with upstream() as server:
        engine = engine_of(server, info=ModelInfo("tiny", owned_by="us", max_n=1))
        assert (engine.info.owned_by, engine.info.tools) == ("us", False)
        with pytest.raises(InvalidArguments):
            await generated(engine, Generation(messages=HI.messages, n=2))


def test_everything_is_passed_on_unless_told_otherwise() -> None:
    info = OpenAIEngine("gpt").info
    assert (info.name, info.owned_by) == ("gpt", "openai")
    assert info.tools
    assert info.forced_tools
    assert info.json_object
    assert info.json_schema


# -- failures


@pytest.mark.parametrize(
    ("status", "headers", "kind", "ours", "retry_after"),
    [
        (400, {}, InvalidArguments, 422, None),
        (401, {}, UpstreamFailed, 502, None),
        (404, {}, UpstreamFailed, 404, None),
        (429, {"retry-after": "7"}, UpstreamFailed, 429, 7.0),
        (500, {}, UpstreamFailed, 500, None),
        (503, {"retry-after": "2"}, UpstreamFailed, 503, 2.0),
    ],
)
async def test_a_status_of_the_upstream_is_an_error_before_the_first_event(
    status: int, headers: dict[str, str], kind: type[StreamError], ours: int, retry_after: float | None
) -> None:
    async with upstream([Status(status, error(f"Not with {KEY}."), headers)]) as server:
        with pytest.raises(kind) as failed:
            await generated(engine_of(server, retries=0))
    assert (failed.value.status, getattr(failed.value, "retry_after", None)) == (ours, retry_after)
    assert KEY not in str(failed.value)


async def test_a_failure_behind_the_first_event_is_an_error_and_no_finish() -> None:
    async with upstream([says("Hello"), error("Out of memory.", code="oom"), DONE]) as server:
        events = engine_of(server).generate(HI)
        assert await anext(events) == TextDelta("Hello")
        with pytest.raises(UpstreamFailed, match="Out of memory"):
            await anext(events)


@pytest.mark.parametrize("script", [[says("Hello"), CUT], [says("Hello"), DONE], [says("Hello")]])
async def test_an_answer_without_a_reason_is_truncated(script: Any) -> None:
    async with upstream(script) as server:
        with pytest.raises(StreamTruncated):
            await generated(engine_of(server))


async def test_busy_upstreams_are_asked_again(hands: Any) -> None:
    async with upstream([Status(503, error("Busy."))], HELLO) as server:
        engine = engine_of(server, clock=hands.clock)
        async with engine.open(HI) as stream:
            assert [event async for event in stream] == WORLD
    assert (len(server.requests), stream.measures.retries, len(hands.slept)) == (2, 1, 1)


async def test_a_generation_has_as_long_as_its_timeout() -> None:
    async with upstream([STALL]) as server:
        with pytest.raises(DeadlineExceeded):
            await generated(engine_of(server, timeout=0.05))


async def test_one_stream_may_have_another_timeout() -> None:
    async with upstream([STALL]) as server, engine_of(server).open(HI, timeout=0.05) as stream:
        with pytest.raises(DeadlineExceeded):
            await anext(stream)


async def test_the_gap_ends_a_silent_upstream() -> None:
    async with upstream([says("Hello"), STALL]) as server:
        with pytest.raises(UpstreamFailed, match=r"has said nothing for 0\.05 s") as failed:
            await generated(engine_of(server, gap=0.05))
    assert (failed.value.status, len(server.requests)) == (504, 1)


async def test_the_key_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with upstream([Status(401, error(f"Not with {KEY}."))]) as server:
        engine = engine_of(server)
        with pytest.raises(UpstreamFailed):
            await generated(engine)
    assert KEY not in caplog.text
    assert KEY not in f"{engine!r} {vars(engine)}"


# -- metrics


async def test_the_service_measures_its_upstreams() -> None:
    metrics = Metrics()
    with surrounded(Surroundings(asyncio.get_running_loop(), metrics, lambda: None)):
        async with upstream(HELLO, [says("Hello"), CUT]) as server:
            engine = engine_of(server)
            await generated(engine)
            with pytest.raises(StreamTruncated):
                await generated(engine)
    text = metrics.exposition().decode()
    assert 'headrace_upstream_generations_total{model="tiny",outcome="complete"} 1.0' in text
    assert 'headrace_upstream_generations_total{model="tiny",outcome="truncated"} 1.0' in text
    assert 'headrace_upstream_tokens_total{kind="completion",model="tiny"} 4.0' in text
    assert 'headrace_upstream_first_token_seconds_count{model="tiny"} 2.0' in text


# -- embeddings


async def test_texts_have_their_vectors_in_their_order() -> None:
    async with upstream([Status(200, VECTORS)]) as server:
        engine = engine_of(server, embeddings_model="small")
        assert isinstance(engine, Embedder)
        assert await engine.embed(["rain", "snow"]) == Embeddings([[1.0, 0.5], [2.0, 0.0]], 5)
    assert server.requests[0].body["model"] == "small"
    assert server.requests[0].body["input"] == ["rain", "snow"]


def test_without_a_model_for_them_there_are_none() -> None:
    assert not isinstance(OpenAIEngine("tiny"), Embedder)


async def test_embeddings_are_asked_for_again(hands: Any) -> None:
    async with upstream([Status(503, error("Busy."))], [Status(200, VECTORS)]) as server:
        engine = engine_of(server, embeddings_model="small", clock=hands.clock)
        assert len((await engine.embed(["rain", "snow"])).vectors) == 2
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([Status(400, error("Too long."))], InvalidArguments),
        ([Status(503, error("Busy."))], UpstreamFailed),
        ([Status(200, {**VECTORS, "data": VECTORS["data"][:1]})], UpstreamFailed),
    ],
    ids=["refused", "busy", "one too few"],
)
async def test_embeddings_that_cannot_be_made_are_an_error(script: Any, kind: type[StreamError], hands: Any) -> None:
    async with upstream(script) as server:
        engine = engine_of(server, embeddings_model="small", clock=hands.clock)
        with pytest.raises(kind):
            await engine.embed(["rain", "snow"])


async def test_a_stopped_engine_makes_no_embeddings() -> None:
    async with upstream() as server:
        engine = engine_of(server, embeddings_model="small")
        await engine.stop()
        with pytest.raises(ShuttingDown):
            await engine.embed(["rain"])
