"""Errors as Anthropic's API tells them: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

The statuses are those of the other routes; the type follows from the status.
"""

from __future__ import annotations

from typing import Any

from headrace.errors import StreamError, received
from headrace.openai.refusals import MESSAGE_CHARACTERS, retry_header, status_of
from headrace.services.refusals import shortened
from headrace.wire.dialect import Refusal
from headrace.wire.events import Failure
from headrace.wire.json_line import write_line

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def refusal(error: StreamError, request_id: str) -> Refusal:
    """An error in place of an answer; see `Dialect.refusal`."""
    status = status_of(error)
    body = {**_told(status, error.message), "request_id": request_id}
    headers = {**retry_header(error, status), "request-id": request_id}  # where this API's clients look for it
    return Refusal(status, write_line(body), headers=headers)


def failure_body(failure: Failure) -> bytes:
    """An error in the middle of an answer: the JSON of its record."""
    return write_line(_told(status_of(received(failure.code)), failure.message))


def _told(status: int, message: str) -> dict[str, Any]:
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": shortened(message, MESSAGE_CHARACTERS)}}
