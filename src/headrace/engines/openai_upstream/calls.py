"""The function calls of one answer, assembled from whatever pieces an upstream sends.

By the letter, a call's first piece has its index, id and name, and the others have the index and more arguments.
Upstreams in use leave the index or the id out, repeat id and name in every piece, cut the name in pieces, send all
calls with index 0, give one id to several calls, send whole calls in one piece, or arguments that are no text but an
object. What a piece belongs to is decided by id, then by index, then by what is still open.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from headrace.engines.events import ToolCallDelta
from headrace.engines.refusals import UpstreamFailed

MAX_CALLS = 256
"""Calls of one answer."""


def new_id() -> str:
    """An id for a call that came without one."""
    return f"call_{secrets.token_hex(12)}"


class _Call:
    """One call. It is `told` once it had a delta; until then its name may grow."""

    def __init__(self, position: int | None, upstream_id: str) -> None:
        self.position = position
        self.upstream_id = upstream_id
        self.name = ""
        self.arguments: list[str] = []
        self.number: int | None = None
        self.told = 0  # pieces of the arguments

    def names(self, piece: str) -> None:
        if self.number is None and piece != self.name:
            self.name += piece

    def continued_by(self, name: str, arguments: str) -> bool:
        """Whether a piece with this name, and nothing else to know it by, can be more of this call."""
        if not (name and self.name and self.arguments):
            return True
        return name == self.name and not (arguments and self._is_complete())

    def _is_complete(self) -> bool:
        if not self.arguments[-1].rstrip().endswith("}"):  # most pieces are not the last one; this sees them at once
            return False
        try:
            json.loads("".join(self.arguments))
        except (ValueError, RecursionError):
            return False
        return True


class Calls:
    """The calls of one answer: pieces in, deltas out that are numbered from 0 and have id and name once.

    A call's first delta comes with its arguments, since until then its name may grow. `pieces`: how many came.
    """

    def __init__(self, index: int, new_id: Callable[[], str] = new_id) -> None:
        self._index = index
        self._new_id = new_id
        self._calls: list[_Call] = []
        self._numbered = 0
        self._ids: set[str] = set()
        self.pieces = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, piece: Mapping[str, Any]) -> Iterator[ToolCallDelta]:
        """The deltas that an element of `tool_calls` makes; `{"function": ...}` is the form of the old `function_call`.

        Raises:
            UpstreamFailed: there are too many.
        """
        function = piece.get("function")
        function = function if isinstance(function, Mapping) else {}
        position = piece.get("index")
        position = position if type(position) is int else None
        upstream_id, name = _text(piece.get("id")), _text(function.get("name"))
        arguments = _arguments(function.get("arguments"))
        if not (upstream_id or name or arguments):
            return
        self.pieces += 1
        call = self._found(position, upstream_id, name, arguments)
        if call is None:
            yield from self.end()  # those that are waiting for their arguments have none
            call = _Call(position, upstream_id)
            self._calls.append(call)
            if len(self._calls) > MAX_CALLS:
                raise UpstreamFailed(f"the model's answer has more than {MAX_CALLS} function calls")
        call.upstream_id = call.upstream_id or upstream_id
        call.names(name)
        if arguments:
            call.arguments.append(arguments)
            yield from self._told(call)

    def end(self) -> Iterator[ToolCallDelta]:
        """The deltas of the calls that have no arguments."""
        for call in self._calls:
            if call.number is None:
                yield from self._told(call)

    @property
    def nameless(self) -> bool:
        """Whether there is a call of which nobody knows the function."""
        return any(not call.name for call in self._calls)

    def _found(self, position: int | None, upstream_id: str, name: str, arguments: str) -> _Call | None:
        """The call that a piece belongs to; None: it is a new one."""
        latest = list(reversed(self._calls))
        at = next((call for call in latest if call.position == position), None) if position is not None else None
        if upstream_id:
            same = next((call for call in latest if call.upstream_id == upstream_id), None)
            if same is not None and (position is None or same.position == position):
                return same if same.continued_by(name, arguments) else None
            if at is not None and (same is not None or not at.upstream_id):
                return at
            return None
        if position is not None:
            return at if at is not None and at.continued_by(name, arguments) else None
        return latest[0] if latest and latest[0].continued_by(name, arguments) else None

    def _told(self, call: _Call) -> Iterator[ToolCallDelta]:
        if not call.name:
            return
        news = "".join(call.arguments[call.told :])
        call.told = len(call.arguments)
        if call.number is not None:
            yield ToolCallDelta(call.number, news, index=self._index)
            return
        call.number, self._numbered = self._numbered, self._numbered + 1
        id_ = call.upstream_id if call.upstream_id and call.upstream_id not in self._ids else self._new_id()
        self._ids.add(id_)
        yield ToolCallDelta(call.number, news, id=id_, name=call.name, index=self._index)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
