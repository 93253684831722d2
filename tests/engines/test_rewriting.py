from collections.abc import AsyncGenerator

import pytest
from over_sources import closes_its_source, source

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
from headrace.engines.rewriting import rewritten
from headrace.engines.tape import Parser, Taking, Tape


def emphasis(tape: Tape) -> Taking[None]:
    """Text between `**` and `**` is reasoning."""
    while (yield from tape.until("**")):
        tape.drop()
        if not (yield from tape.until("**", ReasoningDelta)):
            return
        tape.drop()


def parser() -> Parser:
    return Parser(emphasis)


async def out(*events: EngineEvent) -> list[EngineEvent]:
    return [event async for event in rewritten(source(*events), parser)]


def token(text: str) -> TokenLogprob:
    return TokenLogprob(text, text.encode(), -0.5)


def held(text: str, *tokens: str) -> TextDelta:
    """Text that comes with the logprobs of more than itself: those of what went before it had to wait, too."""
    return TextDelta(text, 0, tuple(map(token, tokens)))


def delta(*texts: str, index: int = 0) -> TextDelta:
    return TextDelta("".join(texts), index, tuple(map(token, texts)))


async def test_text_is_read_across_its_deltas() -> None:
    assert await out(TextDelta("a*"), TextDelta("*b**"), Finish("stop")) == [
        TextDelta("a"),
        ReasoningDelta("b"),
        Finish("stop"),
    ]


async def test_every_answer_is_read_for_itself() -> None:
    assert await out(
        TextDelta("a*", 0), TextDelta("*b", 1), TextDelta("*c", 0), Finish("stop", 1), Finish("stop", 0)
    ) == [
        TextDelta("a", 0),
        TextDelta("*b", 1),
        ReasoningDelta("c", 0),
        Finish("stop", 1),
        Finish("stop", 0),
    ]


async def test_what_waits_comes_before_the_finish_of_its_answer() -> None:
    assert await out(TextDelta("*", 1), TextDelta("*", 0), Finish("stop", 0), Finish("length", 1), Usage(1, 2)) == [
        TextDelta("*", 0),
        Finish("stop", 0),
        TextDelta("*", 1),
        Finish("length", 1),
        Usage(1, 2),
    ]


async def test_what_waits_is_not_lost_where_the_finish_never_comes() -> None:
    assert await out(TextDelta("a*")) == [TextDelta("a"), TextDelta("*")]


async def test_all_other_events_pass() -> None:
    others: list[EngineEvent] = [RefusalDelta("**", 1), ReasoningDelta("**"), ToolCallDelta(0, "**"), Usage(1, 2, 3, 4)]
    assert await out(*others) == others


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param([delta("a"), delta("b")], [delta("a"), delta("b")], id="unchanged"),
        pytest.param([TextDelta("", 0, (token("x"),))], [TextDelta("", 0, (token("x"),))], id="no text yet"),
        pytest.param([delta("a", "*"), delta("b")], [TextDelta("a"), held("*b", "a", "*", "b")], id="held"),
        pytest.param([delta("a*")], [TextDelta("a"), held("*", "a*")], id="held to the end"),
        pytest.param(
            [delta("**"), delta("b"), delta("**"), delta("c")], [ReasoningDelta("b"), delta("c")], id="reasoning"
        ),
        pytest.param([delta("a", "**b")], [TextDelta("a"), ReasoningDelta("b")], id="a token of both"),
    ],
)
async def test_logprobs_stay_with_text_that_passes(given: list[EngineEvent], told: list[EngineEvent]) -> None:
    assert await out(*given, Finish("stop")) == [*told, Finish("stop")]


async def test_closing_closes_the_events_below() -> None:
    assert await closes_its_source(lambda events: rewritten(events, parser))


async def test_a_failure_below_comes_through() -> None:
    async def failing() -> AsyncGenerator[EngineEvent, None]:
        yield TextDelta("a")
        raise OSError("gone")

    events = rewritten(failing(), parser)
    assert await anext(events) == TextDelta("a")
    with pytest.raises(OSError, match="gone"):
        await anext(events)
