from dataclasses import replace

import pytest

from headrace.engines.engine import ModelInfo
from headrace.engines.generation import Generation, JsonObject, JsonSchema, Message, NamedTool, Sampling, Tool
from headrace.engines.refusals import ContextTooLong
from headrace.errors import InvalidArguments
from headrace.openai.capabilities import check

NOTHING = ModelInfo("m", max_n=4)
EVERYTHING = ModelInfo(
    "m",
    max_n=4,
    max_logprobs=5,
    tools=True,
    forced_tools=True,
    json_object=True,
    json_schema=True,
    token_prompts=True,
)
ASKED = Generation(messages=[Message("user", "hi")])
TOOLS = (Tool("f"),)

NEEDED = [
    ("max_logprobs", replace(ASKED, sampling=Sampling(logprobs=0)), "logprobs: this model tells no logprobs"),
    ("token_prompts", Generation(prompt=[1, 2]), "prompt: this model's prompts are texts, not token ids"),
    ("tools", replace(ASKED, tools=TOOLS), "tools: this model cannot call functions; leave them out"),
    (
        "forced_tools",
        replace(ASKED, tools=TOOLS, tool_choice="required"),
        'tool_choice: this model cannot be held to a call; send "auto" or "none"',
    ),
    (
        "forced_tools",
        replace(ASKED, tools=TOOLS, tool_choice=NamedTool("f")),
        'tool_choice: this model cannot be held to a call; send "auto" or "none"',
    ),
    (
        "json_object",
        replace(ASKED, response_format=JsonObject()),
        "response_format: this model cannot be held to JSON; ask for it in the prompt",
    ),
    (
        "json_schema",
        replace(ASKED, response_format=JsonSchema("a", {})),
        "response_format: this model cannot be held to a schema; ask for it in the prompt, and check what comes",
    ),
]


@pytest.mark.parametrize(("capability", "generation", "message"), NEEDED)
def test_what_a_model_can_do_passes(capability: str, generation: Generation, message: str) -> None:
    check(generation, EVERYTHING)


@pytest.mark.parametrize(("capability", "generation", "message"), NEEDED)
def test_what_a_model_cannot_do_is_refused(capability: str, generation: Generation, message: str) -> None:
    lacks = replace(EVERYTHING, **{capability: None if capability == "max_logprobs" else False})
    with pytest.raises(InvalidArguments) as caught:
        check(generation, lacks)
    assert caught.value.message == message
    assert caught.value.errors[0]["type"] == "unsupported"


@pytest.mark.parametrize(
    "generation",
    [
        ASKED,
        replace(ASKED, tool_choice="none"),
        replace(ASKED, n=4),
        Generation(prompt="Once"),
        replace(ASKED, sampling=Sampling(logprobs=None)),
    ],
)
def test_a_plain_request_needs_nothing(generation: Generation) -> None:
    check(generation, NOTHING)


@pytest.mark.parametrize(
    ("generation", "message"),
    [
        (Generation(prompt=[1] * 100), "the prompt has 100 tokens; the model reads 100 tokens, its answer included"),
        (
            Generation(prompt="a" * 25_600),
            "the prompt has 25600 characters; the model reads 100 tokens, its answer included",
        ),
        (
            Generation(messages=[Message("system", "a" * 20_000), Message("user", "a" * 5_600)]),
            "the prompt has 25600 characters; the model reads 100 tokens, its answer included",
        ),
    ],
)
def test_a_prompt_that_cannot_fit_is_refused_by_its_length(generation: Generation, message: str) -> None:
    with pytest.raises(ContextTooLong) as caught:
        check(generation, replace(EVERYTHING, context=100))
    assert caught.value.message == message
    pointer = "/prompt" if generation.messages is None else "/messages"
    assert [error["pointer"] for error in caught.value.errors] == [pointer]


@pytest.mark.parametrize(
    "generation",
    [
        Generation(prompt=[1] * 99),
        Generation(prompt="a" * 25_599),
        Generation(messages=[Message("system", "a" * 20_000), Message("user", "a" * 5_599)]),
    ],
)
def test_whether_a_prompt_that_may_fit_does_is_the_engines_to_find_out(generation: Generation) -> None:
    check(generation, replace(EVERYTHING, context=100))


def test_where_the_context_is_not_known_there_is_a_bound_all_the_same() -> None:
    check(Generation(prompt=[1] * 131_071), EVERYTHING)
    with pytest.raises(InvalidArguments) as caught:
        check(Generation(prompt=[1] * 131_072), EVERYTHING)
    assert caught.value.message == "prompt: 131072 tokens; fewer than 131072 tokens are taken here"
    assert not isinstance(caught.value, ContextTooLong)


@pytest.mark.parametrize(
    ("generation", "message"),
    [
        (replace(ASKED, n=5), "n: 5; this model makes at most 4 answers to one prompt"),
        (replace(ASKED, sampling=Sampling(logprobs=6)), "top_logprobs: 6; this model tells at most 5"),
    ],
)
def test_more_than_a_model_can_do_is_refused(generation: Generation, message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        check(generation, EVERYTHING)
    assert caught.value.message == message


def test_all_that_a_model_cannot_do_is_told_together() -> None:
    with pytest.raises(InvalidArguments) as caught:
        check(replace(ASKED, n=5, tools=TOOLS, response_format=JsonObject()), NOTHING)
    assert [error["pointer"] for error in caught.value.errors] == ["/n", "/tools", "/response_format"]
