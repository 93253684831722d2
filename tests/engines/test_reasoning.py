from collections.abc import AsyncGenerator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing import cut_texts, told

from headrace.engines.events import EngineEvent, Finish, ReasoningDelta, TextDelta, Usage
from headrace.engines.reasoning import opens, with_reasoning


async def source(pieces: list[str]) -> AsyncGenerator[EngineEvent, None]:
    for piece in pieces:
        yield TextDelta(piece)
    yield Finish("stop")


async def outcome(pieces: list[str], open: bool = False) -> list[str]:
    return told([event async for event in with_reasoning(source(pieces), open=open)])


@pytest.mark.parametrize(
    ("text", "open", "found"),
    [
        pytest.param("", False, [], id="nothing"),
        pytest.param(" an answer ", False, [" an answer "], id="no reasoning"),
        pytest.param("<think>\nwell\n</think>\n\nyes ", False, ["(well\n)", "yes "], id="reasoning"),
        pytest.param("\n<think>well</think>yes", False, ["(well)", "yes"], id="white space before"),
        pytest.param("<think></think>yes", False, ["yes"], id="empty reasoning"),
        pytest.param("<think>\n\n</think>\n\nyes", False, ["yes"], id="white space for reasoning"),
        pytest.param("<think>well", False, ["(well)"], id="cut in the reasoning"),
        pytest.param("<think>well</thi", False, ["(well</thi)"], id="cut in the mark"),
        pytest.param("<think>well</think>", False, ["(well)"], id="no answer"),
        pytest.param("<thin", False, ["<thin"], id="no mark"),
        pytest.param("the <think> mark</think>", False, ["the <think> mark</think>"], id="marks further on are text"),
        pytest.param("<think>a</think>b<think>c</think>", False, ["(a)", "b<think>c</think>"], id="only once"),
        pytest.param("well</think>\nyes", True, ["(well)", "yes"], id="open"),
        pytest.param("\nwell</think>yes", True, ["(well)", "yes"], id="open, with white space"),
        pytest.param("<think>\nwell</think>yes", True, ["(well)", "yes"], id="open, and the mark again"),
        pytest.param("</think>yes", True, ["yes"], id="open and at once closed"),
        pytest.param("well", True, ["(well)"], id="open and cut"),
    ],
)
async def test_what_is_told_apart(text: str, open: bool, found: list[str]) -> None:
    assert await outcome([text], open) == found
    assert await outcome(list(text), open) == found


FRAGMENTS = ["<think>", "</think>", "<", "think>", "</", "\n", " ", "text"]


@settings(deadline=None)
@given(pieces=cut_texts(FRAGMENTS), open=st.booleans())
async def test_the_cuts_never_show(pieces: list[str], open: bool) -> None:
    assert await outcome(pieces, open) == await outcome(["".join(pieces)], open)


@settings(deadline=None)
@given(pieces=cut_texts(["<", "think>", "</think>", "\n", " ", "text"]))
async def test_text_that_does_not_begin_with_the_mark_passes_unchanged(pieces: list[str]) -> None:
    text = "".join(pieces)
    if not text.lstrip().startswith("<think>"):
        assert await outcome(pieces) == ([text] if text else [])


async def test_reasoning_and_answer_come_as_they_form() -> None:
    pieces = ["<think>", "\n", "we", "ll", "</thi", "nk>", "\n", "yes", "!"]
    assert [event async for event in with_reasoning(source(pieces))] == [
        ReasoningDelta("we"),
        ReasoningDelta("ll"),
        TextDelta("yes"),
        TextDelta("!"),
        Finish("stop"),
    ]


async def test_other_marks_can_be_given() -> None:
    events = with_reasoning(source(["[THINK]a[/THINK]b"]), start="[THINK]", end="[/THINK]")
    assert told([event async for event in events]) == ["(a)", "b"]


async def test_the_usage_stays_as_told() -> None:
    async def events() -> AsyncGenerator[EngineEvent, None]:
        yield TextDelta("<think>a</think>b", 1)
        yield Finish("stop", 1)
        yield Usage(1, 9, reasoning_tokens=5)

    assert [event async for event in with_reasoning(events())][-1] == Usage(1, 9, reasoning_tokens=5)


@pytest.mark.parametrize(
    ("prompt", "open"),
    [("<|assistant|>\n<think>\n", True), ("<|assistant|><think>", True), ("<think></think>", False), ("", False)],
)
def test_a_prompt_opens_the_reasoning_where_it_ends_with_its_mark(prompt: str, open: bool) -> None:
    assert opens(prompt) is open
