"""Text as it is made, without any types: the lowest level.

headrace dev examples/consumer/raw.py
curl -N localhost:8000/run --json '{"prompt": "Once upon a time"}' -H 'accept: text/plain'
curl -N localhost:8000/run --json '{"prompt": "Once upon a time"}' -H 'accept: text/event-stream'

The second line has the same text as server-sent events. The code makes none: they are one of the formats.
"""

import asyncio
from collections.abc import AsyncIterator

from headrace import endpoint, service


async def make_incremental_outputs(prompt: str) -> AsyncIterator[str]:
    for word in prompt.split():
        await asyncio.sleep(0.1)
        yield f"{word} "


@service
class Streamlet:
    @endpoint
    async def run(self, prompt: str) -> AsyncIterator[str]:
        async for text in make_incremental_outputs(prompt):
            yield text
