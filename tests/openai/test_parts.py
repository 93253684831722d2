from collections.abc import Iterable, Sequence

import pytest
from answers import Said, answers, said
from hypothesis import given

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
from headrace.openai.parts import MAX_CHARACTERS, MAX_WAITING, Begun, Change, Grown, Parts

TOKEN = TokenLogprob("a", b"a", -0.5)


def call(number: int, arguments: str = "") -> ToolCallDelta:
    return ToolCallDelta(number, arguments, id=f"call_{number}", name="f")


def shown(changes: Iterable[Change]) -> list[str]:
    """`text(` where a part begins, its pieces, `)` where it ends; a call goes by its number."""
    lines = []
    for change in changes:
        name = change.part.kind if change.part.call < 0 else f"{change.part.name}{change.part.call}"
        lines.append(f"{name}(" if isinstance(change, Begun) else change.piece if isinstance(change, Grown) else ")")
    return lines


def fed(events: Sequence[EngineEvent]) -> list[str]:
    parts = Parts()
    return [line for event in events for line in shown(parts.add(event))]


@pytest.mark.parametrize(
    ("events", "changes"),
    [
        pytest.param([TextDelta("a"), TextDelta("b"), Finish("stop")], ["text(", "a", "b", ")"], id="a text"),
        pytest.param(
            [ReasoningDelta("r"), TextDelta("a"), RefusalDelta("no"), Finish("stop")],
            ["reasoning(", "r", ")", "text(", "a", ")", "refusal(", "no", ")"],
            id="what comes next ends a text",
        ),
        pytest.param(
            [call(0), ToolCallDelta(0, "{}"), call(1, '{"a":1}'), Finish("tool_calls")],
            ["f0(", "{}", ")", "f1(", '{"a":1}', ")"],
            id="calls one after the other",
        ),
        pytest.param(
            [call(0, '{"a'), call(1, '{"b'), ToolCallDelta(0, '":1}'), ToolCallDelta(1, '":2}'), Finish("tool_calls")],
            ["f0(", '{"a', '":1}', ")", "f1(", '{"b', '":2}', ")"],
            id="mixed calls",
        ),
        pytest.param(
            [call(0, "{"), TextDelta("a"), TextDelta("b"), ToolCallDelta(0, "}"), TextDelta("c"), Finish("stop")],
            ["f0(", "{", "}", ")", "text(", "a", "b", "c", ")"],
            id="a text waits for an open call",
        ),
        pytest.param(
            [call(0, '{"a'), call(1, '{"b'), call(2, "{}"), ToolCallDelta(1, '":2}'), Finish("tool_calls")],
            ["f0(", '{"a', ")", "f1(", '{"b', '":2}', ")", "f2(", "{}", ")"],
            id="a call that stays broken holds the others until the end",
        ),
        pytest.param(
            [call(0), call(1), Finish("tool_calls")], ["f0(", ")", "f1(", ")"], id="calls without any arguments"
        ),
        pytest.param(
            [call(0, "{}"), call(1, "{"), ToolCallDelta(0, ""), ToolCallDelta(1, "}"), Finish("tool_calls")],
            ["f0(", "{}", ")", "f1(", "{", "}", ")"],
            id="an empty delta of a closed call",
        ),
        pytest.param(
            [TextDelta(""), ReasoningDelta(""), RefusalDelta(""), TextDelta("a"), ReasoningDelta(""), Finish("stop")],
            ["text(", "a", ")"],
            id="an empty delta opens nothing",
        ),
        pytest.param([TextDelta("", 0, (TOKEN,)), Finish("stop")], ["text(", "", ")"], id="logprobs open a text"),
        pytest.param([Finish("stop"), Usage(1, 0)], [], id="an empty answer"),
    ],
)
def test_an_answer_becomes_parts(events: list[EngineEvent], changes: list[str]) -> None:
    assert fed(events) == changes


def test_a_change_tells_the_part_as_it_was_when_it_began() -> None:
    begun, grown = Parts().add(TextDelta("a"))
    assert (begun.part.text, grown.part.text) == ("", "a")


def test_a_call_has_its_id_and_its_name() -> None:
    parts = Parts()
    parts.add(call(0, "{}"))
    assert (parts.all[0].call_id, parts.all[0].name, parts.all[0].text) == ("call_0", "f", "{}")


def test_logprobs_are_kept_with_their_text() -> None:
    parts = Parts()
    parts.add(TextDelta("a", 0, (TOKEN,)))
    parts.add(TextDelta("b"))
    assert (parts.all[0].text, parts.all[0].logprobs) == ("ab", [TOKEN])


@pytest.mark.parametrize(
    ("reason", "state"),
    [("stop", "complete"), ("tool_calls", "complete"), ("length", "cut"), ("content_filter", "cut")],
)
def test_the_last_part_shows_whether_the_answer_was_cut(reason: str, state: str) -> None:
    parts = Parts()
    for event in (ReasoningDelta("a"), TextDelta("b"), Finish(reason)):  # type: ignore[arg-type]
        parts.add(event)
    assert [part.state for part in parts.all] == ["complete", state]


