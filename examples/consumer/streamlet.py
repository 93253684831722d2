"""The producer: a typed stream, as values and as bytes. `consumer.py` reads it, and `client.py` from outside.

headrace dev examples/consumer/streamlet.py
curl -N localhost:8000/items --json '{"text": "it was a long time ago"}' -H 'accept: application/x-ndjson'
curl -N localhost:8000/whole --json '{"text": "it was a long time ago"}' -H 'accept: application/x-ndjson'

`items` and `whole` yield values, and the framework writes them in the format that the reader asks for. The other two
make the bytes themselves, with a writer of the shared types: frames, which is one of these formats.
"""

import asyncio
from collections.abc import AsyncIterator

from chunks import STREAM_TYPES, WHOLE_TYPES, Chunk, Start, Totals

from headrace import Footer, Header, Stream, endpoint, service
from headrace.wire.typed import stream_writer

TOGETHER = 2  # words of a chunk


async def make_chunks(text: str) -> AsyncIterator[Chunk]:
    words = text.split()
    for start in range(0, len(words), TOGETHER):
        await asyncio.sleep(0.1)
        yield Chunk(words=words[start : start + TOGETHER])


@service
class Streamlet:
    @endpoint
    async def items(self, text: str) -> AsyncIterator[Chunk]:
        async for chunk in make_chunks(text):
            yield chunk

    @endpoint
    async def whole(self, text: str) -> Stream[Chunk, Start, Totals]:
        yield Header(Start(characters=len(text)))
        chunks = words = 0
        async for chunk in make_chunks(text):
            chunks, words = chunks + 1, words + len(chunk.words)
            yield chunk
        yield Footer(Totals(chunks=chunks, words=words))

    @endpoint
    async def item_bytes(self, text: str) -> AsyncIterator[bytes]:
        writer = stream_writer(STREAM_TYPES)
        async for chunk in make_chunks(text):
            yield writer.yield_item(chunk)
        yield writer.end()

    @endpoint
    async def whole_bytes(self, text: str) -> AsyncIterator[bytes]:
        writer = stream_writer(WHOLE_TYPES)
        yield writer.yield_header(Start(characters=len(text)))
        chunks = words = 0
        async for chunk in make_chunks(text):
            chunks, words = chunks + 1, words + len(chunk.words)
            yield writer.yield_item(chunk)
        yield writer.yield_footer(Totals(chunks=chunks, words=words))
        yield writer.end()
