import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from answers import Said, answers, said
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import APIError, OpenAI
from records import records

from headrace.engines.events import (
    Alternative,
    EngineEvent,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from headrace.errors import InvalidItem, StreamTruncated
from headrace.openai.parts_document import PartsDocument
from headrace.openai.responses_object import Response
from headrace.openai.responses_stream import ResponseEvents
from headrace.wire.events import End, Failure

RESPONSE = Response("r", 5, {"model": "tiny"})
COMPLETE = End(0)
CALL = ToolCallDelta(0, "", id="call_a", name="f")


def streamed(events: list[EngineEvent], ending: End | Failure = COMPLETE) -> bytes:
    encoder = ResponseEvents(RESPONSE)
    data = b"".join(encoder.item(event) for event in events)
    return data + (encoder.end(ending) if isinstance(ending, End) else encoder.failure(ending))


def names(events: list[EngineEvent], ending: End | Failure = COMPLETE) -> list[str]:
    return [name.removeprefix("response.") for name, _ in records(streamed(events, ending))]


def response(status: str, output: list[Any], **members: Any) -> dict[str, Any]:
    """A response object with its members in the order in which they are sent."""
    return {
        "id": "resp_r",
        "object": "response",
        "created_at": 5,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": "tiny",
        "output": output,
        "usage": None,
        **members,
    }


def test_a_text_is_told_to_the_letter() -> None:
    empty, whole = json.dumps(response("in_progress", [])), {"text": "Hi you", "annotations": [], "logprobs": []}
    item = {"id": "msg_r_0", "type": "message", "role": "assistant"}
    part = {"type": "output_text", **whole}
    done = {**item, "content": [part], "status": "completed"}
    usage = {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 9,
    }
    place = {"item_id": "msg_r_0", "output_index": 0, "content_index": 0}
    expected: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": json.loads(empty)}),
        ("response.in_progress", {"response": json.loads(empty)}),
        ("response.output_item.added", {"output_index": 0, "item": {**item, "content": [], "status": "in_progress"}}),
        ("response.content_part.added", {**place, "part": {**part, "text": ""}}),
        ("response.output_text.delta", {**place, "delta": "Hi", "logprobs": []}),
        ("response.output_text.delta", {**place, "delta": " you", "logprobs": []}),
        ("response.output_text.done", {**place, "text": "Hi you", "logprobs": []}),
        ("response.content_part.done", {**place, "part": part}),
        ("response.output_item.done", {"output_index": 0, "item": done}),
        ("response.completed", {"response": response("completed", [done], usage=usage)}),
    ]
    data = streamed([TextDelta("Hi"), TextDelta(" you"), Finish("stop"), Usage(7, 2, 4, 1)])
    assert data.decode() == "".join(
        f"event: {name}\ndata: {json.dumps({'type': name, 'sequence_number': n, **members}, separators=(',', ':'))}\n\n"
        for n, (name, members) in enumerate(expected)
    )


def test_a_function_call_is_told_to_the_letter() -> None:
    found = records(streamed([CALL, ToolCallDelta(0, '{"a"'), ToolCallDelta(0, ":1}"), Finish("tool_calls")]))
    item = {"id": "fc_r_0", "type": "function_call", "call_id": "call_a", "name": "f"}
    done = {**item, "arguments": '{"a":1}', "status": "completed"}
    assert [members for _, members in found[2:-1]] == [
        {
            "type": "response.output_item.added",
            "sequence_number": 2,
            "output_index": 0,
            "item": {**item, "arguments": "", "status": "in_progress"},
        },
        {
            "type": "response.function_call_arguments.delta",
            "sequence_number": 3,
            "item_id": "fc_r_0",
            "output_index": 0,
            "delta": '{"a"',
        },
        {
            "type": "response.function_call_arguments.delta",
            "sequence_number": 4,
            "item_id": "fc_r_0",
            "output_index": 0,
            "delta": ":1}",
        },
        {
            "type": "response.function_call_arguments.done",
            "sequence_number": 5,
            "item_id": "fc_r_0",
            "output_index": 0,
            "name": "f",
            "arguments": '{"a":1}',
        },
        {"type": "response.output_item.done", "sequence_number": 6, "output_index": 0, "item": done},
    ]
    assert found[-1][1]["response"]["output"] == [done]


