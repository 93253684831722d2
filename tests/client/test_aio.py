"""The client for async code: its surface, and what a driver does. What both clients share is in `test_sync`."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from headrace import Footer, Header, Stream, endpoint, service
from headrace.client.aio import AsyncClient
from headrace.client.timeouts import Timeout
from headrace.errors import ConnectionFailed, FirstItemTimeout, HeadraceError, ItemTimeout, StreamTruncated
from headrace.server.app import Application

WITHIN = 5.0

LINES = {"content-type": "application/x-ndjson"}
ONE = b'{"item":"a"}\n'
TWO = b'{"item":"b"}\n'
END = b'{"end":{"items":2}}\n'


class Pieces(httpx2.AsyncByteStream):
    """None among the pieces: nothing more comes."""

    def __init__(self, pieces: list[Any]) -> None:
        self.pieces = pieces
        self.read = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if piece is None:
                await asyncio.Event().wait()
            if isinstance(piece, Exception):
                raise piece
            self.read += 1
            yield piece

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed = True


class Answering(httpx2.AsyncBaseTransport):
    """Answers with these pieces; keeps the requests and whether it was closed."""

    def __init__(self, *pieces: Any) -> None:
        self.stream = Pieces(list(pieces))
        self.requests: list[httpx2.Request] = []
        self.log: list[str] = []

    async def __aenter__(self) -> "Answering":
        self.log.append("enter")
        return self

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.requests.append(request)
        return httpx2.Response(200, headers=LINES, stream=self.stream)

    async def aclose(self) -> None:
        self.log.append("close")


async def test_a_stream_is_read_in_its_block() -> None:
    transport = Answering(ONE + TWO + END)
    async with AsyncClient(transport=transport) as client, client.stream("write", topic="rain") as stream:
        assert [item async for item in stream] == ["a", "b"]
        assert (stream.stats.items, stream.header, stream.footer) == (2, None, None)
    assert transport.requests[0].content == b'{"topic":"rain"}'
    assert transport.log == ["enter", "close"]


async def test_reading_goes_no_further_than_asked() -> None:
    transport = Answering(ONE, TWO, END)
    async with AsyncClient(transport=transport) as client, client.stream("x") as stream:
        assert await anext(stream) == "a"
        assert transport.stream.read == 1
    assert transport.stream.closed


async def test_a_stream_that_was_left_in_the_middle_of_an_iteration_goes_on() -> None:
    async with AsyncClient(transport=Answering(ONE + TWO, END)) as client, client.stream("x") as stream:
        async for item in stream:
            assert item == "a"
            break
        assert await stream.collect() == ["b"]


async def test_collect_text_and_save(tmp_path: Path) -> None:
    def stream() -> Any:
        return AsyncClient(transport=Answering(ONE, TWO + END)).stream("x")

    async with stream() as one:
        assert await one.collect() == ["a", "b"]
    async with stream() as one:
        assert await one.text() == "ab"
    async with stream() as one:
        await one.save(tmp_path / "x")
    assert (tmp_path / "x").read_text() == "ab"
    async with stream() as one:
        await anext(one)
        with pytest.raises(RuntimeError, match="taken already"):
            await one.save(tmp_path / "y")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


async def test_a_stream_that_fails_saves_nothing(tmp_path: Path) -> None:
    async with AsyncClient(transport=Answering(ONE)) as client, client.stream("x") as stream:
        with pytest.raises(StreamTruncated):
            await stream.save(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


async def test_other_options_share_the_connections_and_close_nothing() -> None:
    transport = Answering(END)
    client = AsyncClient(transport=transport, api_key="k")
    async with client.with_options(format="ndjson", headers={"X-A": "b"}) as other, other.stream("x") as stream:
        await stream.collect()
    assert transport.log == []
    assert transport.requests[0].headers["authorization"] == "Bearer k"
    assert transport.requests[0].headers["x-a"] == "b"
    await client.aclose()
    assert transport.log == ["close"]


async def test_a_closed_client_says_so() -> None:
    client = AsyncClient(transport=Answering())
    await client.aclose()
    with pytest.raises(RuntimeError, match="this client is closed; make a new one"):
        client.stream("x")
    with pytest.raises(RuntimeError, match="this client is closed"):
        await client.call("x")


async def test_a_client_that_was_used_may_still_be_entered() -> None:
    client = AsyncClient(transport=Answering(END))
    async with client.stream("x") as stream:
        await stream.collect()
    async with client:
        pass


@pytest.mark.parametrize(
    ("pieces", "error"), [((None,), FirstItemTimeout), ((ONE, None), ItemTimeout), ((ONE, b"\n", None), ItemTimeout)]
)
async def test_silence_is_left_at_its_moment(pieces: tuple[Any, ...], error: type[HeadraceError]) -> None:
    transport = Answering(*pieces)
    client = AsyncClient(transport=transport).with_options(timeout=Timeout(first_item=0.1, gap=0.1))
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(error):
        async with client.stream("x") as stream:
            await stream.collect()
    assert 0.09 < loop.time() - began < WITHIN
    assert transport.stream.closed


async def test_a_timeout_that_is_the_transports_own_is_not_ours() -> None:
    transport = Answering(TimeoutError("theirs"))
    async with AsyncClient(transport=transport) as client:
        with pytest.raises(TimeoutError, match="theirs"):
            await client.stream("x").__aenter__()


async def test_a_task_that_is_cancelled_closes_its_response() -> None:
    transport = Answering(ONE, None)
    entered = asyncio.Event()

    async def reading() -> None:
        async with AsyncClient(transport=transport) as client, client.stream("x") as stream:
            async for _ in stream:
                entered.set()

    task = asyncio.get_running_loop().create_task(reading())
    await entered.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert transport.stream.closed


async def test_a_scope_that_is_cancelled_closes_its_response_too() -> None:
    transport = Answering(ONE, TWO, END)
    client = AsyncClient(transport=transport)
    with anyio.CancelScope() as scope:
        async with client.stream("x") as stream:
            await anext(stream)
            scope.cancel()
            await asyncio.sleep(1)
    assert transport.stream.closed


async def test_bodies_of_both_kinds_are_sent() -> None:
    async def values() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    for data in (values(), iter([b"a", b"b"])):
        transport = Answering(END)
        async with AsyncClient(transport=transport) as client, client.stream("x", data=data) as stream:
            await stream.collect()
        assert transport.requests[0].content == b"ab"
        assert transport.requests[0].headers["content-type"] == "application/octet-stream"


async def test_a_body_that_blocks_does_not_stop_the_loop() -> None:
    go = threading.Event()

    def blocks() -> Iterator[bytes]:
        go.wait(WITHIN)
        yield b"a"

    async with AsyncClient(transport=Answering(END)) as client:
        asking = asyncio.get_running_loop().create_task(client.stream("x", data=blocks()).__aenter__())
        await asyncio.sleep(0)
        assert not asking.done()
        go.set()
        async with asyncio.timeout(WITHIN):
            await asking


async def test_a_body_that_blocks_does_not_hold_a_scope_that_is_cancelled() -> None:
    go = threading.Event()

    def blocks() -> Iterator[bytes]:
        go.wait(WITHIN)
        yield b"a"

    began = asyncio.get_running_loop().time()
    async with AsyncClient(transport=Answering(END)) as client:
        with anyio.move_on_after(0.05) as scope:
            await client.stream("x", data=blocks()).__aenter__()
        assert scope.cancelled_caught
        assert asyncio.get_running_loop().time() - began < WITHIN / 2
        go.set()


async def test_a_wrong_item_of_a_body_is_the_callers_error() -> None:
    async with AsyncClient(transport=Answering(END)) as client:
        with pytest.raises(TypeError, match="yields str after bytes"):
            await client.call("x", data=iter([b"a", "b"]))


# -- an application in the same process


@service
class Small:
    running = 0

    @endpoint
    async def typed(self, n: int) -> Stream[int, str, str]:
        yield Header("h")
        for number in range(n):
            yield number
        yield Footer("f")

    @endpoint
    async def silent(self, after: int = 0) -> AsyncIterator[int]:
        type(self).running += 1
        try:
            for number in range(after):
                yield number
            await asyncio.Event().wait()
        finally:
            type(self).running -= 1


async def test_an_application_answers_in_this_process() -> None:
    async with AsyncClient(app=Application(Small)) as client:
        async with client.stream("typed", n=2) as stream:
            assert stream.header == "h"
            assert await stream.collect() == [0, 1]
            assert stream.footer == "f"
        assert await client.call("typed", n=1) == {"header": "h", "items": [0], "footer": "f"}


async def test_leaving_the_block_stops_the_work_before_it_returns() -> None:
    async with AsyncClient(app=Application(Small)) as client:
        async with client.stream("silent", after=1) as stream:
            assert await anext(stream) == 0
            assert Small.running == 1
        assert Small.running == 0


async def test_an_application_that_raises_has_not_answered() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("mine")

    async with AsyncClient(app=app) as client:
        with pytest.raises(ConnectionFailed, match="closed the connection before it answered") as caught:
            await client.with_options(retries=0).call("x")
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, ZeroDivisionError):
        cause = cause.__cause__
    assert cause is not None


def test_a_loop_that_ends_in_the_middle_of_a_read_leaves_nothing_undone() -> None:
    transport = Answering(None)

    async def reading() -> None:
        await AsyncClient(transport=transport).stream("x").__aenter__()

    async def main() -> None:
        task = asyncio.get_running_loop().create_task(reading())
        while not transport.requests:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(main())
    gc.collect()
    assert transport.stream.closed
