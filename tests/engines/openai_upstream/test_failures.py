"""What upstreams complain about, as errors of ours: statuses, messages without secrets, and when to come back."""

from typing import Any

import pytest

from headrace.engines.openai_upstream.failures import (
    MAX_MESSAGE,
    Complaint,
    redaction,
    told_by_status,
    told_in_stream,
)
from headrace.engines.refusals import ContextTooLong, UpstreamFailed
from headrace.errors import InvalidArguments

KEY = "a-key-4711-of-ours"
REDACT = redaction([KEY])


def told(status: int, **error: Any) -> Complaint:
    return told_by_status(status, {"message": "Something is wrong.", **error}, {})


@pytest.mark.parametrize(
    ("status", "ours", "retryable"),
    [
        (404, 404, False),
        (405, 502, False),
        (408, 408, True),
        (409, 502, True),
        (413, 413, False),
        (418, 502, False),
        (429, 429, True),
        (500, 500, True),
        (503, 503, True),
        (529, 529, True),
    ],
)
def test_a_failure_keeps_its_status_where_it_means_the_same_to_the_caller(
    status: int, ours: int, retryable: bool
) -> None:
    error = told(status).error(REDACT)
    assert isinstance(error, UpstreamFailed)
    assert (error.status, error.retryable, error.message) == (ours, retryable, "Something is wrong.")


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_was_refused_is_not_the_callers(status: int) -> None:
    error = told(status, message=f"Incorrect API key provided: {KEY}").error(REDACT)
    assert isinstance(error, UpstreamFailed)
    assert (error.status, error.retryable) == (502, False)
    message = f"the model's server refused this server's key (status {status}); its operator can mend that"
    assert error.message == message


@pytest.mark.parametrize("status", [400, 422])
def test_a_request_that_was_refused_names_its_parameter(status: int) -> None:
    error = told(status, param="messages[0].role", code="invalid_value").error(REDACT)
    assert isinstance(error, InvalidArguments)
    assert error.message == "Something is wrong."
    assert error.errors == ({"pointer": "/messages/0/role", "detail": "Something is wrong.", "type": "invalid_value"},)


def test_a_request_that_was_refused_for_no_parameter_is_refused_as_a_whole() -> None:
    error = told(400, type="invalid_request_error").error(REDACT)
    assert isinstance(error, InvalidArguments)
    assert error.errors == ({"pointer": "", "detail": "Something is wrong.", "type": "invalid_request_error"},)


@pytest.mark.parametrize(
    "complaint",
    [
        told(400, code="context_length_exceeded", param="messages"),
        told(400, message="This model's maximum context length is 4096 tokens."),
        told(413, code="exceed_context_size_error"),
    ],
    ids=["OpenAI", "vLLM", "llama.cpp"],
)
def test_a_prompt_that_is_too_long_is_known(complaint: Complaint) -> None:
    assert isinstance(complaint.error(REDACT), ContextTooLong)


def test_in_the_middle_of_an_answer_everything_is_a_failure() -> None:
    complaint = told_in_stream({"error": {"message": "Too long.", "code": "context_length_exceeded"}})
    assert complaint is not None
    error = complaint.failure(REDACT)
    assert (type(error), error.status, error.message) == (UpstreamFailed, 502, "Too long. (context_length_exceeded)")


