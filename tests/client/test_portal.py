"""An async transport, used by code without an event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from headrace.client.portal import Body, LoopThread, PortalTransport

WITHIN = 5.0


class Stream(httpx2.AsyncByteStream):
    def __init__(self, pieces: list[Any]) -> None:
        self.pieces = pieces
        self.closed = threading.Event()
        self.waiting = threading.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if piece is None:
                self.waiting.set()
                await asyncio.Event().wait()
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self.closed.set()


class Transport(httpx2.AsyncBaseTransport):
    """Answers with the pieces; keeps what it was sent."""

    def __init__(self, *pieces: Any) -> None:
        self.stream = Stream(list(pieces))
        self.sent = b""
        self.log: list[str] = []
        self.threads: set[int] = set()

    async def __aenter__(self) -> "Transport":
        self.log.append("enter")
        return self

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.threads.add(threading.get_ident())
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        self.sent = b"".join([piece async for piece in request.stream])
        return httpx2.Response(200, headers={"a": "b"}, stream=self.stream)

    async def aclose(self) -> None:
        self.log.append("close")


def request(content: Any = b"") -> httpx2.Request:
    return httpx2.Request("POST", "http://localhost/", content=content)


def body(response: httpx2.Response) -> Body:
    assert isinstance(response.stream, Body)
    return response.stream


def test_requests_and_answers_pass_through() -> None:
    transport = Transport(b"one", b"two")
    with PortalTransport(transport) as portal:
        response = portal.handle_request(request(iter([b"a", b"b"])))
        assert (response.status_code, response.headers["a"], transport.sent) == (200, "b", b"ab")
        assert list(body(response)) == [b"one", b"two"]
        response.close()
        assert transport.stream.closed.is_set()
    assert transport.log == ["enter", "close"]
    assert threading.get_ident() not in transport.threads


def test_the_thread_starts_when_it_is_needed_and_ends_with_the_transport() -> None:
    before = threading.active_count()
    portal = PortalTransport(Transport())
    assert threading.active_count() <= before
    portal.handle_request(request()).close()
    assert threading.active_count() > before
    portal.close()
    assert threading.active_count() <= before
    portal.close()


def test_what_is_raised_over_there_is_raised_here() -> None:
    with PortalTransport(Transport(b"one", ZeroDivisionError("mine"))) as portal:
        pieces = iter(body(portal.handle_request(request())))
        assert next(pieces) == b"one"
        with pytest.raises(ZeroDivisionError):
            next(pieces)


def test_what_the_callers_body_raises_is_raised_here() -> None:
    def fails() -> Iterator[bytes]:
        yield b"a"
        raise KeyError("mine")

    with PortalTransport(Transport()) as portal, pytest.raises(KeyError):
        portal.handle_request(request(fails()))


def test_a_read_is_interrupted_as_that_of_a_socket_is() -> None:
    transport = Transport(b"one", None)
    with PortalTransport(transport) as portal:
        response = portal.handle_request(request())
        pieces = iter(body(response))
        assert next(pieces) == b"one"
        shut = response.extensions["network_stream"].get_extra_info("socket")
        assert response.extensions["network_stream"].get_extra_info("ssl_object") is None

        def interrupt() -> None:
            assert transport.stream.waiting.wait(WITHIN)
            shut.shutdown(2)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(httpx2.ReadError, match="interrupted"):
            next(pieces)
        thread.join(WITHIN)
        with pytest.raises(httpx2.ReadError, match="interrupted"):
            next(iter(body(response)))
        response.close()


def test_a_thread_runs_coroutines_until_it_is_closed() -> None:
    before = threading.active_count()
    thread, log = LoopThread(), []

    async def note(text: str) -> str:
        log.append((text, threading.current_thread().daemon))
        return text

    async def last() -> None:
        log.append(("last", True))

    thread.close(last)  # it did not start
    assert thread.call(note, "a") == "a"
    thread.close(last)
    assert log == [("a", True), ("last", True)]
    assert threading.active_count() <= before
