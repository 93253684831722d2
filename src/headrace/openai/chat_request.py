"""The request of `/v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from headrace.engines.generation import (
    Generation,
    JsonObject,
    JsonSchema,
    NamedTool,
    ResponseFormat,
    Tool,
    ToolChoice,
)
from headrace.openai.body import Body, wrong
from headrace.openai.conversation import MAX_MESSAGES, ChatMessage, conversation
from headrace.openai.functions import (
    MAX_TOOLS,
    Choice,
    Function,
    FunctionName,
    FunctionTool,
    LegacyChoice,
    NamedToolBody,
    Schema,
    chosen,
    offered,
)
from headrace.openai.sampling_body import MAX_TOP_LOGPROBS, SamplingBody, Tokens


class JsonSchemaFormat(Body):
    """`response_format.json_schema`."""

    name: FunctionName
    schema_: Schema = Field(default_factory=dict, alias="schema")
    strict: bool | None = None


class ResponseFormatBody(Body):
    """`response_format`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None

    def response_format(self) -> ResponseFormat | None:
        """What the answer must be; None: any text. Raises InvalidArguments without the schema that it names."""
        if self.type == "json_object":
            return JsonObject()
        if self.type == "text":
            return None
        if self.json_schema is None:
            raise wrong("/response_format/json_schema", "missing: the schema that the answer must fit", "missing")
        return JsonSchema(self.json_schema.name, self.json_schema.schema_, bool(self.json_schema.strict))


class ChatRequest(SamplingBody):
    """A conversation to answer."""

    messages: Annotated[
        list[ChatMessage],
        Field(min_length=1, max_length=MAX_MESSAGES, examples=[[{"role": "user", "content": "Hello"}]]),
    ]
    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    response_format: ResponseFormatBody | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[Function], Field(max_length=MAX_TOOLS)] | None = None
    function_call: LegacyChoice | None = None

    @property
    def legacy(self) -> bool:
        """Whether calls are told in the old form."""
        return bool(self.functions)

    @property
    def forced(self) -> bool:
        """Whether the model must call a function."""
        return self._choice() not in ("auto", "none")

    def generation(self, temperature: float) -> Generation:
        """What engines are asked for; `temperature` counts where the request has none.

        Raises:
            InvalidArguments: the messages or the tools do not belong together.
        """
        self._check_agreement()
        limit = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        tools = self._tools()
        return Generation(
            messages=conversation(self.messages),
            sampling=self.sampling(temperature, limit, (self.top_logprobs or 0) if self.logprobs else None),
            n=self.n or 1,
            tools=tools,
            tool_choice=chosen(self._choice(), tools, "/function_call" if self.legacy else "/tool_choice"),
            parallel_tool_calls=not self.legacy and self.parallel_tool_calls is not False,
            response_format=None if self.response_format is None else self.response_format.response_format(),
        )

    def _check_agreement(self) -> None:
        if self.top_logprobs is not None and not self.logprobs:
            raise wrong("/top_logprobs", "goes with logprobs only: send logprobs true with it")
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise wrong("/max_tokens", "is the older name of max_completion_tokens: send one of them")
        if self.tools and self.functions:
            raise wrong("/functions", "is the older name of tools: send one of them")

    def _tools(self) -> Sequence[Tool]:
        if self.functions:
            return offered(self.functions, "/functions/{}/name")
        return offered([tool.function for tool in self.tools or ()], "/tools/{}/function/name")

    def _choice(self) -> ToolChoice:
        choice = self.function_call if self.legacy else self.tool_choice
        if choice is None or isinstance(choice, str):
            return choice or "auto"
        return NamedTool(choice.function.name if isinstance(choice, NamedToolBody) else choice.name)
