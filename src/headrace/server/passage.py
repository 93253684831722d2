"""Where the messages of a mounted application leave: an outlet (`streams.outlet.Outlet`) that passes them on in place.

Nothing gathers here, so the application waits for its own client, message by message. Only the head of a response is
held back until the body begins: what fails before that is told by a status, as it is of endpoints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Message

from headrace.errors import ClientGone

PassOn = Callable[[Message], Awaitable[None]]
"""Sends one ASGI message; raises ClientGone where nobody takes it."""


class Passage:
    """One exchange's `send`. Belongs to one event loop."""

    ahead = 1
    buffered = 0
    on_failure: Callable[[Exception], None] | None = None

    def __init__(self, pass_on: PassOn) -> None:
        self.written_at = 0.0
        self.largest_gap: float | None = None
        self.torn = False
        self._pass_on = pass_on
        self._held: Message | None = None
        self._order = asyncio.Lock()
        self._writing = False
        self._through: asyncio.Future[None] | None = None  # somebody waits for the write under way
        self._beat: asyncio.Task[None] | None = None
        self._items_at: float | None = None  # when the last item was through

    def hold(self, head: Message) -> None:
        """Keeps the head of a response until the first `put`, or `beat`."""
        self._held = head

    @property
    def writing(self) -> bool:
        """See `Outlet.writing`."""
        return self._writing

    @property
    def paused(self) -> bool:
        """See `Outlet.paused`."""
        return self.writing

    async def put_message(self, message: Message, *, item: bool) -> None:
        """Passes a message on, after the head.

        Args:
            message: what ASGI calls an event.
            item: whether its silence before and after is measured.

        Raises:
            ClientGone: nobody takes it.
        """
        async with self._order:
            loop = asyncio.get_running_loop()
            if item and self._items_at is not None:
                self.largest_gap = max(self.largest_gap or 0.0, loop.time() - self._items_at)
            held, self._held = self._held, None
            self._writing = True
            try:
                for each in (held, message):
                    if each is not None:
                        await self._pass_on(each)
            except BaseException:
                self.torn = True
                raise
            finally:
                self._writing = False
                if self._through is not None:
                    self._through.set_result(None)
                    self._through = None
                self.written_at = loop.time()
                if item:
                    self._items_at = self.written_at

    def beat(self, record: Any) -> None:
        """Sends the head that is held; there is no other sign of life that an application's body could carry."""
        if self._held is not None and self._beat is None:
            self._beat = asyncio.get_running_loop().create_task(self._send_head())

    async def _send_head(self) -> None:
        async with self._order:
            held, self._held = self._held, None
            if held is not None:
                try:
                    await self._pass_on(held)
                except ClientGone as error:
                    self.torn = True
                    if self.on_failure is not None:
                        self.on_failure(error)

    def drop(self) -> None:
        """Gives up the head that is held. A write under way is the application's own and ends with it."""
        self._held = None
        if self._beat is not None:
            self._beat.cancel()

    def written(self) -> asyncio.Future[None]:
        """See `Outlet.written`."""
        assert self._writing, "ask only while `writing`"
        if self._through is None:
            self._through = asyncio.get_running_loop().create_future()
        return self._through

    def weigh(self, record: Any) -> int:
        """See `Outlet.weigh`."""
        return 1

    def put(self, record: Any) -> Awaitable[None] | None:
        """See `Outlet.put`."""
        return self.put_message(record, item=True)

    def put_all(self, records: list[Any]) -> Awaitable[None] | None:
        """See `Outlet.put_all`."""
        raise AssertionError("an application sends one message at a time")

    async def flush(self) -> None:
        """Whatever was put is written."""

    async def finish(self, record: Any) -> None:
        """The application has told its own ending."""
