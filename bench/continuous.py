"""What continuous batches cost and gain: `python -m bench.continuous` writes its tables into docs/performance.md.

The load: 64 requests for 8 to 256 tokens, mostly few, over 2 seconds or all at once, on the built-in model. Median of
five, by the clock. The cost alone: a step that computes nothing, and 256 callers that read; a rate per second of CPU of
the whole process.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from bench.batching import PAGE, ROUNDS, write
from bench.tiny_steps import Steps, load
from headrace.batching import batch
from headrace.batching.continuous import continuous_batch
from headrace.batching.run import DONE
from headrace.batching.slots import Slots

BEGIN = "<!-- begin: python -m bench.continuous -->\n"
END = "<!-- end: python -m bench.continuous -->"

REQUESTS = 64
SECONDS = 2.0
SHORTEST, LONGEST = 8, 256
PLACES = 16
PROMPT = [1, *range(100, 116)]

CALLERS = 256
STEPS = 4_000


class Ways:
    """Four ways to run the same model."""

    def __init__(self, model: Any) -> None:
        self._steps = Steps(model, PLACES)

    def _together(self, lengths: Sequence[int]) -> Iterator[list[int | None]]:
        """Tokens for a batch; None where a member is through. Only those that are not are computed."""
        places, made = zip(*(self._steps.join(PROMPT) for _ in lengths), strict=True)
        try:
            yield list(made)
            for number in range(1, max(lengths)):
                left = [n for n, length in enumerate(lengths) if length > number]
                tokens = dict(zip(left, self._steps.step([places[n] for n in left]), strict=True))
                yield [tokens.get(n) for n in range(len(lengths))]
        finally:
            for place in places:
                self._steps.leave(place)

    @batch(max_batch_size=1)
    def alone(self, lengths: list[int]) -> Iterator[list[Any]]:
        """One request at a time."""
        yield from self._together(lengths)

    @batch(max_batch_size=PLACES)
    def static(self, lengths: list[int]) -> Iterator[list[Any]]:
        """Every batch is computed to its end in all its places, and its members get their tokens then."""
        yield from list(self._together([max(lengths)] * len(lengths)))

    @batch(max_batch_size=PLACES)
    def dynamic(self, lengths: list[int]) -> Iterator[list[Any]]:
        """Members get their tokens as they are made, and end one by one; the next batch waits for the last."""
        for step in self._together(lengths):
            yield [DONE if token is None else token for token in step]

    @continuous_batch(max_batch_size=PLACES)
    def continuous(self, slots: Slots[int, int]) -> Iterator[None]:
        """The places of those that end are taken at the next step."""
        used: dict[Any, int] = {}
        left: dict[Any, int] = {}
        while True:
            for slot in [each for each in used if each not in slots]:
                self._steps.leave(used.pop(slot))
            for slot in slots.joined:
                used[slot], token = self._steps.join(PROMPT)
                left[slot] = slot.request - 1
                slot.send(token)
            going = [slot for slot in slots if slot not in slots.joined]
            if going:
                for slot, token in zip(going, self._steps.step([used[slot] for slot in going]), strict=True):
                    slot.send(token)
                    left[slot] -= 1
            for slot in slots:
                if not left[slot]:
                    slot.finish()
            yield


@dataclass(frozen=True, slots=True)
class Result:
    """What a load came to, in seconds."""

    tokens: float
    requests: float
    first_mean: float
    first_p99: float
    whole_mean: float


async def put_under_load(call: Callable[[int], Any], over: float) -> Result:
    """The load, over so many seconds, and what its callers saw."""
    dice = random.Random(1)
    lengths = [round(SHORTEST * (LONGEST / SHORTEST) ** dice.random()) for _ in range(REQUESTS)]
    first: list[float] = []
    whole: list[float] = []

    async def ask(number: int) -> None:
        await asyncio.sleep(over * number / REQUESTS)
        started, count = time.perf_counter(), 0
        async for _ in call(lengths[number]):
            count += 1
            if count == 1:
                first.append(time.perf_counter() - started)
            if count == lengths[number]:  # a static batch gives more
                break
        assert count == lengths[number]
        whole.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*map(ask, range(REQUESTS)))
    seconds = time.perf_counter() - started
    return Result(
        tokens=sum(lengths) / seconds,
        requests=REQUESTS / seconds,
        first_mean=statistics.mean(first),
        first_p99=sorted(first)[-1],  # of 64, the 99th percentile is the last
        whole_mean=statistics.mean(whole),
    )


def loads(over: float) -> str:
    """The table of the load, over so many seconds."""
    model = load()
    when = f"over {over:g} s" if over else "at once"
    table = (
        f"| {REQUESTS} requests for {SHORTEST} to {LONGEST} tokens {when}, {PLACES} places "
        "| tokens/s | requests/s | first token, mean | p99 | whole, mean |\n|---|--:|--:|--:|--:|--:|\n"
    )
    results: dict[str, list[Result]] = {}
    for _ in range(ROUNDS):
        for name in ("alone", "static", "dynamic", "continuous"):
            results.setdefault(name, []).append(uvloop.run(put_under_load(getattr(Ways(model), name), over)))
    names = {"alone": "one at a time", "static": "static batches", "dynamic": "`@batch`"}
    for name, each in results.items():
        tokens, requests, first, p99, whole = (
            statistics.median(getattr(result, field) for result in each) for field in Result.__slots__
        )
        what = names.get(name, "`@continuous_batch`")
        table += f"| {what} | {tokens:,.0f} | {requests:.1f} | {first:.2f} s | {p99:.2f} s | {whole:.2f} s |\n"
    return table


async def items(on_thread: bool) -> float:
    """Items per second of CPU that steps deliver which compute nothing."""

    def step(slots: Slots[int, int], number: int) -> None:
        for slot in slots:
            slot.send(number)
        if number == STEPS:
            for slot in slots:
                slot.finish()

    @continuous_batch(max_batch_size=CALLERS)
    def on_a_thread(slots: Slots[int, int]) -> Iterator[None]:
        for number in range(1, STEPS + 1):
            step(slots, number)
            yield

    @continuous_batch(max_batch_size=CALLERS)
    async def on_the_loop(slots: Slots[int, int]) -> AsyncIterator[None]:
        for number in range(1, STEPS + 1):
            step(slots, number)
            yield

    async def read(call: Any) -> int:
        count = 0
        async for _ in call:
            count += 1
        return count

    started = time.process_time()
    calls = [(on_a_thread if on_thread else on_the_loop)(number) for number in range(CALLERS)]
    total = sum(await asyncio.gather(*map(read, calls)))
    return total / (time.process_time() - started)


def costs() -> str:
    """The table of rates."""
    table = "| `@continuous_batch`, items per second of CPU | median | lowest to highest | asked |\n|---|--:|--:|--:|\n"
    for what, on_thread in ((f"{CALLERS} callers, on a thread", True), (f"{CALLERS} callers, on the loop", False)):
        rates = [uvloop.run(items(on_thread)) for _ in range(ROUNDS)]
        table += f"| {what} | {statistics.median(rates):,.0f} | {min(rates):,.0f} to {max(rates):,.0f} | 1,000,000 |\n"
    return table


def main() -> None:
    """Prints the tables, and writes them into the page."""
    tables = f"{loads(SECONDS)}\n{loads(0)}\n{costs()}"
    print(tables)
    write(PAGE, BEGIN, END, tables)


if __name__ == "__main__":
    main()
