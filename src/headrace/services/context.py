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

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from headrace.errors import HeadraceError


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as the user's code may see it."""

    request_id: str
    stream_id: str
    headers: Mapping[str, str]
    deadline: float | None
    is_cancelled: Callable[[], bool]


_current: ContextVar[Request] = ContextVar("headrace_request")


class NoRequest(HeadraceError):
    """`context` was read where no request is being answered."""


@contextmanager
def answering(request: Request) -> Iterator[None]:
    """Makes `request` the current one inside the block."""
    token = _current.set(request)
    try:
        yield
    finally:
        _current.reset(token)


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
        return self._request.stream_id

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
        deadline = self._request.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more. For long steps in sync code; async code is interrupted."""
        return self._request.is_cancelled()


context = Context()
