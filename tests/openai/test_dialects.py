import json
from collections.abc import Mapping
from typing import Any

import pytest
from answers import written

from headrace.engines.engine import Embeddings
from headrace.engines.events import EngineEvent, Finish, TextDelta, ToolCallDelta, Usage
from headrace.errors import InvalidArguments, NotFound
from headrace.openai.chat_request import ChatRequest
from headrace.openai.dialects import CHAT, COMPLETIONS, EMBEDDINGS, MODELS
from headrace.openai.models import ModelCard
from headrace.services.example import example_of
from headrace.wire.dialect import Answer, Dialect

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TOOL = {"type": "function", "function": {"name": "f"}}


def answer(dialect: Dialect, body: Mapping[str, Any], path: Mapping[str, str] = {}) -> Answer:
    return dialect.answer(dialect.read(json.dumps(body).encode(), path))


def text_of(found: Answer, *events: EngineEvent) -> str:
    return written(found.encoder, *events).decode()


@pytest.mark.parametrize(("stream", "gathers"), [(True, False), (False, True), (None, True)])
@pytest.mark.parametrize(("dialect", "asked"), [(CHAT, ASKED), (COMPLETIONS, {"model": "m", "prompt": "hi"})])
def test_the_body_decides_whether_the_answer_is_a_stream(
    dialect: Dialect, asked: dict[str, Any], stream: bool | None, gathers: bool
) -> None:
    found = answer(dialect, {**asked, "stream": stream})
    assert found.gathers == gathers
    assert found.content_type == ("application/json" if gathers else "text/event-stream; charset=utf-8")


@pytest.mark.parametrize(
    ("dialect", "asked", "prefix"), [(CHAT, ASKED, "chatcmpl-"), (COMPLETIONS, {"model": "m", "prompt": "a"}, "cmpl-")]
)
def test_each_answer_has_an_id_of_its_own(dialect: Dialect, asked: dict[str, Any], prefix: str) -> None:
    ids = {json.loads(text_of(answer(dialect, asked), TextDelta("a"), Finish("stop")))["id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(each.startswith(prefix) for each in ids)


def test_the_model_is_the_one_that_was_named() -> None:
    assert json.loads(text_of(answer(CHAT, ASKED), Finish("stop")))["model"] == "m"


def test_the_path_names_the_model_in_azure_s_form() -> None:
    (request,) = CHAT.read(json.dumps(ASKED).encode(), {"model": "deployed"}).values()
    assert request.model == "deployed"


def test_azure_s_form_needs_no_model_in_the_body() -> None:
    body = json.dumps({"messages": ASKED["messages"]}).encode()
    assert CHAT.read(body, {"model": "deployed"})["request"].model == "deployed"


@pytest.mark.parametrize("stream", [True, False])
def test_several_answers_are_expected_where_they_were_asked_for(stream: bool) -> None:
    text = text_of(answer(CHAT, {**ASKED, "n": 2, "stream": stream}), Finish("stop"), Finish("stop", 1))
    assert text.count('"finish_reason":"stop"') == 2


@pytest.mark.parametrize("stream", [True, False])
def test_each_prompt_has_its_answers(stream: bool) -> None:
    found = answer(COMPLETIONS, {"model": "m", "prompt": ["a", "b"], "n": 2, "stream": stream})
    text = text_of(found, *(Finish("stop", index) for index in range(4)))
    assert text.count('"finish_reason":"stop"') == 4


@pytest.mark.parametrize(("dialect", "asked"), [(CHAT, ASKED), (COMPLETIONS, {"model": "m", "prompt": "hi"})])
def test_a_stream_tells_its_usage_where_that_was_asked_for(dialect: Dialect, asked: dict[str, Any]) -> None:
    asked = {**asked, "stream": True}
    plain, told = answer(dialect, asked), answer(dialect, {**asked, "stream_options": {"include_usage": True}})
    events: list[EngineEvent] = [TextDelta("a"), Finish("stop"), Usage(1, 2)]
    assert '"usage"' not in text_of(plain, *events)
    assert '"total_tokens":3' in text_of(told, *events)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("members", "reason", "form"),
    [
        ({"tools": [TOOL]}, "tool_calls", "tool_calls"),
        ({"tools": [TOOL], "tool_choice": "required"}, "stop", "tool_calls"),
        ({"functions": [{"name": "f"}]}, "function_call", "function_call"),
        ({"functions": [{"name": "f"}], "function_call": {"name": "f"}}, "stop", "function_call"),
    ],
)
def test_calls_are_told_in_the_form_in_which_they_were_offered(
    members: dict[str, Any], reason: str, form: str, stream: bool
) -> None:
    found = answer(CHAT, {**ASKED, **members, "stream": stream})
    text = text_of(found, ToolCallDelta(0, "{}", "call_a", "f"), Finish("tool_calls"))
    assert f'"{form}":' in text
    assert f'"finish_reason":"{reason}"' in text


def test_embeddings_are_one_document() -> None:
    found = answer(EMBEDDINGS, {"model": "m", "input": "hi", "encoding_format": "base64"})
    document = json.loads(found.encoder.item(Embeddings([[0.5]], 1)))
    assert document["data"] == [{"object": "embedding", "index": 0, "embedding": "AAAAPw=="}]
    assert found.gathers


def test_the_list_of_models_and_one_of_them() -> None:
    card = ModelCard("a/b", 17, "somebody")
    several, one = MODELS.read(b"", {}), MODELS.read(b"", {"model": "a/b"})
    assert json.loads(MODELS.answer(several).encoder.item([card]))["object"] == "list"
    assert json.loads(MODELS.answer(one).encoder.item(card))["id"] == "a/b"
    assert one == {"model": "a/b"}


@pytest.mark.parametrize("dialect", [CHAT, COMPLETIONS, EMBEDDINGS, MODELS])
def test_every_route_tells_errors_in_the_same_form(dialect: Dialect) -> None:
    refusal = dialect.refusal(NotFound("nothing here"), "request-1")
    assert (refusal.status, refusal.content_type) == (404, "application/json")
    assert json.loads(refusal.body)["error"]["message"] == "nothing here"


@pytest.mark.parametrize("dialect", [CHAT, COMPLETIONS, EMBEDDINGS])
def test_a_body_that_does_not_fit_is_refused(dialect: Dialect) -> None:
    with pytest.raises(InvalidArguments):
        dialect.read(b'{"model": 3}', {})


def test_the_documentation_has_the_schema_of_the_body() -> None:
    assert CHAT.schema["required"] == ["model", "messages"]
    assert MODELS.schema == {}


@pytest.mark.parametrize("dialect", [CHAT, COMPLETIONS, EMBEDDINGS])
def test_the_example_of_the_documentation_fits(dialect: Dialect) -> None:
    dialect.read(json.dumps(example_of(dialect.schema)).encode(), {})


def test_a_request_is_read_once_for_the_method_and_for_the_answer() -> None:
    arguments = CHAT.read(json.dumps(ASKED).encode(), {})
    assert isinstance(arguments["request"], ChatRequest)
    assert list(arguments) == ["request"]
