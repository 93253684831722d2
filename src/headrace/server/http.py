"""One HTTP request to one endpoint, from the head to the ending.

What can be refused by the head is refused before the body is read, the status waits for the first event, and the ending
is told in the stream where the format can say it and by a cut connection where it cannot.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn

from starlette.types import Receive

from headrace.errors import ClientGone, SlowReader, StreamError
from headrace.server.body import check_head
from headrace.server.exchange import Exchange, Incoming, Share
from headrace.server.inbox import Inbox
from headrace.server.manners import manner
from headrace.server.request import HttpRequest
from headrace.server.response import Response, ResponseAborted
from headrace.server.routes import Route
from headrace.services.endpoint import Origin
from headrace.services.runtime import Runtime
from headrace.streams.heartbeat import Heartbeat
from headrace.streams.stream import Stream

STREAM_HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}


class HttpAnswer(Exchange):
    """How the ending of any HTTP exchange is told: as a status, in the stream, or by a cut connection.

    Args:
        response: nothing of it was sent yet.
    """

    def __init__(
        self,
        runtime: Runtime,
        origin: Origin,
        request: HttpRequest,
        incoming: Incoming,
        response: Response,
        share: Share,
        deadline: float | None,
    ) -> None:
        super().__init__(runtime, origin, request, incoming, share, deadline)
        self._response = response

    def _status(self, error: StreamError | None) -> int:
        return self._response.status or (self._response.refusal(error).status if error else 200)

    def _why_gone(self) -> StreamError:
        connection = self._request.connection
        return SlowReader() if connection is not None and connection.evicted else ClientGone()

    def _alive(self, stream: Stream) -> Heartbeat:
        return Heartbeat(stream.outlet, stream.heartbeat, self._runtime.settings.heartbeat)

    async def _tell(self, stream: Stream, error: StreamError | None) -> None:
        """Tells the ending, once, as the format and what was already sent allow."""
        if error is not None and self._response.status is None:
            stream.outlet.drop()  # a heartbeat that has not left yet
            with contextlib.suppress(ClientGone):  # one that is gone is told too: a middleware may wait for an answer
                await self._response.problem(error, stream_id=stream.id)
        elif isinstance(error, (ClientGone, SlowReader)):
            return
        elif error is None or (stream.in_band and not stream.torn):
            with contextlib.suppress(ClientGone):
                await stream.finish()
        else:
            await self._cut(stream, error)

    async def _cut(self, stream: Stream, error: StreamError) -> NoReturn:
        """Delivers the items before the failure, as far as that is still possible, and breaks off."""
        if not stream.torn:
            with contextlib.suppress(ClientGone):
                await stream.outlet.flush()
        stream.outlet.drop()
        if self._request.connection is not None:
            await self._request.connection.cut()
        await self._response.cut()
        raise ResponseAborted(f"{stream.endpoint} failed with {error.code}: the connection is cut to say so")


class HttpExchange(HttpAnswer):
    """One request to an endpoint, and its response.

    Args:
        route: the endpoint, and the named parts of its path.
        receive: the ASGI exchange's; nobody else may read it.
        response: nothing of it was sent yet.
        key: the hash of the request's key, which the stream will belong to; "" on an open server.
        share: see `exchange.Share`.

    Raises:
        RequestError: refused by its head; nothing was sent or counted.
    """

    def __init__(
        self,
        runtime: Runtime,
        route: Route,
        request: HttpRequest,
        receive: Receive,
        response: Response,
        key: str = "",
        share: Share = contextlib.nullcontext,
    ) -> None:
        endpoint = route.endpoint
        self._manner = manner(request, route, runtime.settings)
        check_head(request, route, runtime.settings.max_body)
        self._inbox = Inbox(receive, runtime.settings.body_timeout, request.connection)
        self._endpoint = endpoint
        self._key = key
        deadline = endpoint.timeouts.deadline(runtime.clock(), request.timeout)
        super().__init__(runtime, endpoint, request, self._inbox, response, share, deadline)

    async def answer(self) -> None:
        """Answers the request, or fails visibly.

        Raises:
            ResponseAborted: the stream failed and only a cut connection can say so.
            asyncio.CancelledError: the server stops; the client was told `shutting_down`.
        """
        await self._complete(self._runtime.open(self._endpoint, self._manner.decided, self._response, self._key))

    async def _begin(self, stream: Stream) -> None:
        pass

    async def _arguments(self, stream: Stream) -> Mapping[str, Any]:
        arguments, answer = await self._manner.read(self._inbox)
        if answer is not self._manner.decided:
            self._runtime.settle(stream, self._endpoint, answer, self._response)
        self._response.prepare(answer.content_type, partial(stream_headers, stream))
        return arguments

    async def _work(self, stream: Stream, arguments: Mapping[str, Any]) -> StreamError | None:
        return await self._runtime.run(stream, self._endpoint, arguments, self._deadline)


def stream_headers(stream: Stream) -> Mapping[str, str]:
    """The headers of a stream's response, as of now; how long it took to the first item among them."""
    seconds = stream.first_item_seconds
    timing = f"first_item;dur={seconds * 1000:.1f}" if seconds is not None else f"head;dur={stream.seconds * 1000:.1f}"
    return {**STREAM_HEADERS, "headrace-stream-id": stream.id, "server-timing": timing}
