"""Both directions at once, for code without an event loop: the async conversation, on a loop in a thread of its own.

One thread serves all conversations of a client, while theirs wait; so one thread can iterate while others send, which
a blocking socket that is written to and read from at the same time would make a deadlock of.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Self

import httpx2
from anyio.from_thread import BlockingPortal

from headrace.client.conversation import AsyncConversation
from headrace.client.dialogue import Dialogue
from headrace.client.portal import Call, LoopThread
from headrace.client.protocol import Reading, joined
from headrace.client.sockets import Sockets
from headrace.errors import ConnectionFailed


class Conversation(Reading):
    """One conversation; see `AsyncConversation`. One thread may iterate while others send."""

    def __init__(self, dialogue: Dialogue, sockets: Sockets, thread: LoopThread) -> None:
        super().__init__(dialogue)
        self._inner = AsyncConversation(dialogue, sockets)
        self._thread = thread
        self._portal: BlockingPortal | None = None
        self._items = dialogue.items

    def __enter__(self) -> Self:
        self._portal = self._thread.started()
        self._call(self._inner.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(ConnectionFailed):  # the client was closed, and with it all its connections
            self._call(self._inner.aclose)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._items and not self._call(self._inner.more):
            raise StopIteration
        return self._items.popleft()

    def send(self, item: Any) -> None:
        """See `AsyncConversation.send`."""
        self._call(self._inner.send, item)

    def finish_input(self) -> None:
        """See `AsyncConversation.finish_input`."""
        self._call(self._inner.finish_input)

    def collect(self) -> list[Any]:
        """All items that are still to come."""
        return list(self)

    def text(self) -> str:
        """The text of all items that are still to come; raises TypeError where they are none."""
        return joined(self.collect())

    def _call(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        if self._portal is None:
            raise RuntimeError(f"enter this conversation first: {Dialogue.entering}")
        try:
            call = Call(self._portal, function, *arguments)
        except RuntimeError as error:
            raise _closed() from error
        try:
            return call.result()
        except httpx2.ReadError as error:  # the call's own: what the conversation raises is of our tree
            raise _closed() from error


def _closed() -> ConnectionFailed:
    error = ConnectionFailed("the client of this conversation was closed")
    error.retryable = False
    return error
