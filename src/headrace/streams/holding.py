"""An outlet that writes nothing before the end is known, for formats whose status line tells the ending."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

from headrace.errors import AnswerTooLarge
from headrace.streams.outlet import HIGH_WATER, Sink


class HoldingOutlet:
    """Keeps every record until the end is known, for formats whose status line tells the ending."""

    ahead = HIGH_WATER
    writing = paused = torn = False
    on_failure: Callable[[Exception], None] | None = None
    written_at = 0.0
    largest_gap: float | None = None

    def __init__(self, sink: Sink, limit: int) -> None:
        self._sink = sink
        self._limit = limit
        self._held = io.BytesIO()  # one run of bytes: small records in a list take ten times their size

    @property
    def buffered(self) -> int:
        """See `Outlet.buffered`."""
        return self._held.tell()

    def weigh(self, record: bytes) -> int:
        """See `Outlet.weigh`."""
        return len(record)

    def put(self, record: bytes) -> None:
        """Keeps the record.

        Raises:
            AnswerTooLarge: the answer passed the limit.
        """
        self._held.write(record)
        if self._held.tell() > self._limit:
            self.drop()
            raise AnswerTooLarge(
                f"the gathered answer passed {self._limit} bytes; ask for a streaming format, e.g. application/x-ndjson"
            )

    def put_all(self, records: list[bytes]) -> None:
        """Keeps the records; otherwise as `put`."""
        for record in records:
            self.put(record)

    async def flush(self) -> None:
        """Nothing leaves before the end."""

    async def finish(self, record: bytes) -> None:
        """See `Outlet.finish`."""
        await self._sink.finish([self._held.getvalue(), record])

    def drop(self) -> None:
        """See `Outlet.drop`."""
        self._held = io.BytesIO()

    def beat(self, record: bytes) -> None:
        """The status line waits for the end."""

    def written(self) -> asyncio.Future[None]:
        """There is never a write under way."""
        raise AssertionError("ask only while `writing`")
