"""What stands over a stream of engine events, on its own."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

from headrace.engines.events import EngineEvent, TextDelta


async def source(*events: EngineEvent) -> AsyncGenerator[EngineEvent, None]:
    """These events."""
    for event in events:
        yield event


async def closes_its_source(over: Callable[[AsyncGenerator[Any, None]], AsyncGenerator[Any, None]]) -> bool:
    """Whether the events that have no end are closed when what was made over them is."""
    closed = False

    async def endless() -> AsyncGenerator[EngineEvent, None]:
        nonlocal closed
        try:
            while True:
                yield TextDelta("a")
        finally:
            closed = True

    events = over(endless())
    await anext(events)
    await events.aclose()
    return closed
