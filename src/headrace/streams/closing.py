"""Closes iterators when they are left, wherever they stand, and keeps what their cleanup raises from hiding why.

An iterator that fails, or whose values do, is left with that failure: what its cleanup raises on top is logged. One
that is merely stopped has nothing to hide, so there the cleanup's exception is raised. Iterators without a `close` need
none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

logger = logging.getLogger("headrace.streams")


class Closing:
    """Calls `source.close()` at the end of a `with` block."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, cause: BaseException | None, __: object) -> None:
        close = getattr(self._source, "close", None)
        if close is None:
            return
        try:
            close()
        except BaseException as error:
            if not isinstance(cause, Exception):
                raise
            _log(self._source, error)


class AsyncClosing:
    """Calls `source.aclose()` at the end of an `async with` block."""

    def __init__(self, source: AsyncIterator[Any]) -> None:
        self._source = source

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, _: object, cause: BaseException | None, __: object) -> None:
        close = getattr(self._source, "aclose", None)
        if close is None:
            return
        try:
            await close()
        except asyncio.CancelledError:
            if not isinstance(cause, Exception):
                raise
        except BaseException as error:
            if not isinstance(cause, Exception):
                raise
            _log(self._source, error)


def _log(source: object, error: BaseException) -> None:
    name = getattr(source, "__qualname__", type(source).__qualname__)
    logger.error("the cleanup of %s raised after a failure", name, exc_info=error)
