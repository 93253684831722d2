"""What the function of a continuous batch works with: its members as they are during one step.

Everything here is for the function alone, between two of its `yield`s: what is sent is gathered, and reaches the
callers when the step is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

from headrace.batching.members import StreamMember

R = TypeVar("R")
I = TypeVar("I")  # noqa: E741

STEP_ITEMS = 1_000_000
"""Items that the slots may send in one step, all together."""


class Made:
    """What the function made and the callers have not got yet.

    Attributes:
        items: with the members that they are for.
        endings: the members that end, behind all items; None: complete.
    """

    __slots__ = ("endings", "items")

    def __init__(self) -> None:
        self.items: list[tuple[StreamMember, Any]] = []
        self.endings: list[tuple[StreamMember, BaseException | None]] = []

    def __bool__(self) -> bool:
        return bool(self.items or self.endings)

    def take(self) -> Made:
        """All of it, which leaves nothing."""
        taken = Made()
        taken.items, self.items = self.items, []
        taken.endings, self.endings = self.endings, []
        return taken

    def add(self, other: Made) -> None:
        """Takes over what comes behind, which leaves nothing there."""
        self.items += other.items
        self.endings += other.endings
        other.items.clear()
        other.endings.clear()


class Slot(Generic[R, I]):
    """One request and its place in the batch, from the step in which it joins to the one in which it ends.

    Attributes:
        request: what the caller asked with.
        state: free for the function's own use: a cache, the tokens so far.
        cost: what `cost_fn` said of the request.
        since: when the call came.
        over: it was finished or failed, and is gone at the next step.
        member: its caller's side; for the batch itself.
    """

    __slots__ = ("_made", "cost", "member", "over", "request", "since", "state")

    def __init__(self, request: R, cost: float, since: float, member: StreamMember, made: Made) -> None:
        self.request = request
        self.state: Any = None
        self.cost = cost
        self.since = since
        self.over = False
        self.member = member
        self._made = made

    @property
    def id(self) -> str:
        """That of the request; for logs."""
        return self.member.id

    @property
    def cancelled(self) -> bool:
        """Whether its caller is gone. So is the slot at the next step; until then, work for it is in vain."""
        return not (self.over or self.member.live)

    @property
    def paused(self) -> bool:
        """Whether its caller is 256 items behind. What is sent now waits, until it reads or is given up as too slow."""
        return self.member.behind

    def send(self, item: I) -> None:
        """Gives the caller its next item, as it is. After `finish` and `fail` it does nothing.

        Raises:
            RuntimeError: this step has sent a million items.
        """
        if self.over:
            return
        items = self._made.items
        if len(items) >= STEP_ITEMS:
            raise RuntimeError(f"{STEP_ITEMS} items were sent in one step: `yield` between the steps")
        items.append((self.member, item))

    def finish(self) -> None:
        """The caller's items are complete."""
        self._end(None)

    def fail(self, error: BaseException) -> None:
        """The caller gets this error behind the items that were sent; the other slots are not concerned.

        Raises:
            TypeError: it is no exception.
        """
        if not isinstance(error, BaseException):
            raise TypeError(f"slot.fail takes an exception, as in slot.fail(ValueError('...')), not {error!r}")
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if not self.over:
            self.over = True
            self._made.endings.append((self.member, error))

    def __repr__(self) -> str:
        state = "over" if self.over else "cancelled" if self.cancelled else "paused" if self.paused else "live"
        return f"<slot {self.id} ({state})>"


class Slots(Sequence[Slot[R, I]]):
    """The members of a batch during one step, in the order in which they came.

    Attributes:
        joined: those that are in it for the first time.
    """

    def __init__(self) -> None:
        self.joined: Sequence[Slot[R, I]] = ()
        self._live: Sequence[Slot[R, I]] = ()

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Slot[R, I]]:
        return iter(self._live)

    @overload
    def __getitem__(self, index: int) -> Slot[R, I]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Slot[R, I]]: ...
    def __getitem__(self, index: int | slice) -> Slot[R, I] | Sequence[Slot[R, I]]:
        return self._live[index]

    def __repr__(self) -> str:
        return f"<slots {list(self._live)}>"

    def step(self, live: Sequence[Slot[R, I]], joined: Sequence[Slot[R, I]]) -> None:
        """The next step: who is in it, and who of them is new. For the batch itself."""
        self._live, self.joined = live, joined
