"""A transport around another one: it is entered and closed with it, and may put a body of its own around each body."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

import httpx2


class WrappingTransport(httpx2.AsyncBaseTransport):
    """Passes every request on to `inner`."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def __aenter__(self) -> Self:
        """Enters the inner one."""
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._inner.__aexit__(exc_type, exc_value, traceback)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Returns with the head of the response."""
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Closes the inner one."""
        await self._inner.aclose()


class WrappedBody(httpx2.AsyncByteStream):
    """What `change` makes of the body of a response. Closing it closes the body."""

    def __init__(
        self, response: httpx2.Response, change: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
    ) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        self._body = response.stream
        self._change = change

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._change(aiter(self._body))

    async def aclose(self) -> None:
        """Closes the body: whoever makes it is told that its reader left."""
        await self._body.aclose()


def changed(
    response: httpx2.Response, change: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
) -> httpx2.Response:
    """The response with what `change` makes of its body."""
    return httpx2.Response(
        response.status_code,
        headers=response.headers,
        stream=WrappedBody(response, change),
        extensions=response.extensions,
    )
