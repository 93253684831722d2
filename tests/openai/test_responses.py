import json
import re
from typing import Any

import pytest
from answers import written
from records import records

from headrace.engines.events import Finish, TextDelta
from headrace.engines.refusals import ContextTooLong, entry
from headrace.errors import InvalidArguments, StreamError
from headrace.openai.body import wrong
from headrace.openai.responses import RESPONSES
from headrace.wire.dialect import Answer


def answer(**members: Any) -> Answer:
    return RESPONSES.answer(RESPONSES.read(json.dumps({"model": "tiny", "input": "hi", **members}).encode(), {}))


def said(answer: Answer) -> bytes:
    return written(answer.encoder, TextDelta("Hi"), Finish("stop"))


def test_the_body_decides_whether_the_answer_is_a_stream() -> None:
    stream, document = answer(stream=True), answer()
    assert (stream.content_type, stream.gathers) == ("text/event-stream; charset=utf-8", False)
    assert (document.content_type, document.gathers) == ("application/json", True)
    assert records(said(stream))[-1][0] == "response.completed"
    assert json.loads(said(document))["output"][0]["content"][0]["text"] == "Hi"


def test_each_response_has_an_id_and_a_time_of_its_own() -> None:
    first, second = (json.loads(said(answer())) for _ in range(2))
    assert re.fullmatch(r"resp_[0-9a-f]{32}", first["id"])
    assert first["id"] != second["id"]
    assert first["output"][0]["id"] == f"msg_{first['id'].removeprefix('resp_')}_0"
    assert first["created_at"] > 1_700_000_000


def test_the_request_is_repeated() -> None:
    told = json.loads(said(answer(instructions="be", metadata={"a": "b"})))
    assert (told["model"], told["instructions"], told["metadata"]) == ("tiny", "be", {"a": "b"})


def test_a_body_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidArguments, match="input: Field required"):
        RESPONSES.read(b'{"model":"tiny"}', {})


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (
            ContextTooLong("the prompt is long", [entry("/messages", "the prompt is long", "too_long")]),
            400,
            {
                "message": "the prompt is long",
                "type": "invalid_request_error",
                "param": "input",
                "code": "context_length_exceeded",
            },
        ),
        (
            wrong("/response_format", "cannot", "unsupported"),
            400,
            {
                "message": "text.format: cannot",
                "type": "invalid_request_error",
                "param": "text.format",
                "code": "unsupported",
            },
        ),
    ],
)
def test_errors_have_openais_form_and_this_apis_names(error: StreamError, status: int, told: dict[str, Any]) -> None:
    refusal = RESPONSES.refusal(error, "req_1")
    assert refusal.status == status
    assert json.loads(refusal.body) == {"error": told}


def test_the_documentation_knows_the_body() -> None:
    assert {"model", "input", "instructions", "tools"} <= set(RESPONSES.schema["properties"])
