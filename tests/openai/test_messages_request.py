from typing import Any

import pytest

from headrace.engines.generation import Generation, JsonSchema, Message, NamedTool, Sampling, Tool
from headrace.errors import InvalidArguments
from headrace.openai.body import read_body
from headrace.openai.messages_request import MessagesRequest
from headrace.wire.json_line import write_line

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
TOOL = {"name": "f", "description": "does f", "input_schema": SCHEMA}


def read(**members: Any) -> MessagesRequest:
    body = {"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **members}
    return read_body(MessagesRequest, write_line(body))


def asked(**members: Any) -> Generation:
    return read(**members).generation(0.7)


def test_what_is_not_said_has_its_default() -> None:
    assert asked() == Generation(
        messages=(Message("user", "hi"),), sampling=Sampling(temperature=0.7, top_p=1.0, max_tokens=9)
    )


def test_everything_that_is_said_reaches_the_engine() -> None:
    generation = asked(
        system="be",
        temperature=0,
        top_p=0.5,
        top_k=3,
        stop_sequences=["END"],
        tools=[TOOL],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    )
    assert generation == Generation(
        messages=(Message("system", "be"), Message("user", "hi")),
        sampling=Sampling(temperature=0, top_p=0.5, top_k=3, max_tokens=9, stop=("END",)),
        tools=(Tool("f", "does f", SCHEMA),),
        tool_choice=NamedTool("f"),
        parallel_tool_calls=False,
        response_format=JsonSchema("answer", SCHEMA, True),
    )


def test_what_means_nothing_here_is_accepted() -> None:
    told = asked(
        thinking={"type": "enabled", "budget_tokens": 1024},
        metadata={"user_id": "u"},
        service_tier="auto",
        cache_control={"type": "ephemeral"},
        output_config={"effort": "high"},
        something_new=[1],
    )
    assert told == asked()


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "none"}, "none"),
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "f"}, NamedTool("f")),
    ],
)
def test_the_choice_of_tools(choice: dict[str, Any], told: Any) -> None:
    assert asked(tools=[TOOL], tool_choice=choice).tool_choice == told


@pytest.mark.parametrize(
    ("members", "pointer", "detail"),
    [
        ({"model": None}, "/model", "valid string"),
        ({"messages": []}, "/messages", "at least 1 item"),
        ({"max_tokens": None}, "/max_tokens", "valid integer"),
        ({"max_tokens": 0}, "/max_tokens", "greater than or equal to 1"),
        ({"temperature": 1.1}, "/temperature", "less than or equal to 1"),
        ({"top_k": 0}, "/top_k", "greater than or equal to 1"),
        ({"stop_sequences": ["a"] * 17}, "/stop_sequences", "at most 16"),
        ({"stop_sequences": [""]}, "/stop_sequences/0", "at least 1 character"),
        ({"system": 5}, "/system", "must be a text or a list of text blocks"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "/tools/0", "only custom is"),
        ({"tools": [{"name": "f"}]}, "/tools/0/input_schema", "required"),
        ({"tools": [{**TOOL, "input_schema": {"type": "x"}}]}, "/tools/0/input_schema", '"type": "object"'),
        ({"tools": [TOOL] * 129}, "/tools", "at most 128"),
        ({"tool_choice": {"type": "function"}}, "/tool_choice/type", "'auto', 'any', 'tool' or 'none'"),
        ({"tool_choice": {"type": "tool"}}, "/tool_choice/name", "missing; it names the tool to use"),
        ({"tool_choice": {"type": "tool", "name": "g"}}, "/tool_choice", "no function named"),
        ({"tool_choice": {"type": "any"}}, "/tool_choice", "no function is offered"),
        ({"tools": [TOOL, TOOL]}, "/tools/1/name", "stands there already"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(members: dict[str, Any], pointer: str, detail: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        asked(**members)
    assert caught.value.errors[0]["pointer"] == pointer
    assert detail in caught.value.errors[0]["detail"]


@pytest.mark.parametrize("missing", ["model", "messages", "max_tokens"])
def test_these_must_be_there(missing: str) -> None:
    body = {"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    del body[missing]
    with pytest.raises(InvalidArguments) as caught:
        read_body(MessagesRequest, write_line(body))
    assert caught.value.errors == ({"pointer": f"/{missing}", "detail": "Field required", "type": "missing"},)
