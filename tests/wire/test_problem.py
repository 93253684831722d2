import json
from typing import Any

import pytest

from headrace.errors import InvalidArguments, NotAcceptable, NotFound, Overloaded, StreamError, WireError
from headrace.wire.events import Failure
from headrace.wire.problem import MEDIA_TYPE, problem, read_problem


class ModelBusy(StreamError):
    """The model is busy."""

    code = "model busy/é"
    status = 429
    retryable = True

    @property
    def members(self) -> dict[str, Any]:
        return {"queue": 5, "status": 200, "odd": object(), "text": "\ud800"}


def test_a_problem_has_the_standard_members_and_ours() -> None:
    assert problem(NotFound("nothing at /x"), stream_id="s-1") == {
        "type": "urn:headrace:error:not_found",
        "title": "There is nothing at this path.",
        "status": 404,
        "detail": "nothing at /x",
        "code": "not_found",
        "retryable": False,
        "stream_id": "s-1",
        "items_sent": 0,
    }
    assert MEDIA_TYPE == "application/problem+json"


def test_an_errors_own_members_follow() -> None:
    document = problem(NotAcceptable("none", available=["text/plain"]), items_sent=3)
    assert (document["available"], document["items_sent"], document["detail"]) == (["text/plain"], 3, "none")
    errors = [{"pointer": "/a", "detail": "missing", "type": "missing"}]
    assert problem(InvalidArguments("wrong", errors, example={"a": 1}))["errors"] == errors


def test_an_errors_own_members_replace_no_standard_one() -> None:
    document = problem(ModelBusy())
    assert (document["status"], document["queue"]) == (429, 5)


def test_a_code_of_ones_own_makes_a_valid_uri() -> None:
    assert problem(ModelBusy())["type"] == "urn:headrace:error:model%20busy%2F%C3%A9"


def test_a_text_that_utf_8_cannot_carry_is_made_sendable() -> None:
    assert problem(ModelBusy("a\ud800\u2028"))["detail"] == "a?\u2028"


def test_a_problem_reads_back_as_a_failure() -> None:
    data = json.dumps(problem(Overloaded("no place left"), stream_id="s-1", items_sent=2)).encode()
    assert read_problem(data) == Failure("overloaded", "no place left", retryable=True, stream_id="s-1", items_sent=2)


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"{}", Failure("internal", "")),
        (b'{"title":"Bad Gateway","status":502}', Failure("internal", "Bad Gateway")),
        (b'{"title":"t","detail":"d","code":5,"retryable":"yes","items_sent":true}', Failure("internal", "d")),
    ],
)
def test_problems_of_others_are_read_leniently(data: bytes, failure: Failure) -> None:
    assert read_problem(data) == failure


@pytest.mark.parametrize("data", [b"", b"[]", b"<html>", b"\xff"])
def test_what_is_no_problem_is_malformed(data: bytes) -> None:
    with pytest.raises(WireError):
        read_problem(data)
