"""Where code stands that does not come back: the stack of a suspended task, and of a thread, ready to be logged.

A suspended task has no stack of its own. What it waits for hangs from it link by link: a coroutine awaits a coroutine,
an async generator, another task. Some links are objects that tell nothing of what they hold; there the garbage
collector is asked. So this is a best effort, for a log line.

The stack comes as the traceback of an exception that nobody raised, because that is what every log formatter knows how
to write: `exc_info=StillRunning.task(task)`.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterable, Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType, TracebackType
from typing import Any

LINKS = 100
"""Links followed, at most."""


class StillRunning(Exception):
    """Code that should have returned; the traceback says where it stands. Logged, never raised."""

    @classmethod
    def task(cls, task: asyncio.Task[Any]) -> StillRunning:
        """Where a suspended task stands."""
        return cls._at(_frames(task.get_coro()))

    @classmethod
    def thread(cls, id: int | None) -> StillRunning:
        """Where a thread stands; without a traceback when it is gone."""
        return cls.frame(sys._current_frames().get(id or 0))

    @classmethod
    def frame(cls, frame: FrameType | None) -> StillRunning:
        """Where running code stands, by its innermost frame."""
        frames = []
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
        return cls._at(reversed(frames))

    @classmethod
    def _at(cls, frames: Iterable[FrameType]) -> StillRunning:
        trace: TracebackType | None = None
        for frame in reversed(list(frames)):
            trace = TracebackType(trace, frame, frame.f_lasti, frame.f_lineno)
        return cls("it stands here").with_traceback(trace)


def _frames(awaited: Any) -> Iterator[FrameType]:
    seen: set[int] = set()
    while awaited is not None and id(awaited) not in seen and len(seen) < LINKS:
        seen.add(id(awaited))
        frame, awaited = _link(awaited)
        if frame is not None:
            yield frame


def _link(awaited: Any) -> tuple[FrameType | None, Any]:
    """The frame of one link, None where it has none, and what it waits for."""
    if isinstance(awaited, CoroutineType):
        return awaited.cr_frame, awaited.cr_await
    if isinstance(awaited, AsyncGeneratorType):
        return awaited.ag_frame, awaited.ag_await
    if isinstance(awaited, GeneratorType):
        return awaited.gi_frame, awaited.gi_yieldfrom
    if isinstance(awaited, asyncio.Task):
        return None, awaited.get_coro()
    if asyncio.isfuture(awaited):
        return None, None
    held = gc.get_referents(awaited)
    kinds = (AsyncGeneratorType, CoroutineType, GeneratorType, asyncio.Task)
    return None, next((each for each in held if isinstance(each, kinds)), None)
