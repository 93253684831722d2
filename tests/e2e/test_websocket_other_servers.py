"""WebSockets under servers that are not ours: plain ASGI, so the same messages, endings and releases."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

APP = """\
import asyncio
from collections.abc import AsyncIterator

from headrace import endpoint, service
from headrace.server.app import Application


@service
class Poet:
    def __init__(self) -> None:
        self.running = 0

    @endpoint(methods=("GET",))
    async def state(self) -> int:
        return self.running

    @endpoint
    async def count(self, to: int) -> AsyncIterator[str]:
        for n in range(to):
            yield str(n)

    @endpoint
    async def echo(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        self.running += 1
        try:
            async for word in words:
                yield word
        finally:
            self.running -= 1


app = Application(Poet)
"""


@pytest.fixture(params=["websockets-sansio", "websockets"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """uvicorn as it is, with each of its own WebSocket protocols that is installed."""
    (tmp_path / "app.py").write_text(APP)
    flags = ("app:app", "--port", "0", "--ws", request.param)
    served = Served(*flags, folder=tmp_path, program=("-m", "uvicorn"), environment={"PYTHONPATH": str(tmp_path)})
    try:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", served.line_with("Uvicorn running on"))
        assert found is not None
        served.port = int(found.group(1))
        yield served
        served.assert_every_stream_ended()
        assert not [line for line in served.output if "raceback" in line]
    finally:
        served.stop()


def test_items_and_endings_are_the_same(plain: Served) -> None:
    with connect(f"ws://127.0.0.1:{plain.port}/count?to=1000") as session:
        assert list(session) == [str(n) for n in range(1000)]
        assert session.close_code == 1000
    with connect(f"ws://127.0.0.1:{plain.port}/count", subprotocols=[Subprotocol("headrace.v1")]) as session:
        session.send('{"to": "x"}')
        assert json.loads(session.recv(timeout=5))["error"]["code"] == "invalid_arguments"
        with pytest.raises(ConnectionClosedError, match="1008"):
            session.recv(timeout=5)


def test_a_client_that_leaves_is_noticed(plain: Served) -> None:
    with connect(f"ws://127.0.0.1:{plain.port}/echo") as session:
        session.send("a")
        assert session.recv(timeout=5) == "a"
    plain.until(lambda: plain.request("GET", "/state")[2] == b"0", within=2)


def test_a_refused_handshake_is_a_problem_document(plain: Served) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{plain.port}/nothing"):
        pass
    assert refused.value.response.status_code == 404
    assert json.loads(bytes(refused.value.response.body or b""))["code"] == "not_found"
