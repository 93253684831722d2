"""The request that the running code answers: `from headrace import context`.

    context.request_id      the client's X-Request-Id, or one made for it
    context.stream_id       what DELETE /streams/{id} takes
    context.headers         the request's headers, names in lower case
    context.deadline        when the answer must be complete, in `time.monotonic()` seconds; None: never. It is the
                            earlier one of the endpoint's `timeout` and the client's `Headrace-Timeout`
    context.remaining       seconds left until then; None: no deadline
    context.cancelled       true from the moment nobody waits for the answer any more

It is there in endpoints, in whatever they call, and in the worker threads of sync endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError

if TYPE_CHECKING:  # every `import headrace` comes by here, and a stream needs pydantic
    from headrace.streams.stream import Stream


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as the user's code may see it."""

    request_id: str
    headers: Mapping[str, str]
    deadline: float | None
    stream: Stream  # the one that the running code makes

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, never below 0; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - self.stream.clock())


_current: ContextVar[Request] = ContextVar("headrace_request")


def current() -> Request | None:
    """The request that the running code answers; None outside of one."""
    return _current.get(None)


class NoRequest(HeadraceError):
    """`context` was read where no request is being answered."""


def answering(request: Request) -> AbstractContextManager[None]:
    """Makes `request` the current one inside the block."""
    return _Answering(request)


class _Answering(AbstractContextManager[None]):
    """Not a generator: every request enters one."""

    __slots__ = ("_request", "_token")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._token: Token[Request] | None = None

    def __enter__(self) -> None:
        self._token = _current.set(self._request)

    def __exit__(self, *_: object) -> None:
        assert self._token is not None, "the block was entered"
        _current.reset(self._token)


class Context:
    """Reads the current request; see the head of this file. Every attribute raises `NoRequest` outside of one."""

    @property
    def _request(self) -> Request:
        try:
            return _current.get()
        except LookupError:
            raise NoRequest(
                "context is read outside a request: it is there in endpoints and in what they call, not in __init__"
            ) from None

    @property
    def request_id(self) -> str:
        """The client's `X-Request-Id`, or one made for it."""
        return self._request.request_id

    @property
    def stream_id(self) -> str:
        """What `DELETE /streams/{id}` takes."""
        return self._request.stream.id

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers, names in lower case; repeated ones joined with commas."""
        return self._request.headers

    @property
    def deadline(self) -> float | None:
        """When the answer must be complete, in `time.monotonic()` seconds."""
        return self._request.deadline

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, never below 0; None without a deadline."""
        return self._request.remaining

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more. For long steps in sync code; async code is interrupted."""
        return self._request.stream.cancelled


context = Context()
