import asyncio
import gc
import os
import subprocess
import sys
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from headrace.engines.engine import ModelInfo
from headrace.engines.events import EngineEvent, Finish, TextDelta, Usage
from headrace.engines.generation import Generation, Message, Sampling
from headrace.engines.refusals import ContextTooLong
from headrace.engines.tiny.checkpoint import InvalidCheckpoint
from headrace.engines.tiny.engine import CHECKPOINT
from headrace.engines.transformers.engine import TransformersEngine
from headrace.errors import InvalidArguments, SetupError, ShuttingDown

HELLO = Generation(messages=[Message("user", "Hi!")], sampling=Sampling(max_tokens=20))
ENDLESS = Generation(prompt="Count to:", sampling=Sampling(max_tokens=None))


@pytest.fixture
async def engine() -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(CHECKPOINT, name="tinychat", rows=3)
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
async def endless(memorized: Path) -> AsyncIterator[TransformersEngine]:
    """Its answers to `ENDLESS` have some 240 tokens."""
    engine = TransformersEngine(memorized, rows=3)
    await engine.start()
    yield engine
    await engine.stop()


async def first_text(events: AsyncGenerator[EngineEvent, None]) -> str:
    event = await anext(events)
    assert isinstance(event, TextDelta)
    return event.text


async def freed(engine: TransformersEngine) -> None:
    async with asyncio.timeout(10):
        while engine.active:
            await asyncio.sleep(0)


def test_before_the_start_its_name_is_known_and_nothing_else() -> None:
    engine = TransformersEngine(CHECKPOINT)
    assert (engine.info, engine.healthy, engine.active) == (ModelInfo("data"), False, 0)


def test_it_has_the_name_that_it_is_given() -> None:
    assert TransformersEngine("somebody/poet", name="poet").info.name == "poet"


async def test_once_started_it_tells_what_the_model_is(engine: TransformersEngine) -> None:
    assert engine.info == ModelInfo("tinychat", context=1024, max_logprobs=20, token_prompts=True)
    assert engine.healthy


async def test_it_answers(engine: TransformersEngine) -> None:
    events = [event async for event in engine.generate(HELLO)]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)).startswith("Hi!")
    assert isinstance(events[-2], Finish)
    assert isinstance(events[-1], Usage)


async def test_closing_an_answer_frees_its_row(endless: TransformersEngine) -> None:
    async with aclosing(endless.generate(ENDLESS)) as events:
        await first_text(events)
        assert endless.active == 1
    await freed(endless)


async def test_a_cancelled_reader_frees_the_row(endless: TransformersEngine) -> None:
    async def read() -> None:
        async for _ in endless.generate(ENDLESS):
            begun.set()

    begun = asyncio.Event()
    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    await freed(endless)


async def test_an_answer_that_nobody_waits_for_any_more_never_begins(endless: TransformersEngine) -> None:
    async with asyncio.timeout(30):
        opened = [endless.generate(ENDLESS) for _ in range(3)]
        for events in opened:
            await first_text(events)
        fourth = asyncio.create_task(anext(endless.generate(ENDLESS)))
        await asyncio.sleep(0)
        fourth.cancel()
        await asyncio.wait([fourth])
        for events in opened:
            await events.aclose()
    await freed(endless)


async def test_closing_one_leaves_the_others(endless: TransformersEngine) -> None:
    async with asyncio.timeout(30), aclosing(endless.generate(ENDLESS)) as left:
        whole = asyncio.create_task(read_all(endless, ENDLESS))
        await first_text(left)
        await left.aclose()
        alone = await read_all(endless, ENDLESS)
        assert await whole == alone


async def rest_of(events: AsyncGenerator[EngineEvent, None]) -> list[EngineEvent]:
    return [event async for event in events]


async def read_all(engine: TransformersEngine, generation: Generation) -> list[EngineEvent]:
    return await rest_of(engine.generate(generation))


