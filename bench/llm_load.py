"""The load of `bench.llm`, and the engine that runs it without a server.

`python -m bench.llm_load ENGINE MODEL CLIENTS` prints the measurement of one round as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import uvloop

from headrace.engines.events import TextDelta, Usage
from headrace.engines.generation import Generation, Message, Sampling
from headrace.engines.table import make

CLIENTS = (1, 8, 64)
REQUESTS = {1: 12, 8: 4, 64: 2}  # of each client, one after the other
MAX_TOKENS = 96
WARM_UP = "Hello"


@dataclass(frozen=True)
class Request:
    """How one request went. `first` is in seconds."""

    first: float
    tokens: int


@dataclass(frozen=True)
class Round:
    """What a load took. `first` and `seconds` are seconds of the clock."""

    cpu: float  # seconds of the process that makes the tokens
    seconds: float
    tokens: int
    first: float  # the median

    def dumps(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))


def question(client: int, number: int) -> str:
    """Each request asks something else."""
    return f"Tell me a story about a fox and {client + 2} birds, and of day {number + 1}."


async def load(clients: int, ask: Callable[[str], Awaitable[Request]], cpu: Callable[[], float]) -> Round:
    """Runs it.

    Args:
        clients: that ask at the same time.
        ask: makes one request.
        cpu: seconds that were used so far.
    """

    async def client(number: int) -> list[Request]:
        return [await ask(question(number, each)) for each in range(REQUESTS[clients])]

    await ask(WARM_UP)
    used, started = cpu(), time.perf_counter()
    done = await asyncio.gather(*map(client, range(clients)))
    seconds, used = time.perf_counter() - started, cpu() - used
    requests = [request for each in done for request in each]
    tokens = sum(request.tokens for request in requests)
    return Round(used, seconds, tokens, statistics.median(request.first for request in requests))


async def bare(name: str, model: str, clients: int) -> Round:
    """The load on an engine, read by a loop and nothing else."""
    engine = make(name, model or None)

    async def ask(text: str) -> Request:
        generation = Generation(messages=[Message("user", text)], sampling=Sampling(max_tokens=MAX_TOKENS))
        asked, first, tokens = time.perf_counter(), 0.0, 0
        async with contextlib.aclosing(engine.generate(generation)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    first = first or time.perf_counter() - asked
                elif isinstance(event, Usage):
                    tokens = event.completion_tokens
        return Request(first, tokens)

    await engine.start()
    try:
        return await load(clients, ask, time.process_time)
    finally:
        await engine.stop()


def main() -> None:
    """Prints it."""
    name, model, clients = sys.argv[1:]
    print(uvloop.run(bare(name, model, int(clients))).dumps())


if __name__ == "__main__":
    main()
