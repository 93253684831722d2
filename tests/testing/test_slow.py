import asyncio
import socket
from collections.abc import AsyncIterator

import httpx2

from headrace.services.decorators import endpoint, service
from headrace.testing.clock import run
from headrace.testing.endings import assert_all_ended
from headrace.testing.server import serving
from headrace.testing.slow import BUFFER, SlowReader


class Way(httpx2.AsyncBaseTransport):
    """Answers with these pieces, and notes when each is asked for."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.asked: list[float] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=Body(self))


class Body(httpx2.AsyncByteStream):
    def __init__(self, way: Way) -> None:
        self.way = way

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.way.pieces:
            self.way.asked.append(asyncio.get_running_loop().time())
            yield piece


async def arrivals(reader: SlowReader) -> list[tuple[bytes, float]]:
    response = await reader.handle_async_request(httpx2.Request("GET", "http://a/"))
    return [(data, asyncio.get_running_loop().time()) async for data in response.aiter_raw()]


def test_pieces_of_one_size_come_with_a_pause_after_each() -> None:
    async def main() -> list[tuple[bytes, float]]:
        return await arrivals(SlowReader(Way(b"abcde"), size=2, pause=10))

    assert run(main) == [(b"ab", 0), (b"cd", 10), (b"e", 20)]


def test_nothing_is_read_while_it_pauses() -> None:
    way = Way(b"abcd", b"ef", b"g")

    async def main() -> None:
        await arrivals(SlowReader(way, size=2, pause=10))

    run(main)
    assert way.asked == [0, 20, 30]


def test_its_own_way_is_a_connection_with_a_small_buffer() -> None:
    async def main() -> None:
        sizes: list[int] = []

        def see(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab")
            writer.close()

        async with await asyncio.start_server(see, "127.0.0.1", 0) as server, SlowReader(pause=0) as reader:
            port = server.sockets[0].getsockname()[1]
            response = await reader.handle_async_request(httpx2.Request("GET", f"http://127.0.0.1:{port}/"))
            connection = response.extensions["network_stream"].get_extra_info("socket")
            sizes.append(connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
            assert [data async for data in response.aiter_raw()] == [b"ab"]
        assert sizes == [2 * BUFFER]  # Linux doubles what it is asked for

    asyncio.run(main())


@service
class Maker:
    def __init__(self, made: list[float]) -> None:
        self.made = made

    @endpoint(item_timeout=5)
    async def make(self, pieces: int) -> AsyncIterator[bytes]:
        for _ in range(pieces):
            self.made.append(asyncio.get_running_loop().time())
            yield bytes(10_000)


def test_a_generator_waits_for_a_slow_reader_and_is_not_called_silent() -> None:
    made: list[float] = []

    async def main() -> int:
        target = Maker.bind(made)  # type: ignore[attr-defined]
        async with serving(target, through=lambda way: SlowReader(way, size=10_000, pause=20)) as client:
            size = 0
            async with client.stream("make", pieces=100) as stream:
                async for data in stream:
                    size += len(data)
            await assert_all_ended(client)
            return size

    assert run(main) == 1_000_000
    assert made[-1] >= 1000  # of 2000 s that reading takes


def test_a_generator_stops_for_a_client_that_does_not_read() -> None:
    made: list[float] = []

    async def main() -> int:
        async with serving(Maker.bind(made)) as client:  # type: ignore[attr-defined]
            async with client.stream("make", pieces=1000):
                await asyncio.sleep(3600)
                ahead = len(made)
            await assert_all_ended(client)
            return ahead

    assert 10 <= run(main) <= 30
    assert len(made) <= 30
