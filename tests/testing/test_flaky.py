import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from headrace.client.aio import AsyncClient
from headrace.errors import ConnectionFailed, StreamTruncated
from headrace.services.decorators import endpoint, service
from headrace.testing.endings import assert_all_ended
from headrace.testing.flaky import FlakyTransport
from headrace.testing.server import serving
from headrace.wire.stream_types import stream_types, unknown_types


@service
class Counter:
    def __init__(self, closed: list[int] | None = None) -> None:
        self.closed = [] if closed is None else closed

    @endpoint
    async def count(self, up_to: int = 5) -> AsyncIterator[int]:
        number = 0
        try:
            for number in range(up_to):
                yield number
        finally:
            self.closed.append(number)

    @endpoint
    async def talk(self) -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number} "
            await asyncio.sleep(0.1)

    @endpoint
    async def blob(self) -> bytes:
        return b"0123456789"

    @endpoint
    async def wait(self) -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            self.closed.append(1)


def flaky(**faults: Any) -> Any:
    return lambda way: FlakyTransport(way, **faults)


async def told(client: AsyncClient, endpoint: str = "count", **arguments: Any) -> tuple[list[Any], str]:
    """The items that came, and how it ended."""
    items = []
    try:
        async with client.stream(endpoint, **arguments) as stream:
            async for item in stream:
                items.append(item)  # noqa: PERF401 - what came before the error counts
    except Exception as error:
        return items, type(error).__name__
    return items, "complete"


async def test_without_faults_everything_passes() -> None:
    async with serving(Counter, through=flaky()) as client:
        assert await told(client) == ([0, 1, 2, 3, 4], "complete")
        await assert_all_ended(client)


async def test_so_many_requests_find_nobody_and_the_next_one_passes() -> None:
    async with serving(Counter, through=flaky(refuse=2)) as client:
        once = client.with_options(retries=0)
        assert [await told(once) for _ in range(3)] == [
            ([], "ConnectionFailed"),
            ([], "ConnectionFailed"),
            ([0, 1, 2, 3, 4], "complete"),
        ]
        await assert_all_ended(client)


async def test_a_refused_request_never_reaches_the_server() -> None:
    closed: list[int] = []
    async with serving(Counter.bind(closed), through=flaky(refuse=1)) as client:  # type: ignore[attr-defined]
        with pytest.raises(ConnectionFailed):
            await client.with_options(retries=0).call("count")
        assert closed == []
        await client.with_options(retries=0).call("count")
        assert closed == [4]


async def test_requests_are_counted_the_refused_ones_among_them() -> None:
    ways: list[FlakyTransport] = []

    def through(way: httpx2.AsyncBaseTransport) -> FlakyTransport:
        ways.append(FlakyTransport(way, refuse=1))
        return ways[0]

    async with serving(Counter, through=through) as client:
        await told(client.with_options(retries=0))
        await told(client)
    assert ways[0].requests == 2


@pytest.mark.parametrize("cleanly", [False, True])
@pytest.mark.parametrize("format", ["frames", "ndjson", "sse"])
@pytest.mark.parametrize("count", [1, 3, 5])
async def test_a_stream_is_cut_behind_so_many_items(format: str, count: int, cleanly: bool) -> None:
    async with serving(Counter, through=flaky(cut_after=count, cleanly=cleanly)) as client:
        assert await told(client.with_options(format=format)) == (list(range(count)), "StreamTruncated")
        await assert_all_ended(client)


async def test_nought_cuts_behind_the_head() -> None:
    async with serving(Counter, through=flaky(cut_after=0)) as client:
        with pytest.raises(StreamTruncated) as raised:
            await client.with_options(retries=0).stream("count").__aenter__()
    assert raised.value.stream_id.startswith("s_")
    assert raised.value.items_sent == 0


async def test_a_stream_that_is_shorter_ends_by_itself() -> None:
    async with serving(Counter, through=flaky(cut_after=6)) as client:
        assert await told(client) == ([0, 1, 2, 3, 4], "complete")


async def test_in_text_an_item_is_what_arrived_together() -> None:
    text = {"headers": {"accept": "text/plain"}, "types": stream_types(str)}
    async with serving(Counter, through=flaky(cut_after=2)) as client:
        assert await told(client.with_options(**text), "talk") == (["0 ", "1 "], "StreamTruncated")


async def test_text_that_is_shorter_ends_by_itself() -> None:
    text = {"headers": {"accept": "text/plain"}, "types": stream_types(str)}
    async with serving(Counter, through=flaky(cut_after=100)) as client:
        assert (await told(client.with_options(**text), "talk"))[1] == "complete"


@pytest.mark.parametrize(("size", "items"), [(0, []), (10, []), (11, [0]), (21, [0]), (22, [0, 1])])
async def test_cut_at_cuts_after_so_many_bytes(size: int, items: list[int]) -> None:
    assert len(b'{"item":0}\n') == 11
    async with serving(Counter, through=flaky(cut_at=size)) as client:
        assert await told(client.with_options(format="ndjson", retries=0)) == (items, "StreamTruncated")


@pytest.mark.parametrize("cleanly", [False, True])
async def test_a_body_whose_length_was_announced_is_never_cut_cleanly(cleanly: bool) -> None:
    async with serving(Counter, through=flaky(cut_at=5, cleanly=cleanly)) as client:
        with pytest.raises(StreamTruncated):
            await client.with_options(retries=0).call("blob")


@pytest.mark.parametrize("cuts", [1, 2])
async def test_so_many_responses_are_cut_and_the_next_one_passes(cuts: int) -> None:
    async with serving(Counter, through=flaky(cut_after=2, cuts=cuts)) as client:
        endings = [(await told(client))[1] for _ in range(3)]
    assert endings == ["StreamTruncated"] * cuts + ["complete"] * (3 - cuts)


async def test_the_refusals_come_before_the_cuts() -> None:
    async with serving(Counter, through=flaky(refuse=1, cut_after=2)) as client:
        once = client.with_options(retries=0)
        endings = [(await told(once))[1] for _ in range(3)]
    assert endings == ["ConnectionFailed", "StreamTruncated", "complete"]


async def test_a_server_whose_response_is_cut_sees_its_client_leave() -> None:
    closed: list[int] = []
    async with serving(Counter.bind(closed), through=flaky(cut_after=1)) as client:  # type: ignore[attr-defined]
        assert await told(client, "wait") == ([1], "StreamTruncated")
        await assert_all_ended(client)
        assert closed == [1]


def test_items_and_bytes_together_are_refused() -> None:
    with pytest.raises(ValueError, match="give one of them"):
        FlakyTransport(cut_after=1, cut_at=1)


async def test_without_an_inner_one_it_connects() -> None:
    with contextlib.closing(await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)) as server:
        (host, port) = server.sockets[0].getsockname()
    await server.wait_closed()
    async with AsyncClient(f"http://{host}:{port}", transport=FlakyTransport()) as client:
        with pytest.raises(ConnectionFailed, match=f"cannot connect to http://127.0.0.1:{port}"):
            await client.with_options(retries=0, types=unknown_types()).call("count")
