from typing import Any

import pytest
from pydantic import TypeAdapter

from headrace.engines.generation import (
    Generation,
    JsonObject,
    JsonSchema,
    Message,
    NamedTool,
    Sampling,
    Tool,
)
from headrace.errors import InvalidArguments
from headrace.openai.body import read_body
from headrace.openai.chat_request import ChatRequest

F = {"type": "function", "function": {"name": "f"}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def read(**members: Any) -> ChatRequest:
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **members}
    return read_body(ChatRequest, TypeAdapter(dict[str, Any]).dump_json(asked))


def made(**members: Any) -> Generation:
    return read(**members).generation(1.0)


def test_the_smallest_request() -> None:
    assert made() == Generation(messages=[Message("user", "hi")], sampling=Sampling(temperature=1.0, max_tokens=None))


def test_what_clients_send_besides_is_passed_over() -> None:
    others: dict[str, Any] = {
        "service_tier": "auto",
        "store": False,
        "metadata": {"a": "b"},
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "verbosity": "low",
        "user": "u",
        "reasoning_effort": "low",
        "modalities": ["text"],
    }
    assert made(**others) == made()


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_limit_has_two_names(name: str) -> None:
    assert made(**{name: 7}).sampling.max_tokens == 7


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, None),
        ({"logprobs": False}, None),
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 20}, 20),
    ],
)
def test_logprobs_are_told_where_they_were_asked_for(members: dict[str, Any], told: int | None) -> None:
    assert made(**members).sampling.logprobs == told


@pytest.mark.parametrize(
    ("members", "form"),
    [
        ({}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, JsonObject()),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
            JsonSchema("a", SCHEMA),
        ),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}, JsonSchema("a", {})),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": True}}},
            JsonSchema("a", {}, True),
        ),
    ],
)
def test_the_form_of_the_answer(members: dict[str, Any], form: Any) -> None:
    assert made(**members).response_format == form


@pytest.mark.parametrize(
    ("members", "choice", "forced"),
    [
        ({}, "auto", False),
        ({"tools": [F]}, "auto", False),
        ({"tools": [F], "tool_choice": "auto"}, "auto", False),
        ({"tools": [F], "tool_choice": "none"}, "none", False),
        ({"tools": [F], "tool_choice": "required"}, "required", True),
        ({"tools": [F], "tool_choice": F}, NamedTool("f"), True),
        ({"functions": [{"name": "f"}]}, "auto", False),
        ({"functions": [{"name": "f"}], "function_call": "none"}, "none", False),
        ({"functions": [{"name": "f"}], "function_call": {"name": "f"}}, NamedTool("f"), True),
    ],
)
def test_the_choice_of_a_function(members: dict[str, Any], choice: Any, forced: bool) -> None:
    assert made(**members).tool_choice == choice
    assert read(**members).forced == forced


def test_tools_are_passed_on() -> None:
    generation = made(tools=[F])
    assert (generation.tools, generation.parallel_tool_calls) == ((Tool("f"),), True)
    assert not read(tools=[F]).legacy


def test_calls_beside_each_other_can_be_excluded() -> None:
    assert not made(tools=[F], parallel_tool_calls=False).parallel_tool_calls


def test_the_form_of_old_is_one_call() -> None:
    generation = made(functions=[{"name": "f", "parameters": SCHEMA}])
    assert (generation.tools, generation.parallel_tool_calls) == ((Tool("f", "", SCHEMA),), False)
    assert read(functions=[{"name": "f"}]).legacy


def test_several_answers_are_asked_for() -> None:
    assert made(n=4).n == 4


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"messages": []}, "messages: List should have at least 1 item after validation, not 0"),
        ({"messages": None}, "messages: Input should be a valid list"),
        ({"messages": "hi"}, "messages: Input should be a valid list"),
        ({"logprobs": 3}, "logprobs: Input should be a valid boolean"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs: Input should be less than or equal to 20"),
        ({"top_logprobs": 2}, "top_logprobs: goes with logprobs only: send logprobs true with it"),
        (
            {"max_tokens": 1, "max_completion_tokens": 1},
            "max_tokens: is the older name of max_completion_tokens: send one of them",
        ),
        ({"tools": [F], "functions": [{"name": "f"}]}, "functions: is the older name of tools: send one of them"),
        ({"tool_choice": "required"}, "tool_choice: a call is required and no function is offered"),
        (
            {"tools": [F], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            'tool_choice: there is no function named "g" among those offered',
        ),
        (
            {"functions": [{"name": "f"}], "function_call": {"name": "g"}},
            'function_call: there is no function named "g" among those offered',
        ),
        ({"tools": [F, F]}, 'tools[1].function.name: a function named "f" stands there already'),
        ({"tools": [F] * 129}, "tools: List should have at most 128 items after validation, not 129"),
        (
            {"response_format": {"type": "xml"}},
            "response_format.type: Input should be 'text', 'json_object' or 'json_schema'",
        ),
        (
            {"response_format": {"type": "json_schema"}},
            "response_format.json_schema: missing: the schema that the answer must fit",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": 3}}}},
            "response_format.json_schema.schema: not a JSON Schema: type: a number, expected the name of a type",
        ),
        (
            {"messages": [{"role": "tool", "content": "1", "tool_call_id": "x"}]},
            'messages[0].tool_call_id: "x" is the id of no call before it',
        ),
    ],
)
def test_a_request_that_makes_no_sense_is_named(members: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        made(**members)
    assert caught.value.message == message


def test_more_messages_than_any_conversation_has_are_refused() -> None:
    with pytest.raises(InvalidArguments, match="messages: List should have at most 8192 items"):
        read(messages=[{"role": "user", "content": ""}] * 8193)
