"""Reads streams of the OpenAI API: an item is what makes the answer longer, and the tokens are those of `usage`.

The first chunk of a chat, which has a role and no text, is no item, and neither is the one with the finish reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from headrace.cli.completion import failure
from headrace.cli.load.reading import SSE
from headrace.errors import StreamTruncated, WireError
from headrace.wire.formats import essence
from headrace.wire.sse import EventStreamParser, ServerSentEvent

_SAYS = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call")


class ChunkReader:
    """One answer; see `reading.Reader`."""

    def __init__(self) -> None:
        self.output_tokens: int | None = None
        self.input_tokens: int | None = None
        self._parser = EventStreamParser()
        self._finished = False
        self._done = False

    def feed(self, data: bytes) -> int:
        """The number of items that these bytes complete; raises as every reader does."""
        return sum([self._event(event) for event in self._parser.feed(data)])

    def finish(self, complete: bool) -> int:
        """Raises StreamTruncated unless there was a finish reason, and `[DONE]` or a clean end behind it."""
        if not (self._finished and (self._done or complete)):
            raise StreamTruncated("the stream ended before the answer did")
        return 0

    def _event(self, event: ServerSentEvent) -> int:
        if event.data == "[DONE]":
            self._done = True
            return 0
        try:
            chunk: Any = from_json(event.data)
        except ValueError:
            raise WireError(f"the server sent {event.data[:80]!r}, which is not JSON") from None
        if not isinstance(chunk, dict):
            raise WireError(f"the server sent {event.data[:80]!r}, which is not a chunk of an answer")
        if chunk.get("error") or event.event == "error":
            raise failure(chunk)
        self._count_tokens(chunk.get("usage"))
        choices = chunk.get("choices")
        return sum([self._choice(choice) for choice in choices]) if isinstance(choices, list) else 0

    def _choice(self, choice: Any) -> bool:
        """Whether it makes the answer longer."""
        if not isinstance(choice, dict):
            return False
        if choice.get("finish_reason"):
            self._finished = True
        delta = choice.get("delta")
        if isinstance(delta, dict):
            return any(delta.get(name) for name in _SAYS)
        return bool(choice.get("text"))

    def _count_tokens(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self.output_tokens = _tokens(usage.get("completion_tokens"), self.output_tokens)
            self.input_tokens = _tokens(usage.get("prompt_tokens"), self.input_tokens)


def chunk_reader(headers: Mapping[str, str]) -> ChunkReader:
    """The reader of a response with these headers, whose names are in lower case.

    Raises:
        WireError: it is no event stream.
    """
    kind = essence(headers.get("content-type", ""))
    if kind != SSE:
        raise WireError(f"the answer is {kind or 'of no type'}, not an event stream")
    return ChunkReader()


def _tokens(told: Any, otherwise: int | None) -> int | None:
    return told if type(told) is int and told >= 0 else otherwise
