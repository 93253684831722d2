from typing import Any

import pytest

from headrace.engines.events import EngineEvent, Finish, TextDelta, ToolCallDelta, Usage
from headrace.errors import InvalidItem, StreamTruncated
from headrace.openai.progress import Progress

FIRST = ToolCallDelta(0, "{", "call_a", "f")


def test_an_answer_is_open_until_its_finish() -> None:
    progress = Progress(2)
    progress.take(TextDelta("a", 1))
    progress.take(Finish("length", 1))
    assert progress.open == {0}
    assert progress.finishes == {1: Finish("length", 1)}


def test_the_usage_is_kept() -> None:
    progress = Progress(1)
    progress.take(Usage(3, 4))
    assert progress.usage == Usage(3, 4)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([Finish("stop"), TextDelta("a")], "TextDelta of answer 0, which has its Finish"),
        ([Finish("stop"), Finish("stop")], "Finish of answer 0, which has its Finish"),
        ([TextDelta("a", 1)], "TextDelta of answer 1, of 1 that were asked for"),
        ([TextDelta("a", -1)], "TextDelta of answer -1, of 1 that were asked for"),
        ([Usage(1, 1), TextDelta("a")], "TextDelta after the Usage, which is the last event"),
        ([Usage(1, 1), Usage(1, 1)], "Usage after the Usage, which is the last event"),
        ([ToolCallDelta(1, "", "call_b", "g")], "a ToolCallDelta of call 1 where call 0 is the next"),
        ([FIRST, ToolCallDelta(2, "", "call_b", "g")], "a ToolCallDelta of call 2 where call 1 is the next"),
        ([ToolCallDelta(-1, "", "call_b", "g")], "a ToolCallDelta of call -1 where call 0 is the next"),
        (
            [ToolCallDelta(0, "{", None, "f")],
            "a ToolCallDelta of call 0 with id None and name 'f': its first has both, the others neither",
        ),
        (
            [FIRST, ToolCallDelta(0, "}", "call_a")],
            "a ToolCallDelta of call 0 with id 'call_a' and name None: its first has both, the others neither",
        ),
        (
            [FIRST, ToolCallDelta(0, "}", None, "f")],
            "a ToolCallDelta of call 0 with id None and name 'f': its first has both, the others neither",
        ),
        (["text"], "str, expected an event of an engine"),
    ],
)
def test_what_an_engine_must_not_do_is_an_invalid_item(events: list[Any], message: str) -> None:
    progress = Progress(1)
    for event in events[:-1]:
        progress.take(event)
    with pytest.raises(InvalidItem) as caught:
        progress.take(events[-1])
    assert caught.value.message == message


def test_calls_may_go_on_beside_each_other() -> None:
    progress = Progress(1)
    for event in [FIRST, ToolCallDelta(1, "{", "call_b", "g"), ToolCallDelta(0, "}"), ToolCallDelta(1, "}")]:
        progress.take(event)
    assert progress.open == {0}


def test_each_answer_counts_its_own_calls() -> None:
    progress = Progress(2)
    progress.take(FIRST)
    progress.take(ToolCallDelta(0, "{", "call_b", "g", index=1))
    assert progress.open == {0, 1}


@pytest.mark.parametrize(
    ("n", "finished", "message"),
    [
        (1, [], "the model stopped before the answer was finished; nothing says why"),
        (3, [0, 2], "the model stopped before answer 1 was finished; nothing says why"),
    ],
)
def test_answers_without_a_finish_are_truncation(n: int, finished: list[int], message: str) -> None:
    progress = Progress(n)
    for index in finished:
        progress.take(Finish("stop", index))
    with pytest.raises(StreamTruncated) as caught:
        progress.check_complete()
    assert caught.value.message == message


def test_all_answers_finished_is_complete() -> None:
    progress, events = Progress(2), list[EngineEvent]([Finish("stop", 1), Finish("stop", 0), Usage(1, 2)])
    for event in events:
        progress.take(event)
    progress.check_complete()
