"""The continuous batch of one instance on one event loop: made when somebody calls, gone soon after the last has left.

At rest it refers to neither the instance nor the event loop. What stays is what must not be forgotten meanwhile: how
often the function has failed.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from headrace.batching.admission import Admission
from headrace.batching.boundary import Ask, Boundary
from headrace.batching.members import StreamMember
from headrace.batching.restarts import RESTARTS, WITHIN, Restarts
from headrace.batching.step_meter import StepMeter
from headrace.batching.stepping import Stepping, Work
from headrace.batching.surroundings import Surroundings
from headrace.errors import Overloaded, StreamError, WorkerLost

TOO_OFTEN = f"it has failed {RESTARTS + 1} times within {WITHIN:g} s"

logger = logging.getLogger("headrace.batching")


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for all batches of one function.

    Attributes:
        name: of the function.
        stepping: how it is advanced.
        admission: who joins a batch.
        max_waiting: calls that may wait for a slot.
        linger: seconds that its generator stays when nobody is left.
        step_timeout: seconds that a step may take before the function counts as stuck.
    """

    name: str
    stepping: type[Stepping]
    admission: Admission
    max_waiting: int
    linger: float
    step_timeout: float


class Lane:
    """The calls of one function on one instance, from one event loop.

    Args:
        plan: what holds for them.
        rest: called when nothing runs any more, with the function that was passed to `submit`.
        clock: in seconds.
    """

    def __init__(
        self, plan: Plan, rest: Callable[[partial[Any]], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan = plan
        self._rest = rest
        self._clock = clock
        self._restarts = Restarts()
        self._boundary: Boundary | None = None

    @property
    def rests(self) -> bool:
        """Whether nobody waits and nothing runs."""
        return self._boundary is None

    @property
    def healthy(self) -> bool:
        """Whether calls have a chance: the function does not fail over and over, and is not stuck in a step."""
        now = self._clock()
        since = None if self._boundary is None else self._boundary.stepping_since
        stuck = since is not None and now - since >= self._plan.step_timeout
        return not (stuck or self._restarts.wait(now))

    def submit(
        self,
        make: partial[Any],
        request: Any,
        cost: float,
        member: StreamMember,
        surroundings: Surroundings | None,
    ) -> None:
        """Lets a call wait for its slot; on its event loop.

        Args:
            make: the function, with its instance bound.
            request: what the call asks for.
            cost: of the request.
            member: the call.
            surroundings: of the code that calls.

        Raises:
            Overloaded: too many wait, or the function has failed too often to be started again yet.
        """
        ask = Ask(request, cost, member, self._clock())
        seconds = self._restarts.wait(ask.since)
        if seconds:
            raise self._broken(seconds)
        boundary = self._boundary
        if boundary is not None and boundary.waiting >= self._plan.max_waiting:
            raise Overloaded(f"{boundary.waiting} calls of {self._plan.name} wait already; try again later")
        if boundary is None or not boundary.join(ask):
            boundary = self._boundary = Boundary(member.loop, self._plan.admission, self._plan.linger)
            boundary.join(ask)
            self._start(boundary, make, surroundings)

    def close(self) -> None:
        """Those who are in it and who wait may finish; then nothing lingers."""
        if self._boundary is not None:
            self._boundary.dismiss()

    def _start(self, boundary: Boundary, make: partial[Any], surroundings: Surroundings | None) -> None:
        def closed() -> None:
            if self._boundary is boundary:
                self._boundary = None
                self._rest(make)

        if surroundings is not None:
            surroundings.continuous.add(self)
        name = self._plan.name
        meter = StepMeter(None if surroundings is None else surroundings.metrics, name)
        work = Work(name, make, self._failed, closed)
        self._plan.stepping(work, boundary, meter, self._clock).start()

    def _failed(self, error: BaseException, lost: int) -> tuple[BaseException, BaseException | None]:
        """See `Work.failed`."""
        name, now = self._plan.name, self._clock()
        self._restarts.count(now)
        seconds = self._restarts.wait(now)
        then = f"it is not started for {math.ceil(seconds)} s: {TOO_OFTEN}" if seconds else "it starts afresh"
        logger.error("%s failed with %d calls in its slots; %s", name, lost, then, exc_info=error)
        return _told(error), self._broken(seconds) if seconds else None

    def _broken(self, seconds: float) -> Overloaded:
        return Overloaded(f"{self._plan.name} is not started: {TOO_OFTEN}", retry_after=math.ceil(seconds))


def _told(error: BaseException) -> StreamError:
    """What the members are told of a failure that took all of them: an error of the tree as it is."""
    if isinstance(error, StreamError):
        return error
    told = WorkerLost("the batch that this stream was part of has failed; the next one can make it")
    told.__cause__ = error
    return told
