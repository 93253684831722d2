"""The calls of one function that wait for a batch, for one instance and one event loop.

A batch is formed when it can run, not before: while all places are taken calls gather, so under load batches are
full. Calls are taken from the front, in the order in which they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from functools import partial
from itertools import islice
from typing import Any

from headrace.batching.members import Member
from headrace.batching.meter import Meter
from headrace.batching.policy import Choice, Policy
from headrace.batching.run import Run, Work
from headrace.batching.surroundings import SURROUNDINGS, Surroundings
from headrace.errors import Overloaded


class Queue:
    """The calls that wait, and the batches that run.

    At rest, when nothing waits or runs, it refers to neither the instance nor the event loop.

    Args:
        work: the function.
        policy: gives what holds for the next batch; asked when that begins to form.
        rest: called when nothing waits or runs any more, with what was passed to `submit` last.
    """

    def __init__(self, work: Work, policy: Callable[[], Policy], rest: Callable[[tuple[Any, ...]], None]) -> None:
        self._work = work
        self._sample = policy
        self._rest = rest
        self._policy: Policy | None = None  # of the batch that forms
        self._waiting: dict[Member, None] = {}  # in the order in which they came
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._bound: tuple[Any, ...] = ()
        self._surroundings: Surroundings | None = None
        self._meter: Meter | None = None

    @property
    def rests(self) -> bool:
        """Whether nothing waits or runs."""
        return not (self._waiting or self._running)

    def submit(self, member: Member, bound: tuple[Any, ...], surroundings: Surroundings | None) -> None:
        """A call, which waits from now on.

        Args:
            member: the call.
            bound: what the function takes before its lists: the instance, or nothing.
            surroundings: of the code that calls.

        Raises:
            Overloaded: too many wait already.
            ValueError: it is larger than a batch may be.
            Exception: what measuring it raised.
        """
        if len(self._waiting) >= self._work.max_waiting:
            raise Overloaded(f"{len(self._waiting)} calls of {self._work.name} wait already; try again later")
        policy = self._policy or self._sample()
        if self._work.measure is not None and self._work.size([member.values]) > policy.max_batch_size:
            raise self._too_large(member, policy)
        self._policy, self._bound = policy, bound
        if self._surroundings is None and surroundings is not None:
            self._surroundings, self._meter = surroundings, Meter(surroundings.metrics, self._work.name)
        member.place = self
        self._waiting[member] = None
        if self._meter is not None:
            self._meter.waiting(1)
        self._look(arrived=True)

    def left(self, member: Member) -> None:
        """See `Place.left`."""
        if member in self._waiting:
            self._remove([member])
        if not member.loop.is_closed():
            self._look()

    def has_room(self) -> None:
        """See `Place.has_room`; nothing was sent to a member that waits."""

    def _look(self, *, arrived: bool = False) -> None:
        """Starts what can run now, and sets the timer for what may run later.

        Args:
            arrived: a call came just now, and others may come in the same pass of the event loop.
        """
        while self._waiting and len(self._running) < self._work.max_concurrent_batches:
            policy = self._policy = self._policy or self._sample()
            oldest = next(iter(self._waiting))
            choice = self._choose(policy)
            if choice is None:
                continue
            if choice.count == 0:
                self._refuse(oldest, self._too_large(oldest, policy))
                continue
            wait = policy.wait(choice, oldest.loop.time() - oldest.since)
            if wait > 0 or (arrived and not choice.full):
                if self._timer is None:
                    self._timer = oldest.loop.call_later(wait, self._timed)
                return
            members = list(islice(self._waiting, choice.count))
            if gone := [member for member in members if not member.live]:  # a moment ago; `left` is still to come
                self._remove(gone)
            else:
                self._start(members, choice.size / policy.max_batch_size)
        if not self._waiting:
            self._policy = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if not self._running:
                bound, self._bound = self._bound, ()
                self._surroundings = self._meter = None
                self._rest(bound)

    def _timed(self) -> None:
        self._timer = None
        self._look()

    def _choose(self, policy: Policy) -> Choice | None:
        """The next batch; None where a call could not be measured with the others: it has failed."""
        if self._work.measure is None:
            return policy.take(len(self._waiting))

        def measure(count: int) -> float:
            return self._work.size([each.values for each in islice(self._waiting, count)])

        try:
            return policy.take(len(self._waiting), measure)
        except Exception:
            for count, member in enumerate(self._waiting, 1):
                try:
                    measure(count)
                except Exception as error:
                    self._refuse(member, error)
                    break
            return None

    def _start(self, members: list[Member], utilisation: float) -> None:
        self._remove(members)
        self._policy = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = members[0].loop
        now = loop.time()
        if self._meter is not None:
            self._meter.started((now - each.since for each in members), utilisation)
        context = Context()
        context.run(SURROUNDINGS.set, self._surroundings)
        task = Run(self._work, self._bound, members).start(context)
        self._running.add(task)
        task.add_done_callback(partial(self._ended, loop, now))

    def _ended(self, loop: asyncio.AbstractEventLoop, started: float, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._meter is not None:
            self._meter.ended(loop.time() - started)
        if not task.cancelled():
            task.result()  # a run fails its members, and does not fail itself
        self._look()

    def _remove(self, members: list[Member]) -> None:
        for member in members:
            del self._waiting[member]
        if self._meter is not None:
            self._meter.waiting(-len(members))

    def _refuse(self, member: Member, error: Exception) -> None:
        self._remove([member])
        member.fail(error)

    def _too_large(self, member: Member, policy: Policy) -> ValueError:
        size = self._work.size([member.values])
        most = policy.max_batch_size
        return ValueError(
            f"a call of {self._work.name} has the size {size:g}, and a batch holds max_batch_size={most}:"
            f" send less, or raise max_batch_size"
        )
