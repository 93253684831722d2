"""What comes from an engine while it generates.

For each answer (`index`) any number of deltas and then one `Finish`; answers may come mixed. The last event of all is
one `Usage`, unless the engine is an upstream that does not tell it. A stream without its `Finish` events is not
complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Reason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that might have come, and its natural logarithmic probability. `bytes` of one token may be no UTF-8."""

    token: str
    bytes: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token that was chosen, and the likeliest ones at its place. The `bytes` of all tokens, joined, are the text."""

    token: str
    bytes: bytes
    logprob: float
    top: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer: whole characters. Empty only where it brings logprobs."""

    text: str
    index: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of what the model thinks before it answers."""

    text: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """The next piece of why the model does not answer."""

    text: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """The next piece of a function call.

    Attributes:
        number: of the call in its answer, from 0 and without gaps.
        id: in the first delta of a call, and only there; `name` likewise.
        arguments: the next piece of their JSON text; may be empty in the first delta.
    """

    number: int
    arguments: str = ""
    id: str | None = None
    name: str | None = None
    index: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of an answer.

    Attributes:
        reason: `stop`: the model or a stop string ended it; `length`: the token limit or the context did;
            `tool_calls`: it has function calls; `content_filter`: the upstream cut it.
        stop: the stop string that ended it.
    """

    reason: Reason
    index: int = 0
    stop: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of a generation.

    Attributes:
        completion_tokens: of all answers, without the model's own marks of their ends.
        cached_tokens: those of the prompt that were not computed again.
        reasoning_tokens: those of the answers that are reasoning.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


EngineEvent: TypeAlias = TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta | Finish | Usage
