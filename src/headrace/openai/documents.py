"""Whole answers of `/v1/chat/completions` and `/v1/completions`: one JSON document when everything is known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

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
from headrace.errors import AnswerTooLarge, InvalidItem
from headrace.openai.calls import Calls, usage_members
from headrace.openai.encoder import Gathering
from headrace.openai.heading import Heading
from headrace.openai.logprobs import LegacyLogprobs, logprobs_content
from headrace.openai.parts import Delta
from headrace.openai.progress import Progress
from headrace.wire.events import End
from headrace.wire.json_line import write_line

MAX_CHARACTERS = 16 * 1024 * 1024
"""Of all gathered answers to one request."""


class JsonDocument(Gathering):
    """An `Encoder` of one value as one document.

    Args:
        members: makes the document's members of the value.
    """

    def __init__(self, members: Callable[[Any], dict[str, Any]]) -> None:
        self._members = members

    def item(self, value: Any) -> bytes:
        """The document."""
        return write_line(self._members(value))

    def end(self, end: End) -> bytes:
        """Nothing more."""
        return b""


@dataclass(slots=True)
class Gathered:
    """One answer, growing."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    arguments: list[list[str]] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)

    def add(self, event: Delta) -> None:
        """Takes a delta."""
        match event:
            case TextDelta(text, _, tokens):
                self.texts.append(text)
                self.logprobs += tokens
            case ReasoningDelta(text):
                self.reasoning.append(text)
            case RefusalDelta(text):
                self.refusal.append(text)
            case ToolCallDelta(number, arguments, id_, name):
                if number == len(self.calls):
                    self.calls.append({"id": id_, "type": "function", "function": {"name": name}})
                    self.arguments.append([])
                self.arguments[number].append(arguments)

    def whole_calls(self) -> list[dict[str, Any]]:
        """The function calls with all their arguments."""
        return [
            call | {"function": {**call["function"], "arguments": "".join(pieces)}}
            for call, pieces in zip(self.calls, self.arguments, strict=True)
        ]


class AnswerDocument(Gathering, ABC):
    """What the two documents share: an `Encoder` of engine events that keeps them all until the end.

    Args:
        heading: of the answer.
        n: how many answers were asked for.
        limit: characters of all of them.
    """

    kind: ClassVar[str]

    def __init__(self, heading: Heading, *, n: int = 1, limit: int = MAX_CHARACTERS) -> None:
        self._members = heading.members(self.kind)
        self._progress = Progress(n)
        self._answers = [Gathered() for _ in range(n)]
        self._room = limit

    def item(self, value: EngineEvent) -> bytes:
        """Nothing yet. Raises AnswerTooLarge."""
        self._progress.take(value)
        if not isinstance(value, (Finish, Usage)):
            self._room -= len(value.arguments if isinstance(value, ToolCallDelta) else value.text)
            if self._room < 0:
                raise AnswerTooLarge
            self._add(value)
        return b""

    def end(self, end: End) -> bytes:
        """The document. Raises StreamTruncated unless every answer is finished."""
        self._progress.check_complete()
        finishes, usage = self._progress.finishes, self._progress.usage
        choices = [
            {"index": index, **self._told(answer, finishes[index])} for index, answer in enumerate(self._answers)
        ]
        return write_line({**self._members, "choices": choices, "usage": usage and usage_members(usage)})

    def _add(self, event: Delta) -> None:
        self._answers[event.index].add(event)

    @abstractmethod
    def _told(self, answer: Gathered, finish: Finish) -> dict[str, Any]:
        """The members of a choice."""


class ChatDocument(AnswerDocument):
    """A whole chat completion.

    Args:
        heading, n, limit: as `AnswerDocument` has them.
        calls: how function calls are told.
    """

    kind = "chat.completion"

    def __init__(self, heading: Heading, *, n: int = 1, limit: int = MAX_CHARACTERS, calls: Calls) -> None:
        super().__init__(heading, n=n, limit=limit)
        self._calls = calls

    def _told(self, answer: Gathered, finish: Finish) -> dict[str, Any]:
        calls = answer.whole_calls()
        text, refusal = "".join(answer.texts), "".join(answer.refusal)
        message = {
            "role": "assistant",
            "content": None if not text and (calls or refusal) else text,
            "refusal": refusal or None,
            **({"reasoning_content": "".join(answer.reasoning)} if answer.reasoning else {}),
            **self._calls.members(calls),
        }
        logprobs = {"content": logprobs_content(answer.logprobs), "refusal": None} if answer.logprobs else None
        return {"message": message, "logprobs": logprobs, "finish_reason": self._calls.reason(finish)}


class TextDocument(AnswerDocument):
    """A whole completion."""

    kind = "text_completion"

    def _add(self, event: Delta) -> None:
        if not isinstance(event, TextDelta):
            raise InvalidItem(f"{type(event).__name__}, which a completion has no place for")
        super()._add(event)

    def _told(self, answer: Gathered, finish: Finish) -> dict[str, Any]:
        logprobs = LegacyLogprobs().columns(answer.logprobs) if answer.logprobs else None
        return {"text": "".join(answer.texts), "logprobs": logprobs, "finish_reason": finish.reason}
