"""Models for the tests of continuous batches: a request says how many items it wants."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from headrace.batching.continuous import continuous_batch
from headrace.batching.slots import Slot, Slots


def advance(slots: Slots[int, str], steps: list[list[int]]) -> None:
    """One step: every slot gets its next item, `3.0`, `3.1`, `3.2`, and ends when it has as many as it wants."""
    for slot in slots.joined:
        slot.state = 0
    steps.append([slot.request for slot in slots])
    for slot in slots:
        slot.send(f"{slot.request}.{slot.state}")
        slot.state += 1
        if slot.state == slot.request:
            slot.finish()


class Ticking:
    """A model on the event loop. Each step waits for `tick()` while `held`."""

    def __init__(self) -> None:
        self.steps: list[list[int]] = []  # the requests that were in each
        self.held = False
        self.closed = 0
        self.slots: list[Slot[int, str]] = []
        self._ticks = asyncio.Semaphore(0)

    def tick(self, count: int = 1) -> None:
        """Lets so many steps be made."""
        for _ in range(count):
            self._ticks.release()

    async def settle(self) -> None:
        """Lets everything run that is ready."""
        for _ in range(20):
            await asyncio.sleep(0)

    @continuous_batch(max_batch_size=4, linger_s=0)
    async def decode(self, slots: Slots[int, str]) -> AsyncIterator[None]:
        try:
            while True:
                if self.held:
                    await self._ticks.acquire()
                self.slots = list(slots)
                advance(slots, self.steps)
                yield
        finally:
            self.closed += 1


class Threaded:
    """A model in a thread."""

    def __init__(self) -> None:
        self.steps: list[list[int]] = []
        self.threads: set[int] = set()
        self.closed = threading.Event()

    @continuous_batch(max_batch_size=4, linger_s=0)
    def decode(self, slots: Slots[int, str]) -> Iterator[None]:
        try:
            while True:
                self.threads.add(threading.get_ident())
                advance(slots, self.steps)
                yield
        finally:
            self.threads.add(threading.get_ident())
            self.closed.set()


def wanted(count: int) -> list[str]:
    """What a request gets."""
    return [f"{count}.{number}" for number in range(count)]


async def read(call: Any) -> list[Any]:
    """All items of a call."""
    return [item async for item in call]


async def until(holds: Any) -> None:
    """Lets the loop run until something holds."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)
