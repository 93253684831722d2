"""Makes the generator of a continuous batch, advances it step by step, and makes it afresh when it has failed.

A sync generator has one thread, on which it is made, advanced and closed; an async one has a task on the event loop.
Neither stands in the context of a caller, because it works for all of them: what belongs to one call is in its slot.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from headrace.batching.boundary import LOOK_SECONDS, Boundary
from headrace.batching.slots import Slots
from headrace.batching.step_meter import StepMeter
from headrace.errors import InternalError, ShuttingDown
from headrace.streams.closing import AsyncClosing, Closing

EXIT_SECONDS = 5.0
"""How long the end of the interpreter waits for a step to be over."""

_END = object()


@dataclass(frozen=True, slots=True)
class Work:
    """What is run.

    Attributes:
        name: of the function, for errors and logs.
        make: gives the generator.
        failed: told of a failure and the number of members it takes along; gives the error for those, and the error
            for all that wait if it shall not be made afresh.
        closed: told on the event loop that nothing runs any more.
    """

    name: str
    make: Callable[[Slots[Any, Any]], Any]
    failed: Callable[[BaseException, int], tuple[BaseException, BaseException | None]]
    closed: Callable[[], None]


class Stepping(ABC):
    """One generator after the other, for the members of one boundary."""

    def __init__(self, work: Work, boundary: Boundary, meter: StepMeter, clock: Callable[[], float]) -> None:
        self._work = work
        self._boundary = boundary
        self._meter = meter
        self._clock = clock

    @abstractmethod
    def start(self) -> None:
        """Begins, on the event loop; it ends by itself when the boundary is over."""

    def _begin(self) -> None:
        now = self._clock()
        joined = self._boundary.begin(now)
        if self._meter.measures:
            for slot in joined:
                self._meter.joined(now - slot.since)
        self._count()

    def _count(self) -> None:
        if self._meter.measures:
            self._meter.count(*self._boundary.count())

    def _measure(self) -> None:
        since = self._boundary.stepping_since
        if self._meter.measures and since is not None:
            self._meter.stepped(self._clock() - since)

    def _check(self, value: object) -> bool:
        """Whether the generator goes on after this step; raises what is wrong with how it does."""
        self._measure()
        if value is None:
            return True
        name = self._work.name
        if value is not _END:
            raise TypeError(
                f"HR15 {name} yielded {type(value).__name__} to a continuous batch: "
                "give each item to its slot with slot.send(item), and write `yield` alone"
            )
        if left := len(self._boundary.unfinished()):
            raise InternalError(
                f"{name} returned before {left} of its slots were finished: "
                "put `while True:` around the steps, and finish or fail each slot"
            )
        return False

    def _lose(self, error: BaseException) -> None:
        """The generator has failed."""
        unfinished = self._boundary.unfinished()
        told, refused = self._work.failed(error, len(unfinished))
        self._fail(told)
        if refused is not None:
            self._boundary.end(refused)

    def _fail(self, error: BaseException) -> None:
        for slot in self._boundary.unfinished():
            slot.fail(error)

    def _close(self) -> None:
        self._meter.count(0, 0, 0)
        self._boundary.close()
        self._work.closed()


class ThreadStepping(Stepping):
    """Sync generators, all on one thread.

    It is a daemon, so that a step that never returns does not hold up the end of the process. But a thread that comes
    back from a model's native code while the interpreter is taken down takes the process with it, so the end waits for
    the step under way, and the generator is closed.
    """

    def __init__(self, work: Work, boundary: Boundary, meter: StepMeter, clock: Callable[[], float]) -> None:
        super().__init__(work, boundary, meter, clock)
        self._thread = threading.Thread(target=self._run, name=f"headrace-{work.name}", daemon=True)

    def start(self) -> None:
        """See `Stepping.start`."""
        atexit.register(self._leave)
        self._thread.start()

    def _leave(self) -> None:
        """The interpreter ends."""
        self._boundary.stop()
        self._thread.join(EXIT_SECONDS)

    def _run(self) -> None:
        while self._rest(lingers=False):
            try:
                self._advance(iter(self._work.make(self._boundary.slots)))
            except BaseException as error:  # whatever the user's code raises concerns the members
                self._lose(error)
            self._hand_over()
        atexit.unregister(self._leave)
        self._tell(self._close)

    def _advance(self, source: Iterator[Any]) -> None:
        with Closing(source):
            while True:
                self._begin()
                if not self._check(next(source, _END)):
                    return
                self._hand_over()
                if not self._rest(lingers=True):
                    return

    def _rest(self, *, lingers: bool) -> bool:
        """Waits until a step is due; False: nobody is left (see `Boundary.rest`)."""
        boundary = self._boundary
        with boundary.news:
            while not (boundary.stopped or boundary.loop.is_closed()):
                seconds = LOOK_SECONDS if boundary.is_ahead() else boundary.rest(self._clock(), lingers=lingers)
                if not seconds:
                    return seconds is not None
                self._count()
                boundary.news.wait(min(seconds, LOOK_SECONDS))
            return False

    def _hand_over(self) -> None:
        if self._boundary.finish():
            self._tell(self._boundary.deliver)

    def _tell(self, callback: Callable[[], None]) -> None:
        try:
            self._boundary.loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed, and `_rest` sees that
            if callback == self._close:
                callback()


class TaskStepping(Stepping):
    """Async generators, all in one task."""

    def __init__(self, work: Work, boundary: Boundary, meter: StepMeter, clock: Callable[[], float]) -> None:
        super().__init__(work, boundary, meter, clock)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None  # the loop itself holds tasks weakly
        boundary.tell = self._news.set

    def start(self) -> None:
        """See `Stepping.start`."""
        self._task = self._boundary.loop.create_task(self._run(), context=contextvars.Context())

    async def _run(self) -> None:
        try:
            while await self._rest(lingers=False):
                try:
                    await self._advance(aiter(self._work.make(self._boundary.slots)))
                except BaseException as error:
                    if self._is_stopped(error):
                        raise
                    self._lose(error)
                self._hand_over()
        except asyncio.CancelledError:  # the event loop shuts down
            self._fail(ShuttingDown())
            self._boundary.end(ShuttingDown())
            self._hand_over()
            raise
        finally:
            self._task = None
            self._close()

    async def _advance(self, source: AsyncIterator[Any]) -> None:
        async with AsyncClosing(source):
            while True:
                self._begin()
                if not self._check(await anext(source, _END)):
                    return
                self._hand_over()
                await asyncio.sleep(0)  # the readers get their turn, also where the function never waits
                if not await self._rest(lingers=True):
                    return

    async def _rest(self, *, lingers: bool) -> bool:
        """See `ThreadStepping._rest`."""
        while True:
            with self._boundary.news:
                self._news.clear()
                seconds = self._boundary.rest(self._boundary.loop.time(), lingers=lingers)
            if not seconds:
                return seconds is not None
            self._count()
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                pass

    def _hand_over(self) -> None:
        if self._boundary.finish():
            self._boundary.deliver()

    def _is_stopped(self, error: BaseException) -> bool:
        """Whether the task was cancelled from outside; the function may raise CancelledError by itself."""
        return isinstance(error, asyncio.CancelledError) and self._task is not None and self._task.cancelling() > 0
