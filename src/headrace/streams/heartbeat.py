"""Heartbeats: what a silent stream sends so that proxies and clients know that it lives.

One timer per stream, armed anew once per interval and not once per item. The first beat also sends the response's head,
when nothing has until then.
"""

from __future__ import annotations

import asyncio

from headrace.streams.outlet import Outlet


class Heartbeat:
    """Beats on an outlet after `interval` seconds without a write, until stopped."""

    def __init__(self, outlet: Outlet, record: bytes, interval: float) -> None:
        self._outlet = outlet
        self._record = record
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        outlet.written_at = self._loop.time()
        self._timer = self._loop.call_later(interval, self._look)

    def _look(self) -> None:
        quiet = self._loop.time() - self._outlet.written_at
        if quiet >= self._interval and not self._outlet.writing:
            self._outlet.beat(self._record)
            quiet = 0.0
        self._timer = self._loop.call_later(max(self._interval - quiet, self._interval / 10), self._look)

    def stop(self) -> None:
        """No further beat."""
        self._timer.cancel()
