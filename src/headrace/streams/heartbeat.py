"""Heartbeats: what a silent stream sends so that proxies and clients know that it lives.

One timer per stream, armed anew once per interval and not once per item. The first beat also sends the response's head,
when nothing has until then.
"""

from __future__ import annotations

import asyncio

from headrace.streams.outlet import Outlet


class Heartbeat:
    """Beats on an outlet after `interval` seconds without a write, from here to the end of the block."""

    __slots__ = ("_interval", "_loop", "_outlet", "_record", "_timer")

    def __init__(self, outlet: Outlet, record: bytes, interval: float) -> None:
        self._outlet = outlet
        self._record = record
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        outlet.written_at = self._loop.time()
        self._timer = self._loop.call_later(interval, self._look)

    def _look(self) -> None:
        left = self._outlet.written_at + self._interval - self._loop.time()
        if left <= 0 and self._outlet.writing:  # the peer does not read: look again soon
            left = self._interval / 10
        elif left <= 0:
            self._outlet.beat(self._record)
            left = self._interval
        self._timer = self._loop.call_later(left, self._look)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No further beat."""
        self._timer.cancel()
