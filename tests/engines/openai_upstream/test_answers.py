"""Answers collected from events: everything that came, and arguments that are read without an exception."""

from collections.abc import AsyncIterator

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
from headrace.engines.generation import Message, ToolCall
from headrace.engines.openai_upstream.answers import Answers, Arguments, FunctionCall, assembled
from headrace.errors import StreamTruncated

LOGPROB = TokenLogprob("a", b"a", -0.5)


async def given(*events: EngineEvent | Exception) -> AsyncIterator[EngineEvent]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


async def test_all_that_came_is_in_the_answer() -> None:
    answers = await assembled(
        given(
            ReasoningDelta("Let me "),
            ReasoningDelta("see."),
            TextDelta("It is "),
            TextDelta("raining", logprobs=(LOGPROB,)),
            ToolCallDelta(0, "", id="call_1", name="weather"),
            RefusalDelta("I would "),
            ToolCallDelta(0, '{"city":'),
            RefusalDelta("rather not."),
            ToolCallDelta(0, ' "Oslo"}'),
            Finish("tool_calls"),
            Usage(3, 9),
        )
    )
    answer = answers[0]
    assert (answer.text, answer.reasoning, answer.refusal) == ("It is raining", "Let me see.", "I would rather not.")
    assert answer.calls == (FunctionCall("call_1", "weather", '{"city": "Oslo"}'),)
    assert answer.calls[0].arguments_json == Arguments({"city": "Oslo"})
    assert answer.logprobs == (LOGPROB,)
    assert (answer.finish, answer.complete) == (Finish("tool_calls"), True)
    assert answers.usage == Usage(3, 9)


async def test_answers_are_kept_apart() -> None:
    answers = await assembled(
        given(TextDelta("a", 0), TextDelta("b", 1), TextDelta("a", 0), Finish("stop", 1), Finish("length", 0))
    )
    assert [(each.index, each.text, each.finish) for each in answers] == [
        (0, "aa", Finish("length", 0)),
        (1, "b", Finish("stop", 1)),
    ]


async def test_calls_are_in_their_order_however_they_were_mixed() -> None:
    answers = await assembled(
        given(
            ToolCallDelta(1, "", id="call_2", name="time"),
            ToolCallDelta(0, "{", id="call_1", name="weather"),
            ToolCallDelta(1, "{}"),
            ToolCallDelta(0, "}"),
        )
    )
    assert answers[0].calls == (FunctionCall("call_1", "weather", "{}"), FunctionCall("call_2", "time", "{}"))


def test_what_a_broken_stream_left_is_there_and_not_complete() -> None:
    answers = Answers()
    answers.add(TextDelta("It is "))
    assert (answers[0].text, answers[0].complete, answers.usage) == ("It is ", False, None)


def test_there_is_an_answer_before_anything_came() -> None:
    answers = Answers()
    assert (len(answers), answers[0].text, answers[0].calls) == (1, "", ())


def test_an_answer_that_said_nothing_has_its_place() -> None:
    answers = Answers()
    answers.add(TextDelta("c", 2))
    assert [each.text for each in answers] == ["", "", "c"]


@pytest.mark.parametrize("index", [-1, 1])
def test_there_is_no_other_answer(index: int) -> None:
    with pytest.raises(IndexError, match=f"there is no answer {index}; there are 1"):
        Answers()[index]


async def test_a_failure_goes_through() -> None:
    with pytest.raises(StreamTruncated):
        await assembled(given(TextDelta("It is "), StreamTruncated()))


@pytest.mark.parametrize(
    ("arguments", "value"),
    [("", {}), ("  ", {}), ("{}", {}), ('{"a": 1}', {"a": 1})],
    ids=["none", "blank", "empty", "one"],
)
def test_arguments_are_an_object(arguments: str, value: dict[str, int]) -> None:
    assert FunctionCall("call_1", "f", arguments).arguments_json == Arguments(value)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"city": "Os', "the arguments of f are not JSON (Unterminated string"),
        ("[1]", "the arguments of f are no JSON object but list: '[1]'"),
        ("null", "the arguments of f are no JSON object but NoneType: 'null'"),
        ("[" * 100_000, "the arguments of f are not JSON ("),
    ],
    ids=["cut", "a list", "null", "deep"],
)
def test_arguments_that_are_no_object_are_a_problem_and_no_exception(arguments: str, problem: str) -> None:
    read = FunctionCall("call_1", "f", arguments).arguments_json
    assert read.value is None
    assert read.problem.startswith(problem)


def test_an_answer_is_the_next_turn_of_its_conversation() -> None:
    answers = Answers()
    for event in (TextDelta("I look."), ToolCallDelta(0, "{}", id="call_1", name="look")):
        answers.add(event)
    message = answers[0].message
    assert message == Message("assistant", "I look.", tool_calls=(FunctionCall("call_1", "look", "{}"),))
    assert isinstance(message.tool_calls[0], ToolCall)
