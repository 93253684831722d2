"""One call in a batch: what the batch gives to it, until it ends.

A member ends once: with its answer or the end of its stream, with a failure, or because its caller left. Its batch is
never held up by a caller that does not read: what is not read is kept, up to a bound.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Protocol

from headrace.batching.mailbox import AHEAD, Mailbox
from headrace.errors import Cancelled, SlowReader, StreamError

AHEAD_OF_OTHERS = 64 * AHEAD
"""Items that may wait for a reader while others keep the batch going; one more, and it is given up."""

READ_TIMEOUT = 30.0
"""Seconds that a reader may be behind without taking an item."""


class Place(Protocol):
    """Where a member is: among those that wait, or in a batch that runs."""

    def left(self, member: Member) -> None:
        """The member's caller does not wait any more. Called once, on the event loop."""
        ...

    def has_room(self) -> None:
        """A reader that was behind has taken an item."""
        ...


class Member(ABC):
    """One call in a batch.

    Attributes:
        id: of its request, for logs; outside of a service a running number.
        values: of the parameters.
        loop: its caller's.
        since: when it came, by the clock of the loop.
        place: where it is.
        sent: items it was sent.
    """

    def __init__(self, id: str, values: tuple[Any, ...], loop: asyncio.AbstractEventLoop) -> None:
        self.id = id
        self.values = values
        self.loop = loop
        self.since = loop.time()
        self.place: Place | None = None
        self.sent = 0
        self._ended = False
        self._left = False

    def __repr__(self) -> str:
        return f"<member {self.id}{' (cancelled)' if self.cancelled else ''}>"

    @property
    def cancelled(self) -> bool:
        """Whether its caller has left: nobody sees what is still made for it."""
        return self._left

    @property
    def live(self) -> bool:
        """Whether it still takes items."""
        return not (self._ended or self.cancelled)

    @abstractmethod
    def send(self, value: Any) -> None:
        """Gives it an item, or its answer. It must be live, as for `finish` and `fail`."""

    @abstractmethod
    def finish(self) -> None:
        """There is nothing more for it."""

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """It ends with this error, raised after all that was sent before."""

    def leave(self) -> None:
        """Its caller does not wait any more; nothing, if it has ended. Called on the event loop."""
        if not (self._ended or self._left):
            self._left = True
            if self.place is not None:
                self.place.left(self)

    def cancel(self, cause: StreamError | None = None) -> None:
        """See `Child.cancel`: the request whose code waits here, on a thread, was stopped."""
        if self.live:
            self.fail(cause or Cancelled())
            self._left = True
            if self.place is not None:
                self.place.left(self)


class AnswerMember(Member):
    """A call that has one answer."""

    def __init__(self, id: str, values: tuple[Any, ...], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(id, values, loop)
        self.answer: asyncio.Future[Any] = loop.create_future()

    def send(self, value: Any) -> None:
        """See `Member.send`."""
        self._ended = True
        self.sent = 1
        if not self.answer.done():  # its caller may have been cancelled a moment ago, and not have run since
            self.answer.set_result(value)

    def finish(self) -> None:
        """See `Member.finish`; the answer was the end."""

    def fail(self, error: BaseException) -> None:
        """See `Member.fail`."""
        self._ended = True
        if not self.answer.done():
            self.answer.set_exception(error)


class StreamMember(Member):
    """A call that has a stream of items, which its reader takes from the mailbox.

    Attributes:
        trace: where its error was raised; the same error may end others, too, each of which raises it again.
    """

    def __init__(self, id: str, values: tuple[Any, ...], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(id, values, loop)
        self.trace: TracebackType | None = None
        self.mailbox: Mailbox[Any] = Mailbox(self._stir)
        self._read_at = self.since  # or when its reader fell behind

    @property
    def cancelled(self) -> bool:
        """See `Member.cancelled`."""
        return self._left or self.mailbox.left

    @property
    def behind(self) -> bool:
        """Whether its reader should take something before more is made."""
        return self.mailbox.watched

    @property
    def patience(self) -> float:
        """Seconds that a reader which is behind still has to take an item."""
        return self._read_at + READ_TIMEOUT - self.loop.time()

    def send(self, value: Any) -> None:
        """See `Member.send`."""
        mailbox = self.mailbox
        mailbox.items.append(value)
        self.sent += 1
        if mailbox.paused:
            self._press()
        mailbox.wake()

    def send_all(self, values: list[Any]) -> None:
        """Gives it several items; it must be live."""
        mailbox = self.mailbox
        mailbox.items += values
        self.sent += len(values)
        if mailbox.paused:
            self._press()
        mailbox.wake()

    def finish(self) -> None:
        """See `Member.finish`."""
        self._ended = True
        self.mailbox.end(None)

    def fail(self, error: BaseException) -> None:
        """See `Member.fail`."""
        self._ended = True
        self.trace = error.__traceback__
        self.mailbox.end(error)

    def give_up(self) -> None:
        """Its reader did not read for too long."""
        self.fail(SlowReader(f"{len(self.mailbox.items)} items wait, and none was read for {READ_TIMEOUT:g} s"))

    def _press(self) -> None:
        """One more item waits for a reader that is behind."""
        if not self.mailbox.watched:
            self.mailbox.watched = True
            self._read_at = self.loop.time()
        elif len(self.mailbox.items) > AHEAD_OF_OTHERS:
            self.fail(SlowReader(f"{AHEAD_OF_OTHERS} items wait, more than a batch keeps for one of its readers"))
        elif self.patience <= 0:
            self.give_up()

    def _stir(self) -> None:
        """The caller left, on any thread, or took an item while it was behind."""
        if not self.mailbox.left:
            self._catch_up()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the batch with it
            self.loop.call_soon_threadsafe(self.leave)

    def _catch_up(self) -> None:
        self._read_at = self.loop.time()
        if not self.mailbox.paused:
            self.mailbox.watched = False
            if self.place is not None:
                self.place.has_room()
