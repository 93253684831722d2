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
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from importlib import import_module
from typing import Any, Protocol, TypeVar

import uvloop

from headrace.batching import Slot, Slots, batch, continuous_batch
from headrace.batching.run import DONE

T = TypeVar("T")

ROUNDS = 5
SHORTEST, LONGEST = 8, 256
PLACES = 16
PROMPT = [1, *range(100, 116)]
WAYS = ("alone", "static", "dynamic", "continuous")


class Steps(Protocol):
    """A model that works on the rows of a pool."""

    def join(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        """Reads prompts of one length into the next rows; their first tokens."""

    def step(self) -> list[int]:
        """The next token of each row."""

    def drop(self, row: int) -> None:
        """Ends a sequence; the last one has its row then."""


class Ways:
    """The ways to use such a model."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @batch(max_batch_size=1)
    def alone(self, lengths: list[int]) -> Iterator[list[Any]]:
        """One request at a time."""
        yield from self._together(lengths)

    @batch(max_batch_size=PLACES)
    def static(self, lengths: list[int]) -> Iterator[list[Any]]:
        """A batch is computed in all its rows until the longest member is through; then they are told."""
        made = [self._steps.join([PROMPT] * len(lengths))]
        made += [self._steps.step() for _ in range(1, max(lengths))]
        for row in reversed(range(len(lengths))):
            self._steps.drop(row)
        for number, tokens in enumerate(made):
            yield [token if number < length else DONE for token, length in zip(tokens, lengths, strict=True)]

    @batch(max_batch_size=PLACES)
    def dynamic(self, lengths: list[int]) -> Iterator[list[Any]]:
        """Members get their tokens as they are made, and end one by one; the next batch waits for the last."""
        yield from self._together(lengths)

    @continuous_batch(max_batch_size=PLACES)
    def continuous(self, slots: Slots[int, int]) -> Iterator[None]:
        """Who waits takes the row of one that ends, at the next step."""
        rows: list[Slot[int, int]] = []
        while True:
            self._drop(rows, lambda slot: slot.over or slot.cancelled)
            tokens = self._steps.step() if rows else []
            if slots.joined:
                rows += slots.joined
                tokens += self._steps.join([PROMPT] * len(slots.joined))
            for slot, token in zip(rows, tokens, strict=True):
                slot.send(token)
                slot.state = 1 + (slot.state or 0)
                if slot.state == slot.request:
                    slot.finish()
            yield

    def _together(self, lengths: Sequence[int]) -> Iterator[list[Any]]:
        """A batch whose members leave their rows when they are through."""
        rows = list(range(len(lengths)))
        tokens = self._steps.join([PROMPT] * len(lengths))
        for made in range(1, max(lengths) + 1):
            step: list[Any] = [DONE] * len(lengths)
            for member, token in zip(rows, tokens, strict=True):
                step[member] = token
            yield step
            self._drop(rows, lambda member, made=made: lengths[member] == made)  # type: ignore[misc]
            tokens = self._steps.step() if rows else []

    def _drop(self, rows: list[T], over: Callable[[T], bool]) -> None:
        for row in reversed(range(len(rows))):
            if over(rows[row]):
                self._steps.drop(row)
                rows[row] = rows[-1]
                rows.pop()


@dataclass(frozen=True, slots=True)
class Result:
    """What a load came to: rates per second, and seconds."""

    tokens: float
    requests: float
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

    started = time.perf_counter()
    await asyncio.gather(*map(ask, range(len(lengths))))
    seconds = time.perf_counter() - started
    return Result(
        tokens=sum(lengths) / seconds,
        requests=len(lengths) / seconds,
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
            ways = Ways(steps.Steps(model, PLACES, len(PROMPT) + LONGEST))
            each.append(astuple(uvloop.run(put_under_load(getattr(ways, way), lengths, float(over)))))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
