from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

import pytest
from parsing import told

from headrace.engines.events import EngineEvent, Finish, TextDelta
from headrace.engines.generation import Generation, JsonObject, Message, Tool
from headrace.engines.markup import Markup
from headrace.errors import SetupError

THINKS = "{{ messages }}<think>"
CALLS = "{{ tools }}<tool_call>{{ messages }}"
SAID = '<think>well</think><tool_call>{"name": "f", "arguments": {}}</tool_call>'
ASKED = Generation(messages=[Message("user", "hi")], tools=[Tool("f")])


async def answer() -> AsyncGenerator[EngineEvent, None]:
    yield TextDelta(SAID)
    yield Finish("stop")


async def read(markup: Markup, generation: Generation, ending: Callable[[], str] = str) -> list[str]:
    return told([event async for event in markup.read(answer(), generation, ending)])


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (None, [SAID]),
        ("{{ messages }}", [SAID]),
        (THINKS, ["(well)", SAID.partition("</think>")[2]]),
    ],
)
async def test_what_the_template_does_not_show_is_text(template: str | None, found: list[str]) -> None:
    assert await read(Markup(template), ASKED) == found


async def test_thoughts_and_calls_are_told_apart() -> None:
    thought, *calls = await read(Markup(THINKS + CALLS), ASKED)
    assert thought == "(well)"
    assert not any(SAID[-10:] in call for call in calls)


@pytest.mark.parametrize(
    "changes",
    [{"messages": None, "prompt": "hi"}, {"tools": ()}, {"tool_choice": "none"}],
)
async def test_where_no_call_can_be_meant_it_is_text(changes: dict[str, Any]) -> None:
    markup, asked = Markup(CALLS), replace(ASKED, **changes)
    assert await read(markup, asked) == [SAID]
    assert not markup.marked(asked)


@pytest.mark.parametrize("changes", [{"messages": None, "prompt": "hi"}, {"response_format": JsonObject()}])
async def test_where_nothing_can_be_thought_it_is_text(changes: dict[str, Any]) -> None:
    markup, asked = Markup(THINKS), replace(ASKED, **changes)
    assert await read(markup, asked) == [SAID]
    assert not markup.marked(asked)


async def test_the_prompt_may_have_begun_the_thought() -> None:
    said = await read(Markup(THINKS), ASKED, lambda: "assistant<think>\n")
    assert said[0] == "(well)"


@pytest.mark.parametrize(("template", "tools"), [(None, False), (THINKS, False), (CALLS, True)])
def test_the_template_decides_whether_functions_can_be_called(template: str | None, tools: bool) -> None:
    markup = Markup(template)
    assert (markup.tools, markup.marked(ASKED)) == (tools, template is not None)


def test_a_form_of_calls_needs_a_template_that_takes_tools() -> None:
    with pytest.raises(SetupError, match="takes no tools; leave tool_parser='hermes' out"):
        Markup(THINKS, "hermes")
