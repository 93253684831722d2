"""One batch while it runs: the function, its members, and what each of them gets.

The members end one by one. The function is stopped when none of them is left, whether they had their last item or went
away. What the function raises, and what it gives in a wrong form, fails those members that are live.
"""

from __future__ import annotations

import asyncio
import logging
import numbers
from collections.abc import Callable, Sequence, Set
from contextvars import Context, ContextVar
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any, Final

from headrace.batching.arguments import Parameters
from headrace.batching.members import Member, StreamMember
from headrace.batching.steps import Kind
from headrace.errors import Cancelled, InternalError
from headrace.streams.closing import AsyncClosing

logger = logging.getLogger("headrace.batching")


class Done(Enum):
    """The type of `DONE`."""

    DONE = "DONE"

    def __repr__(self) -> str:
        return "batch.DONE"


DONE: Final = Done.DONE
"""Yielded in a member's place, it ends that member's stream."""

_ENDS = (StopIteration, StopAsyncIteration)


@dataclass(frozen=True, slots=True)
class Batch:
    """The calls that a batched function runs for; see `current_batch`.

    Attributes:
        members: in the order of the lists.
    """

    members: tuple[Member, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the requests, for logs."""
        return tuple(member.id for member in self.members)


_CURRENT: ContextVar[Batch] = ContextVar("headrace_batch")


def current_batch() -> Batch:
    """The batch that the running code works for, in a function with `@batch` and in what it calls.

    Raises:
        RuntimeError: no batch runs here.
    """
    try:
        return _CURRENT.get()
    except LookupError:
        raise RuntimeError("current_batch() is called outside a function with @batch; there is no batch") from None


@dataclass(frozen=True, slots=True)
class Work:
    """A batched function, as its runs see it.

    Attributes:
        name: for errors and metrics.
        measure: the size of a batch, by the values of its first parameter; None: the number of its calls.
        isolates: after a failure, the members that had nothing yet are tried again, each alone, once.
        max_concurrent_batches: batches that may run at a time.
        max_waiting: calls that may wait.
    """

    name: str
    function: Callable[..., Any]
    parameters: Parameters
    kind: Kind
    measure: Callable[[list[Any]], float] | None
    isolates: bool
    max_concurrent_batches: int
    max_waiting: int

    def of_method(self) -> Work:
        """The same function, as a method: its first parameter is the instance."""
        return replace(self, parameters=self.parameters.of_method())

    def size(self, calls: Sequence[tuple[Any, ...]]) -> float:
        """The size of a batch of these calls.

        Raises:
            TypeError: the user's measure gave no number.
            Exception: what it raised.
        """
        if self.measure is None:
            return len(calls)
        size: Any = self.measure([values[0] for values in calls])
        if not isinstance(size, numbers.Real) or size != size:
            raise TypeError(f"batch_size_fn of {self.name} gave {size!r}; a size is a number, as len gives it")
        return float(size)


class Run:
    """A batch that runs. Its members are sent what the function makes.

    Args:
        work: the function.
        bound: what is passed to it before the lists: the instance, or nothing.
        members: all live.
    """

    def __init__(self, work: Work, bound: tuple[Any, ...], members: Sequence[Member]) -> None:
        self._work = work
        self._bound = bound
        self._members = members
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        for member in members:
            member.place = self

    def start(self, context: Context) -> asyncio.Task[None]:
        """Runs it in a task of its own, in this context: the batch belongs to no single one of its callers."""
        self._task = asyncio.get_running_loop().create_task(self._run(), context=context)
        return self._task

    def left(self, member: Member) -> None:
        """See `Place.left`."""
        self.has_room()
        if self._task is not None and not self._live(self._members) and not member.loop.is_closed():
            self._task.cancel()

    def has_room(self) -> None:
        """See `Place.has_room`."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _run(self) -> None:
        try:
            error = await self._attempt(self._members)
            if error is None:
                return
            alone = [each for each in self._live(self._members) if self._work.isolates and not each.sent]
            self._fail([each for each in self._members if each not in alone], error)
            if len(self._members) == 1:
                self._fail(alone, error)
            else:
                await self._isolate(alone, error)
        finally:  # also where the event loop shuts down
            self._fail(self._members, Cancelled(f"{self._work.name} was stopped"))
            for member in self._members:  # whose reader may be there for longer, and needs nothing of its mates
                member.place = None

    async def _isolate(self, members: Sequence[Member], error: Exception) -> None:
        if members:
            message = "%s failed for a batch; %d of its calls are tried once more, one by one"
            logger.warning(message, self._work.name, len(members), exc_info=error)
        for member in members:
            if member.live:
                alone = await self._attempt((member,))
                if alone is not None:
                    self._fail((member,), alone)

    async def _attempt(self, members: Sequence[Member]) -> Exception | None:
        """Calls the function for these members. Gives what failed; members that left are no failure."""
        work = self._work
        args, kwargs = work.parameters.lists(member.values for member in members)
        _CURRENT.set(Batch(tuple(members)))
        try:
            steps = work.kind.steps(partial(work.function, *self._bound, *args, **kwargs))
            async with AsyncClosing(steps):
                async for burst in steps:
                    for step in burst:
                        self._deliver(step, members)
                    if not self._live(members):
                        break
                    await self._wait_for_room(members)
        except asyncio.CancelledError:
            task = self._task
            if task is not None and task.cancelling():
                if not self._live(self._members):
                    return None
                raise
            return InternalError(f"{work.name} raised CancelledError")
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, _ENDS):
                return error
            failure = InternalError(f"{work.name} raised {type(error).__name__}")
            failure.__cause__ = error
            return failure
        for member in self._live(members):
            member.finish()
        return None

    def _deliver(self, step: Any, members: Sequence[Member]) -> None:
        check_step(self._work.name, self._work.kind.streams, step, len(members))
        streams = self._work.kind.streams
        for member, value in zip(members, step, strict=True):
            if not member.live:
                continue
            if streams and is_end(value):
                member.finish()
            else:
                member.send(value)

    async def _wait_for_room(self, members: Sequence[Member]) -> None:
        """Waits while every reader is behind: a fast function goes at the pace of its fastest reader."""
        while readers := [member for member in members if isinstance(member, StreamMember) and member.live]:
            if not all(reader.behind for reader in readers):
                return
            self._room = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._room,), timeout=max(0.0, min(each.patience for each in readers)))
            for reader in readers:
                if reader.live and reader.behind and reader.patience <= 0:
                    reader.give_up()

    @staticmethod
    def _live(members: Sequence[Member]) -> list[Member]:
        return [member for member in members if member.live]

    @staticmethod
    def _fail(members: Sequence[Member], error: BaseException) -> None:
        for member in members:
            if member.live:
                member.fail(error)


def is_end(value: Any) -> bool:
    """Whether a yielded value ends its member's stream. It may be an array, so it is compared by identity alone."""
    return value is DONE or isinstance(value, _ENDS) or value is StopIteration or value is StopAsyncIteration


def check_step(name: str, streams: bool, step: Any, size: int) -> None:
    """Raises HR15 for a step that is not one value per member, in order.

    Args:
        name: of the function.
        streams: it yielded the step; otherwise it returned it.
        step: what came.
        size: the members of the batch.

    Raises:
        TypeError: it has no length or no order.
        ValueError: its length is another one.
    """
    did, does = ("yielded", "yield") if streams else ("returned", "return")
    asked = f"for a batch of {size}: {does} a list with one value per member, in their order"
    if isinstance(step, (str, bytes, bytearray, dict, Set)) or not hasattr(step, "__iter__"):
        raise TypeError(f"HR15 {name} {did} {type(step).__name__} {asked}")
    try:
        length = len(step)
    except TypeError:  # a generator, an array without dimensions
        raise TypeError(f"HR15 {name} {did} {type(step).__name__} {asked}") from None
    if length != size:
        raise ValueError(f"HR15 {name} {did} {length} values {asked}")
