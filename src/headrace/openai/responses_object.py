"""The response object of `/v1/responses`, and the items of its output: one item for each part of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.engines.events import Usage
from headrace.openai.logprobs import logprobs_content
from headrace.openai.parts import Part, Parts


@dataclass(frozen=True, slots=True)
class Response:
    """One response: what is known of it before its answer begins.

    Attributes:
        id: without a prefix; those of its items are made of it.
        created: in seconds since 1970.
        request: members that repeat what was asked for.
    """

    id: str
    created: int
    request: Mapping[str, Any]

    def begun(self) -> dict[str, Any]:
        """The response object of an answer of which nothing has come."""
        return self._told("in_progress", Parts())

    def ended(self, parts: Parts) -> dict[str, Any]:
        """The response object of an answer at its end, complete or cut; raises StreamTruncated before it."""
        reason = _INCOMPLETE.get(parts.finish().reason)
        if reason is None:
            return self._told("completed", parts)
        return self._told("incomplete", parts, incomplete_details={"reason": reason})

    def failed(self, parts: Parts, code: str, message: str) -> dict[str, Any]:
        """The response object of an answer that failed, with what there is of it."""
        return self._told("failed", parts, error={"code": code, "message": message})

    def _told(self, status: str, parts: Parts, **members: Any) -> dict[str, Any]:
        return {
            "id": f"resp_{self.id}",
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            **self.request,
            "output": [self.item(part) for part in parts.all],
            "usage": parts.usage and _usage(parts.usage),
            **members,
        }

    def item_id(self, part: Part) -> str:
        """The id of a part's item."""
        return f"{_PREFIXES[part.kind]}_{self.id}_{part.number}"

    def item(self, part: Part) -> dict[str, Any]:
        """The item of a part, with what is in it now."""
        members: dict[str, Any]
        if part.kind == "call":
            members = {"type": "function_call", "call_id": part.call_id, "name": part.name, "arguments": part.text}
        elif part.kind == "reasoning":
            members = {"type": "reasoning", "summary": [], "content": [content(part)]}
        else:
            members = {"type": "message", "role": "assistant", "content": [content(part)]}
        return {"id": self.item_id(part), **members, "status": _STATUSES[part.state]}


def content(part: Part) -> dict[str, Any]:
    """The content of a message or of reasoning, with what is in it now."""
    match part.kind:
        case "text":
            logprobs = logprobs_content(part.logprobs)
            return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": logprobs}
        case "refusal":
            return {"type": "refusal", "refusal": part.text}
    return {"type": "reasoning_text", "text": part.text}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


_PREFIXES = {"text": "msg", "refusal": "msg", "reasoning": "rs", "call": "fc"}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_STATUSES = {"open": "in_progress", "complete": "completed", "cut": "incomplete"}