@pytest.mark.parametrize(
    ("record", "event", "complaint"),
    [
        ({"error": {"message": "Busy.", "code": 429}}, "message", Complaint("Busy.", 429, "429")),
        ({"error": {"message": "Busy.", "code": None}}, "message", Complaint("Busy.", 502)),
        ({"error": {"message": "Busy.", "code": True}}, "message", Complaint("Busy.", 502, "True")),
        (
            {"error": {"message": "Busy.", "type": "overloaded_error"}},
            "error",
            Complaint("Busy.", 503, kind="overloaded_error"),
        ),
        (
            {"error": {"message": "No.", "type": "invalid_request_error", "param": "n"}},
            "message",
            Complaint("No.", 400, kind="invalid_request_error", param="n"),
        ),
        (
            {"error": {"message": "Quota.", "code": "insufficient_quota"}},
            "message",
            Complaint("Quota.", 429, "insufficient_quota"),
        ),
        ({"error": "Busy."}, "message", Complaint("Busy.", 502)),
        ({"error": {}, "choices": []}, "message", None),
        ({"error": None, "choices": []}, "message", None),
        ({"choices": []}, "message", None),
        ({"message": "Busy."}, "error", Complaint("Busy.", 502)),
        ({"object": "error", "message": "Busy.", "code": 503}, "message", Complaint("Busy.", 503, "503")),
    ],
)
def test_a_failure_inside_of_a_stream_has_the_status_that_its_code_stands_for(
    record: dict[str, Any], event: str, complaint: Complaint | None
) -> None:
    assert told_in_stream(record, event) == complaint


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "Busy."}}, "Busy."),
        ({"message": "Busy."}, "Busy."),
        ({"error": "Busy."}, "Busy."),
        ({"detail": "Busy."}, "Busy."),
        ({"detail": [{"loc": ["body", "n"]}]}, '[{"loc": ["body", "n"]}]'),
        (" Busy.\n", "Busy."),
        (None, "the model's server answered with status 503"),
        ([], "the model's server answered with status 503"),
        ({}, "the model's server answered with status 503"),
        ("", "the model's server answered with status 503"),
    ],
)
def test_the_message_is_found_in_every_form(body: Any, message: str) -> None:
    assert told_by_status(503, body, {}).error(REDACT).message == message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT", "date": "Fri, 20 Nov 2026 12:00:00 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:00 GMT", "date": "Fri, 20 Nov 2026 12:00:30 GMT"}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, None),
        ({"retry-after": "soon", "date": "Fri, 20 Nov 2026 12:00:00 GMT"}, None),
        ({"retry-after": "-7"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_the_time_to_come_back_is_read(headers: dict[str, str], seconds: float | None) -> None:
    error = told_by_status(429, {}, headers).error(REDACT)
    assert isinstance(error, UpstreamFailed)
    assert error.retry_after == seconds


def test_the_time_to_come_back_travels_as_a_header() -> None:
    assert told_by_status(429, {}, {"retry-after": "7"}).error(REDACT).headers == {"retry-after": "7"}


def test_an_upstream_may_say_that_a_retry_does_not_help() -> None:
    assert told_by_status(503, {}, {"x-should-retry": "false"}).error(REDACT).retryable is False
    assert told_by_status(503, {}, {"x-should-retry": "true"}).error(REDACT).retryable is True


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"Bad key {KEY}.", "Bad key [hidden]."),
        ("Incorrect API key provided: sk-proj-abc*****wxyz. See", "Incorrect API key provided: [hidden] See"),
        ("Rate limit in organization org-Ab3dEf6h on tokens", "Rate limit in organization [hidden] on tokens"),
        ("token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is over", "token [hidden] is over"),
        ("at https://me:secret@host/v1", "at https://[hidden]@host/v1"),
        ("the task-manager and sk-learn stay", "the task-manager and sk-learn stay"),
        ("Limit 30000, Used 4711.", "Limit 30000, Used 4711."),
    ],
)  # fmt: skip
def test_secrets_are_hidden_and_nothing_else(text: str, clean: str) -> None:
    assert REDACT(text) == clean


def test_keys_that_are_hardly_keys_hide_nothing() -> None:
    assert redaction(["", "no"])("no key") == "no key"


def test_a_long_message_is_cut() -> None:
    assert REDACT("word " * 1000) == ("word " * 1000)[:MAX_MESSAGE] + "..."


@pytest.mark.parametrize("status", [400, 404, 422, 429, 500])
def test_no_message_of_an_error_has_the_key(status: int) -> None:
    error = told(status, message=f"Key {KEY} is wrong.").error(REDACT)
    assert KEY not in f"{error} {error.members}"
