"""The message object of `/v1/messages`, and the blocks of its content: one block for each part of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headrace.engines.events import Usage
from headrace.errors import WireError
from headrace.openai.parts import Part, Parts
from headrace.wire.json_line import read_json

NO_OBJECT = "INVALID_JSON"
"""The member that holds the text of arguments that are no JSON object, where the API has room for an object only."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One message: what is known of it before its answer begins. `id` has its prefix."""

    id: str
    model: str

    def begun(self) -> dict[str, Any]:
        """The message of which nothing has come. How many tokens the prompt has is told at the end."""
        return self._told([], {"stop_reason": None, "stop_sequence": None}, usage_members(None))

    def ended(self, parts: Parts) -> dict[str, Any]:
        """The whole message; raises StreamTruncated where the engine has not finished the answer."""
        return self._told([_whole_block(part) for part in parts.all], stop_members(parts), usage_members(parts.usage))

    def _told(self, content: list[dict[str, Any]], stop: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            **stop,
            "usage": usage,
        }


def block(part: Part) -> dict[str, Any]:
    """The block of a part that has just begun."""
    match part.kind:
        case "call":
            return {"type": "tool_use", "id": part.call_id, "name": part.name, "input": {}}
        case "reasoning":
            return {"type": "thinking", "thinking": "", "signature": ""}
    return {"type": "text", "text": ""}


def stop_members(parts: Parts) -> dict[str, Any]:
    """Why the answer ended, by what was in it; raises StreamTruncated where it has not."""
    finish, kinds = parts.finish(), {part.kind for part in parts.all}
    if finish.reason == "length":
        reason = "max_tokens"
    elif finish.reason == "content_filter" or "refusal" in kinds:
        reason = "refusal"
    elif "call" in kinds:
        reason = "tool_use"
    else:
        reason = "end_turn" if finish.stop is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": finish.stop}


def usage_members(usage: Usage | None) -> dict[str, Any]:
    """The tokens; of the prompt, those that were computed and those that were not stand apart."""
    usage = usage or Usage(0, 0)
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }


def _whole_block(part: Part) -> dict[str, Any]:
    empty = block(part)
    match part.kind:
        case "call":
            return empty | {"input": _input(part.text)}
        case "reasoning":
            return empty | {"thinking": part.text}
    return empty | {"text": part.text}


def _input(arguments: str) -> dict[str, Any]:
    try:
        value = read_json(arguments.encode("utf-8", "replace")) if arguments else {}
    except WireError:
        value = None
    return value if isinstance(value, dict) else {NO_OBJECT: arguments}
