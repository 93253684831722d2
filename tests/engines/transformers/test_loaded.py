import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import byte_level_tokenizer, write_checkpoint
from transformers_answers import generated, loaded, read, text

from headrace.engines.events import Finish, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from headrace.engines.generation import Generation, Message, Sampling, Tool
from headrace.engines.tiny.checkpoint import InvalidCheckpoint
from headrace.engines.tiny.engine import CHECKPOINT
from headrace.engines.transformers.checkpoint import load
from headrace.engines.transformers.loaded import LoadedModel
from headrace.engines.transformers.slots import SlotPool
from headrace.engines.transformers.source import Source
from headrace.errors import SetupError


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


def test_the_pool_of_the_built_in_checkpoint_has_slots() -> None:
    assert isinstance(loaded(CHECKPOINT).decoding._pool, SlotPool)


def test_a_pool_that_memory_has_no_room_for_says_what_to_choose(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, max_position_embeddings=10**9)
    with pytest.raises(SetupError, match="choose fewer rows or positions: there is room for "):
        LoadedModel.load(Source(str(folder)), 1000, 10**9, 10**9)
