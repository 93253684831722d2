import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing import outcome, parsed

from headrace.engines.events import ReasoningDelta, TextDelta, ToolCallDelta
from headrace.engines.tape import HELD, Parser, Taking, Tape


def stars(tape: Tape) -> Taking[None]:
    """Text between stars is reasoning; `**` alone is a mark."""
    while (yield from tape.until("**")):
        tape.drop()
        if not (yield from tape.until("**", ReasoningDelta)):
            return
        tape.drop()


def held(tape: Tape) -> Taking[None]:
    """Holds everything up to `!`, which drops it; where that is too much, all that follows is text."""
    while char := (yield from tape.peek()):
        tape.take()
        if char == "!":
            tape.drop()
    yield from tape.rest()


@pytest.mark.parametrize(
    ("pieces", "deltas"),
    [
        pytest.param(["ab"], [[TextDelta("ab")], []], id="text passes at once"),
        pytest.param(["a*", "b"], [[TextDelta("a")], [TextDelta("*b")], []], id="what may become a mark waits"),
        pytest.param(["a*"], [[TextDelta("a")], [TextDelta("*")]], id="what never became a mark comes at the end"),
        pytest.param(["**", "x", "**", "y"], [[], [ReasoningDelta("x")], [], [TextDelta("y")], []], id="marks vanish"),
        pytest.param(
            ["a**b**c"], [[TextDelta("a"), ReasoningDelta("b"), TextDelta("c")], []], id="several deltas of one piece"
        ),
        pytest.param(["***a"], [[ReasoningDelta("*a")], []], id="a mark is read from its first character"),
        pytest.param([""], [[], []], id="nothing"),
    ],
)
def test_deltas_come_as_soon_as_they_are_decided(pieces: list[str], deltas: list[list[object]]) -> None:
    parser = Parser(stars)
    assert [*[parser.feed(piece) for piece in pieces], parser.end()] == deltas


@settings(deadline=None)
@given(st.lists(st.text(alphabet="*ab", max_size=4), max_size=8))
def test_the_cuts_never_show(pieces: list[str]) -> None:
    assert outcome(stars, pieces) == outcome(stars, ["".join(pieces)])


def test_what_is_fed_and_has_not_come_out_is_undecided() -> None:
    parser = Parser(stars)
    parser.feed("a*")
    assert parser.undecided == "*"


def test_all_that_is_held_comes_out_when_it_reaches_the_bound() -> None:
    parser = Parser(held)
    assert parser.feed("x" * HELD) == []
    assert parser.feed("y") == [TextDelta("x" * HELD + "y")]


@pytest.mark.parametrize("size", [1, 1000, HELD - 1, HELD + 1, 3 * HELD])
def test_the_bound_does_not_show_the_cuts(size: int) -> None:
    text = "x" * (HELD - 2) + "!" + "y" * (HELD + 5) + "!z"
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert outcome(held, pieces) == ["y" * (HELD + 5) + "!z"]


def test_a_flow_lets_out_what_was_taken_before_it_waits() -> None:
    def flowing(tape: Tape) -> Taking[None]:
        tape.flow(lambda text: ToolCallDelta(3, text))
        while (yield from tape.peek()) not in ("", "."):
            tape.take()
        tape.flow(None)
        yield from tape.until("!")

    parser = Parser(flowing)
    assert parser.feed("ab") == [ToolCallDelta(3, "ab")]
    assert parser.feed("c.d") == [ToolCallDelta(3, "c"), TextDelta(".d")]


def test_a_flow_is_not_held_and_so_has_no_bound() -> None:
    def flowing(tape: Tape) -> Taking[None]:
        tape.flow(ReasoningDelta)
        while (yield from tape.peek()):
            tape.take_until("")

    assert parsed(flowing, ["x" * (2 * HELD + 1)]) == [ReasoningDelta("x" * (2 * HELD + 1))]


def test_a_literal_is_taken_whole_or_not_at_all() -> None:
    taken: list[tuple[bool, str]] = []

    def literals(tape: Tape) -> Taking[None]:
        taken.append(((yield from tape.literal("abd")), tape.held))
        taken.append(((yield from tape.literal("abc")), tape.held))

    parsed(literals, ["a", "b", "c"])
    assert taken == [(False, ""), (True, "abc")]


def test_an_empty_delta_that_begins_a_call_comes_out() -> None:
    tape = Tape()
    for delta in (TextDelta(""), ReasoningDelta(""), ToolCallDelta(0), ToolCallDelta(0, id="x", name="f")):
        tape.put(delta)
    assert tape.collect() == [ToolCallDelta(0, id="x", name="f")]


def test_a_call_and_its_arguments_are_one_delta_and_two_calls_are_two() -> None:
    tape = Tape()
    for delta in (
        ToolCallDelta(0, id="x", name="f"),
        ToolCallDelta(0, "1"),
        ToolCallDelta(0, "2"),
        ToolCallDelta(1, "3"),
    ):
        tape.put(delta)
    assert tape.collect() == [ToolCallDelta(0, "12", "x", "f"), ToolCallDelta(1, "3")]
    assert tape.collect() == []
