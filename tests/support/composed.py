"""Services that call each other in one process, and what must hold when they have stopped."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from headrace.config import Settings
from headrace.metrics import Metrics
from headrace.services.decorators import Bound
from headrace.services.runtime import Runtime


class Composed:
    """A running service, the handle of it, and what is counted of its streams and those below it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.handle = runtime.handle(runtime.definition.bound)

    def counted(self, name: str, *labels: str) -> float:
        """The sum of a metric's samples that have all these labels, written `end="ok"`."""
        lines = self.runtime.metrics.exposition().decode().splitlines()
        samples = [line.rsplit(" ", 1) for line in lines if re.match(rf"{name}[ {{]", line)]
        return sum(float(value) for sample, value in samples if all(label in sample for label in labels))


@asynccontextmanager
async def composed(target: type | Bound[Any], settings: Settings | None = None) -> AsyncIterator[Composed]:
    """Starts a service with all it depends on. After it: endings are starts, and no stream and no task is left."""
    before = asyncio.all_tasks()
    async with asyncio.timeout(20), Runtime(target, settings or Settings(), Metrics()) as runtime:
        running = Composed(runtime)
        yield running
    await turns()
    assert runtime.live == {}
    assert running.counted("headrace_streams_live") == 0
    assert running.counted("headrace_streams_total") == running.counted("headrace_streams_started_total")
    assert asyncio.all_tasks() - before == set()


async def turns(count: int = 30) -> None:
    """Lets everything run that is ready."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(holds: Callable[[], bool]) -> None:
    """Lets the others run until something holds."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)


def in_background(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task, as a request from outside would be one."""
    return asyncio.get_running_loop().create_task(work)
