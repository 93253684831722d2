import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest
from parsing import told
from vllm_stand_in import AsyncLLM, StandIn, VLLMClientError, output, until

from headrace.engines.engine import ModelInfo
from headrace.engines.events import EngineEvent, Finish, TextDelta, Usage
from headrace.engines.generation import Generation, JsonObject, Tool
from headrace.engines.refusals import ContextTooLong
from headrace.engines.vllm.engine import VllmEngine
from headrace.errors import DefinitionError, InvalidArguments, SetupError, ShuttingDown

PROMPT = Generation(prompt="abc")
HELLO = (output("Hel"), output("lo", "stop"))


@asynccontextmanager
async def started(vllm: StandIn, **arguments: Any) -> AsyncIterator[tuple[VllmEngine, AsyncLLM]]:
    """An engine and the model in it."""
    engine = VllmEngine("some/model", library=vllm.library, **arguments)
    await engine.start()
    try:
        yield engine, vllm.models[-1]
    finally:
        await engine.stop()


async def collect(engine: VllmEngine, generation: Generation) -> list[EngineEvent]:
    async with asyncio.timeout(5), aclosing(engine.generate(generation)) as events:
        return [event async for event in events]


async def test_an_answer_comes_as_vllm_makes_it() -> None:
    async with started(StandIn(HELLO)) as (engine, llm):
        assert await collect(engine, PROMPT) == [TextDelta("Hel"), TextDelta("lo"), Finish("stop"), Usage(3, 5)]
        ((prompt, parameters),) = llm.asked
        assert prompt == {"type": "token", "prompt_token_ids": [97, 98, 99]}
        assert parameters.skip_special_tokens is True


async def test_before_the_start_the_name_is_known_and_nothing_can_be_generated() -> None:
    engine = VllmEngine("some/model", library=StandIn().library)
    assert engine.info == ModelInfo("some/model")
    assert (engine.healthy, engine.active) == (False, 0)
    with pytest.raises(SetupError, match="await its start"):
        await collect(engine, PROMPT)


async def test_arguments_go_to_vllm() -> None:
    async with started(StandIn(), dtype="float32", max_model_len=32) as (engine, llm):
        assert (llm.engine_args.model, llm.engine_args.dtype) == ("some/model", "float32")
        assert engine.info.context == 32


@pytest.mark.parametrize(
    ("vllm", "arguments", "message"),
    [
        pytest.param(StandIn(fails=RuntimeError("no GPU")), {}, "does not start with some/model: no GPU", id="no GPU"),
        pytest.param(StandIn(fails=RuntimeError()), {}, "some/model: RuntimeError", id="without a message"),
        pytest.param(StandIn(), {"frog": 1}, "unexpected keyword argument 'frog'", id="an unknown argument"),
    ],
)
async def test_a_failed_start_says_why(vllm: StandIn, arguments: dict[str, Any], message: str) -> None:
    engine = VllmEngine("some/model", library=vllm.library, **arguments)
    with pytest.raises(SetupError, match=message):
        await engine.start()
    assert not engine.healthy


async def test_without_vllm_it_does_not_start() -> None:
    def missing() -> Any:
        raise DefinitionError([])

    with pytest.raises(DefinitionError):
        await VllmEngine("m", library=missing).start()


async def test_processes_that_end_at_once_fail_the_start() -> None:
    vllm = StandIn(dies=True)
    engine = VllmEngine("m", library=vllm.library)
    with pytest.raises(SetupError, match="ended when they had just started"):
        await engine.start()
    assert not engine.healthy
    assert vllm.models[0].shut_down_by is not None


async def test_a_start_that_is_cancelled_leaves_no_vllm_behind() -> None:
    vllm = StandIn()
    vllm.may_start.clear()
    engine = VllmEngine("m", library=vllm.library)
    starting = asyncio.create_task(engine.start())
    await asyncio.sleep(0)
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    assert vllm.models == []
    vllm.may_start.set()
    await until(lambda: vllm.models and vllm.models[0].shut_down_by)
    assert not engine.healthy


async def test_a_start_that_is_cancelled_and_fails_leaves_nothing_behind() -> None:
    vllm = StandIn(fails=RuntimeError("no GPU"))
    vllm.may_start.clear()
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    starting = asyncio.create_task(VllmEngine("m", library=vllm.library).start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    vllm.may_start.set()
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    await asyncio.sleep(0)
    assert unhandled == []


async def test_a_second_start_does_nothing() -> None:
    vllm = StandIn(HELLO)
    async with started(vllm) as (engine, _):
        await engine.start()
    assert len(vllm.models) == 1


@pytest.mark.parametrize(
    ("generation", "kind", "pointer"),
    [
        pytest.param(Generation(prompt="x" * 64), ContextTooLong, "/prompt", id="no room for an answer"),
        pytest.param(Generation(prompt=[200]), InvalidArguments, "/prompt/0", id="an unknown token"),
        pytest.param(Generation(prompt="x", n=99), InvalidArguments, "/n", id="too many answers"),
        pytest.param(Generation(prompt="x", tools=(Tool("f"),)), InvalidArguments, "/tools", id="tools it cannot call"),
    ],
)
async def test_what_cannot_be_done_is_refused_before_vllm_is_asked(
    generation: Generation, kind: type[InvalidArguments], pointer: str
) -> None:
    async with started(StandIn(HELLO)) as (engine, llm):
        with pytest.raises(kind) as caught:
            await collect(engine, generation)
        assert type(caught.value) is kind
        assert [each["pointer"] for each in caught.value.errors] == [pointer]
        assert llm.asked == []


async def test_what_vllm_refuses_is_the_callers_error() -> None:
    async with started(StandIn((VLLMClientError("Invalid type: frog"),))) as (engine, _):
        with pytest.raises(InvalidArguments, match="Invalid type: frog"):
            await collect(engine, Generation(prompt="x", response_format=JsonObject()))
        assert engine.healthy


async def test_a_request_whose_prompt_is_made_after_the_stop_never_comes_to_vllm() -> None:
    async with started(StandIn(HELLO)) as (engine, llm):
        task = asyncio.create_task(collect(engine, PROMPT))
        await asyncio.sleep(0)  # it makes its prompt on a thread
        await engine.stop()
        with pytest.raises(ShuttingDown):
            await task
        assert llm.asking == 0


async def test_without_its_processes_it_is_not_healthy() -> None:
    async with started(StandIn(HELLO)) as (engine, llm):
        llm.die()
        assert not engine.healthy


async def test_after_the_stop_nothing_is_generated_until_it_starts_again() -> None:
    vllm = StandIn(HELLO)
    async with started(vllm) as (engine, _):
        await engine.stop()
        await engine.stop()
        assert not engine.healthy
        with pytest.raises(ShuttingDown):
            await collect(engine, PROMPT)
        await engine.start()
        assert told(await collect(engine, PROMPT)) == ["Hello"]
    assert len(vllm.models) == 2


async def test_a_wrong_parser_is_told_before_anything_is_loaded() -> None:
    with pytest.raises(SetupError, match="no form of tool calls named 'xml'"):
        VllmEngine("m", tool_parser="xml")
