"""`[TOOL_CALLS][{"name": ..., "arguments": {...}}, ...]`, or `[TOOL_CALLS]name[ARGS]{...}` of newer models: Mistral.

Of the newer form there are some without `[ARGS]`, and some with a `[CALL_ID]`, which is not used: ids are made here.
"""

from __future__ import annotations

import string

from headrace.engines.tape import WHITE_SPACE, Taking, Tape
from headrace.engines.tool_calls.calls import Calls

START = "[TOOL_CALLS]"
_IN_A_NAME = string.ascii_letters + string.digits + "_-.:/"


def mistral(tape: Tape) -> Taking[None]:
    """Any number of lists or named calls, among text."""
    calls = Calls(tape)
    while (yield from calls.next_mark(START)):
        yield from tape.space()
        listed = yield from tape.literal("[")
        whole = yield from _take_list(tape, calls) if listed else _take_named(tape, calls)
        if whole:
            tape.drop()
        else:
            tape.release()


def _take_list(tape: Tape, calls: Calls) -> Taking[bool]:
    more = True
    while more:
        yield from tape.space()
        if not (yield from calls.take_object(certain=True)):
            return False
        yield from tape.space()
        more = yield from tape.literal(",")
    return (yield from tape.literal("]"))


def _take_named(tape: Tape, calls: Calls) -> Taking[bool]:
    name = yield from _take_word(tape)
    if (yield from tape.literal("[CALL_ID]")):
        yield from _take_word(tape)
    if (yield from tape.literal("[ARGS]")):
        yield from tape.space()
    if not name or (yield from tape.peek()) != "{":
        return False
    calls.begin(name)
    return (yield from calls.take_arguments())


def _take_word(tape: Tape) -> Taking[str]:
    start = len(tape.held)
    while (char := (yield from tape.peek())) and char in _IN_A_NAME:
        tape.take()
    word = tape.held[start:]
    while (char := (yield from tape.peek())) and char in WHITE_SPACE:
        tape.take()
    return word
