"""`/v1/responses` through the `openai` package, which checks the order of its events, and through raw connections."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel
from records import records
from scripted_messages import leave_early, script
from served import Served, receive

ENDS = {"finish": "stop"}, {"usage": [7, 5]}
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
CALLS = [
    {"call": 0, "id": "call_a", "name": "weather", "arguments": '{"city":'},
    {"call": 1, "id": "call_b", "name": "weather", "arguments": '{"city":"Bern"}'},
    {"call": 0, "arguments": '"Oslo"}'},
    {"finish": "tool_calls"},
    {"usage": [7, 5]},
]


class City(BaseModel):
    name: str
    rainy: bool


@pytest.fixture
def client(scripted: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"http://127.0.0.1:{scripted.port}/v1", api_key="x", max_retries=0) as client:
        yield client


def ask(*steps: Any, stream: bool = True) -> dict[str, Any]:
    return {"model": "scripted", "input": script(*steps), "stream": stream}


def test_a_whole_answer(client: OpenAI) -> None:
    response = client.responses.create(model="scripted", input="so many words", instructions="be", temperature=0.5)
    assert (response.status, response.output_text) == ("completed", "so many words")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (3, 3, 6)
    assert (response.model, response.instructions, response.temperature) == ("scripted", "be", 0.5)
    assert response._request_id


def test_a_stream_has_its_events_in_order(client: OpenAI) -> None:
    with client.responses.stream(model="scripted", input="two words") as stream:
        kinds = [event.type.removeprefix("response.") for event in stream]
        final = stream.get_final_response()
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert final.output_text == "two words"


def test_every_kind_of_item_is_put_together_by_the_client(client: OpenAI) -> None:
    told = script({"reasoning": "Let me "}, {"reasoning": "see."}, "It is ", "wet.", {"refusal": "No more."}, *CALLS)
    with client.responses.stream(model="scripted", input=told, tools=[WEATHER]) as stream:
        *_, completed = stream
    assert completed.type == "response.completed"
    response = completed.response
    assert [item.type for item in response.output] == [
        "reasoning",
        "message",
        "message",
        "function_call",
        "function_call",
    ]
    assert response.output_text == "It is wet."
    calls = [(item.call_id, item.arguments) for item in response.output if item.type == "function_call"]
    assert calls == [("call_a", '{"city":"Oslo"}'), ("call_b", '{"city":"Bern"}')]
    whole = client.responses.create(model="scripted", input=told, tools=[WEATHER])
    assert [item.type for item in whole.output] == [item.type for item in response.output]


def test_the_results_of_functions_go_back_with_the_calls(client: OpenAI, scripted: Served) -> None:
    asked: list[Any] = [{"role": "user", "content": script("Wait: ", *CALLS)}]
    response = client.responses.create(model="scripted", input=asked, tools=[WEATHER])
    asked += [item.model_dump(exclude_none=True) for item in response.output]
    asked += [{"type": "function_call_output", "call_id": "call_b", "output": "dry"}]
    client.responses.create(model="scripted", input=asked, tools=[WEATHER], parallel_tool_calls=False)
    last = scripted.state()["last"]
    assert [(turn["role"], turn["content"]) for turn in last["messages"][1:]] == [
        ("assistant", "Wait: "),
        ("tool", "dry"),
    ]
    assert [call["name"] for call in last["messages"][1]["tool_calls"]] == ["weather", "weather"]
    assert (last["tools"][0]["name"], last["parallel_tool_calls"]) == ("weather", False)


def test_an_answer_that_fits_a_schema_is_parsed(client: OpenAI, scripted: Served) -> None:
    told = script('{"name":"Bern",', '"rainy":true}', *ENDS)
    response = client.responses.parse(model="scripted", input=told, text_format=City)
    assert response.output_parsed == City(name="Bern", rainy=True)
    assert scripted.state()["last"]["response_format"]["schema"]["required"] == ["name", "rainy"]


def test_logprobs_are_told_where_they_are_asked_for(client: OpenAI, scripted: Served) -> None:
    told = script({"text": "a", "logprobs": [["a", -0.5, ["b", -1.5]]]}, *ENDS)
    response = client.responses.create(
        model="scripted", input=told, include=["message.output_text.logprobs"], top_logprobs=1
    )
    part: Any = response.output[0].content[0]  # type: ignore[union-attr, index]
    assert (part.logprobs[0].token, part.logprobs[0].logprob) == ("a", -0.5)
    assert part.logprobs[0].top_logprobs[0].token == "b"
    assert scripted.state()["last"]["sampling"]["logprobs"] == 1


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_is_incomplete(client: OpenAI, finish: str, reason: str) -> None:
    told = script("so far", {"finish": finish})
    with client.responses.stream(model="scripted", input=told) as stream:
        *_, last = stream
    whole = client.responses.create(model="scripted", input=told)
    for response in (last.response, whole):  # type: ignore[union-attr]
        assert (response.status, response.output_text) == ("incomplete", "so far")
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == reason


@pytest.mark.parametrize("stream", [True, False])
def test_a_failure_before_the_first_event_is_a_status(client: OpenAI, stream: bool) -> None:
    with pytest.raises(openai.RateLimitError, match="the upstream said 429") as caught:
        client.responses.create(model="scripted", input=script({"fail": 429, "retry_after": 7}), stream=stream)
    assert caught.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("step", [{"fail": 503}, {"crash": True}, {}])
def test_a_failure_in_the_middle_is_an_error_and_no_completion(client: OpenAI, step: dict[str, Any]) -> None:
    kinds: list[str] = []
    stream = client.responses.create(model="scripted", input=script("so", " far", step), stream=True)
    with pytest.raises(openai.APIError) as caught:
        kinds.extend(event.type for event in stream)  # what came before the error stays in the list
    assert "the secret of the engine" not in str(caught.value)
    assert kinds[-1] == "response.failed"
    assert "response.completed" not in kinds


def test_a_whole_answer_that_fails_in_the_middle_is_a_status(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.responses.create(model="scripted", input=script("so", " far", {"fail": 503}))
    assert caught.value.status_code == 503


@pytest.mark.parametrize(
    ("members", "kind", "code", "param"),
    [
        ({"model": "none"}, openai.NotFoundError, "model_not_found", "model"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, openai.BadRequestError, "unsupported", "input[0]"),
        ({"input": '[{"too_long":true}]'}, openai.BadRequestError, "context_length_exceeded", "input"),
        ({"background": True}, openai.BadRequestError, "unsupported", "background"),
        ({"previous_response_id": "resp_1"}, openai.BadRequestError, "unsupported", "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, openai.BadRequestError, "unsupported", "tools[0]"),
        ({"temperature": 3}, openai.BadRequestError, "invalid_value", "temperature"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    client: OpenAI, members: dict[str, Any], kind: type[openai.APIStatusError], code: str, param: str
) -> None:
    with pytest.raises(kind) as caught:
        client.responses.create(**{"model": "scripted", "input": "a", **members})
    assert (caught.value.code, caught.value.param) == (code, param)


def test_the_model_stops_when_the_reader_leaves(client: OpenAI, scripted: Served) -> None:
    closed = scripted.state()["closed"]
    with client.responses.create(model="scripted", input=script("a", {"wait": True}), stream=True) as stream:
        next(event for event in stream if event.type == "response.output_text.delta")
        assert scripted.state()["running"] == 1
    scripted.until(lambda: scripted.state()["running"] == 0, within=1)
    assert scripted.state()["closed"] == closed + 1


@pytest.mark.parametrize("stream", [True, False])
def test_the_model_stops_when_the_reader_leaves_before_the_first_token(scripted: Served, stream: bool) -> None:
    leave_early(scripted, "/v1/responses", ask({"wait": True}, stream=stream))


def test_a_silent_stream_beats_and_then_fails_in_the_stream(scripted: Served) -> None:
    with scripted.send("/v1/responses", ask({"gap": True}, {"fail": 503})) as connection:
        head = receive(connection, b": keep-alive\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        scripted.request("GET", "/go")
        body = receive(connection, b"0\r\n\r\n")
    assert b": keep-alive\n\n" not in head + body
    text = head.partition(b"\r\n\r\n")[2] + body
    data = b"".join(line + b"\n" for line in text.split(b"\n") if not line.endswith(b"\r"))  # without the chunk sizes
    assert [name for name, _ in records(data)] == [
        "response.created",
        "response.in_progress",
        "response.failed",
        "error",
    ]
