from collections.abc import AsyncIterator

import httpx2

from headrace.testing.wrapping import WrappingTransport, changed


class Way(httpx2.AsyncBaseTransport):
    """A way to nowhere that notes what is done with it."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    async def __aenter__(self) -> "Way":
        self.notes.append("entered")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.notes.append("left")

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.notes.append(f"{request.method} {request.url.path}")
        return httpx2.Response(203, headers={"x-mine": "1"}, stream=Body(self.notes), extensions={"http_version": b"X"})

    async def aclose(self) -> None:
        self.notes.append("closed")


class Body(httpx2.AsyncByteStream):
    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def aclose(self) -> None:
        self.notes.append("body closed")


async def louder(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for data in body:
        yield data.upper()


async def test_the_inner_one_is_entered_asked_left_and_closed() -> None:
    way = Way()
    wrapping = WrappingTransport(way)
    async with wrapping as entered:
        assert entered is wrapping
        await wrapping.handle_async_request(httpx2.Request("PUT", "http://a/b"))
    await wrapping.aclose()
    assert way.notes == ["entered", "PUT /b", "left", "closed"]


async def test_a_changed_response_keeps_everything_but_its_body() -> None:
    response = changed(await Way().handle_async_request(httpx2.Request("GET", "http://a/")), louder)
    assert (response.status_code, response.headers["x-mine"], response.extensions["http_version"]) == (203, "1", b"X")
    assert [data async for data in response.aiter_raw()] == [b"ONE", b"TWO"]


async def test_closing_a_changed_body_before_its_end_closes_the_body() -> None:
    way = Way()
    response = changed(await way.handle_async_request(httpx2.Request("GET", "http://a/")), louder)
    await response.aclose()
    assert way.notes == ["GET /", "body closed"]
