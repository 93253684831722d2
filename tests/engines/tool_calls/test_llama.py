import pytest
from hypothesis import given, settings
from parsing import cut_texts, outcome, told

from headrace.engines.tape import Parser
from headrace.engines.tool_calls.llama import llama

CALL = '{"name": "f", "parameters": {"a": 1}}'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param(" \nHello {you} ", [" \nHello {you} "], id="only text"),
        pytest.param(CALL, ['f<-{"a": 1}'], id="a call"),
        pytest.param(f"\n{CALL}\n", ['f<-{"a": 1}'], id="white space around a call is no text"),
        pytest.param(f"{CALL};{CALL}", ['f<-{"a": 1}', 'f<-{"a": 1}'], id="two calls"),
        pytest.param(f"{CALL} ; \n{CALL}", ['f<-{"a": 1}', 'f<-{"a": 1}'], id="two calls with space"),
        pytest.param(f"{CALL}; so", ['f<-{"a": 1}', "; so"], id="no second call"),
        pytest.param(f"{CALL} so", ['f<-{"a": 1}', " so"], id="text after a call"),
        pytest.param(f"See: {CALL}", [f"See: {CALL}"], id="JSON within text is text"),
        pytest.param(f"<|python_tag|>{CALL}", ['f<-{"a": 1}'], id="the tag"),
        pytest.param(f"See:<|python_tag|>{CALL};{CALL}", ["See:", 'f<-{"a": 1}', 'f<-{"a": 1}'], id="text and the tag"),
        pytest.param('<|python_tag|>{"name": "f"}', ["f<-{}"], id="the tag and no parameters"),
        pytest.param('a<|python_tag|>{"name": "f"}', ["a", "f<-{}"], id="text, the tag and no parameters"),
        pytest.param(f"\n<|python_tag|>{CALL}", ['f<-{"a": 1}'], id="white space before the tag"),
        pytest.param(f"{{<|python_tag|>{CALL}", ["{", 'f<-{"a": 1}'], id="the tag after what is no call"),
        pytest.param('{"name": "f", "parameters": {}, "x": [1]}', ["f<-{}"], id="a member behind the parameters"),
        pytest.param('<|python_tag|>a.call(b="c")', ['<|python_tag|>a.call(b="c")'], id="the tag and code"),
        pytest.param('{"type": "function", "name": "f", "parameters": {}}', ["f<-{}"], id="with a type"),
        pytest.param('{"parameters": {"a": {}}, "name": "f"}', ['f<-{"a": {}}'], id="the name last"),
        pytest.param('{"name": "f", "arguments": {}}', ["f<-{}"], id="called arguments"),
        pytest.param('{"name": "Bob", "age": 3}', ['{"name": "Bob", "age": 3}'], id="a JSON answer with a name"),
        pytest.param('{"name": "Bob"}', ['{"name": "Bob"}'], id="a JSON answer with only a name"),
        pytest.param('{"name": "f", "parameters": "x"}', ['{"name": "f", "parameters": "x"}'], id="no object"),
        pytest.param('{"parameters": {}, "size": 1}', ['{"parameters": {}, "size": 1}'], id="parameters of no one"),
        pytest.param('{"name": "f", "par', ['{"name": "f", "par'], id="cut before the parameters"),
        pytest.param('{"name": "f", "parameters": {"a', ['f<-{"a'], id="cut in the parameters"),
    ],
)
def test_what_is_found(text: str, found: list[str]) -> None:
    assert outcome(llama, [text]) == found
    assert outcome(llama, text) == found


def test_a_json_answer_comes_out_as_soon_as_it_is_no_call() -> None:
    parser = Parser(llama)
    assert [told(parser.feed(piece)) for piece in ['{"na', 'me": "Bob", ', '"age"', ": ", "3"]] == [
        [], [], [], [], ['{"name": "Bob", "age": 3']
    ]  # fmt: skip


def test_the_name_waits_for_the_parameters_that_make_it_a_call() -> None:
    parser = Parser(llama)
    assert [told(parser.feed(piece)) for piece in ['{"name": "f"', ', "parameters": ', "{", '"a"']] == [
        [], [], ["f<-{"], ['None<-"a"']
    ]  # fmt: skip


FRAGMENTS = [
    *["<|python_tag|>", "<", "{", "}", '"', "\\", ":", ",", ";", " ", "\n", CALL, '"name"', '"parameters"', "text"],
    *['{"name": "f", "parameters": ', '{"parameters": {"b": []}, "name": "g"}', '{"name": "f", '],
]


@settings(deadline=None)
@given(cut_texts(FRAGMENTS))
def test_the_cuts_never_show(pieces: list[str]) -> None:
    assert outcome(llama, pieces) == outcome(llama, ["".join(pieces)])


@settings(deadline=None)
@given(cut_texts(["<", "python_tag|>", "{", ": ", '"name": "f"', " ", "text", "}"]))
def test_text_without_calls_passes_unchanged(pieces: list[str]) -> None:
    text = "".join(pieces)
    if "<|python_tag|>" not in text and "parameters" not in text:
        assert outcome(llama, pieces) == ([text] if text else [])
