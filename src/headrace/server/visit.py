"""One request inside a mounted application: whose methods its routes call, and what is closed when it is over.

Starlette iterates the body of a streaming response, and closes neither the generator behind it when the client leaves
nor, if that is a sync one, the iterator on its worker thread. So every generator that a route hands out is noted here,
and closed after the application is through with the request, however that came about.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

from starlette.concurrency import iterate_in_threadpool

from headrace.errors import Cancelled

logger = logging.getLogger("headrace.server")


class Visit:
    """What the routes that answer one request share.

    Args:
        service: the instance whose methods they are.
    """

    def __init__(self, service: object) -> None:
        self.service = service
        self._opened: list[SyncSource | AsyncGenerator[Any, Any]] = []

    @contextlib.asynccontextmanager
    async def under_way(self) -> AsyncIterator[None]:
        """Is the current visit inside the block. At its end closes what was kept; what that raises is logged."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)
            await self._close()

    def keep_body(self, response: Any) -> None:
        """Notes the generator behind a streaming response; anything else is let be."""
        body = getattr(response, "body_iterator", None)
        if isinstance(body, AsyncGenerator):
            on_thread = _iterated_on_a_thread(body)
            kept = self.keep(body if on_thread is None else iter(on_thread))
            response.body_iterator = kept if on_thread is None else iterate_in_threadpool(kept)

    def keep(self, source: Any) -> Any:
        """Notes a generator. What is returned is to be iterated in its place."""
        kept = source if isinstance(source, AsyncGenerator) else SyncSource(source)
        self._opened.append(kept)
        return kept

    async def _close(self) -> None:
        interrupted: asyncio.CancelledError | None = None
        while self._opened:
            source = self._opened.pop()
            try:
                if isinstance(source, SyncSource):
                    await asyncio.to_thread(source.close)
                else:
                    await source.aclose()
            except asyncio.CancelledError as error:  # the others are closed all the same
                interrupted = error
            except Exception:
                logger.exception("the cleanup of a generator raised after its request")
        if interrupted is not None:
            raise interrupted


_current: ContextVar[Visit] = ContextVar("headrace_visit")


def current_visit() -> Visit | None:
    """The visit of the running code; None outside of one."""
    return _current.get(None)


class SyncSource:
    """A sync iterator that is closed as soon as nobody is inside of it.

    `close` comes from another thread than the values do. Where one is being made just then, the thread that makes it
    closes the iterator when it is through.
    """

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._guard = threading.Lock()  # of the two below
        self._inside = False
        self._stopped = False

    def __iter__(self) -> SyncSource:
        return self

    def __next__(self) -> Any:
        """The next value.

        Raises:
            Cancelled: after `close`. It must not look like an end.
        """
        with self._guard:
            if self._stopped:
                raise Cancelled
            self._inside = True
        try:
            return next(self._source)
        finally:
            with self._guard:
                self._inside = False
                stopped = self._stopped
            if stopped:
                self._close()

    def close(self) -> None:
        """Closes the iterator, now or as soon as its thread is through."""
        with self._guard:
            self._stopped = True
            inside = self._inside
        if not inside:
            self._close()

    def _close(self) -> None:
        close = getattr(self._source, "close", None)
        if close is not None:
            close()


def _iterated_on_a_thread(source: Any) -> Any:
    """What Starlette's `iterate_in_threadpool` has been given; None for any other generator, or one that has begun."""
    if getattr(source, "ag_code", None) is not iterate_in_threadpool.__code__ or source.ag_frame is None:
        return None
    return source.ag_frame.f_locals.get("iterator")
