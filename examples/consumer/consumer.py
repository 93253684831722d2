"""The consumer: a service that depends on the streamlet and gathers what it streams.

In one process:

headrace dev examples/consumer/consumer.py
curl localhost:8000/items --json '{"text": "it was a long time ago"}'
curl localhost:8000/whole --json '{"text": "it was a long time ago"}'
curl localhost:8000/item_bytes --json '{"text": "it was a long time ago"}'
curl localhost:8000/whole_bytes --json '{"text": "it was a long time ago"}'

In two, with the same code:

headrace run examples/consumer/streamlet.py --port 8001
STREAMLET=http://127.0.0.1:8001 headrace dev examples/consumer/consumer.py

Who knows the streaming page of Truss Chains finds its programs again: low-level text in `raw.py`, the shared types in
`chunks.py`, the stream writer in the streamlet's `item_bytes`, its reader in the consumer's, header and footer in
`whole_bytes`, and the reader in a client of one's own in `client.py`. `items` and `whole` do the same without bytes.
"""

import os

from chunks import STREAM_TYPES, WHOLE_TYPES, Chunk, Start, Totals
from pydantic import BaseModel
from streamlet import Streamlet

from headrace import Handle, depends, endpoint, opened, service
from headrace.wire.typed import stream_reader


class Report(BaseModel):
    start: Start
    chunks: list[Chunk]
    totals: Totals


@service
class Consumer:
    streamlet: Handle[Streamlet] = depends(Streamlet, url=os.environ.get("STREAMLET"))

    @endpoint
    async def items(self, text: str) -> list[Chunk]:
        """The items, by iterating the call."""
        return [chunk async for chunk in self.streamlet.items(text)]

    @endpoint
    async def whole(self, text: str) -> Report:
        """The header, the items and the footer, by opening the call."""
        async with opened(self.streamlet.whole(text)) as stream:
            chunks = [chunk async for chunk in stream]
        assert stream.header is not None
        assert stream.footer is not None
        return Report(start=stream.header, chunks=chunks, totals=stream.footer)

    @endpoint
    async def item_bytes(self, text: str) -> list[Chunk]:
        """The items out of bytes, with a reader of the shared types."""
        async with stream_reader(STREAM_TYPES, self.streamlet.item_bytes(text)) as reader:
            return [chunk async for chunk in reader.read_items()]

    @endpoint
    async def whole_bytes(self, text: str) -> Report:
        """The header, the items and the footer out of bytes."""
        async with stream_reader(WHOLE_TYPES, self.streamlet.whole_bytes(text)) as reader:
            start = await reader.read_header()
            chunks = [chunk async for chunk in reader.read_items()]
            return Report(start=start, chunks=chunks, totals=await reader.read_footer())
