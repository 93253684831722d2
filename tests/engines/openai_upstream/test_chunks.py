"""Chunks to events: OpenAI's, Azure's, those of other servers, and what makes an answer complete."""

import json
from typing import Any

import pytest
from upstream import AZURE, FILTERED, HELLO, ROLE, UNTOUCHED, calls, chunk, delta, finish, says, usage

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
from headrace.engines.openai_upstream.chunks import Chunks
from headrace.engines.refusals import UpstreamFailed
from headrace.errors import StreamTruncated

Json = dict[str, Any]
CALL = calls({"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}})
CALLED = ToolCallDelta(0, "{}", "call_1", "f")
OLD_CALL = delta(function_call={"name": "f", "arguments": "{}"})


def events(*chunks: Any, n: int = 1) -> list[EngineEvent]:
    """Of a whole stream."""
    read = Chunks(n, lambda: "call_1")
    return [*(event for each in chunks if isinstance(each, dict) for event in read.read(each)), *read.end()]


def choice(**members: Any) -> Json:
    """A chunk with a choice of these members."""
    return chunk({"index": 0, **members})


def test_an_answer_is_its_deltas_its_finish_and_the_tokens() -> None:
    assert events(*HELLO) == [
        TextDelta("Hello"),
        TextDelta(", "),
        TextDelta("world"),
        Finish("stop"),
        Usage(prompt_tokens=3, completion_tokens=4),
    ]


def test_the_chunks_of_azures_filter_are_no_part_of_it() -> None:
    assert events(*AZURE) == [TextDelta("Hello"), TextDelta(", world"), Finish("stop"), Usage(3, 4)]


@pytest.mark.parametrize(
    "odd",
    [
        FILTERED,
        UNTOUCHED,
        ROLE,
        {},
        {"choices": None},
        {"choices": {}},
        {"choices": ["?"]},
        choice(delta=None),
        choice(delta="?"),
        choice(delta={}, finish_reason=""),
        choice(delta={"content": None, "refusal": None, "tool_calls": None, "function_call": None}),
        choice(delta={"content": 7, "refusal": [], "tool_calls": "?", "function_call": "?"}),
        choice(delta={"tool_calls": [{}, {"index": 0}, {"index": 0, "function": {"name": "", "arguments": ""}}]}),
        choice(delta={"function_call": {}}),
        choice(delta={}, logprobs=None),
        choice(delta={}, logprobs={"content": None, "refusal": None}),
        {"choices": [], "usage": None},
        {"choices": [{"delta": {}}]},
    ],
    ids=json.dumps,
)
def test_a_chunk_that_says_nothing_changes_nothing(odd: Json) -> None:
    assert events(says("Hello"), odd, finish("stop")) == [TextDelta("Hello"), Finish("stop")]


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ([delta(content="a", refusal="b")], [TextDelta("a"), RefusalDelta("b")]),
        ([delta(reasoning_content="hm")], [ReasoningDelta("hm")]),
        ([delta(reasoning="hm")], [ReasoningDelta("hm")]),
        ([delta(reasoning="hm", reasoning_content="hm")], [ReasoningDelta("hm")]),
        ([delta(reasoning_content="hm", content="a")], [ReasoningDelta("hm"), TextDelta("a")]),
        ([delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}])], [ReasoningDelta("hm")]),
        ([delta(content=[{"type": "thinking", "thinking": "hm"}])], [ReasoningDelta("hm")]),
        ([delta(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])], [TextDelta("ab")]),
        ([choice(text="a")], [TextDelta("a")]),
    ],
    ids=[
        "refusal",
        "reasoning_content",
        "reasoning",
        "both",
        "with text",
        "parts",
        "a part",
        "text parts",
        "completion",
    ],
)
def test_nothing_that_is_said_is_lost(chunks: list[Json], said: list[EngineEvent]) -> None:
    assert events(*chunks, finish("stop")) == [*said, Finish("stop")]


def test_text_beside_a_call_is_not_lost() -> None:
    both = delta(
        content="I look.", tool_calls=[{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}]
    )
    assert events(both, finish("tool_calls")) == [TextDelta("I look."), CALLED, Finish("tool_calls")]


