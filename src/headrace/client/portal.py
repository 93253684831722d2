"""An async transport for code without an event loop: it runs on a loop in a thread of its own."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import anyio.to_thread
import httpx2
from anyio.from_thread import BlockingPortal

T = TypeVar("T")


class LoopThread:
    """An event loop on a thread of its own. It starts when it is first needed, and ends with `close`.

    A program that forgets to close its client ends nevertheless.
    """

    def __init__(self) -> None:
        self._portal: BlockingPortal | None = None
        self._thread: threading.Thread
        self._starting = threading.Lock()

    def started(self) -> BlockingPortal:
        """The way to the loop, which runs from now on."""
        with self._starting:
            if self._portal is None:
                ready: concurrent.futures.Future[BlockingPortal] = concurrent.futures.Future()
                self._thread = threading.Thread(
                    target=anyio.run, args=(_serve, ready), name="headrace-loop", daemon=True
                )
                self._thread.start()
                self._portal = ready.result()
            return self._portal

    def call(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> Any:
        """What the coroutine function gives on the loop; see `Call.result`."""
        return Call(self.started(), function, *arguments).result()

    def close(self, last: Callable[[], Awaitable[None]]) -> None:
        """Ends the thread, after `last` ran on it. Does nothing where it did not start."""
        with self._starting:
            portal, self._portal = self._portal, None
        if portal is not None:
            try:
                Call(portal, last).result()
            finally:
                portal.call(portal.stop, True)
                self._thread.join()


async def _serve(ready: concurrent.futures.Future[BlockingPortal]) -> None:
    async with BlockingPortal() as portal:
        ready.set_result(portal)
        await portal.sleep_until_stopped()


class PortalTransport(httpx2.BaseTransport):
    """Hands requests to another transport, `inner`, whose loop runs on `thread`."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self.inner = transport
        self.thread = LoopThread()

    def __enter__(self) -> Self:
        self.thread.call(self.inner.__aenter__)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Returns with the head of the response."""
        assert isinstance(request.stream, httpx2.SyncByteStream)
        portal = self.thread.started()
        sent = httpx2.Request(
            request.method,
            request.url,
            headers=request.headers.raw,
            stream=_Upload(request.stream),
            extensions=request.extensions,
        )
        response = Call(portal, self.inner.handle_async_request, sent).result()
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        body = Body(portal, response.stream)
        return httpx2.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=body,
            extensions={**response.extensions, "network_stream": body},
        )

    def close(self) -> None:
        """Closes the transport, and ends the thread."""
        self.thread.close(self.inner.aclose)


class Call:
    """A coroutine that runs on the loop, and whose result somebody here waits for."""

    def __init__(self, portal: BlockingPortal, function: Callable[..., Awaitable[T]], *arguments: Any) -> None:
        self._future: concurrent.futures.Future[Any] = portal.start_task_soon(function, *arguments)

    def result(self) -> Any:
        """Waits. Whoever is interrupted meanwhile, by Ctrl-C for instance, interrupts the coroutine as well."""
        try:
            return self._future.result()
        except concurrent.futures.CancelledError:
            raise httpx2.ReadError("interrupted") from None
        except BaseException:
            self.interrupt()
            raise

    def interrupt(self) -> None:
        """The coroutine is cancelled; may be called by any thread."""
        self._future.cancel()


class Body(httpx2.SyncByteStream):
    """The body of a response. To the watchdog it is what a socket is to it: something that can be shut down."""

    def __init__(self, portal: BlockingPortal, stream: httpx2.AsyncByteStream) -> None:
        self._portal = portal
        self._stream = stream
        self._call: Call | None = None
        self._shut = False

    def __iter__(self) -> Iterator[bytes]:
        pieces = aiter(self._stream)
        while not self._shut:
            self._call = Call(self._portal, _next, pieces)
            if self._shut:  # since before the call could be seen
                self._call.interrupt()
            piece = self._call.result()
            if piece is None:
                return
            yield piece
        raise httpx2.ReadError("interrupted")

    def close(self) -> None:
        """The application is told that its client left."""
        Call(self._portal, self._stream.aclose).result()

    def get_extra_info(self, name: str) -> Any:
        """See the HTTP library's network streams."""
        return self if name == "socket" else None

    def shutdown(self, how: int) -> None:
        """Interrupts the read that is under way, and all that come."""
        self._shut = True
        if self._call is not None:
            self._call.interrupt()


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


class _Upload(httpx2.AsyncByteStream):
    """A body of the caller's thread. Taking a piece of it may block, so the loop leaves that to another thread."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._pieces = iter(stream)

    def __aiter__(self) -> _Upload:
        return self

    async def __anext__(self) -> bytes:
        piece = await anyio.to_thread.run_sync(next, self._pieces, None, abandon_on_cancel=True)
        if piece is None:
            raise StopAsyncIteration
        return piece
