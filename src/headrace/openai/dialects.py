"""The routes of OpenAI's API as dialects: how each reads its request, and in what it is answered.

The body's `stream` decides whether the answer is a stream, whatever the request accepts. Azure's form of a path names
the model, and that name counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from headrace.errors import StreamError
from headrace.openai.body import Body, read_body
from headrace.openai.calls import Calls
from headrace.openai.chat_request import ChatRequest
from headrace.openai.chunks import ChatChunks, TextChunks
from headrace.openai.completion_request import CompletionRequest
from headrace.openai.documents import ChatDocument, JsonDocument, TextDocument
from headrace.openai.embeddings import EmbeddingsRequest
from headrace.openai.heading import Heading
from headrace.openai.models import ModelCard, listed
from headrace.openai.refusals import refusal
from headrace.wire.dialect import Answer, Refusal
from headrace.wire.encoding import Encoder

EVENT_STREAM = "text/event-stream; charset=utf-8"
JSON = "application/json"


def streamed(encoder: Encoder) -> Answer:
    """An answer as server-sent events."""
    return Answer(encoder, EVENT_STREAM, gathers=False)


def document(encoder: Encoder) -> Answer:
    """An answer as one document."""
    return Answer(encoder, JSON, gathers=True)


class _OpenAI:
    """What all routes share: the form of the errors."""

    @property
    def schema(self) -> Mapping[str, Any]:
        """See `Dialect.schema`."""
        return {}

    def refusal(self, error: StreamError, request_id: str) -> Refusal:
        """See `Dialect.refusal`."""
        return refusal(error, request_id)


class Posted(_OpenAI):
    """A route whose argument is `request`, its body."""

    def __init__(self, kind: type[Body]) -> None:
        self._kind = kind

    @cached_property
    def schema(self) -> Mapping[str, Any]:
        """See `Dialect.schema`."""
        return self._kind.model_json_schema()

    def read(self, body: bytes, path: Mapping[str, str]) -> Mapping[str, Any]:
        """See `Dialect.read`."""
        return {"request": read_body(self._kind, body, path)}


class _Chat(Posted):
    def answer(self, arguments: Mapping[str, Any]) -> Answer:
        """See `Dialect.answer`."""
        request: ChatRequest = arguments["request"]
        heading, n = Heading.new("chatcmpl", request.model), request.n or 1
        calls = Calls(legacy=request.legacy, forced=request.forced)
        if request.stream:
            return streamed(ChatChunks(heading, n=n, with_usage=request.with_usage, calls=calls))
        return document(ChatDocument(heading, n=n, calls=calls))


class _Completions(Posted):
    def answer(self, arguments: Mapping[str, Any]) -> Answer:
        """See `Dialect.answer`."""
        request: CompletionRequest = arguments["request"]
        heading, n = Heading.new("cmpl", request.model), request.answers
        if request.stream:
            return streamed(TextChunks(heading, n=n, with_usage=request.with_usage))
        return document(TextDocument(heading, n=n))


class _Embeddings(Posted):
    def answer(self, arguments: Mapping[str, Any]) -> Answer:
        """See `Dialect.answer`."""
        request: EmbeddingsRequest = arguments["request"]
        return document(JsonDocument(request.answer))


class _Models(_OpenAI):
    def read(self, body: bytes, path: Mapping[str, str]) -> Mapping[str, Any]:
        """The arguments are what the path names."""
        return path

    def answer(self, arguments: Mapping[str, Any]) -> Answer:
        """See `Dialect.answer`."""
        return document(JsonDocument(ModelCard.members if arguments else listed))


CHAT = _Chat(ChatRequest)
COMPLETIONS = _Completions(CompletionRequest)
EMBEDDINGS = _Embeddings(EmbeddingsRequest)
MODELS = _Models()
