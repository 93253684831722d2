"""What an item costs does not depend on how many came before it in its stream, whoever carries and reads it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from in_memory import Server

from growth import flat
from headrace.batching import Slots, batch, continuous_batch
from headrace.client.aio import AsyncClient
from headrace.services.decorators import endpoint, service
from headrace.services.dependencies import Handle, depends
from headrace.testing.handles import connect
from headrace.testing.server import serving
from headrace.wire.encoding import encode
from headrace.wire.events import End, Item, StreamEvent
from headrace.wire.formats import FORMATS, Format
from headrace.wire.sse import EventStreamParser
from headrace.wire.stream_types import stream_types

LENGTHS = (50, 200, 800)
ACCEPTED = [
    "text/plain",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.headrace.frames",
    "application/json",
    "ws",
    "ws headrace.v1",
]
CARRIES_ITEMS = [row for row in FORMATS if row.streams and row.only != "bytes"]


@service
class Source:
    """Makes as many items as it is asked for, in every way there is."""

    @endpoint
    async def plain(self, count: int) -> AsyncIterator[str]:
        for _ in range(count):
            yield "item"

    @endpoint
    async def polite(self, count: int) -> AsyncIterator[str]:
        for _ in range(count):
            await asyncio.sleep(0)
            yield "item"

    @endpoint
    async def slow(self, count: int) -> AsyncIterator[str]:
        for _ in range(count):
            await asyncio.sleep(0.02)  # of the loop's own clock: each item leaves alone
            yield "item"

    @endpoint
    def threaded(self, count: int) -> Iterator[str]:
        for _ in range(count):
            yield "item"

    @endpoint
    async def batched(self, count: int) -> AsyncIterator[str]:
        async for item in self.together(count):
            yield item

    @batch(max_batch_size=1)
    async def together(self, counts: list[int]) -> AsyncIterator[list[str]]:
        for _ in range(counts[0]):
            yield ["item"]

    @endpoint
    async def stepped(self, count: int) -> AsyncIterator[str]:
        async for item in self.decode(count):
            yield item

    @continuous_batch(linger_s=0)
    async def decode(self, slots: Slots[int, str]) -> AsyncIterator[None]:
        while True:
            step(slots)
            yield

    @endpoint
    async def stepped_in_a_thread(self, count: int) -> AsyncIterator[str]:
        async for item in self.decode_in_a_thread(count):
            yield item

    @continuous_batch(linger_s=0)
    def decode_in_a_thread(self, slots: Slots[int, str]) -> Iterator[None]:
        while True:
            step(slots)
            yield

    @endpoint
    async def received(self, data: AsyncIterator[bytes]) -> AsyncIterator[str]:
        async for _ in data:
            yield "item"

    @endpoint
    async def added(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for number in numbers:
            yield number


def step(slots: Slots[int, str]) -> None:
    for slot in slots:
        slot.send("item")
        slot.state = (slot.state or 0) + 1
        if slot.state == slot.request:
            slot.finish()


@service
class Relay:
    """Passes on what another service makes."""

    source: Handle[Source] = depends(Source)

    @endpoint
    async def plain(self, count: int) -> AsyncIterator[str]:
        async for item in self.source.plain(count):
            yield item

    @endpoint
    def threaded(self, count: int) -> Iterator[str]:
        yield from self.source.threaded(count)


# -- the server


@pytest.mark.parametrize("accept", ACCEPTED)
def test_an_item_costs_the_same_in_a_stream_of_any_length(accept: str) -> None:
    async def stream(count: int, counting: Any) -> None:
        async with Server(Source) as running:
            with counting():
                await running.read(running.ask("/plain", accept, count=count))
            assert running.items == count

    flat(stream, LENGTHS)


@pytest.mark.parametrize(
    ("path", "threads"),
    [
        ("/polite", False),
        ("/threaded", True),
        ("/batched", False),
        ("/stepped", False),
        ("/stepped_in_a_thread", True),
    ],
)
def test_whoever_makes_an_item_its_cost_is_the_same(path: str, threads: bool) -> None:
    async def stream(count: int, counting: Any) -> None:
        async with Server(Source) as running:
            with counting():
                await running.read(running.ask(path, "text/event-stream", count=count))
            assert running.items == count

    flat(stream, LENGTHS, threads=threads)


def test_an_item_that_leaves_alone_costs_the_same_and_nothing_of_it_is_kept() -> None:
    async def stream(count: int, counting: Any) -> None:
        async with Server(Source) as running:
            with counting():
                peer = running.ask("/slow", "text/event-stream", count=count)
                await running.read(peer)
            assert count <= peer.writes <= count + 2

    least, _, most = flat(stream, LENGTHS)
    assert most.peak - least.peak < 64 * 1024  # 750 more items


@pytest.mark.parametrize(("path", "threads"), [("/plain", False), ("/threaded", True)])
def test_an_item_from_another_service_costs_the_same(path: str, threads: bool) -> None:
    async def stream(count: int, counting: Any) -> None:
        async with Server(Relay) as running:
            with counting():
                await running.read(running.ask(path, count=count))
            assert running.items == 2 * count

    flat(stream, LENGTHS, threads=threads)


def test_an_item_read_in_the_same_process_costs_the_same() -> None:
    async def read(count: int, counting: Any) -> None:
        async with connect(Source) as source:
            with counting():
                assert len([item async for item in source.plain(count)]) == count

    flat(read, LENGTHS)


@pytest.mark.parametrize(
    ("path", "content_type", "piece"),
    [("/received", "application/octet-stream", b"piece"), ("/added", "application/x-ndjson", b"17\n")],
)
def test_a_piece_of_a_body_costs_the_same_however_many_come(path: str, content_type: str, piece: bytes) -> None:
    async def upload(count: int, counting: Any) -> None:
        async with Server(Source) as running:
            with counting():
                await running.read(await running.post(path, "text/event-stream", content_type, [piece] * count))

    flat(upload, LENGTHS)


# -- the client


@asynccontextmanager
async def client(counting: Any) -> AsyncIterator[AsyncClient]:
    async with serving(Source) as connected:
        with counting():
            yield connected


def test_a_client_reads_an_item_at_the_same_cost_in_a_stream_of_any_length() -> None:
    async def read(count: int, counting: Any) -> None:
        async with client(counting) as connected, connected.stream("polite", count=count) as stream:
            assert len([item async for item in stream]) == count

    flat(read, LENGTHS)


@pytest.mark.parametrize("at_once", [True, False], ids=["one read", "a read each"])
def test_a_client_collects_an_item_at_the_same_cost_however_many_a_read_brings(at_once: bool) -> None:
    class Body(httpx2.AsyncByteStream):
        def __init__(self, count: int) -> None:
            self._count = count
            self._pieces = [b'{"item":1}\n' * count] if at_once else [b'{"item":1}\n'] * count

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in [*self._pieces, b'{"end":{"items":%d}}\n' % self._count]:
                yield piece

    async def collect(count: int, counting: Any) -> None:
        headers = {"content-type": "application/x-ndjson", "transfer-encoding": "chunked"}
        answer = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, stream=Body(count)))
        async with AsyncClient(transport=answer) as connected:
            with counting():
                async with connected.stream("plain") as stream:
                    assert await stream.collect() == [1] * count

    flat(collect, (200, 800, 3200))


def test_a_gathered_answer_costs_the_same_for_each_item() -> None:
    async def call(count: int, counting: Any) -> None:
        async with client(counting) as connected:
            assert await connected.call("plain", count=count) == "item" * count

    flat(call, LENGTHS)


# -- the wire


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[place : place + size] for place in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 256, 1 << 30], ids=["1 byte", "256 bytes", "one piece"])
@pytest.mark.parametrize("row", CARRIES_ITEMS, ids=lambda row: row.name)
def test_a_decoder_reads_an_item_at_the_same_cost_however_it_is_cut(row: Format, size: int) -> None:
    async def decode(count: int, counting: Any) -> None:
        types = stream_types(str)
        encoder, decoder = row.encoder(types), row.decoder(types)
        sent: list[StreamEvent] = [*(Item("item") for _ in range(count)), End(items=count)]
        data = b"".join(encode(encoder, event) for event in sent)
        events: list[StreamEvent] = []
        with counting():
            for piece in pieces(data, size):
                events += decoder.feed(piece)
            events += decoder.finish()
        assert "".join(event.data for event in events if isinstance(event, Item)) == "item" * count

    flat(decode, (12, 48, 192) if size < 256 else LENGTHS)


@pytest.mark.parametrize("size", [1, 1 << 30], ids=["1 byte", "one piece"])
def test_an_event_of_many_lines_is_read_at_the_same_cost_for_each(size: int) -> None:
    async def parse(count: int, counting: Any) -> None:
        parser = EventStreamParser()
        events = []
        with counting():
            for piece in pieces(b"data: a line\n" * count + b"\n", size):
                events += parser.feed(piece)
        assert [event.data for event in events] == ["\n".join(["a line"] * count)]

    flat(parse, (12, 48, 192))


def test_a_frame_of_many_items_is_read_at_the_same_cost_for_each() -> None:
    (row,) = [row for row in FORMATS if row.name == "frames"]

    async def decode(count: int, counting: Any) -> None:
        types = stream_types(str)
        encoder: Any = row.encoder(types)
        decoder = row.decoder(types)
        with counting():
            assert len(decoder.feed(encoder.batch(["item"] * count))) == count

    flat(decode, LENGTHS)
