"""What an item costs grows with its bytes in a straight line, from 4 B to 1 MB, however they are cut on their way."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from in_memory import Server
from wire_socket import BINARY, frame

from growth import flat
from headrace.services.decorators import endpoint, service
from headrace.services.dependencies import Handle, depends
from headrace.testing.server import serving
from headrace.wire.encoding import encode
from headrace.wire.events import End, Item, StreamEvent
from headrace.wire.formats import FORMATS, Format
from headrace.wire.sse import EventStreamParser
from headrace.wire.stream_types import stream_types

SIZES = (4, 128 * 1024, 1024 * 1024)
CUT_SIZES = (64 * 1024, 256 * 1024, 1024 * 1024)
FINELY_CUT_SIZES = (512, 2 * 1024, 8 * 1024)
ITEMS = 3
STREAMED = [row for row in FORMATS if row.streams]


@service
class Source:
    """Makes a few items of any size, and takes what is sent."""

    @endpoint
    async def text(self, size: int) -> AsyncIterator[str]:
        for _ in range(ITEMS):
            yield "x" * size

    @endpoint
    async def raw(self, size: int) -> AsyncIterator[bytes]:
        for _ in range(ITEMS):
            yield b"x" * size

    @endpoint
    def threaded(self, size: int) -> Iterator[str]:
        for _ in range(ITEMS):
            yield "x" * size

    @endpoint
    async def length(self, data: bytes) -> int:
        return len(data)

    @endpoint
    async def letters(self, text: str) -> int:
        return len(text)


@service
class Relay:
    """Passes on what another service makes."""

    source: Handle[Source] = depends(Source)

    @endpoint
    async def length(self, size: int) -> int:
        return sum([len(item) async for item in self.source.text(size)])


TEXT = ["text/plain", "application/x-ndjson", "text/event-stream", "application/json", "ws", "ws headrace.v1"]
BYTES = ["application/octet-stream", "application/vnd.headrace.frames", "application/json", "ws"]


@pytest.mark.parametrize(
    ("path", "accept"), [*(("/text", accept) for accept in TEXT), *(("/raw", accept) for accept in BYTES)]
)
def test_a_byte_of_an_item_costs_the_same_whatever_its_size(path: str, accept: str) -> None:
    async def stream(size: int, counting: Any) -> None:
        async with Server(Source) as running:
            with counting():
                peer = running.ask(path, accept, size=size)
                await running.read(peer)
            assert peer.bytes >= ITEMS * size

    least, _, most = flat(stream, SIZES)
    assert most.steps.total() < 1.3 * least.steps.total()  # nothing is done for each byte in Python


def test_a_byte_made_on_a_thread_costs_the_same() -> None:
    async def stream(size: int, counting: Any) -> None:
        async with Server(Source) as running:
            with counting():
                await running.read(running.ask("/threaded", size=size))

    flat(stream, SIZES, threads=True)


def test_another_service_of_the_process_gives_its_items_without_a_copy() -> None:
    async def call(size: int, counting: Any) -> None:
        async with Server(Relay) as running:
            with counting():
                await running.read(running.ask("/length", "application/json", size=size))

    _, middle, most = flat(call, SIZES)
    grown = most.memory.total() - middle.memory.total()
    assert grown < (2 * ITEMS + 1) * (SIZES[2] - SIZES[1])  # each is made, and its type is checked by writing it once


@pytest.mark.parametrize(
    ("path", "content_type", "around"),
    [("/length", "application/octet-stream", (b"", b"")), ("/letters", "application/json", (b'{"text":"', b'"}'))],
)
def test_a_byte_of_a_body_costs_the_same_whatever_its_size(
    path: str, content_type: str, around: tuple[bytes, bytes]
) -> None:
    async def upload(size: int, counting: Any) -> None:
        body = (b"x" * size).join(around)
        async with Server(Source) as running:
            with counting():
                await running.read(await running.post(path, "*/*", content_type, list(pieces(body, 4096))))

    flat(upload, CUT_SIZES)


def test_a_byte_of_a_message_costs_the_same_whatever_its_size() -> None:
    async def send(size: int, counting: Any) -> None:
        message = frame(BINARY, b"x" * size)
        async with Server(Source) as running:
            with counting():
                peer = running.ask("/length", "ws")
                await peer.written.wait()  # the handshake is answered
                for piece in pieces(message, 4096):
                    peer.protocol.data_received(piece)
                await running.read(peer)

    flat(send, CUT_SIZES)


def test_a_client_reads_a_byte_at_the_same_cost() -> None:
    async def read(size: int, counting: Any) -> None:
        async with serving(Source) as client:
            with counting():
                async with client.stream("text", size=size) as stream:
                    assert len(await stream.text()) == ITEMS * size
                assert len(await client.call("text", size=size)) == ITEMS * size

    flat(read, SIZES)


# -- the wire


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[place : place + size] for place in range(0, len(data), size))


@pytest.mark.parametrize(
    ("cut", "sizes"),
    [(1, FINELY_CUT_SIZES), (4096, CUT_SIZES), (1 << 30, CUT_SIZES)],
    ids=["1 byte", "4 KiB", "one piece"],
)
@pytest.mark.parametrize("row", STREAMED, ids=lambda row: row.name)
def test_a_byte_costs_a_decoder_the_same_however_the_item_is_cut(
    row: Format, cut: int, sizes: tuple[int, int, int]
) -> None:
    async def decode(size: int, counting: Any) -> None:
        made: Any = b"x" * size if row.only == "bytes" else "x" * size
        types = stream_types(type(made))
        encoder, decoder = row.encoder(types), row.decoder(types)
        data = b"".join(encode(encoder, event) for event in (Item(made), End(items=1)))
        events: list[StreamEvent] = []
        with counting():
            for piece in pieces(data, cut):
                events += decoder.feed(piece)
            events += decoder.finish()
        assert sum(len(event.data) for event in events if isinstance(event, Item)) == size

    flat(decode, sizes)


def test_a_byte_of_a_comment_in_an_event_stream_costs_the_same() -> None:
    async def parse(size: int, counting: Any) -> None:
        parser = EventStreamParser()
        with counting():
            for piece in pieces(b": " + b"x" * size + b"\ndata: end\n\n", 3):
                events = parser.feed(piece)
        assert len(events) == 1

    flat(parse, FINELY_CUT_SIZES)
