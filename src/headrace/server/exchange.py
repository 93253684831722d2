"""One request to one endpoint or mounted application, whatever carries it: its place, its run, and its one ending.

The order is the promise: a place is held before anything of the request is read, the user's code runs only in a place,
whoever leaves is noticed from the queue on, and the ending is counted, logged and told once.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from headrace.errors import ClientGone, DeadlineExceeded, InternalError, ShuttingDown, StreamError
from headrace.server.log import log_stream
from headrace.server.request import HttpRequest
from headrace.services.context import Request, answering
from headrace.services.endpoint import Origin
from headrace.services.runtime import Runtime
from headrace.streams.limits import Turn
from headrace.streams.stream import Stream

T = TypeVar("T")

Share = Callable[[], AbstractContextManager[None]]
"""Entered before a place is asked for and left with it; raises RateLimited to refuse."""


class Incoming(Protocol):
    """The receiving side of an exchange."""

    def watch(self, on_gone: Callable[[], None]) -> None:
        """From now on reads ahead, and calls `on_gone` when the client leaves. A second call replaces the callback."""

    def close(self) -> None:
        """Reads no more and calls nobody back."""


class Exchange(ABC):
    """What is common to the exchanges of all transports.

    Args:
        incoming: nobody else reads it.
        deadline: when the answer must be complete, by the runtime's clock; None: never.
    """

    def __init__(
        self,
        runtime: Runtime,
        origin: Origin,
        request: HttpRequest,
        incoming: Incoming,
        share: Share,
        deadline: float | None,
    ) -> None:
        self._runtime = runtime
        self._origin = origin
        self._request = request
        self._incoming = incoming
        self._share = share
        self._deadline = deadline

    @abstractmethod
    async def _begin(self, stream: Stream) -> None:
        """Comes before everything else that the stream does."""

    @abstractmethod
    async def _arguments(self, stream: Stream) -> Mapping[str, Any]:
        """What the code is called with, as the request brings it. Raises a RequestError where it does not fit.

        By now at the latest it is decided how the stream is answered.
        """

    @abstractmethod
    async def _work(self, stream: Stream, arguments: Mapping[str, Any]) -> StreamError | None:
        """Runs the code that answers, to the stream's ending."""

    @abstractmethod
    def _status(self, error: StreamError | None) -> int:
        """The status that the log tells."""

    @abstractmethod
    def _why_gone(self) -> StreamError:
        """What it means that the client is gone."""

    @abstractmethod
    async def _tell(self, stream: Stream, error: StreamError | None) -> None:
        """Tells the ending."""

    def _alive(self, stream: Stream) -> AbstractContextManager[object]:
        """Held while the stream runs: shows a silent client that it does."""
        return contextlib.nullcontext()

    async def _complete(self, stream: Stream) -> None:
        """Runs the stream and tells its ending.

        Raises:
            asyncio.CancelledError: the server stops; the client was told `shutting_down`.
        """
        error: StreamError | None = InternalError()  # what it is when nothing below says otherwise
        cancelled: asyncio.CancelledError | None = None
        try:
            error = await self._run(stream)
        except StreamError as refused:
            error = refused.with_traceback(None)  # its frames hold the body, and this frame would hold them in a cycle
        except asyncio.CancelledError as raised:
            error, cancelled = stream.error or ShuttingDown(), raised
        finally:
            self._runtime.count(self._origin, error)
            log_stream(self._request, self._status(error), stream, error)
        await self._tell(stream, error)
        if cancelled is not None:
            raise cancelled

    async def _run(self, stream: Stream) -> StreamError | None:
        """Runs the stream in a place of its own. Raises what kept it from starting."""
        try:
            await self._begin(stream)
            with self._share():
                turn = self._runtime.places.ask(self._deadline)
                try:
                    if not turn.done():
                        await self._wait(turn)
                    return await self._run_in_place(stream)
                finally:
                    self._runtime.places.give_back(turn)
        finally:
            self._incoming.close()

    async def _run_in_place(self, stream: Stream) -> StreamError | None:
        arguments = await self._in_time(self._arguments(stream))
        self._incoming.watch(lambda: stream.cancel(self._why_gone()))
        with self._alive(stream), answering(self._context(stream)):
            return await self._work(stream, arguments)

    async def _wait(self, turn: Turn) -> None:
        """Waits in the queue. A client that leaves it gives up its turn at once."""

        def gone() -> None:
            if not turn.done():
                turn.set_exception(ClientGone())

        self._incoming.watch(gone)
        clock = self._runtime.clock
        since = clock()
        try:
            await self._in_time(turn)
        finally:
            self._runtime.metrics.queue_wait.observe(clock() - since)

    async def _in_time(self, work: Awaitable[T]) -> T:
        """What the work gives; raises DeadlineExceeded when it is not through at the deadline."""
        if self._deadline is None:
            return await work
        try:
            async with asyncio.timeout(self._deadline - self._runtime.clock()):
                return await work
        except TimeoutError:
            raise DeadlineExceeded from None

    def _context(self, stream: Stream) -> Request:
        return Request(
            request_id=self._request.id, headers=self._request.headers, deadline=self._deadline, stream=stream
        )
