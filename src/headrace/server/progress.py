"""A peer that does not read: told from one that reads slowly by what it has acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from headrace.server.transport import unacknowledged


class Progress:
    """Watches, between `start` and `stop`, that the peer takes some of what was written to it.

    Args:
        transport: of the connection.
        seconds: how long it may take nothing.
    """

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport = transport
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._outstanding = 0
        self._moved_at = 0.0

    @property
    def watching(self) -> bool:
        """Between `start` and `stop`."""
        return self._timer is not None

    def start(self, on_stalled: Callable[[], None]) -> None:
        """From now on the peer must show progress; `on_stalled` is called once, when it took nothing for too long."""
        self.stop()
        self._outstanding = unacknowledged(self._transport)
        loop = asyncio.get_running_loop()
        self._moved_at = loop.time()
        self._timer = loop.call_later(self._seconds / 4, self._look, on_stalled)

    def stop(self) -> None:
        """It has caught up, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, on_stalled: Callable[[], None]) -> None:
        """Progress is what the peer has acknowledged, not what it has left: a slow and steady reader stays."""
        loop = asyncio.get_running_loop()
        outstanding, now = unacknowledged(self._transport), loop.time()
        if outstanding < self._outstanding:
            self._moved_at = now
        elif now - self._moved_at >= self._seconds:
            self._timer = None
            on_stalled()
            return
        self._outstanding = outstanding
        self._timer = loop.call_later(self._seconds / 4, self._look, on_stalled)