def test_text_beside_an_old_call_is_not_lost() -> None:
    both = delta(content="I look.", function_call={"name": "f", "arguments": "{}"})
    assert events(both, finish("function_call")) == [TextDelta("I look."), CALLED, Finish("tool_calls")]


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([says("a"), finish("stop")], "stop"),
        ([says("a"), finish("length")], "length"),
        ([says("a"), finish("content_filter")], "content_filter"),
        ([CALL, finish("tool_calls")], "tool_calls"),
        ([CALL, finish("stop")], "tool_calls"),
        ([CALL, finish("length")], "length"),
        ([CALL, finish("content_filter")], "content_filter"),
        ([OLD_CALL, finish("function_call")], "tool_calls"),
        ([OLD_CALL, finish("stop")], "tool_calls"),
        ([says("a"), finish("tool_calls")], "stop"),
        ([says("a"), finish("STOP")], "stop"),
        ([says("a"), finish("eos")], "stop"),
        ([says("a"), finish("max_tokens")], "length"),
        ([says("a"), finish("stop"), finish("content_filter")], "content_filter"),
        ([choice(delta={"content": "a"}, finish_reason="stop")], "stop"),
        ([finish("stop")], "stop"),
    ],
)
def test_the_reason_is_decided_by_what_was_seen(chunks: list[Json], reason: str) -> None:
    assert [event.reason for event in events(*chunks) if isinstance(event, Finish)] == [reason]


@pytest.mark.parametrize("reason", ["error", "abort", "cancelled", "insufficient_system_resource", "who knows"])
def test_a_reason_that_ends_no_answer_is_a_failure_that_names_it(reason: str) -> None:
    with pytest.raises(UpstreamFailed, match=f"finish_reason '{reason}'"):
        events(says("a"), finish(reason))


@pytest.mark.parametrize("chunks", [[], [ROLE], [says("a")], [says("a"), usage(3, 4)], [CALL]])
def test_a_stream_without_a_reason_is_truncated(chunks: list[Json]) -> None:
    with pytest.raises(StreamTruncated, match="the answer has no finish_reason"):
        events(*chunks)


def test_an_answer_that_did_not_end_beside_one_that_did_is_truncated() -> None:
    with pytest.raises(StreamTruncated, match="answer 1 of 2 has no finish_reason"):
        events(says("a", 0), says("b", 1), finish("stop", 0), n=2)


def test_what_comes_behind_the_reason_is_in_front_of_the_finish() -> None:
    assert events(finish("stop"), says("late")) == [TextDelta("late"), Finish("stop")]


