"""The sending side of one HTTP exchange: the head, once, when the first event decides the status; then the body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from starlette.types import Send

from headrace.errors import ClientGone, HeadraceError, StreamError
from headrace.wire.problem import problem

PROBLEM = "application/problem+json"


class ResponseAborted(HeadraceError):
    """Raised out of the ASGI application to make the server cut the connection without the final chunk.

    A stream whose format cannot tell a failure must not end cleanly after one. This is the way that every ASGI server
    understands; our own server logs nothing for it, since the stream's log line already says why.
    """


class Response:
    """One HTTP response; a `Sink` for streams, and the place where problems become responses.

    `headers` is called when the head is sent, so that it can carry timings. It is used for the stream's own response
    only.
    """

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._content_type = ""
        self._headers: Callable[[], Mapping[str, str]] = dict
        self.status: int | None = None  # None: the head is not sent

    def prepare(self, content_type: str, headers: Callable[[], Mapping[str, str]]) -> None:
        """What the head will be when the stream's first record, or its end, comes."""
        self._content_type = content_type
        self._headers = headers

    async def write(self, records: list[bytes]) -> None:
        """See `Sink.write`."""
        await self._start()
        body = b"".join(records)
        if body:
            await self._message({"type": "http.response.body", "body": body, "more_body": True})

    async def finish(self, records: list[bytes]) -> None:
        """See `Sink.finish`."""
        body = b"".join(records)
        await self._start(length=len(body))
        await self._message({"type": "http.response.body", "body": body, "more_body": False})

    async def document(self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] = {}) -> None:
        """A whole response at once."""
        self._content_type = content_type
        self._headers = lambda: headers
        await self._start(status, len(body))
        await self._message({"type": "http.response.body", "body": body, "more_body": False})

    async def empty(self) -> None:
        """Done, and nothing to say: 204, which has neither a body nor the headers of one."""
        self.status = 204
        await self._head(204, {"x-request-id": self._request_id})
        await self._message({"type": "http.response.body", "body": b"", "more_body": False})

    async def problem(self, error: StreamError, *, stream_id: str = "") -> None:
        """An error as a status and a problem document (RFC 9457)."""
        document = problem(error, stream_id=stream_id)
        body = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        await self.document(error.status, body, PROBLEM, error.headers)

    async def _start(self, status: int = 200, length: int | None = None) -> None:
        if self.status is not None:
            return
        self.status = status
        headers = {"content-type": self._content_type, "x-request-id": self._request_id, **self._headers()}
        if length is not None:
            headers["content-length"] = str(length)
        await self._head(status, headers)

    async def _head(self, status: int, headers: Mapping[str, str]) -> None:
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._message({"type": "http.response.start", "status": status, "headers": encoded})

    async def _message(self, message: dict[str, object]) -> None:
        try:
            await self._send(message)
        except OSError as error:  # ASGI says: a send to a closed connection raises a subclass of OSError
            raise ClientGone from error
