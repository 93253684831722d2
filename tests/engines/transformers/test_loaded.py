import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint import END, REPLIES
from tiny_checkpoints import byte_level_tokenizer, write_checkpoint

from headrace.engines.events import EngineEvent, Finish, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from headrace.engines.generation import Generation, Message, Sampling, Tool
from headrace.engines.tiny.checkpoint import InvalidCheckpoint
from headrace.engines.tiny.engine import CHECKPOINT, TinyEngine
from headrace.engines.transformers.checkpoint import Checkpoint, load
from headrace.engines.transformers.loaded import LoadedModel
from headrace.engines.transformers.slots import SlotPool
from headrace.engines.transformers.source import Source
from headrace.errors import SetupError

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


def loaded(folder: Path, rows: int = 8, **options: Any) -> LoadedModel:
    return LoadedModel.load(Source(str(folder)), rows, 512, 24, **options)


async def read(model: LoadedModel, generation: Generation) -> list[EngineEvent]:
    prompt = model.tokens(generation)
    async with asyncio.timeout(60):
        return [event async for event in model.events(prompt, generation)]


def text(events: Sequence[EngineEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def generated(checkpoint: Checkpoint, prompt: Sequence[int], most: int) -> list[int]:
    """What `generate` says, greedily, up to an end of the checkpoint."""
    ids = torch.tensor([list(prompt)])
    made = checkpoint.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=most,
        eos_token_id=sorted(checkpoint.end_tokens) or None,
        pad_token_id=0,
    )[0, len(prompt) :].tolist()
    return made[:-1] if made and made[-1] in checkpoint.end_tokens else made


def spoken(checkpoint: Checkpoint, tokens: Sequence[int]) -> str:
    silent = {*checkpoint.tokenizer.all_special_ids} - {checkpoint.tokenizer.convert_tokens_to_ids("[TOOL_CALLS]")}
    shown = [token for token in tokens if token not in silent]
    return str(checkpoint.tokenizer.decode(shown, clean_up_tokenization_spaces=False))


# as the library itself


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


# ends


async def test_any_of_several_ends_ends_an_answer(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    prompt = [7, 8, 9]
    first = generated(load(Source(str(folder))), prompt, 6)
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": [1, first[5], first[3]]}))
    at = next(number for number, token in enumerate(first) if token in (first[5], first[3]))
    events = await read(loaded(folder), Generation(prompt=prompt))
    assert events[-2:] == [Finish("stop"), Usage(3, at)]


async def test_a_stop_string_across_the_borders_of_tokens_ends_an_answer() -> None:
    model = loaded(CHECKPOINT)
    asked = [Message("user", "What is streaming?")]
    whole = text(await read(model, Generation(messages=asked)))
    stop = whole[11:19]
    events = await read(model, Generation(messages=asked, sampling=Sampling(stop=("never", stop))))
    assert text(events) == whole[: whole.index(stop)]
    assert events[-2] == Finish("stop", stop=stop)


@pytest.mark.parametrize("most", [1, 2, 7])
async def test_the_limit_ends_an_answer(babbling: Path, most: int) -> None:
    events = await read(loaded(babbling), Generation(prompt=[7, 8], sampling=Sampling(max_tokens=most)))
    assert events[-2:] == [Finish("length"), Usage(2, most)]


async def test_the_context_ends_an_answer(babbling: Path) -> None:
    events = await read(loaded(babbling), Generation(prompt=[7] * 100, sampling=Sampling(max_tokens=None)))
    assert events[-2:] == [Finish("length"), Usage(100, 28)]


async def test_characters_of_several_tokens_come_whole(tmp_path: Path) -> None:
    tokenizer = byte_level_tokenizer()
    said = tokenizer.encode("👩‍🚀 一个词 é!", add_special_tokens=False)
    folder = write_checkpoint(tmp_path, tokenizer)
    checkpoint = load(Source(str(folder)))

    class Reciting:
        """Says the same, whatever it was asked."""

        rows, positions = 2, 64

        def compute(self, first: int, tokens: Any, new: Any, lengths: Any) -> Any:
            logits = np.zeros((len(new), len(tokenizer)), np.float32)
            for row, place in enumerate(lengths + new - 2):
                logits[row, said[place] if place < len(said) else tokenizer.eos_token_id] = 1
            return logits

        def move(self, source: int, target: int, length: int) -> None:
            pass

    events = await read(LoadedModel(checkpoint, Reciting()), Generation(prompt=[4, 5]))
    assert text(events) == "👩‍🚀 一个词 é!"
    assert all("\ufffd" not in event.text for event in events if isinstance(event, TextDelta))
    assert len(events) < len(said)  # some tokens were no character yet


# what else is asked for


async def test_a_seed_gives_the_same_answer_again(babbling: Path) -> None:
    model = loaded(babbling)
    asked = Generation(prompt=[7, 8], sampling=Sampling(temperature=1.5, seed=3, max_tokens=12))
    once, again = await read(model, asked), await read(model, asked)
    other = await read(model, Generation(prompt=[7, 8], sampling=Sampling(temperature=1.5, seed=4, max_tokens=12)))
    assert text(once) == text(again) != text(other)


async def test_several_answers_are_made_beside_each_other(babbling: Path) -> None:
    asked = Generation(prompt=[7, 8], sampling=Sampling(temperature=1.5, seed=3, max_tokens=12), n=3)
    events = await read(loaded(babbling), asked)
    assert sorted(event.index for event in events if isinstance(event, Finish)) == [0, 1, 2]
    assert events[-1] == Usage(2, 36)


THINKING = "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<think>\n{% endif %}"
CALLING = "{{ tools }}<tool_call>{% for m in messages %}{{ m.content }}{% endfor %}"


def reciting(folder: Path, said: str, template: str, **options: Any) -> LoadedModel:
    """A model that says what it is told here."""
    tokenizer = byte_level_tokenizer(template=template)
    tokens = [*tokenizer.encode(said, add_special_tokens=False), tokenizer.eos_token_id]

    class Pool:
        rows, positions = 2, 512

        def __init__(self) -> None:
            self.said = 0

        def compute(self, first: int, tokens_: Any, new: Any, lengths: Any) -> Any:
            logits = np.zeros((len(new), len(tokenizer)), np.float32)
            logits[:, tokens[self.said]] = 1
            self.said += 1
            return logits

        def move(self, source: int, target: int, length: int) -> None:
            pass

    return LoadedModel(load(Source(str(write_checkpoint(folder, tokenizer)))), Pool(), **options)


async def test_thoughts_are_told_apart_where_the_template_opens_them(tmp_path: Path) -> None:
    model = reciting(tmp_path, "so so</think>\n\nyes", THINKING)
    events = await read(model, Generation(messages=[Message("user", "a")]))
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "so so"
    assert text(events) == "yes"


async def test_a_text_to_continue_has_no_thoughts(tmp_path: Path) -> None:
    model = reciting(tmp_path, "<think>so</think>yes", THINKING)
    assert text(await read(model, Generation(prompt="a"))) == "<think>so</think>yes"


async def test_calls_are_told_apart_where_there_are_tools(tmp_path: Path) -> None:
    model = reciting(tmp_path, '<tool_call>{"name": "clock", "arguments": {"zone": "UTC"}}</tool_call>', CALLING)
    events = await read(model, Generation(messages=[Message("user", "a")], tools=[Tool("clock")]))
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert (calls[0].name, json.loads("".join(call.arguments for call in calls))) == ("clock", {"zone": "UTC"})
    assert (text(events), events[-2]) == ("", Finish("tool_calls"))


async def test_without_tools_a_call_is_text(tmp_path: Path) -> None:
    said = '<tool_call>{"name": "clock", "arguments": {}}</tool_call>'
    events = await read(reciting(tmp_path, said, CALLING), Generation(messages=[Message("user", "a")]))
    assert (text(events), events[-2]) == (said, Finish("stop"))


async def test_a_mark_that_is_a_special_token_marks_a_call(tmp_path: Path) -> None:
    said = '[TOOL_CALLS][{"name": "clock", "arguments": {}}]'
    model = reciting(tmp_path, said, "{{ tools }}[TOOL_CALLS]{{ messages[0].content }}")
    events = await read(model, Generation(messages=[Message("user", "a")], tools=[Tool("clock")]))
    assert [event.name for event in events if isinstance(event, ToolCallDelta) and event.name] == ["clock"]


@pytest.mark.parametrize(
    ("template", "tools"),
    [(CALLING, True), (THINKING, False), ("{{ tools }} in a form of its own", False), (None, False)],
)
def test_the_template_decides_whether_it_can_call_functions(tmp_path: Path, template: str | None, tools: bool) -> None:
    folder = write_checkpoint(tmp_path, byte_level_tokenizer(template=template))
    info = loaded(folder).info("poet")
    assert (info.name, info.context, info.max_logprobs, info.token_prompts) == ("poet", 128, 20, True)
    assert (info.tools, info.forced_tools, info.json_object, info.json_schema) == (tools, False, False, False)


def test_a_form_of_calls_can_be_named(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, byte_level_tokenizer(template="{{ tools }} in a form of its own"))
    assert loaded(folder, tool_parser="hermes").info("poet").tools


def test_a_form_of_calls_needs_a_template_that_takes_tools(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, byte_level_tokenizer(template=THINKING))
    with pytest.raises(SetupError, match="takes no tools; leave tool_parser='hermes' out"):
        loaded(folder, tool_parser="hermes")


@pytest.mark.parametrize(("asked", "context"), [(24, 24), (128, 128), (512, 128)])
def test_positions_are_at_most_those_of_the_model(babbling: Path, asked: int, context: int) -> None:
    assert LoadedModel.load(Source(str(babbling)), 2, asked, asked).info("poet").context == context


def test_a_model_that_cannot_be_run_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, max_position_embeddings=3, family="gpt2", n_positions=3)
    with pytest.raises(InvalidCheckpoint, match=f"the model in {folder} cannot be run: SlotPool: "):
        loaded(folder)


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


def test_the_pool_of_the_built_in_checkpoint_has_slots() -> None:
    assert isinstance(loaded(CHECKPOINT).decoding._pool, SlotPool)


def test_a_pool_that_memory_has_no_room_for_says_what_to_choose(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, max_position_embeddings=10**9)
    with pytest.raises(SetupError, match="choose fewer rows or positions: there is room for "):
        LoadedModel.load(Source(str(folder)), 1000, 10**9, 10**9)
