from over_sources import closes_its_source, source
from parsing import told

from headrace.engines.events import EngineEvent, Finish, TextDelta, TokenLogprob, ToolCallDelta, Usage
from headrace.engines.tool_calls.calling import with_tool_calls
from headrace.engines.tool_calls.forms import parser_for

CALL = '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'
FORM = parser_for("hermes")
assert FORM is not None


async def out(*events: EngineEvent, parallel: bool = True) -> list[EngineEvent]:
    assert FORM is not None
    return [event async for event in with_tool_calls(source(*events), FORM, parallel=parallel)]


async def test_an_answer_with_a_call_finishes_with_tool_calls() -> None:
    events = await out(TextDelta("Hi "), TextDelta(CALL), Finish("stop"), Usage(3, 4))
    assert told(events) == ["Hi ", 'f<-{"a": 1}']
    assert events[-2:] == [Finish("tool_calls"), Usage(3, 4)]


async def test_a_call_that_comes_with_the_end_of_the_text_counts() -> None:
    assert (await out(TextDelta('<tool_call>{"name": "f"'), Finish("stop")))[-1] == Finish("tool_calls")


async def test_an_answer_without_a_call_finishes_as_it_did() -> None:
    events: list[EngineEvent] = [TextDelta("<tool_"), TextDelta("text"), Finish("stop", stop="x"), Usage(1, 2)]
    assert await out(*events) == [TextDelta("<tool_text"), *events[2:]]


async def test_a_call_cut_by_the_limit_finishes_with_length() -> None:
    events = await out(TextDelta('<tool_call>{"name": "f", "arguments": {"a'), Finish("length"))
    assert told(events) == ['f<-{"a']
    assert events[-1] == Finish("length")


async def test_each_answer_finishes_by_its_own_calls() -> None:
    events = await out(TextDelta(CALL, 1), TextDelta("no", 0), Finish("stop", 0), Finish("stop", 1))
    assert events[-2:] == [Finish("stop", 0), Finish("tool_calls", 1)]
    assert [event.index for event in events if isinstance(event, ToolCallDelta)] == [1]


async def test_several_calls_have_dense_numbers() -> None:
    events = await out(TextDelta(CALL * 3), Finish("stop"))
    assert [event.number for event in events if isinstance(event, ToolCallDelta)] == [0, 1, 2]


async def test_without_parallel_calls_only_the_first_one_comes() -> None:
    events = await out(TextDelta(f"{CALL}and{CALL}so"), Finish("stop"), parallel=False)
    assert told(events) == ['f<-{"a": 1}', "andso"]
    assert events[-1] == Finish("tool_calls")


async def test_logprobs_stay_with_the_text_before_a_call() -> None:
    text = TextDelta("Hi ", logprobs=(TokenLogprob("Hi ", b"Hi ", -0.5),))
    assert (await out(text, TextDelta(CALL), Finish("stop")))[0] == text


async def test_closing_closes_the_events_below() -> None:
    form = FORM
    assert form is not None
    assert await closes_its_source(lambda events: with_tool_calls(events, form))
