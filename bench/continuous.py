"""Four ways to batch a model that generates, under one load: `bench.batching` starts it where the model can run.

`python -m bench.continuous tiny_steps 64 2` prints, as JSON, what 64 requests over 2 seconds came to. They ask for 8 to
256 tokens, mostly few: the logarithm of the number is uniform. Each round has other numbers, the same for every way.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from importlib import import_module
from typing import Any

import uvloop

from bench.rows import Greedy
from headrace.batching import Slots, batch, continuous_batch
from headrace.batching.run import DONE

ROUNDS = 5
SHORTEST, LONGEST = 8, 256
PLACES = 32
PROMPT = [1, *range(100, 116)]
WAYS = ("alone", "static", "dynamic", "continuous")


class Ways:
    """The ways to use such a model."""

    def __init__(self, steps: Greedy) -> None:
        self._steps = steps

    @batch(max_batch_size=1)
    def alone(self, lengths: list[int]) -> Iterator[list[Any]]:
        """One request at a time."""
        yield from self._together(lengths)

    @batch(max_batch_size=PLACES)
    def static(self, lengths: list[int]) -> Iterator[list[Any]]:
        """A batch is computed in all its rows until the longest member is through; then they are told."""
        members = range(len(lengths))
        made = [self._steps.step(members, [PROMPT] * len(lengths))]
        made += [self._steps.step() for _ in range(1, max(lengths))]
        for member in members:
            self._steps.drop(member)
        for number, tokens in enumerate(made):
            yield [token if number < lengths[member] else DONE for member, token in tokens]

    @batch(max_batch_size=PLACES)
    def dynamic(self, lengths: list[int]) -> Iterator[list[Any]]:
        """Members get their tokens as they are made, and end one by one; the next batch waits for the last."""
        yield from self._together(lengths)

    @continuous_batch(max_batch_size=PLACES, linger_s=0)
    def continuous(self, slots: Slots[int, int]) -> Iterator[None]:
        """Who waits takes the row of one that ends, at the next step."""
        steps = self._steps
        while True:
            for slot in [slot for slot in steps.names if slot.over or slot.cancelled]:
                steps.drop(slot)
            for slot, token in steps.step(slots.joined, [PROMPT] * len(slots.joined)):
                slot.send(token)
                slot.state = 1 + (slot.state or 0)
                if slot.state == slot.request:
                    slot.finish()
            yield

    def _together(self, lengths: Sequence[int]) -> Iterator[list[Any]]:
        """A batch whose members leave their rows when they are through."""
        tokens = self._steps.step(range(len(lengths)), [PROMPT] * len(lengths))
        for number in range(1, max(lengths) + 1):
            made: list[Any] = [DONE] * len(lengths)
            for member, token in tokens:
                made[member] = token
                if lengths[member] == number:
                    self._steps.drop(member)
            yield made
            tokens = self._steps.step()


@dataclass(frozen=True, slots=True)
class Result:
    """What a load came to: rates per second, one of them per second of CPU, and seconds."""

    tokens: float
    requests: float
    requests_of_cpu: float
    first_mean: float
    first_p99: float
    whole_mean: float


async def put_under_load(call: Callable[[int], Any], lengths: Sequence[int], over: float) -> Result:
    """The load, and what its callers saw."""
    first: list[float] = []
    whole: list[float] = []

    async def ask(number: int) -> None:
        await asyncio.sleep(over * number / len(lengths))
        started, count = time.perf_counter(), 0
        async for _ in call(lengths[number]):
            count += 1
            if count == 1:
                first.append(time.perf_counter() - started)
        assert count == lengths[number]
        whole.append(time.perf_counter() - started)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(ask, range(len(lengths))))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Result(
        tokens=sum(lengths) / seconds,
        requests=len(lengths) / seconds,
        requests_of_cpu=len(lengths) / cpu,
        first_mean=statistics.mean(first),
        first_p99=statistics.quantiles(first, n=100, method="inclusive")[-1],
        whole_mean=statistics.mean(whole),
    )


def main() -> None:
    """Prints the results of each way, round by round."""
    name, requests, over, *chosen = sys.argv[1:]
    steps: Any = import_module(f"bench.{name}")
    model = steps.load()
    results: dict[str, list[Any]] = {way: [] for way in chosen or WAYS}
    for number in range(ROUNDS):
        dice = random.Random(number)
        lengths = [round(SHORTEST * (LONGEST / SHORTEST) ** dice.random()) for _ in range(int(requests))]
        for way, each in results.items():
            ways = Ways(Greedy(steps.Steps(model, PLACES, len(PROMPT) + LONGEST), steps.PACKED))
            each.append(astuple(uvloop.run(put_under_load(getattr(ways, way), lengths, float(over)))))
            for thread in set(threading.enumerate()) - {threading.current_thread()}:
                thread.join()  # torch does not like to be left in the middle
    print(json.dumps(results))


if __name__ == "__main__":
    main()
