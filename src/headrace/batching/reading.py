"""What a call of a function with `@batch` gives to its caller, where the function streams."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, TypeVar

from headrace.batching.members import Member, StreamMember
from headrace.batching.reader import Reader
from headrace.streams.children import Children

T = TypeVar("T")


class StreamReader(Reader[T]):
    """The items of one member.

    Args:
        member: of the call.
        name: of the function.
        children: of the request whose code reads on a thread. None: it reads on the event loop, or has no request.
    """

    def __init__(self, member: StreamMember, name: str, children: Children | None = None) -> None:
        super().__init__(member.mailbox)
        self._member = member
        self._name = name
        self._children = children

    async def burst(self) -> list[T]:
        """See `Reader.burst`."""
        belong(self._member, self._children)
        return await super().burst()

    async def _refill(self) -> int:
        try:
            return await super()._refill()
        except Exception as error:
            if self._member.trace is not None:
                error.__traceback__, self._member.trace = self._member.trace, None
            raise

    def __await__(self) -> Generator[Any, None, Any]:
        """Raises TypeError (HR15)."""
        raise TypeError(f"HR15 {self._name} is a stream: read it with `async for`, instead of awaiting it")


def belong(member: Member, children: Children | None) -> None:
    """Ends the waiting of the running task, which waits for a thread, when the request ends whose code the thread runs.

    Nobody can interrupt a thread; but what it waits for can fail.
    """
    if children is not None and (task := asyncio.current_task()) is not None:
        children.adopt(member, task)
