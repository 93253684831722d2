"""Run by `bench.batching` in Ray's own environment: `serve.batch` under the load in which batches fall apart.

The calls are made inside the deployment, so that no hop counts. Prints a list of batches and seconds, one pair per
round, as JSON. Ends what it has started.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import ray
from ray import serve

ROUNDS, CALLS, MOST = map(int, sys.argv[1:4])
PAUSE, SECONDS = map(float, sys.argv[4:6])


@serve.deployment(max_ongoing_requests=100)
class Model:
    """A model that takes so long for any batch."""

    def __init__(self) -> None:
        self.batches = 0

    @serve.batch(max_batch_size=MOST, batch_wait_timeout_s=0.01)
    async def work(self, values: list[int]) -> list[int]:
        """One batch."""
        self.batches += 1
        await asyncio.sleep(SECONDS)
        return values

    async def measure(self) -> tuple[int, float]:
        """How many batches, and the seconds to the last answer."""

        async def call(number: int) -> None:
            await asyncio.sleep(PAUSE * number)
            assert await self.work(number) == number

        self.batches = 0
        started = time.perf_counter()
        await asyncio.gather(*map(call, range(CALLS)))
        return self.batches, time.perf_counter() - started


def main() -> None:
    """Prints the rounds."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        model = serve.run(Model.bind(), route_prefix=None)
        print(json.dumps([model.measure.remote().result(timeout_s=120) for _ in range(ROUNDS)]))
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
