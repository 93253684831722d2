"""Deadlines: how long a stream may take, and how long it may be silent.

One timer per stream, and only where there is something to watch. It looks at the number of items and at the clock, ten
times per timeout, so an item costs nothing; whoever is late is told within the timeout and a tenth of it, and never
early. While a write waits for the peer, the generator is not silent: it is the peer who is slow.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from headrace.errors import DeadlineExceeded, FirstItemTimeout, ItemTimeout, StreamError
from headrace.streams.stream import Stream

LOOKS = 10
"""Looks per timeout."""

SHORTEST = 0.001
"""Seconds between two looks, at least: timers are not finer."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """What an endpoint promises, in seconds; None: no bound.

    Attributes:
        first_item: from the start of the run to the first item.
        item: from one item to the next, and from the last one to the end. Where `first_item` is None, it holds for the
            first item too.
        total: from the request to the end of the answer, the time in the queue included.
    """

    first_item: float | None = None
    item: float | None = None
    total: float | None = None

    def deadline(self, now: float, asked: float | None = None) -> float | None:
        """When the answer must be complete: the earlier of `total` and what the client asked for; None: never."""
        given = [each for each in (self.total, asked) if each is not None]
        return now + min(given) if given else None


class Deadlines:
    """Stops a stream that is late, until stopped itself. Costs nothing where there is no bound.

    Args:
        stream: about to run.
        timeouts: of its endpoint; `total` is part of `deadline` already.
        deadline: when the stream must be complete, by `clock`; None: never.
        clock: what `deadline` was measured with.
    """

    def __init__(
        self, stream: Stream, timeouts: Timeouts, deadline: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._timeouts = timeouts
        self._deadline = math.inf if deadline is None else deadline
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        watched = [each for each in (timeouts.first_item, timeouts.item) if each is not None]
        if not watched and deadline is None:
            return
        self._step = max(min(watched, default=math.inf) / LOOKS, SHORTEST)
        self._items = 0
        self._since = clock()  # when it was last seen not to be silent
        self._look()

    def stop(self) -> None:
        """No further look."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now = self._clock()
        items = self._stream.items
        if items != self._items or self._stream.outlet.paused:
            self._items, self._since = items, now
        silence = self._silence()
        if error := self._late(now, silence):
            self._stream.cancel(error)
            return
        due = min(self._deadline, math.inf if silence is None else min(self._since + silence, now + self._step))
        if due < math.inf:
            self._timer = asyncio.get_running_loop().call_later(max(due - now, SHORTEST), self._look)

    def _late(self, now: float, silence: float | None) -> StreamError | None:
        if now >= self._deadline:
            return DeadlineExceeded()
        if silence is None or now < self._since + silence:
            return None
        if self._items == 0 and self._timeouts.first_item is not None:
            return FirstItemTimeout(f"the first item did not come within {silence:g} s")
        return ItemTimeout(f"no item came for {silence:g} s")

    def _silence(self) -> float | None:
        """How long the stream may be silent now."""
        if self._items == 0 and self._timeouts.first_item is not None:
            return self._timeouts.first_item
        return self._timeouts.item
