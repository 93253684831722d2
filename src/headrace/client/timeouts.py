"""How long a client waits, and for what. Numbers only: the time is an argument, somebody else waits.

A stream has three silences that mean something: before the connection, before the first item, and between two items.
Heartbeats are not items: a server that only says that it lives has not answered. And only waiting counts: what the
caller does between two items is not the server's silence.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields

from headrace.errors import DeadlineExceeded, FirstItemTimeout, ItemTimeout, StreamError

SHORTEST = 0.001
"""Seconds. A socket takes no timeout of nothing."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """The limits of one stream or call, in seconds; None is no limit.

    Attributes:
        connect: to connect, for each attempt.
        first_item: from the request to the first item, or to the end where there is none. A body that is an iterator or
            a file is not counted: the time begins when it is sent, and holds for each write of it.
        gap: between two items, and from the last one to the end.
        total: for everything, attempts and pauses included. The server is told.
    """

    connect: float | None = 5.0
    first_item: float | None = 60.0
    gap: float | None = 60.0
    total: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and not (isinstance(value, (int, float)) and 0 < value < float("inf")):
                raise ValueError(f"{each.name}={value!r}: a timeout is a number of seconds above 0, or None for none")


class Patience:
    """What is left of the timeouts of one stream.

    `longest` is the longest wait for an item after the first one, in seconds.
    """

    def __init__(self, timeout: Timeout, clock: Callable[[], float]) -> None:
        self._timeout = timeout
        self._clock = clock
        self._deadline = None if timeout.total is None else clock() + timeout.total
        self._waited = 0.0  # since the last item, without the wait that is under way
        self._since: float | None = None  # the beginning of that wait
        self._counted = self._said = -math.inf  # when `_waited` was counted last; when the caller last said something
        self._items = False
        self.longest = 0.0

    @property
    def total(self) -> float | None:
        """Seconds to the deadline of everything."""
        return None if self._deadline is None else self._deadline - self._clock()

    @property
    def silence(self) -> float | None:
        """Seconds of waiting that are left until an item has to come."""
        limit = self._timeout.gap if self._items else self._timeout.first_item
        return None if limit is None else limit - self._silent()

    @property
    def left(self) -> float | None:
        """Seconds that a wait may still take."""
        return min((limit for limit in (self.total, self.silence) if limit is not None), default=None)

    @property
    def connect(self) -> float | None:
        """Seconds that connecting may take."""
        return min((limit for limit in (self._timeout.connect, self.left) if limit is not None), default=None)

    def fits(self, seconds: float) -> bool:
        """Whether something can still come after a pause of this length."""
        return self.left is None or seconds < self.left

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside the block somebody waits for the server."""
        self._since = self._clock()
        try:
            yield
        finally:
            self._waited, self._counted = self._silent(), self._clock()
            self._since = None

    def said(self) -> None:
        """The caller said something that may be answered: the silence begins anew. Any task may say so."""
        self._said = self._clock()

    def _silent(self) -> float:
        """Seconds of waiting since the last item, or since the caller said something, whichever was later."""
        waited = 0.0 if self._said >= self._counted else self._waited
        return waited if self._since is None else waited + self._clock() - max(self._since, self._said)

    def item(self) -> None:
        """An item came."""
        if self._items:
            self.longest = max(self.longest, self._waited)
        self._items = True
        self._waited = 0.0

    def error(self) -> StreamError:
        """What is raised when nothing is left."""
        total, silence = self.total, self.silence
        if total is not None and (silence is None or total < silence):
            return DeadlineExceeded(f"not complete within the {self._timeout.total:g} s that it had in all")
        if self._items:
            return ItemTimeout(f"no further item within {self._timeout.gap:g} s")
        return FirstItemTimeout(f"no item within {self._timeout.first_item:g} s")


class Remaining(Mapping[str, float | None]):
    """The timeouts that the HTTP library asks for, each as of the moment when it asks.

    It asks once for connecting, for each write and for the head, so what connecting took is gone when it waits for the
    head. Once the head is there it gets no limit: it would hold the same one against every read of the body.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self.answered = False

    def __getitem__(self, name: str) -> float | None:
        if self.answered:
            return None
        limit = self._patience.connect if name in ("connect", "pool") else self._patience.left
        return None if limit is None else max(SHORTEST, limit)

    def __iter__(self) -> Iterator[str]:
        return iter(("connect", "read", "write", "pool"))

    def __len__(self) -> int:
        return 4
