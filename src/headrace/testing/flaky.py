"""A way to a server that fails in chosen places: no connection, a response that is cut."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

from headrace.testing.wrapping import WrappingTransport, changed
from headrace.wire.answers import decoder_for
from headrace.wire.events import Item
from headrace.wire.raw import BytesDecoder
from headrace.wire.stream_types import unknown_types
from headrace.wire.text import TextDecoder


class FlakyTransport(WrappingTransport):
    """Fails as it was told, and then works: `AsyncClient(url, transport=FlakyTransport(refuse=2))`.

    First come the refusals, then the cuts; every later request passes. A server whose response is cut sees its client
    leave.

    Args:
        inner: the way to the server; None is a connection. `serving(..., through=...)` gives the one in process.
        refuse: so many requests find nobody who listens.
        cut_after: a response is cut when it has brought so many items: right behind the bytes that complete the
            last of them. 0 cuts behind the head. In text and bytes, where items have no borders, an item is what
            arrived together; an answer in one piece has none and passes.
        cut_at: a response is cut after so many bytes of its body, inside of an item perhaps.
        cuts: so many responses are cut.
        cleanly: the cut looks like the end of the body, as behind a proxy that has lost its server; otherwise like
            a connection that was lost. In text and bytes nobody can tell a clean cut from the end, unless the length
            was announced: then it is no clean one.

    Attributes:
        requests: how many came so far, the refused ones among them.

    Raises:
        ValueError: `cut_after` and `cut_at` were both given.
    """

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport | None = None,
        *,
        refuse: int = 0,
        cut_after: int | None = None,
        cut_at: int | None = None,
        cuts: int = 1,
        cleanly: bool = False,
    ) -> None:
        if cut_after is not None and cut_at is not None:
            raise ValueError("cut_after counts items and cut_at bytes; give one of them")
        super().__init__(httpx2.AsyncHTTPTransport() if inner is None else inner)
        self.requests = 0
        self._refuse = refuse
        self._cut_after = cut_after
        self._cut_at = cut_at
        self._cuts = cuts if cut_after is not None or cut_at is not None else 0
        self._cleanly = cleanly

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Returns with the head of the response, or raises `httpx2.ConnectError`."""
        self.requests += 1
        if self.requests <= self._refuse:
            raise httpx2.ConnectError("connection refused", request=request)
        response = await super().handle_async_request(request)
        if self.requests > self._refuse + self._cuts:
            return response
        place = _Bytes(self._cut_at) if self._cut_at is not None else _Items(self._cut_after or 0, response)
        cleanly = self._cleanly and "content-length" not in response.headers
        return changed(response, lambda body: _cut(body, place, cleanly))


async def _cut(body: AsyncIterator[bytes], place: _Bytes | _Items, cleanly: bool) -> AsyncIterator[bytes]:
    while not place.reached:
        data = await anext(body, None)
        if data is None:
            return
        if taken := place.take(data):
            yield taken
    if not cleanly:
        raise httpx2.ReadError("the connection was lost")


class _Bytes:
    """The place so many bytes into a body."""

    def __init__(self, size: int) -> None:
        self._left = size

    @property
    def reached(self) -> bool:
        return self._left <= 0

    def take(self, data: bytes) -> bytes:
        """What of the data stands before the place."""
        taken = data[: self._left]
        self._left -= len(taken)
        return taken


class _Items:
    """The place so many items into a body."""

    def __init__(self, count: int, response: httpx2.Response) -> None:
        self._left = count
        self._decoder = decoder_for(response.headers.get("content-type"), unknown_types())

    @property
    def reached(self) -> bool:
        return self._left <= 0

    def take(self, data: bytes) -> bytes:
        """What of the data stands before the place."""
        if isinstance(self._decoder, TextDecoder | BytesDecoder):
            self._left -= 1
            return data
        for index in range(len(data)):
            self._left -= sum(isinstance(event, Item) for event in self._decoder.feed(data[index : index + 1]))
            if self.reached:
                return data[: index + 1]
        return data
