"""Where code stands that does not come back: the stack of a suspended task, and of a thread.

A suspended task has no stack of its own. What it waits for hangs from it link by link: a coroutine awaits a coroutine,
an async generator, another task. Some links are objects that tell nothing of what they hold; there the garbage
collector is asked. So this is a best effort, for a log line, and it never raises.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import traceback
from collections.abc import Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

LINKS = 100
"""Links followed, at most."""


def stack_of_task(task: asyncio.Task[Any]) -> str:
    """The frames of a suspended task, outermost first, as a traceback prints them."""
    return _printed((frame, frame.f_lineno) for frame in _frames(task.get_coro()))


def stack_of_thread(id: int | None) -> str:
    """The frames of a running thread, outermost first, as a traceback prints them; empty when it is gone."""
    frame = sys._current_frames().get(id or 0)
    return "" if frame is None else _printed(reversed(list(traceback.walk_stack(frame))))


def _printed(frames: Any) -> str:
    return "".join(traceback.StackSummary.extract(frames).format()).rstrip()


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
