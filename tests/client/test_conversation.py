"""The async conversation, with an application in this process: who waits for whom."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from headrace.client.aio import AsyncClient
from headrace.client.conversation import AsyncConversation
from headrace.client.dialogue import dialogue
from headrace.client.protocol import Caller
from headrace.client.request import Options
from headrace.client.sockets import Socket
from headrace.client.steps import Head, Send
from headrace.client.timeouts import Timeout
from headrace.errors import (
    ConnectionFailed,
    FirstItemTimeout,
    InternalError,
    InvalidArguments,
    NotFound,
    StreamTruncated,
)
from headrace.server.app import Application
from headrace.services.decorators import endpoint, service
from headrace.testing.server import serving
from headrace.wire.annotations import Stream
from headrace.wire.events import Footer, Header
from headrace.wire.stream_types import StreamTypes, stream_types
from headrace.wire.websocket import TEXT, frame

WITHIN = 5.0


@service
class Talker:
    def __init__(self) -> None:
        self.running = 0

    @endpoint
    async def parrot(self, words: AsyncIterator[str], prefix: str = "") -> AsyncIterator[str]:
        self.running += 1
        try:
            async for word in words:
                yield prefix + word
        finally:
            self.running -= 1

    @endpoint
    async def listens_first(self, words: AsyncIterator[str]) -> Stream[str, str, int]:
        yield Header(await anext(words))
        yield "a"
        yield Footer(1)

    @endpoint
    async def sound(self, words: AsyncIterator[str]) -> AsyncIterator[bytes]:
        async for word in words:
            yield word.encode()
        yield b""

    @endpoint
    async def fails(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        yield await anext(words)
        raise RuntimeError

    @endpoint
    async def ends(self) -> AsyncIterator[str]:
        yield "a"

    @endpoint
    async def running_now(self) -> int:
        return self.running


async def _say_for_ever(chat: AsyncConversation) -> None:
    while True:
        await chat.send("a")


async def test_both_sides_talk_at_once_and_the_arguments_come_first() -> None:
    async with serving(Talker) as client, asyncio.timeout(WITHIN):
        async with client.connect("parrot", prefix=">") as chat:
            for word in ("a", "b"):
                await chat.send(word)
                assert await anext(chat) == f">{word}"
            await chat.finish_input()
            assert await chat.text() == ""
        assert (chat.id[:2], chat.header, chat.footer, chat.stats.items) == ("s_", None, None, 2)


async def test_an_argument_may_have_any_name() -> None:
    async with serving(Talker) as client, asyncio.timeout(WITHIN):
        with pytest.raises(InvalidArguments):
            async with client.connect("parrot", item="a", self="b", endpoint="c") as chat:
                await chat.collect()


async def test_an_undeclared_header_is_not_waited_for() -> None:
    async with serving(Talker) as client, asyncio.timeout(WITHIN):
        async with client.connect("listens_first") as chat:
            assert chat.header is None
            await chat.send("h")
            assert [item async for item in chat] == ["a"]
        assert (chat.header, chat.footer) == ("h", 1)


async def test_a_declared_header_that_does_not_come_leaves_nothing_behind() -> None:
    types = stream_types(str, header_type=str, footer_type=int)
    async with serving(Talker) as client, asyncio.timeout(WITHIN):
        careful = client.with_options(types=types, timeout=Timeout(first_item=0.01))
        with pytest.raises(FirstItemTimeout):
            async with careful.connect("listens_first"):
                raise AssertionError("entered")
        assert await client.call("running_now") == 0


async def test_binary_items_come_as_bytes_with_declared_types_and_without() -> None:
    async with serving(Talker) as client, asyncio.timeout(WITHIN):
        for each in (client, client.with_options(types=stream_types(bytes))):
            async with each.connect("sound") as chat:
                await chat.send("ä")
                await chat.finish_input()
                assert await chat.collect() == ["ä".encode(), b""]


async def test_sending_after_a_failure_raises_it_and_loses_no_item() -> None:
    async with serving(Talker) as client, asyncio.timeout(WITHIN), client.connect("fails") as chat:
        await chat.send("a")
        await client.call("running_now")
        with pytest.raises(InternalError):
            await _say_for_ever(chat)
        assert await anext(chat) == "a"
        with pytest.raises(InternalError):
            await anext(chat)
        with pytest.raises(InternalError):
            await chat.finish_input()


async def test_sending_while_another_task_reads_the_failure_raises_it_in_both() -> None:
    async with serving(Talker) as client, asyncio.timeout(WITHIN), client.connect("fails") as chat:
        reading = asyncio.ensure_future(chat.collect())
        with pytest.raises(InternalError):
            await _say_for_ever(chat)
        with pytest.raises(InternalError):
            await reading


async def test_sending_to_a_complete_stream_says_that_nobody_listens() -> None:
    async with serving(Talker) as client, asyncio.timeout(WITHIN), client.connect("ends") as chat:
        assert await chat.collect() == ["a"]
        with pytest.raises(ConnectionFailed, match="the stream is complete"):
            await chat.send("x")
        await chat.finish_input()


async def test_a_task_that_is_cancelled_while_it_waits_loses_nothing() -> None:
    async with serving(Talker) as client, asyncio.timeout(WITHIN), client.connect("parrot") as chat:
        for n in range(3):
            reading = asyncio.ensure_future(anext(chat))
            for _ in range(5):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait({reading})
            assert reading.cancelled()
            await chat.send(str(n))
            assert await anext(chat) == str(n)


async def test_one_task_reads() -> None:
    async with serving(Talker) as client, asyncio.timeout(WITHIN), client.connect("parrot") as chat:
        reading = asyncio.ensure_future(anext(chat))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="read already; one task reads it, others may send"):
            await anext(chat)
        await chat.send("a")
        assert await reading == "a"


async def test_leaving_the_block_stops_the_work() -> None:
    async with serving(Talker) as client, asyncio.timeout(WITHIN):
        async with client.connect("parrot") as chat:
            await chat.send("a")
            assert await anext(chat) == "a"
            assert await client.call("running_now") == 1
        assert await client.call("running_now") == 0
        with pytest.raises(RuntimeError, match="its block is left"):
            await chat.send("b")


async def test_an_application_that_is_stopped_breaks_its_conversations_off() -> None:
    async with asyncio.timeout(WITHIN):
        client = await AsyncClient(app=Application(Talker)).__aenter__()
        async with client.connect("parrot") as chat:
            reading = asyncio.ensure_future(anext(chat))
            await asyncio.sleep(0)
            await client.aclose()
            with pytest.raises(StreamTruncated):
                await reading
        with pytest.raises(RuntimeError, match="this client is closed"):
            client.connect("parrot")


async def test_a_refused_handshake_is_the_error_of_its_document() -> None:
    async with serving(Talker) as client, asyncio.timeout(WITHIN):
        with pytest.raises(NotFound, match=r"Did you mean /parrot\?"):
            async with client.connect("parot"):
                raise AssertionError("entered")


async def test_a_transport_of_the_http_library_carries_no_conversation() -> None:
    async def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200)

    transport: Any = httpx2.MockTransport(answer)
    async with AsyncClient(transport=transport) as client:
        with pytest.raises(RuntimeError, match="carries no WebSockets; give it the server's address"):
            async with client.connect("parrot"):
                raise AssertionError("entered")


# -- one connection, seen from behind


class Line:
    """A connection that takes nothing, and on which one task at a time may receive."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.frames: list[bytes] = []
        self.came = asyncio.Event()
        self.closed = False

    async def send(self, message: str | bytes) -> None:
        raise httpx2.WriteError("closed")

    async def receive(self) -> bytes:
        assert not self.waiting.is_set(), "two tasks receive"
        self.waiting.set()
        try:
            await self.came.wait()
        finally:
            self.waiting.clear()
        return self.frames.pop(0)

    async def aclose(self) -> None:
        self.closed = True


