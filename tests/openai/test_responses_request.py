from typing import Any

import pytest

from headrace.engines.generation import Generation, JsonObject, JsonSchema, Message, NamedTool, Sampling, Tool
from headrace.errors import InvalidArguments
from headrace.openai.body import read_body
from headrace.openai.responses_request import ResponsesRequest
from headrace.wire.json_line import write_line

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
TOOL = {"type": "function", "name": "f", "description": "does f", "parameters": SCHEMA, "strict": True}


def read(**members: Any) -> ResponsesRequest:
    return read_body(ResponsesRequest, write_line({"model": "tiny", "input": "hi", **members}))


def asked(**members: Any) -> Generation:
    return read(**members).generation(0.7)


def test_what_is_not_said_has_its_default() -> None:
    assert asked() == Generation(
        messages=(Message("user", "hi"),), sampling=Sampling(temperature=0.7, top_p=1.0, max_tokens=None)
    )


def test_everything_that_is_said_reaches_the_engine() -> None:
    generation = asked(
        instructions="be",
        temperature=0,
        top_p=0.5,
        max_output_tokens=9,
        tools=[TOOL],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
        text={"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}},
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        top_logprobs=2,
    )
    assert generation == Generation(
        messages=(Message("system", "be"), Message("user", "hi")),
        sampling=Sampling(temperature=0, top_p=0.5, max_tokens=9, logprobs=2),
        tools=(Tool("f", "does f", SCHEMA, True),),
        tool_choice=NamedTool("f"),
        parallel_tool_calls=False,
        response_format=JsonSchema("n", SCHEMA, True),
    )


def test_null_is_as_good_as_absent() -> None:
    names = [
        *("instructions", "stream", "tools", "tool_choice", "parallel_tool_calls", "text", "max_output_tokens"),
        *("temperature", "top_p", "include", "top_logprobs", "metadata", "background", "previous_response_id"),
        *("conversation", "prompt", "store", "user", "truncation", "reasoning"),
    ]
    assert asked(**dict.fromkeys(names)) == asked()


def test_what_means_nothing_here_is_accepted() -> None:
    assert (
        asked(
            store=True,
            background=False,
            user="u",
            truncation="auto",
            reasoning={"effort": "low", "summary": "auto"},
            service_tier="auto",
            stream_options={"include_obfuscation": False},
            prompt_cache_key="k",
            max_tool_calls=3,
            something_new=[1],
        )
        == asked()
    )


@pytest.mark.parametrize(
    ("members", "logprobs"),
    [
        ({}, None),
        ({"include": ["file_search_call.results"]}, None),
        ({"include": ["message.output_text.logprobs"]}, 0),
        ({"top_logprobs": 0}, None),
        ({"top_logprobs": 3}, 3),
    ],
)
def test_logprobs_are_told_where_they_are_asked_for(members: dict[str, Any], logprobs: int | None) -> None:
    assert asked(**members).sampling.logprobs == logprobs


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ({}, None),
        ({"format": {"type": "text"}, "verbosity": "low"}, None),
        ({"format": {"type": "json_object"}}, JsonObject()),
        ({"format": {"type": "json_schema", "name": "n", "schema": {}}}, JsonSchema("n", {})),
    ],
)
def test_the_format_of_the_text(text: dict[str, Any], told: Any) -> None:
    assert asked(text=text).response_format == told


@pytest.mark.parametrize(
    ("members", "pointer", "detail"),
    [
        ({"model": None}, "/model", "valid string"),
        ({"input": None}, "/input", "must be a text or a list"),
        ({"background": True}, "/background", "background runs are not there yet; leave it out"),
        ({"background": "yes"}, "/background", "valid boolean"),
        ({"previous_response_id": "resp_1"}, "/previous_response_id", "nothing is stored here"),
        ({"conversation": {"id": "c"}}, "/conversation", "nothing is stored here"),
        ({"prompt": {"id": "p"}}, "/prompt", "nothing is stored here"),
        ({"temperature": 2.1}, "/temperature", "less than or equal to 2"),
        ({"temperature": "0"}, "/temperature", "valid number"),
        ({"top_p": 0}, "/top_p", "greater than 0"),
        ({"max_output_tokens": 0}, "/max_output_tokens", "greater than or equal to 1"),
        ({"top_logprobs": 21}, "/top_logprobs", "less than or equal to 20"),
        ({"metadata": {"a": 1}}, "/metadata/a", "valid string"),
        ({"metadata": {"a": "b" * 513}}, "/metadata/a", "at most 512"),
        ({"metadata": dict.fromkeys("abcdefghijklmnopq", "")}, "/metadata", "at most 16"),
        ({"tools": [{"type": "web_search"}]}, "/tools/0", "tools of type web_search are not supported"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "/tools/0/name", "required"),
        ({"tools": [{**TOOL, "name": "f f"}]}, "/tools/0/name", "pattern"),
        ({"tools": [{**TOOL, "parameters": {"type": "nothing"}}]}, "/tools/0/parameters", '"type": "object"'),
        ({"tools": [{**TOOL, "parameters": {"properties": 5}}]}, "/tools/0/parameters", "not a JSON Schema"),
        ({"tools": [TOOL] * 129}, "/tools", "at most 128"),
        ({"tool_choice": "always"}, "/tool_choice", "'none', 'auto' or 'required'"),
        ({"tool_choice": 5}, "/tool_choice", "must be a text, or an object with a name"),
        ({"tool_choice": {"type": "allowed_tools"}}, "/tool_choice", "allowed_tools are not supported"),
        ({"text": {"format": {"type": "xml"}}}, "/text/format/type", "'text', 'json_object' or 'json_schema'"),
        ({"text": {"format": {"type": "json_schema"}}}, "/text/format", "needs its name and its schema"),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "x"}}}},
            "/text/format/schema",
            "not a JSON Schema",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(members: dict[str, Any], pointer: str, detail: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read(**members)
    assert caught.value.errors[0]["pointer"] == pointer
    assert detail in caught.value.errors[0]["detail"]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"tools": [TOOL, TOOL]}, "/tools/1/name"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}}, "/tool_choice"),
        ({"tool_choice": "required"}, "/tool_choice"),
    ],
)
def test_tools_that_do_not_belong_together_are_refused(members: dict[str, Any], pointer: str) -> None:
    request = read(**members)
    with pytest.raises(InvalidArguments) as caught:
        request.generation(0.0)
    assert caught.value.errors[0]["pointer"] == pointer


def test_the_response_repeats_what_was_asked_for() -> None:
    request = read(
        instructions="be", tools=[TOOL], tool_choice="required", metadata={"a": "b"}, store=True, temperature=0.5
    )
    assert request.repeated() == {
        "instructions": "be",
        "max_output_tokens": None,
        "metadata": {"a": "b"},
        "model": "tiny",
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": False,
        "temperature": 0.5,
        "text": {"format": {"type": "text"}},
        "tool_choice": "required",
        "tools": [TOOL],
        "top_logprobs": 0,
        "top_p": None,
        "truncation": "disabled",
    }


def test_a_chosen_function_and_a_schema_are_repeated_in_their_form() -> None:
    format_ = {"type": "json_schema", "name": "n", "schema": SCHEMA}
    told = read(tools=[TOOL], tool_choice={"type": "function", "name": "f"}, text={"format": format_}).repeated()
    assert (told["tool_choice"], told["text"]) == ({"type": "function", "name": "f"}, {"format": format_})
