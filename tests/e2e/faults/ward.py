"""The service of the fault tests: endpoints that go wrong on demand, and that write down when they were freed."""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from headrace import StreamError, endpoint, service

MEBIBYTE = 1024 * 1024


@dataclass
class Token:
    text: str
    number: int


class Own(BaseException):
    """An exception of the user's that is not an Exception."""


class Broken(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("no text for you")

    __repr__ = __str__


class WardFull(StreamError):
    """The ward is full."""

    code = "ward_full"
    status = 429


FAILURES: dict[str, Callable[[], BaseException]] = {  # a new one each time: an exception keeps where it was raised
    "secret": lambda: RuntimeError("the secret is 4711"),
    "huge": lambda: RuntimeError("the secret is 4711 " * 100_000),
    "broken": Broken,
    "public": WardFull,
    "SystemExit": lambda: SystemExit(7),
    "KeyboardInterrupt": KeyboardInterrupt,
    "CancelledError": asyncio.CancelledError,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "GeneratorExit": GeneratorExit,
    "BaseException": Own,
}
POISONS: dict[str, Any] = {
    "nan": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "nan inside": {"deep": [1, {"er": float("nan")}]},
    "surrogate": "lone \ud800",
    "surrogate key": {"\udfff": 1},
    "object": object(),
    "function": len,
    "half text": b"\xff".decode("utf-8", "surrogateescape"),
}
AWKWARD = ["", "\n", "\r\n", "\u2028\u2029\u0085", '"\\', "\x00\x1f\x7f", "🜂 é 漢", "data: x\n\n", "{}", "null"]


@service
class Ward:
    def __init__(self) -> None:
        self.counting = 0
        self.running = 0
        self.started = 0
        self.made = 0
        self.freed: dict[str, float] = {}

    async def on_start(self) -> None:
        if os.environ.get("WARD_STARTS_SLOWLY"):
            print("the ward is being prepared", flush=True)
            await asyncio.sleep(60)

    @contextlib.contextmanager
    def _runs(self, name: str) -> Iterator[None]:
        """Counts one that runs, and writes down when it was freed: `time.monotonic()` is one clock for all."""
        self.started += 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self.freed[name] = time.monotonic()

    # what happened

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, int]:
        return {
            "counting": self.counting,
            "running": self.running,
            "started": self.started,
            "made": self.made,
            "tasks": len(asyncio.all_tasks()),
        }

    @endpoint
    async def where(self) -> int:
        """The process that answers."""
        return os.getpid()

    @endpoint(methods=("GET",))
    async def releases(self) -> dict[str, float]:
        """When the generators were freed, by name; forgets them."""
        freed, self.freed = self.freed, {}
        return freed

    # those that go well

    @endpoint
    async def count(self, to: int, pause: float = 0.0, text: str = "") -> AsyncIterator[str]:
        self.counting += 1
        try:
            for n in range(to):
                yield f"{text}{n}"
                await asyncio.sleep(pause)
        finally:
            self.counting -= 1

    @endpoint
    async def add(self, a: int, b: int) -> int:
        return a + b

    # those that somebody leaves

    @endpoint
    async def drip(self, name: str, pause: float = 0.005) -> AsyncIterator[str]:
        with self._runs(name):
            while True:
                yield "drop"
                await asyncio.sleep(pause)

    @endpoint
    async def silent(self, name: str, after: int = 0) -> AsyncIterator[str]:
        with self._runs(name):
            for n in range(after):
                yield str(n)
            await asyncio.Event().wait()

    @endpoint
    async def flood(self, name: str, size: int = 65_536) -> AsyncIterator[str]:
        with self._runs(name):
            while True:
                self.made += 1
                yield "x" * size

    @endpoint
    async def tight(self, name: str, to: int = 1_000_000_000) -> AsyncIterator[str]:
        with self._runs(name):
            for _ in range(to):
                yield "x"

    @endpoint
    def blocking(self, name: str, seconds: float, to: int = 1_000_000) -> Iterator[str]:
        with self._runs(name):
            for n in range(to):
                yield str(n)
                time.sleep(seconds)

    @endpoint
    async def think(self, name: str, seconds: float = 1000.0) -> str:
        with self._runs(name):
            await asyncio.sleep(seconds)
            return "thought"

    # those that fail

    @endpoint
    async def fails(self, how: str, after: int = 0) -> AsyncIterator[str]:
        for n in range(after):
            yield str(n)
        raise FAILURES[how]()

    @endpoint
    def fails_in_a_thread(self, how: str, after: int = 0) -> Iterator[str]:
        for n in range(after):
            yield str(n)
        raise FAILURES[how]()

    @endpoint
    async def poisoned(self, items: int, poison: str, seed: int = 0) -> AsyncIterator[Any]:
        """Items of every awkward kind, then one that is no JSON."""
        dice = random.Random(seed)
        for n in range(items):
            text = "".join(dice.choices(AWKWARD, k=dice.randrange(4)))
            yield dice.choice([text, n, -n / 7, None, [text, [n]], {text: text}, {"a": {"b": text}}])
        with self._runs(poison):
            yield POISONS[poison]
            yield "after the poison"

    @endpoint
    async def mistyped(self) -> AsyncIterator[Token]:
        with self._runs("mistyped"):
            yield Token("right", 1)
            yield {"text": "wrong"}  # type: ignore[misc]

    @endpoint
    async def measures(self) -> AsyncIterator[float]:
        with self._runs("measures"):
            yield 1.5
            yield float("nan")
