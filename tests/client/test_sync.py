"""The client without an event loop: its surface, and what a driver does."""

import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from headrace import Footer, Header, Stream, endpoint, service
from headrace.client.sync import Client
from headrace.client.timeouts import Timeout
from headrace.errors import FirstItemTimeout, HeadraceError, InternalError, ItemTimeout, StreamTruncated
from headrace.server.app import Application
from headrace.wire.stream_types import stream_types

LINES = {"content-type": "application/x-ndjson"}


class Pieces(httpx2.SyncByteStream):
    def __init__(self, pieces: list[Any]) -> None:
        self.pieces = pieces
        self.read = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            self.read += 1
            yield piece

    def close(self) -> None:
        self.closed = True


class Answering(httpx2.BaseTransport):
    """Answers with these pieces; keeps the requests and whether it was closed."""

    def __init__(self, *pieces: Any) -> None:
        self.stream = Pieces(list(pieces))
        self.requests: list[httpx2.Request] = []
        self.log: list[str] = []

    def __enter__(self) -> "Answering":
        self.log.append("enter")
        return self

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        return httpx2.Response(200, headers=LINES, stream=self.stream)

    def close(self) -> None:
        self.log.append("close")


ONE = b'{"item":"a"}\n'
TWO = b'{"item":"b"}\n'
END = b'{"end":{"items":2}}\n'


def test_a_stream_is_read_in_its_block() -> None:
    transport = Answering(ONE + TWO + END)
    with Client(transport=transport) as client, client.stream("write", topic="rain") as stream:
        assert list(stream) == ["a", "b"]
        assert (stream.stats.items, stream.header, stream.footer) == (2, None, None)
    assert transport.requests[0].content == b'{"topic":"rain"}'
    assert transport.log == ["enter", "close"]


def test_every_word_may_be_an_argument() -> None:
    transport = Answering(END)
    with Client(transport=transport) as client, client.stream("x", self=1, endpoint=2, timeout=3) as stream:
        assert list(stream) == []
    assert transport.requests[0].content == b'{"self":1,"endpoint":2,"timeout":3}'


def test_nothing_is_sent_before_the_block_is_entered() -> None:
    transport = Answering(END)
    with Client(transport=transport) as client:
        client.stream("x")
        with pytest.raises(TypeError, match="'a' cannot be sent"):
            client.stream("x", a=object())
    assert transport.requests == []


def test_reading_goes_no_further_than_asked() -> None:
    transport = Answering(ONE, TWO, END)
    with Client(transport=transport) as client, client.stream("x") as stream:
        assert next(stream) == "a"
        assert transport.stream.read == 1
    assert transport.stream.closed


def test_a_stream_that_was_left_in_the_middle_of_an_iteration_goes_on() -> None:
    with Client(transport=Answering(ONE + TWO, END)) as client, client.stream("x") as stream:
        for item in stream:
            assert item == "a"
            break
        assert stream.collect() == ["b"]


def test_collect_text_and_save(tmp_path: Path) -> None:
    def stream() -> Any:
        return Client(transport=Answering(ONE, TWO + END)).stream("x")

    with stream() as one:
        assert one.collect() == ["a", "b"]
    with stream() as one:
        assert one.text() == "ab"
    with stream() as one:
        one.save(tmp_path / "x")
    assert (tmp_path / "x").read_text() == "ab"
    with stream() as one:
        next(one)
        with pytest.raises(RuntimeError, match="taken already"):
            one.save(tmp_path / "y")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_stream_that_fails_saves_nothing(tmp_path: Path) -> None:
    with Client(transport=Answering(ONE)) as client, client.stream("x") as stream, pytest.raises(StreamTruncated):
        stream.save(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_other_options_share_the_connections_and_close_nothing() -> None:
    transport = Answering(END)
    client = Client(transport=transport, api_key="k")
    with client.with_options(format="ndjson", headers={"X-A": "b"}) as other, other.stream("x") as stream:
        stream.collect()
    assert transport.log == []
    assert transport.requests[0].headers["authorization"] == "Bearer k"
    assert transport.requests[0].headers["x-a"] == "b"
    client.close()
    assert transport.log == ["close"]


def test_a_closed_client_says_so() -> None:
    client = Client(transport=Answering())
    other = client.with_options(retries=0)
    client.close()
    for closed in (client, other):
        with pytest.raises(RuntimeError, match="this client is closed; make a new one"):
            closed.stream("x")
        with pytest.raises(RuntimeError, match="this client is closed"):
            closed.call("x")


def test_a_client_that_was_used_may_still_be_entered() -> None:
    client = Client(transport=Answering(END))
    with client.stream("x") as stream:
        stream.collect()
    with client:
        pass


async def _values() -> AsyncIterator[bytes]:
    yield b""


def test_an_async_iterator_needs_the_other_client() -> None:
    transport = Answering(END)
    with (
        Client(transport=transport) as client,
        pytest.raises(TypeError, match="'data' is an async iterator; use AsyncClient"),
    ):
        client.call("x", data=_values())
    assert transport.requests == []


def test_a_wrong_item_of_a_body_is_the_callers_error() -> None:
    with Client(transport=Answering(END)) as client, pytest.raises(TypeError, match="yields str after bytes"):
        client.call("x", data=iter([b"a", "b"]))


# -- an application in the same process


@service
class Small:
    left = threading.Event()

    @endpoint
    async def typed(self, n: int) -> Stream[int, str, str]:
        yield Header("h")
        for number in range(n):
            yield number
        yield Footer("f")

    @endpoint
    async def silent(self, after: int = 0) -> AsyncIterator[int]:
        import asyncio

        try:
            for number in range(after):
                yield number
            await asyncio.Event().wait()
        finally:
            self.left.set()

    @endpoint
    async def fails(self) -> AsyncIterator[str]:
        yield "a"
        raise RuntimeError

    @endpoint
    async def echo(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk


def test_an_application_answers_in_this_process() -> None:
    with Client(app=Application(Small)) as client:
        with client.stream("typed", n=2) as stream:
            assert (stream.header, list(stream), stream.footer) == ("h", [0, 1], "f")
        assert client.call("typed", n=1) == {"header": "h", "items": [0], "footer": "f"}
        assert client.with_options(types=stream_types(bytes)).call("echo", chunks=iter([b"a", b"b"])) == b"ab"
        with client.with_options(format="text").stream("fails") as stream, pytest.raises(StreamTruncated):
            stream.collect()
        with client.stream("fails") as stream, pytest.raises(InternalError):
            stream.collect()


@pytest.mark.parametrize(("after", "error"), [(0, FirstItemTimeout), (2, ItemTimeout)])
def test_a_silent_application_is_left_at_its_moment(after: int, error: type[HeadraceError]) -> None:
    Small.left.clear()
    options = Timeout(first_item=0.1, gap=0.1)
    began = time.monotonic()
    with (
        Client(app=Application(Small)) as client,
        pytest.raises(error),
        client.with_options(timeout=options).stream("silent", after=after) as stream,
    ):
        stream.collect()
    assert time.monotonic() - began < 5
    assert Small.left.wait(5)


def test_leaving_the_block_stops_the_work() -> None:
    Small.left.clear()
    with Client(app=Application(Small)) as client, client.stream("silent", after=1) as stream:
        assert next(stream) == 0
    assert Small.left.wait(5)
