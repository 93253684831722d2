from typing import Any

import pytest
from pydantic import TypeAdapter

from headrace.engines.generation import Message, ToolCall
from headrace.errors import InvalidArguments
from headrace.openai.body import Body, read_body
from headrace.openai.conversation import ChatMessage, conversation


class Asked(Body):
    messages: list[ChatMessage]


def read(*messages: dict[str, Any]) -> list[Message]:
    body = TypeAdapter(dict[str, Any]).dump_json({"messages": list(messages)})
    return list(conversation(read_body(Asked, body).messages))


def call(id_: str, name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("message", "turn"),
    [
        (USER, Message("user", "hi")),
        ({"role": "user", "content": "hi", "name": "Ada"}, Message("user", "hi", name="Ada")),
        ({"role": "system", "content": "Be brief."}, Message("system", "Be brief.")),
        ({"role": "developer", "content": "Be brief."}, Message("system", "Be brief.")),
        ({"role": "assistant", "content": "hello"}, Message("assistant", "hello")),
        ({"role": "assistant", "content": "hello", "audio": None, "annotations": []}, Message("assistant", "hello")),
        ({"role": "assistant", "content": None, "refusal": "I cannot"}, Message("assistant", "I cannot")),
        ({"role": "user", "content": ""}, Message("user", "")),
        (
            {"role": "user", "content": [{"type": "text", "text": "a\n"}, {"type": "text", "text": "b"}]},
            Message("user", "a\nb"),
        ),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            Message("assistant", "no"),
        ),
    ],
)
def test_a_message_is_a_turn(message: dict[str, Any], turn: Message) -> None:
    assert read(message) == [turn]


def test_calls_and_their_results_belong_together() -> None:
    assert read(
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call("call_a", "f"), call("call_b", "g", '{"x"')]},
        {"role": "tool", "tool_call_id": "call_b", "content": "2"},
        {"role": "tool", "tool_call_id": "call_a", "content": [{"type": "text", "text": "1"}]},
    ) == [
        Message("user", "hi"),
        Message("assistant", "", (ToolCall("call_a", "f", "{}"), ToolCall("call_b", "g", '{"x"'))),
        Message("tool", "2", tool_call_id="call_b", name="g"),
        Message("tool", "1", tool_call_id="call_a", name="f"),
    ]


def test_calls_that_have_their_results_may_be_followed_by_anybody_and_by_more_calls() -> None:
    turns = read(
        {"role": "assistant", "tool_calls": [call("call_a", "f")]},
        {"role": "tool", "tool_call_id": "call_a", "content": "1"},
        {"role": "assistant", "tool_calls": [call("call_b", "f")]},
        {"role": "tool", "tool_call_id": "call_b", "content": "2"},
        USER,
    )
    assert [turn.role for turn in turns] == ["assistant", "tool", "assistant", "tool", "user"]


def test_calls_of_the_form_of_old_need_no_results() -> None:
    turns = read({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, USER)
    assert [turn.role for turn in turns] == ["assistant", "user"]


def test_the_form_of_old_becomes_calls_with_ids() -> None:
    assert read(
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    ) == [
        Message("user", "hi"),
        Message("assistant", "", (ToolCall("call_1", "f", "{}"),)),
        Message("tool", "1", tool_call_id="call_1", name="f"),
    ]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (
            [{"role": "robot", "content": "hi"}],
            "messages[0].role: Input should be 'developer', 'system', 'user', 'assistant', 'tool' or 'function'",
        ),
        ([{"content": "hi"}], "messages[0].role: Field required"),
        ([USER, "hi"], "messages[1]: Input should be a valid dictionary or instance of ChatMessage"),
        ([{"role": "user", "content": 3}], "messages[0].content: must be a text or a list of text parts"),
        (
            [{"role": "user"}],
            "messages[0].content: missing; only an assistant's message with calls goes without",
        ),
        (
            [{"role": "assistant", "content": None}],
            "messages[0].content: missing; only an assistant's message with calls goes without",
        ),
        (
            [{"role": "assistant", "content": None, "tool_calls": []}],
            "messages[0].content: missing; only an assistant's message with calls goes without",
        ),
        (
            [{"role": "user", "content": []}],
            "messages[0].content: List should have at least 1 item after validation, not 0",
        ),
        (
            [USER, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}],
            "messages[1].content[1]: parts of type image_url cannot be read here; send text",
        ),
        (
            [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}],
            "messages[0].content[0]: parts of type input_audio cannot be read here; send text",
        ),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text: Field required"),
        (
            [{"role": "tool", "content": "1"}],
            "messages[0].tool_call_id: missing; a tool's message names the call that it answers",
        ),
        (
            [USER, {"role": "tool", "tool_call_id": "call_x", "content": "1"}],
            'messages[1].tool_call_id: "call_x" is the id of no call before it',
        ),
        (
            [
                {"role": "tool", "tool_call_id": "call_a", "content": "1"},
                {"role": "assistant", "tool_calls": [call("call_a", "f")]},
            ],
            'messages[0].tool_call_id: "call_a" is the id of no call before it',
        ),
        ([{"role": "function", "content": "1"}], "messages[0].name: missing; a function's message names the function"),
        (
            [USER, {"role": "function", "name": "f", "content": "1"}],
            'messages[1].name: "f" is the name of no function called before it',
        ),
        (
            [USER, {"role": "assistant", "tool_calls": [call("call_a", "f")]}],
            'messages[1].tool_calls: "call_a" has no result: a message of role tool for each call must come next',
        ),
        (
            [
                {"role": "assistant", "tool_calls": [call("call_a", "f"), call("call_b", "f"), call("call_c", "f")]},
                {"role": "tool", "tool_call_id": "call_b", "content": "1"},
                USER,
                {"role": "tool", "tool_call_id": "call_a", "content": "1"},
                {"role": "tool", "tool_call_id": "call_c", "content": "1"},
            ],
            'messages[0].tool_calls: "call_a" (and 1 more) has no result: '
            "a message of role tool for each call must come next",
        ),
        (
            [
                {"role": "assistant", "tool_calls": [call("call_a", "f")]},
                {"role": "assistant", "tool_calls": [call("call_b", "f")]},
                {"role": "tool", "tool_call_id": "call_a", "content": "1"},
            ],
            'messages[0].tool_calls: "call_a" has no result: a message of role tool for each call must come next',
        ),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}]}],
            "messages[0].tool_calls[0].function.arguments: Input should be a valid string",
        ),
    ],
)
def test_a_message_that_makes_no_sense_is_named(messages: list[Any], message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read(*messages)
    assert caught.value.message == message
