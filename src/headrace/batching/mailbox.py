"""What one member of a running batch was sent and its caller has not read yet.

Both sides are on the event loop. The one that puts never waits for the one that takes; who is too far behind is for
others to say, who are told when a reader takes from a mailbox that they watch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

I = TypeVar("I")  # noqa: E741

AHEAD = 256
"""Items that a caller may be behind; then its member is paused."""


class Mailbox(Generic[I]):
    """The items of one member, between the function that sends them and the caller that reads them.

    Args:
        stir: called when the caller left, on any thread, or took from a mailbox that is watched.

    Attributes:
        left: the caller reads no more.
        ended: no more comes; `error` says why, None: the member was finished.
        watched: somebody wants to know that the reader takes.
    """

    __slots__ = ("_pull", "_stir", "_waiter", "ended", "error", "items", "left", "watched")

    def __init__(self, stir: Callable[[], None]) -> None:
        self.items: deque[I] = deque()
        self.left = False
        self.ended = False
        self.error: BaseException | None = None
        self.watched = False
        self._stir: Callable[[], None] | None = stir
        self._waiter: asyncio.Future[None] | None = None
        self._pull: Callable[[], None] | None = None

    @property
    def paused(self) -> bool:
        """Whether the caller is too far behind."""
        return len(self.items) >= AHEAD

    def leave(self) -> None:
        """The caller reads no more. For any thread, also while its garbage is collected."""
        stir, self._stir = self._stir, None  # it knows the member, which knows this mailbox
        self.left = True
        if stir is not None:
            stir()

    def note(self) -> None:
        """The reader took an item while it was watched."""
        if self._stir is not None:
            self._stir()

    def end(self, error: BaseException | None) -> None:
        """No more items come."""
        self.ended, self.error, self._stir = True, error, None
        self.wake()

    def news(self) -> asyncio.Future[None]:
        """Done when something was put, or it has ended.

        Raises:
            RuntimeError: another task waits already.
        """
        self._check_free()
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def attach(self, pull: Callable[[], None]) -> None:
        """From now on `pull` is called when something was put, or it has ended: no reader is woken for that.

        Raises:
            RuntimeError: another task reads already.
        """
        self._check_free()
        self._pull = pull

    def detach(self) -> None:
        """Readers are woken again."""
        self._pull = None

    def _check_free(self) -> None:
        if self._pull is not None or (self._waiter is not None and not self._waiter.done()):
            raise RuntimeError("another task is reading this call already")

    def wake(self) -> None:
        """The reader looks again, if it waits."""
        if self._pull is not None:
            self._pull()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
