import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest
from parsing import told
from vllm_stand_in import THINK, AsyncLLM, StandIn, Waiting, output, until

from headrace.engines.engine import ModelInfo
from headrace.engines.events import EngineEvent, Finish, ReasoningDelta, TextDelta, Usage
from headrace.engines.generation import Generation, JsonObject, Message, Sampling, Tool
from headrace.engines.vllm.running import Running
from headrace.errors import SetupError, ShuttingDown, WorkerLost

PROMPT = Generation(prompt="abc")
CONVERSATION = list(b"hello")
HELLO = (output("Hel"), output("lo", "stop"))
TOOLS_TEMPLATE = "{% if tools %}<tool_call>{% endif %}"
CALL = '<tool_call>{"name": "f"}</tool_call>'


@asynccontextmanager
async def started(vllm: StandIn) -> AsyncIterator[tuple[Running, AsyncLLM]]:
    """What runs, and the model in it."""
    running = Running.start(vllm.library(), "some/model", {}, None)
    try:
        yield running, vllm.models[-1]
    finally:
        if vllm.models[-1].shut_down_by is None:
            await running.stop()


def events_of(running: Running, generation: Generation) -> AsyncGenerator[EngineEvent, None]:
    return running.events(running.tokens(generation), generation)


async def collect(running: Running, generation: Generation, prompt: Sequence[int] | None = None) -> list[EngineEvent]:
    """All events; `prompt` is what a chat template would make of the generation's conversation."""
    tokens = running.tokens(generation) if prompt is None else prompt
    async with asyncio.timeout(5), aclosing(running.events(tokens, generation)) as events:
        return [event async for event in events]


async def test_closing_ends_vllm_that_was_never_asked() -> None:
    vllm = StandIn(leaves=True)
    running = Running.start(vllm.library(), "m", {}, None)
    assert running.healthy
    running.close()
    assert not running.healthy
    assert vllm.models[0].shut_down_by is not None
    assert vllm.models[0].processes[0].wait(5) == -signal.SIGTERM


async def test_after_the_start_the_model_is_known() -> None:
    async with started(StandIn()) as (running, _):
        assert running.info("mine") == ModelInfo(
            "mine", context=64, max_logprobs=20, json_object=True, json_schema=True, token_prompts=True
        )
        assert running.healthy


async def test_closing_aborts_the_request() -> None:
    async with started(StandIn((output("a"), Waiting()))) as (running, llm):
        async with aclosing(events_of(running, PROMPT)) as events:
            assert await anext(events) == TextDelta("a")
            assert running.active == 1
        assert len(llm.aborted) == 1
        assert running.active == 0


async def test_cancelling_before_the_first_token_aborts_the_request() -> None:
    async with started(StandIn((Waiting(),))) as (running, llm):
        task = asyncio.create_task(collect(running, PROMPT))
        await until(lambda: llm.asked)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert len(llm.aborted) == 1
        assert running.active == 0


async def test_several_answers_are_requests_of_their_own() -> None:
    async with started(StandIn(HELLO)) as (running, llm):
        events = await collect(running, Generation(prompt="abc", n=2, sampling=Sampling(seed=4)))
        assert [parameters.seed for _, parameters in llm.asked] == [4, 5]
        assert [parameters.n for _, parameters in llm.asked] == [1, 1]
    assert events[-1] == Usage(3, 10)
    assert sorted(event.index for event in events if isinstance(event, Finish)) == [0, 1]


async def test_when_its_processes_die_streams_end_with_an_error_and_it_is_unhealthy() -> None:
    async with started(StandIn((output("a"), Waiting()))) as (running, llm):
        events = events_of(running, PROMPT)
        assert await anext(events) == TextDelta("a")
        llm.die()
        with pytest.raises(WorkerLost):
            await anext(events)
        assert not running.healthy
        with pytest.raises(WorkerLost):
            await collect(running, PROMPT)


async def test_stop_ends_open_generations() -> None:
    async with started(StandIn((output("a"), Waiting()))) as (running, llm):
        events = events_of(running, PROMPT)
        await anext(events)
        await running.stop()
        with pytest.raises(ShuttingDown):
            await anext(events)
        assert llm.shut_down_by is not None
        assert not running.healthy


async def test_open_generations_need_not_wait_for_the_end_of_the_processes() -> None:
    async with (
        started(StandIn((output("a"), Waiting()))) as (running, llm),
        aclosing(events_of(running, PROMPT)) as events,
    ):
        await anext(events)
        await running.stop()
        assert len(llm.aborted_before_the_end) == 1


