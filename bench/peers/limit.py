"""The limit: a protocol on uvloop that writes preformatted chunks, one write for each item, and knows no HTTP.

`python -m bench.peers.limit PORT`. Routes are told by their first letter only.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import uvloop

from bench.peers.workloads import ENGINE, ITEM, PACE, stamped

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
END = b"0\r\n\r\n"


def chunk(item: str) -> bytes:
    """An item as an event, in a chunk of its own."""
    record = b"id: 1\ndata: %b\n\n" % item.encode()
    return b"%x\r\n%b\r\n" % (len(record), record)


PREFORMATTED = chunk(ITEM)


class Protocol(asyncio.Protocol):
    """One connection, which sends one request."""

    def connection_made(self, transport: Any) -> None:  # uvloop's own class
        """Keeps where to write."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Reads the path, `/plain?count=500`, and answers."""
        name, _, count = data.split(b" ", 2)[1].decode().strip("/").partition("?count=")
        self._task = asyncio.get_running_loop().create_task(getattr(self, name)(int(count)))

    async def plain(self, count: int) -> None:
        """Never suspends."""
        self._transport.write(HEAD)
        for _ in range(count):
            self._transport.write(PREFORMATTED)
        self._transport.write(END)

    async def polite(self, count: int) -> None:
        """Suspends before each item."""
        self._transport.write(HEAD)
        for _ in range(count):
            await asyncio.sleep(0)
            self._transport.write(PREFORMATTED)
        self._transport.write(END)

    async def paced(self, count: int) -> None:
        """20 items a second."""
        self._transport.write(HEAD)
        for _ in range(count):
            await asyncio.sleep(PACE)
            self._transport.write(chunk(stamped()))
        self._transport.write(END)

    async def engine(self, count: int) -> None:
        """Reads the decode loop as every server does, over a queue."""
        self._transport.write(HEAD)
        async for item in ENGINE.stream(count):
            self._transport.write(chunk(item))
        self._transport.write(END)

    async def pushed(self, count: int) -> None:
        """Joins the loop that writes to all: a floor, without a task that is woken."""
        self._transport.write(HEAD)
        STEPS.add(self, count)

    def send(self, data: bytes) -> None:
        """One write."""
        self._transport.write(data)

    async def silent(self, count: int) -> None:
        """Makes nothing."""


class Steps:
    """The decode loop: one item for each connection every 50 ms."""

    def __init__(self) -> None:
        self._left: dict[Protocol, int] = {}
        self._loop: asyncio.Task[None] | None = None

    def add(self, connection: Protocol, count: int) -> None:
        """From the next step on."""
        self._left[connection] = count
        if self._loop is None:
            self._loop = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PACE)
            data = chunk(f"~{time.monotonic_ns():016d}")
            for connection, left in list(self._left.items()):
                connection.send(data)
                self._left[connection] = left - 1
                if left == 1:
                    del self._left[connection]
                    connection.send(END)


STEPS = Steps()


async def main(port: int) -> None:
    """Serves until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
