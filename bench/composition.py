"""What a call from one service to another costs: `python -m bench.composition` prints a table, median of five.

The same generator is read without a hop, through a handle in one process, through a handle with a url to a process of
its own, and through a handle of Ray Serve, which has its two deployments in two processes of one node. Ray is installed
into an environment of its own below `~/.cache`; `--without-ray` leaves it out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from bench.startup import answers
from headrace import endpoint, service
from headrace.config import Settings
from headrace.metrics import Metrics
from headrace.services.decorators import Bound
from headrace.services.runtime import Runtime

ROUNDS = 5
ITEMS = 50_000
RAY_ITEMS = 10_000
RAY = "2.60.0"
ENVIRONMENT = Path.home() / ".cache" / "headrace" / f"ray-{RAY}"


@dataclass
class Token:
    """An item that is no text."""

    text: str
    number: int


@service
class Source:
    """Makes the items."""

    @endpoint
    async def fast(self, count: int) -> AsyncIterator[str]:
        """Never waits."""
        for _ in range(count):
            yield "token"

    @endpoint
    async def objects(self, count: int) -> AsyncIterator[Token]:
        """Never waits."""
        for number in range(count):
            yield Token("token", number)

    @endpoint
    async def polite(self, count: int) -> AsyncIterator[str]:
        """Gives the loop its turn before each item."""
        for _ in range(count):
            await asyncio.sleep(0)
            yield "token"


WHAT = {
    "fast": "text, the generator never waits",
    "objects": "dataclasses, the generator never waits",
    "polite": "text, `await asyncio.sleep(0)` before each item",
}


async def rate(stream: AsyncIterator[Any]) -> float:
    """Items per second."""
    started = time.perf_counter()
    got = 0
    async for _ in stream:
        got += 1
    assert got == ITEMS
    return ITEMS / (time.perf_counter() - started)


async def measured(url: str) -> dict[str, list[list[float]]]:
    """Without a hop, with one, and with one by url, by generator; in turns, so that all see the same machine."""
    rates: dict[str, list[list[float]]] = {}
    near, far = Bound(Source), Bound(Source, url=url)
    async with Runtime(near, Settings(), Metrics()) as here, Runtime(far, Settings(), Metrics()) as there:
        ways = [Source(), here.handle(near), there.handle(far)]
        for name in WHAT:
            rounds = [[await rate(getattr(way, name)(ITEMS)) for way in ways] for _ in range(ROUNDS + 1)]
            rates[name] = [list(way) for way in zip(*rounds[1:], strict=True)]
    return rates


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The source in a process of its own; its url."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "headrace", "run", f"{__file__}:Source", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            while not answers(port):
                time.sleep(0.002)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def ray_rates() -> dict[str, list[float]]:
    """The same with Ray Serve, in its own environment."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"ray[serve]=={RAY}"], check=True)
    program = Path(__file__).with_name("ray_handles.py")
    done = subprocess.run([python, program, str(RAY_ITEMS), str(ROUNDS)], check=True, stdout=subprocess.PIPE, text=True)
    answer = next(
        line for line in done.stdout.splitlines() if line.startswith("{")
    )  # Ray says something at its end, too
    rates: dict[str, list[float]] = json.loads(answer)
    return rates


def cell(rates: list[float]) -> str:
    """The median, and from where to where."""
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"


def main() -> None:
    """Prints the table."""
    with served() as url:
        ours = uvloop.run(measured(url))
    theirs = {} if "--without-ray" in sys.argv else ray_rates()
    print("| items/s | no hop | headrace, in one process | headrace, by url | Ray Serve | times Ray |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, rates in ours.items():
        row = [cell(each) for each in rates]
        if name in theirs:
            near, far = (statistics.median(each) / statistics.median(theirs[name]) for each in rates[1:])
            row += [cell(theirs[name]), f"{near:,.0f} and {far:,.0f}"]
        else:
            row += ["", ""]
        print(f"| {WHAT[name]} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
