"""Reads a streamed chat completion as OpenAI-compatible servers write it: bytes in, pieces of the answer out.

It believes what it sees. An answer is complete when its finish reason and `[DONE]` came; an `error` in the stream ends
it whatever else there is; chunks without choices or without a delta, which some servers send, have nothing to show.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from headrace.errors import StreamError, StreamTruncated, WireError, received
from headrace.wire.decoding import Feed
from headrace.wire.sse import EventStreamParser, ServerSentEvent

Kind: TypeAlias = Literal["text", "reasoning", "call"]


@dataclass(frozen=True, slots=True)
class Piece:
    """The next piece of an answer: of its text, of what the model thinks before it, or of a function call."""

    kind: Kind
    text: str


class Completion(Feed[Piece]):
    """One completion, fed with the bytes of its event stream.

    Attributes:
        finish: why the answer ended, in the server's word; None until it told.
        tokens: of the answer, where the server told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.finish: str | None = None
        self.tokens: int | None = None
        self._parser = EventStreamParser()
        self._done = False

    def read(self, data: bytes) -> Iterator[Piece]:
        """The pieces that these bytes complete. Raises what the server told in place of the rest."""
        for event in self._parser.read(data):
            if self._done:
                return
            if event.data == "[DONE]":
                self._done = True
            else:
                yield from self._chunk(event)

    def end(self) -> None:
        """The bytes have ended. Raises StreamTruncated unless the answer has."""
        self.feed(b"")  # an error that waits
        if self.finish is None or not self._done:
            raise StreamTruncated("the stream ended before the answer did")

    def _chunk(self, event: ServerSentEvent) -> Iterator[Piece]:
        try:
            chunk: Any = json.loads(event.data)
        except (ValueError, RecursionError):
            raise WireError(f"the server sent {event.data[:80]!r}, which is not JSON") from None
        if not isinstance(chunk, dict):
            raise WireError(f"the server sent {event.data[:80]!r}, which is not a chunk of an answer")
        if chunk.get("error") or event.event == "error":
            raise failure(chunk)
        usage = chunk.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
            self.tokens = usage["completion_tokens"]
        for choice in _objects(chunk.get("choices")):
            yield from _pieces(choice.get("delta"))
            reason = choice.get("finish_reason")
            self.finish = reason if isinstance(reason, str) and reason else self.finish


def failure(document: Any, status: int = 500) -> StreamError:
    """The error that a document tells: OpenAI's form, `{"error": {"message": ...}}`, or one like it.

    Args:
        document: JSON; anything.
        status: of the response that brought it.
    """
    error = document.get("error", document) if isinstance(document, dict) else document
    if not isinstance(error, dict):
        return received("server_error", str(error) if error else "", {"status": status})
    code = next((str(error[name]) for name in ("code", "type") if error.get(name)), "server_error")
    message = error.get("message") or error.get("detail")
    return received(code, message if isinstance(message, str) else json.dumps(error), {"status": status})


def _pieces(delta: Any) -> Iterator[Piece]:
    if not isinstance(delta, dict):
        return
    said: list[tuple[Kind, Any]] = [
        ("reasoning", delta.get("reasoning_content") or delta.get("reasoning")),  # names of one thing; some send both
        ("text", delta.get("content")),
        ("text", delta.get("refusal")),
    ]
    for call in _objects(delta.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            said += [("call", function["name"] + " ")] if isinstance(function.get("name"), str) else []
            said.append(("call", function.get("arguments")))
    for kind, text in said:
        if isinstance(text, str) and text:
            # JSON can write halves of characters, and nothing else can.
            yield Piece(kind, text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
