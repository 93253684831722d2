from typing import Any

import pytest
from pydantic import TypeAdapter

from headrace.engines.generation import Message, ToolCall
from headrace.errors import InvalidArguments
from headrace.openai.body import Body, read_body
from headrace.openai.responses_input import Input, conversation
from headrace.wire.json_line import write_line


class Asked(Body):
    input: Input


def read(value: Any) -> Any:
    return read_body(Asked, write_line({"input": value})).input


USER = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": "fc_1", "status": "completed"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "7"}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "look", "annotations": []}],
}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
C1 = ToolCall("c1", "f", "{}")
ANSWERED = Message("tool", "7", (), "c1", "f")


@pytest.mark.parametrize(
    ("items", "turns"),
    [
        pytest.param("hi", [Message("user", "hi")], id="a text"),
        pytest.param([USER], [Message("user", "hi")], id="a message without a type"),
        pytest.param(
            [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "be"}]}, USER],
            [Message("system", "be"), Message("user", "hi")],
            id="developer is system",
        ),
        pytest.param(
            [{"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "text", "text": "b"}]}],
            [Message("user", "ab")],
            id="parts are joined",
        ),
        pytest.param(
            [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
            [Message("assistant", "no")],
            id="a refusal is text",
        ),
        pytest.param(
            [USER, CALL, OUTPUT], [Message("user", "hi"), Message("assistant", "", (C1,)), ANSWERED], id="a call"
        ),
        pytest.param(
            [REASONING, SAID, REASONING, CALL, OUTPUT],
            [Message("assistant", "look", (C1,)), ANSWERED],
            id="text and calls are one turn",
        ),
        pytest.param(
            [CALL, SAID, {**CALL, "call_id": "c2"}, OUTPUT],
            [Message("assistant", "look", (C1, ToolCall("c2", "f", "{}"))), ANSWERED],
            id="in any order",
        ),
        pytest.param(
            [SAID, SAID],
            [Message("assistant", "look"), Message("assistant", "look")],
            id="texts are turns of their own",
        ),
        pytest.param(
            [CALL, {**OUTPUT, "output": [{"type": "input_text", "text": "7"}]}],
            [Message("assistant", "", (C1,)), ANSWERED],
            id="an output in parts",
        ),
        pytest.param([REASONING], [], id="reasoning alone"),
    ],
)
def test_items_become_turns(items: Any, turns: list[Message]) -> None:
    assert list(conversation(None, read(items))) == turns


def test_instructions_come_first() -> None:
    assert conversation("be", "hi") == (Message("system", "be"), Message("user", "hi"))
    assert conversation("be", read([USER])) == (Message("system", "be"), Message("user", "hi"))


@pytest.mark.parametrize(
    ("items", "pointer", "detail"),
    [
        (5, "/input", "must be a text or a list of items"),
        ([], "/input", "at least 1 item"),
        ([5], "/input/0", "dictionary"),
        ([USER, {"type": "item_reference", "id": "x"}], "/input/1", "items of type item_reference are not understood"),
        ([{"type": 5}], "/input/0", "items of type 5 are not understood"),
        ([{"role": "tool", "content": "a"}], "/input/0/role", "'user', 'assistant', 'system' or 'developer'"),
        ([{"role": "user"}], "/input/0/content", "required"),
        ([{"role": "user", "content": None}], "/input/0/content", "must be a text or a list of text parts"),
        ([{"role": "user", "content": []}], "/input/0/content", "at least 1 item"),
        (
            [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}],
            "/input/0/content/0",
            "parts of type input_image cannot be read here; send text",
        ),
        ([{"role": "user", "content": [{"type": "input_text"}]}], "/input/0/content/0/text", "required"),
        ([{**CALL, "arguments": {}}], "/input/0/arguments", "valid string"),
        ([{**CALL, "name": ""}], "/input/0/name", "at least 1 character"),
        ([{"type": "function_call_output", "call_id": "c1"}], "/input/0/output", "required"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_place(items: Any, pointer: str, detail: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read(items)
    assert caught.value.errors[0]["pointer"] == pointer
    assert detail in caught.value.errors[0]["detail"]


def test_an_output_answers_a_call_before_it() -> None:
    with pytest.raises(InvalidArguments, match=r'input\[1\]\.call_id: "c1" is the id of no function_call before it'):
        conversation(None, read([USER, OUTPUT, CALL]))


def test_the_number_of_items_is_bounded() -> None:
    TypeAdapter(Input).validate_python([USER] * 8192)
    with pytest.raises(InvalidArguments, match="at most 8192"):
        read([USER] * 8193)