class Lines:
    """Opens this one."""

    def __init__(self, line: Line) -> None:
        self.line = line

    async def open(self, send: Send) -> tuple[Head, Socket]:
        return Head(101, {"sec-websocket-protocol": "headrace.v1"}, framed=True), self.line

    async def aclose(self) -> None: ...


def conversation(line: Line, types: StreamTypes) -> AsyncConversation:
    caller = Caller("http://here", Options(types=types), asyncio.get_running_loop().time)
    return AsyncConversation(dialogue(caller, "x", {}), Lines(line))


async def test_who_cannot_send_waits_for_the_one_who_reads_why() -> None:
    line = Line()
    async with asyncio.timeout(WITHIN), conversation(line, stream_types(str)) as chat:
        reading = asyncio.ensure_future(anext(chat))
        await line.waiting.wait()
        sending = asyncio.ensure_future(chat.send("a"))
        for _ in range(5):
            await asyncio.sleep(0)
        line.frames = [frame(TEXT, b'{"error":{"code":"internal"}}')]
        line.came.set()
        for task in (reading, sending):
            with pytest.raises(InternalError):
                await task
    assert line.closed


async def test_a_block_that_is_not_entered_closes_its_connection() -> None:
    line = Line()
    entering = asyncio.ensure_future(conversation(line, stream_types(str, header_type=str)).__aenter__())
    async with asyncio.timeout(WITHIN):
        await line.waiting.wait()
        entering.cancel()
        await asyncio.wait({entering})
    assert entering.cancelled()
    assert line.closed
