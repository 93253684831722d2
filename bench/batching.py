"""What batching costs and what it gains: `python -m bench.batching` writes its tables into docs/performance.md.

Median of five. A rate is per second of CPU of the whole process, so that a busy machine does not lower it; the time of
a load is by the clock. Ray Serve runs in the environment that `bench.composition` has made; without that, or with
`--without-ray`, it is left out.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import uvloop

from bench.composition import ENVIRONMENT, RAY
from headrace.batching import batch

ROUNDS = 5
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN = "<!-- begin: python -m bench.batching -->\n"
END = "<!-- end: python -m bench.batching -->"

CALLERS = 640
CALLS = 200  # of each caller, one after the other
STREAM_CALLERS = 64
STREAM_ITEMS = 2_000

LOAD_CALLS = 16
LOAD_PAUSE = 0.02  # seconds between the calls
LOAD_SECONDS = 0.3  # of one batch


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


def costs() -> str:
    """The table of rates."""
    measured: list[tuple[str, str, Callable[[], Any]]] = [
        ("one answer each, batches of 10", "", lambda: answers(10)),
        ("one answer each, batches of 64", "100,000", lambda: answers(64)),
        ("streams, a batch of 64, async generator", "", lambda: items(on_thread=False)),
        ("streams, a batch of 64, generator on a thread", "", lambda: items(on_thread=True)),
    ]
    table = "| `@batch`, per second of CPU | median | lowest to highest | asked |\n|---|--:|--:|--:|\n"
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


def write(page: Path, begin: str, end: str, tables: str) -> None:
    """Puts the tables between the markers of a page."""
    head, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(head + begin + tables + end + rest.partition(end)[2], encoding="utf-8")


def main() -> None:
    """Prints the tables, and writes them into the page."""
    tables = f"{costs()}\n{loads()}"
    print(tables)
    write(PAGE, BEGIN, END, tables)


if __name__ == "__main__":
    main()
