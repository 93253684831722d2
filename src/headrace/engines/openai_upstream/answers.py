"""The answers of a generation, collected from its events: text, function calls, refusal, reasoning, and why it ended.

Nothing is lost and nothing is guessed: what a broken stream left behind is there, and an answer without its `finish` is
not complete. The arguments of a call are what the model wrote, so reading them as JSON never raises and says what is
wrong instead.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import Any

from headrace.engines.events import (
    EngineEvent,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from headrace.engines.generation import Message, ToolCall


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of a function call: their `value`, or the `problem` with it, as a sentence."""

    value: dict[str, Any] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FunctionCall(ToolCall):
    """A function that an answer calls; it can stand in the next turn's `Message` as it is."""

    @property
    def arguments_json(self) -> Arguments:
        """The arguments as an object. A call without any has none: `{}`."""
        if not self.arguments.strip():
            return Arguments({})
        try:
            value = json.loads(self.arguments)
        except (ValueError, RecursionError) as error:
            return Arguments(None, f"the arguments of {self.name} are not JSON ({error}): {self.arguments[:200]!r}")
        if not isinstance(value, dict):
            problem = f"the arguments of {self.name} are no JSON object but {type(value).__name__}"
            return Arguments(None, f"{problem}: {self.arguments[:200]!r}")
        return Arguments(value)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, as far as it has come. `finish` is None while it is not complete."""

    index: int
    text: str
    reasoning: str
    refusal: str
    calls: tuple[FunctionCall, ...]
    logprobs: tuple[TokenLogprob, ...]
    finish: Finish | None

    @property
    def complete(self) -> bool:
        """Whether it has ended; why it has is in `finish.reason`, and `length` and `content_filter` are cuts, too."""
        return self.finish is not None

    @property
    def message(self) -> Message:
        """The assistant's turn that it is, for the conversation that goes on."""
        return Message("assistant", self.text or self.refusal, tool_calls=self.calls)


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Pieces:
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: Finish | None = None


class Answers:
    """Collects the events of one generation. `answers[0]` is the first answer; there is always one.

    `usage` is None until it comes, and where the upstream does not tell it.
    """

    def __init__(self) -> None:
        self._pieces: dict[int, _Pieces] = {0: _Pieces()}
        self.usage: Usage | None = None

    def add(self, event: EngineEvent) -> None:
        """Takes the next event."""
        if isinstance(event, Usage):
            self.usage = event
            return
        pieces = self._pieces.setdefault(event.index, _Pieces())
        match event:
            case TextDelta():
                pieces.text.append(event.text)
                pieces.logprobs += event.logprobs
            case ReasoningDelta():
                pieces.reasoning.append(event.text)
            case RefusalDelta():
                pieces.refusal.append(event.text)
            case ToolCallDelta():
                call = pieces.calls.setdefault(event.number, _Call())
                call.id = event.id or call.id
                call.name = event.name or call.name
                call.arguments.append(event.arguments)
            case Finish():
                pieces.finish = event

    def __len__(self) -> int:
        return max(self._pieces) + 1

    def __getitem__(self, index: int) -> Answer:
        if not 0 <= index < len(self):
            raise IndexError(f"there is no answer {index}; there are {len(self)}, counted from 0")
        pieces = self._pieces.get(index, _Pieces())
        return Answer(
            index=index,
            text="".join(pieces.text),
            reasoning="".join(pieces.reasoning),
            refusal="".join(pieces.refusal),
            calls=tuple(
                FunctionCall(call.id, call.name, "".join(call.arguments)) for _, call in sorted(pieces.calls.items())
            ),
            logprobs=tuple(pieces.logprobs),
            finish=pieces.finish,
        )


async def assembled(events: AsyncIterable[EngineEvent]) -> Answers:
    """The answers of a whole generation of any engine; raises what it raises."""
    answers = Answers()
    async for event in events:
        answers.add(event)
    return answers
