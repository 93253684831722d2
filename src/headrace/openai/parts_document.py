"""Whole answers of the APIs that tell them in parts: one JSON document when everything is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.engines.events import EngineEvent
from headrace.openai.encoder import Gathering
from headrace.openai.parts import Parts
from headrace.wire.events import End
from headrace.wire.json_line import write_line


class PartsDocument(Gathering):
    """An `Encoder` of engine events that keeps them until the end.

    Args:
        members: makes the document's members of the parts; raises StreamTruncated where the answer is not finished.
    """

    def __init__(self, members: Callable[[Parts], dict[str, Any]]) -> None:
        self._members = members
        self._parts = Parts()

    def item(self, value: EngineEvent) -> bytes:
        """Nothing yet."""
        self._parts.add(value)
        return b""

    def end(self, end: End) -> bytes:
        """The document; raises StreamTruncated where the engine has not finished the answer."""
        return write_line(self._members(self._parts))
