"""The boundary between two steps of a continuous batch: who leaves, who joins, and what reaches the callers.

It stands between two threads: callers come and go on the event loop, the function makes its steps elsewhere, or on the
loop as well. All that a step made goes to the loop in one hand-over, so the loop is woken once per step, and less often
where steps are faster than it. A caller that does not read holds up nobody; a loop that does not run is waited for.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from headrace.batching.admission import Admission
from headrace.batching.members import Member, StreamMember
from headrace.batching.slots import Made, Slot, Slots

STEPS_AHEAD = 32
"""Steps that may be made before the event loop takes them."""

LOOK_SECONDS = 0.5
"""How often a function that rests looks whether the event loop is still there."""

JUDGE_SECONDS = 1.0
"""How often it is looked at which of the paused callers are too slow."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A call: what it asks for, what that costs, its member, and when it came, by the clock that measures waits."""

    request: Any
    cost: float
    member: StreamMember
    since: float


class Boundary:
    """The members of one continuous batch, those that wait for a slot in it, and what was made for them.

    Args:
        loop: the callers'.
        admission: who may join.
        linger: seconds that it stays when nobody is left.

    Attributes:
        slots: the members of the present step.
        made: in the present step.
        news: guards what both sides use.
        tell: says that there may be something to do, with `news` held; who makes the steps may replace it.
        stepping_since: when the present step began, by the clock of who makes it; None between the steps.
        stopped: no further step is made, whoever is in it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, admission: Admission, linger: float) -> None:
        self.loop = loop
        self.slots: Slots[Any, Any] = Slots()
        self.made = Made()
        self.news = threading.Condition()
        self.tell: Callable[[], None] = self.news.notify_all
        self.stepping_since: float | None = None
        self.stopped = False
        self._admission = admission
        self._linger = linger
        self._idle_since: float | None = None
        self._waiting: dict[Member, Slot[Any, Any]] = {}  # in the order in which they came
        self._live: list[Slot[Any, Any]] = []
        self._gone = False  # somebody in it has left
        self._over = False  # nobody can join any more
        self._ready = Made()  # in earlier steps, for the loop to take
        self._steps_ahead = 0
        self._judgement = loop.call_later(JUDGE_SECONDS, self._judge)

    @property
    def waiting(self) -> int:
        """Calls that wait for a slot."""
        return len(self._waiting)

    # -- on the event loop

    def join(self, ask: Ask) -> bool:
        """Lets a call wait for its slot; False: it is too late."""
        with self.news:
            if self._over:
                return False
            ask.member.place = self
            self._waiting[ask.member] = Slot(ask.request, ask.cost, ask.since, ask.member, self.made)
            self.tell()
        return True

    def left(self, member: Member) -> None:
        """See `Place.left`: it waits no more, or its slot is gone at the next step."""
        with self.news:
            self._gone = self._waiting.pop(member, None) is None or self._gone
            self.tell()

    def has_room(self) -> None:
        """See `Place.has_room`: its slot is not paused any more."""
        with self.news:
            self.tell()

    def deliver(self) -> None:
        """Gives the members what was made for them."""
        with self.news:
            made = self._ready.take()
            self._steps_ahead = 0
            self.tell()
        sent: defaultdict[StreamMember, list[Any]] = defaultdict(list)
        for member, item in made.items:
            sent[member].append(item)
        for member, items in sent.items():
            if member.live:
                member.send_all(items)
        for member, error in made.endings:
            if not member.live:
                continue
            if error is None:
                member.finish()
            else:
                member.fail(error)

    def dismiss(self) -> None:
        """It does not stay when nobody is left."""
        with self.news:
            self._linger = 0.0
            self.tell()

    def stop(self) -> None:
        """No further step is made: the interpreter ends, and nobody is left to read."""
        with self.news:
            self.stopped = True
            self.tell()

    def close(self) -> None:
        """Nothing runs any more."""
        self._judgement.cancel()

    def _judge(self) -> None:
        """Gives up the callers that were paused for too long; some were given up when more was sent to them."""
        self._judgement = self.loop.call_later(JUDGE_SECONDS, self._judge)
        for slot in tuple(self._live):
            member = slot.member
            if member.live and member.behind and member.patience <= 0:
                member.give_up()
            if not member.live:
                self.left(member)

    # -- where the function runs

    def rest(self, now: float, *, lingers: bool) -> float | None:
        """Seconds that the function rests before it asks again; 0: a step is due; None: nobody is left.

        With `news` held.

        Args:
            now: in seconds.
            lingers: there is a generator, which stays for a while. If there is none, None means that it is over.
        """
        self._sweep()
        if self._admitted() or any(not slot.paused for slot in self._live):
            self._idle_since = None
            return 0.0
        if self._live or self._waiting:  # all are paused, and nobody can join
            return LOOK_SECONDS
        if not lingers:
            self._over = True
            return None
        self._idle_since = now if self._idle_since is None else self._idle_since
        seconds = self._idle_since + self._linger - now
        return seconds if seconds > 0 and not self._over else None

    def begin(self, now: float) -> list[Slot[Any, Any]]:
        """The next step: those join that have waited longest. Returns them."""
        with self.news:
            self._sweep()
            joined = [self._waiting.pop(member) for member in [*islice(self._waiting, self._admitted())]]
            self._live += joined
        self.slots.step(tuple(self._live), tuple(joined))
        self.stepping_since = now
        return joined

    def finish(self) -> bool:
        """The step is over: what it made is handed over. Returns whether the loop has to be told to take it."""
        self.stepping_since = None
        if not self.made:
            return False
        with self.news:
            if self.made.endings:
                self._live = [slot for slot in self._live if not slot.over]
            self._ready.add(self.made)
            self._steps_ahead += 1
            return self._steps_ahead == 1

    def is_ahead(self) -> bool:
        """Whether the loop has to catch up before the next step; with `news` held."""
        return self._steps_ahead >= STEPS_AHEAD

    def count(self) -> tuple[int, int, int]:
        """The calls that wait, the slots that are used, and how many of these are paused."""
        return len(self._waiting), len(self._live), sum(slot.paused for slot in self._live)

    def unfinished(self) -> list[Slot[Any, Any]]:
        """The slots whose callers wait for more."""
        return [slot for slot in self._live if not slot.over and slot.member.live]

    def end(self, error: BaseException | None = None) -> None:
        """Nobody can join any more; those that wait get the error."""
        with self.news:
            self._over = True
            waiting, self._waiting = self._waiting, {}
        if error is not None:
            for slot in waiting.values():
                slot.fail(error)

    def _sweep(self) -> None:
        if self._gone:
            self._gone = False
            self._live = [slot for slot in self._live if slot.member.live]

    def _admitted(self) -> int:
        """How many of those that wait may join."""
        if not self._waiting:
            return 0
        return self._admission.take((slot.cost for slot in self._waiting.values()), [slot.cost for slot in self._live])
