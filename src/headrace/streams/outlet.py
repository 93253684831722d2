"""Where the records of a stream leave, and what is behind it.

Two independent choices meet here: when records are written (`JoiningOutlet`, `HoldingOutlet`), and to what (a `Sink`).
The third outlet, a `Channel`, leads to code of the same process.

A record is what the stream's encoding makes of an event: bytes for a wire, the checked value for a channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol

HIGH_WATER = 64 * 1024
"""Bytes that may gather before the generator waits."""


class _Through(Awaitable[None]):
    def __await__(self) -> Generator[None, None, None]:
        yield from ()


THROUGH = _Through()
"""What `Outlet.put` returns where it has written at once: awaiting it takes no turn."""


class Sink(Protocol):
    """What takes the records: an HTTP body, later WebSocket messages. Only one write is under way at a time."""

    def try_write(self, records: list[bytes]) -> bool:
        """Writes the records in order, where that needs no waiting; False: nothing was written, and `write` can tell
        why. Raises nothing.
        """
        ...

    async def write(self, records: list[bytes]) -> None:
        """Writes the records in order, and returns when the peer can take more. Keeps `records` no longer than that.

        Raises:
            ClientGone: nobody is there to write to.
        """
        ...

    async def finish(self, records: list[bytes]) -> None:
        """Writes the last records and closes cleanly: the stream has told its ending. Raises as `write`."""
        ...


class Outlet(Protocol):
    """Takes records one by one.

    `ahead` is how much a thread may make before the outlet has taken it, as the sum of what `weigh` says of its
    records. `written_at` is when something was written last, in loop time. `largest_gap` is the longest time in seconds
    from the end of one write of items to the beginning of the next; None where there were not two. `on_failure` is told
    when a write fails that nobody waits for.
    """

    ahead: int
    written_at: float
    largest_gap: float | None
    on_failure: Callable[[Exception], None] | None

    @property
    def writing(self) -> bool:
        """Whether a write is under way: interrupting it would leave the wire in a state that nobody knows."""
        ...

    @property
    def paused(self) -> bool:
        """Whether the generator waits for the peer, and so cannot be told to be silent."""
        ...

    @property
    def torn(self) -> bool:
        """Whether records were lost: a write failed, was interrupted or was given up. Nothing follows after that."""
        ...

    @property
    def buffered(self) -> int:
        """Bytes that it holds: what has gathered, and the write under way."""
        ...

    def weigh(self, record: Any) -> int:
        """The weight of a record: its bytes, or 1."""
        ...

    def put(self, record: Any) -> Awaitable[None] | None:
        """Takes a record.

        What it returns, if anything, is awaited before the next `put`. After that, the loop has run since the last
        time.
        """
        ...

    def put_all(self, records: list[Any]) -> Awaitable[None] | None:
        """Takes several records that were ready together; otherwise as `put`."""
        ...

    async def flush(self) -> None:
        """Returns when everything taken so far is written, as far as this outlet writes before the end."""
        ...

    async def finish(self, record: Any) -> None:
        """Writes what is left and then the ending, and closes cleanly."""
        ...

    def drop(self) -> None:
        """Gives up what is not written yet, and interrupts a write that nobody waits for."""
        ...

    def beat(self, record: Any) -> None:
        """Sends a heartbeat soon, without waiting for the peer; an empty one sends the head alone."""
        ...

    def written(self) -> asyncio.Future[None]:
        """Done when the write under way is through; `writing` must be True."""
        ...
