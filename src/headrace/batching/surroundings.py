"""What the code that calls a batched function stands in: the event loop, the metrics, the request it answers.

A service sets them for everything that its endpoints call. Elsewhere they are not set, and a batched function works all
the same: it is not measured, and it can be called on an event loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakSet

from headrace.metrics import Metrics
from headrace.streams.children import Children


@dataclass(frozen=True, slots=True)
class Caller:
    """The request whose code calls.

    Attributes:
        request_id: for logs.
        children: what ends with the request.
    """

    request_id: str
    children: Children


class Continuous(Protocol):
    """The continuous batch of a function that the service's code calls."""

    @property
    def healthy(self) -> bool:
        """Whether calls have a chance: the function does not fail over and over, and is not stuck."""
        ...

    def close(self) -> None:
        """Lets it end as soon as nobody is left."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service tells the batched functions that its endpoints call.

    Attributes:
        loop: runs the service; calls from its worker threads are carried out there.
        metrics: where batches are measured.
        caller: the request that the running code answers; None outside of one.
        continuous: the continuous batches that its code has called.
    """

    loop: asyncio.AbstractEventLoop
    metrics: Metrics
    caller: Callable[[], Caller | None]
    continuous: WeakSet[Continuous] = field(default_factory=WeakSet)


SURROUNDINGS: ContextVar[Surroundings | None] = ContextVar("headrace_batching", default=None)


@contextmanager
def surrounded(surroundings: Surroundings | None) -> Iterator[None]:
    """Code inside the block, and tasks and threads that it starts, stands in these surroundings."""
    token = SURROUNDINGS.set(surroundings)
    try:
        yield
    finally:
        SURROUNDINGS.reset(token)
