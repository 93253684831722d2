import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing import cuts, outcome, parsed

from headrace.engines.events import TextDelta, ToolCallDelta
from headrace.engines.tape import HELD, Taking, Tape
from headrace.engines.tool_calls.calls import Calls


def certain(tape: Tape) -> Taking[None]:
    yield from read(tape, certain=True)


def uncertain(tape: Tape) -> Taking[None]:
    yield from read(tape, certain=False)


def read(tape: Tape, certain: bool) -> Taking[None]:
    """An object; a full stop where it is said to be a complete call; and then text."""
    if (yield from Calls(tape).take_object(certain)):
        tape.put(TextDelta("."))
    yield from tape.rest()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param('{"name": "f", "arguments": {"a": 1}}', ['f<-{"a": 1}', "."], id="an object"),
        pytest.param('{"name":"f","arguments":{"a":1}}', ['f<-{"a":1}', "."], id="without space"),
        pytest.param('{ "name" : "f" , "arguments" : { } }', ["f<-{ }", "."], id="with space"),
        pytest.param('{"name": "f"}', ["f<-{}", "."], id="no arguments"),
        pytest.param('{"arguments": {"a": 1}, "name": "f"}', ['f<-{"a": 1}', "."], id="the name last"),
        pytest.param(
            '{"name": "f", "arguments": "{\\"a\\": 1}"}', ['f<-"{\\"a\\": 1}"', "."], id="arguments as a string"
        ),
        pytest.param('{"name": "f", "arguments": null}', ["f<-null", "."], id="arguments null"),
        pytest.param('{"id": 7, "x": [{}], "name": "f"}', ["f<-{}", "."], id="members that a call has not"),
        pytest.param('{"name": "f", "arguments": {}, "id": "x"}', ["f<-{}", "."], id="a member behind the arguments"),
        pytest.param('{"name": "f", "arguments": {}, "name": "g"}', ["f<-{}", "."], id="the first name counts"),
        pytest.param('{"name": "f", "arguments": {}, "arguments": 1}', ["f<-{}", "."], id="the first arguments count"),
        pytest.param('{"name": "\\u0066\\u00e9"}', ["fé<-{}", "."], id="a name with escapes"),
        pytest.param('{"name": ""}', ['{"name": ""}'], id="no name in the name"),
        pytest.param('{"name": 1}', ['{"name": 1}'], id="a number for a name"),
        pytest.param('{"name": "\\ud800"}', ['{"name": "\\ud800"}'], id="a name that cannot be sent"),
        pytest.param('{"arguments": {}}', ['{"arguments": {}}'], id="no name at all"),
        pytest.param('{"arguments": [}', ['{"arguments": [}'], id="arguments that break before the name"),
        pytest.param("{}", ["{}"], id="empty"),
        pytest.param("{name: 1}", ["{name: 1}"], id="a key without quotes"),
        pytest.param('{"name" "f"}', ['{"name" "f"}'], id="no colon"),
        pytest.param('{"name": "f" "x": 1}', ["f<-", ' "x": 1}'], id="no comma"),
        pytest.param('{"name": "f", "arguments": {"a": ]}', ['f<-{"a": ', "]}"], id="arguments that break"),
        pytest.param('{"name": "f", "arguments": {}, x}', ["f<-{}", ", x}"], id="breaks behind the arguments"),
        pytest.param('{"name": "f", "arguments": {}', ["f<-{}"], id="cut behind the arguments"),
        pytest.param("x", ["x"], id="no object"),
    ],
)
def test_an_object_that_is_a_call_behind_a_mark(text: str, found: list[str]) -> None:
    assert outcome(certain, [text]) == found
    assert outcome(certain, text) == found


def test_ids_are_random_and_begin_as_clients_expect() -> None:
    ids = [
        delta.id for _ in range(2) for delta in parsed(certain, ['{"name": "f"}']) if isinstance(delta, ToolCallDelta)
    ]
    assert all(re.fullmatch("call_[0-9a-f]{24}", each or "") for each in ids)
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"arguments": "' + "x" * HELD + '", "name": "f"}', id="arguments before the name"),
        pytest.param('{"name": "' + "x" * HELD + '"}', id="a name"),
        pytest.param('{"' + "x" * HELD + '": 1, "name": "f"}', id="a key"),
        pytest.param("{" + " " * HELD + '"name": "f"}', id="white space"),
    ],
)
def test_what_would_have_to_wait_too_long_is_text(text: str) -> None:
    assert outcome(certain, [text]) == [text]


def test_arguments_are_not_bounded_for_they_do_not_wait() -> None:
    arguments = '{"a": "' + "x" * (3 * HELD) + '"}'
    assert outcome(certain, ['{"name": "f", "arguments": ' + arguments + "}"]) == [f"f<-{arguments}", "."]


ARGUMENTS = st.dictionaries(
    st.text(max_size=5), st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)), max_size=3
)


@settings(deadline=None)
@given(ARGUMENTS, st.booleans(), st.sampled_from([None, 2]), st.sampled_from([certain, uncertain]), st.data())
def test_arguments_joined_are_what_the_model_wrote(
    value: dict[str, Any], ascii: bool, indent: int | None, grammar: Any, data: st.DataObject
) -> None:
    arguments = json.dumps(value, ensure_ascii=ascii, indent=indent)
    text = '{"name": "f", "arguments": ' + arguments + "}"
    assert outcome(grammar, data.draw(cuts(text))) == [f"f<-{arguments}", "."]
