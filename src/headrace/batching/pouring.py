"""Gives what is put into a mailbox to a function in place, where a task would have to be woken for it otherwise.

Waking the task of each caller is the larger part of what a step of many slots costs the event loop. Where the function
has to wait, and at the end, the task is woken after all.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Generic, TypeVar

from headrace.batching.mailbox import Mailbox

I = TypeVar("I")  # noqa: E741


class Pouring(Generic[I]):
    """Between one mailbox and one function.

    Args:
        mailbox: nobody else reads it.
        take: called on the event loop, in the context in which `run` is awaited; what it returns, if anything, is
            awaited before it gets the next item.
    """

    __slots__ = ("_error", "_mailbox", "_rest", "_take", "_waiting")

    def __init__(self, mailbox: Mailbox[I], take: Callable[[I], Awaitable[None] | None]) -> None:
        self._mailbox = mailbox
        self._take = take
        self._waiting: Awaitable[None] | None = None
        self._error: BaseException | None = None
        self._rest: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # while nothing is to be awaited

    async def run(self) -> None:
        """Returns when the mailbox has ended and is empty, or was left.

        Raises:
            Exception: what `take` raised, or what it gave to be awaited.
            RuntimeError: another task reads already.
        """
        mailbox = self._mailbox
        context = contextvars.copy_context()
        mailbox.attach(partial(context.run, self._pull))
        try:
            while not (mailbox.left or (mailbox.ended and not mailbox.items)):
                self._pull()
                await self._rest
                self._rest = asyncio.get_running_loop().create_future()
                if self._error is not None:
                    raise self._error
                if self._waiting is not None:
                    waiting, self._waiting = self._waiting, None
                    await waiting
        finally:
            mailbox.detach()
            if isinstance(self._waiting, Coroutine):  # cancelled between the item and the waiting for it
                self._waiting.close()
            self._error = None  # its traceback knows this frame: they would keep each other alive

    def _pull(self) -> None:
        if self._rest.done():  # the task is at it
            return
        mailbox = self._mailbox
        items, take = mailbox.items, self._take
        try:
            while items and self._waiting is None and not mailbox.left:
                self._waiting = take(items.popleft())
                if mailbox.watched:
                    mailbox.note()
        except BaseException as error:  # raised where `run` is awaited
            self._error = error
        if self._error is not None or self._waiting is not None or mailbox.ended or mailbox.left:
            self._rest.set_result(None)
