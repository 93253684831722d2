"""Function calls from the pieces that upstreams send, by the letter and otherwise."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engines.events import ToolCallDelta
from headrace.engines.openai_upstream.calls import MAX_CALLS, Calls
from headrace.engines.refusals import UpstreamFailed

Piece = dict[str, Any]


def function(name: str | None = None, arguments: Any = None, **more: Any) -> Piece:
    """A piece, with what is given."""
    told = {"name": name, "arguments": arguments}
    return {**more, "function": {key: value for key, value in told.items() if value is not None}}


def deltas(pieces: Sequence[Piece]) -> list[ToolCallDelta]:
    numbers = count(1)
    calls = Calls(0, lambda: f"made_{next(numbers)}")
    return [*(delta for piece in pieces for delta in calls.add(piece)), *calls.end()]


def assembled(pieces: Sequence[Piece]) -> list[tuple[str | None, str | None, str]]:
    """Id, name and arguments of each call, by number. Asserts that ids and names come once, first, and in order."""
    calls: list[tuple[str | None, str | None, str]] = []
    for delta in deltas(pieces):
        if delta.number == len(calls):
            assert delta.id
            assert delta.name
            calls.append((delta.id, delta.name, delta.arguments))
        else:
            assert (delta.id, delta.name) == (None, None)
            id_, name, arguments = calls[delta.number]
            calls[delta.number] = (id_, name, arguments + delta.arguments)
    return calls


FORMS: dict[str, tuple[list[Piece], list[tuple[str, str, str]]]] = {
    "by the letter": (
        [
            function("f", "", index=0, id="a", type="function"),
            function(None, '{"x"', index=0),
            function(None, ":1}", index=0),
        ],
        [("a", "f", '{"x":1}')],
    ),
    "two, one after the other": (
        [
            function("f", "", index=0, id="a"),
            function(None, "{}", index=0),
            function("g", "", index=1, id="b"),
            function(None, "[]", index=1),
        ],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    "two, interleaved": (
        [
            function("f", "", index=0, id="a"),
            function("g", "", index=1, id="b"),
            function(None, "{", index=0),
            function(None, "[", index=1),
            function(None, "}", index=0),
            function(None, "]", index=1),
        ],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    "id and name in every piece": (
        [
            function("f", "", index=0, id="a"),
            function("f", '{"x"', index=0, id="a"),
            function("f", ":1}", index=0, id="a"),
        ],
        [("a", "f", '{"x":1}')],
    ),
    "id and name in every piece, without an index": (
        [
            function("f", '{"x"', id="a"),
            function("f", ":1}", id="a"),
            function("g", "{", id="b"),
            function("g", "}", id="b"),
        ],
        [("a", "f", '{"x":1}'), ("b", "g", "{}")],
    ),
    "a name in pieces": (
        [function("get_", index=0, id="a"), function("weather", index=0), function(None, "{}", index=0)],
        [("a", "get_weather", "{}")],
    ),
    "no index": (
        [function("f", "", id="a"), function(None, "{"), function(None, "}"), function("g", "{}", id="b")],
        [("a", "f", "{}"), ("b", "g", "{}")],
    ),
    "no id": (
        [function("f", "{", index=0), function(None, "}", index=0), function("f", "{}", index=1)],
        [("made_1", "f", "{}"), ("made_2", "f", "{}")],
    ),
    "an empty id": ([function("f", "{}", index=0, id="")], [("made_1", "f", "{}")]),
    "an id that comes late": (
        [function("f", index=0), function(None, "{", index=0, id="a"), function(None, "}", index=0, id="a")],
        [("a", "f", "{}")],
    ),
    "an id that comes too late": (
        [function("f", "{", index=0), function(None, "}", index=0, id="a")],
        [("made_1", "f", "{}")],
    ),
    "neither index nor id": (
        [function("f", "{"), function(None, "}"), function("g", "{}")],
        [("made_1", "f", "{}"), ("made_2", "g", "{}")],
    ),
    "whole, neither index nor id, arguments as objects": (
        [function("f", {"x": 1}), function("f", {"x": 2}), function("g", {})],
        [("made_1", "f", '{"x":1}'), ("made_2", "f", '{"x":2}'), ("made_3", "g", "{}")],
    ),
    "whole, all with index 0": (
        [function("f", "{}", index=0, id="a"), function("f", "{}", index=0, id="b")],
        [("a", "f", "{}"), ("b", "f", "{}")],
    ),
    "whole, all with index 0 and no id": (
        [function("f", '{"x":1}', index=0), function("f", '{"x":2}', index=0)],
        [("made_1", "f", '{"x":1}'), ("made_2", "f", '{"x":2}')],
    ),
    "in pieces, all with index 0": (
        [
            function("f", "", index=0, id="a"),
            function(None, "{}", index=0),
            function("g", "", index=0, id="b"),
            function(None, "[]", index=0),
        ],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    "one id for all": (
        [
            function("f", "{", index=0, id="a"),
            function("g", "[", index=1, id="a"),
            function(None, "}", index=0, id="a"),
            function(None, "]", index=1),
        ],
        [("a", "f", "{}"), ("made_1", "g", "[]")],
    ),
    "whole, one id for all and no index": (
        [function("f", "{}", id="a"), function("g", "{}", id="a"), function("g", '{"x":1}', id="a")],
        [("a", "f", "{}"), ("made_1", "g", "{}"), ("made_2", "g", '{"x":1}')],
    ),
    "an index that begins at 1 and has a gap": (
        [function("f", "{}", index=1, id="a"), function("g", "{}", index=5, id="b")],
        [("a", "f", "{}"), ("b", "g", "{}")],
    ),
    "without arguments": ([function("f", "", index=0, id="a")], [("a", "f", "")]),
    "without arguments, and another one": (
        [function("f", "", index=0, id="a"), function("g", "{}", index=1, id="b")],
        [("a", "f", ""), ("b", "g", "{}")],
    ),
    "a name again behind complete arguments": (
        [function("f", "{}", index=0, id="a"), function("f", "", index=0, id="a"), function("f", "", index=0)],
        [("a", "f", "{}")],
    ),
    "arguments before the name": (
        [function(None, "{", index=0, id="a"), function("f", "}", index=0)],
        [("a", "f", "{}")],
    ),
    "null where it could be left out": (
        [
            {"index": None, "id": None, "function": {"name": "f", "arguments": None}},
            {"index": None, "function": {"name": None, "arguments": "{}"}},
        ],
        [("made_1", "f", "{}")],
    ),
    "the old form": ([function("f", ""), function(None, "{"), function(None, "}")], [("made_1", "f", "{}")]),
}


@pytest.mark.parametrize(("pieces", "calls"), FORMS.values(), ids=FORMS)
def test_calls_are_assembled_from_every_form(pieces: list[Piece], calls: list[tuple[str, str, str]]) -> None:
    assert assembled(pieces) == calls


def test_arguments_go_on_as_they_come() -> None:
    pieces = [function("f", "", index=0, id="a"), function(None, '{"x"', index=0), function(None, ":1}", index=0)]
    assert deltas(pieces) == [ToolCallDelta(0, '{"x"', "a", "f"), ToolCallDelta(0, ":1}")]


def test_what_is_no_call_does_no_harm() -> None:
    assert deltas([{}, {"function": None}, {"function": "f"}, {"index": "0", "id": 7, "function": {"name": 3}}]) == []


def test_a_call_without_a_name_is_known() -> None:
    calls = Calls(0)
    assert list(calls.add(function(None, "{}", index=0, id="a"))) == []
    assert (list(calls.end()), calls.nameless) == ([], True)


def test_calls_have_the_index_of_their_answer() -> None:
    assert [delta.index for delta in Calls(3).add(function("f", "{}", index=0, id="a"))] == [3]


def test_calls_without_an_id_get_ones_of_their_own() -> None:
    calls = Calls(0)
    made = [delta.id or "" for piece in (function("f", "{}"), function("g", "{}")) for delta in calls.add(piece)]
    assert len(set(made)) == 2
    assert all(each.startswith("call_") for each in made)


def test_there_is_a_bound() -> None:
    with pytest.raises(UpstreamFailed, match=f"more than {MAX_CALLS} function calls"):
        deltas([function("f", "{}", index=number, id=f"{number}") for number in range(MAX_CALLS + 1)])


@given(st.lists(st.tuples(st.integers(0, 3), st.text(min_size=1, max_size=5)), max_size=30))
def test_however_pieces_of_calls_are_mixed_each_gets_its_own(pieces: list[tuple[int, str]]) -> None:
    sent = [function(f"f{index}", "", index=index, id=f"id{index}") for index in range(4)]
    sent += [function(None, text, index=index) for index, text in pieces]
    wanted = ["".join(text for index, text in pieces if index == number) for number in range(4)]
    assert sorted(assembled(sent)) == [(f"id{number}", f"f{number}", wanted[number]) for number in range(4)]
