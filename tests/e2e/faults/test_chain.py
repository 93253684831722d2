"""Rows A11 and E3 in a chain of three services, in one process and in processes of their own.

A client leaves the front and the leaf stops; a deadline at the front is one at the leaf.
"""

import asyncio
import json
import math
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from figures import FULL, Figure
from served import Served

CLIENTS = 1000 if FULL else 200
AT_A_TIME = 10
"""They leave together; more of them would measure how long three servers queue for two cores."""

HEAD = (
    b"POST /run HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: text/plain\r\n"
    b"content-length: %d\r\n\r\n"
)
LINGER = struct.pack("ii", 1, 0)
WAYS = ["one process", "three processes"]


@pytest.fixture(params=WAYS)
def chain(request: pytest.FixtureRequest) -> Iterator[list[Served]]:
    """The servers of front, middle and leaf; one in one process."""
    links: list[Served] = []
    environment: dict[str, str] = {}
    names = ["Leaf", "Middle", "Front"] if request.param == "three processes" else ["Front"]
    try:
        for name in names:
            target = f"tests/e2e/faults/chain.py:{name}"
            served = Served("run", target, "--port", "0", "--log-level", "warning", environment=environment)
            links.insert(0, served)
            environment = {**environment, f"{name.upper()}_URL": f"http://127.0.0.1:{served.ready().port}"}
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
    front, way = chain[0], WAYS[len(chain) // 2]
    left = asyncio.run(visits(front.port))
    front.until(lambda: json.loads(front.post("/state", {})[2]) == 0, within=5.0)
    for link in chain:
        link.until(lambda link=link: link.metric("headrace_streams_live") == 0, within=5.0)
    freed = json.loads(front.post("/releases", {})[2])
    took = sorted(freed[name] - at for name, at in left.items())
    figure("A11", f"leaf freed after, s, p99 of {CLIENTS}, {way}", took[math.ceil(0.99 * len(took)) - 1], 0.25)
    live = sum(link.metric("headrace_streams_live") for link in chain)
    figure("A11", f"streams live in the chain after it, {way}", live, 0)


def test_e3_the_time_that_is_left_goes_down_the_chain(chain: list[Served], figure: Figure) -> None:
    """Front and middle take 0.2 s each before they call on."""
    front, way = chain[0], WAYS[len(chain) // 2]
    status, _, answer = front.post("/remaining", {}, headrace_timeout="5")
    assert status == 200
    figure("E3", f"time of 5 s that the leaf is told, off by, s, {way}", abs(json.loads(answer) - 4.6), 0.3)


def test_e3_a_deadline_at_the_front_ends_the_whole_chain(chain: list[Served], figure: Figure) -> None:
    front, way = chain[0], WAYS[len(chain) // 2]
    started = time.monotonic()
    _, _, body = front.post("/run", {"name": "late"}, accept="application/x-ndjson", headrace_timeout="0.5")
    late = time.monotonic() - started - 0.5
    assert json.loads(body.splitlines()[-1])["error"]["code"] == "deadline_exceeded"
    figure("E3", f"told after the deadline, s, {way}", late, 0.3)
    front.until(lambda: json.loads(front.post("/state", {})[2]) == 0, within=2.0)
