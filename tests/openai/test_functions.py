from typing import Any

import pytest
from pydantic import TypeAdapter

from headrace.engines.generation import NamedTool, Tool
from headrace.errors import InvalidArguments
from headrace.openai.body import Body, read_body
from headrace.openai.functions import Choice, Function, FunctionTool, LegacyChoice, NamedToolBody, chosen, offered


class Asked(Body):
    tools: list[FunctionTool] | None = None
    choice: Choice | None = None
    legacy: LegacyChoice | None = None


def read(**members: Any) -> Asked:
    return read_body(Asked, TypeAdapter(dict[str, Any]).dump_json(members))


WEATHER = {"name": "weather", "description": "Of a city", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("function", "tool"),
    [
        ({"name": "f"}, Tool("f")),
        ({"name": "f", "description": None, "parameters": None, "strict": None}, Tool("f")),
        (WEATHER, Tool("weather", "Of a city", {"type": "object", "properties": {}})),
        ({"name": "a-B_9", "parameters": {}, "strict": True}, Tool("a-B_9", "", {}, True)),
    ],
)
def test_a_function_is_a_tool(function: dict[str, Any], tool: Tool) -> None:
    (told,) = read(tools=[{"type": "function", "function": function}]).tools or ()
    assert told.function.tool() == tool


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ({"type": "function"}, "tools[0].function: Field required"),
        ({"type": "web_search"}, "tools[0]: tools of type web_search are not supported; only function is"),
        ({"type": "custom", "custom": {}}, "tools[0]: tools of type custom are not supported; only function is"),
        (3, "tools[0]: Input should be a valid dictionary or instance of ToolBody"),
        (
            {"type": "function", "function": {"name": "a b"}},
            "tools[0].function.name: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'",
        ),
        (
            {"type": "function", "function": {"name": "f\n"}},
            "tools[0].function.name: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'",
        ),
        (
            {"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}},
            'tools[0].function.parameters: the arguments of a function are an object: "type": "object"',
        ),
        (
            {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"type": "strng"}}}}},
            'tools[0].function.parameters: not a JSON Schema: properties/a/type: "strng" is no type; '
            "the types are array, boolean, integer, null, number, object, string",
        ),
        (
            {"type": "function", "function": {"name": "f", "parameters": []}},
            "tools[0].function.parameters: Input should be a valid dictionary",
        ),
    ],
)
def test_a_tool_that_no_model_could_use_is_named(tool: Any, message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read(tools=[tool])
    assert caught.value.message == message


@pytest.mark.parametrize("name", ["x" * 65, "", "é"])
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(InvalidArguments):
        read(tools=[{"type": "function", "function": {"name": name}}])


def test_two_functions_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidArguments) as caught:
        offered([Function(name="f"), Function(name="g"), Function(name="f")], "/functions/{}/name")
    assert caught.value.message == 'functions[2].name: a function named "f" stands there already'


def test_what_is_offered_keeps_its_order() -> None:
    assert offered([Function(name="g"), Function(name="f")], "") == (Tool("g"), Tool("f"))


@pytest.mark.parametrize("choice", ["none", "auto", "required"])
def test_a_choice_is_a_text(choice: str) -> None:
    assert read(choice=choice).choice == choice


def test_a_choice_names_a_function() -> None:
    choice = read(choice={"type": "function", "function": {"name": "f"}}).choice
    assert isinstance(choice, NamedToolBody)
    assert choice.function.name == "f"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"choice": "any"}, "choice: Input should be 'none', 'auto' or 'required'"),
        ({"choice": {"type": "allowed_tools"}}, "choice.type: Input should be 'function' (and 1 more)"),
        ({"choice": 3}, "choice: must be a text, or an object with a function"),
        ({"legacy": "required"}, "legacy: Input should be 'none' or 'auto'"),
        ({"legacy": {}}, "legacy.name: Field required"),
        ({"legacy": []}, "legacy: must be a text, or an object with a name"),
    ],
)
def test_a_choice_of_another_form_is_named(members: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read(**members)
    assert caught.value.message == message


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_choice_that_forces_nothing_needs_no_tools(choice: Any) -> None:
    assert chosen(choice, (), "/tool_choice") == choice


@pytest.mark.parametrize("choice", ["required", NamedTool("f")])
def test_a_choice_among_the_tools_is_kept(choice: Any) -> None:
    assert chosen(choice, (Tool("f"),), "/tool_choice") == choice


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("required", "tool_choice: a call is required and no function is offered"),
        (NamedTool("g"), 'tool_choice: there is no function named "g" among those offered'),
    ],
)
def test_a_choice_of_nothing_is_refused(choice: Any, message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        chosen(choice, () if choice == "required" else (Tool("f"),), "/tool_choice")
    assert caught.value.message == message
