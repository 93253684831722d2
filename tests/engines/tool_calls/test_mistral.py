import pytest
from hypothesis import given, settings
from parsing import cut_texts, outcome, told

from headrace.engines.tape import Parser
from headrace.engines.tool_calls.mistral import mistral

OBJECT = '{"name": "f", "arguments": {"a": [1]}}'
FOUND = 'f<-{"a": [1]}'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("[1] [TOOL] ", ["[1] [TOOL] "], id="only text"),
        pytest.param(f"[TOOL_CALLS][{OBJECT}]", [FOUND], id="a list of one"),
        pytest.param(f"[TOOL_CALLS] [ {OBJECT} , {OBJECT} ]\n", [FOUND, FOUND], id="a list of two"),
        pytest.param(f"Hi[TOOL_CALLS][{OBJECT}] so", ["Hi", FOUND, " so"], id="a list among text"),
        pytest.param("[TOOL_CALLS][]", ["[TOOL_CALLS][]"], id="an empty list"),
        pytest.param("[TOOL_CALLS][1]", ["[TOOL_CALLS][1]"], id="a list of something else"),
        pytest.param(f"[TOOL_CALLS][{OBJECT}, 1] so", [FOUND, ", 1] so"], id="a list that breaks"),
        pytest.param(f"[TOOL_CALLS][{OBJECT}", [FOUND], id="a list that is cut"),
        pytest.param('[TOOL_CALLS]f[ARGS]{"a": [1]}', [FOUND], id="a name"),
        pytest.param('[TOOL_CALLS] f [ARGS] {"a": [1]}', [FOUND], id="a name with space"),
        pytest.param('[TOOL_CALLS]f{"a": [1]}', [FOUND], id="a name without the mark of arguments"),
        pytest.param('[TOOL_CALLS]f[CALL_ID]x1Y[ARGS]{"a": [1]}', [FOUND], id="a name with an id"),
        pytest.param("[TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]g[ARGS]{}", ["f<-{}", "g<-{}"], id="two names"),
        pytest.param("[TOOL_CALLS]f[ARGS]{} so", ["f<-{}", " so"], id="text after a name"),
        pytest.param("[TOOL_CALLS]f[ARGS]", ["[TOOL_CALLS]f[ARGS]"], id="a name that is cut"),
        pytest.param("[TOOL_CALLS]f[ARGS]x", ["[TOOL_CALLS]f[ARGS]x"], id="a name without an object"),
        pytest.param('[TOOL_CALLS]f[ARGS]{"a', ['f<-{"a'], id="arguments that are cut"),
        pytest.param("[TOOL_CALLS]f[ARGS]{]x", ["f<-{", "]x"], id="arguments that break"),
        pytest.param("[TOOL_CALLS]{}", ["[TOOL_CALLS]{}"], id="no name"),
        pytest.param("[TOOL_CALLS] is a mark {}", ["[TOOL_CALLS] is a mark {}"], id="the mark as text"),
    ],
)
def test_what_is_found(text: str, found: list[str]) -> None:
    assert outcome(mistral, [text]) == found
    assert outcome(mistral, text) == found


def test_the_name_and_the_arguments_come_as_they_form() -> None:
    parser = Parser(mistral)
    assert [told(parser.feed(piece)) for piece in ["[TOOL_", "CALLS]", "f", "[ARGS]", "{", '"a', "]", '"}', "!"]] == [
        [], [], [], [], ["f<-{"], ['None<-"a'], ["None<-]"], ['None<-"}'], ["!"]
    ]  # fmt: skip


FRAGMENTS = [
    *["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[", "]", "{", "}", '"', ",", " ", "\n", "f", OBJECT, f"[{OBJECT}"],
    *["[TOOL_CALLS]f[ARGS]{", "text", "[TOOL_CALLS]["],
]


@settings(deadline=None)
@given(cut_texts(FRAGMENTS))
def test_the_cuts_never_show(pieces: list[str]) -> None:
    assert outcome(mistral, pieces) == outcome(mistral, ["".join(pieces)])


@settings(deadline=None)
@given(cut_texts(["[", "TOOL_CALLS]", "[ARGS]", "{", "f", " ", "text"]))
def test_text_without_the_mark_passes_unchanged(pieces: list[str]) -> None:
    text = "".join(pieces)
    if "[TOOL_CALLS]" not in text:
        assert outcome(mistral, pieces) == ([text] if text else [])
