"""The parts of the testing kit that have a connection, against a real server."""

import asyncio
from pathlib import Path

import pytest
from served import Serve

from headrace.client.aio import AsyncClient
from headrace.errors import StreamTruncated
from headrace.testing import FlakyTransport, SlowReader, assert_all_ended

SERVICE = """
from collections.abc import AsyncIterator
from headrace import endpoint, service


@service
class Maker:
    @endpoint
    async def make(self, pieces: int) -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield bytes(10_000)
"""


@pytest.fixture
def url(serve: Serve, tmp_path: Path) -> str:
    (tmp_path / "app.py").write_text(SERVICE)
    return f"http://127.0.0.1:{serve('app.py', '--write-timeout', '1', folder=tmp_path).port}"


async def ended(url: str, end: str) -> bool:
    """Whether one stream ended like this, and all others as well in some way."""
    async with AsyncClient(url) as client:
        await assert_all_ended(client)
        text = await client.with_options(method="GET").call("/metrics")
        return f'headrace_streams_total{{end="{end}",endpoint="Maker.make"}} 1.0' in text


async def test_a_client_that_does_not_read_is_given_up(url: str) -> None:
    async with (
        AsyncClient(url, transport=SlowReader(pause=0)) as client,
        client.stream("make", pieces=10_000) as stream,
    ):
        await asyncio.sleep(4)
        with pytest.raises(StreamTruncated):
            await stream.collect()
    assert await ended(url, "slow_reader")


async def test_a_cut_connection_stops_the_work_on_the_server(url: str) -> None:
    async with (
        AsyncClient(url, transport=FlakyTransport(refuse=1, cut_after=2)) as client,
        client.stream("make", pieces=1_000_000) as stream,
    ):
        assert [len(await anext(stream)) for _ in range(2)] == [10_000, 10_000]
        with pytest.raises(StreamTruncated):
            await anext(stream)
    assert await ended(url, "client_gone")
