import pytest
from hypothesis import given, settings
from parsing import cut_texts, outcome, parsed

from headrace.engines.events import TextDelta, ToolCallDelta
from headrace.engines.tape import Parser
from headrace.engines.tool_calls.hermes import hermes

CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("Hello <b>you</b>\n ", ["Hello <b>you</b>\n "], id="only text"),
        pytest.param(CALL, ['f<-{"a": 1}'], id="a call"),
        pytest.param(f"\n\n{CALL}\n", ['f<-{"a": 1}'], id="white space around a call is no text"),
        pytest.param(f"Let me see.\n{CALL}", ["Let me see.\n", 'f<-{"a": 1}'], id="text before"),
        pytest.param(f"{CALL}\nDone. ", ['f<-{"a": 1}', "\nDone. "], id="text after"),
        pytest.param(f"{CALL}\n{CALL}", ['f<-{"a": 1}', 'f<-{"a": 1}'], id="two calls"),
        pytest.param(f"{CALL}{CALL}", ['f<-{"a": 1}', 'f<-{"a": 1}'], id="two calls side by side"),
        pytest.param(f"{CALL} and {CALL}", ['f<-{"a": 1}', " and ", 'f<-{"a": 1}'], id="text between"),
        pytest.param("<tool_call>hello</tool_call>", ["<tool_call>hello</tool_call>"], id="no JSON"),
        pytest.param("<tool_call>{}</tool_call>", ["<tool_call>{}</tool_call>"], id="no call"),
        pytest.param(f"<tool_call>{CALL}", ["<tool_call>", 'f<-{"a": 1}'], id="a mark too many"),
        pytest.param(CALL.removesuffix("</tool_call>"), ['f<-{"a": 1}'], id="no end tag at the end"),
        pytest.param(CALL.replace("</tool_call>", "So"), ['f<-{"a": 1}', "\nSo"], id="no end tag"),
        pytest.param('<tool_call>{"na', ['<tool_call>{"na'], id="cut before the name"),
        pytest.param('<tool_call>{"name": "f"', ["f<-"], id="cut after the name"),
        pytest.param('<tool_call>{"name": "f", "arguments": {"a": "x', ['f<-{"a": "x'], id="cut in the arguments"),
        pytest.param('a <tool_ca', ["a <tool_ca"], id="cut in the mark"),
    ],
)  # fmt: skip
def test_what_is_found(text: str, found: list[str]) -> None:
    assert outcome(hermes, [text]) == found
    assert outcome(hermes, text) == found


def test_the_name_and_the_arguments_come_as_they_form() -> None:
    parser = Parser(hermes)
    pieces = [
        "Hi",
        " <tool",
        '_call>{"name": "f',
        '", "arg',
        'uments": {"a',
        '": "<',
        "/tool_call>",
        '"}',
        "}",
        "</tool",
    ]
    assert [told_of(parser.feed(piece)) for piece in pieces] == [
        ["Hi"], [" "], [], ["f:"], [":{\"a"], [':": "<'], [":/tool_call>"], [':"}'], [], []
    ]  # fmt: skip


def told_of(deltas: list[object]) -> list[str]:
    """Each delta by itself."""
    return [
        f"{delta.name or ''}:{delta.arguments}" if isinstance(delta, ToolCallDelta) else delta.text
        for delta in deltas
        if isinstance(delta, ToolCallDelta | TextDelta)
    ]


FRAGMENTS = [
    *["<tool_call>", "</tool_call>", "<", "{", "}", '"', "\\", ":", ",", "[", "]", " ", "\n", CALL],
    *['{"name": "f", "arguments": ', '{"arguments": {"b": []}, "name": "g"}', '"name"', '"arguments"', "text", "😀"],
]


@settings(deadline=None)
@given(cut_texts(FRAGMENTS))
def test_the_cuts_never_show(pieces: list[str]) -> None:
    assert outcome(hermes, pieces) == outcome(hermes, ["".join(pieces)])


@settings(deadline=None)
@given(cut_texts(["<", "tool_call>", "{", '"name": "f"', " ", "text"]))
def test_text_without_the_mark_passes_unchanged(pieces: list[str]) -> None:
    if "<tool_call>" not in "".join(pieces):
        text = "".join(pieces)
        assert outcome(hermes, pieces) == ([text] if text else [])


@settings(deadline=None)
@given(cut_texts(FRAGMENTS))
def test_every_call_has_one_id_one_name_and_the_next_number(pieces: list[str]) -> None:
    calls = [delta for delta in parsed(hermes, pieces) if isinstance(delta, ToolCallDelta)]
    begun = [delta for delta in calls if delta.id is not None]
    assert [delta.number for delta in begun] == list(range(len(begun)))
    assert len({delta.id for delta in begun}) == len(begun)
    assert all((delta.id is None) == (delta.name is None) for delta in calls)
    assert [delta.number for delta in calls] == sorted(delta.number for delta in calls)
