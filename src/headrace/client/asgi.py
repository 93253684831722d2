"""Talks to an ASGI application in the same process, as a server would: streaming both ways, and in bounded pieces.

An application that is ahead of its reader waits, one whose reader leaves is told `http.disconnect`, and one that raises
or returns before its last message has broken the body off: that is never a clean end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

import httpx2

from headrace.client.steps import SourceFailed
from headrace.errors import SetupError

Message: TypeAlias = MutableMapping[str, Any]
Receiving: TypeAlias = Callable[[], Awaitable[Message]]
Sending: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Any, Receiving, Sending], Awaitable[None]]

AHEAD = 64 * 1024
"""Bytes after which the application waits for its reader."""

GRACE = 1.0
"""Seconds that an application is given to notice that its client left."""

LIFESPAN = 60.0
"""Seconds that an application may take to start, and to stop."""


class Visit(Protocol):
    """One run of the application: a request, or a WebSocket."""

    async def run(self, app: App) -> None:
        """Runs the application."""

    def leave(self) -> None:
        """The application is told that its client left."""


class AsgiTransport(httpx2.AsyncBaseTransport):
    """The HTTP library's way to an application. Entering it starts the application, closing it stops it.

    An application that does not speak the lifespan protocol is taken as started. Without entering, it is not started.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lifespan: Lifespan | None = None
        self._running: dict[asyncio.Task[None], Visit] = {}

    @property
    def state(self) -> dict[str, Any]:
        """What the application's start left for the scope of each of its requests."""
        return {} if self._lifespan is None else {"state": dict(self._lifespan.state)}

    def begin(self, visit: Visit) -> None:
        """Runs the application for a visit, which is left when this is closed."""
        task = asyncio.get_running_loop().create_task(visit.run(self._app))
        self._running[task] = visit
        task.add_done_callback(self._running.pop)

    async def __aenter__(self) -> Self:
        """Raises SetupError when the application says that it cannot start."""
        lifespan = Lifespan(self._app)
        await lifespan.start()
        self._lifespan = lifespan
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Returns with the head of the response."""
        exchange = AsgiExchange(request, self.state)
        self.begin(exchange)
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("read")):
                await exchange.head()
        except TimeoutError:
            await exchange.aclose()
            raise httpx2.ReadTimeout("the application sent no head in time", request=request) from None
        except BaseException:
            await exchange.aclose()
            raise
        return httpx2.Response(exchange.status, headers=exchange.headers, stream=exchange)

    async def aclose(self) -> None:
        """Breaks off what still runs, and stops the application."""
        for visit in self._running.values():
            visit.leave()
        await _end(set(self._running))
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None:
            await lifespan.stop()


class AsgiExchange(httpx2.AsyncByteStream):
    """One request to the application; to its reader the body of the response."""

    def __init__(self, request: httpx2.Request, state: dict[str, Any]) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._scope = {**scope_of(request), **state}
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        self._upload = aiter(request.stream)
        self._uploaded = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._moved = asyncio.Event()  # something came, was taken, or is over
        self._complete = False
        self._left = False
        self._over = asyncio.Event()  # the response is complete, or its reader left
        self._error: Exception | None = None
        self._task: asyncio.Task[Any] | None = None

    async def run(self, app: App) -> None:
        """Runs the application; what it raises is for the reader."""
        self._task = asyncio.current_task()
        try:
            await app(self._scope, self._receive, self._send)
        except Exception as error:
            if not self._complete:
                self._error = self._error or error
        finally:
            if not self._complete and self._error is None:
                self._error = RuntimeError("the application returned before its response was complete")
            self._moved.set()

    async def head(self) -> None:
        """Waits for the head of the response."""
        while not self.status:
            self._raise_error()
            await self._move()

    def __aiter__(self) -> AsgiExchange:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._complete:
                raise StopAsyncIteration
            self._raise_error()
            await self._move()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._moved.set()
        return data

    async def aclose(self) -> None:
        """The reader leaves, and waits a little for the application to notice."""
        self.leave()
        if not self._complete and self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=GRACE)

    def leave(self) -> None:
        """The application is told that its client left."""
        self._left = True
        self._over.set()
        self._moved.set()

    async def _receive(self) -> Message:
        if self._uploaded:
            await self._over.wait()
            return {"type": "http.disconnect"}
        loop = asyncio.get_running_loop()
        piece, over = loop.create_task(self._piece()), loop.create_task(self._over.wait())
        try:
            await asyncio.wait({piece, over}, return_when=asyncio.FIRST_COMPLETED)
            if not piece.done():
                return {"type": "http.disconnect"}
            body = piece.result()
        except Exception as error:  # the caller's own, who gets it back; the application sees its client leave
            self._error = error
            self._uploaded = True
            self.leave()
            return {"type": "http.disconnect"}
        finally:
            piece.cancel()
            over.cancel()
        self._uploaded = body is None
        return {"type": "http.request", "body": body or b"", "more_body": body is not None}

    async def _piece(self) -> bytes | None:
        return await anext(self._upload, None)

    async def _send(self, message: Message) -> None:
        while self._size >= AHEAD and not self._left:
            await self._move()
        if self._left:
            raise ConnectionResetError("the client left")
        kind = message["type"]
        if kind == "http.response.start" and not self.status:
            self.status = message["status"]
            self.headers = list(message.get("headers", ()))
        elif kind == "http.response.body" and self.status and not self._complete:
            body = bytes(message.get("body", b""))
            if body:
                self._pieces.append(body)
                self._size += len(body)
            self._complete = not message.get("more_body", False)
            if self._complete:
                self._over.set()
        else:
            raise RuntimeError(f"the message {kind!r} is not expected here")
        self._moved.set()

    async def _move(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    def _raise_error(self) -> None:
        if self._error is None:
            return
        if isinstance(self._error, (httpx2.TransportError, SourceFailed)):
            raise self._error
        raise httpx2.ReadError(f"the application broke its response off: {self._error!r}") from self._error


class Lifespan:
    """The lifespan protocol (ASGI, version 2.0), from the server's side."""

    def __init__(self, app: App) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._inbox: asyncio.Queue[Message] = asyncio.Queue(2)
        self._answers: asyncio.Queue[Message] = asyncio.Queue(2)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises SetupError when the application says that it cannot start, or does not say anything for too long."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        answer = await self._ask("lifespan.startup")
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            await _end({self._task})
            raise SetupError(str(answer.get("message") or "the application could not start"))

    async def stop(self) -> None:
        """Waits until the application has stopped."""
        await self._ask("lifespan.shutdown")
        if self._task is not None:
            await _end({self._task})

    async def _run(self) -> None:
        # What speaks no lifespan protocol raises here. What fails in it has said so before, or logs it.
        with contextlib.suppress(Exception):
            scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
            await self._app(scope, self._inbox.get, self._answers.put)

    async def _ask(self, kind: str) -> Message | None:
        """The application's answer; None where it speaks no lifespan protocol, or not any more."""
        assert self._task is not None
        if self._task.done():
            return None
        self._inbox.put_nowait({"type": kind})
        answer = asyncio.get_running_loop().create_task(self._answers.get())
        done, _ = await asyncio.wait({answer, self._task}, timeout=LIFESPAN, return_when=asyncio.FIRST_COMPLETED)
        if answer in done:
            return answer.result()
        answer.cancel()
        if done:
            return None
        self._task.cancel()
        raise SetupError(f"the application did not answer {kind} within {LIFESPAN:g} s")


def scope_of(request: httpx2.Request) -> dict[str, Any]:
    """The scope of a request."""
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (url.host, url.port or (443 if url.scheme == "https" else 80)),
        "client": ("127.0.0.1", 0),
    }


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """Waits for the tasks, and cancels those that take too long."""
    if waiting := set(tasks):
        _, late = await asyncio.wait(waiting, timeout=GRACE)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=GRACE)
