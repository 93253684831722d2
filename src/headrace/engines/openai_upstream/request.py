"""A generation as the body of a request, and what is left out or renamed for upstreams that do not know an option.

Values that mean the same as none are not sent: some models take no other than the default one, and say so with 400.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from headrace.engines.generation import (
    Generation,
    JsonObject,
    JsonSchema,
    Message,
    NamedTool,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from headrace.engines.openai_upstream.failures import Complaint

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What an upstream takes, as far as it is known.

    Attributes:
        usage: whether it can be asked for the tokens of a stream.
        limit: what it calls the limit of an answer's tokens. Older servers do not know the newer name and would ignore
            it, newer models refuse the older one, so that one is tried first.
    """

    usage: bool = True
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"

    def without(self, complaint: Complaint) -> Accepted | None:
        """What to send instead; None: the complaint is about something else."""
        if complaint.status not in (400, 422):
            return None
        said = f"{complaint.param} {complaint.message}"
        if self.usage and ("stream_options" in said or "include_usage" in said):
            return replace(self, usage=False)
        if self.limit == "max_tokens" and "max_tokens" in said and "max_completion_tokens" in said:
            return replace(self, limit="max_completion_tokens")
        return None


def path(generation: Generation) -> str:
    """Where it is asked for."""
    return "/completions" if generation.messages is None else "/chat/completions"


def body(generation: Generation, model: str, accepted: Accepted) -> Json:
    """What is asked.

    Args:
        generation: as `arguments.check` has let pass.
        model: the upstream's name for it.
        accepted: what the upstream takes.
    """
    chat = generation.messages is not None
    asked: Json = {"model": model, "stream": True}
    if generation.messages is not None:
        asked["messages"] = [_message(message) for message in generation.messages]
        asked.update(_tools(generation))
    else:
        asked["prompt"] = generation.prompt if isinstance(generation.prompt, str) else list(generation.prompt or ())
    asked.update(_sampling(generation.sampling, accepted, chat))
    if generation.n != 1:
        asked["n"] = generation.n
    if generation.response_format is not None:
        asked["response_format"] = _response_format(generation.response_format)
    if accepted.usage:
        asked["stream_options"] = {"include_usage": True}
    return asked


def _sampling(sampling: Sampling, accepted: Accepted, chat: bool) -> Iterator[tuple[str, Any]]:
    for name, default in (("temperature", 1.0), ("top_p", 1.0), ("presence_penalty", 0.0), ("frequency_penalty", 0.0)):
        if (value := getattr(sampling, name)) != default:
            yield name, value
    for name in ("top_k", "seed"):
        if (value := getattr(sampling, name)) is not None:
            yield name, value
    if sampling.max_tokens is not None:
        yield accepted.limit if chat else "max_tokens", sampling.max_tokens
    if sampling.stop:
        yield "stop", list(sampling.stop)
    if sampling.logit_bias:
        yield "logit_bias", {str(token): bias for token, bias in sampling.logit_bias.items()}
    if sampling.logprobs is not None:
        yield "logprobs", True if chat else sampling.logprobs
        if chat and sampling.logprobs:
            yield "top_logprobs", sampling.logprobs


def _tools(generation: Generation) -> Iterator[tuple[str, Any]]:
    if generation.tools:
        yield "tools", [_tool(tool) for tool in generation.tools]
        if generation.tool_choice != "auto":
            yield "tool_choice", _tool_choice(generation.tool_choice)
        if not generation.parallel_tool_calls:
            yield "parallel_tool_calls", False


def _message(message: Message) -> Json:
    told: Json = {"role": message.role, "content": message.content}
    if message.name is not None:
        told["name"] = message.name
    if message.tool_call_id is not None:
        told["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        told["content"] = message.content or None  # some upstreams refuse a turn that says nothing
        told["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return told


def _tool(tool: Tool) -> Json:
    function: Json = {"name": tool.name, "parameters": dict(tool.parameters)}
    if tool.description:
        function["description"] = tool.description
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> Any:
    return {"type": "function", "function": {"name": choice.name}} if isinstance(choice, NamedTool) else choice


def _response_format(wanted: ResponseFormat) -> Json:
    match wanted:
        case JsonObject():
            return {"type": "json_object"}
        case JsonSchema(name, schema, strict):
            return {"type": "json_schema", "json_schema": {"name": name, "schema": dict(schema), "strict": strict}}


class Terms:
    """How one upstream is asked; what it does not take is learned from its complaints.

    Args:
        model: its name for the model.
        extra: members of every body, over ours.
    """

    def __init__(self, model: str, extra: Json) -> None:
        self.accepted = Accepted()
        self._model = model
        self._extra = extra

    def body(self, generation: Generation) -> Json:
        """What to ask now."""
        return {**body(generation, self._model, self.accepted), **self._extra}

    def learn(self, complaint: Complaint, asked: Accepted) -> bool:
        """Whether a complaint about what was asked in these terms is one that others would not get."""
        self.accepted = self.accepted.without(complaint) or self.accepted
        return asked.without(complaint) is not None
