"""headrace: `headrace run bench/peers/headrace_app.py`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

from bench.peers import workloads
from headrace import endpoint, service
from headrace.batching import Slots, continuous_batch


@service
class Source:
    """The workloads."""

    @endpoint
    async def plain(self, count: int) -> AsyncIterator[str]:
        """Never suspends."""
        for _ in range(count):
            yield workloads.ITEM

    @endpoint
    def polite(self, count: int) -> AsyncIterator[str]:
        """Suspends before each item."""
        return workloads.polite(count)

    @endpoint
    def paced(self, count: int) -> AsyncIterator[str]:
        """20 items a second."""
        return workloads.paced(count)

    @endpoint
    def threaded(self, count: int) -> Iterator[str]:
        """An ordinary generator."""
        yield from workloads.threaded(count)

    @endpoint
    def silent(self, count: int) -> AsyncIterator[str]:
        """Makes nothing."""
        return workloads.silent(count)

    @endpoint
    def engine(self, count: int) -> AsyncIterator[str]:
        """From the decode loop, over a queue."""
        return workloads.ENGINE.stream(count)

    @endpoint
    def pushed(self, count: int) -> AsyncIterator[str]:
        """From a decode loop of headrace's own."""
        return self.decode(count)

    @continuous_batch(max_batch_size=512)
    def decode(self, slots: Slots[int, str]) -> Iterator[None]:
        """Makes one item for each slot every 50 ms."""
        while True:
            for slot in slots.joined:
                slot.state = slot.request
            time.sleep(workloads.PACE)
            item = workloads.stamped()
            for slot in slots:
                slot.send(item)
                slot.state -= 1
                if slot.state == 0:
                    slot.finish()
            yield
