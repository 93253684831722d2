"""How far the answers of a generation are, checked against what an engine promises (`headrace.engines.events`).

Clients keep answers and calls in lists by their numbers, and take the end of a stream without any finish reason for
success. So an engine that breaks its promise must fail visibly: nothing may come out that looks complete.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

from headrace.engines.events import EngineEvent, Finish, ToolCallDelta, Usage
from headrace.errors import InvalidItem, StreamTruncated

_EVENTS = get_args(EngineEvent)


class Progress:
    """The answers that are still open, and how the others ended.

    Attributes:
        n: how many answers there are.
        open: the indexes of answers that have no `Finish` yet.
        finishes: of the others, in the order in which they came.
        usage: None before the engine has told it.
    """

    def __init__(self, n: int) -> None:
        self.open = set(range(n))
        self.finishes: dict[int, Finish] = {}
        self.usage: Usage | None = None
        self.n = n
        self._calls = dict.fromkeys(range(n), 0)  # how many calls each answer has begun

    def take(self, event: EngineEvent) -> None:
        """Notes an event.

        Raises:
            InvalidItem: it must not come here.
        """
        if not isinstance(event, _EVENTS):
            raise InvalidItem(f"{type(event).__name__}, expected an event of an engine")
        if self.usage is not None:
            raise InvalidItem(f"{type(event).__name__} after the Usage, which is the last event")
        if isinstance(event, Usage):
            self.usage = event
            return
        if event.index not in self.open:
            raise InvalidItem(self._not_open(event))
        if isinstance(event, Finish):
            self.open.remove(event.index)
            self.finishes[event.index] = event
        elif isinstance(event, ToolCallDelta):
            self._take_call(event)

    def check_complete(self) -> None:
        """Raises StreamTruncated while an answer is open."""
        if self.open:
            raise unfinished(self.open)

    def _take_call(self, event: ToolCallDelta) -> None:
        begun = self._calls[event.index]
        if event.number > begun or event.number < 0:
            raise InvalidItem(f"a ToolCallDelta of call {event.number} where call {begun} is the next")
        is_new = event.number == begun
        if (event.id is not None) != is_new or (event.name is not None) != is_new:
            given = f"a ToolCallDelta of call {event.number} with id {event.id!r} and name {event.name!r}"
            raise InvalidItem(f"{given}: its first has both, the others neither")
        self._calls[event.index] += is_new

    def _not_open(self, event: EngineEvent) -> str:
        kind, index = type(event).__name__, getattr(event, "index", 0)
        if index in self.finishes:
            return f"{kind} of answer {index}, which has its Finish"
        return f"{kind} of answer {index}, of {self.n} that were asked for"


def unfinished(answers: Collection[int]) -> StreamTruncated:
    """The failure of an engine that stopped without the `Finish` of these answers."""
    which = "the answer" if answers == {0} else f"answer {min(answers)}"
    return StreamTruncated(f"the model stopped before {which} was finished; nothing says why")
