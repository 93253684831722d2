"""An outlet that leads to other code of the same process instead of to a client.

What comes out are the records as they were put in, values instead of bytes. The reader takes all that is ready at
once, so a fast generator costs a change of tasks per burst and not per item. A generator that is `AHEAD` records ahead
of its reader waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

AHEAD = 64
"""Records that may be made before the reader takes them. A sync generator may make a burst more on its thread."""


class Channel:
    """An outlet with one reader, on the same event loop."""

    ahead = AHEAD
    writing = torn = False
    buffered = 0
    written_at = 0.0
    largest_gap: float | None = None
    on_failure: Callable[[Exception], None] | None = None

    def __init__(self) -> None:
        self._records: list[Any] = []
        self._news: asyncio.Future[None] | None = None  # the reader waits for a record
        self._room: asyncio.Future[None] | None = None  # the generator waits for the reader

    @property
    def paused(self) -> bool:
        """See `Outlet.paused`."""
        return self._room is not None and not self._room.done()

    def weigh(self, record: Any) -> int:
        """See `Outlet.weigh`."""
        return 1

    def put(self, record: Any) -> Awaitable[None] | None:
        """See `Outlet.put`."""
        self._records.append(record)
        return self._told()

    def put_all(self, records: list[Any]) -> Awaitable[None] | None:
        """See `Outlet.put_all`."""
        self._records += records
        return self._told()

    def _told(self) -> Awaitable[None] | None:
        """Wakes the reader; gives what the generator waits for where it is far enough ahead."""
        if (news := self._news) is not None:
            self._news = None
            _wake(news)
        if len(self._records) < self.ahead:
            return None
        self._room = asyncio.get_running_loop().create_future()
        return self._room

    def take(self) -> list[Any]:
        """The records that are ready; none, if there are none. Nothing comes after the record of the ending."""
        records, self._records = self._records, []
        if (room := self._room) is not None:
            self._room = None
            _wake(room)
        return records

    def news(self) -> Awaitable[None]:
        """To be awaited where `take` gave nothing, before it is asked again.

        Raises:
            RuntimeError: another task waits already.
        """
        if self._news is not None and not self._news.done():
            raise RuntimeError("another task is reading this call already")
        self._news = asyncio.get_running_loop().create_future()
        return self._news

    async def flush(self) -> None:
        """Whatever was put is there to be taken."""

    async def finish(self, record: Any) -> None:
        """Puts the record of the ending, which needs no room."""
        self._records.append(record)
        if (news := self._news) is not None:
            self._news = None
            _wake(news)

    def drop(self) -> None:
        """See `Outlet.drop`. What was put stays: only its reader knows whether it is still wanted."""

    def beat(self, record: Any) -> None:
        """Nobody in the same process has to be told that it still runs."""

    def written(self) -> asyncio.Future[None]:
        """There is never a write under way."""
        raise AssertionError("ask only while `writing`")


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():  # whoever waited may have been cancelled
        waiting.set_result(None)
