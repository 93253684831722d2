"""Streamed answers of `/v1/chat/completions` and `/v1/completions`: server-sent events, each with one chunk.

    chat         for each answer: its role; its deltas; an empty delta with the finish reason
    completions  for each answer: its texts; an empty text with the finish reason
    both         then the usage, if it was asked for; then the sentinel; then the end of the body

All roles come before anything else, and in order, since clients keep the answers in a list. The finish reasons wait for
the end of the stream and leave in one write with the usage and the sentinel: clients read no further after those, and a
stream that fails must have told none of them. It is told by a record with an `error`, and by nothing after it.

This is the only place that knows the sentinel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
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
from headrace.errors import InvalidItem
from headrace.openai.calls import Calls, usage_members
from headrace.openai.encoder import Streaming
from headrace.openai.heading import Heading
from headrace.openai.json_text import json_text
from headrace.openai.logprobs import LegacyLogprobs, logprobs_content
from headrace.openai.parts import Delta
from headrace.openai.progress import Progress
from headrace.openai.refusals import failure_body
from headrace.wire.events import End, Failure
from headrace.wire.json_line import write_line
from headrace.wire.sse import record

_DONE = record(b"[DONE]")
_TEXT = "\0"  # where the text of a template goes; a NUL stands in no other member


class Chunks(Streaming, ABC):
    """What the two streams share: an `Encoder` of engine events.

    Nearly every event is a text without logprobs. Its record is a template of its answer around one JSON string; the
    templates are there while the answer is open, so finding one is all the checking that such an event needs.

    Args:
        heading: of the answer.
        n: how many answers were asked for.
        with_usage: whether the usage was.
    """

    kind: ClassVar[str]

    def __init__(self, heading: Heading, *, n: int = 1, with_usage: bool = False) -> None:
        self._members = heading.members(self.kind)
        self._tail: dict[str, Any] = {"usage": None} if with_usage else {}
        self._with_usage = with_usage
        self._progress = Progress(n)
        self._templates: dict[int, tuple[bytes, bytes]] = {}
        self._opened = False

    def item(self, value: EngineEvent) -> bytes:
        """The chunk of a delta; nothing for the other events, which wait for the end."""
        if value.__class__ is TextDelta and not value.logprobs:
            template = self._templates.get(value.index)
            if template is not None:
                before, after = template
                return before + json_text(value.text) + after
        self._progress.take(value)
        match value:
            case Finish():
                self._templates.pop(value.index, None)
            case Usage():
                self._templates.clear()
            case _:
                return self._open() + self._chunk(value.index, self._told(value))
        return b""

    def end(self, end: End) -> bytes:
        """The finish reasons, the usage and the sentinel. Raises StreamTruncated unless every answer is finished."""
        self._progress.check_complete()
        records = [self._open()]
        finishes = sorted(self._progress.finishes.items())
        records += [self._chunk(index, self._finished(finish)) for index, finish in finishes]
        if self._with_usage and self._progress.usage is not None:
            usage = usage_members(self._progress.usage)
            records.append(record(write_line({**self._members, "choices": [], "usage": usage})))
        return b"".join([*records, _DONE])

    def failure(self, failure: Failure) -> bytes:
        """The record with the error, which is the last one."""
        return record(failure_body(failure))

    @abstractmethod
    def _told(self, event: Delta) -> dict[str, Any]:
        """The members of a choice that tell a delta."""

    @abstractmethod
    def _finished(self, finish: Finish) -> dict[str, Any]:
        """The members of a choice that ends."""

    @abstractmethod
    def _first(self, index: int) -> bytes:
        """What comes before all deltas of an answer."""

    def _open(self) -> bytes:
        """What comes before everything else, the first time; the templates are made meanwhile."""
        if self._opened:
            return b""
        self._opened = True
        mark = json_text(_TEXT)
        for index in self._progress.open:
            before, _, after = self._chunk(index, self._told(TextDelta(_TEXT, index))).partition(mark)
            self._templates[index] = (before, after)
        return b"".join([self._first(index) for index in range(self._progress.n)])

    def _chunk(self, index: int, told: dict[str, Any]) -> bytes:
        return record(write_line({**self._members, "choices": [{"index": index, **told}], **self._tail}))


class ChatChunks(Chunks):
    """The stream of a chat completion.

    Args:
        heading, n, with_usage: as `Chunks` has them.
        calls: how function calls are told.
    """

    kind = "chat.completion.chunk"

    def __init__(self, heading: Heading, *, n: int = 1, with_usage: bool = False, calls: Calls) -> None:
        super().__init__(heading, n=n, with_usage=with_usage)
        self._calls = calls

    def _told(self, event: Delta) -> dict[str, Any]:
        match event:
            case TextDelta(text, _, tokens):
                return _choice({"content": text}, tokens)
            case ReasoningDelta(text):
                return _choice({"reasoning_content": text})
            case RefusalDelta(text):
                return _choice({"refusal": text})
            case ToolCallDelta():
                return _choice(self._calls.delta(event))

    def _finished(self, finish: Finish) -> dict[str, Any]:
        return _choice({}, reason=self._calls.reason(finish))

    def _first(self, index: int) -> bytes:
        return self._chunk(index, _choice({"role": "assistant", "content": ""}))


def _choice(delta: dict[str, Any], tokens: Sequence[TokenLogprob] = (), reason: str | None = None) -> dict[str, Any]:
    logprobs = {"content": logprobs_content(tokens), "refusal": None} if tokens else None
    return {"delta": delta, "logprobs": logprobs, "finish_reason": reason}


class TextChunks(Chunks):
    """The stream of a completion."""

    kind = "text_completion"

    def __init__(self, heading: Heading, *, n: int = 1, with_usage: bool = False) -> None:
        super().__init__(heading, n=n, with_usage=with_usage)
        self._logprobs = [LegacyLogprobs() for _ in range(n)]

    def _told(self, event: Delta) -> dict[str, Any]:
        if not isinstance(event, TextDelta):
            raise InvalidItem(f"{type(event).__name__}, which a completion has no place for")
        logprobs = self._logprobs[event.index].columns(event.logprobs) if event.logprobs else None
        return {"text": event.text, "logprobs": logprobs, "finish_reason": None}

    def _finished(self, finish: Finish) -> dict[str, Any]:
        return {"text": "", "logprobs": None, "finish_reason": finish.reason}

    def _first(self, index: int) -> bytes:
        return b""
