"""Errors as OpenAI's API tells them: `{"error": {"message", "type", "param", "code"}}`, as a status or in the stream.

Where a member of the request is wrong, the status is 400 and `param` names it. `x-should-retry` is sent where the
clients, which go by the status alone, would do something else than what the error says. A prompt that is too long is
told in OpenAI's own words first, since some clients know it by those.
"""

from __future__ import annotations

from typing import Any

from headrace.engines.refusals import ContextTooLong
from headrace.errors import InvalidArguments, RateLimited, StreamError, Unauthorized
from headrace.openai.body import parameter, wrong
from headrace.services.refusals import shortened
from headrace.wire.dialect import Refusal
from headrace.wire.events import Failure
from headrace.wire.json_line import write_line

MESSAGE_CHARACTERS = 2000

_CODES = {"missing": "missing_required_parameter", "unsupported": "unsupported"}
_RETRIED = frozenset({408, 409, 429})
# OpenAI calls a wrong key an invalid request, and LiteLLM then takes its 401 for a 400 unless it knows the words.
_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


class ModelNotFound(InvalidArguments):
    """The request names a model that is not here."""

    code = "model_not_found"
    status = 404


def model_not_found(detail: str) -> ModelNotFound:
    """The refusal of a model's name."""
    return ModelNotFound(detail, wrong("/model", detail).errors)


def refusal(error: StreamError, request_id: str) -> Refusal:
    """An error in place of an answer; see `Dialect.refusal`."""
    status = status_of(error)
    body = {"error": members(error)}
    return Refusal(status, write_line(body), headers=retry_header(error, status))


def failure_body(failure: Failure) -> bytes:
    """An error in the middle of an answer: the JSON of its record."""
    message = shortened(failure.message, MESSAGE_CHARACTERS)
    return write_line({"error": {"message": message, "type": "server_error", "param": None, "code": failure.code}})


def members(error: StreamError) -> dict[str, Any]:
    """What is told of an error: a message, a type, the member of the request that is wrong, and a code."""
    errors = error.errors if isinstance(error, InvalidArguments) else ()
    return {
        "message": shortened(_message(error), MESSAGE_CHARACTERS),
        "type": _type(status_of(error)),
        "param": (parameter(errors[0]["pointer"]) or None) if errors else None,
        "code": _code(error),
    }


def _message(error: StreamError) -> str:
    if isinstance(error, ContextTooLong) and error.context is not None:
        return f"This model's maximum context length is {error.context} tokens: {error.message}"
    return error.message


def status_of(error: StreamError) -> int:
    """The status that tells an error. One of the service's own that no error can have is 500."""
    status: object = 400 if isinstance(error, InvalidArguments) and error.status == 422 else error.status
    return status if isinstance(status, int) and 400 <= status <= 599 else 500


def retry_header(error: StreamError, status: int) -> dict[str, str]:
    """`x-should-retry`, where the clients' own rule is wrong for this error."""
    would = status in _RETRIED or status >= 500
    return {} if would == error.retryable else {"x-should-retry": "true" if error.retryable else "false"}


def _type(status: int) -> str:
    if status >= 500:
        return "server_error"
    return _TYPES.get(status, "invalid_request_error")


def _code(error: StreamError) -> str:
    if isinstance(error, Unauthorized):
        return "invalid_api_key"
    if isinstance(error, RateLimited):
        return "rate_limit_exceeded"
    if isinstance(error, InvalidArguments) and error.code == InvalidArguments.code:
        return _CODES.get(error.errors[0]["type"], "invalid_value") if error.errors else "invalid_value"
    return error.code
