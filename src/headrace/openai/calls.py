"""How function calls, the reasons why an answer ended, and the usage are told, streamed and gathered alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headrace.engines.events import Finish, ToolCallDelta, Usage
from headrace.errors import InvalidItem


@dataclass(frozen=True, slots=True)
class Calls:
    """How the function calls of an answer are told.

    Attributes:
        legacy: in the form of old, which has one call and no ids.
        forced: the request made the call certain. Then OpenAI's reason is `stop`.
    """

    legacy: bool = False
    forced: bool = False

    def delta(self, event: ToolCallDelta) -> dict[str, Any]:
        """The members of a chunk's delta; id, type and name stand in the first one of each call only."""
        function = {"arguments": event.arguments}
        if event.name is not None:
            function = {"name": event.name, **function}
        if self.legacy:
            return {"function_call": self._only(event.number, function)}
        first = {} if event.id is None else {"id": event.id, "type": "function"}
        return {"tool_calls": [{"index": event.number, **first, "function": function}]}

    def members(self, calls: list[dict[str, Any]]) -> dict[str, Any]:
        """The members of a whole message; none without calls."""
        if not calls:
            return {}
        if self.legacy:
            return {"function_call": self._only(len(calls) - 1, calls[0]["function"])}
        return {"tool_calls": calls}

    def reason(self, finish: Finish) -> str:
        """Why the answer ended."""
        if finish.reason != "tool_calls":
            return finish.reason
        if self.forced:
            return "stop"
        return "function_call" if self.legacy else "tool_calls"

    @staticmethod
    def _only(last: int, function: dict[str, Any]) -> dict[str, Any]:
        if last > 0:
            raise InvalidItem("a second function call, where functions were offered in the form that has only one")
        return function


def usage_members(usage: Usage) -> dict[str, Any]:
    """The tokens of all answers."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
