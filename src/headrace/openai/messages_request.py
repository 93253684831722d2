"""The request of `/v1/messages`.

`thinking` is accepted and decides nothing: an engine that reasons does, and its reasoning is told.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from headrace.engines.generation import Generation, JsonSchema, NamedTool, ResponseFormat, Sampling, ToolChoice
from headrace.openai.body import Body, wrong
from headrace.openai.conversation import MAX_MESSAGES
from headrace.openai.functions import MAX_TOOLS, Function, FunctionName, Parameters, Schema, chosen, offered
from headrace.openai.messages_input import InputMessage, Texts, conversation
from headrace.openai.sampling_body import ModelName, Stop, Tokens


def _only_own(value: Any) -> Any:
    """A tool that the client runs itself."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in (None, "custom"):
        shown = {"kind": str(kind)[:40]}
        raise PydanticCustomError("unsupported", "tools of type {kind} are not supported; only custom is", shown)
    return value


class OwnTool(Function):
    """One of `tools`."""

    parameters: Annotated[Parameters, Field(alias="input_schema")]


OwnTools = Annotated[list[Annotated[OwnTool, BeforeValidator(_only_own)]], Field(max_length=MAX_TOOLS)]


class Choice(Body):
    """`tool_choice`."""

    type: Literal["auto", "any", "tool", "none"]
    name: FunctionName | None = None
    disable_parallel_tool_use: bool | None = None

    def choice(self) -> ToolChoice:
        """The choice as engines know it; raises InvalidArguments where it does not say which tool."""
        if self.type == "tool":
            if self.name is None:
                raise wrong("/tool_choice/name", "missing; it names the tool to use", "missing")
            return NamedTool(self.name)
        return "required" if self.type == "any" else self.type


class OutputFormat(Body):
    """`output_config.format`."""

    type: Literal["json_schema"]
    schema_: Annotated[Schema, Field(alias="schema")]


class OutputConfig(Body):
    """`output_config`."""

    format: OutputFormat | None = None


class MessagesRequest(Body):
    """A conversation to answer. Null is as good as absent."""

    model: ModelName
    messages: Annotated[list[InputMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    max_tokens: Tokens
    system: Texts | None = None
    stream: bool | None = None
    stop_sequences: Stop | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    tools: OwnTools | None = None
    tool_choice: Choice | None = None
    output_config: OutputConfig | None = None

    def generation(self, temperature: float) -> Generation:
        """What engines are asked for; `temperature` counts where the request has none.

        Raises:
            InvalidArguments: the messages or the tools do not belong together.
        """
        choice = self.tool_choice or Choice(type="auto")
        tools = offered(self.tools or (), "/tools/{}/name")
        return Generation(
            messages=conversation(self.system, self.messages),
            sampling=Sampling(
                temperature=temperature if self.temperature is None else self.temperature,
                top_p=1.0 if self.top_p is None else self.top_p,
                top_k=self.top_k,
                max_tokens=self.max_tokens,
                stop=tuple(self.stop_sequences or ()),
            ),
            tools=tools,
            tool_choice=chosen(choice.choice(), tools, "/tool_choice"),
            parallel_tool_calls=not choice.disable_parallel_tool_use,
            response_format=self._format(),
        )

    def _format(self) -> ResponseFormat | None:
        wanted = self.output_config and self.output_config.format
        return JsonSchema("answer", wanted.schema_, strict=True) if wanted else None
