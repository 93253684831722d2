import pytest

from headrace.engines.events import EngineEvent, Finish, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta, Usage
from headrace.errors import StreamTruncated
from headrace.openai.parts import Parts
from headrace.openai.responses_object import Response

RESPONSE = Response("r", 5, {"model": "tiny", "tools": []})


def parts(*events: EngineEvent) -> Parts:
    fed = Parts()
    for event in events:
        fed.add(event)
    return fed


def test_a_response_begins_with_what_is_known_of_it() -> None:
    assert RESPONSE.begun() == {
        "id": "resp_r",
        "object": "response",
        "created_at": 5,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": "tiny",
        "tools": [],
        "output": [],
        "usage": None,
    }


def test_a_response_has_an_item_for_each_part() -> None:
    call = ToolCallDelta(0, '{"a":1}', id="call_a", name="f")
    told = RESPONSE.ended(
        parts(ReasoningDelta("r"), TextDelta("a"), call, RefusalDelta("no"), Finish("tool_calls"), Usage(3, 2, 1, 1))
    )
    assert told["status"] == "completed"
    assert told["output"] == [
        {
            "id": "rs_r_0",
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "r"}],
            "status": "completed",
        },
        {
            "id": "msg_r_1",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}],
            "status": "completed",
        },
        {
            "id": "fc_r_2",
            "type": "function_call",
            "call_id": "call_a",
            "name": "f",
            "arguments": '{"a":1}',
            "status": "completed",
        },
        {
            "id": "msg_r_3",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "no"}],
            "status": "completed",
        },
    ]
    assert told["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 5,
    }


@pytest.mark.parametrize(
    ("finish", "status", "details"),
    [
        (Finish("stop"), "completed", None),
        (Finish("tool_calls"), "completed", None),
        (Finish("length"), "incomplete", {"reason": "max_output_tokens"}),
        (Finish("content_filter"), "incomplete", {"reason": "content_filter"}),
    ],
)
def test_a_response_that_was_cut_says_why(finish: Finish, status: str, details: dict[str, str] | None) -> None:
    told = RESPONSE.ended(parts(ReasoningDelta("r"), TextDelta("a"), finish))
    assert (told["status"], told["incomplete_details"]) == (status, details)
    assert [item["status"] for item in told["output"]] == ["completed", status]


def test_a_response_that_failed_says_why_and_keeps_what_there_is() -> None:
    told = RESPONSE.failed(parts(TextDelta("a")), "server_error", "gone")
    assert (told["status"], told["error"]) == ("failed", {"code": "server_error", "message": "gone"})
    assert told["output"][0]["content"][0]["text"] == "a"


def test_a_response_that_is_not_finished_has_no_end() -> None:
    with pytest.raises(StreamTruncated):
        RESPONSE.ended(parts(TextDelta("a")))
