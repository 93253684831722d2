"""The loop watchdog (HR07): says which line of the user's code keeps the event loop from running.

A thread looks at a time stamp that the loop renews. When it is too old, the stack of the loop's thread is taken there
and then, while the blocking call is still on it, and the innermost frame of the user's own code is named, once per
line. A loop that stands still cannot fail `/livez`, it leaves it unanswered; so after `DEAD_SECONDS` the log has the
whole stack.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import linecache
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from types import FrameType

from headrace.services.mistakes import is_users
from headrace.streams.stacks import StillRunning
from headrace.streams.yields import short_path

BEATS = 2
"""How often per limit the loop renews its time stamp, at least."""

SLOWEST_BEAT = 0.25
"""Seconds between two time stamps, at most; the lag is measured with them. The thread looks once per limit."""

DEAD_SECONDS = 30.0
"""A loop that stood still for so long is as good as dead."""

LAG_SECONDS = 15.0
"""The worst lag is of this span and the one before it."""

INSTEAD = {
    "time.sleep(": "await asyncio.sleep",
    "requests.": "an async HTTP client",
    "subprocess.": "await asyncio.create_subprocess_exec",
    ".result(": "await asyncio.wrap_future",
}
"""What to write instead of a call that blocks."""

_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

logger = logging.getLogger("headrace.server")


class Watchdog:
    """Watches the running loop inside `async with watchdog.watching()`.

    Args:
        limit: seconds that the loop may stand still unnoticed.
        clock: the time, in seconds.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._beat_seconds = min(limit / BEATS, SLOWEST_BEAT)
        self._beat_at = clock()
        self._told: set[tuple[str, int]] = set()
        self._told_of: float | None = None  # the time stamp that was the last one when the thread told last
        self._dead_of: float | None = None
        self._lag = Worst(LAG_SECONDS)
        self._stopped = threading.Event()
        self._thread = 0
        self._outer = 0  # frames of the user's below the loop: the script that runs it

    @property
    def lag(self) -> float:
        """Seconds by which the loop was late at worst, of late."""
        now = self._clock()
        return self._lag.value(now, self._late(now))

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[Watchdog]:
        """Watches the loop of the calling task inside the block."""
        loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._beat_at = self._clock()
        self._stopped.clear()
        self._timer: asyncio.Handle = loop.call_soon(self._begin, loop)
        thread = threading.Thread(target=self._watch, name="headrace-watchdog", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            self._timer.cancel()

    # -- on the loop

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._outer = len(_users(sys._getframe()))
        self._beat(loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self.beat()
        self._timer = loop.call_later(self._beat_seconds, self._beat, loop)

    def beat(self) -> None:
        """The loop runs."""
        now = self._clock()
        late = self._late(now)
        if late > self._limit and self._told_of != self._beat_at and self._is_news("", 0):
            logger.warning(
                "HR07 the event loop stood still %.0f ms and no line of yours was seen at it: the process was paused, "
                "a C extension held the interpreter, or an item was very large. Other streams waited.",
                late * 1000,
            )
        self._lag.add(now, late)
        self._beat_at = now

    # -- on the thread

    def _watch(self) -> None:
        while not self._stopped.wait(self.rest()):
            self.look(sys._current_frames().get(self._thread))

    def rest(self) -> float:
        """Seconds until there can be something to tell."""
        left = self._beat_at + self._beat_seconds + self._limit - self._clock()
        return self._limit if left <= 0 else left + 0.001

    def look(self, frame: FrameType | None) -> None:
        """Tells of a loop that stands still.

        Args:
            frame: the innermost one of the loop's thread.
        """
        beat_at = self._beat_at
        late = self._late(self._clock())
        if frame is None or late <= self._limit:
            return
        users = _users(frame)[: -self._outer or None]
        if users and self._told_of != beat_at:
            self._told_of = beat_at
            self._tell(users, late)
        if late > DEAD_SECONDS and self._dead_of != beat_at:
            self._dead_of = beat_at
            logger.critical("the event loop has stood still for %.0f s", late, exc_info=StillRunning.frame(frame))

    def _tell(self, users: list[FrameType], late: float) -> None:
        at = users[0]
        if not self._is_news(at.f_code.co_filename, at.f_lineno):
            return
        line = linecache.getline(at.f_code.co_filename, at.f_lineno, at.f_globals).strip()
        logger.warning(
            "HR07 the event loop stood still %.0f ms in %s:%d %s (%s). Other streams waited. %s",
            late * 1000,
            short_path(at.f_code.co_filename),
            at.f_lineno,
            line,
            at.f_code.co_qualname.replace("<locals>.", ""),
            _advice(line, users),
        )

    def _is_news(self, file: str, line: int) -> bool:
        if (file, line) in self._told:
            return False
        self._told.add((file, line))
        return True

    def _late(self, now: float) -> float:
        return max(0.0, now - self._beat_at - self._beat_seconds)


class Worst:
    """The largest value of the last one to two spans of time; time is an argument."""

    def __init__(self, span: float) -> None:
        self._span = span
        self._since = 0.0
        self._now = self._before = 0.0

    def add(self, now: float, value: float) -> None:
        """Takes a value into account."""
        if now - self._since >= self._span:
            self._before = self._now if now - self._since < 2 * self._span else 0.0
            self._since, self._now = now, 0.0
        self._now = max(self._now, value)

    def value(self, now: float, value: float = 0.0) -> float:
        """The largest one, `value` included."""
        self.add(now, value)
        return max(self._now, self._before)


def _users(frame: FrameType | None) -> list[FrameType]:
    """The user's frames of a stack, innermost first."""
    found = []
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            found.append(frame)
        frame = frame.f_back
    return found


def _advice(line: str, users: list[FrameType]) -> str:
    instead = next((better for call, better in INSTEAD.items() if call in line), "an async call")
    method = next((each.f_code.co_name for each in reversed(users) if each.f_code.co_flags & _ASYNC), "")
    return f"Use {instead}" + (f", or def {method}(...) to run in a thread" if method else "")
