"""Any iterable, read on the event loop.

A sync one is read on a worker thread of its own, because taking its next value may block: a file does, and so does
whatever reads another service in sync code.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TypeVar

from headrace.streams.closing import AsyncClosing
from headrace.streams.threads import Threads

T = TypeVar("T")


def iterated(source: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    """The values of an iterable. Whoever reads them closes them (`AsyncClosing`), which closes an iterator.

    Raises:
        TypeError: it is none.
    """
    return aiter(source) if isinstance(source, AsyncIterable) else _on_a_thread(iter(source))


async def _on_a_thread(source: Iterable[T]) -> AsyncIterator[T]:
    bursts = Threads(1).bursts(lambda: source)
    async with AsyncClosing(bursts):
        async for burst in bursts:
            for value in burst:
                yield value
