"""Row A11: a client leaves a chain of three services, each in a process of its own, and the last one stops."""

import asyncio
import json
import math
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from figures import Figure
from served import Served

CLIENTS, AT_A_TIME = 1000, 50
HEAD = (
    b"POST /run HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: text/plain\r\n"
    b"content-length: %d\r\n\r\n"
)
LINGER = struct.pack("ii", 1, 0)


@pytest.fixture
def chain() -> Iterator[list[Served]]:
    """Front, middle and leaf."""
    links: list[Served] = []
    try:
        for _ in range(3):
            following = links[0].port if links else 0
            flags = ("--port", "0", "--set", f"Link.next_port={following}", "--log-level", "warning")
            links.insert(0, Served("run", "tests/e2e/faults/chain.py", *flags).ready())
        yield links
        for link in links:
            link.assert_every_stream_ended()
    finally:
        for link in links:
            link.stop()


async def visit(port: int, name: str) -> float:
    """Reads a first item through the whole chain and leaves, with a reset; when that was."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"name": name}).encode()
    writer.write(HEAD % len(body) + body)
    async with asyncio.timeout(20):
        await reader.readuntil(f"{name}\n".encode())
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    left = time.monotonic()
    writer.transport.abort()
    return left


async def visits(port: int) -> dict[str, float]:
    left: dict[str, float] = {}
    for start in range(0, CLIENTS, AT_A_TIME):
        names = [f"visitor-{number}" for number in range(start, start + AT_A_TIME)]
        left |= dict(zip(names, await asyncio.gather(*(visit(port, name) for name in names)), strict=True))
    return left


def test_a11_the_leaf_of_a_chain_stops_when_the_client_of_its_front_leaves(chain: list[Served], figure: Figure) -> None:
    front, _, leaf = chain
    left = asyncio.run(visits(front.port))
    leaf.until(lambda: leaf.state()["running"] == 0, within=5.0)
    for link in chain:
        link.until(lambda link=link: link.state()["running"] == 0, within=5.0)
    freed = json.loads(leaf.request("GET", "/releases")[2])
    took = sorted(freed[name] - at for name, at in left.items())
    figure("A11", f"leaf freed after, s, p99 of {CLIENTS}", took[math.ceil(0.99 * len(took)) - 1], 0.25)
    figure("A11", "streams live in the chain after it", sum(link.state()["running"] for link in chain), 0)
