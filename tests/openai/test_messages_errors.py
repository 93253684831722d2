import json

import pytest

from headrace.engines.refusals import ContextTooLong, UpstreamFailed, entry
from headrace.errors import (
    BodyTooLarge,
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
    Unauthorized,
)
from headrace.openai.messages_errors import failure_body, refusal
from headrace.wire.events import Failure


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidArguments("bad", [entry("/a", "bad", "x")]), 400, "invalid_request_error"),
        (ContextTooLong("long", [entry("/messages", "long", "too_long")]), 400, "invalid_request_error"),
        (MalformedBody(), 400, "invalid_request_error"),
        (Unauthorized(), 401, "authentication_error"),
        (ForbiddenHost(), 403, "permission_error"),
        (NotFound(), 404, "not_found_error"),
        (BodyTooLarge(), 413, "request_too_large"),
        (RateLimited(), 429, "rate_limit_error"),
        (InternalError(), 500, "api_error"),
        (UpstreamFailed("gone"), 502, "api_error"),
        (Overloaded(), 503, "overloaded_error"),
        (ShuttingDown(), 503, "overloaded_error"),
        (ItemTimeout(), 504, "timeout_error"),
    ],
)
def test_the_type_of_an_error_follows_from_its_status(error: StreamError, status: int, kind: str) -> None:
    told = refusal(error, "req_1")
    assert told.status == status
    assert json.loads(told.body) == {
        "type": "error",
        "error": {"type": kind, "message": error.message},
        "request_id": "req_1",
    }


def test_the_clients_find_the_request_where_they_look_for_it() -> None:
    assert refusal(NotFound(), "req_1").headers["request-id"] == "req_1"


def test_an_error_says_whether_a_retry_helps_where_the_status_does_not() -> None:
    assert refusal(InternalError(), "req_1").headers["x-should-retry"] == "false"
    assert "x-should-retry" not in refusal(Overloaded(), "req_1").headers


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("overloaded", "overloaded_error"),
        ("shutting_down", "overloaded_error"),
        ("rate_limited", "rate_limit_error"),
        ("timeout_item", "timeout_error"),
        ("internal", "api_error"),
        ("of_the_users_own", "api_error"),
    ],
)
def test_an_error_in_the_stream_has_its_type_as_well(code: str, kind: str) -> None:
    assert json.loads(failure_body(Failure(code, "why"))) == {
        "type": "error",
        "error": {"type": kind, "message": "why"},
    }


def test_a_long_message_is_cut() -> None:
    assert len(failure_body(Failure("internal", "a" * 10_000))) < 2100
