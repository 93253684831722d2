import json
from collections.abc import Iterator
from typing import Any

import pytest
from answers import Said, answers, said, written
from hypothesis import given
from records import records

from headrace.engines.events import (
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
from headrace.openai.messages_reply import Reply
from headrace.openai.messages_stream import MessageEvents
from headrace.openai.parts_document import PartsDocument
from headrace.wire.events import End, Failure

REPLY = Reply("msg_m", "tiny")


def streamed(events: list[EngineEvent]) -> bytes:
    return written(MessageEvents(REPLY), *events)


def block_records(events: list[EngineEvent]) -> list[Any]:
    """The JSON of the records between the start of the message and its end."""
    return [members for _, members in records(streamed(events))[1:-2]]


def test_a_text_is_told_to_the_letter() -> None:
    data = streamed([TextDelta("Hi"), TextDelta(" you"), Finish("stop"), Usage(7, 2, 4)])
    zero = {"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
    usage = {"input_tokens": 3, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": 2}
    message = {
        "id": "msg_m",
        "type": "message",
        "role": "assistant",
        "model": "tiny",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": zero,
    }
    expected: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " you"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]
    assert data.decode() == "".join(
        f"event: {each['type']}\ndata: {json.dumps(each, separators=(',', ':'))}\n\n" for each in expected
    )


def test_a_tool_use_is_told_to_the_letter() -> None:
    call = ToolCallDelta(0, '{"a"', id="call_a", name="f")
    assert block_records([call, ToolCallDelta(0, ":1}"), Finish("tool_calls")]) == [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "call_a", "name": "f", "input": {}},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ":1}"}},
        {"type": "content_block_stop", "index": 0},
    ]


def test_thinking_is_told_to_the_letter() -> None:
    assert block_records([ReasoningDelta("hm"), Finish("stop")]) == [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_stop", "index": 0},
    ]


def test_a_refusal_is_a_text() -> None:
    assert block_records([RefusalDelta("no"), Finish("stop")])[1]["delta"] == {"type": "text_delta", "text": "no"}


def test_blocks_are_numbered_in_their_order() -> None:
    events = [ReasoningDelta("r"), TextDelta("a"), ToolCallDelta(0, "{}", "call_a", "f"), Finish("tool_calls")]
    assert [(each["type"], each["index"]) for each in block_records(events)] == [
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
    ]


def test_logprobs_have_no_place() -> None:
    told = block_records([TextDelta("", 0, (TokenLogprob("a", b"a", -1.0),)), TextDelta("a"), Finish("stop")])
    assert [each["type"] for each in told] == ["content_block_start", "content_block_delta", "content_block_stop"]


def test_an_answer_without_any_content_is_opened_and_ended() -> None:
    assert [name for name, _ in records(streamed([Finish("stop")]))] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]


def test_nothing_is_written_before_something_comes() -> None:
    encoder = MessageEvents(REPLY)
    assert encoder.item(TextDelta("")) == b""
    assert encoder.item(TextDelta("a")).startswith(b"event: message_start\n")


def test_a_failure_is_one_record_and_the_last_one() -> None:
    encoder = MessageEvents(REPLY)
    encoder.item(TextDelta("a"))
    assert encoder.failure(Failure("overloaded", "too much")) == (
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"too much"}}\n\n'
    )


def test_an_answer_that_its_engine_has_not_finished_has_no_end() -> None:
    encoder = MessageEvents(REPLY)
    encoder.item(TextDelta("a"))
    with pytest.raises(StreamTruncated):
        encoder.end(End(1))


def test_an_event_that_must_not_come_is_an_error() -> None:
    with pytest.raises(InvalidItem):
        MessageEvents(REPLY).item(TextDelta("a", 1))


def test_there_is_no_place_for_a_header_or_a_footer_and_a_heartbeat_is_one_line() -> None:
    encoder = MessageEvents(REPLY)
    told = (encoder.header(1), encoder.footer(1), encoder.heartbeat, encoder.in_band)
    assert told == (b"", b"", b": keep-alive\n", True)


def test_a_line_end_of_python_does_not_cut_a_record() -> None:
    data = streamed([TextDelta("a\u2028b"), TextDelta("\u0085"), Finish("stop")])
    assert all(line.startswith(("event: ", "data: {")) for line in data.decode().splitlines() if line)


@given(answers())
def test_the_blocks_put_together_are_those_of_the_whole_message(events: list[EngineEvent]) -> None:
    document = PartsDocument(REPLY.ended)
    assert [document.item(event) for event in events] == [b""] * len(events)
    whole = json.loads(document.end(End(0)))
    found = records(streamed(events))
    assert list(_put_together(found)) == whole["content"]
    told = found[-2][1]
    assert told["delta"] == {name: whole[name] for name in ("stop_reason", "stop_sequence")}
    assert told["usage"] == whole["usage"]


@given(answers())
def test_the_records_say_what_the_events_say(events: list[EngineEvent]) -> None:
    told, expected = Said(), said(events)
    for block, text in _blocks(records(streamed(events))):
        if block["type"] == "tool_use":
            told.calls.append((block["id"], block["name"], text))
        elif block["type"] == "thinking":
            told.reasoning += text
        else:
            told.text += text
    assert (told.reasoning, told.calls) == (expected.reasoning, expected.calls)
    assert sorted(told.text) == sorted(expected.text + expected.refusal)


def _blocks(found: list[tuple[str, Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each block as it began and all its pieces, where each is opened before it grows and closed before the next."""
    block: dict[str, Any] | None = None
    text = ""
    for name, members in found[1:-2]:
        if name == "content_block_start":
            assert block is None
            block, text = members["content_block"], ""
        elif name == "content_block_delta":
            _, text_member = members["delta"]
            text += members["delta"][text_member]
        else:
            assert name == "content_block_stop"
            assert block is not None
            yield block, text
            block = None
    assert block is None


def _put_together(found: list[tuple[str, Any]]) -> Iterator[dict[str, Any]]:
    """The blocks as a client makes them."""
    for block, text in _blocks(found):
        if block["type"] != "tool_use":
            yield {**block, block["type"]: text}
            continue
        try:
            value = json.loads(text or "{}")
        except ValueError:
            value = None
        yield {**block, "input": value if isinstance(value, dict) else {"INVALID_JSON": text}}
