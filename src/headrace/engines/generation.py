"""What an engine is asked for: a conversation to answer or a text to continue, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model has called. `arguments` is the JSON text as the model wrote it, valid or not."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        content: the text; empty where an assistant's turn has only tool calls.
        tool_calls: of an assistant's turn.
        tool_call_id: of a tool's turn: the call that this is the result of.
        name: who speaks, where several have one role; the function's name in a tool's turn.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool = False


@dataclass(frozen=True, slots=True)
class NamedTool:
    """As a `tool_choice`: the model must call the function of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class JsonObject:
    """As a `response_format`: the answer is a JSON object."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """As a `response_format`: the answer is JSON that fits a schema."""

    name: str
    schema: Mapping[str, Any]
    strict: bool = False


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | NamedTool
ResponseFormat: TypeAlias = JsonObject | JsonSchema


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen and where to stop.

    Attributes:
        temperature: 0 is greedy.
        top_p: keeps the smallest set of tokens whose probability reaches it.
        top_k: keeps so many of the likeliest tokens; None: all.
        seed: the same one gives the same answer.
        max_tokens: of the answer; None: as many as the model's context has room for.
        stop: strings that end the answer and are not part of it, also when they span several tokens.
        presence_penalty: taken from the logit of each token that the answer has already.
        frequency_penalty: likewise, times how often.
        logit_bias: added to the logits of these token ids.
        logprobs: how many likeliest tokens are told at each place, beside the chosen one; None: no logprobs at all.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    max_tokens: int | None = 256
    stop: tuple[str, ...] = ()
    top_k: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """What to generate: exactly one of a conversation to answer and a text to continue.

    Attributes:
        prompt: the text, or its token ids.
        n: how many answers; each has its `index` in the events.
        tools: functions that the model may call.
        tool_choice: whether it must, and which one.
        parallel_tool_calls: whether one answer may have several calls.
        response_format: what the text must be; None: any text.
    """

    messages: Sequence[Message] | None = None
    prompt: str | Sequence[int] | None = None
    sampling: Sampling = Sampling()
    n: int = 1
    tools: Sequence[Tool] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    response_format: ResponseFormat | None = None
