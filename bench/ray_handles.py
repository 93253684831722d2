"""Run by `bench.composition` in Ray's own environment: two deployments on one node, one reads the other's stream.

Prints the items per second of each round as JSON. Ends what it has started.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import ray
from ray import serve

ITEMS, ROUNDS = int(sys.argv[1]), int(sys.argv[2])


@serve.deployment
class Source:
    """Makes the items."""

    async def fast(self, count: int) -> AsyncIterator[str]:
        """Never waits."""
        for _ in range(count):
            yield "token"

    async def polite(self, count: int) -> AsyncIterator[str]:
        """Gives the loop its turn before each item."""
        for _ in range(count):
            await asyncio.sleep(0)
            yield "token"


@serve.deployment
class Reader:
    """Reads them through a handle, and takes the time."""

    def __init__(self, source: Any) -> None:
        self.source = source.options(stream=True)

    async def measure(self, name: str, count: int) -> float:
        """Items per second."""
        started = time.perf_counter()
        got = 0
        async for _ in getattr(self.source, name).remote(count):
            got += 1
        assert got == count
        return count / (time.perf_counter() - started)


def main() -> None:
    """Prints one object with the rates by generator."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        reader = serve.run(Reader.bind(Source.bind()), route_prefix=None)
        reader.measure.remote("fast", 100).result(timeout_s=120)  # both replicas are warm
        rates = {
            name: [reader.measure.remote(name, ITEMS).result(timeout_s=120) for _ in range(ROUNDS)]
            for name in ("fast", "polite")
        }
        print(json.dumps(rates))
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
