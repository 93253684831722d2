"""One HTTP request to a mounted application: a stream like any other, whose code is the application's.

It holds a place, has an id, a deadline and a line in the log, is stopped when its client leaves, and is told with a cut
connection when it breaks off. What the application answers passes unchanged; only the head gets two names, and waits
for the body to begin. A whole 500 waits for the application to return, because frameworks send one before they raise:
an error of headrace's tree is then told with its own status instead.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from headrace.errors import BodyTooLarge, ClientGone, HeadraceError, StreamError
from headrace.server.exchange import Share
from headrace.server.http import HttpAnswer
from headrace.server.inbox import Inbox
from headrace.server.passage import Passage
from headrace.server.request import HttpRequest
from headrace.server.response import Response
from headrace.server.visit import Visit
from headrace.services.mounts import MountDefinition
from headrace.services.runtime import Runtime
from headrace.streams.outlet import Outlet
from headrace.streams.recorder import Recorder
from headrace.streams.stream import Stream

_OF_A_PARENT = frozenset({"router", "fastapi", "path_params"})
"""What a parent's framework keeps in a scope and the application's would take for its own."""

FAILED = 500


class Unfinished(HeadraceError):
    """An application returned before its response was complete."""


class AppExchange(HttpAnswer):
    """One request and its response.

    Args:
        mount: covers the path.
        scope: what the server gave; stays as it is.
        receive: nobody else may read it.
        response: nothing of it was sent yet.
        key: the hash of the request's key; "" on an open server.
        share: see `exchange.Share`.

    Raises:
        RequestError: refused by its head; nothing was sent or counted.
    """

    def __init__(
        self,
        runtime: Runtime,
        mount: MountDefinition,
        request: HttpRequest,
        scope: Scope,
        receive: Receive,
        response: Response,
        key: str = "",
        share: Share = contextlib.nullcontext,
    ) -> None:
        limit = runtime.settings.max_body
        if request.content_length > limit:
            raise BodyTooLarge(f"the body is {request.content_length} bytes and this server takes {limit}")
        deadline = mount.timeouts.deadline(runtime.clock(), request.timeout)
        inbox = Inbox(receive, runtime.settings.body_timeout, request.connection)
        super().__init__(runtime, mount, request, inbox, response, share, deadline)
        self._mount = mount
        self._scope = app_scope(scope, request, mount, runtime.state(mount))
        self._key = key
        self._passage = Passage(response.pass_on)
        self._stream = runtime.pass_on(mount, self._passage, key)
        self._intake = Intake(inbox, limit, self._stream.cancel)
        self._status_held = 0  # of the head that the application has made
        self._failure: Message | None = None  # the body of a whole 500
        self._complete_response = False

    async def answer(self) -> None:
        """Answers the request, or fails visibly; see `HttpExchange.answer`."""
        await self._complete(self._stream)

    async def _begin(self, stream: Stream) -> None:
        pass

    async def _arguments(self, stream: Stream) -> Mapping[str, Any]:
        return {}  # the application reads the body itself

    async def _work(self, stream: Stream, arguments: Mapping[str, Any]) -> StreamError | None:
        return await self._runtime.drive(stream, self._mount, self._drive, self._deadline)

    async def _drive(self, recorder: Recorder, outlet: Outlet) -> None:
        async def send(message: Message) -> None:
            await self._send(recorder, message)

        try:
            async with Visit(self._runtime.instance).under_way():
                await self._mount.app(self._scope, self._intake.receive, send)
        except StreamError:
            raise
        except (ClientDisconnect, ConnectionAbortedError) as error:
            raise ClientGone from error
        except Exception:
            await self._tell_failure()
            raise
        await self._tell_failure()
        if not (self._complete_response or self._stream.cancelled):
            raise Unfinished(f"{self._mount.label} returned without a whole response")

    async def _send(self, recorder: Recorder, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status_held = message["status"]
            self._passage.hold(named(message, self._request, self._stream))
        elif message["type"] != "http.response.body":
            await self._pass_on(message)
        elif message.get("more_body", False):
            if message.get("body"):
                recorder.record(message["body"])
                await self._pass_on(message, item=True)
        elif self._status_held == FAILED and recorder.items == 0:
            recorder.record(message.get("body", b""))
            self._failure = message
        else:
            if message.get("body"):
                recorder.record(message["body"])
            await self._end(message)

    async def _end(self, message: Message) -> None:
        """The last message. From here on the client may leave: what the application still does is its own."""
        self._incoming.watch(lambda: None)
        await self._pass_on(message, item=True)
        self._complete_response = True
        self._intake.close()  # not before: frameworks cancel what they send when they hear of the end

    async def _tell_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            await self._end(failure)

    async def _pass_on(self, message: Message, *, item: bool = False) -> None:
        try:
            await self._passage.put_message(message, item=item)
        except ClientGone as error:
            raise ConnectionAbortedError("the client is gone") from error  # what ASGI has an application expect

    async def _tell(self, stream: Stream, error: StreamError | None) -> None:
        if not self._complete_response:
            await super()._tell(stream, error)


class Intake:
    """The application's `receive`.

    Args:
        inbox: the exchange's.
        limit: bytes of a body.
        refuse: stops the request, with a reason, in the place of an answer that never comes.
    """

    def __init__(self, inbox: Inbox, limit: int, refuse: Callable[[StreamError], None]) -> None:
        self._inbox = inbox
        self._chunks = inbox.chunks()
        self._left = limit
        self._refuse = refuse
        self._reading = asyncio.Lock()  # frameworks read, and listen for the end, at the same time
        self._whole = False
        self._closed = asyncio.Event()

    def close(self) -> None:
        """The response is complete: whoever listens is told so."""
        self._closed.set()

    async def receive(self) -> Message:
        """The next part of the body; after the last one, the end of the exchange."""
        async with self._reading:
            if not self._whole:
                return await self._next()
        await self._closed.wait()
        return {"type": "http.disconnect"}

    async def _next(self) -> Message:
        try:
            chunk = await anext(self._chunks, None)
            self._left -= len(chunk or b"")
            if self._left < 0:
                raise BodyTooLarge("the body is larger than this server takes")
        except ClientGone:
            return {"type": "http.disconnect"}
        except StreamError as error:
            self._refuse(error)
            await self._closed.wait()  # until the application is cancelled
            return {"type": "http.disconnect"}
        self._whole = chunk is None
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}


def app_scope(scope: Scope, request: HttpRequest, mount: MountDefinition, state: Mapping[str, Any]) -> Scope:
    """The scope of a mounted application: its own root, its own state, and nothing of a framework around headrace."""
    return {
        **{name: value for name, value in scope.items() if name not in _OF_A_PARENT},
        "path": request.root_path + request.path,
        "root_path": request.root_path + mount.path,
        "state": {**scope.get("state", {}), **state},
    }


def named(message: Message, request: HttpRequest, stream: Stream) -> Message:
    """The head of a response, or the acceptance of a WebSocket, with the ids of the request and of the stream."""
    headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
    given = {name.lower() for name, _ in headers}
    ids = {b"x-request-id": request.id, b"headrace-stream-id": stream.id}
    added = [(name, value.encode("latin-1")) for name, value in ids.items() if name not in given]
    return {**message, "headers": [*headers, *added]}