def test_each_answer_has_its_own_deltas_and_finish() -> None:
    chunks = [chunk({"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}})]
    assert events(*chunks, finish("length", 1), finish("stop", 0), n=2) == [
        TextDelta("b", 1),
        TextDelta("a", 0),
        Finish("stop", 0),
        Finish("length", 1),
    ]


@pytest.mark.parametrize("index", [1, -1, "0", None])
def test_an_answer_that_nobody_asked_for_is_a_failure(index: Any) -> None:
    with pytest.raises(UpstreamFailed, match="; 1 were asked for"):
        events(chunk({"index": index, "delta": {"content": "a"}}))


def test_a_call_without_a_name_is_a_failure() -> None:
    with pytest.raises(UpstreamFailed, match="without its name"):
        events(calls({"index": 0, "function": {"arguments": "{}"}}), finish("stop"))


def test_a_call_without_arguments_is_there() -> None:
    held = calls({"index": 0, "id": "call_1", "function": {"name": "f", "arguments": ""}})
    assert events(held, finish("stop")) == [ToolCallDelta(0, "", "call_1", "f"), Finish("tool_calls")]


def test_the_stop_string_is_told_where_the_upstream_tells_it() -> None:
    assert events(choice(delta={}, finish_reason="stop", stop_reason="\n\n"))[-1] == Finish("stop", stop="\n\n")
    assert events(choice(delta={}, finish_reason="stop", stop_reason=128009))[-1] == Finish("stop")


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        ([usage(3, 4)], Usage(3, 4)),
        ([usage(3, 1), usage(3, 4)], Usage(3, 4)),
        ([usage(3, 4), {"choices": [], "usage": None}], Usage(3, 4)),
        (
            [
                usage(
                    9, 4, prompt_tokens_details={"cached_tokens": 8}, completion_tokens_details={"reasoning_tokens": 2}
                )
            ],
            Usage(9, 4, cached_tokens=8, reasoning_tokens=2),
        ),
        ([usage(9, 4, prompt_tokens_details=None, completion_tokens_details={})], Usage(9, 4)),
        ([{"choices": [], "usage": {"prompt_tokens": "3", "completion_tokens": -4}}], Usage(0, 0)),
    ],
    ids=["once", "at every chunk", "and null", "with details", "with empty details", "odd"],
)
def test_tokens_are_those_that_were_told_last(told: list[Json], tokens: Usage) -> None:
    assert events(finish("stop"), *told)[-1] == tokens


def test_tokens_that_come_with_the_last_delta_count() -> None:
    last = choice(delta={"content": "a"}, finish_reason="stop") | {
        "usage": {"prompt_tokens": 3, "completion_tokens": 1}
    }
    assert events(last) == [TextDelta("a"), Finish("stop"), Usage(3, 1)]


def test_logprobs_are_passed_on() -> None:
    likely = {"token": "Hi", "logprob": -1.5, "bytes": [72, 105]}
    told = {"content": [{"token": "Hel", "logprob": -0.5, "bytes": None, "top_logprobs": [likely]}], "refusal": None}
    assert events(choice(delta={"content": "Hel"}, logprobs=told), finish("stop"))[0] == TextDelta(
        "Hel", 0, (TokenLogprob("Hel", b"Hel", -0.5, (Alternative("Hi", b"Hi", -1.5),)),)
    )


def test_logprobs_without_text_have_a_delta() -> None:
    told = {"content": [{"token": "\\xf0", "logprob": -0.5, "bytes": [240]}]}
    assert events(choice(delta={"content": ""}, logprobs=told), finish("stop"))[0] == TextDelta(
        "", 0, (TokenLogprob("\\xf0", b"\xf0", -0.5),)
    )


def test_the_logprobs_of_completions_are_passed_on() -> None:
    told = {"tokens": ["a", "b"], "token_logprobs": [None, -0.5], "top_logprobs": [None, {"b": -0.5, "c": -1.5}]}
    assert events(choice(text="ab", logprobs=told), finish("stop"))[0] == TextDelta(
        "ab",
        0,
        (
            TokenLogprob("a", b"a", 0.0),
            TokenLogprob("b", b"b", -0.5, (Alternative("b", b"b", -0.5), Alternative("c", b"c", -1.5))),
        ),
    )


@pytest.mark.parametrize(
    "told",
    [
        {"content": [{"token": None, "logprob": "?", "bytes": [-1], "top_logprobs": "?"}]},
        {"tokens": [None], "token_logprobs": "?", "top_logprobs": ["?"]},
    ],
)
def test_logprobs_that_make_no_sense_break_nothing(told: Json) -> None:
    assert events(choice(text="a", logprobs=told), finish("stop"))[0] == TextDelta(
        "a", 0, (TokenLogprob("", b"", 0.0),)
    )


def test_chunks_that_bring_something_are_counted() -> None:
    read = Chunks()
    for each in (FILTERED, ROLE, UNTOUCHED, usage(3, 4)):
        read.read(each)
    assert read.deltas == 0
    for each in (says("a"), delta(refusal="b"), calls({"index": 0, "id": "call_1", "function": {"name": "f"}})):
        read.read(each)
    assert read.deltas == 3


def test_it_is_complete_when_all_answers_have_their_reason() -> None:
    read = Chunks(2)
    read.read(finish("stop", 1))
    assert (read.complete, read.reasons) == (False, ("stop",))
    read.read(finish("length", 0))
    assert (read.complete, read.reasons) == (True, ("length", "stop"))
