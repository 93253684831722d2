from typing import Annotated, Any

import pytest
from pydantic import Field

from headrace.engines.generation import Message, ToolCall
from headrace.errors import InvalidArguments
from headrace.openai.body import Body, read_body
from headrace.openai.messages_input import InputMessage, Texts, conversation
from headrace.wire.json_line import write_line


class Asked(Body):
    messages: Annotated[list[InputMessage], Field(min_length=1)]
    system: Texts | None = None


def read(messages: Any, system: Any = None) -> Asked:
    return read_body(Asked, write_line({"messages": messages, "system": system}))


def turns(messages: Any, system: Any = None) -> list[Message]:
    asked = read(messages, system)
    return list(conversation(asked.system, asked.messages))


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value, "cache_control": {"type": "ephemeral"}}


def says(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def asks(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


USER = {"role": "user", "content": "hi"}
USE = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": "é"}}
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": "7"}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": ""}
C1 = ToolCall("c1", "f", '{"a":"é"}')
ASKED = Message("assistant", "", (C1,))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([USER], [Message("user", "hi")], id="a text"),
        pytest.param([asks(text("a"), text("b"))], [Message("user", "ab")], id="blocks are joined"),
        pytest.param(
            [says(THOUGHT, {"type": "redacted_thinking", "data": "x"}, text("a"))],
            [Message("assistant", "a")],
            id="thinking is passed over",
        ),
        pytest.param(
            [says(text("look"), USE), asks(RESULT)],
            [Message("assistant", "look", (C1,)), Message("tool", "7", (), "c1", "f")],
            id="a result is a turn of its own",
        ),
        pytest.param(
            [says(USE), asks(RESULT, text("so?"))],
            [ASKED, Message("tool", "7", (), "c1", "f"), Message("user", "so?")],
            id="and comes before what the user says",
        ),
        pytest.param(
            [says(USE), asks({**RESULT, "content": [text("7"), text("8")]})],
            [ASKED, Message("tool", "78", (), "c1", "f")],
            id="a result in blocks",
        ),
        pytest.param(
            [says(USE), asks({**RESULT, "is_error": True})],
            [ASKED, Message("tool", "Error: 7", (), "c1", "f")],
            id="a result that is an error says so",
        ),
        pytest.param(
            [says(USE), asks({"type": "tool_result", "tool_use_id": "c1"})],
            [ASKED, Message("tool", "", (), "c1", "f")],
            id="an empty result",
        ),
        pytest.param([{"role": "system", "content": "be"}], [Message("system", "be")], id="a system message"),
    ],
)
def test_messages_become_turns(messages: Any, expected: list[Message]) -> None:
    assert turns(messages) == expected


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("be", [Message("system", "be"), Message("user", "hi")]),
        ([text("be "), text("kind")], [Message("system", "be kind"), Message("user", "hi")]),
        ("", [Message("user", "hi")]),
        (None, [Message("user", "hi")]),
    ],
)
def test_the_system_text_comes_first(system: Any, expected: list[Message]) -> None:
    assert turns([USER], system) == expected


@pytest.mark.parametrize(
    ("messages", "pointer", "detail"),
    [
        ([{"role": "tool", "content": "a"}], "/messages/0/role", "'user', 'assistant' or 'system'"),
        ([{"role": "user"}], "/messages/0/content", "required"),
        ([{"role": "user", "content": 7}], "/messages/0/content", "must be a text or a list of blocks"),
        ([asks()], "/messages/0/content", "at least 1 item"),
        ([asks("a")], "/messages/0/content/0", "dictionary"),
        ([asks({"text": "a"})], "/messages/0/content/0", "a block needs its type"),
        ([asks({"type": "text"})], "/messages/0/content/0/text", "required"),
        (
            [USER, asks({"type": "image"})],
            "/messages/1/content/0",
            "blocks of type image cannot be read here; send text",
        ),
        ([says({**USE, "input": "{}"})], "/messages/0/content/0/input", "dictionary"),
        (
            [asks({**RESULT, "content": [{"type": "image"}]})],
            "/messages/0/content/0/content/0",
            "blocks of type image cannot be read here",
        ),
        ([asks(USE)], "/messages/0/content/0/type", "tool_use has no place in a message of user"),
        ([asks(THOUGHT)], "/messages/0/content/0/type", "thinking has no place in a message of user"),
        ([says(USE, RESULT)], "/messages/0/content/1/type", "tool_result has no place in a message of assistant"),
        ([asks(text("a"), RESULT)], "/messages/0/content/1/tool_use_id", '"c1" is the id of no tool_use before it'),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_place(messages: Any, pointer: str, detail: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        turns(messages)
    assert caught.value.errors[0]["pointer"] == pointer
    assert detail in caught.value.errors[0]["detail"]
