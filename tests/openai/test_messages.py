import json
import re
from typing import Any

import pytest
from answers import written
from records import records

from headrace.engines.events import Finish, TextDelta
from headrace.errors import InvalidArguments
from headrace.openai.body import wrong
from headrace.openai.messages import MESSAGES
from headrace.wire.dialect import Answer


def answer(**members: Any) -> Answer:
    body = {"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **members}
    return MESSAGES.answer(MESSAGES.read(json.dumps(body).encode(), {}))


def said(answer: Answer) -> bytes:
    return written(answer.encoder, TextDelta("Hi"), Finish("stop"))


def test_the_body_decides_whether_the_answer_is_a_stream() -> None:
    stream, document = answer(stream=True), answer()
    assert (stream.content_type, stream.gathers) == ("text/event-stream; charset=utf-8", False)
    assert (document.content_type, document.gathers) == ("application/json", True)
    assert records(said(stream))[-1][0] == "message_stop"
    assert json.loads(said(document))["content"] == [{"type": "text", "text": "Hi"}]


def test_each_message_has_an_id_of_its_own_and_names_its_model() -> None:
    first, second = (json.loads(said(answer())) for _ in range(2))
    assert re.fullmatch(r"msg_[0-9a-f]{32}", first["id"])
    assert first["id"] != second["id"]
    assert first["model"] == "tiny"


def test_a_body_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidArguments, match="max_tokens: Field required"):
        MESSAGES.read(b'{"model":"tiny","messages":[{"role":"user","content":"hi"}]}', {})


def test_errors_have_anthropics_form_and_this_apis_names() -> None:
    refusal = MESSAGES.refusal(wrong("/stop/0", "too long"), "req_1")
    assert (refusal.status, refusal.headers["request-id"]) == (400, "req_1")
    assert json.loads(refusal.body) == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "stop_sequences[0]: too long"},
        "request_id": "req_1",
    }


def test_the_documentation_knows_the_body() -> None:
    assert {"model", "messages", "max_tokens", "system", "tools"} <= set(MESSAGES.schema["properties"])
