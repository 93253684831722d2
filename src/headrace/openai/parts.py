"""An answer as parts that come one after the other: reasoning, text, a refusal, function calls.

Some APIs tell an answer as items or blocks, each opened, filled and closed before the next one; an engine may mix its
deltas, as an upstream does that writes two calls at once. So what does not belong to an open call waits until that
call's arguments are a whole JSON object, which nothing can follow, or until the answer is over. Text and reasoning wait
for nothing: whatever comes next ends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeAlias

from headrace.engines.events import (
    EngineEvent,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from headrace.errors import AnswerTooLarge, InvalidItem, WireError
from headrace.openai.progress import Progress
from headrace.wire.json_line import read_json

Kind: TypeAlias = Literal["reasoning", "text", "refusal", "call"]
State: TypeAlias = Literal["open", "complete", "cut"]

MAX_WAITING = 1024
"""Events that wait for an open call; with more, the call counts as complete."""

MAX_CHARACTERS = 16 * 1024 * 1024
"""Of one answer; a token of which only the probabilities are told counts as one."""


@dataclass(slots=True, eq=False)
class Part:
    """One part of an answer. It grows until it is closed.

    Attributes:
        number: its place in the answer, from 0.
        call: the call's number among the calls; -1 of a part that is none.
        call_id: the id that the engine gave the call; `name`: of the function.
        pieces: of the text, or of the JSON text of the arguments.
        state: `cut`: the answer ended in the middle of it.
    """

    kind: Kind
    number: int
    call: int = -1
    call_id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    state: State = "open"

    @property
    def text(self) -> str:
        """All of it that has come."""
        return "".join(self.pieces)


class Begun(NamedTuple):
    """A part was opened: the part as it was then, with nothing in it."""

    part: Part


class Grown(NamedTuple):
    """An open part has got another piece."""

    part: Part
    piece: str
    logprobs: Sequence[TokenLogprob] = ()


class Ended(NamedTuple):
    """A part was closed."""

    part: Part


Change: TypeAlias = Begun | Grown | Ended
Delta: TypeAlias = TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta


class Parts:
    """The parts of one answer, fed with the engine's events.

    Attributes:
        all: the parts so far; at most the last one is open.
        open: the one that is not closed yet.
    """

    def __init__(self) -> None:
        self.all: list[Part] = []
        self.open: Part | None = None
        self._progress = Progress(1)
        self._waiting: list[Delta] = []
        self._room = MAX_CHARACTERS
        self._looked_at = 0  # pieces of the open call when its arguments were last found unfinished

    @property
    def usage(self) -> Usage | None:
        """None where the engine has not told it."""
        return self._progress.usage

    def finish(self) -> Finish:
        """How the answer ended; raises StreamTruncated where it has not."""
        self._progress.check_complete()
        return self._progress.finishes[0]

    def break_off(self) -> None:
        """The answer has failed: what is open stays as it is."""
        if self.open is not None:
            self.open.state = "cut"

    def add(self, event: EngineEvent) -> list[Change]:
        """What an event changes, in order.

        Raises:
            InvalidItem: it must not come here (`engines.events`).
            AnswerTooLarge: the answer is longer than any that a client could want.
        """
        self._progress.take(event)
        changes: list[Change] = []
        if isinstance(event, Finish):
            self._release(changes)
            self._close(changes, "cut" if event.reason in ("length", "content_filter") else "complete")
        elif not isinstance(event, Usage):
            self._admit(event, changes)
        return changes

    def lengthen(self, event: EngineEvent) -> str:
        """Takes an event that does nothing but lengthen the open text, and returns the piece.

        Empty for any other event, which is not taken. Nearly all are of this kind, and `add` costs several times as
        much.
        """
        part = self.open
        if part is None or part.kind != "text" or not isinstance(event, TextDelta) or event.logprobs or event.index:
            return ""
        if not 0 < len(event.text) <= self._room:
            return ""
        self._room -= len(event.text)
        part.pieces.append(event.text)
        return event.text

    def _admit(self, event: Delta, changes: list[Change]) -> None:
        """Takes an event now, or lets it wait."""
        if self._must_wait(event):
            self._waiting.append(event)
            if len(self._waiting) >= MAX_WAITING:
                self._release(changes)
            return
        self._take(event, changes)
        if self._waiting and self._is_complete():
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                self._admit(each, changes)

    def _must_wait(self, event: Delta) -> bool:
        part = self.open
        return part is not None and part.kind == "call" and not _belongs(event, part) and not self._is_complete()

    def _is_complete(self) -> bool:
        """Whether the open part is a call with all its arguments."""
        part = self.open
        if part is None or part.kind != "call" or len(part.pieces) == self._looked_at:
            return False
        self._looked_at = len(part.pieces)
        try:
            complete = isinstance(read_json(part.text.encode("utf-8", "replace")), dict)
        except WireError:
            return False
        if complete:
            self._looked_at = 0
        return complete

    def _take(self, event: Delta, changes: list[Change]) -> None:
        piece, logprobs = _content(event)
        part = self.open
        if part is None or not _belongs(event, part):
            if not piece and not logprobs and not _begins_call(event):
                return  # nothing comes, so nothing is opened for it
            self._close(changes)
            part = self._begin(event)
            changes.append(Begun(replace(part, pieces=[], logprobs=[])))
        if piece or logprobs:
            self._room -= max(len(piece), len(logprobs))
            if self._room < 0:
                raise AnswerTooLarge
            part.pieces.append(piece)
            part.logprobs += logprobs
            changes.append(Grown(part, piece, logprobs))

    def _begin(self, event: Delta) -> Part:
        part = Part(_kind(event), len(self.all))
        if isinstance(event, ToolCallDelta):
            calls = sum(each.kind == "call" for each in self.all)
            if event.number != calls:
                raise InvalidItem(f"a delta of call {event.number} after {calls} calls were complete")
            part.call, part.call_id, part.name = event.number, event.id or "", event.name or ""
        self.all.append(part)
        self.open = part
        self._looked_at = 0
        return part

    def _close(self, changes: list[Change], state: State = "complete") -> None:
        part, self.open = self.open, None
        if part is not None:
            part.state = state
            changes.append(Ended(part))

    def _release(self, changes: list[Change]) -> None:
        """Takes all that waits, what belongs together at once."""
        waiting, self._waiting = self._waiting, []
        while waiting:
            self._take(waiting[0], changes)
            part, rest = self.open, waiting[1:]
            waiting = []
            for each in rest:
                if part is not None and _belongs(each, part):
                    self._take(each, changes)
                else:
                    waiting.append(each)


def _kind(event: Delta) -> Kind:
    return _KINDS[type(event)]


_KINDS: dict[type[Delta], Kind] = {
    TextDelta: "text",
    ReasoningDelta: "reasoning",
    RefusalDelta: "refusal",
    ToolCallDelta: "call",
}


def _belongs(event: Delta, part: Part) -> bool:
    if isinstance(event, ToolCallDelta):
        return event.number == part.call
    return _kind(event) == part.kind


def _content(event: Delta) -> tuple[str, Sequence[TokenLogprob]]:
    """The piece that an event brings, and its logprobs."""
    if isinstance(event, ToolCallDelta):
        return event.arguments, ()
    return event.text, event.logprobs if isinstance(event, TextDelta) else ()


def _begins_call(event: Delta) -> bool:
    return isinstance(event, ToolCallDelta) and event.id is not None
