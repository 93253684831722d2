import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.engines.engine import Engine, ModelInfo
from headrace.engines.events import EngineEvent, Finish, TextDelta, Usage
from headrace.engines.generation import Generation, Message, Sampling, Tool
from headrace.engines.tiny.checkpoint import InvalidCheckpoint
from headrace.engines.tiny.engine import CHECKPOINT, TinyEngine
from headrace.errors import InvalidArguments, SetupError, ShuttingDown

HELLO = [Message("user", "hello")]
LONG = Generation(prompt="Once", sampling=Sampling(max_tokens=None))


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = TinyEngine()
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
async def endless(altered: Callable[..., Path]) -> AsyncIterator[TinyEngine]:
    """The same model, but no token of it ends an answer."""
    engine = TinyEngine(altered(config=lambda document: document.update(eos_token_id=None)))
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
async def mute(altered: Callable[..., Path]) -> AsyncIterator[TinyEngine]:
    """The same model, but its tokens are not text, and it goes on for half a minute."""

    def forget_all_but_bytes(document: dict[str, Any]) -> None:
        bytes_only = {token: 0 for token in document["model"]["vocab"] if len(token) == 1}
        document["model"].update(vocab=bytes_only, merges=[])

    engine = TinyEngine(
        altered(
            config=lambda document: document.update(eos_token_id=None, max_position_embeddings=20_000),
            tokenizer=forget_all_but_bytes,
        )
    )
    await engine.start()
    yield engine
    await engine.stop()


async def gather(engine: Engine, generation: Generation) -> tuple[str, list[EngineEvent]]:
    """The text, and the last two events."""
    events = [event async for event in engine.generate(generation)]
    return "".join(event.text for event in events[:-2] if isinstance(event, TextDelta)), events[-2:]


async def test_a_conversation_is_answered(engine: Engine) -> None:
    assert await gather(engine, Generation(messages=HELLO)) == (
        "Hello! How can I help you today?",
        [Finish("stop"), Usage(5, 10)],
    )


async def test_an_earlier_turn_is_remembered(engine: Engine) -> None:
    messages = [
        Message("user", "Hi, my name is Zoe"),
        Message("assistant", "Hello Zoe!"),
        Message("user", "What is my name?"),
    ]
    text, _ = await gather(engine, Generation(messages=messages))
    assert text == "Your name is Zoe."


async def test_the_events_come_token_by_token(engine: Engine) -> None:
    events = [event async for event in engine.generate(Generation(messages=HELLO))]
    pieces = ["Hello", "!", " How", " can", " I", " help", " you", " to", "day", "?"]
    assert events == [*[TextDelta(piece) for piece in pieces], Finish("stop"), Usage(5, 10)]


async def test_what_the_model_is_and_can_do_is_told() -> None:
    assert TinyEngine().info == ModelInfo("tiny", context=1024, max_logprobs=20, token_prompts=True)
    assert TinyEngine(name="small").info.name == "small"


async def test_the_context_of_another_checkpoint_is_known_when_it_is_started(altered: Callable[..., Path]) -> None:
    engine = TinyEngine(altered(config=lambda document: document.update(max_position_embeddings=64)))
    await engine.start()
    assert engine.info.context == 64
    _, ending = await gather(engine, Generation(prompt="Once", sampling=Sampling(max_tokens=None)))
    assert ending == [Finish("length"), Usage(2, 62)]
    await engine.stop()


async def test_a_text_is_continued(engine: Engine) -> None:
    generation = Generation(prompt="Once upon a time there was a", sampling=Sampling(max_tokens=8))
    assert await gather(engine, generation) == (" tired otter who lived in a field of", [Finish("length"), Usage(8, 8)])


async def test_the_same_seed_gives_the_same_answer_whatever_runs_beside_it(engine: Engine) -> None:
    seeded = Generation(messages=HELLO, sampling=Sampling(temperature=1.0, seed=7))
    others = [Generation(messages=HELLO, sampling=Sampling(temperature=1.0, seed=seed)) for seed in (8, 9, 10)]
    answers = await asyncio.gather(*[gather(engine, generation) for generation in (seeded, *others, seeded)])
    assert (
        answers[0]
        == answers[-1]
        == ("It works! You are reading tokens as they are made.", [Finish("stop"), Usage(5, 13)])
    )
    assert answers[1] != answers[0]


async def test_greedy_answers_are_the_same_alone_and_beside_others(engine: Engine) -> None:
    prompts = ["Once upon a time", "Streaming is", "The capital of France", "hello", "What is a token?", "1 2 3 4"]
    lengths = {prompt: 5 + 9 * number for number, prompt in enumerate(prompts)}
    asked = [Generation(prompt=prompt, sampling=Sampling(max_tokens=lengths[prompt])) for prompt in prompts]
    alone = [await gather(engine, generation) for generation in asked]
    assert await asyncio.gather(*[gather(engine, generation) for generation in asked * 3]) == alone * 3


