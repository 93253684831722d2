"""The service of the tests of continuous batches: a model that works in steps, and goes wrong on demand."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from headrace import endpoint, service
from headrace.batching.continuous import continuous_batch
from headrace.batching.slots import Slots


@dataclass(frozen=True)
class Grist:
    """What is asked: so many items that carry a name."""

    name: str
    items: int
    how: str = ""


@service
class Mill:
    def __init__(self) -> None:
        self.steps = 0
        self.made = 0
        self.freed: dict[str, float] = {}
        self.pause = 0.005

    def _turn(self, slots: Slots[Grist, str]) -> None:
        for slot in slots.joined:
            slot.state = 0
            if slot.request.how == "kill":
                raise RuntimeError("the wheel is broken")
        for slot in slots:
            grist = slot.request
            if grist.how == "poison":
                slot.fail(ValueError(f"{grist.name} is poisoned"))
                continue
            slot.send(f"{grist.name}.{slot.state}")
            slot.state += 1
            if slot.state == grist.items and grist.how == "early":
                slot.finish()
                slot.send("after its end")
            elif slot.state == grist.items:
                slot.finish()

    @continuous_batch(request=Grist, max_batch_size=8)
    def turn(self, slots: Slots[Grist, str]) -> Iterator[None]:
        while True:
            before = {slot.request.name for slot in slots}
            time.sleep(self.pause)
            self._turn(slots)
            self.steps += 1
            self.made += len(slots)
            yield
            for name in before - {slot.request.name for slot in slots}:
                self.freed[name] = time.monotonic()

    @continuous_batch(request=Grist, max_batch_size=64)
    def rush(self, slots: Slots[Grist, str]) -> Iterator[None]:
        """As `turn`, as fast as it can."""
        while True:
            self._turn(slots)
            yield

    @continuous_batch(step_timeout_s=0.5)
    def stick(self, slots: Slots[float, str]) -> Iterator[None]:
        while True:
            for slot in slots:
                time.sleep(slot.request)
                slot.send("moved")
                slot.finish()
            yield

    @endpoint
    async def grind(self, name: str, items: int, how: str = "") -> AsyncIterator[str]:
        async for item in self.turn(name, items, how):
            yield item

    @endpoint
    def grind_in_a_thread(self, name: str, items: int) -> Iterator[str]:
        yield from self.turn(name, items)  # type: ignore[misc]  # an iterator, on a worker thread

    @endpoint
    async def hurry(self, name: str, items: int, how: str = "") -> AsyncIterator[str]:
        async for item in self.rush(name, items, how):
            yield item

    @endpoint
    def grind_in_place(self, name: str, items: int, how: str = "") -> AsyncIterator[str]:
        return self.turn(name, items, how)

    @endpoint
    def hurry_in_place(self, name: str, items: int, how: str = "") -> AsyncIterator[str]:
        return self.rush(name, items, how)

    @endpoint
    async def jam(self, seconds: float) -> AsyncIterator[str]:
        async for item in self.stick(seconds):
            yield item

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, int]:
        return {"steps": self.steps, "made": self.made}

    @endpoint
    async def releases(self) -> dict[str, float]:
        """When slots were empty, by name; forgets them."""
        freed, self.freed = self.freed, {}
        return freed
