import json
from typing import Any

import pytest

from headrace.engines.refusals import ContextTooLong, UpstreamFailed, entry
from headrace.errors import (
    BodyTooLarge,
    DeadlineExceeded,
    ForbiddenHost,
    InternalError,
    InvalidArguments,
    ItemTimeout,
    MalformedBody,
    NotFound,
    Overloaded,
    RateLimited,
    ShuttingDown,
    StreamError,
    StreamTruncated,
    Unauthorized,
)
from headrace.openai.body import wrong
from headrace.openai.refusals import failure_body, model_not_found, refusal
from headrace.wire.events import Failure


class Busy(StreamError):
    """The printer is busy."""

    code = "busy"
    status = 409


class Odd(StreamError):
    """This class is wrong."""

    code = "odd"
    status: Any = "no status"


class Fine(StreamError):
    """This class is wrong in another way."""

    code = "fine"
    status = 200


def told(error: StreamError) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(refusal(error, "request-1").body)
    assert list(body) == ["error"]
    return dict(body["error"])


@pytest.mark.parametrize(
    ("error", "status", "type_", "param", "code"),
    [
        (wrong("/messages/0/role", "odd"), 400, "invalid_request_error", "messages[0].role", "invalid_value"),
        (wrong("/model", "gone", "missing"), 400, "invalid_request_error", "model", "missing_required_parameter"),
        (wrong("/tools", "never", "unsupported"), 400, "invalid_request_error", "tools", "unsupported"),
        (wrong("", "no object", "type"), 400, "invalid_request_error", None, "invalid_value"),
        (InvalidArguments("odd", []), 400, "invalid_request_error", None, "invalid_value"),
        (
            ContextTooLong("too long", [entry("/messages", "too long", "too_long")]),
            400,
            "invalid_request_error",
            "messages",
            "context_length_exceeded",
        ),
        (MalformedBody(), 400, "invalid_request_error", None, "malformed_body"),
        (Unauthorized(), 401, "authentication_error", None, "invalid_api_key"),
        (ForbiddenHost(), 403, "invalid_request_error", None, "forbidden_host"),
        (model_not_found("no such model"), 404, "invalid_request_error", "model", "model_not_found"),
        (NotFound(), 404, "invalid_request_error", None, "not_found"),
        (Busy(), 409, "invalid_request_error", None, "busy"),
        (BodyTooLarge(), 413, "invalid_request_error", None, "body_too_large"),
        (RateLimited(), 429, "rate_limit_error", None, "rate_limit_exceeded"),
        (UpstreamFailed("", 429, 3.0), 429, "rate_limit_error", None, "upstream_failed"),
        (InternalError(), 500, "server_error", None, "internal"),
        (Odd(), 500, "server_error", None, "odd"),
        (Fine(), 500, "server_error", None, "fine"),
        (StreamTruncated(), 502, "server_error", None, "truncated"),
        (Overloaded(), 503, "server_error", None, "overloaded"),
        (ShuttingDown(), 503, "server_error", None, "shutting_down"),
        (ItemTimeout(), 504, "server_error", None, "timeout_item"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, StreamError) else None,
)
def test_an_error_is_told_as_the_clients_know_it(
    error: StreamError, status: int, type_: str, param: str | None, code: str
) -> None:
    assert refusal(error, "request-1").status == status
    members = told(error)
    assert {name: members[name] for name in ("type", "param", "code")} == {"type": type_, "param": param, "code": code}


def test_the_message_is_a_text_and_the_error_s_own() -> None:
    assert told(wrong("/n", "7; at most 4"))["message"] == "n: 7; at most 4"


def test_a_prompt_that_is_too_long_is_told_in_openai_s_words_where_the_context_is_known() -> None:
    entries = [entry("/prompt", "the prompt has 120 tokens", "too_long")]
    assert told(ContextTooLong("the prompt has 120 tokens", entries, 100)) == {
        "message": "This model's maximum context length is 100 tokens: the prompt has 120 tokens",
        "type": "invalid_request_error",
        "param": "prompt",
        "code": "context_length_exceeded",
    }
    assert told(ContextTooLong("the prompt has 120 tokens", entries))["message"] == "the prompt has 120 tokens"


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (Busy(), "false"),
        (InternalError(), "false"),
        (DeadlineExceeded(), "false"),
        (StreamTruncated(), "false"),
        (RateLimited(), None),
        (Overloaded(), None),
        (ShuttingDown(), None),
        (wrong("/n", "odd"), None),
        (Unauthorized(), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, StreamError) else None,
)
def test_clients_are_told_where_their_own_rule_of_retries_is_wrong(error: StreamError, header: str | None) -> None:
    assert refusal(error, "request-1").headers.get("x-should-retry") == header


def test_a_retry_that_helps_where_no_client_would_try_is_told() -> None:
    error = Busy()
    error.status, error.retryable = 404, True
    assert refusal(error, "request-1").headers == {"x-should-retry": "true"}


def test_a_long_message_is_shortened() -> None:
    assert len(told(NotFound("x" * 100_000))["message"]) == 2000


def test_a_message_with_half_a_surrogate_pair_can_be_sent() -> None:
    assert told(NotFound("\ud83d\u2028"))["message"] == "?\u2028"


def test_a_failure_in_the_stream_has_all_members() -> None:
    assert json.loads(failure_body(Failure("worker_lost", "it died", True, "s_1", 3))) == {
        "error": {"message": "it died", "type": "server_error", "param": None, "code": "worker_lost"}
    }


def test_a_long_failure_in_the_stream_is_shortened() -> None:
    assert len(failure_body(Failure("internal", "x" * 100_000))) < 2200
