import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from headrace.engines.arguments import check, check_length, check_tokens, too_long
from headrace.engines.engine import ModelInfo
from headrace.engines.generation import (
    Generation,
    JsonObject,
    JsonSchema,
    Message,
    NamedTool,
    Sampling,
    Tool,
    ToolCall,
)
from headrace.engines.refusals import ContextTooLong
from headrace.errors import InvalidArguments

PLAIN = ModelInfo("plain", context=100, max_logprobs=5, token_prompts=True)
ABLE = dataclasses.replace(PLAIN, tools=True, forced_tools=True, json_object=True, json_schema=True)
TOOL = Tool("look")
CALLED = Message("assistant", "", tool_calls=(ToolCall("call_a", "look", "{}"),))


def refused(call: Callable[[], None]) -> list[tuple[str, str]]:
    """Each error's pointer and kind."""
    with pytest.raises(InvalidArguments) as caught:
        call()
    return [(error["pointer"], error["type"]) for error in caught.value.errors]


@pytest.mark.parametrize(
    "generation",
    [
        Generation(prompt=""),
        Generation(prompt=[1, 2], n=16),
        Generation(messages=[Message("system", ""), Message("user", "hi"), Message("assistant", "hello")]),
        Generation(prompt="a", sampling=Sampling(temperature=2.0, top_p=0.001, seed=0, max_tokens=1, stop=("a", "b"))),
        Generation(prompt="a", sampling=Sampling(seed=9223372036854775807, max_tokens=1_000_000, stop=("a",) * 16)),
        Generation(prompt="a", sampling=Sampling(max_tokens=None, top_k=1, logprobs=0)),
        Generation(prompt="a", sampling=Sampling(presence_penalty=-2.0, frequency_penalty=2.0, logprobs=5)),
        Generation(prompt="a", sampling=Sampling(logit_bias={0: -100.0, 7: 100.0})),
        Generation(prompt="a", tools=[TOOL], tool_choice="none"),
    ],
)
def test_these_are_accepted(generation: Generation) -> None:
    check(generation, PLAIN)


@pytest.mark.parametrize(
    "generation",
    [
        Generation(messages=[CALLED, Message("tool", "sunny", tool_call_id="call_a")], tools=[TOOL]),
        Generation(prompt="a", tools=[TOOL], tool_choice="required"),
        Generation(prompt="a", tools=[TOOL], tool_choice=NamedTool("look")),
        Generation(prompt="a", response_format=JsonObject()),
        Generation(prompt="a", response_format=JsonSchema("answer", {"type": "object"})),
    ],
)
def test_these_are_accepted_of_a_model_that_can(generation: Generation) -> None:
    check(generation, ABLE)


