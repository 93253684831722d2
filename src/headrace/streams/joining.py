"""An outlet that writes at once when idle, and joins when busy.

The write is what a token costs, so records that are ready together leave together. The first record of an idle stream
is written in place, by the task that made it. What follows while its window is open gathers, and leaves in one write
when the window closes. One window serves all outlets of a loop; its width follows the loop's own lateness: a loop
that falls behind joins more.

What gathers is bounded by `HIGH_WATER`; past that the generator waits for the peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator

from headrace.errors import ClientGone
from headrace.streams.outlet import HIGH_WATER, Sink

NARROW, WIDE = 0.000_25, 0.010
"""Bounds of the window, in seconds: as narrow as timers allow on an idle loop, and never a delay that a reader sees."""


class Window:
    """The one timer that lets gathered records go, for all outlets of a loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: list[JoiningOutlet] = []
        self._width = NARROW
        self._due = 0.0

    def open(self, outlet: JoiningOutlet) -> None:
        """Calls `outlet.let_go()` when the window closes, once per window until that returns False."""
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
    """Writes the first record of an idle stream at once and joins what follows (see the head of this file).

    Args:
        sink: where the records go.
        window: of the loop.
        header: the first record is a header, so that what comes after it is no gap between items.
    """

    ahead = HIGH_WATER

    __slots__ = (
        "_away",
        "_beats",
        "_behind",
        "_busy",
        "_error",
        "_first",
        "_gathered",
        "_leaving",
        "_records",
        "_rested_at",
        "_sink",
        "_window",
        "_writes",
        "_written",
        "_wrote",
        "largest_gap",
        "on_failure",
        "writing",
        "written_at",
    )

    def __init__(self, sink: Sink, window: Window, *, header: bool = False) -> None:
        self._sink = sink
        self._window = window
        self._records: list[bytes] = []
        self._leaving: list[bytes] = []  # the write under way
        self._gathered = 0
        self._beats = 0  # heartbeats among the records
        self._writes = 0  # of anything but heartbeats
        self._first = 2 if header else 1  # the write that begins the first gap
        self._rested_at = 0.0  # loop time: the end of the last one of them
        self._busy = False  # written to a moment ago: in the window, or away from it
        self._away = False  # until the write under way is through, however long the peer takes
        self._wrote = False  # since the window closed last
        self._behind: asyncio.Task[None] | None = None  # the last write that nobody waits for
        self._error: Exception | None = None  # what made the wire unusable
        self._written: asyncio.Future[None] | None = None
        self.on_failure: Callable[[Exception], None] | None = None
        self.writing = False
        self.written_at = 0.0  # loop time
        self.largest_gap: float | None = None

    @property
    def paused(self) -> bool:
        """See `Outlet.paused`."""
        return self.writing

    @property
    def torn(self) -> bool:
        """See `Outlet.torn`."""
        return self._error is not None

    @property
    def buffered(self) -> int:
        """See `Outlet.buffered`."""
        return sum(map(len, self._records)) + sum(map(len, self._leaving))

    def weigh(self, record: bytes) -> int:
        """See `Outlet.weigh`."""
        return len(record)

    def put(self, record: bytes) -> Awaitable[None] | None:
        """See `Outlet.put`."""
        if not record:
            return None
        self._records.append(record)
        if not self._busy:
            return self._lead()
        self._gathered += len(record)
        return None if self._gathered < HIGH_WATER else self._flush_full()

    def put_all(self, records: list[bytes]) -> Awaitable[None] | None:
        """See `Outlet.put_all`."""
        self._records += filter(None, records)
        if not self._busy:
            return self._lead()
        self._gathered += sum(map(len, records))
        return None if self._gathered < HIGH_WATER else self._flush_full()

    def _lead(self) -> Awaitable[None]:
        self._busy = True
        self._window.open(self)
        return _THROUGH if self._try_write() else self.flush()

    async def _flush_full(self) -> None:
        await self.flush()
        await asyncio.sleep(0)

    async def flush(self) -> None:
        """Writes what has gathered, after any write that is under way. Raises what the sink raised."""
        await self._come_through()
        if self._records and not self._try_write():
            await self._write()

    async def _come_through(self) -> None:
        while self._behind is not None and not self._behind.done():
            await asyncio.wait((self._behind,))
        if self._error is not None:
            raise self._error

    def let_go(self) -> bool:
        """The window closes: writes what has gathered.

        False when this outlet was idle for a whole window, and when the peer does not read: a timer that waited for
        that one would never rest. The outlet comes back by itself.
        """
        if self.writing:
            self._away = True
            return False
        if self._error is not None or not (self._records or self._wrote):
            self._busy = False
            return False
        self._wrote = False
        # A write behind that has not begun is not `writing` yet: a loop may run the next timer before a new task.
        if self._records and self._free and not self._try_write():
            self._behind = asyncio.get_running_loop().create_task(self._write_behind())
        return True

    async def _write_behind(self) -> None:
        try:
            await self._write()
        except Exception as error:  # `flush` and `finish` raise it too, but a silent generator calls neither
            if self.on_failure is not None:
                self.on_failure(error)

    async def finish(self, record: bytes) -> None:
        """See `Outlet.finish`."""
        await self._come_through()
        records, self._records = [*self._records, record], []
        await self._sink.finish(records)

    def drop(self) -> None:
        """See `Outlet.drop`."""
        if self.writing or self._records:
            self._error = self._error or _interrupted()
        self._records, self._beats = [], 0
        if self._behind is not None:
            self._behind.cancel()

    def beat(self, record: bytes) -> None:
        """See `Outlet.beat`. Leaves when the window closes, so that no task of the stream's own is needed."""
        self._records.append(record)
        self._beats += 1
        if not self._busy:
            self._busy = True
            self._window.open(self)

    @property
    def _free(self) -> bool:
        """Whether no write is under way, or about to be."""
        return self._behind is None or self._behind.done()

    def _try_write(self) -> bool:
        """Writes what has gathered where nothing has to be waited for. Says whether it did."""
        if not (self._free and self._error is None and self._sink.try_write(self._records)):
            return False
        if self._take()[1]:
            self._rested_at = self.written_at
        self._wrote = True
        return True

    def _take(self) -> tuple[list[bytes], bool]:
        """What has gathered, to be written now, and whether that is more than heartbeats."""
        records, self._records, self._gathered = self._records, [], 0
        self.written_at = asyncio.get_running_loop().time()
        news = len(records) > self._beats
        self._beats = 0
        if news:
            self._note_gap()
        return records, news

    async def _write(self) -> None:
        records, news = self._take()
        self._leaving = records
        self.writing = self._wrote = True
        try:
            await self._sink.write(records)
        except Exception as error:
            self._error = error
            raise
        except BaseException:
            self._error = self._error or _interrupted()
            raise
        finally:
            self.writing = False
            self._leaving = []
            if news:
                self._rested_at = asyncio.get_running_loop().time()
            if self._written is not None and not self._written.done():
                self._written.set_result(None)
            if self._away:
                self._away = False
                self._window.open(self)

    def _note_gap(self) -> None:
        if self._writes >= self._first:
            self.largest_gap = max(self.largest_gap or 0.0, self.written_at - self._rested_at)
        self._writes += 1

    def written(self) -> asyncio.Future[None]:
        """See `Outlet.written`."""
        if self._written is None or self._written.done():
            self._written = asyncio.get_running_loop().create_future()
        return self._written


class _Through(Awaitable[None]):
    """What is awaited where there is nothing to wait for."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


_THROUGH = _Through()


def _interrupted() -> ClientGone:
    return ClientGone("the writes to the client were broken off")
