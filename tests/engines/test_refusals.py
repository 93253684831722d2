from typing import Any

import pytest

from headrace.engines.refusals import ContextTooLong, UpstreamFailed, entry, refusal
from headrace.errors import InvalidArguments


def test_a_refusal_has_an_entry_for_each_error_and_their_details_as_its_message() -> None:
    entries = [entry("/n", "n is 0", "out_of_range"), entry("", "nothing to do", "one_of")]
    error = refusal(entries)
    assert type(error) is InvalidArguments
    assert error.message == "n is 0; nothing to do"
    assert error.errors == (
        {"pointer": "/n", "detail": "n is 0", "type": "out_of_range"},
        {"pointer": "", "detail": "nothing to do", "type": "one_of"},
    )


def test_a_prompt_that_is_too_long_has_a_code_of_its_own() -> None:
    error = ContextTooLong("too long", [entry("/prompt", "too long", "too_long")])
    assert (error.code, error.status, error.retryable) == ("context_length_exceeded", 422, False)


def test_a_context_that_is_known_is_told_and_read_again() -> None:
    error = ContextTooLong("too long", [entry("/prompt", "too long", "too_long")], 100)
    assert error.members["context"] == 100
    again = ContextTooLong.rebuild(error.message, error.members, {})
    assert (again.message, again.errors, again.context) == ("too long", error.errors, 100)


@pytest.mark.parametrize("members", [{}, {"context": "100"}, {"context": None}])
def test_a_context_that_is_not_known_is_not_told(members: dict[str, Any]) -> None:
    assert "context" not in ContextTooLong("too long", []).members
    assert ContextTooLong.rebuild("too long", members, {}).context is None


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (404, False), (408, True), (409, True), (422, False), (429, True), (500, True), (503, True)],
)
def test_whether_an_upstream_may_be_asked_again_is_in_its_status(status: int, retryable: bool) -> None:
    error = UpstreamFailed("it failed", status)
    assert (error.code, error.status, error.retryable) == ("upstream_failed", status, retryable)


def test_an_upstream_that_says_nothing_is_a_bad_gateway() -> None:
    assert (UpstreamFailed().status, UpstreamFailed().message) == (502, "The model behind this server failed.")


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.2, "1"), (7.6, "8"), (120.0, "120")])
def test_when_to_ask_again_is_told_in_whole_seconds(seconds: float, header: str) -> None:
    assert UpstreamFailed("busy", 429, seconds).headers == {"retry-after": header}


def test_nothing_is_told_where_the_upstream_told_nothing() -> None:
    assert UpstreamFailed("busy", 429).headers == {}
