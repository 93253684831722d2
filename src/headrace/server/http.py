"""One request to one endpoint, from the head to the ending.

The order is the promise: what can be refused by the head is refused before the body is read, a place is held before
the body is read, the status waits for the first event, and the ending is told once, in the stream where the format
can say it and by a cut connection where it cannot.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from starlette.types import Receive

from headrace.errors import ClientGone, DeadlineExceeded, InternalError, ShuttingDown, SlowReader, StreamError
from headrace.server.body import check_head, read_arguments
from headrace.server.inbox import Inbox
from headrace.server.log import log_stream
from headrace.server.request import HttpRequest
from headrace.server.response import Response, ResponseAborted, status_of
from headrace.services.context import Request, answering
from headrace.services.endpoint import EndpointDefinition
from headrace.services.runtime import Runtime
from headrace.streams.heartbeat import Heartbeat
from headrace.streams.limits import Turn
from headrace.streams.stream import Stream
from headrace.wire.formats import choose

STREAM_HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}


class Exchange:
    """One request and its response.

    Args:
        receive: the ASGI exchange's; nobody else may read it.
        response: nothing of it was sent yet.
        key: the hash of the request's key, which the stream will belong to; "" on an open server.
        share: entered before a place is asked for and left with it; raises RateLimited to refuse.
    """

    def __init__(
        self,
        runtime: Runtime,
        endpoint: EndpointDefinition,
        request: HttpRequest,
        receive: Receive,
        response: Response,
        key: str = "",
        share: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._runtime = runtime
        self._endpoint = endpoint
        self._request = request
        self._inbox = Inbox(receive, runtime.settings.body_timeout)
        self._response = response
        self._key = key
        self._share = share
        self._deadline: float | None = None

    async def answer(self) -> None:
        """Answers the request, or fails visibly.

        Raises:
            RequestError: refused by its head; nothing was sent or counted.
            ResponseAborted: the stream failed and only a cut connection can say so.
            asyncio.CancelledError: the server stops; the client was told `shutting_down`.
        """
        request, endpoint, settings = self._request, self._endpoint, self._runtime.settings
        choice = choose(request.accept, endpoint.types, unary=not endpoint.streams, media_type=endpoint.media_type)
        check_head(request, endpoint, settings.max_body)
        self._deadline = endpoint.timeouts.deadline(time.monotonic(), request.timeout)
        stream = self._runtime.open(endpoint, choice, self._response, self._key)
        self._response.prepare(choice.content_type, lambda: self._headers(stream))
        error: StreamError | None = InternalError()  # what it is when nothing below says otherwise
        cancelled: asyncio.CancelledError | None = None
        try:
            error = await self._run(stream)
        except StreamError as refused:
            error = refused.with_traceback(None)  # its frames hold the body, and this frame would hold them in a cycle
        except asyncio.CancelledError as raised:
            error, cancelled = stream.error or ShuttingDown(), raised
        finally:
            self._runtime.count(endpoint, error)
            log_stream(request, self._response.status or (status_of(error) if error else 200), stream, error)
        await self._tell(stream, error)
        if cancelled is not None:
            raise cancelled

    async def _run(self, stream: Stream) -> StreamError | None:
        """Runs the stream in a place of its own. Raises what kept it from starting."""
        try:
            async with self._place():
                arguments = await self._arguments()
                heartbeat = Heartbeat(stream.outlet, stream.heartbeat, self._runtime.settings.heartbeat)
                self._inbox.watch(lambda: stream.cancel(self._why_gone()))
                try:
                    with answering(self._context(stream)):
                        return await self._runtime.run(stream, self._endpoint, arguments, self._deadline)
                finally:
                    heartbeat.stop()
        finally:
            self._inbox.close()

    def _why_gone(self) -> StreamError:
        connection = self._request.connection
        return SlowReader() if connection is not None and connection.evicted else ClientGone()

    async def _arguments(self) -> dict[str, Any]:
        async with _until(self._deadline):
            return await read_arguments(self._request, self._endpoint, self._inbox, self._runtime.settings.max_body)

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Holds a place, waiting for it in the queue."""
        places = self._runtime.places
        with self._share():
            turn = places.ask(self._deadline)
            try:
                if not turn.done():
                    await self._wait(turn)
                yield
            finally:
                places.give_back(turn)

    async def _wait(self, turn: Turn) -> None:
        """Waits in the queue. A client that leaves it gives up its turn at once."""

        def gone() -> None:
            if not turn.done():
                turn.set_exception(ClientGone())

        self._inbox.watch(gone)
        since = time.monotonic()
        try:
            async with _until(self._deadline):
                await turn
        finally:
            self._runtime.metrics.queue_wait.observe(time.monotonic() - since)

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

    def _context(self, stream: Stream) -> Request:
        return Request(
            request_id=self._request.id,
            stream_id=stream.id,
            headers=self._request.headers,
            deadline=self._deadline,
            is_cancelled=lambda: stream.cancelled,
        )

    @staticmethod
    def _headers(stream: Stream) -> Mapping[str, str]:
        seconds = stream.first_item_seconds
        timing = (
            f"first_item;dur={seconds * 1000:.1f}" if seconds is not None else f"head;dur={stream.seconds * 1000:.1f}"
        )
        return {**STREAM_HEADERS, "headrace-stream-id": stream.id, "server-timing": timing}


@contextlib.asynccontextmanager
async def _until(deadline: float | None) -> AsyncIterator[None]:
    """Raises DeadlineExceeded when the block is not through in time."""
    if deadline is None:
        yield
        return
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            yield
    except TimeoutError:
        raise DeadlineExceeded from None
