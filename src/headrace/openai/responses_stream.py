"""The streams of `/v1/responses`: typed events in the order that clients check.

Each record has the event's name both as `event:` and as `type`, and its place in the stream as `sequence_number`, from
0. There is no sentinel: the stream is complete with `response.completed` or `response.incomplete`, and not before. A
failure is told as `response.failed`, with what there was of the output, and then as `error`: clients that look for the
response's own end find it, and those that raise on an error object raise.
"""

from __future__ import annotations

from typing import Any

from headrace.engines.events import EngineEvent
from headrace.openai.encoder import Streaming
from headrace.openai.json_text import json_text
from headrace.openai.logprobs import logprobs_content
from headrace.openai.parts import Begun, Change, Grown, Part, Parts
from headrace.openai.refusals import MESSAGE_CHARACTERS
from headrace.openai.responses_object import Response, content
from headrace.services.refusals import shortened
from headrace.wire.events import End, Failure
from headrace.wire.json_line import write_line
from headrace.wire.sse import record


class ResponseEvents(Streaming):
    """An `Encoder` of engine events, of one response."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._parts = Parts()
        self._sequence = 0
        self._delta = b""  # the record of a piece of the open part, but for its number, the piece and its logprobs

    def item(self, value: EngineEvent) -> bytes:
        """The records of what an engine's event changes, after those that open the response."""
        if piece := self._parts.lengthen(value):
            sequence, self._sequence = self._sequence, self._sequence + 1
            return self._delta % (sequence, json_text(piece), b"[]")
        changes = self._parts.add(value)
        return self._opening() + b"".join([self._changed(change) for change in changes]) if changes else b""

    def end(self, end: End) -> bytes:
        """The response as a whole; raises StreamTruncated where the engine has not finished the answer."""
        response = self._response.ended(self._parts)
        return self._opening() + self._event(f"response.{response['status']}", response=response)

    def failure(self, failure: Failure) -> bytes:
        """What there was of the response, and the error."""
        self._parts.break_off()
        code = "rate_limit_exceeded" if failure.code == "rate_limited" else "server_error"
        message = shortened(failure.message, MESSAGE_CHARACTERS)
        error = {"code": failure.code, "message": message, "param": None}
        return (
            self._opening()
            + self._event("response.failed", response=self._response.failed(self._parts, code, message))
            + self._event("error", **error, error={"type": "server_error", **error})
        )

    def _opening(self) -> bytes:
        if self._sequence:
            return b""
        response = self._response.begun()
        created = self._event("response.created", response=response)
        return created + self._event("response.in_progress", response=response)

    def _changed(self, change: Change) -> bytes:
        if isinstance(change, Grown):
            return self._grown(change)
        return self._begun(change.part) if isinstance(change, Begun) else self._ended(change.part)

    def _begun(self, part: Part) -> bytes:
        place, item = self._place(part), self._response.item(part)
        self._delta = _delta(part, place)
        if part.kind == "call":
            return self._event("response.output_item.added", output_index=part.number, item=item)
        added = self._event("response.output_item.added", output_index=part.number, item=item | {"content": []})
        return added + self._event("response.content_part.added", **place, part=content(part))

    def _grown(self, change: Grown) -> bytes:
        sequence, self._sequence = self._sequence, self._sequence + 1
        if change.part.kind != "text":
            return self._delta % (sequence, json_text(change.piece))
        logprobs = write_line(logprobs_content(change.logprobs)) if change.logprobs else b"[]"
        return self._delta % (sequence, json_text(change.piece), logprobs)

    def _ended(self, part: Part) -> bytes:
        place, item = self._place(part), self._response.item(part)
        whole = item if part.kind == "call" else content(part)
        done = self._event(f"{_STEMS[part.kind]}.done", **place, **{name: whole[name] for name in _TOLD[part.kind]})
        if part.kind != "call":
            done += self._event("response.content_part.done", **place, part=whole)
        return done + self._event("response.output_item.done", output_index=part.number, item=item)

    def _place(self, part: Part) -> dict[str, Any]:
        place = {"item_id": self._response.item_id(part), "output_index": part.number}
        return place if part.kind == "call" else {**place, "content_index": 0}

    def _event(self, name: str, /, **members: Any) -> bytes:
        sequence, self._sequence = self._sequence, self._sequence + 1
        return record(write_line({"type": name, "sequence_number": sequence, **members}), name)


def _delta(part: Part, place: dict[str, Any]) -> bytes:
    name = f"{_STEMS[part.kind]}.delta"
    constant = write_line(place)[1:-1]
    logprobs = b',"logprobs":%b' if part.kind == "text" else b""
    return record(
        b'{"type":"' + name.encode() + b'","sequence_number":%d,' + constant + b',"delta":%b' + logprobs + b"}", name
    )


_STEMS = {
    "text": "response.output_text",
    "refusal": "response.refusal",
    "reasoning": "response.reasoning_text",
    "call": "response.function_call_arguments",
}

# The members of a part that its own `done` event tells.
_TOLD = {"text": ("text", "logprobs"), "refusal": ("refusal",), "reasoning": ("text",), "call": ("name", "arguments")}
