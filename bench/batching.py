"""What batching costs and what it gains: `python -m bench.batching` writes its tables into docs/performance.md.

Median of five. A rate is per second of CPU of the whole process, so that a busy machine does not lower it; the time of
a load is by the clock. Ray Serve runs in the environment that `bench.composition` has made, and GPT-2 in the one that
the tests of transformers have made; without them they are left out, and with `--without-ray`, too.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench.composition import ENVIRONMENT, RAY
from bench.continuous import LONGEST, PLACES, ROUNDS, SHORTEST, WAYS
from headrace.batching import Slots, batch, continuous_batch

REPOSITORY = Path(__file__).parent.parent
PAGE = REPOSITORY / "docs" / "performance.md"
TRANSFORMERS = REPOSITORY / ".cache" / "transformers" / "bin" / "python"
BEGIN = "<!-- begin: python -m bench.batching -->\n"
END = "<!-- end: python -m bench.batching -->"

CALLERS = 640
CALLS = 200  # of each caller, one after the other
STREAM_CALLERS = 64
STREAM_ITEMS = 2_000

STEP_CALLERS = 256
STEPS = 4_000

LOAD_CALLS = 16
LOAD_PAUSE = 0.02  # seconds between the calls
LOAD_SECONDS = 0.3  # of one batch

MODELS = {"built-in": ("tiny_steps", Path(sys.executable)), "GPT-2": ("gpt2_steps", TRANSFORMERS)}
GENERATIONS = (("built-in", 64, WAYS), ("GPT-2", 64, WAYS), ("built-in", 256, WAYS[1::2]), ("GPT-2", 192, WAYS[1::2]))
GENERATION_SECONDS = 2
NAMES = {
    "alone": "one at a time",
    "static": "static batches",
    "dynamic": "`@batch`",
    "continuous": "`@continuous_batch`",
}


# what a call costs


async def answers(size: int) -> float:
    """Answers per second of CPU, in batches of this size."""

    @batch(max_batch_size=size)
    async def same(values: list[int]) -> list[int]:
        return values

    async def caller() -> None:
        for number in range(CALLS):
            await same(number)

    started = time.process_time()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return CALLERS * CALLS / (time.process_time() - started)


async def items(on_thread: bool) -> float:
    """Items per second of CPU, streamed to as many callers as a batch has members."""

    @batch(max_batch_size=STREAM_CALLERS)
    def on_a_thread(values: list[int]) -> Iterator[list[int]]:
        for _ in range(STREAM_ITEMS):
            yield values

    @batch(max_batch_size=STREAM_CALLERS)
    async def on_the_loop(values: list[int]) -> AsyncIterator[list[int]]:
        for _ in range(STREAM_ITEMS):
            yield values

    async def caller(number: int) -> None:
        count = 0
        async for _ in (on_a_thread if on_thread else on_the_loop)(number):
            count += 1
        assert count == STREAM_ITEMS

    started = time.process_time()
    await asyncio.gather(*map(caller, range(STREAM_CALLERS)))
    return STREAM_CALLERS * STREAM_ITEMS / (time.process_time() - started)


async def steps(on_thread: bool) -> float:
    """Items per second of CPU that the steps of a continuous batch deliver, which compute nothing."""

    def step(slots: Slots[int, int], number: int) -> None:
        for slot in slots:
            slot.send(number)
        if number == STEPS:
            for slot in slots:
                slot.finish()

    @continuous_batch(max_batch_size=STEP_CALLERS)
    def on_a_thread(slots: Slots[int, int]) -> Iterator[None]:
        for number in range(1, STEPS + 1):
            step(slots, number)
            yield

    @continuous_batch(max_batch_size=STEP_CALLERS)
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
    calls = [(on_a_thread if on_thread else on_the_loop)(number) for number in range(STEP_CALLERS)]
    total = sum(await asyncio.gather(*map(read, calls)))
    return total / (time.process_time() - started)


def costs() -> str:
    """The table of rates."""
    measured: list[tuple[str, str, Callable[[], Any]]] = [
        ("`@batch`, one answer each, batches of 10", "", lambda: answers(10)),
        ("`@batch`, one answer each, batches of 64", "100,000", lambda: answers(64)),
        ("`@batch`, streams, a batch of 64, async generator", "", lambda: items(on_thread=False)),
        ("`@batch`, streams, a batch of 64, generator on a thread", "", lambda: items(on_thread=True)),
        ("`@continuous_batch`, 256 callers, on the loop", "1,000,000", lambda: steps(on_thread=False)),
        ("`@continuous_batch`, 256 callers, on a thread", "1,000,000", lambda: steps(on_thread=True)),
    ]
    table = "| per second of CPU | median | lowest to highest | asked |\n|---|--:|--:|--:|\n"
    for what, asked, measure in measured:
        rates = [uvloop.run(measure()) for _ in range(ROUNDS)]
        table += f"| {what} | {statistics.median(rates):,.0f} | {min(rates):,.0f} to {max(rates):,.0f} | {asked} |\n"
    return table


# what forming a batch late gains


async def fragmenting() -> tuple[int, float]:
    """How many batches, and the seconds to the last answer."""
    sizes: list[int] = []

    @batch(max_batch_size=LOAD_CALLS)
    async def work(values: list[int]) -> list[int]:
        sizes.append(len(values))
        await asyncio.sleep(LOAD_SECONDS)
        return values

    async def call(number: int) -> None:
        await asyncio.sleep(LOAD_PAUSE * number)
        assert await work(number) == number

    started = time.perf_counter()
    await asyncio.gather(*map(call, range(LOAD_CALLS)))
    return len(sizes), time.perf_counter() - started


def fragmenting_with_ray() -> list[tuple[int, float]]:
    """The same with `ray.serve.batch`."""
    program = Path(__file__).with_name("ray_batch.py")
    numbers = map(str, (ROUNDS, LOAD_CALLS, LOAD_CALLS, LOAD_PAUSE, LOAD_SECONDS))
    done = subprocess.run(
        [ENVIRONMENT / "bin" / "python", program, *numbers], check=True, stdout=subprocess.PIPE, text=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("[[")]  # Ray says something, too
    answer: list[tuple[int, float]] = json.loads(lines[0])
    return answer


def loads() -> str:
    """The table of the load that falls apart into small batches."""
    table = f"| {LOAD_CALLS} calls, {1000 * LOAD_PAUSE:g} ms apart, {LOAD_SECONDS} s a batch | batches | seconds |\n"
    table += "|---|--:|--:|\n"
    rows = {"`@batch`": [uvloop.run(fragmenting()) for _ in range(ROUNDS)]}
    if ENVIRONMENT.exists() and "--without-ray" not in sys.argv:
        rows[f"`ray.serve.batch` {RAY}"] = fragmenting_with_ray()
    for what, results in rows.items():
        batches, seconds = (statistics.median(column) for column in zip(*results, strict=True))
        table += f"| {what} | {batches:.0f} | {seconds:.2f} |\n"
    return table


# what steps gain


def generation(model: str, requests: int, ways: Sequence[str]) -> str:
    """The table of a model that generates; nothing where it cannot run."""
    module, python = MODELS[model]
    if not python.exists():
        return ""
    command = [python, "-m", "bench.continuous", module, str(requests), str(GENERATION_SECONDS), *ways]
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=one_thread)
    results: dict[str, list[list[float]]] = json.loads(done.stdout)
    load = f"{requests} requests over {GENERATION_SECONDS} s for {SHORTEST} to {LONGEST} tokens, {PLACES} places"
    table = (
        f"| {model}: {load} "
        "| tokens/s | requests/s | requests/s of CPU | first token, mean | p99 | whole, mean |\n"
        "|---|--:|--:|--:|--:|--:|--:|\n"
    )
    for way, rounds in results.items():
        tokens, *rates_and_seconds = map(statistics.median, zip(*rounds, strict=True))
        requests_rate, of_cpu, first, p99, whole = rates_and_seconds
        rates = f"{tokens:,.0f} | {requests_rate:.1f} | {of_cpu:.1f}"
        table += f"| {NAMES[way]} | {rates} | {first:.2f} s | {p99:.2f} s | {whole:.2f} s |\n"
    pairs = zip(results["static"], results["continuous"], strict=True)
    each = [[after / before for before, after in zip(*pair, strict=True)] for pair in pairs]
    times = " | ".join(f"{statistics.median(column):.2f}" for column in zip(*each, strict=True))
    return f"{table}| continuous / static | {times} |\n"


def write(page: Path, begin: str, end: str, tables: str) -> None:
    """Puts the tables between the markers of a page."""
    head, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(head + begin + tables + end + rest.partition(end)[2], encoding="utf-8")


def main() -> None:
    """Prints the tables, and writes them into the page."""
    tables = "\n".join(filter(None, [costs(), loads(), *(generation(*each) for each in GENERATIONS)]))
    print(tables)
    write(PAGE, BEGIN, END, tables)


if __name__ == "__main__":
    main()
