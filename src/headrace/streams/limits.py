"""Places to run in, and a queue in front of them. Both have a size; whoever finds both full is refused at once."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeAlias

from headrace.errors import Overloaded

Turn: TypeAlias = "asyncio.Future[None]"
"""Done without an exception: the holder has a place. Whoever gives up sets an exception on it, or cancels it."""


class Places:
    """At most `running` holders at a time and at most `waiting` behind them, in order of arrival.

    Belongs to one event loop. Every turn that `ask` returned must come back through `give_back`, whatever became of it.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._limit = running
        self._waiting_limit = waiting
        self._queue: deque[Turn] = deque()
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._queue)

    def ask(self) -> Turn:
        """A turn: done already if a place is free, otherwise to be awaited.

        Raises:
            Overloaded: every place is taken and the queue is full.
        """
        if self.running >= self._limit and len(self._queue) >= self._waiting_limit:
            raise Overloaded(
                f"all {self._limit} places are taken and {len(self._queue)} requests wait; try again later"
            )
        turn = asyncio.get_running_loop().create_future()
        if self.running < self._limit:
            self.running += 1
            turn.set_result(None)
        else:
            self._queue.append(turn)
        return turn

    def give_back(self, turn: Turn) -> None:
        """Ends a turn: frees its place for the first in the queue, or leaves the queue if it had none yet."""
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._pass_on()
        elif turn in self._queue:
            self._queue.remove(turn)

    def _pass_on(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.running -= 1