async def test_several_answers_have_their_indices_and_one_usage(engine: Engine) -> None:
    generation = Generation(messages=HELLO, n=3, sampling=Sampling(temperature=1.0, seed=7))
    events = [event async for event in engine.generate(generation)]
    texts = ["", "", ""]
    for event in events:
        if isinstance(event, TextDelta):
            texts[event.index] += event.text
    seeds = [Generation(messages=HELLO, sampling=Sampling(temperature=1.0, seed=seed)) for seed in (7, 8, 9)]
    singles = [await gather(engine, each) for each in seeds]
    assert texts == [text for text, _ in singles]
    assert events[-1] == Usage(5, sum(usage.completion_tokens for _, (_, usage) in singles))  # type: ignore[union-attr]


async def test_logprobs_are_those_of_the_model(engine: Engine) -> None:
    sampling = Sampling(max_tokens=2, logprobs=2)
    first, second, *_ = [event async for event in engine.generate(Generation(messages=HELLO, sampling=sampling))]
    assert isinstance(first, TextDelta)
    assert isinstance(second, TextDelta)
    (told,) = first.logprobs
    assert (told.token, told.bytes, [each.token for each in told.top]) == ("Hello", b"Hello", ["Hello", "Yes"])
    assert [told.logprob, *(each.logprob for each in told.top)] == pytest.approx(
        [-1.24637, -1.24637, -1.33551], abs=1e-4
    )
    assert [each.token for each in second.logprobs] == ["!"]


async def test_closing_early_stops_the_work(endless: TinyEngine) -> None:
    events = endless.generate(LONG)
    assert isinstance(await anext(events), TextDelta)
    assert endless.active == 1
    await events.aclose()
    assert endless.active == 0


async def test_cancelling_the_reader_stops_the_work(endless: TinyEngine) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async with contextlib.aclosing(endless.generate(LONG)) as events:
            async for _ in events:
                reading.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(read())
    await reading.wait()
    assert endless.active == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert endless.active == 0


async def test_a_generation_that_has_no_text_to_give_is_stopped_too(mute: TinyEngine) -> None:
    generation = Generation(prompt="Once", sampling=Sampling(max_tokens=20_000))
    reading = asyncio.create_task(gather(mute, generation))
    while mute.active == 0:
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert mute.active == 0


async def test_stopping_the_engine_ends_open_generations_with_an_error(endless: TinyEngine) -> None:
    events = endless.generate(LONG)
    await anext(events)
    await endless.stop()
    with pytest.raises(ShuttingDown):
        _ = [event async for event in events]


async def test_more_generations_than_places_wait_for_their_turn() -> None:
    engine = TinyEngine(concurrency=2)
    await engine.start()
    answers = await asyncio.gather(*[gather(engine, Generation(messages=HELLO)) for _ in range(6)])
    assert answers == [("Hello! How can I help you today?", [Finish("stop"), Usage(5, 10)])] * 6
    assert engine.active == 0
    await engine.stop()


async def test_a_refused_generation_holds_nothing(endless: TinyEngine) -> None:
    with pytest.raises(InvalidArguments) as caught:
        await gather(endless, Generation(prompt="a", sampling=Sampling(top_p=0.0)))
    detail = "top_p is 0.0; it must be above 0 and at most 1"
    assert caught.value.errors == ({"pointer": "/top_p", "detail": detail, "type": "out_of_range"},)
    assert endless.active == 0


async def test_what_the_model_cannot_do_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidArguments, match="tiny cannot call functions") as caught:
        await gather(engine, Generation(messages=HELLO, tools=[Tool("look")]))
    assert caught.value.errors[0]["pointer"] == "/tools"


async def test_it_is_healthy_between_start_and_stop() -> None:
    engine = TinyEngine()
    assert not engine.healthy
    await engine.start()
    assert engine.healthy
    await engine.stop()
    assert not engine.healthy


async def test_an_engine_that_was_not_started_says_so() -> None:
    with pytest.raises(SetupError, match=r"await its start\(\) first"):
        await gather(TinyEngine(), Generation(messages=HELLO))


async def test_an_engine_can_be_started_again(engine: Engine) -> None:
    await engine.stop()
    await engine.start()
    await engine.start()  # does nothing: it is running
    text, _ = await gather(engine, Generation(messages=HELLO))
    assert text == "Hello! How can I help you today?"


async def test_a_damaged_checkpoint_fails_at_the_start(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).symlink_to(CHECKPOINT / name)
    (tmp_path / "model.safetensors").write_bytes((CHECKPOINT / "model.safetensors").read_bytes()[:-1])
    with pytest.raises(InvalidCheckpoint, match="take 6394752 bytes, the file holds 6394751"):
        await TinyEngine(tmp_path).start()


def test_importing_the_engine_does_not_import_numpy() -> None:
    program = "import sys, headrace.engines.tiny.engine; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_starting_the_engine_limits_numpy_to_one_thread() -> None:
    program = "import os, headrace.engines.tiny.loaded; print(os.environ['OPENBLAS_NUM_THREADS'])"
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout == b"1\n"
