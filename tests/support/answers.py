"""Answers as engines give them, in any order that `engines.events` allows: what they say, and how they are written."""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from headrace.engines.events import (
    EngineEvent,
    Finish,
    Reason,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from headrace.wire.encoding import Encoder
from headrace.wire.events import End

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
OBJECTS = st.dictionaries(TEXTS, st.none() | st.integers() | TEXTS, max_size=3).map(json.dumps)
ARGUMENTS = st.one_of(OBJECTS, st.sampled_from(["", '{"a', "[1]", "no JSON"]))


@dataclass
class Said:
    """What an answer says: each kind of content joined, the calls by their numbers, and its end."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[tuple[str, str, str]] = field(default_factory=list)  # id, name, arguments
    reason: Reason | None = None
    usage: Usage | None = None


def said(events: Iterable[EngineEvent]) -> Said:
    """What the events say."""
    all_ = Said()
    for event in events:
        match event:
            case TextDelta(text):
                all_.text += text
            case ReasoningDelta(text):
                all_.reasoning += text
            case RefusalDelta(text):
                all_.refusal += text
            case ToolCallDelta(number, arguments, str(id_), str(name)):
                assert number == len(all_.calls)
                all_.calls.append((id_, name, arguments))
            case ToolCallDelta(number, arguments):
                id_, name, before = all_.calls[number]
                all_.calls[number] = (id_, name, before + arguments)
            case Finish(reason):
                all_.reason = reason
            case Usage():
                all_.usage = event
    return all_


def written(encoder: Encoder, *events: EngineEvent) -> bytes:
    """All bytes of an answer that ends well."""
    return b"".join([*map(encoder.item, events), encoder.end(End(len(events)))])


@st.composite
def answers(draw: st.DrawFn) -> list[EngineEvent]:
    """The events of one answer: contents and calls, whole or broken, mixed in any way."""
    contents = st.builds(draw(st.sampled_from([TextDelta, ReasoningDelta, RefusalDelta])), TEXTS)
    plain = deque(draw(st.lists(st.one_of(contents, st.builds(TextDelta, TEXTS)), max_size=6)))
    calls = [deque(_call(number, draw(_pieces()))) for number in range(draw(st.integers(0, 3)))]
    events: list[EngineEvent] = []
    begun = 0  # calls: they begin in order
    while open_ := [queue for queue in [plain, *calls[: begun + 1]] if queue]:
        queue = draw(st.sampled_from(open_))
        begun += any(queue is call and isinstance(call[0], ToolCallDelta) and call[0].id for call in calls)
        events.append(queue.popleft())
    events.append(Finish(draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))))
    if draw(st.booleans()):
        events.append(Usage(*draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))))
    return events


@st.composite
def _pieces(draw: st.DrawFn) -> list[str]:
    """The text of a call's arguments, cut anywhere."""
    text = draw(ARGUMENTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def _call(number: int, pieces: list[str]) -> list[EngineEvent]:
    first, *rest = pieces
    later = [ToolCallDelta(number, piece) for piece in rest]
    return [ToolCallDelta(number, first, id=f"call_{number}", name="f"), *later]
