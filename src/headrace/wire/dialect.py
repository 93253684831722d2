"""What a dialect is: another API's way to ask and to answer over HTTP, for endpoints that speak it instead of
headrace's own formats.

A dialect is a value without state, named in `@endpoint(dialect=...)`. It reads the body into the method's arguments,
says by them in what encoding the answer goes out, and tells errors in the API's own form. Places, deadlines,
cancellation, heartbeats and endings are those of every other endpoint. `docs/howto/dialects.md` has an example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from headrace.errors import StreamError
from headrace.wire.encoding import Encoder
from headrace.wire.passing import AsItIs


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request is answered.

    Attributes:
        encoder: a new one, for this answer alone. One that gathers may return nothing before its `end`.
        content_type: the header's value, with its parameters.
        gathers: nothing is sent before the end is known, so every failure is still a status.
    """

    encoder: Encoder
    content_type: str
    gathers: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failure that was known before anything of the answer was sent. The status is a 4xx or a 5xx."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


UNDECIDED = Answer(AsItIs(), "", gathers=True)
"""Stands in the place of an answer until the arguments are known. What fails before is told by a status."""


class Dialect(Protocol):
    """One route of the other API."""

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON Schema of the body, for the documentation; empty where there is none. Nothing is checked by it."""
        ...

    def read(self, body: bytes, path: Mapping[str, str]) -> Mapping[str, Any]:
        """The method's arguments.

        Args:
            body: whole, and empty for GET and for a request without one. Its content type was JSON's, it is not nested
                deeper than any other endpoint takes, and has no NaN; the rest is still to be found out.
            path: the parts of the path that the endpoint has named, `{"model": "tinychat"}` of `/v1/models/{model}`.

        Raises:
            RequestError: they do not fit.
        """
        ...

    def answer(self, arguments: Mapping[str, Any]) -> Answer:
        """How a request with these arguments is answered, whatever its `Accept` says. Raises RequestError."""
        ...

    def refusal(self, error: StreamError, request_id: str) -> Refusal:
        """How an error is told in place of an answer. The error's own headers (`Retry-After`, ...) are sent besides."""
        ...
