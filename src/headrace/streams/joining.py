"""An outlet that writes at once when idle, and joins when busy.

The write is what a token costs, so records that are ready together leave together. The first record of an idle stream
is written in place, by the code that made it. What follows soon after gathers, and leaves in one write when the window
closes. One window serves all outlets of a loop; its width follows the loop's own lateness: a loop that falls behind
joins more. A stream that makes an item now and then never sees it.

What gathers is bounded by `HIGH_WATER`; past that the generator waits for the peer.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from headrace.errors import ClientGone
from headrace.streams.outlet import HIGH_WATER, THROUGH, Sink

NARROW, WIDE, WIDEST = 0.000_25, 0.010, 0.050
"""Bounds of the window, in seconds. It is as narrow as timers allow on an idle loop. A busy one joins what eight of its
rounds bring, up to a delay that no reader sees; where one round takes that long, it joins two.
"""


class Window:
    """The one timer that lets gathered records go, for all outlets of a loop.

    Attributes:
        width: seconds from its opening to its closing.
        time: the loop's.
        turns: grows when the loop has run after `mark`.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: list[JoiningOutlet] = []
        self._due = 0.0
        self._marked: float | None = None
        self.turns = 0
        self.width = NARROW
        self.time = self._loop.time

    def open(self, outlet: JoiningOutlet) -> None:
        """Calls `outlet.let_go()` once, when the window closes."""
        if not self._open:
            now = self.time()
            if now - self._due > 2 * WIDEST:  # what the loop was like then says nothing any more; not merely late
                self.width = NARROW
            self._due = now + self.width
            self._loop.call_later(self.width, self._close)
        self._open.append(outlet)

    def mark(self, now: float) -> int:
        """What `turns` is until the loop has run."""
        if self._marked is None:
            self._marked = now
            self._loop.call_soon(self._turned)
        return self.turns

    def _turned(self) -> None:
        since, self._marked = self._marked, None
        self.turns += 1
        self._adapt(0.0 if since is None else self.time() - since)

    def _adapt(self, late: float) -> None:
        """The loop did that much later what it could have done at once: that is how long it takes to come round."""
        self.width = max(min(8 * late, WIDE), min(2 * late, WIDEST), self.width / 2, NARROW)

    def _close(self) -> None:
        self._adapt(self.time() - self._due)
        outlets, self._open = self._open, []
        for outlet in outlets:
            outlet.let_go()


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
        "_due",
        "_error",
        "_first",
        "_gathered",
        "_leaving",
        "_records",
        "_rested_at",
        "_sink",
        "_turn",
        "_window",
        "_writes",
        "_written",
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
        self._rested_at = -math.inf  # loop time: the end of the last one of them
        self._turn = -1  # the window's, when it was written to in place
        self._due = False  # the window will take what gathers
        self._away = False  # not before the write under way is through, however long the peer takes
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
        return self._added(len(record))

    def put_all(self, records: list[bytes]) -> Awaitable[None] | None:
        """See `Outlet.put_all`."""
        self._records += filter(None, records)
        return self._added(sum(map(len, records)))

    def _added(self, size: int) -> Awaitable[None] | None:
        if not self._due:
            window = self._window
            now = window.time()
            # An item that took its time may have blocked the loop meanwhile, and then it is not written in place.
            if window.turns != self._turn and now - self._rested_at >= window.width and not self.writing:
                self._turn = window.mark(now)
                return THROUGH if self._try_write(now) else self._flush_lead()
            self._await_window()
        self._gathered += size
        return None if self._gathered < HIGH_WATER else self._flush_full()

    def _await_window(self) -> None:
        self._due = True
        self._window.open(self)

    async def _flush_lead(self) -> None:
        await self.flush()
        if self._window.turns != self._turn:  # it was waited for; whoever stopped the stream meanwhile comes first
            await asyncio.sleep(0)

    async def _flush_full(self) -> None:
        await self.flush()
        await asyncio.sleep(0)

    async def flush(self) -> None:
        """Writes what has gathered, after any write that is under way. Raises what the sink raised."""
        await self._come_through()
        if self._records and not self._try_write(self._window.time()):
            await self._write()

    async def _come_through(self) -> None:
        while self._behind is not None and not self._behind.done():
            await asyncio.wait((self._behind,))
        if self._error is not None:
            raise self._error

    def let_go(self) -> None:
        """The window closes: writes what has gathered. Where the peer does not read, it is asked again after that."""
        if self.writing:
            self._away = True
            return
        self._due = False
        # A write behind that has not begun is not `writing` yet: a loop may run the next timer before a new task.
        if not self._records or self._error is not None or not self._free:
            return
        if not self._try_write(self._window.time()):
            self._behind = asyncio.get_running_loop().create_task(self._write_behind())

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
        if not self._due:
            self._await_window()

    @property
    def _free(self) -> bool:
        """Whether no write is under way, or about to be."""
        return self._behind is None or self._behind.done()

    def _try_write(self, now: float) -> bool:
        """Writes what has gathered where nothing has to be waited for. Says whether it did."""
        if self._error is not None or not self._free or not self._sink.try_write(self._records):
            return False
        if self._take(now)[1]:
            self._rested_at = now
        return True

    def _take(self, now: float) -> tuple[list[bytes], bool]:
        """What has gathered, to be written now, and whether that is more than heartbeats."""
        records, self._records, self._gathered = self._records, [], 0
        self.written_at = now
        news = len(records) > self._beats
        self._beats = 0
        if news:
            if self._writes >= self._first:
                self.largest_gap = max(self.largest_gap or 0.0, now - self._rested_at)
            self._writes += 1
        return records, news

    async def _write(self) -> None:
        records, news = self._take(self._window.time())
        self._leaving = records
        self.writing = True
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
                self._rested_at = self._window.time()
            if self._written is not None and not self._written.done():
                self._written.set_result(None)
            if self._away:
                self._away = False
                self._window.open(self)

    def written(self) -> asyncio.Future[None]:
        """See `Outlet.written`."""
        if self._written is None or self._written.done():
            self._written = asyncio.get_running_loop().create_future()
        return self._written


def _interrupted() -> ClientGone:
    return ClientGone("the writes to the client were broken off")
