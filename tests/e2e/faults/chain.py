"""One link of a chain of services in processes of their own: it passes on what the next one streams, or makes it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from headrace import endpoint, service

HEAD = b"""POST /run HTTP/1.1\r
host: localhost\r
content-type: application/json\r
accept: text/plain\r
content-length: %d\r
\r
"""


@service
class Link:
    def __init__(self, next_port: int = 0) -> None:
        self.next_port = next_port  # 0: this is the leaf
        self.running = 0
        self.freed: dict[str, float] = {}

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, int]:
        return {"running": self.running}

    @endpoint(methods=("GET",))
    async def releases(self) -> dict[str, float]:
        """When the generators were freed, by name; forgets them."""
        freed, self.freed = self.freed, {}
        return freed

    @endpoint
    async def run(self, name: str) -> AsyncIterator[str]:
        self.running += 1
        try:
            if not self.next_port:
                while True:
                    yield f"{name}\n"
                    await asyncio.sleep(0.02)
            reader, writer = await asyncio.open_connection("127.0.0.1", self.next_port)
            try:
                body = json.dumps({"name": name}).encode()
                writer.write(HEAD % len(body) + body)
                while line := await reader.readline():
                    if line.strip().decode() == name:
                        yield f"{name}\n"
            finally:
                writer.close()
        finally:
            self.running -= 1
            self.freed[name] = time.monotonic()
