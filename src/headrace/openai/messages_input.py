"""The messages of `/v1/messages`, and the conversation that they are for engines.

A message is a text or a list of blocks. The results of tools stand as blocks in the user's message; engines know them
as turns of their own, which come before what the user says. Thinking of earlier turns is passed over: models are not
shown it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from headrace.engines.generation import Message, ToolCall
from headrace.openai.body import Body, form, wrong
from headrace.openai.conversation import MAX_PARTS
from headrace.wire.json_line import write_line

_BLOCKS = ("text", "tool_use", "tool_result", "thinking", "redacted_thinking")


def _known(value: Any) -> Any:
    """A block of a type that is understood."""
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    if not isinstance(kind, str):
        raise PydanticCustomError("missing", "a block needs its type")
    if kind not in _BLOCKS:
        shown = {"kind": kind[:40]}
        raise PydanticCustomError("unsupported", "blocks of type {kind} cannot be read here; send text", shown)
    return value


class TextBlock(Body):
    """A text."""

    type: Literal["text"]
    text: str


TextBlocks = Annotated[list[Annotated[TextBlock, BeforeValidator(_known)]], Field(max_length=MAX_PARTS)]
Texts = Annotated[
    Annotated[str, Tag("str")] | Annotated[TextBlocks, Tag("list")],
    Discriminator(form, custom_error_type="type", custom_error_message="must be a text or a list of text blocks"),
]


class ToolUse(Body):
    """A function call of an earlier answer."""

    type: Literal["tool_use"]
    id: Annotated[str, Field(min_length=1, max_length=256)]
    name: Annotated[str, Field(min_length=1, max_length=256)]
    input: dict[str, Any]


class ToolResult(Body):
    """What a function has returned."""

    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(min_length=1, max_length=256)]
    content: Texts | None = None
    is_error: bool | None = None


class Thought(Body):
    """What the model thought in an earlier answer."""

    type: Literal["thinking", "redacted_thinking"]


Block: TypeAlias = TextBlock | ToolUse | ToolResult | Thought

Blocks = Annotated[
    list[Annotated[Block, Field(discriminator="type"), BeforeValidator(_known)]],
    Field(min_length=1, max_length=MAX_PARTS),
]


class InputMessage(Body):
    """One of `messages`."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[
        Annotated[str, Tag("str")] | Annotated[Blocks, Tag("list")],
        Discriminator(form, custom_error_type="type", custom_error_message="must be a text or a list of blocks"),
    ]

    @property
    def blocks(self) -> Sequence[Block]:
        """The content as blocks."""
        return [TextBlock(type="text", text=self.content)] if isinstance(self.content, str) else self.content


def text_of(texts: str | Sequence[TextBlock] | None) -> str:
    """The texts as one."""
    return texts if isinstance(texts, str) else "".join(block.text for block in texts or ())


def conversation(system: str | Sequence[TextBlock] | None, messages: Sequence[InputMessage]) -> Sequence[Message]:
    """The messages as engines know them.

    Raises:
        InvalidArguments: a block stands where it cannot, or a result belongs to no call before it.
    """
    turns = [Message("system", text)] if (text := text_of(system)) else []
    called: dict[str, str] = {}  # the function of each call so far, by the call's id
    for number, message in enumerate(messages):
        turns += _turns(message, f"/messages/{number}/content", called)
    return tuple(turns)


def _turns(message: InputMessage, place: str, called: dict[str, str]) -> Sequence[Message]:
    texts: list[str] = []
    calls: list[ToolCall] = []
    results: list[Message] = []
    for number, block in enumerate(message.blocks):
        match block:
            case TextBlock():
                texts.append(block.text)
            case ToolUse() if message.role == "assistant":
                called[block.id] = block.name
                calls.append(ToolCall(block.id, block.name, write_line(block.input).decode()))
            case ToolResult() if message.role == "user":
                results.append(_result(block, f"{place}/{number}", called))
            case Thought() if message.role == "assistant":
                pass
            case _:
                raise wrong(f"{place}/{number}/type", f"{block.type} has no place in a message of {message.role}")
    if results and not texts:
        return results
    return [*results, Message(message.role, "".join(texts), tuple(calls))]


def _result(block: ToolResult, place: str, called: dict[str, str]) -> Message:
    if block.tool_use_id not in called:
        raise wrong(f"{place}/tool_use_id", f'"{block.tool_use_id[:80]}" is the id of no tool_use before it')
    text = text_of(block.content)
    return Message(
        "tool", f"Error: {text}" if block.is_error else text, (), block.tool_use_id, called[block.tool_use_id]
    )
