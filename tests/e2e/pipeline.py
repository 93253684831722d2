"""A service that reads another one: in this process, or with `SOURCE_URL` in a process of its own."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from headrace import Footer, Handle, Header, Stream, StreamError, depends, endpoint, opened, service


class Taken(StreamError):
    """All places of the model are taken."""

    code = "taken"
    status = 429


@dataclass
class Word:
    text: str
    made: float


@service
class Source:
    def __init__(self) -> None:
        self.count = 0

    @endpoint
    async def words(self, count: int, pause: float = 0.0) -> AsyncIterator[Word]:
        for number in range(count):
            yield Word(f"w{number}", time.monotonic())
            await asyncio.sleep(pause)

    @endpoint
    def blocking_words(self, count: int) -> Iterator[str]:
        for number in range(count):
            yield f"w{number}"

    @endpoint
    async def typed(self, words: list[str]) -> Stream[Word, dict[str, str], int]:
        yield Header({"language": "en"})
        for word in words:
            yield Word(word, 0.0)
        yield Footer(len(words))

    @endpoint
    async def upper(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        async for word in words:
            yield word.upper()

    @endpoint
    async def taken(self, after: int) -> AsyncIterator[str]:
        for number in range(after):
            yield f"w{number}"
        raise Taken

    @endpoint
    async def breaks(self, after: int) -> AsyncIterator[str]:
        for number in range(after):
            yield f"w{number}"
        raise RuntimeError("the secret reason")

    @endpoint
    async def flood(self) -> AsyncIterator[str]:
        while True:
            self.count += 1
            yield "x" * 10_000

    @endpoint
    async def made(self) -> int:
        return self.count


@service
class Front:
    source: Handle[Source] = depends(Source, url=os.environ.get("SOURCE_URL"))

    @endpoint
    async def worked(self, count: int, pause: float) -> AsyncIterator[dict[str, float]]:
        """When each word was made, and when it was worked on here."""
        async for word in self.source.words(count, pause):
            yield {"made": word.made, "worked": time.monotonic()}

    @endpoint
    def blocking(self, count: int) -> Iterator[str]:
        yield from self.source.blocking_words(count)

    @endpoint
    async def typed(self, words: list[str]) -> Stream[str, dict[str, str], int]:
        async with opened(self.source.typed(words)) as stream:
            assert stream.header is not None
            yield Header({**stream.header, "by": "front"})
            async for word in stream:
                yield word.text
            assert stream.footer is not None
            yield Footer(stream.footer + 1)

    @endpoint
    async def passed(self, words: list[str]) -> AsyncIterator[str]:
        async def each() -> AsyncIterator[str]:
            for word in words:
                yield word

        async for word in self.source.upper(each()):
            yield word

    @endpoint
    async def taken(self, after: int) -> AsyncIterator[str]:
        async for word in self.source.taken(after):
            yield word

    @endpoint
    async def breaks(self, after: int) -> AsyncIterator[str]:
        async for word in self.source.breaks(after):
            yield word

    @endpoint
    async def flood(self) -> AsyncIterator[str]:
        async for text in self.source.flood():
            yield text

    @endpoint
    async def made(self) -> int:
        return await self.source.made()
