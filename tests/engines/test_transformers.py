"""The engine of transformers says what `generate` says, token by token: alone, in a full batch, and in any other.

It runs where torch is (`elsewhere`); what is tested of the engine besides stands in the folder `transformers`.
"""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from checkpoint import END, REPLIES
from tiny_checkpoints import write_checkpoint
from transformers_answers import generated, loaded, read, spoken, text

from headrace.engines.events import EngineEvent, Finish, TextDelta, Usage
from headrace.engines.generation import Generation, Message, Sampling
from headrace.engines.tiny.engine import CHECKPOINT, TinyEngine
from headrace.engines.transformers.checkpoint import load
from headrace.engines.transformers.source import Source

TALK = [
    "What is streaming?",
    "Tell me a joke.",
    "Hi!",
    "My name is Ada. What is my name?",
    "Count to ten, please.",
    "What is a proxy, and why does it buffer what I send?",
    "What is 2 plus 3?",
    "Write a poem about rain.",
]


@pytest.mark.parametrize("prompt", REPLIES)
async def test_an_answer_is_that_of_generate(memorized: Path, prompt: str) -> None:
    checkpoint, model = load(Source(str(memorized))), loaded(memorized)
    events = await read(model, Generation(prompt=prompt, sampling=Sampling(max_tokens=None)))
    tokens = model.tokens(Generation(prompt=prompt))
    expected = generated(checkpoint, tokens, 256 - len(tokens))
    assert text(events) == spoken(checkpoint, expected)
    assert events[-1] == Usage(len(tokens), len(expected))


async def test_the_replies_known_by_heart_are_said(memorized: Path) -> None:
    model = loaded(memorized)
    events = await read(model, Generation(prompt="Which pet?\n"))
    assert text(events) == REPLIES["Which pet?\n"].removesuffix(END)
    assert Finish("stop") in events


async def test_the_built_in_checkpoint_says_what_its_own_engine_says() -> None:
    model, own = loaded(CHECKPOINT), TinyEngine()
    await own.start()
    try:
        for said in TALK:
            asked = Generation(messages=[Message("user", said)], sampling=Sampling(max_tokens=120))
            assert await read(model, asked) == [event async for event in own.generate(asked)]
    finally:
        await own.stop()


async def test_its_logprobs_are_those_of_its_own_engine() -> None:
    model, own = loaded(CHECKPOINT), TinyEngine()
    asked = Generation(messages=[Message("user", "Hi!")], sampling=Sampling(max_tokens=20, logprobs=3))
    await own.start()
    try:
        expected = [event async for event in own.generate(asked)]
    finally:
        await own.stop()
    assert len(expected) > 5
    for event, twin in zip(await read(model, asked), expected, strict=True):
        if isinstance(event, TextDelta) and isinstance(twin, TextDelta):
            assert (event.text, [each.bytes for each in event.logprobs]) == (
                twin.text,
                [each.bytes for each in twin.logprobs],
            )
            for one, other in zip(event.logprobs, twin.logprobs, strict=True):
                assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
                assert [each.logprob for each in one.top[:1]] == pytest.approx(
                    [each.logprob for each in other.top[:1]], abs=1e-3
                )


async def test_answers_of_a_full_batch_are_those_of_each_alone() -> None:
    checkpoint, model = load(Source(str(CHECKPOINT))), loaded(CHECKPOINT)
    asked = [
        Generation(messages=[Message("user", said)], sampling=Sampling(max_tokens=60 - 5 * number))
        for number, said in enumerate(TALK)
    ]
    answers = await asyncio.gather(*(read(model, each) for each in asked))
    for each, events in zip(asked, answers, strict=True):
        assert text(events) == spoken(
            checkpoint, generated(checkpoint, model.tokens(each), each.sampling.max_tokens or 0)
        )


@pytest.mark.parametrize("seed", range(3))
async def test_answers_do_not_depend_on_who_comes_and_goes(memorized: Path, babbling: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    folder = (memorized, babbling, CHECKPOINT)[seed]
    checkpoint, model = load(Source(str(folder))), loaded(folder, rows=5)

    async def visit(number: int) -> None:
        prompt = [int(token) for token in np.random.default_rng(number).integers(10, 300, 1 + number * 7 % 40)]
        most, patience = int(random.integers(1, 40)), int(random.integers(1, 60))
        for _ in range(int(random.integers(0, 30))):
            await asyncio.sleep(0)
        events = list[EngineEvent]()
        source = model.events(prompt, Generation(prompt=prompt, sampling=Sampling(max_tokens=most)))
        async for event in source:
            events.append(event)
            if len(events) == patience:  # leaves in the middle
                await source.aclose()
                break
        expected = spoken(checkpoint, generated(checkpoint, prompt, most))
        if events and isinstance(events[-1], Usage):
            assert text(events) == expected
        else:
            assert expected.startswith(text(events))

    async with asyncio.timeout(100):
        await asyncio.gather(*(visit(number) for number in range(24)))
        while model.decoding.active:  # those that left go at the next step
            await asyncio.sleep(0)


@pytest.mark.parametrize("family", ["bloom", "mamba"])
async def test_a_model_whose_rows_are_computed_one_after_another_says_the_same(tmp_path: Path, family: str) -> None:
    folder = write_checkpoint(tmp_path, family=family)
    checkpoint, model = load(Source(str(folder))), loaded(folder, rows=3)
    prompts = [[int(token) for token in np.random.default_rng(each).integers(10, 300, 4 + each)] for each in range(6)]
    asked = [Generation(prompt=prompt, sampling=Sampling(max_tokens=12)) for prompt in prompts]
    answers = await asyncio.gather(*(read(model, each) for each in asked))
    assert [text(events) for events in answers] == [
        spoken(checkpoint, generated(checkpoint, prompt, 12)) for prompt in prompts
    ]
