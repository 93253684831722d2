"""The errors of engines: a generation that cannot be made, and an upstream that fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from headrace.errors import InvalidArguments, StreamError


class ContextTooLong(InvalidArguments):
    """The prompt leaves no room for an answer in the model's context.

    `context` is how many tokens that has, where it is known.
    """

    code = "context_length_exceeded"

    def __init__(self, message: str, errors: Sequence[Mapping[str, str]], context: int | None = None) -> None:
        super().__init__(message, errors)
        self.context = context

    @property
    def members(self) -> Mapping[str, Any]:
        """The context too."""
        return super().members if self.context is None else {**super().members, "context": self.context}

    @classmethod
    def rebuild(cls, message: str, members: Mapping[str, Any], headers: Mapping[str, str]) -> Self:
        """With the context."""
        error = super().rebuild(message, members, headers)
        context = members.get("context")
        error.context = context if isinstance(context, int) else None
        return error


class UpstreamFailed(StreamError):
    """The model behind this server failed.

    `retry_after` is in seconds, where the upstream told one.
    """

    code = "upstream_failed"
    status = 502
    retry_after: float | None = None

    def __init__(self, message: str = "", status: int = 502, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = status in (408, 409, 429) or status >= 500
        self.retry_after = retry_after

    @property
    def headers(self) -> Mapping[str, str]:
        """`Retry-After`, in whole seconds."""
        return {} if self.retry_after is None else {"retry-after": str(max(1, round(self.retry_after)))}


def refusal(errors: Sequence[Mapping[str, str]]) -> InvalidArguments:
    """The error for these entries; its message is their details."""
    return InvalidArguments("; ".join(error["detail"] for error in errors), errors)


def entry(pointer: str, detail: str, kind: str) -> dict[str, str]:
    """One entry: `pointer` into the arguments (RFC 6901), what is wrong, and what kind of error that is."""
    return {"pointer": pointer, "detail": detail, "type": kind}
