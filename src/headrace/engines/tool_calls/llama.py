"""`{"name": ..., "parameters": {...}}` as the whole answer, or after `<|python_tag|>`: Llama 3.

Several calls are separated by `;`. The tag is a special token that decoders often leave out, so that nothing but the
form of the answer tells a call from a JSON answer: it must have a name and an object of parameters.
"""

from __future__ import annotations

from headrace.engines.tape import Taking, Tape
from headrace.engines.tool_calls.calls import Calls

START = "<|python_tag|>"


def llama(tape: Tape) -> Taking[None]:
    """Calls at the beginning of the answer or after the tag."""
    calls = Calls(tape)
    yield from tape.space()
    marked = yield from tape.literal(START)
    yield from _take_series(tape, calls, marked)
    while (yield from calls.next_mark(START)):
        yield from _take_series(tape, calls, marked=True)


def _take_series(tape: Tape, calls: Calls, marked: bool) -> Taking[None]:
    more = True
    while more:
        yield from tape.space()
        if (yield from calls.take_object(certain=marked)):
            yield from tape.space()
            more = yield from tape.literal(";")
        else:
            tape.release()
            more = False