def test_what_is_open_when_the_answer_fails_is_cut() -> None:
    parts = Parts()
    for event in (ReasoningDelta("a"), TextDelta("b")):
        parts.add(event)
    parts.break_off()
    assert [part.state for part in parts.all] == ["complete", "cut"]


def test_an_answer_that_fails_before_it_begins_has_nothing_to_cut() -> None:
    parts = Parts()
    parts.break_off()
    assert parts.all == []


def test_no_more_than_a_bound_waits() -> None:
    parts = Parts()
    parts.add(call(0, "{"))
    waiting = [parts.add(TextDelta("a")) for _ in range(MAX_WAITING)]
    assert all(changes == [] for changes in waiting[:-1])
    assert shown(waiting[-1])[:2] == [")", "text("]
    assert parts.all[1].text == "a" * MAX_WAITING


def test_an_answer_that_never_ends_is_too_large() -> None:
    parts = Parts()
    parts.add(ReasoningDelta("a" * (MAX_CHARACTERS - 2)))
    parts.add(TextDelta("a"))
    assert parts.lengthen(TextDelta("b")) == "b"
    assert parts.lengthen(TextDelta("c")) == ""
    with pytest.raises(AnswerTooLarge):
        parts.add(TextDelta("c"))


def test_probabilities_without_a_text_count_as_well() -> None:
    parts = Parts()
    parts.add(TextDelta("a" * (MAX_CHARACTERS - 1), 0, (TOKEN,)))
    parts.add(TextDelta("", 0, (TOKEN,)))
    with pytest.raises(AnswerTooLarge):
        parts.add(TextDelta("", 0, (TOKEN,)))


def test_a_call_that_goes_on_after_it_was_closed_is_an_error() -> None:
    with pytest.raises(InvalidItem, match="a delta of call 0 after 2 calls"):
        fed([call(0, "{}"), call(1, "{}"), ToolCallDelta(0, "{}")])


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([TextDelta("a", 1)], id="of another answer"),
        pytest.param([Finish("stop"), TextDelta("a")], id="after the finish"),
        pytest.param([Finish("stop"), Finish("stop")], id="a second finish"),
        pytest.param([ToolCallDelta(0, "{")], id="a call without its name"),
        pytest.param([call(1)], id="a call left out"),
    ],
)
def test_what_an_engine_must_not_send_is_an_error(events: list[EngineEvent]) -> None:
    with pytest.raises(InvalidItem):
        fed(events)


def test_an_answer_without_a_finish_is_not_finished() -> None:
    parts = Parts()
    parts.add(TextDelta("a"))
    with pytest.raises(StreamTruncated):
        parts.finish()


def test_the_finish_and_the_usage_are_told() -> None:
    parts = Parts()
    parts.add(Finish("stop", 0, "END"))
    parts.add(Usage(3, 2))
    assert (parts.finish(), parts.usage) == (Finish("stop", 0, "END"), Usage(3, 2))


@pytest.mark.parametrize(
    ("before", "event", "piece"),
    [
        ([], TextDelta("a"), ""),
        ([TextDelta("a")], TextDelta("b"), "b"),
        ([TextDelta("a")], TextDelta(""), ""),
        ([TextDelta("a")], TextDelta("b", 0, (TOKEN,)), ""),
        ([TextDelta("a")], TextDelta("b", 1), ""),
        ([TextDelta("a")], ReasoningDelta("b"), ""),
        ([ReasoningDelta("a")], TextDelta("b"), ""),
        ([ReasoningDelta("a")], ReasoningDelta("b"), ""),
        ([TextDelta("a"), Finish("stop")], TextDelta("b"), ""),
    ],
)
def test_only_a_text_that_goes_on_is_lengthened(before: list[EngineEvent], event: EngineEvent, piece: str) -> None:
    parts = Parts()
    for each in before:
        parts.add(each)
    text = parts.all[0].text if parts.all else ""
    assert parts.lengthen(event) == piece
    assert (parts.all[0].text if parts.all else "") == text + piece


@given(answers())
def test_the_parts_say_what_the_events_say(events: list[EngineEvent]) -> None:
    parts = Parts()
    for event in events:
        parts.lengthen(event) or parts.add(event)
    whole = Said(reason=parts.finish().reason, usage=parts.usage)
    for part in parts.all:
        if part.kind == "call":
            whole.calls.append((part.call_id, part.name, part.text))
        else:
            setattr(whole, part.kind, getattr(whole, part.kind) + part.text)
    assert whole == said(events)


@given(answers())
def test_parts_come_one_after_the_other_and_each_is_closed(events: list[EngineEvent]) -> None:
    parts = Parts()
    text, open_, number = "", False, -1
    for event in events:
        for change in parts.add(event):
            assert open_ != isinstance(change, Begun)
            if isinstance(change, Begun):
                number += 1
                text, open_ = "", True
            elif isinstance(change, Grown):
                text += change.piece
            else:
                open_ = False
                assert change.part.text == text
            assert change.part.number == number
    assert not open_
