import dataclasses
from typing import Any

import pytest

from headrace.engines.events import (
    Alternative,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)

EVENTS = [TextDelta("a"), ReasoningDelta("a"), RefusalDelta("a"), ToolCallDelta(0), Finish("stop")]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_of_the_first_answer_unless_it_says_otherwise(event: Any) -> None:
    assert event.index == 0
    assert dataclasses.replace(event, index=3).index == 3


@pytest.mark.parametrize("event", [*EVENTS, Usage(1, 2), Alternative("a", b"a", -1.0), TokenLogprob("a", b"a", -1.0)])
def test_an_event_does_not_change(event: Any) -> None:
    field = dataclasses.fields(event)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, field, "other")


def test_nothing_is_cached_and_nothing_is_reasoning_unless_told() -> None:
    assert Usage(1, 2) == Usage(prompt_tokens=1, completion_tokens=2, cached_tokens=0, reasoning_tokens=0)