@pytest.mark.parametrize(
    ("generation", "detail"),
    [
        (Generation(), "give exactly one of messages and prompt; this has neither"),
        (
            Generation(messages=[Message("user", "a")], prompt="a"),
            "give exactly one of messages and prompt; this has both",
        ),
    ],
)
def test_exactly_one_of_messages_and_prompt_is_needed(generation: Generation, detail: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        check(generation, PLAIN)
    assert caught.value.errors == ({"pointer": "", "detail": detail, "type": "one_of"},)


def test_a_role_that_nobody_knows_is_refused() -> None:
    messages = [Message("user", "a"), Message("robot", "b")]  # type: ignore[arg-type]
    with pytest.raises(InvalidArguments, match="role is 'robot'; it must be one of system, user, assistant, tool") as e:
        check(Generation(messages=messages), PLAIN)
    assert e.value.errors[0]["pointer"] == "/messages/1/role"


@pytest.mark.parametrize(
    ("change", "pointer", "kind"),
    [
        ({"temperature": -0.1}, "/temperature", "out_of_range"),
        ({"temperature": 2.1}, "/temperature", "out_of_range"),
        ({"temperature": float("nan")}, "/temperature", "out_of_range"),
        ({"top_p": 0.0}, "/top_p", "out_of_range"),
        ({"top_p": 1.1}, "/top_p", "out_of_range"),
        ({"top_p": float("nan")}, "/top_p", "out_of_range"),
        ({"top_k": 0}, "/top_k", "out_of_range"),
        ({"seed": -1}, "/seed", "out_of_range"),
        ({"seed": 9223372036854775808}, "/seed", "out_of_range"),
        ({"max_tokens": 0}, "/max_tokens", "out_of_range"),
        ({"presence_penalty": 2.1}, "/presence_penalty", "out_of_range"),
        ({"presence_penalty": float("nan")}, "/presence_penalty", "out_of_range"),
        ({"frequency_penalty": -2.1}, "/frequency_penalty", "out_of_range"),
        ({"logprobs": -1}, "/logprobs", "out_of_range"),
        ({"logprobs": 6}, "/logprobs", "out_of_range"),
        ({"logit_bias": {7: 101.0}}, "/logit_bias/7", "out_of_range"),
        ({"logit_bias": {7: float("nan")}}, "/logit_bias/7", "out_of_range"),
        ({"logit_bias": dict.fromkeys(range(1025), 1.0)}, "/logit_bias", "too_long"),
        ({"stop": ("a",) * 17}, "/stop", "too_long"),
        ({"stop": ("a", "")}, "/stop/1", "out_of_range"),
        ({"stop": ("a" * 257,)}, "/stop/0", "out_of_range"),
    ],
)
def test_a_value_out_of_range_is_pointed_at(change: dict[str, Any], pointer: str, kind: str) -> None:
    sampling = dataclasses.replace(Sampling(), **change)
    assert refused(lambda: check(Generation(prompt="a", sampling=sampling), PLAIN)) == [(pointer, kind)]


@pytest.mark.parametrize(
    ("change", "pointer", "kind"),
    [
        pytest.param({"messages": []}, "/messages", "too_short", id="an empty conversation"),
        pytest.param({"prompt": "a", "n": 0}, "/n", "out_of_range", id="no answer"),
        pytest.param({"prompt": "a", "n": 17}, "/n", "out_of_range", id="too many answers"),
        pytest.param(
            {"messages": [Message("tool", "sunny")]}, "/messages/0/role", "unsupported", id="the result of a call"
        ),
        pytest.param(
            {"messages": [Message("user", "a"), CALLED]}, "/messages/1/tool_calls", "unsupported", id="a call"
        ),
        pytest.param({"prompt": "a", "tools": [TOOL]}, "/tools", "unsupported", id="tools"),
        pytest.param({"prompt": "a", "response_format": JsonObject()}, "/response_format", "unsupported", id="JSON"),
        pytest.param(
            {"prompt": "a", "response_format": JsonSchema("answer", {})}, "/response_format", "unsupported", id="schema"
        ),
    ],
)
def test_what_the_model_cannot_do_is_pointed_at(change: dict[str, Any], pointer: str, kind: str) -> None:
    assert refused(lambda: check(Generation(**change), PLAIN)) == [(pointer, kind)]


@pytest.mark.parametrize(
    ("change", "pointer", "kind"),
    [
        ({"tool_choice": "required", "tools": [TOOL]}, "/tool_choice", "unsupported"),
        ({"tool_choice": NamedTool("look"), "tools": [TOOL]}, "/tool_choice", "unsupported"),
        ({"tool_choice": NamedTool("listen"), "tools": [TOOL]}, "/tool_choice", "enum"),
        ({"tool_choice": "required"}, "/tool_choice", "too_short"),
    ],
)
def test_a_call_that_cannot_be_made_certain_is_refused(change: dict[str, Any], pointer: str, kind: str) -> None:
    info = dataclasses.replace(PLAIN, tools=True)
    assert refused(lambda: check(Generation(prompt="a", **change), info)) == [(pointer, kind)]


def test_a_model_without_logprobs_and_without_tokens_says_so() -> None:
    generation = Generation(prompt=[1], sampling=Sampling(logprobs=1))
    unable = dataclasses.replace(PLAIN, max_logprobs=None, token_prompts=False)
    assert refused(lambda: check(generation, unable)) == [("/prompt", "unsupported"), ("/logprobs", "unsupported")]


def test_all_errors_are_told_together() -> None:
    with pytest.raises(InvalidArguments) as caught:
        check(Generation(sampling=Sampling(temperature=3.0, max_tokens=-1)), PLAIN)
    assert [error["pointer"] for error in caught.value.errors] == ["", "/temperature", "/max_tokens"]
    assert caught.value.message == (
        "give exactly one of messages and prompt; this has neither; temperature is 3.0; it must be between 0 and 2; "
        "max_tokens is -1; it must be at least 1"
    )


# tokens


def test_tokens_that_the_model_has_are_accepted() -> None:
    check_tokens(Generation(prompt=[0, 9], sampling=Sampling(logit_bias={9: 1.0})), 10)
    check_tokens(Generation(prompt="text"), 10)
    check_tokens(Generation(messages=[Message("user", "text")]), 10)


def test_tokens_that_the_model_does_not_have_are_pointed_at() -> None:
    generation = Generation(prompt=[3, 10, -1], sampling=Sampling(logit_bias={5: 1.0, 12: 1.0}))
    assert refused(lambda: check_tokens(generation, 10)) == [
        ("/prompt/1", "out_of_range"),
        ("/prompt/2", "out_of_range"),
        ("/logit_bias/12", "out_of_range"),
    ]


def test_an_error_names_a_few_of_them() -> None:
    assert len(refused(lambda: check_tokens(Generation(prompt=[99] * 1000), 10))) == 16


# the length of the prompt


def test_a_prompt_that_leaves_room_for_one_token_is_accepted() -> None:
    check_length(Generation(prompt="a"), 99, 100)


@pytest.mark.parametrize(
    ("generation", "pointer"),
    [(Generation(prompt="a"), "/prompt"), (Generation(messages=[Message("user", "a")]), "/messages")],
)
def test_a_prompt_that_leaves_none_is_told_with_its_size(generation: Generation, pointer: str) -> None:
    with pytest.raises(ContextTooLong) as caught:
        check_length(generation, 100, 100)
    detail = "the prompt has 100 tokens; the model reads 100 tokens, its answer included"
    assert caught.value.errors == ({"pointer": pointer, "detail": detail, "type": "too_long"},)
    assert caught.value.message == detail


def test_its_size_may_be_told_in_another_unit() -> None:
    error = too_long(Generation(prompt="a"), "2000 characters", 100)
    assert error.message == "the prompt has 2000 characters; the model reads 100 tokens, its answer included"


def test_a_prompt_without_tokens_is_refused() -> None:
    assert refused(lambda: check_length(Generation(prompt=[]), 0, 100)) == [("/prompt", "too_short")]
