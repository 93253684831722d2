"""The services run behind a real application, without a socket between; `tests/e2e/test_composition.py` has one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from composed import composed, turns

from headrace.client.aio import AsyncClient
from headrace.config import Settings
from headrace.errors import (
    ConnectionFailed,
    DeadlineExceeded,
    InternalError,
    InvalidArguments,
    NotFound,
    Overloaded,
    StreamError,
    StreamTruncated,
)
from headrace.metrics import Metrics
from headrace.server.app import Application
from headrace.services.context import Request, answering, context
from headrace.services.decorators import Bound, endpoint, service
from headrace.services.definition import define
from headrace.services.dependencies import Handle, depends
from headrace.services.remote import RemoteReplica
from headrace.services.runtime import Runtime
from headrace.streams.channel import Channel
from headrace.streams.recorder import Recorder
from headrace.streams.stream import Stream as Run
from headrace.wire.annotations import Stream
from headrace.wire.events import Footer, Header, Order
from headrace.wire.passing import PassingEncoder


class RemoteBusy(StreamError):
    """The model is busy."""

    code = "remote_busy"
    status = 429


@dataclass
class Word:
    text: str


@service
class Leaf:
    freed: list[str]

    @endpoint
    async def words(self, count: int = 2) -> AsyncIterator[Word]:
        for number in range(count):
            yield Word(f"w{number}")

    @endpoint
    async def typed(self) -> Stream[str, dict[str, int], float]:
        yield Header({"a": 1})
        yield "x"
        yield Footer(1.5)

    @endpoint
    async def add(self, word: Word, b: int = 2) -> Word:
        return Word(word.text + str(b))

    @endpoint(methods=("GET",))
    async def asked(self, name: str) -> str:
        return f"hello {name}"

    @endpoint(path="/elsewhere")
    async def moved(self) -> str:
        return "found"

    @endpoint
    async def upper(self, words: AsyncIterator[Word]) -> AsyncIterator[str]:
        async for word in words:
            yield word.text.upper()

    @endpoint
    async def busy(self) -> AsyncIterator[str]:
        yield "one"
        raise RemoteBusy("all 4 are taken")

    @endpoint
    async def breaks(self) -> str:
        raise RuntimeError("boom")

    @endpoint
    async def sound(self) -> AsyncIterator[bytes]:
        yield b"\x00\xff"
        yield b"PCM"

    @endpoint
    async def once(self) -> bytes:
        return b"\x00\xff"

    @endpoint
    async def never(self) -> None:
        await asyncio.Event().wait()

    @endpoint(path="/books/{book:path}/pages/{number}")
    async def page(self, number: int, book: str, loud: bool = False) -> str:
        return f"{book} {number} {loud}"

    @endpoint(path="/spoken/{word}", methods=("GET",))
    async def spoken(self, word: str, times: int = 1) -> AsyncIterator[str]:
        yield word * times

    @endpoint
    async def request(self) -> list[Any]:
        return [context.request_id, context.remaining]


LEAF = define(Bound(Leaf, url="http://leaf"))


@asynccontextmanager
async def replica(**options: Any) -> AsyncIterator[RemoteReplica]:
    async with AsyncClient(**(options or {"app": Application(Leaf)})) as client:
        found = RemoteReplica(LEAF, client.with_options(retries=0))
        await found.start(lambda bound: None)
        yield found
        await found.stop()


async def records(found: RemoteReplica, name: str, /, **arguments: Any) -> list[Any]:
    """What comes out of one run of an endpoint."""
    each = next(each for each in LEAF.endpoints if each.attribute == name)
    channel = Channel()
    async with asyncio.timeout(10):
        await found.drive(each, arguments)(Recorder(PassingEncoder(each.types), each.types.order()), channel)
    return channel.take()


async def test_items_are_objects_of_their_type_again() -> None:
    async with replica() as found:
        assert await records(found, "words") == [Word("w0"), Word("w1")]


async def test_bytes_are_bytes_again() -> None:
    async with replica() as found:
        assert await records(found, "sound") == [b"\x00\xff", b"PCM"]
        assert await records(found, "once") == [b"\x00\xff"]


async def test_header_and_footer_come_as_events() -> None:
    async with replica() as found:
        assert await records(found, "typed") == [Header({"a": 1}), "x", Footer(1.5)]


async def test_an_answer_is_an_object_of_its_type_again() -> None:
    async with replica() as found:
        assert await records(found, "add", word=Word("a"), b=3) == [Word("a3")]


async def test_the_endpoint_is_called_with_its_own_method_and_at_its_own_path() -> None:
    async with replica() as found:
        assert await records(found, "asked", name="Ada") == ["hello Ada"]
        assert await records(found, "moved") == ["found"]


async def test_arguments_that_the_path_names_travel_there() -> None:
    async with replica() as found:
        assert await records(found, "page", book="a/b c%2F", number=3, loud=True) == ["a/b c%2F 3 True"]
        assert await records(found, "spoken", word="\u00e9?#&", times=2) == ["\u00e9?#&\u00e9?#&"]


async def test_a_stream_is_passed_on() -> None:
    async def words() -> AsyncIterator[Word]:
        yield Word("a")
        yield Word("b")

    async with replica() as found:
        assert await records(found, "upper", words=words()) == ["A", "B"]


async def test_an_error_of_the_other_end_keeps_its_class_and_its_message() -> None:
    async with replica() as found:
        with pytest.raises(RemoteBusy, match="all 4 are taken"):
            await records(found, "busy")


async def test_what_the_other_end_does_not_tell_is_internal_here_too() -> None:
    async with replica() as found:
        with pytest.raises(InternalError):
            await records(found, "breaks")


@pytest.mark.parametrize(
    ("name", "arguments", "cause"),
    [("add", {"word": {"texts": "a"}}, InvalidArguments), ("words", {"count": "many"}, InvalidArguments)],
)
async def test_a_request_that_the_other_end_refuses_is_this_services_own_failure(
    name: str, arguments: dict[str, Any], cause: type
) -> None:
    async with replica() as found:
        with pytest.raises(InternalError) as caught:
            await records(found, name, **arguments)
        assert isinstance(caught.value.__cause__, cause)


class Answering(httpx2.AsyncBaseTransport):
    """A server that gives one answer, or none."""

    def __init__(self, status: int, *pieces: bytes, cut: bool = False, error: Exception | None = None) -> None:
        self.status, self.pieces, self.cut, self.error = status, pieces, cut, error

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.error is not None:
            raise self.error

        async def body() -> AsyncIterator[bytes]:
            for piece in self.pieces:
                yield piece
            if self.cut:
                raise httpx2.ReadError("reset by peer")

        return httpx2.Response(self.status, headers={"content-type": "application/x-ndjson"}, content=body())


async def test_an_endpoint_that_is_not_there_is_this_services_own_failure() -> None:
    async with replica(transport=Answering(404)) as found:
        with pytest.raises(InternalError) as caught:
            await records(found, "add")
        assert isinstance(caught.value.__cause__, NotFound)


async def test_a_server_that_has_no_place_is_told_as_it_is() -> None:
    async with replica(transport=Answering(503)) as found:
        with pytest.raises(Overloaded):
            await records(found, "add")


async def test_a_cut_is_a_failure() -> None:
    async with replica(transport=Answering(200, b'{"item": {"text": "a"}}\n', cut=True)) as found:
        with pytest.raises(StreamTruncated):
            await records(found, "words")


@pytest.mark.parametrize("name", ["add", "words"])
@pytest.mark.parametrize(
    ("error", "retryable"),
    [(httpx2.ConnectError("Connection refused"), True), (httpx2.UnsupportedProtocol("not spoken here"), False)],
)
async def test_a_server_that_is_down_is_told_without_its_address_which_stands_in_the_log(
    name: str, error: Exception, retryable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncClient("http://leaf.internal:8001", transport=Answering(0, error=error)) as client:
        found = RemoteReplica(LEAF, client.with_options(retries=0))
        with pytest.raises(ConnectionFailed) as caught:
            await records(found, name)
    assert caught.value.message == "a service that the answer needs cannot be reached"
    assert (caught.value.status, caught.value.retryable) == (502, retryable)
    assert f"Leaf.{name} cannot be called: " in caplog.text
    assert "http://leaf.internal:8001" in caplog.text


def request_with(left: float | None) -> Request:
    """One of which so many seconds are left."""
    stream = Run("s_1", "Top.run", Recorder(PassingEncoder(LEAF.endpoints[0].types), Order()), Channel(), lambda: 100.0)
    return Request("r_7", {}, None if left is None else 100.0 + left, stream)


async def test_the_time_that_is_left_and_the_requests_id_travel_along() -> None:
    async with replica() as found:
        with answering(request_with(60.0)):
            ((request_id, told),) = await records(found, "request")
    assert request_id == "r_7"
    assert 30.0 < told <= 60.0


async def test_a_call_without_any_time_left_is_late() -> None:
    async with replica() as found:
        with answering(request_with(0.0)), pytest.raises(DeadlineExceeded):
            await records(found, "never")


async def test_a_request_without_a_deadline_passes_none_on() -> None:
    async with replica() as found:
        with answering(request_with(None)):
            assert await records(found, "request") == [["r_7", None]]


async def test_outside_of_a_request_there_is_no_time_to_pass_on() -> None:
    async with replica() as found:
        ((request_id, left),) = await records(found, "request")
        assert request_id
        assert left is None


async def test_stopping_frees_the_other_end() -> None:
    freed = asyncio.Event()

    @service
    class Silent(Leaf):
        @endpoint
        async def words(self, count: int = 2) -> AsyncIterator[Word]:
            try:
                yield Word("first")
                await asyncio.Event().wait()
            finally:
                freed.set()

    async with replica(app=Application(Silent)) as found:
        running = asyncio.get_running_loop().create_task(records(found, "words"))
        await turns(200)
        running.cancel()
        async with asyncio.timeout(5):
            await freed.wait()


async def test_a_service_that_runs_elsewhere_need_not_be_there_at_the_start() -> None:
    @service
    class Top:
        leaf: Handle[Leaf] = depends(Leaf, url="http://127.0.0.1:9")

        @endpoint
        async def run(self) -> str:
            return "here"

    async with composed(Top) as running:
        assert await running.handle.run() == "here"


async def test_its_arguments_are_checked_here() -> None:
    async with Runtime(Bound(Leaf, url="http://127.0.0.1:9"), Settings(), Metrics()) as runtime:
        with pytest.raises(TypeError, match="HR16 /count"):
            runtime.handle(runtime.definition.bound).words("many")


async def test_stopping_closes_the_connections() -> None:
    client = AsyncClient(transport=Answering(200))
    await RemoteReplica(LEAF, client).stop()
    with pytest.raises(RuntimeError, match="closed"):
        client.stream("words")


async def test_nothing_of_it_runs_here() -> None:
    async with replica() as found:
        assert (found.instance, found.threads_stuck) == (None, 0)
