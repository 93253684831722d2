"""The streams of `/v1/messages`: named events.

    message_start                    the message, empty
    content_block_start              for each part of the answer: its block, empty
    content_block_delta              ... and its pieces
    content_block_stop
    message_delta                    why it stopped, and the tokens
    message_stop

The tokens of the prompt are known when the engine tells them, which is at the end: `message_start` has 0, and the usage
of `message_delta`, which clients take for all of it, has the number. Thinking is not signed: its signature is empty.
"""

from __future__ import annotations

from typing import Any

from headrace.engines.events import EngineEvent
from headrace.openai.encoder import Streaming
from headrace.openai.json_text import json_text
from headrace.openai.messages_errors import failure_body
from headrace.openai.messages_reply import Reply, block, stop_members, usage_members
from headrace.openai.parts import Begun, Change, Grown, Parts
from headrace.wire.events import End, Failure
from headrace.wire.json_line import write_line
from headrace.wire.sse import record


class MessageEvents(Streaming):
    """An `Encoder` of engine events, of one message."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._parts = Parts()
        self._opened = False
        self._delta = b""  # the record of a piece of the open block, but for the piece

    def item(self, value: EngineEvent) -> bytes:
        """The records of what an engine's event changes, after the one that opens the message."""
        if piece := self._parts.lengthen(value):
            return self._delta % json_text(piece)
        changes = self._parts.add(value)
        return self._opening() + b"".join([self._changed(change) for change in changes]) if changes else b""

    def end(self, end: End) -> bytes:
        """Why the message stopped; raises StreamTruncated where the engine has not finished the answer."""
        delta, usage = stop_members(self._parts), usage_members(self._parts.usage)
        return self._opening() + _event("message_delta", delta=delta, usage=usage) + _event("message_stop")

    def failure(self, failure: Failure) -> bytes:
        """The record with the error, which is the last one."""
        return record(failure_body(failure), "error")

    def _opening(self) -> bytes:
        opened, self._opened = self._opened, True
        return b"" if opened else _event("message_start", message=self._reply.begun())

    def _changed(self, change: Change) -> bytes:
        part = change.part
        if isinstance(change, Grown):
            return self._delta % json_text(change.piece) if change.piece else b""
        if isinstance(change, Begun):
            kind, member = _DELTAS[part.kind]
            delta = b'{"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":%%b}}'
            self._delta = record(delta % (part.number, kind, member), "content_block_delta")
            return _event("content_block_start", index=part.number, content_block=block(part))
        return _event("content_block_stop", index=part.number)


def _event(name: str, /, **members: Any) -> bytes:
    return record(write_line({"type": name, **members}), name)


# The type of a block's deltas, and the member that has the piece.
_DELTAS = {
    "text": (b"text_delta", b"text"),
    "refusal": (b"text_delta", b"text"),
    "reasoning": (b"thinking_delta", b"thinking"),
    "call": (b"input_json_delta", b"partial_json"),
}
