"""Puts load on a server: requests that arrive at a rate or as fast as they are answered, so many at a time.

A request that is due while all connections are busy waits until one is free, and is counted as late: its own wait is in
none of the durations, which begin when it is sent.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headrace.cli.load.answer import UNCONNECTED, Failed
from headrace.cli.load.connection import Connections
from headrace.cli.load.request import Request
from headrace.cli.load.tally import Tally
from headrace.errors import ConnectionFailed


@dataclass(frozen=True, slots=True)
class Plan:
    """How much load.

    Attributes:
        requests: in all.
        concurrency: how many at a time, at most.
        duration: seconds after which answers that are still under way are broken off.
        rate: requests per second, on average; math.inf: the next one as soon as it may.
        seed: of the arrivals.
    """

    requests: int
    concurrency: int
    duration: float
    rate: float = math.inf
    seed: int = 0


def arrivals(plan: Plan) -> Iterator[float]:
    """When each request is due, in seconds from the start: a Poisson process, the same for the same seed."""
    if math.isinf(plan.rate):
        return itertools.repeat(0.0, plan.requests)
    chance = random.Random(plan.seed)
    return itertools.accumulate((chance.expovariate(plan.rate) for _ in range(plan.requests - 1)), initial=0.0)


class Load:
    """The load of one request on one server. Whoever made it closes it.

    Args:
        request: sent again and again.
        clock, cpu_clock: seconds; monotonic. The second one counts the work of this process.
    """

    def __init__(
        self,
        request: Request,
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._request = request
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._connections = Connections(request, clock)

    def close(self) -> None:
        """Closes its connections."""
        self._connections.close()

    async def run(self, plan: Plan, tally: Tally) -> None:
        """Runs the plan. However it ends, what was measured until then stands in the tally.

        Raises:
            ConnectionFailed: there is no server; nothing was sent.
        """
        self._connections.give_back(await self._connections.take())
        began, worked = self._clock(), self._cpu_clock()
        try:
            async with asyncio.timeout(plan.duration) as limit, asyncio.TaskGroup() as group:
                await self._send(plan, tally, group)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            tally.seconds, tally.cpu_seconds = self._clock() - began, self._cpu_clock() - worked

    async def _send(self, plan: Plan, tally: Tally, group: asyncio.TaskGroup) -> None:
        free = asyncio.Semaphore(plan.concurrency)
        began = self._clock()
        for due in arrivals(plan):
            if (wait := began + due - self._clock()) > 0:
                await asyncio.sleep(wait)
            if free.locked() and not math.isinf(plan.rate):
                tally.late += 1
            await free.acquire()
            group.create_task(self._ask(tally)).add_done_callback(lambda _: free.release())

    async def _ask(self, tally: Tally) -> None:
        try:
            connection = await self._connections.take()
        except ConnectionFailed as error:
            tally.fail(Failed(UNCONNECTED, error.message))
            return
        try:
            tally.add(await connection.ask(self._request))
        except asyncio.CancelledError:
            tally.unfinished += 1
            connection.abort()
            raise
        self._connections.give_back(connection)
