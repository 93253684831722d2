"""Whatever callers do, in whatever order: no item reaches another caller, everybody ends once, nothing is left behind.

Calls come, are read, leave and stop reading; batches make steps, end single members, fail, and give wrong lengths. The
machine runs one call of the batched function at a time under its own hand: a batch does what the next rule says.
"""

import asyncio
import gc
import sys
import weakref
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from figures import FULL
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headrace.batching import batch, current_batch
from headrace.testing.clock import VirtualLoop

MOST = 3
PLACES = 2
PASSES = 12
"""Passes of the event loop after which everything that can happen has happened, but for what waits for a timer."""


class Request:
    """What a caller passes; the machine sees by it what is still held."""


@dataclass(eq=False)
class Client:
    number: int
    request: Request
    stream: Any
    items: list[Any] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)
    left: bool = False
    expected: list[Any] = field(default_factory=list)
    ending: str = ""


@dataclass(eq=False)
class Running:
    """A batch that runs: the clients in it, and what it is told to do next."""

    clients: list[Client]
    orders: asyncio.Queue[Any]
    done: set[int] = field(default_factory=set)


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clients: list[Client] = []
        self.batches: list[Running] = []
        self.requests: list[weakref.ref[Request]] = []
        self.count = 0
        self.entered = 0
        machine = self

        @batch(max_batch_size=MOST, max_concurrent_batches=PLACES, batch_wait_timeout_s=1)
        async def stream(requests: list[Request]) -> AsyncIterator[list[Any]]:
            clients = [next(c for c in machine.clients if c.request is request) for request in requests]
            assert not any(client.left for client in clients), "one that had left is in a batch"
            running = Running(clients, asyncio.Queue())
            machine.batches.append(running)
            machine.entered += 1
            try:
                while True:
                    order = await running.orders.get()
                    if isinstance(order, Exception):
                        raise order
                    if order is None:
                        return
                    assert [m.cancelled for m in current_batch().members] == [c.left for c in clients]
                    yield order
            finally:
                machine.batches.remove(running)

        self.stream = stream

    @initialize()
    def begin(self) -> None:  # not in the constructor: some machines are made and then not run
        gc.freeze()  # what is there already need not be looked through at the end of each example
        self.loop = VirtualLoop()

    # -- the event loop

    def settle(self, seconds: float = 0.0) -> None:
        """Lets everything happen that can, and then what timers bring within this time."""

        async def passes() -> None:
            for _ in range(PASSES):
                await asyncio.sleep(0)
            if seconds:
                await asyncio.sleep(seconds)
                for _ in range(PASSES):
                    await asyncio.sleep(0)

        self.loop.run_until_complete(passes())

    async def _take(self, client: Client) -> None:
        try:
            client.items.append(await anext(client.stream))
        except StopAsyncIteration:
            client.endings.append("end")
        except Exception as error:
            client.endings.append(str(error).partition(" ")[0])

    def clients_that(self, **states: bool) -> list[Client]:
        return [c for c in self.clients if all(getattr(c, name) is value for name, value in states.items())]

    # -- what callers do

    @rule(count=st.integers(1, 5))
    def come(self, count: int) -> None:
        async def call() -> None:
            for _ in range(count):
                self.count += 1
                request = Request()
                self.requests.append(weakref.ref(request))
                client = Client(self.count, request, None)
                self.clients.append(client)
                client.stream = self.stream(request)

        self.loop.run_until_complete(call())
        self.settle()

    @precondition(lambda self: self.clients_that(left=False))
    @rule(data=st.data(), how=st.sampled_from(["close", "drop", "cancel"]))
    def leave(self, data: st.DataObject, how: str) -> None:
        client = data.draw(st.sampled_from(self.clients_that(left=False)))
        client.left = True

        async def go() -> None:
            if how == "close":
                await client.stream.aclose()
            elif how == "cancel":
                task = asyncio.ensure_future(self._take_all(client))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            client.stream = None

        self.loop.run_until_complete(go())
        self.settle()

    async def _take_all(self, client: Client) -> None:
        while not client.endings:
            await self._take(client)
            await asyncio.sleep(0)

    @precondition(lambda self: any(not c.left and len(c.items) < len(c.expected) for c in self.clients))
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        ready = [c for c in self.clients if not c.left and len(c.items) < len(c.expected)]
        client = data.draw(st.sampled_from(ready))
        self.loop.run_until_complete(self._take(client))

    # -- what batches do

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), steps=st.integers(1, 4))
    def step(self, data: st.DataObject, steps: int) -> None:
        running = data.draw(st.sampled_from(self.batches))
        for _ in range(steps):
            self.count += 1
            ends = data.draw(st.sets(st.integers(0, len(running.clients) - 1), max_size=1))
            values: list[Any] = []
            for place, client in enumerate(running.clients):
                over = client.left or client.number in running.done
                if place in ends:
                    values.append(batch.DONE)
                    if not over:
                        client.ending = "end"
                    running.done.add(client.number)
                else:
                    values.append((client.number, self.count))
                    if not over:
                        client.expected.append((client.number, self.count))
            running.orders.put_nowait(values)
            self.settle()
            if running not in self.batches:
                break

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), how=st.sampled_from(["return", "raise", "cancel", "short"]))
    def end(self, data: st.DataObject, how: str) -> None:
        running = data.draw(st.sampled_from(self.batches))
        for client in running.clients:
            if not (client.left or client.number in running.done):
                told = {"return": "end", "raise": "no", "cancel": "no", "short": "HR15"}
                client.ending = told[how]
        order = {"return": None, "raise": ValueError("no"), "cancel": ValueError("no"), "short": []}[how]
        running.orders.put_nowait(order)
        self.settle()
        assert running not in self.batches

    # -- what must hold

    @invariant()
    def everybody_has_only_his_own(self) -> None:
        for client in self.clients:
            assert client.items == client.expected[: len(client.items)]
            assert len(client.endings) <= 1

    @invariant()
    def a_batch_runs_as_long_as_somebody_is_in_it(self) -> None:
        assert len(self.batches) <= PLACES
        for running in self.batches:
            assert 1 <= len(running.clients) <= MOST
            assert any(not (c.left or c.number in running.done) for c in running.clients)

    @rule()
    def time_passes(self) -> None:
        self.settle(1.5)
        started = {id(c) for running in self.batches for c in running.clients}
        waiting = [c for c in self.clients if not c.left and not c.ending and id(c) not in started]
        assert not waiting or len(self.batches) == PLACES, "a call waits while a place is free"

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            self.finish()
            gc.collect()
            if sys.exc_info()[0] is None:  # else an example that was cut short, whose frames hold what they drew
                assert [request for request in self.requests if request() is not None] == []
        finally:
            gc.unfreeze()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def finish(self) -> None:
        """Lets all batches come to their end, and everybody read the rest."""
        while [c for c in self.clients if not c.left and not c.ending]:
            self.settle(1.5)
            for running in list(self.batches):
                for client in running.clients:
                    if not (client.left or client.number in running.done):
                        client.ending = "end"
                running.orders.put_nowait(None)
            self.settle()
        for client in self.clients_that(left=False):
            self.loop.run_until_complete(self._take_all(client))
            assert client.items == client.expected
            assert client.endings == [client.ending]
        self.clients.clear()
        client = running = None
        self.settle()
        assert self.batches == []


TestDynamicBatches = Machine.TestCase
TestDynamicBatches.settings = settings(
    max_examples=2000 if FULL else 150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
