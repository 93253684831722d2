"""The calls of one answer, as they are found in its text; what all forms of writing them have in common.

Arguments go out as they are written, character for character. A call whose model wrote no arguments gets `{}`. Where
the JSON of a call breaks, the call ends, and the text goes on from there.

White space that is all there is before a call, between two or after the last one belongs to the form and not to the
text, so that an answer of calls alone has no text.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from headrace.engines.events import ToolCallDelta
from headrace.engines.tape import Taking, Tape
from headrace.engines.tool_calls.json_text import take_decoded, take_value

_ARGUMENTS = ("arguments", "parameters")
_ASIDE = ("type", "id")  # what else an object has that is a call though nothing before it says so


@dataclass(slots=True)
class _Object:
    """What is known of the object that is being read. `early`: arguments that came before their name."""

    certain: bool
    name: str = ""
    begun: bool = False
    written: bool = False
    early: str = ""


class Calls:
    """Takes calls from a tape and puts them out, with ids and dense numbers."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._made = 0

    def next_mark(self, mark: str) -> Taking[bool]:
        """Lets text pass up to this mark, and holds the mark. False: the text ended without it."""
        tape = self._tape
        yield from tape.space()
        if (yield from tape.literal(mark)):
            return True
        if self._made and not (yield from tape.peek()):
            tape.drop()
        return (yield from tape.until(mark))

    def begin(self, name: str) -> None:
        """Puts out the name of the next call; what is held was its mark."""
        self._tape.drop()
        self._tape.put(ToolCallDelta(self._made, id=f"call_{secrets.token_hex(12)}", name=name))
        self._made += 1

    def take_arguments(self) -> Taking[bool]:
        """Puts out a JSON value as the arguments of the call that was begun. False: it breaks; what fitted is out."""
        self._tape.drop()
        self._tape.flow(self._arguments)
        whole = yield from take_value(self._tape)
        self._tape.flow(None)
        return whole

    def take_object(self, certain: bool) -> Taking[bool]:
        """Puts out an object `{"name": ..., "arguments": ...}` as a call; its arguments may be called parameters, too.

        What could not be made part of a call is held.

        Args:
            certain: a mark stands before it. Otherwise it is only a call if it has a name, an object of arguments, and
                nothing before them that a call has not.

        Returns:
            Whether it was a call and is complete.
        """
        tape, call = self._tape, _Object(certain)
        more = yield from tape.literal("{")
        if not more:
            return False
        while more:
            key = yield from self._take_key()
            if key is None or not (yield from self._take_member(key, call)):
                return False
            yield from tape.space()
            more = yield from tape.literal(",")
        if not (yield from tape.literal("}")) or not call.begun:
            return False
        if not call.written:
            tape.put(self._arguments("{}"))
        tape.drop()
        return True

    def _take_key(self) -> Taking[str | None]:
        """Takes `"key": ` up to its value."""
        tape = self._tape
        yield from tape.space()
        key = yield from take_decoded(tape)
        yield from tape.space()
        if not (yield from tape.literal(":")):
            return None
        yield from tape.space()
        return key

    def _take_member(self, key: str, call: _Object) -> Taking[bool]:
        """Takes the value of this key. False: it breaks, or nothing with this key is a call."""
        if key == "name" and not call.name:
            call.name = (yield from take_decoded(self._tape)) or ""
            if call.name and (call.certain or call.written):
                self._begin(call)
            return call.name != ""
        if key in _ARGUMENTS and not call.written:
            return (yield from self._take_member_of_arguments(call))
        return (call.certain or key in _ASIDE) and (yield from take_value(self._tape))

    def _take_member_of_arguments(self, call: _Object) -> Taking[bool]:
        tape = self._tape
        if not call.certain and (yield from tape.peek()) != "{":
            return False
        call.written = True
        if call.name:
            if not call.begun:
                self._begin(call)
            return (yield from self.take_arguments())
        start = len(tape.held)
        whole = yield from take_value(tape)
        call.early = tape.held[start:]
        return whole

    def _begin(self, call: _Object) -> None:
        self.begin(call.name)
        self._tape.put(self._arguments(call.early))
        call.begun = call.certain = True

    def _arguments(self, text: str) -> ToolCallDelta:
        return ToolCallDelta(self._made - 1, text)
