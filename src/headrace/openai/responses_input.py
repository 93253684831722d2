"""The input of `/v1/responses`: its items, and the conversation that they are for engines.

An answer comes back from the client as several items: its text, its reasoning, each of its function calls. For an
engine they are one turn, as they were when it made them. Reasoning of earlier turns is passed over: models are not
shown it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from headrace.engines.generation import Message, ToolCall
from headrace.openai.body import Body, form, wrong
from headrace.openai.conversation import MAX_MESSAGES, MAX_PARTS, ROLES

_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_ITEMS = ("message", "function_call", "function_call_output", "reasoning")


def _readable(value: Any) -> Any:
    """A part that is text, whatever its type calls it."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        return value
    if kind not in _TEXTS:
        shown = {"kind": kind[:40]}
        raise PydanticCustomError("unsupported", "parts of type {kind} cannot be read here; send text", shown)
    member = _TEXTS[kind]
    return {"text": value[member]} if member in value else {}


def _known(value: Any) -> Any:
    """An item of a type that is understood."""
    kind = value.get("type", "message") if isinstance(value, dict) else "message"
    if kind not in _ITEMS:
        raise PydanticCustomError(
            "unsupported",
            "items of type {kind} are not understood; send messages, function calls, their outputs and reasoning",
            {"kind": str(kind)[:40]},
        )
    return value


def _type(value: Any) -> str:
    kind = value.get("type", "message") if isinstance(value, dict) else "message"
    return str(kind)


class InputText(Body):
    """A part of a content."""

    text: str


Content = Annotated[
    Annotated[str, Tag("str")]
    | Annotated[
        list[Annotated[InputText, BeforeValidator(_readable)]], Tag("list"), Field(min_length=1, max_length=MAX_PARTS)
    ],
    Discriminator(form, custom_error_type="type", custom_error_message="must be a text or a list of text parts"),
]


class InputMessage(Body):
    """A message."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Content


class InputCall(Body):
    """A function call of an earlier answer."""

    call_id: Annotated[str, Field(min_length=1, max_length=256)]
    name: Annotated[str, Field(min_length=1, max_length=256)]
    arguments: str


class InputOutput(Body):
    """What a function has returned."""

    call_id: Annotated[str, Field(min_length=1, max_length=256)]
    output: Content


class InputReasoning(Body):
    """The reasoning of an earlier answer."""


InputItem: TypeAlias = InputMessage | InputCall | InputOutput | InputReasoning

Item = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[InputCall, Tag("function_call")]
    | Annotated[InputOutput, Tag("function_call_output")]
    | Annotated[InputReasoning, Tag("reasoning")],
    Discriminator(_type),
    BeforeValidator(_known),
]

Input = Annotated[
    Annotated[str, Tag("str")] | Annotated[list[Item], Tag("list"), Field(min_length=1, max_length=MAX_MESSAGES)],
    Discriminator(form, custom_error_type="type", custom_error_message="must be a text or a list of items"),
]


def conversation(instructions: str | None, given: str | Sequence[InputItem]) -> Sequence[Message]:
    """The input as engines know it.

    Raises:
        InvalidArguments: an output belongs to no call before it.
    """
    turns = [Message("system", instructions)] if instructions else []
    if isinstance(given, str):
        return (*turns, Message("user", given))
    called: dict[str, str] = {}  # the function of each call so far, by the call's id
    for number, item in enumerate(given):
        if isinstance(item, InputMessage):
            _say(turns, item)
        elif isinstance(item, InputCall):
            called[item.call_id] = item.name
            _call(turns, ToolCall(item.call_id, item.name, item.arguments))
        elif isinstance(item, InputOutput):
            if item.call_id not in called:
                detail = f'"{item.call_id[:80]}" is the id of no function_call before it'
                raise wrong(f"/input/{number}/call_id", detail)
            turns.append(Message("tool", text_of(item.output), (), item.call_id, called[item.call_id]))
    return tuple(turns)


def text_of(content: str | Sequence[InputText]) -> str:
    """A content as one text."""
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _say(turns: list[Message], item: InputMessage) -> None:
    text = text_of(item.content)
    if item.role == "assistant" and turns and turns[-1].tool_calls:
        turns[-1] = replace(turns[-1], content=turns[-1].content + text)
    else:
        turns.append(Message(ROLES[item.role], text))


def _call(turns: list[Message], call: ToolCall) -> None:
    if turns and turns[-1].role == "assistant":
        turns[-1] = replace(turns[-1], tool_calls=(*turns[-1].tool_calls, call))
    else:
        turns.append(Message("assistant", "", (call,)))