@pytest.mark.parametrize(
    ("generation", "pointer"),
    [
        (Generation(), ""),
        (Generation(messages=[]), "/messages"),
        (Generation(prompt="a", sampling=Sampling(logprobs=21)), "/logprobs"),
        (Generation(prompt="a", n=17), "/n"),
        (Generation(prompt=[5, 2048]), "/prompt/1"),
        (Generation(prompt="a", sampling=Sampling(logit_bias={2048: 1.0})), "/logit_bias/2048"),
    ],
)
async def test_what_the_model_cannot_make_is_refused(
    engine: TransformersEngine, generation: Generation, pointer: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        await anext(engine.generate(generation))
    assert [error["pointer"] for error in caught.value.errors] == [pointer]
    assert engine.active == 0


async def test_a_prompt_without_room_for_an_answer_is_refused(engine: TransformersEngine) -> None:
    with pytest.raises(ContextTooLong, match="1024 tokens"):
        await anext(engine.generate(Generation(prompt=[7] * 1024)))


async def test_without_a_start_there_are_no_answers() -> None:
    with pytest.raises(SetupError, match="await its start\\(\\) first"):
        await anext(TransformersEngine(CHECKPOINT).generate(HELLO))


async def test_a_stop_ends_open_answers(endless: TransformersEngine) -> None:
    async with aclosing(endless.generate(ENDLESS)) as events:
        await first_text(events)
        await endless.stop()
        with pytest.raises(ShuttingDown):
            await asyncio.wait_for(rest_of(events), 10)
    assert not endless.healthy


async def test_after_a_stop_there_are_no_answers(engine: TransformersEngine) -> None:
    await engine.stop()
    with pytest.raises(ShuttingDown):
        await anext(engine.generate(HELLO))


async def test_a_stop_frees_the_model(memorized: Path) -> None:
    engine = TransformersEngine(memorized)
    await engine.start()
    await read_all(engine, Generation(prompt="Which pet?\n"))
    assert engine._loaded is not None
    model = weakref.ref(engine._loaded.decoding._pool._model)  # type: ignore[attr-defined]
    gc.disable()
    try:
        await engine.stop()
        assert model() is None
    finally:
        gc.enable()


async def test_a_stop_does_not_wait_for_those_who_do_not_read(endless: TransformersEngine) -> None:
    async with asyncio.timeout(10), aclosing(endless.generate(ENDLESS)) as events:
        await first_text(events)
        await endless.stop()


async def test_it_can_be_started_again(engine: TransformersEngine) -> None:
    await engine.stop()
    await engine.start()
    assert engine.healthy
    assert isinstance((await read_all(engine, HELLO))[-1], Usage)


async def test_a_second_start_changes_nothing(engine: TransformersEngine) -> None:
    loaded = engine._loaded
    await engine.start()
    assert engine._loaded is loaded


async def test_a_checkpoint_that_is_not_there_is_told_when_it_is_started() -> None:
    engine = TransformersEngine("/nowhere/poet")
    with pytest.raises(InvalidCheckpoint, match="there is no folder /nowhere/poet"):
        await engine.start()
    assert not engine.healthy


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rows": 0}, "rows is 0; it must be at least 1"),
        ({"prefill": 0}, "prefill is 0; it must be at least 1"),
        ({"positions": 23}, "positions is 23; it must be at least 24"),
    ],
)
def test_a_number_out_of_range_is_refused(options: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TransformersEngine(CHECKPOINT, **options)  # type: ignore[arg-type]


def test_a_form_of_calls_that_there_is_none_of_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(SetupError, match="'morse'; the known ones are hermes"):
        TransformersEngine("somebody/poet", tool_parser="morse")


def test_importing_it_brings_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, headrace.engines.transformers.engine; print({'torch', 'transformers', 'numpy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


STARTED = """
import asyncio, os, torch
from headrace.engines.tiny.engine import CHECKPOINT
from headrace.engines.transformers.engine import TransformersEngine
asyncio.run(TransformersEngine(CHECKPOINT).start())
print(os.environ["OMP_WAIT_POLICY"], torch.get_num_threads())
"""


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, ["PASSIVE", str(max(1, (os.cpu_count() or 1) - 1))]),
        ({"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "2"}, ["ACTIVE", "2"]),
    ],
)
def test_threads_leave_a_core_and_wait_without_spinning_unless_the_user_says_so(
    own: dict[str, str], expected: list[str]
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")} | own
    done = subprocess.run(
        [sys.executable, "-c", STARTED], capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    assert done.stdout.split() == expected
