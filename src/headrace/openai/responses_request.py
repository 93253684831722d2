"""The request of `/v1/responses`.

Nothing is stored here: `store` is accepted and means nothing, and what asks for something stored is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, LiteralString, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from headrace.engines.arguments import MAX_TEMPERATURE
from headrace.engines.generation import Generation, JsonObject, JsonSchema, NamedTool, ResponseFormat, Sampling
from headrace.openai.body import Body, form
from headrace.openai.functions import (
    MAX_TOOLS,
    Function,
    FunctionName,
    Named,
    Schema,
    chosen,
    offered,
    only_functions,
)
from headrace.openai.responses_input import Input, conversation
from headrace.openai.sampling_body import MAX_TOP_LOGPROBS, ModelName, Tokens

LOGPROBS = "message.output_text.logprobs"
"""What `include` has where logprobs are wanted."""


def _refused(detail: LiteralString) -> AfterValidator:
    """Refuses a member that asks for something; null and false do not."""

    def check(value: Any) -> Any:
        if value not in (None, False):
            raise PydanticCustomError("unsupported", detail)
        return value

    return AfterValidator(check)


class FlatTool(Function):
    """One of `tools`: here the function's members stand beside the type."""

    type: Literal["function"] = "function"


class FlatChoice(Named):
    """`tool_choice` where it names a function."""

    type: Literal["function"]


class Format(Body):
    """`text.format`."""

    type: Literal["text", "json_object", "json_schema"]
    name: FunctionName | None = None
    schema_: Annotated[Schema | None, Field(alias="schema")] = None
    strict: bool | None = None

    def response_format(self) -> ResponseFormat | None:
        """What the answer must be; None: any text."""
        if self.type == "json_object":
            return JsonObject()
        if self.type == "text" or self.name is None or self.schema_ is None:
            return None
        return JsonSchema(self.name, self.schema_, bool(self.strict))

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if self.type == "json_schema" and (self.name is None or self.schema_ is None):
            raise PydanticCustomError("missing", "a json_schema needs its name and its schema")
        return self


class Text(Body):
    """`text`."""

    format: Format | None = None


Tools = Annotated[list[Annotated[FlatTool, BeforeValidator(only_functions)]], Field(max_length=MAX_TOOLS)]
Choice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("str")] | Annotated[FlatChoice, Tag("dict")],
    Discriminator(form, custom_error_type="type", custom_error_message="must be a text, or an object with a name"),
    BeforeValidator(only_functions),
]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]


class ResponsesRequest(Body):
    """An input to answer. Null is as good as absent."""

    model: ModelName
    input: Input
    instructions: str | None = None
    stream: bool | None = None
    tools: Tools | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    max_output_tokens: Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=MAX_TEMPERATURE)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    include: Annotated[list[str], Field(max_length=64)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    metadata: Metadata | None = None
    background: Annotated[bool | None, _refused("background runs are not there yet; leave it out")] = None
    previous_response_id: Annotated[str | None, _refused("nothing is stored here; send the earlier items as input")] = (
        None
    )
    conversation: Annotated[Any, _refused("nothing is stored here; send the conversation's items as input")] = None
    prompt: Annotated[Any, _refused("nothing is stored here; send the prompt's text as instructions or input")] = None

    def generation(self, temperature: float) -> Generation:
        """What engines are asked for; `temperature` counts where the request has none.

        Raises:
            InvalidArguments: the items or the tools do not belong together.
        """
        tools = offered(self.tools or (), "/tools/{}/name")
        choice = self.tool_choice or "auto"
        return Generation(
            messages=conversation(self.instructions, self.input),
            sampling=Sampling(
                temperature=temperature if self.temperature is None else self.temperature,
                top_p=1.0 if self.top_p is None else self.top_p,
                max_tokens=self.max_output_tokens,
                logprobs=self._logprobs(),
            ),
            tools=tools,
            tool_choice=chosen(choice if isinstance(choice, str) else NamedTool(choice.name), tools, "/tool_choice"),
            parallel_tool_calls=self.parallel_tool_calls is not False,
            response_format=self._format().response_format(),
        )

    def repeated(self) -> dict[str, Any]:
        """What the response object repeats of the request."""
        choice = self.tool_choice or "auto"
        return {
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "metadata": self.metadata or {},
            "model": self.model,
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "previous_response_id": None,
            "store": False,
            "temperature": self.temperature,
            "text": {"format": self._format().model_dump(by_alias=True, exclude_none=True)},
            "tool_choice": choice if isinstance(choice, str) else choice.model_dump(),
            "tools": [tool.model_dump() for tool in self.tools or ()],
            "top_logprobs": self.top_logprobs or 0,
            "top_p": self.top_p,
            "truncation": "disabled",
        }

    def _format(self) -> Format:
        return (self.text and self.text.format) or Format(type="text")

    def _logprobs(self) -> int | None:
        if self.top_logprobs or LOGPROBS in (self.include or ()):
            return self.top_logprobs or 0
        return None
