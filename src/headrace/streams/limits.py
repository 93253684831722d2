"""Places to run in, and a queue in front of them. Both have a size; whoever finds both full is refused at once.

Before that, those leave a full queue who cannot make their deadline from where they stand, going by how long places
were held of late: to wait on would serve nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from headrace.errors import DeadlineExceeded, Overloaded

Turn: TypeAlias = "asyncio.Future[None]"
"""Done without an exception: the holder has a place. Whoever gives up sets an exception on it, or cancels it."""


RECENT = 0.2
"""The weight of the last holder in the mean time that a place is held."""


class Places:
    """At most `running` holders at a time and at most `waiting` behind them, in order of arrival.

    Belongs to one event loop. Every turn that `ask` returned must come back through `give_back`, whatever became of it.

    Args:
        clock: what deadlines were measured with, in seconds.
    """

    def __init__(self, running: int, waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = running
        self._waiting_limit = waiting
        self._clock = clock
        self._queue: OrderedDict[Turn, None] = OrderedDict()  # whoever leaves it may stand anywhere
        self._deadlines: dict[Turn, float] = {}  # of those that wait
        self._since: dict[Turn, float] = {}  # when those that hold a place got it
        self._held: float | None = None  # seconds that a place is held, on average
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._queue)

    def ask(self, deadline: float | None = None) -> Turn:
        """A turn: done already if a place is free, otherwise to be awaited, which may raise DeadlineExceeded.

        Args:
            deadline: until when a place is of use, by `clock`; None: always.

        Raises:
            Overloaded: every place is taken and the queue is full.
        """
        if self.running >= self._limit and len(self._queue) >= self._waiting_limit:
            self._shed()
        if self.running >= self._limit and len(self._queue) >= self._waiting_limit:
            raise Overloaded(
                f"all {self._limit} places are taken and {len(self._queue)} requests wait; try again later"
            )
        turn = asyncio.get_running_loop().create_future()
        if self.running < self._limit:
            self.running += 1
            self._grant(turn)
        else:
            self._queue[turn] = None
            if deadline is not None:
                self._deadlines[turn] = deadline
        return turn

    def give_back(self, turn: Turn) -> None:
        """Ends a turn: frees its place for the first in the queue, or leaves the queue if it had none yet."""
        since = self._since.pop(turn, None)
        if since is not None:
            held = self._clock() - since
            self._held = held if self._held is None else self._held + RECENT * (held - self._held)
            self._pass_on()
            return
        self._deadlines.pop(turn, None)
        self._queue.pop(turn, None)

    def _grant(self, turn: Turn) -> None:
        self._deadlines.pop(turn, None)
        self._since[turn] = self._clock()
        turn.set_result(None)

    def _pass_on(self) -> None:
        while self._queue:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                self._grant(turn)
                return
        self.running -= 1

    def _shed(self) -> None:
        """Takes those out of the queue who cannot make it, as far as one can say."""
        if self._held is None or not self._deadlines:
            return
        now, staying = self._clock(), 0
        for turn in tuple(self._queue):
            until = now + self._held * (staying + 1) / self._limit
            if not turn.done() and until > self._deadlines.get(turn, until):
                turn.set_exception(DeadlineExceeded("the deadline cannot be met from this place in the queue"))
                del self._queue[turn]
            else:
                staying += 1
