"""Both directions at once, for async code: `async with client.connect(...)`. What it does stands in `dialogue`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import anyio

from headrace.client.dialogue import Dialogue, Unsaid
from headrace.client.drive import drive, limited
from headrace.client.protocol import Reading, joined
from headrace.client.sockets import Refused, Socket, Sockets
from headrace.client.steps import Close, Operation, Pause, Receive, Say, Send, Steps, T

CLOSES_WITHIN = 2.0
"""Seconds that closing a connection may take, also for a task that was cancelled."""


class AsyncConversation(Reading):
    """One conversation: a context manager, and inside its block an iterator over the items, and `send`.

    Entering returns once the server has accepted; where the client's `types` declare a header, once that is there.
    Leaving closes the connection, which stops the work. One task may iterate while others send. A task that is
    cancelled while it waits loses nothing, and the conversation goes on. See `Exchange` for the errors.
    """

    def __init__(self, dialogue: Dialogue, sockets: Sockets) -> None:
        super().__init__(dialogue)
        self._dialogue = dialogue
        self._driver = SocketDriver(sockets)
        self._items = dialogue.items
        self._turn = asyncio.Lock()  # who holds it reads

    async def __aenter__(self) -> Self:
        try:
            await self.open()
            if self._dialogue.begins_with_header:
                await self.begin()
        except BaseException:
            await self._driver.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if not await self.more():
            raise StopAsyncIteration
        return self._items.popleft()

    async def send(self, item: Any) -> None:
        """Sends one item of the endpoint's iterator: `bytes` as they are, all others as JSON.

        It waits while the connection takes no more, for the timeout `gap` at most.

        Raises:
            TypeError: the item cannot be sent.
            RuntimeError: after `finish_input`, or outside the block.
            StreamError: the stream's own failure; `ConnectionFailed` where it is complete.
        """
        if not await self._said(self._dialogue.say(item)):
            raise self._dialogue.over()

    async def finish_input(self) -> None:
        """Ends the endpoint's iterator; items can still come. Raises the stream's failure, where there is one."""
        await self._said(self._dialogue.finish_input())

    async def collect(self) -> list[Any]:
        """All items that are still to come."""
        return [item async for item in self]

    async def text(self) -> str:
        """The text of all items that are still to come; raises TypeError where they are none."""
        return joined(await self.collect())

    async def open(self) -> None:
        """Connects, and says the arguments."""
        await self._driver.run(self._dialogue.open())

    async def begin(self) -> None:
        """Waits for the header, or the first item where there is none."""
        async with self._turn:
            await self._driver.run(self._dialogue.begin())

    async def more(self) -> bool:
        """Waits until there are items; False at the end."""
        if self._items:
            return True
        if self._turn.locked():
            raise RuntimeError("this conversation is being read already; one task reads it, others may send")
        async with self._turn:
            return await self._driver.run(self._dialogue.more())

    async def aclose(self) -> None:
        """Closes the connection."""
        await self._driver.run(self._dialogue.close())

    async def _said(self, steps: Steps[None]) -> bool:
        """Whether it could be said; False where the stream is complete."""
        try:
            await self._driver.run(steps)
        except Unsaid:
            async with self._turn:  # whoever reads now reads to the end: the connection is closed
                await self._driver.run(self._dialogue.conclude())
            return False
        return True


class SocketDriver:
    """Carries out the operations of one conversation; those of saying and of reading at the same time."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._socket: Socket = Refused(b"")

    async def run(self, steps: Steps[T]) -> T:
        """Runs to the end of the steps."""
        return await drive(steps, self._perform)

    async def close(self) -> None:
        """Closes the connection, where there is one."""
        socket, self._socket = self._socket, Refused(b"")
        with anyio.move_on_after(CLOSES_WITHIN, shield=True):
            await socket.aclose()

    async def _perform(self, operation: Operation) -> Any:
        match operation:
            case Receive(within):
                return await limited(within, self._socket.receive())
            case Say(message, within):
                return await limited(within, self._socket.send(message))
            case Send():
                head, self._socket = await limited(operation.within, self._sockets.open(operation))
                return head
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Close():
                await self.close()
        return None
