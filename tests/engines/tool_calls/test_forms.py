from collections.abc import Callable

import pytest
from parsing import told

from headrace.engines.tape import Parser
from headrace.engines.tool_calls.forms import parser_for
from headrace.errors import SetupError

CALLS = {
    "hermes": '<tool_call>{"name": "f"}</tool_call>',
    "llama": '{"name": "f", "parameters": {}}',
    "mistral": "[TOOL_CALLS]f[ARGS]{}",
}


def finds(make: Callable[[], Parser] | None) -> list[str]:
    """The names of the forms whose calls this finds."""
    assert make is not None
    return [
        name
        for name, text in CALLS.items()
        for parser in [make()]
        if told([*parser.feed(text), *parser.end()]) == ["f<-{}"]
    ]


@pytest.mark.parametrize("name", ["hermes", "llama", "mistral"])
def test_a_form_is_chosen_by_its_name(name: str) -> None:
    assert finds(parser_for(name)) == [name]


@pytest.mark.parametrize(
    ("template", "form"),
    [
        pytest.param('{{- \'<tool_call>\\n{"name": "\' }}', "hermes", id="Hermes, Qwen 2.5 and 3"),
        pytest.param("{{- '<|python_tag|>' + builtin }}", "llama", id="Llama 3.1"),
        pytest.param(
            '{{- \'Respond in the format {"name": function name, "parameters": \' }}', "llama", id="Llama 3.2"
        ),
        pytest.param("{{- '[TOOL_CALLS] [' }}", "mistral", id="Mistral"),
    ],
)
def test_a_form_is_recognised_from_the_chat_template(template: str, form: str) -> None:
    assert finds(parser_for(None, template)) == [form]


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(None, id="none"),
        pytest.param("{{ message['content'] }}", id="without tools"),
        pytest.param("<tool_call>\\n<function=", id="Qwen 3 Coder writes no JSON"),
        pytest.param("<tool_call>{{ name }}\\n<arg_key>", id="GLM writes no JSON"),
    ],
)
def test_a_template_of_no_known_form_has_no_parser(template: str | None) -> None:
    assert parser_for(None, template) is None


def test_the_name_counts_more_than_the_template() -> None:
    assert finds(parser_for("llama", "<tool_call>")) == ["llama"]


def test_an_unknown_name_says_which_ones_there_are() -> None:
    with pytest.raises(
        SetupError, match="no form of tool calls named 'xml'; the known ones are hermes, llama, mistral"
    ):
        parser_for("xml")


def test_every_answer_has_a_parser_of_its_own() -> None:
    make = parser_for("hermes")
    assert make is not None
    make().feed("<tool_call>")
    assert told(make().feed("text")) == ["text"]
