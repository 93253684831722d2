"""An engine's events with the calls that stand in its text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from headrace.engines.events import EngineEvent, Finish, ToolCallDelta
from headrace.engines.rewriting import rewritten
from headrace.engines.tape import Parser


async def with_tool_calls(
    events: AsyncGenerator[EngineEvent, None], make_parser: Callable[[], Parser], *, parallel: bool = True
) -> AsyncGenerator[EngineEvent, None]:
    """The events with calls in the place of the text that writes them; an answer with calls finishes with `tool_calls`.

    Args:
        events: of any number of answers; closing this closes them.
        make_parser: see `forms.parser_for`.
        parallel: False: of each answer only the first call; the others are left out, for the model has been told no
            better than to write them.
    """
    calling: set[int] = set()
    async with aclosing(rewritten(events, make_parser)) as found:
        async for event in found:
            if isinstance(event, ToolCallDelta):
                calling.add(event.index)
                if event.number == 0 or parallel:
                    yield event
            elif isinstance(event, Finish) and event.reason == "stop" and event.index in calling:
                yield replace(event, reason="tool_calls")
            else:
                yield event
