"""The smallest service: one generator, readable in every format.

headrace dev examples/01_stream.py
curl -N localhost:8000/write --json '{"topic": "rain"}'
"""

import asyncio
from collections.abc import AsyncIterator

from headrace import endpoint, service


@service
class Poet:
    @endpoint
    async def write(self, topic: str, lines: int = 4) -> AsyncIterator[str]:
        """A line about the topic, every quarter of a second."""
        for i in range(lines):
            await asyncio.sleep(0.25)
            yield f"{topic} {i}\n"
