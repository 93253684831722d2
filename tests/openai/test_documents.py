import json
from typing import Any

import pytest

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
from headrace.errors import AnswerTooLarge, InvalidItem, StreamTruncated
from headrace.openai.calls import Calls
from headrace.openai.documents import AnswerDocument, ChatDocument, JsonDocument, TextDocument
from headrace.openai.heading import Heading
from headrace.wire.events import End, Failure

HEADING = Heading("chatcmpl-1", 17, "tiny")


def chat(n: int = 1, *, legacy: bool = False, forced: bool = False, **limits: int) -> ChatDocument:
    return ChatDocument(HEADING, n=n, calls=Calls(legacy, forced), **limits)


def written(encoder: AnswerDocument, *events: EngineEvent) -> bytes:
    for event in events:
        assert encoder.item(event) == b""
    return encoder.end(End(len(events)))


def choice(encoder: AnswerDocument, *events: EngineEvent) -> dict[str, Any]:
    choices: list[dict[str, Any]] = json.loads(written(encoder, *events))["choices"]
    return choices[0]


def test_a_chat_completion_to_the_byte() -> None:
    data = written(chat(), TextDelta("Hel"), TextDelta("lo\u2028"), Finish("stop"), Usage(3, 2))
    assert data == (
        b'{"id":"chatcmpl-1","object":"chat.completion","created":17,"model":"tiny","choices":[{"index":0,'
        b'"message":{"role":"assistant","content":"Hello\\u2028","refusal":null},"logprobs":null,'
        b'"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,'
        b'"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}'
    )


def test_a_completion_to_the_byte() -> None:
    data = written(TextDocument(HEADING), TextDelta("Hel"), TextDelta("lo"), Finish("length"))
    assert data == (
        b'{"id":"chatcmpl-1","object":"text_completion","created":17,"model":"tiny","choices":[{"index":0,'
        b'"text":"Hello","logprobs":null,"finish_reason":"length"}],"usage":null}'
    )


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], {"content": "", "refusal": None}),
        ([ReasoningDelta("a"), ReasoningDelta("b"), TextDelta("Hi")], {"content": "Hi", "reasoning_content": "ab"}),
        ([RefusalDelta("I can"), RefusalDelta("not")], {"content": None, "refusal": "I cannot"}),
        ([TextDelta("So: "), RefusalDelta("no")], {"content": "So: ", "refusal": "no"}),
    ],
)
def test_a_message_has_what_came(events: list[EngineEvent], message: dict[str, Any]) -> None:
    told = choice(chat(), *events, Finish("stop"))["message"]
    assert told == {"role": "assistant", "refusal": None, **message}


CALLS = (
    ToolCallDelta(0, "{", "call_a", "f"),
    ToolCallDelta(1, "", "call_b", "g"),
    ToolCallDelta(0, '"x":1}'),
    ToolCallDelta(1, "{}"),
    Finish("tool_calls"),
)


def test_calls_are_whole_and_in_order() -> None:
    told = choice(chat(), *CALLS)
    assert told["message"]["tool_calls"] == [
        {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "call_b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    assert told["message"]["content"] is None
    assert told["finish_reason"] == "tool_calls"


def test_text_before_a_call_is_kept() -> None:
    assert choice(chat(), TextDelta("Let me look."), *CALLS)["message"]["content"] == "Let me look."


def test_a_call_in_the_form_of_old() -> None:
    told = choice(chat(legacy=True), ToolCallDelta(0, "{}", "call_a", "f"), Finish("tool_calls"))
    assert told["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in told["message"]
    assert told["finish_reason"] == "function_call"


def test_a_call_that_was_forced_ends_with_stop() -> None:
    assert choice(chat(forced=True), *CALLS)["finish_reason"] == "stop"


def test_each_answer_stands_at_its_index() -> None:
    data = written(chat(2), TextDelta("b", 1), TextDelta("a"), Finish("length", 1), Finish("stop"), Usage(1, 2))
    told = [(each["index"], each["message"]["content"], each["finish_reason"]) for each in json.loads(data)["choices"]]
    assert told == [(0, "a", "stop"), (1, "b", "length")]


def test_logprobs_are_those_of_all_tokens() -> None:
    hel, lo = TokenLogprob("Hel", b"Hel", -0.5), TokenLogprob("lo", b"lo", -1.5)
    events = (TextDelta("Hel", logprobs=(hel,)), TextDelta("lo", logprobs=(lo,)), Finish("stop"))
    content = choice(chat(), *events)["logprobs"]["content"]
    assert [(each["token"], each["logprob"]) for each in content] == [("Hel", -0.5), ("lo", -1.5)]
    assert choice(TextDocument(HEADING), *events)["logprobs"]["text_offset"] == [0, 3]


@pytest.mark.parametrize("encoder", [chat(2), TextDocument(HEADING, n=2)])
def test_an_answer_without_its_finish_is_truncation(encoder: AnswerDocument) -> None:
    encoder.item(TextDelta("a"))
    encoder.item(Finish("stop"))
    with pytest.raises(StreamTruncated):
        encoder.end(End(2))


def test_what_an_engine_must_not_do_is_an_invalid_item() -> None:
    encoder = chat()
    encoder.item(Finish("stop"))
    with pytest.raises(InvalidItem):
        encoder.item(TextDelta("late"))


def test_a_completion_has_no_place_for_anything_but_text() -> None:
    with pytest.raises(InvalidItem, match="which a completion has no place for"):
        TextDocument(HEADING).item(ReasoningDelta("a"))


def test_an_answer_without_bounds_is_given_up() -> None:
    encoder = chat(limit=10)
    encoder.item(TextDelta("12345"))
    encoder.item(ReasoningDelta("67"))
    encoder.item(ToolCallDelta(0, "890", "call_a", "f"))
    with pytest.raises(AnswerTooLarge):
        encoder.item(TextDelta("1"))


def test_a_failure_is_told_by_the_status_alone() -> None:
    encoder = chat()
    assert (encoder.in_band, encoder.heartbeat, encoder.failure(Failure("internal", ""))) == (False, b"", b"")


def test_one_value_is_one_document() -> None:
    encoder = JsonDocument(lambda value: {"value": value})
    assert encoder.item("a\u2028") + encoder.end(End(1)) == b'{"value":"a\\u2028"}'
    assert (encoder.in_band, encoder.heartbeat, encoder.failure(Failure("internal", ""))) == (False, b"", b"")


def test_there_is_no_place_for_a_header_or_a_footer() -> None:
    assert (chat().header("x"), chat().footer("x")) == (b"", b"")
    assert (JsonDocument(dict).header("x"), JsonDocument(dict).footer("x")) == (b"", b"")
