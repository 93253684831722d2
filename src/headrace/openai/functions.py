"""The functions that a request offers to the model, in the two forms that clients send: `tools`, and once `functions`.

What a model is told of a function becomes part of its prompt, and its parameters may become a grammar, so both are
checked here: the name by OpenAI's pattern, the parameters for being a JSON Schema of an object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from headrace.engines.generation import NamedTool, Tool, ToolChoice
from headrace.openai.body import Body, form, wrong
from headrace.openai.json_schema import schema_mistake

MAX_TOOLS = 128

FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


def checked_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself. Raises PydanticCustomError where it is none."""
    if (mistake := schema_mistake(schema)) is not None:
        raise PydanticCustomError("invalid_schema", "not a JSON Schema: {mistake}", {"mistake": mistake})
    return schema


def checked_parameters(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a function's arguments. Raises PydanticCustomError where it is none of an object."""
    if schema.get("type", "object") != "object":
        raise PydanticCustomError("invalid_schema", 'the arguments of a function are an object: "type": "object"')
    return checked_schema(schema)


Schema = Annotated[dict[str, Any], AfterValidator(checked_schema)]
Parameters = Annotated[dict[str, Any], AfterValidator(checked_parameters)]


class Function(Body):
    """A function as a request describes it."""

    name: FunctionName
    description: str | None = None
    parameters: Parameters | None = None
    strict: bool | None = None

    def tool(self) -> Tool:
        """The function as engines know it."""
        if self.parameters is None:
            return Tool(self.name, self.description or "", strict=bool(self.strict))
        return Tool(self.name, self.description or "", self.parameters, bool(self.strict))


def only_functions(value: Any) -> Any:
    """The tool itself. Raises PydanticCustomError where it is of a type that runs elsewhere."""
    kind = value.get("type", "function") if isinstance(value, dict) else "function"
    if kind != "function":
        shown = {"kind": str(kind)[:40]}
        raise PydanticCustomError("unsupported", "tools of type {kind} are not supported; only function is", shown)
    return value


class ToolBody(Body):
    """One of `tools`."""

    type: Literal["function"] = "function"
    function: Function


FunctionTool = Annotated[ToolBody, BeforeValidator(only_functions)]


class Named(Body):
    """A function by its name."""

    name: FunctionName


class NamedToolBody(Body):
    """`tool_choice` where it names a function."""

    type: Literal["function"]
    function: Named


Choice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("str")] | Annotated[NamedToolBody, Tag("dict")],
    Discriminator(form, custom_error_type="type", custom_error_message="must be a text, or an object with a function"),
]
LegacyChoice = Annotated[
    Annotated[Literal["none", "auto"], Tag("str")] | Annotated[Named, Tag("dict")],
    Discriminator(form, custom_error_type="type", custom_error_message="must be a text, or an object with a name"),
]


def offered(functions: Iterable[Function], place: str) -> Sequence[Tool]:
    """The tools of a request.

    Args:
        functions: as the request describes them.
        place: the pointer to each, with `{}` for its number.

    Raises:
        InvalidArguments: two of them have one name.
    """
    tools: dict[str, Tool] = {}
    for number, function in enumerate(functions):
        if function.name in tools:
            detail = f'a function named "{function.name}" stands there already'
            raise wrong(place.format(number), detail)
        tools[function.name] = function.tool()
    return tuple(tools.values())


def chosen(choice: ToolChoice, tools: Sequence[Tool], place: str) -> ToolChoice:
    """The choice itself.

    Args:
        choice: which of the tools the model must call, or whether it must call one.
        tools: those that were offered.
        place: the pointer to the choice.

    Raises:
        InvalidArguments: there is nothing to call, or nothing of that name.
    """
    if isinstance(choice, NamedTool) and choice.name not in {tool.name for tool in tools}:
        detail = f'there is no function named "{choice.name}" among those offered'
    elif choice == "required" and not tools:
        detail = "a call is required and no function is offered"
    else:
        return choice
    raise wrong(place, detail)
