"""The queues of one batched function: one for each instance it is called on and each event loop it is called from.

Nothing is kept alive by that. Instances are known by identity, so that their class needs no hash, and held weakly; a
class with `__slots__` may forbid even that, and then its instance is held only from a call until its queue rests. Event
loops are held weakly as well, so what is made for them must not refer to them while it rests.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

Q = TypeVar("Q")


@dataclass(slots=True)
class _Entry(Generic[Q]):
    """One instance. `held` is itself, or a weak reference that forgets the entry when it dies."""

    held: Any
    weak: bool
    queues: WeakKeyDictionary[asyncio.AbstractEventLoop, Q] = field(default_factory=WeakKeyDictionary)


class Instances(Generic[Q]):
    """Gives the queue of an instance on an event loop, made when it is first asked for. For any thread."""

    def __init__(self, make: Callable[[], Q]) -> None:
        self._make = make
        self._entries: dict[int, _Entry[Q]] = {}
        self._lock = threading.RLock()  # the death of an instance may interrupt its holder

    def queue(self, instance: Any, loop: asyncio.AbstractEventLoop) -> Q:
        """The queue of this instance, None for a plain function, on this loop."""
        with self._lock:
            entry = self._entry(instance)
            queue = entry.queues.get(loop)
            if queue is None:
                queue = entry.queues[loop] = self._make()
            return queue

    def queues(self, instance: Any) -> list[Q]:
        """All queues of this instance."""
        with self._lock:
            entry = self._entries.get(id(instance))
            return [] if entry is None else list(entry.queues.values())

    def all(self) -> list[Q]:
        """The queues of all instances."""
        with self._lock:
            return [queue for entry in self._entries.values() for queue in entry.queues.values()]

    def loop(self, instance: Any) -> asyncio.AbstractEventLoop:
        """The event loop that this instance is used on, for a thread that has none of its own.

        Raises:
            RuntimeError: there is none, or more than one.
        """
        with self._lock:
            entry = self._entries.get(id(instance))
            loops = [] if entry is None else [each for each in entry.queues if not each.is_closed()]
        if len(loops) != 1:
            known = "several event loops use it" if loops else "no event loop uses it yet"
            raise RuntimeError(f"a batched function is called on an event loop; this thread has none, and {known}")
        return loops[0]

    def rest(self, instance: Any) -> None:
        """Nothing waits or runs for this instance now: it is let go, with its queues, if it cannot be held weakly."""
        with self._lock:
            entry = self._entries.get(id(instance))
            if entry is not None and not entry.weak:
                del self._entries[id(instance)]

    def _entry(self, instance: Any) -> _Entry[Q]:
        key = id(instance)  # nobody else's before the weak reference has told of its death
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._new(instance, key)
        return entry

    def _new(self, instance: Any, key: int) -> _Entry[Q]:
        entries = self._entries

        def forget(_: object) -> None:
            entries.pop(key, None)

        if instance is not None:
            with contextlib.suppress(TypeError):
                return _Entry(weakref.ref(instance, forget), weak=True)
        return _Entry(instance, weak=instance is None)
