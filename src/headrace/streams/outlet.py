"""Where the records of a stream leave: written at once when idle, joined when busy.

The write is what a token costs, so records that are ready together leave together. The first record of an idle stream
is written in place, by the task that made it. What follows while its window is open gathers, and leaves in one write
when the window closes. One window serves all outlets of a loop; its width follows the loop's own lateness: a loop
that falls behind joins more.

What gathers is bounded by `HIGH_WATER`; past that the generator waits for the peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from headrace.errors import AnswerTooLarge

HIGH_WATER = 64 * 1024
"""Bytes that may gather before the generator waits."""

NARROW, WIDE = 0.000_25, 0.010
"""Bounds of the window, in seconds: as narrow as timers allow on an idle loop, and never a delay that a reader sees."""


class Sink(Protocol):
    """What takes the records: an HTTP body, later WebSocket messages. Only one write is under way at a time."""

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

    `written_at` is when something was written last, in loop time.
    """

    written_at: float

    @property
    def writing(self) -> bool:
        """Whether a write is under way: interrupting it would leave the wire in a state that nobody knows."""
        ...

    def put(self, record: bytes) -> Awaitable[None] | None:
        """Takes a record.

        What it returns, if anything, is awaited before the next `put`. After that, the loop has run since the last
        time.
        """
        ...

    def put_all(self, records: list[bytes]) -> Awaitable[None] | None:
        """Takes several records that were ready together; otherwise as `put`."""
        ...

    async def flush(self) -> None:
        """Returns when everything taken so far is written, as far as this outlet writes before the end."""
        ...

    async def finish(self, record: bytes) -> None:
        """Writes what is left and then the ending, and closes cleanly."""
        ...

    def beat(self, record: bytes) -> None:
        """Sends a heartbeat soon, without waiting for the peer; an empty one sends the head alone."""
        ...

    def after_write(self, callback: Callable[[], None]) -> None:
        """Calls back when the write under way is through; `writing` must be True."""
        ...


class Window:
    """The one timer that lets gathered records go, for all outlets of a loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: list[JoiningOutlet] = []
        self._width = NARROW
        self._due = 0.0

    def open(self, outlet: JoiningOutlet) -> None:
        """Calls `outlet.let_go()` once per window until that returns False."""
        if not self._open:
            self._schedule()
        self._open.append(outlet)

    def _schedule(self) -> None:
        self._due = self._loop.time() + self._width
        self._loop.call_later(self._width, self._close)

    def _close(self) -> None:
        late = self._loop.time() - self._due
        self._width = min(max(2 * late, self._width / 2, NARROW), WIDE)
        self._open = [outlet for outlet in self._open if outlet.let_go()]
        if self._open:
            self._schedule()


class JoiningOutlet:
    """Writes the first record of an idle stream at once and joins what follows (see the head of this file)."""

    __slots__ = (
        "_after_write",
        "_busy",
        "_flushing",
        "_gathered",
        "_records",
        "_sink",
        "_touched",
        "_window",
        "error",
        "writing",
        "written_at",
    )

    def __init__(self, sink: Sink, window: Window) -> None:
        self._sink = sink
        self._window = window
        self._records: list[bytes] = []
        self._gathered = 0
        self._busy = False  # in the window: written to a moment ago
        self._touched = False
        self._flushing: asyncio.Task[None] | None = None
        self._after_write: Callable[[], None] | None = None
        self.writing = False
        self.error: Exception | None = None
        self.written_at = 0.0  # loop time

    def put(self, record: bytes) -> Awaitable[None] | None:
        """See `Outlet.put`."""
        if not record:
            return None
        self._records.append(record)
        return self._took(len(record))

    def put_all(self, records: list[bytes]) -> Awaitable[None] | None:
        """See `Outlet.put_all`."""
        self._records += filter(None, records)
        return self._took(sum(map(len, records)))

    def _took(self, size: int) -> Awaitable[None] | None:
        self._touched = True
        if not self._busy:
            self._busy = True
            self._window.open(self)
            return self.flush()
        self._gathered += size
        return self._flush_full() if self._gathered >= HIGH_WATER else None

    async def _flush_full(self) -> None:
        await self.flush()
        await asyncio.sleep(0)

    async def flush(self) -> None:
        """Writes what has gathered, after any write that is under way. Raises what the sink raised."""
        while self._flushing is not None:
            await asyncio.wait((self._flushing,))
        if self.error is not None:
            raise self.error
        if self._records:
            await self._write()

    def let_go(self) -> bool:
        """The window closes: writes what has gathered. False when this outlet was idle for a whole window."""
        if not self._touched and not self.writing:
            self._busy = False
            return False
        self._touched = False
        if self._records and not self.writing:
            self._flushing = asyncio.get_running_loop().create_task(self._flush_behind())
        return True

    async def _flush_behind(self) -> None:
        try:
            await self._write()
        except Exception as error:  # told to the owner at its next flush
            self.error = error
        finally:
            self._flushing = None

    async def finish(self, record: bytes) -> None:
        """See `Outlet.finish`."""
        while self._flushing is not None:
            await asyncio.wait((self._flushing,))
        if self.error is not None:
            raise self.error
        records, self._records = [*self._records, record], []
        await self._sink.finish(records)

    def beat(self, record: bytes) -> None:
        """See `Outlet.beat`. Leaves when the window closes, so that no task of the stream's own is needed."""
        self._records.append(record)
        self._touched = True
        if not self._busy:
            self._busy = True
            self._window.open(self)

    async def _write(self) -> None:
        records, self._records, self._gathered = self._records, [], 0
        self.written_at = asyncio.get_running_loop().time()
        self.writing = True
        try:
            await self._sink.write(records)
        finally:
            self.writing = False
            if self._after_write is not None:
                self._after_write()

    def after_write(self, callback: Callable[[], None]) -> None:
        """See `Outlet.after_write`."""
        self._after_write = callback


class HoldingOutlet:
    """Keeps every record until the end is known, for formats whose status line tells the ending."""

    writing = False
    written_at = 0.0

    def __init__(self, sink: Sink, limit: int) -> None:
        self._sink = sink
        self._records: list[bytes] = []
        self._limit = limit
        self._size = 0

    def put(self, record: bytes) -> None:
        """Keeps the record.

        Raises:
            AnswerTooLarge: the answer passed the limit.
        """
        self._size += len(record)
        if self._size > self._limit:
            self._records.clear()
            raise AnswerTooLarge(
                f"the gathered answer passed {self._limit} bytes; ask for a streaming format, e.g. application/x-ndjson"
            )
        self._records.append(record)

    def put_all(self, records: list[bytes]) -> None:
        """Keeps the records; otherwise as `put`."""
        for record in records:
            self.put(record)

    async def flush(self) -> None:
        """Nothing leaves before the end."""

    async def finish(self, record: bytes) -> None:
        """See `Outlet.finish`."""
        await self._sink.finish([*self._records, record])

    def beat(self, record: bytes) -> None:
        """The status line waits for the end."""

    def after_write(self, callback: Callable[[], None]) -> None:
        """There is never a write under way."""
