"""`<tool_call>{"name": ..., "arguments": {...}}</tool_call>`: Hermes, Qwen 2.5 and 3, and many others."""

from __future__ import annotations

from headrace.engines.tape import Taking, Tape
from headrace.engines.tool_calls.calls import Calls

START = "<tool_call>"
_END = "</tool_call>"


def hermes(tape: Tape) -> Taking[None]:
    """Any number of calls, each between its tags, among text."""
    calls = Calls(tape)
    while (yield from calls.next_mark(START)):
        yield from tape.space()
        if (yield from calls.take_object(certain=True)):
            yield from tape.space()
            if (yield from tape.literal(_END)):
                tape.drop()
        else:
            tape.release()
