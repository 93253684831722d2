"""A typed stream: a header, items and a footer, each checked.

headrace dev examples/02_typed.py
curl -N localhost:8000/transcribe -T README.md -H 'accept: application/x-ndjson'
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from headrace import Footer, Header, Stream, endpoint, service


@dataclass
class Source:
    language: str


@dataclass
class Word:
    number: int
    text: str


@dataclass
class Summary:
    words: int
    bytes: int


@service
class Transcriber:
    @endpoint(methods=("PUT", "POST"))
    async def transcribe(self, chunks: AsyncIterator[bytes]) -> Stream[Word, Source, Summary]:
        """The words of a text, while the text is still arriving."""
        yield Header(Source(language="en"))
        words, size, rest = 0, 0, b""
        async for chunk in chunks:
            size += len(chunk)
            *complete, rest = (rest + chunk).split(b" ")
            for word in complete:
                words += 1
                yield Word(words, word.decode("utf-8", "replace"))
        yield Word(words + 1, rest.decode("utf-8", "replace"))
        yield Footer(Summary(words + 1, size))
