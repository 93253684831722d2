"""A pipeline of three services: split a text, work on each piece, join the results. Streams go from one to the next.

headrace dev examples/pipeline.py
curl -N localhost:8000/shout --json '{"text": "It was a long time ago."}' -H 'accept: application/x-ndjson'

Each item says when its piece was cut off, worked on and joined, in seconds. The first is there before the last piece is
cut off, and all takes little longer than the slowest of the three: they work at the same time.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from headrace import Footer, Handle, Stream, depends, endpoint, service

SPLITTING = WORKING = 0.1  # seconds for a piece


@dataclass(frozen=True)
class Piece:
    text: str
    split: float  # when, in seconds of the machine's clock


@dataclass(frozen=True)
class Result:
    text: str
    split: float
    worked: float


@dataclass(frozen=True)
class Joined:
    text: str
    split: float  # seconds since the request, as the next two
    worked: float
    joined: float


@dataclass(frozen=True)
class Whole:
    text: str
    seconds: float


@service
class Splitter:
    @endpoint
    async def split(self, text: str) -> AsyncIterator[Piece]:
        """The words, one after the other, as if reading them took time."""
        for word in text.split():
            await asyncio.sleep(SPLITTING)
            yield Piece(word, time.monotonic())


@service
class Worker:
    @endpoint
    async def work(self, pieces: AsyncIterator[Piece]) -> AsyncIterator[Result]:
        """Each piece while the next ones are still on their way."""
        async for piece in pieces:
            await asyncio.sleep(WORKING)
            yield Result(piece.text.upper(), piece.split, time.monotonic())


@service
class Joiner:
    splitter: Handle[Splitter] = depends(Splitter)
    worker: Handle[Worker] = depends(Worker)

    @endpoint
    async def shout(self, text: str) -> Stream[Joined, None, Whole]:
        """The results as they come, and all of them together at the end."""
        began = time.monotonic()

        def since(moment: float) -> float:
            return round(moment - began, 3)

        words: list[str] = []
        async for result in self.worker.work(self.splitter.split(text)):
            words.append(result.text)
            yield Joined(result.text, since(result.split), since(result.worked), since(time.monotonic()))
        yield Footer(Whole(" ".join(words), since(time.monotonic())))