def test_reasoning_is_told_to_the_letter() -> None:
    found = records(streamed([ReasoningDelta("hm"), Finish("stop")]))
    item = {"id": "rs_r_0", "type": "reasoning", "summary": []}
    place = {"item_id": "rs_r_0", "output_index": 0, "content_index": 0}
    part = {"type": "reasoning_text", "text": "hm"}
    done = {**item, "content": [part], "status": "completed"}
    told = [(name, {key: members[key] for key in list(members)[2:]}) for name, members in found[2:-1]]
    assert told == [
        ("response.output_item.added", {"output_index": 0, "item": {**item, "content": [], "status": "in_progress"}}),
        ("response.content_part.added", {**place, "part": {**part, "text": ""}}),
        ("response.reasoning_text.delta", {**place, "delta": "hm"}),
        ("response.reasoning_text.done", {**place, "text": "hm"}),
        ("response.content_part.done", {**place, "part": part}),
        ("response.output_item.done", {"output_index": 0, "item": done}),
    ]


def test_a_refusal_is_told_to_the_letter() -> None:
    found = records(streamed([RefusalDelta("no"), Finish("stop")]))
    place = {"item_id": "msg_r_0", "output_index": 0, "content_index": 0}
    told = [(name, {key: members[key] for key in list(members)[2:]}) for name, members in found[3:7]]
    assert told == [
        ("response.content_part.added", {**place, "part": {"type": "refusal", "refusal": ""}}),
        ("response.refusal.delta", {**place, "delta": "no"}),
        ("response.refusal.done", {**place, "refusal": "no"}),
        ("response.content_part.done", {**place, "part": {"type": "refusal", "refusal": "no"}}),
    ]


def test_logprobs_stand_with_the_delta_and_with_the_whole_text() -> None:
    token = TokenLogprob("é", "é".encode(), -0.5, (Alternative("a", b"a", -1.5),))
    found = dict(records(streamed([TextDelta("é", 0, (token,)), Finish("stop")])))
    told = [
        {
            "token": "é",
            "logprob": -0.5,
            "bytes": [195, 169],
            "top_logprobs": [{"token": "a", "logprob": -1.5, "bytes": [97]}],
        }
    ]
    assert found["response.output_text.delta"]["logprobs"] == told
    assert found["response.output_text.done"]["logprobs"] == told
    assert found["response.content_part.done"]["part"]["logprobs"] == told


@pytest.mark.parametrize(
    ("events", "ends"),
    [
        ([Finish("stop")], ["completed"]),
        ([Finish("tool_calls")], ["completed"]),
        ([Finish("length")], ["incomplete"]),
        ([Finish("content_filter")], ["incomplete"]),
    ],
)
def test_an_answer_without_any_content_is_opened_and_ended(events: list[EngineEvent], ends: list[str]) -> None:
    assert names(events) == ["created", "in_progress", *ends]


