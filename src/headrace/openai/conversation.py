"""The messages of a chat request, and the conversation that they are for engines.

Engines read text, so the parts of a content are joined, and a part that is no text is refused by its place. `developer`
is the newer name of `system`; `function` messages and `function_call` are the older form of tool calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from headrace.engines.generation import Message, Role, ToolCall
from headrace.openai.body import Body, form, wrong

MAX_MESSAGES = 8192
MAX_PARTS = 1024


def _readable(value: Any) -> Any:
    """A part that is text. A refusal of an earlier answer is text as well."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "refusal":
        return {"type": "text", "text": value.get("refusal")}
    if isinstance(kind, str) and kind != "text":
        shown = {"kind": kind[:40]}
        raise PydanticCustomError("unsupported", "parts of type {kind} cannot be read here; send text", shown)
    return value


class TextPart(Body):
    """A part of a content."""

    type: Literal["text"]
    text: str


Part = Annotated[TextPart, BeforeValidator(_readable)]


Content = Annotated[
    Annotated[str, Tag("str")] | Annotated[list[Part], Tag("list"), Field(min_length=1, max_length=MAX_PARTS)],
    Discriminator(form, custom_error_type="type", custom_error_message="must be a text or a list of text parts"),
]


class CalledFunction(Body):
    """A call of an earlier answer: the function and the JSON text of its arguments."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    arguments: str


class Called(Body):
    """One of `tool_calls`."""

    id: Annotated[str, Field(min_length=1, max_length=256)]
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(Body):
    """One of `messages`."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: Content | None = None
    name: str | None = None
    tool_calls: Annotated[list[Called], Field(max_length=1024)] | None = None
    function_call: CalledFunction | None = None
    tool_call_id: str | None = None
    refusal: str | None = None

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content or ()) or self.refusal or ""


ROLES: dict[str, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


def conversation(messages: Sequence[ChatMessage]) -> Sequence[Message]:
    """The messages as engines know them.

    Raises:
        InvalidArguments: one has no content where its role needs some, or answers a call that was not made; or a call
            has no answer before somebody else speaks.
    """
    turns: list[Message] = []
    called: dict[str, str] = {}  # the function of each call so far, by the call's id
    legacy: dict[str, str] = {}  # the id of the last call of a function, by the function's name
    unanswered: dict[str, int] = {}  # which message makes the call, by the call's id
    for number, message in enumerate(messages):
        _check_content(message, number)
        if message.role != "tool":
            _check_answered(unanswered)
            unanswered = {call.id: number for call in message.tool_calls or () if message.role == "assistant"}
        calls = _calls(message, number, legacy)
        called |= {call.id: call.name for call in calls}
        answers = _answered(message, number, called, legacy)
        unanswered.pop(answers or "", None)
        name = called.get(answers or "", message.name) if message.role in ("tool", "function") else message.name
        turns.append(Message(ROLES[message.role], message.text, calls, answers, name))
    _check_answered(unanswered)
    return turns


def _check_content(message: ChatMessage, number: int) -> None:
    makes_calls = message.role == "assistant" and (message.tool_calls or message.function_call or message.refusal)
    if message.content is None and not makes_calls:
        detail = "missing; only an assistant's message with calls goes without"
        raise wrong(f"/messages/{number}/content", detail, "missing")


def _check_answered(unanswered: Mapping[str, int]) -> None:
    for call_id, number in unanswered.items():
        more = f" (and {len(unanswered) - 1} more)" if len(unanswered) > 1 else ""
        detail = f'"{call_id[:80]}"{more} has no result: a message of role tool for each call must come next'
        raise wrong(f"/messages/{number}/tool_calls", detail)


def _calls(message: ChatMessage, number: int, legacy: dict[str, str]) -> tuple[ToolCall, ...]:
    """The calls that an assistant's message makes; the one of the old form is noted by its function."""
    if message.role != "assistant":
        return ()
    calls = [ToolCall(each.id, each.function.name, each.function.arguments) for each in message.tool_calls or ()]
    if message.function_call is not None:
        call = ToolCall(f"call_{number}", message.function_call.name, message.function_call.arguments)
        legacy[call.name] = call.id
        calls.append(call)
    return tuple(calls)


def _answered(message: ChatMessage, number: int, called: dict[str, str], legacy: dict[str, str]) -> str | None:
    """The id of the call whose result the message is; None of a message that is no result."""
    if message.role == "tool":
        place, given, known = f"/messages/{number}/tool_call_id", message.tool_call_id, called
        needed, unknown = "a tool's message names the call that it answers", "is the id of no call before it"
    elif message.role == "function":
        place, given, known = f"/messages/{number}/name", message.name, legacy
        needed, unknown = "a function's message names the function", "is the name of no function called before it"
    else:
        return None
    if given is None:
        raise wrong(place, f"missing; {needed}", "missing")
    if given not in known:
        raise wrong(place, f'"{given[:80]}" {unknown}')
    return given if message.role == "tool" else legacy[given]
