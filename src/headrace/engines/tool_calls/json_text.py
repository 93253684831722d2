"""JSON as a model writes it: where strings and values end, while they are still being written (RFC 8259).

Only what decides about an end is read: quotes, escapes and brackets. What stands between them is the model's business;
it goes to the client as it was written, valid or not.
"""

from __future__ import annotations

import json

from headrace.engines.tape import WHITE_SPACE, Taking, Tape

_CLOSING = {"{": "}", "[": "]"}
_ENDS_A_SCALAR = WHITE_SPACE + ',:"{}[]'


def take_string(tape: Tape) -> Taking[bool]:
    """Takes a string with its quotes. False: it is none, or it is cut."""
    if not (yield from tape.literal('"')):
        return False
    while char := (yield from tape.peek()):
        tape.take()
        if char == '"':
            return True
        if char != "\\":
            tape.take_until('"\\')
        elif (yield from tape.peek()):
            tape.take()
    return False


def take_decoded(tape: Tape) -> Taking[str | None]:
    """Takes a string and returns what it says. None: it is none, it is cut, or it is not valid."""
    start = len(tape.held)
    if not (yield from take_string(tape)):
        return None
    try:
        text: str = json.loads(tape.held[start:])
        text.encode()
    except ValueError:  # that of json; or a lone surrogate, which cannot go to anyone
        return None
    return text


def take_value(tape: Tape) -> Taking[bool]:
    """Takes a value of any kind. False: it is none, its brackets do not fit, or it is cut; what fitted is taken."""
    waiting: list[str] = []  # the brackets that must close, the next one last
    while char := (yield from tape.peek()):
        if char == '"':
            if not (yield from take_string(tape)):
                return False
        elif char in _CLOSING:
            tape.take()
            waiting.append(_CLOSING[char])
        elif char in _CLOSING.values():
            if not waiting or waiting.pop() != char:
                return False
            tape.take()
        elif waiting:
            tape.take()
            tape.take_until('"{}[]')
        else:
            return (yield from _take_scalar(tape))
        if not waiting:
            return True
    return False


def _take_scalar(tape: Tape) -> Taking[bool]:
    found = False
    while (char := (yield from tape.peek())) and char not in _ENDS_A_SCALAR:
        tape.take()
        found = True
    return found