@pytest.mark.parametrize(("reason", "told"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_says_why_and_so_does_its_item(reason: Any, told: str) -> None:
    name, members = records(streamed([TextDelta("a"), Finish(reason)]))[-1]
    assert name == "response.incomplete"
    assert members["response"]["status"] == "incomplete"
    assert members["response"]["incomplete_details"] == {"reason": told}
    assert members["response"]["output"][0]["status"] == "incomplete"


def test_nothing_is_written_before_something_comes() -> None:
    encoder = ResponseEvents(RESPONSE)
    assert encoder.item(TextDelta("")) == b""
    assert encoder.item(TextDelta("a")).startswith(b"event: response.created\n")


def test_a_failure_tells_what_there_was_and_then_the_error() -> None:
    found = records(streamed([ReasoningDelta("r"), TextDelta("a")], Failure("rate_limited", "too fast")))
    assert [name for name, _ in found[-2:]] == ["response.failed", "error"]
    failed, error = (members for _, members in found[-2:])
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "rate_limit_exceeded", "message": "too fast"}
    assert [item["status"] for item in failed["response"]["output"]] == ["completed", "incomplete"]
    flat = {"code": "rate_limited", "message": "too fast", "param": None}
    number = len(found) - 1
    assert error == {"type": "error", "sequence_number": number, **flat, "error": {"type": "server_error", **flat}}


def test_a_failure_before_the_first_event_opens_the_response() -> None:
    assert names([], Failure("upstream_failed", "")) == ["created", "in_progress", "failed", "error"]


def test_a_failure_after_the_finish_is_no_completion() -> None:
    assert names([TextDelta("a"), Finish("stop")], Failure("internal", ""))[-3:] == [
        "output_item.done",
        "failed",
        "error",
    ]


def test_an_answer_that_its_engine_has_not_finished_has_no_end() -> None:
    encoder = ResponseEvents(RESPONSE)
    encoder.item(TextDelta("a"))
    with pytest.raises(StreamTruncated):
        encoder.end(End(1))


def test_an_event_that_must_not_come_is_an_error() -> None:
    encoder = ResponseEvents(RESPONSE)
    with pytest.raises(InvalidItem):
        encoder.item(TextDelta("a", 1))


def test_there_is_no_place_for_a_header_or_a_footer_and_a_heartbeat_is_one_line() -> None:
    encoder = ResponseEvents(RESPONSE)
    assert (encoder.header(1), encoder.footer(1), encoder.heartbeat, encoder.in_band) == (
        b"",
        b"",
        b": keep-alive\n",
        True,
    )


def test_a_line_end_of_python_does_not_cut_a_record() -> None:
    text = "a\u2028b\u2029c\u0085d\r\ne"
    data = streamed([TextDelta(text), TextDelta(text), Finish("stop")])
    assert dict(records(data))["response.output_text.done"]["text"] == text * 2
    assert all(line.startswith(("event: ", "data: {")) for line in data.decode().splitlines() if line)


@given(answers())
def test_numbers_are_dense_and_names_agree(events: list[EngineEvent]) -> None:
    found = records(streamed(events))
    assert [members["sequence_number"] for _, members in found] == list(range(len(found)))
    assert all(members["type"] == name for name, members in found)


@given(answers())
def test_the_items_put_together_are_those_of_the_whole_answer(events: list[EngineEvent]) -> None:
    document = PartsDocument(RESPONSE.ended)
    assert [document.item(event) for event in events] == [b""] * len(events)
    whole = json.loads(document.end(End(0)))
    found = records(streamed(events))
    assert found[-1][1]["response"] == whole
    assert [members["item"] for name, members in found if name == "response.output_item.done"] == whole["output"]
    assert list(_put_together(found)) == whole["output"]


@given(answers())
def test_the_items_say_what_the_events_say(events: list[EngineEvent]) -> None:
    whole = Said(reason=said(events).reason, usage=said(events).usage)
    for item in records(streamed(events))[-1][1]["response"]["output"]:
        if item["type"] == "function_call":
            whole.calls.append((item["call_id"], item["name"], item["arguments"]))
        elif item["type"] == "reasoning":
            whole.reasoning += item["content"][0]["text"]
        else:
            whole.text += item["content"][0].get("text", "")
            whole.refusal += item["content"][0].get("refusal", "")
    assert whole == said(events)


def _put_together(found: list[tuple[str, Any]]) -> Iterator[dict[str, Any]]:
    """The items as a client makes them of deltas, where each is opened before it grows and closed before the next."""
    item: dict[str, Any] | None = None
    for name, members in found:
        match name.removeprefix("response.").split("."):
            case ["output_item", "added"]:
                assert item is None
                item = members["item"]
            case ["output_item", "done"]:
                assert item is not None
                yield {**item, "status": members["item"]["status"]}
                item = None
            case ["content_part", "added"]:
                assert item is not None
                assert item["content"] == []
                item["content"].append(members["part"])
            case [_, "delta"]:
                assert item is not None
                grown = item if item["type"] == "function_call" else item["content"][members["content_index"]]
                member = next(each for each in ("arguments", "refusal", "text") if each in grown)
                grown[member] += members["delta"]
    assert item is None


# -- the real client, which checks what it reads


def client(data: bytes) -> OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=data, headers={"content-type": "text/event-stream"})

    return OpenAI(
        api_key="x", base_url="http://test/v1", http_client=httpx2.Client(transport=httpx2.MockTransport(answer))
    )


@settings(deadline=None, max_examples=50)  # the package is slow at first
@given(answers(), st.booleans())
def test_the_openai_package_puts_the_same_answer_together(events: list[EngineEvent], cut: bool) -> None:
    events = [Finish("length" if cut else "stop") if isinstance(event, Finish) else event for event in events]
    data = streamed(events)
    with client(data) as openai, openai.responses.stream(model="tiny", input="a") as stream:
        last = [event for event in stream][-1]  # noqa: C416
        assert last.type == ("response.incomplete" if cut else "response.completed")
        assert last.response.output_text == said(events).text
        calls = [
            (each.call_id, each.name, each.arguments) for each in last.response.output if each.type == "function_call"
        ]
        assert calls == said(events).calls


def test_the_openai_package_shows_the_failed_response_and_then_raises() -> None:
    data = streamed([TextDelta("a")], Failure("upstream_failed", "gone"))
    with client(data) as openai, openai.responses.create(model="tiny", input="a", stream=True) as stream:
        *_, failed = (next(stream) for _ in range(len(records(data)) - 1))
        assert failed.type == "response.failed"
        with pytest.raises(APIError, match="gone"):
            next(stream)
