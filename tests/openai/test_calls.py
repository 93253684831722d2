from typing import Any

import pytest

from headrace.engines.events import Finish, Reason, ToolCallDelta, Usage
from headrace.errors import InvalidItem
from headrace.openai.calls import Calls, usage_members

FIRST = ToolCallDelta(0, "{", "call_a", "f")
LATER = ToolCallDelta(0, "}")


@pytest.mark.parametrize(
    ("calls", "event", "delta"),
    [
        (
            Calls(),
            FIRST,
            {
                "tool_calls": [
                    {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{"}}
                ]
            },
        ),
        (Calls(), LATER, {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}),
        (Calls(legacy=True), FIRST, {"function_call": {"name": "f", "arguments": "{"}}),
        (Calls(legacy=True), LATER, {"function_call": {"arguments": "}"}}),
    ],
)
def test_a_delta_is_told_in_its_form(calls: Calls, event: ToolCallDelta, delta: dict[str, Any]) -> None:
    assert calls.delta(event) == delta


def test_the_form_of_old_has_no_place_for_a_second_call() -> None:
    with pytest.raises(InvalidItem, match="a second function call"):
        Calls(legacy=True).delta(ToolCallDelta(1, "{", "call_b", "g"))


@pytest.mark.parametrize(
    ("calls", "reason", "told"),
    [
        (Calls(), "stop", "stop"),
        (Calls(), "length", "length"),
        (Calls(), "content_filter", "content_filter"),
        (Calls(), "tool_calls", "tool_calls"),
        (Calls(forced=True), "tool_calls", "stop"),
        (Calls(forced=True), "length", "length"),
        (Calls(legacy=True), "tool_calls", "function_call"),
        (Calls(legacy=True, forced=True), "tool_calls", "stop"),
    ],
)
def test_the_reason_depends_on_how_calls_came_about(calls: Calls, reason: Reason, told: str) -> None:
    assert calls.reason(Finish(reason)) == told


CALL = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("calls", "made", "members"),
    [
        (Calls(), [], {}),
        (Calls(), [CALL], {"tool_calls": [CALL]}),
        (Calls(legacy=True), [], {}),
        (Calls(legacy=True), [CALL], {"function_call": {"name": "f", "arguments": "{}"}}),
    ],
)
def test_a_message_has_its_calls(calls: Calls, made: list[dict[str, Any]], members: dict[str, Any]) -> None:
    assert calls.members(made) == members


def test_a_message_of_the_form_of_old_has_no_place_for_a_second_call() -> None:
    with pytest.raises(InvalidItem, match="a second function call"):
        Calls(legacy=True).members([CALL, CALL])


def test_the_usage_has_its_total_and_its_details() -> None:
    assert usage_members(Usage(3, 4, cached_tokens=2, reasoning_tokens=1)) == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