async def test_a_request_that_comes_while_the_processes_end_ends_with_them() -> None:
    async with started(StandIn((Waiting(),))) as (running, llm):
        llm.may_begin.clear()
        llm.may_end.clear()
        task = asyncio.create_task(collect(running, PROMPT))
        await until(lambda: llm.asking)
        stopping = asyncio.create_task(running.stop())
        await until(lambda: llm.ending)
        llm.may_begin.set()
        await until(lambda: llm.asked)
        llm.may_end.set()
        await stopping
        with pytest.raises(ShuttingDown):
            await task


async def test_an_answer_that_is_still_there_is_not_finished_after_the_stop() -> None:
    async with started(StandIn(HELLO)) as (running, _):
        events = events_of(running, PROMPT)
        await anext(events)
        await running.stop()
        with pytest.raises(ShuttingDown):
            await anext(events)


async def test_a_request_that_comes_to_vllm_after_its_end_is_told_of_the_stop() -> None:
    async with started(StandIn(HELLO)) as (running, llm):
        llm.may_begin.clear()
        task = asyncio.create_task(collect(running, PROMPT))
        await until(lambda: llm.asking)
        await running.stop()
        llm.may_begin.set()
        with pytest.raises(ShuttingDown):
            await task


async def test_stop_ends_processes_that_vllm_left_behind() -> None:
    async with started(StandIn(HELLO, leaves=True)) as (running, llm):
        assert llm.processes[0].poll() is None
        await running.stop()
        assert llm.processes[0].wait(5) == -signal.SIGTERM


async def test_stop_leaves_the_event_loop_free_and_vllms_own_handler_quiet() -> None:
    async with started(StandIn(HELLO)) as (running, llm):
        await collect(running, PROMPT)
        await running.stop()
        await asyncio.sleep(0)
        assert llm.shut_down_by not in (None, threading.current_thread())
        assert llm.output_handler is not None
        assert llm.output_handler.cancelled()


async def test_a_parser_for_a_model_without_tools_stops_the_start_and_vllm() -> None:
    vllm = StandIn()
    with pytest.raises(SetupError, match="takes no tools; leave tool_parser='hermes' out"):
        Running.start(vllm.library(), "m", {}, "hermes")
    assert vllm.models[0].shut_down_by is not None


def chat(**asked: Any) -> Generation:
    return Generation([Message("user", "hello")], **asked)


async def test_calls_are_found_in_the_text_of_a_model_that_takes_tools() -> None:
    async with started(StandIn((output(CALL, "stop"),), TOOLS_TEMPLATE)) as (running, llm):
        assert running.info("mine").tools
        events = await collect(running, chat(tools=(Tool("f"),)), CONVERSATION)
        assert told(events) == ["f<-{}"]
        assert events[-2] == Finish("tool_calls")
        assert llm.asked[0][1].skip_special_tokens is False


@pytest.mark.parametrize("asked", [{}, {"tools": (Tool("f"),), "tool_choice": "none"}], ids=["no tools", "no choice"])
async def test_without_tools_calls_are_text(asked: dict[str, Any]) -> None:
    async with started(StandIn((output(CALL, "stop"),), TOOLS_TEMPLATE)) as (running, _):
        assert told(await collect(running, chat(**asked), CONVERSATION)) == [CALL]


async def test_one_call_at_a_time_can_be_asked_for() -> None:
    async with started(StandIn((output(CALL + CALL, "stop"),), TOOLS_TEMPLATE)) as (running, _):
        assert told(await collect(running, chat(tools=(Tool("f"),), parallel_tool_calls=False), CONVERSATION)) == [
            "f<-{}"
        ]


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [(CONVERSATION, "<think>well</think>yes"), ([*CONVERSATION, THINK], "well</think>yes")],
    ids=["the model begins it", "the template begins it"],
)
async def test_reasoning_is_told_apart(prompt: list[int], answer: str) -> None:
    async with started(StandIn((output(answer, "stop"),), "<think></think>")) as (running, llm):
        assert (await collect(running, chat(), prompt))[:2] == [ReasoningDelta("well"), TextDelta("yes")]
        assert llm.asked[0][1].skip_special_tokens is False


async def test_an_answer_made_to_fit_a_schema_has_no_reasoning() -> None:
    async with started(StandIn((output("{}", "stop"),), "<think></think>")) as (running, _):
        assert (await collect(running, chat(response_format=JsonObject()), [*CONVERSATION, THINK]))[0] == TextDelta(
            "{}"
        )
