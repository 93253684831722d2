"""The streams that one stream's code reads. They do not outlive it."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from headrace.errors import StreamError


class Child(Protocol):
    """A stream, as much of it as its parent needs."""

    def cancel(self, cause: StreamError | None = None) -> None:
        """Stops it with `cause` as its failure."""


class Children:
    """Streams with the tasks that run them, until they have ended."""

    def __init__(self) -> None:
        self._owners: dict[Child, asyncio.Task[Any]] = {}
        self._cause: StreamError | None = None
        self._closed = False

    def adopt(self, child: Child, owner: asyncio.Task[Any]) -> None:
        """Takes a stream that `owner` runs; it is stopped at once when these children were."""
        self._owners[child] = owner
        owner.add_done_callback(lambda _: self._owners.pop(child, None))
        if self._closed:
            child.cancel(self._cause)

    def cancel(self, cause: StreamError | None = None) -> None:
        """Stops all of them, and whatever is adopted later."""
        if not self._closed:
            self._closed, self._cause = True, cause
        for child in tuple(self._owners):
            child.cancel(self._cause)

    async def end(self, cause: StreamError | None = None) -> bool:
        """Stops all of them and waits for their ends; each has bounds of its own.

        Returns whether the waiting task was cancelled meanwhile; that does not shorten the wait.
        """
        self.cancel(cause)
        interrupted = False
        while running := [owner for owner in self._owners.values() if not owner.done()]:
            try:
                await asyncio.wait(running)
            except asyncio.CancelledError:
                interrupted = True
        return interrupted
