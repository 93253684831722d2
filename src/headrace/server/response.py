"""The sending side of one HTTP exchange: the head, once, when the first event decides the status; then the body.

Errors that come before it are problem documents (RFC 9457), or what the API that the endpoint speaks has for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from starlette.types import Message, Send

from headrace.errors import ClientGone, HeadraceError, InternalError, StreamError
from headrace.services.refusals import shortened
from headrace.wire.dialect import Dialect, Refusal
from headrace.wire.problem import MEDIA_TYPE, problem

DETAIL_CHARACTERS = 2000
MEMBERS_BYTES = 16 * 1024
"""A problem document above this goes without the members that its error adds."""

CUT_GRACE = 1.0
"""Seconds that a cut waits for a client that does not read."""

FRAMING = frozenset({"connection", "content-length", "content-type", "transfer-encoding", "x-request-id"})
"""Headers that an error cannot choose."""

logger = logging.getLogger("headrace.server")


class ResponseAborted(HeadraceError):
    """Raised out of the ASGI application to make the server cut the connection without the final chunk.

    A stream whose format cannot tell a failure must not end cleanly after one. This is the way that every ASGI server
    understands; our own server logs nothing for it, since the stream's log line already says why.
    """


class Response:
    """One HTTP response; a `Sink` for streams, and the place where problems become responses.

    Args:
        send: the ASGI exchange's.
        request_id: for the head.
        write_part: see `Connection.part_writer`.
        bundled: see `Connection.bundler`.

    `status` is None until the head is sent. `dialect` tells the errors where there is one.
    """

    def __init__(
        self,
        send: Send,
        request_id: str,
        write_part: Callable[[bytes], bool] | None = None,
        bundled: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._send = send
        self._write_part = write_part
        self._bundled = bundled
        self._request_id = request_id
        self._content_type = ""
        self._headers: Callable[[], Mapping[str, str]] = dict
        self.status: int | None = None
        self.dialect: Dialect | None = None

    def prepare(self, content_type: str, headers: Callable[[], Mapping[str, str]]) -> None:
        """What the head will be when the stream's first record, or its end, comes.

        `headers` is called when the head is sent, so that it can carry timings.
        """
        self._content_type = content_type
        self._headers = headers

    def try_write(self, records: list[bytes]) -> bool:
        """See `Sink.try_write`."""
        return self._write_part is not None and self.status is not None and self._write_part(b"".join(records))

    async def write(self, records: list[bytes]) -> None:
        """See `Sink.write`."""
        await self._send_body(b"".join(records), more=True)

    async def finish(self, records: list[bytes]) -> None:
        """See `Sink.finish`."""
        await self._send_body(b"".join(records), more=False)

    async def pass_on(self, message: Message) -> None:
        """Sends a message that somebody else has made."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._message(message)

    async def document(self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] = {}) -> None:
        """A whole response at once."""
        self.prepare(content_type, lambda: headers)
        await self._send_body(body, more=False, status=status)

    async def empty(self) -> None:
        """Done, and nothing to say: 204, which has neither a body nor the headers of one."""
        self.status = 204
        await self._head(204, {"x-request-id": self._request_id})
        await self._message({"type": "http.response.body", "body": b"", "more_body": False})

    async def problem(self, error: StreamError, *, stream_id: str = "") -> None:
        """An error as a whole response."""
        refusal = self.refusal(error, stream_id)
        await self.document(refusal.status, refusal.body, refusal.content_type, refusal.headers)

    def refusal(self, error: StreamError, stream_id: str = "") -> Refusal:
        """How an error is told before the head: by the dialect, or by a problem document."""
        if self.dialect is not None:
            try:
                return _in_dialect(self.dialect, error, self._request_id)
            except Exception:  # the user's own code: anything can come out
                logger.exception("%s cannot tell %s", type(self.dialect).__qualname__, type(error).__qualname__)
                self.dialect = None
        try:
            return _in_problem(error, stream_id)
        except Exception:  # a class of the user's own that cannot be read
            logger.exception("%s cannot be told to a client", type(error).__qualname__)
            return _in_problem(InternalError(), stream_id)

    async def cut(self) -> None:
        """Comes before an exception that leaves the application when the head is out.

        Every server breaks off then. But a middleware that copies the response into one of its own, as Starlette's
        BaseHTTPMiddleware does, first ends that one cleanly. It cannot pass on a message that ASGI does not know, and
        raises in its turn; servers refuse such a message as well.
        """
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CUT_GRACE):
                await self._send({"type": "http.response.aborted"})

    async def _send_body(self, body: bytes, *, more: bool, status: int = 200) -> None:
        """A part of the body; the head comes before the first one, in the same write where that can be."""
        if self.status is not None:
            await self._part(body, more=more)
            return
        with self._bundled():
            await self._start(status, None if more else len(body))
            await self._part(body, more=more)

    async def _part(self, body: bytes, *, more: bool) -> None:
        if body or not more:
            await self._message({"type": "http.response.body", "body": body, "more_body": more})

    async def _start(self, status: int, length: int | None) -> None:
        self.status = status
        headers = {"content-type": self._content_type, "x-request-id": self._request_id, **self._headers()}
        self._headers = dict  # they are asked once, and hold the stream, which holds this response
        if length is not None:
            headers["content-length"] = str(length)
        await self._head(status, headers)

    async def _head(self, status: int, headers: Mapping[str, str]) -> None:
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._message({"type": "http.response.start", "status": status, "headers": encoded})

    async def _message(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError as error:  # ASGI says: a send to a closed connection raises a subclass of OSError
            raise ClientGone from error


def _in_dialect(dialect: Dialect, error: StreamError, request_id: str) -> Refusal:
    told = dialect.refusal(error, request_id)
    headers = {**error_headers(error), **error_headers(told)}
    return Refusal(status_of(told), bytes(told.body), told.content_type, headers)


def _in_problem(error: StreamError, stream_id: str) -> Refusal:
    return Refusal(status_of(error), problem_body(error, stream_id), MEDIA_TYPE, error_headers(error))


def status_of(error: StreamError | Refusal) -> int:
    """The status that tells a failure: 500 where a class of the user's own says what no failure can have."""
    status: object = error.status
    return int(status) if isinstance(status, int) and 400 <= status <= 599 else 500


def problem_body(error: StreamError, stream_id: str = "") -> bytes:
    """The problem document of an error: valid JSON and not large, whatever its message and members are."""
    document = problem(error, stream_id=stream_id)
    document |= {"status": status_of(error), "detail": shortened(document["detail"], DETAIL_CHARACTERS)}
    with contextlib.suppress(Exception):  # members of the user's own: values that are no JSON, or print themselves
        if len(body := _json(document)) <= MEMBERS_BYTES:
            return body
    return _json({name: value for name, value in document.items() if name in _STANDARD})


def error_headers(error: StreamError | Refusal) -> dict[str, str]:
    """The headers that an error adds. Those that HTTP cannot carry (RFC 9110, section 5.5) are left out."""
    headers = {str(name).lower(): str(value) for name, value in error.headers.items()}
    return {
        name: value
        for name, value in headers.items()
        if name not in FRAMING and _TOKEN.fullmatch(name) and _VALUE.fullmatch(value)
    }


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, default=str).encode("utf-8", "replace")


_STANDARD = frozenset(problem(InternalError()))
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
