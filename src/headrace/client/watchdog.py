"""Interrupts a blocking read at a given moment, for the client without an event loop.

A socket's own timeout cannot do it: the HTTP library sets one and the same for every read of a body, and heartbeats
would start it anew each time. So a thread looks after all reads of a client that have a limit. Setting a limit is one
assignment; the thread is woken only for a moment that is earlier than the one it sleeps for, and ends when no stream is
left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Watch:
    """One stream's limit. `fired`: the moment passed, and the read was interrupted."""

    def __init__(self, dog: Watchdog, interrupt: Callable[[], None]) -> None:
        self._dog = dog
        self.interrupt = interrupt
        self.until: float | None = None
        self.fired = False

    def set(self, seconds: float) -> None:
        """Interrupts so many seconds from now, unless `clear` comes first."""
        self.until = time.monotonic() + seconds
        self._dog.notice(self.until)

    def clear(self) -> None:
        """The read is over."""
        self.until = None

    def end(self) -> None:
        """There are no more reads."""
        self.until = None
        self._dog.forget(self)


class Watchdog:
    """The watches of one client, and the thread that looks after them."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wakes = float("inf")  # when the thread looks next

    def watch(self, interrupt: Callable[[], None]) -> Watch:
        """A new watch; `interrupt` is called on another thread."""
        watch = Watch(self, interrupt)
        with self._changed:
            self._watches.add(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="headrace-watchdog", daemon=True)
                self._thread.start()
        return watch

    def notice(self, until: float) -> None:
        """A limit was set."""
        if until < self._wakes:
            with self._changed:
                self._changed.notify()

    def forget(self, watch: Watch) -> None:
        """A watch is over; the thread ends with the last one."""
        with self._changed:
            self._watches.discard(watch)
            if not self._watches:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._watches:
                    self._thread, self._wakes = None, float("inf")
                    return
                # First this, then the look: whoever sets a limit meanwhile sees that it has to wake us.
                self._wakes = float("inf")
                now = time.monotonic()
                due = [watch for watch in self._watches if watch.until is not None and watch.until <= now]
                for watch in due:
                    watch.fired, watch.until = True, None
                if not due:
                    limits = [until for watch in self._watches if (until := watch.until) is not None]
                    self._wakes = min(limits, default=float("inf"))
                    self._changed.wait(self._wakes - now if limits else None)
            for watch in due:
                watch.interrupt()
