from typing import Any

import pytest

from headrace.engines.events import EngineEvent, Finish, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta, Usage
from headrace.errors import StreamTruncated
from headrace.openai.messages_reply import Reply, stop_members, usage_members
from headrace.openai.parts import Parts

REPLY = Reply("msg_m", "tiny")


def parts(*events: EngineEvent) -> Parts:
    fed = Parts()
    for event in events:
        fed.add(event)
    return fed


def call(arguments: str) -> ToolCallDelta:
    return ToolCallDelta(0, arguments, id="call_a", name="f")


def test_a_message_has_a_block_for_each_part() -> None:
    whole = parts(ReasoningDelta("r"), TextDelta("a"), call('{"a":1}'), Finish("tool_calls"), Usage(3, 2))
    assert REPLY.ended(whole) == {
        "id": "msg_m",
        "type": "message",
        "role": "assistant",
        "model": "tiny",
        "content": [
            {"type": "thinking", "thinking": "r", "signature": ""},
            {"type": "text", "text": "a"},
            {"type": "tool_use", "id": "call_a", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 2,
        },
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"a": {"b": [1]}}', {"a": {"b": [1]}}),
        ("", {}),
        ('{"a', {"INVALID_JSON": '{"a'}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        ('{"a": NaN}', {"INVALID_JSON": '{"a": NaN}'}),
    ],
)
def test_the_input_of_a_tool_is_always_an_object(arguments: str, told: dict[str, Any]) -> None:
    assert REPLY.ended(parts(call(arguments), Finish("stop")))["content"][0]["input"] == told


@pytest.mark.parametrize(
    ("events", "reason", "sequence"),
    [
        pytest.param([TextDelta("a"), Finish("stop")], "end_turn", None, id="by itself"),
        pytest.param([TextDelta("a"), Finish("stop", 0, "END")], "stop_sequence", "END", id="at a stop string"),
        pytest.param([TextDelta("a"), Finish("length")], "max_tokens", None, id="at the limit"),
        pytest.param([call("{}"), Finish("tool_calls")], "tool_use", None, id="with a call"),
        pytest.param([call("{}"), Finish("stop")], "tool_use", None, id="with a call that was forced"),
        pytest.param([call("{"), Finish("length")], "max_tokens", None, id="in the middle of a call"),
        pytest.param([RefusalDelta("no"), Finish("stop")], "refusal", None, id="with a refusal"),
        pytest.param([TextDelta("a"), Finish("content_filter")], "refusal", None, id="by a filter"),
    ],
)
def test_why_a_message_stopped(events: list[EngineEvent], reason: str, sequence: str | None) -> None:
    assert stop_members(parts(*events)) == {"stop_reason": reason, "stop_sequence": sequence}


def test_a_message_that_is_not_finished_is_none() -> None:
    with pytest.raises(StreamTruncated):
        REPLY.ended(parts(TextDelta("a")))


def test_tokens_of_the_prompt_that_were_not_computed_stand_apart() -> None:
    assert usage_members(Usage(10, 2, cached_tokens=6)) == {
        "input_tokens": 4,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 6,
        "output_tokens": 2,
    }
