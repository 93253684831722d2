"""Text that comes in pieces, read by a grammar that never sees where one piece ends and the next begins.

A grammar is a generator function over a `Tape`. It takes characters, decides what becomes of them, and yields wherever
the next one has not come yet. What it has taken is held until it is decided: it goes out, as text or as part of
something else (`release`), or it was only a mark and goes nowhere (`drop`). So a grammar that gives up releases, and
nothing is lost.

What is held is bounded: where it reaches `HELD` characters, the grammar finds the text at its end, gives up as it would
at a cut, and goes on with what comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import groupby
from typing import TypeAlias, TypeVar

from headrace.engines.events import ReasoningDelta, TextDelta, ToolCallDelta

HELD = 65_536
"""Characters that wait, at most, for what decides about them."""

WHITE_SPACE = " \t\r\n"

T = TypeVar("T")
Delta: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta
Making: TypeAlias = Callable[[str], Delta]
Taking: TypeAlias = Generator[None, None, T]
"""A part of a grammar: yields while it waits, returns what it found."""


class Tape:
    """What of a text has come and is not yet decided, and the deltas of what is."""

    def __init__(self) -> None:
        self._text = ""  # what is decided and not yet forgotten, then what is held, then what nobody has taken
        self._start = 0  # of what is held
        self._at = 0  # of what nobody has taken
        self._ended = False
        self._flowing: Making | None = None
        self._deltas: list[Delta] = []

    def write(self, text: str) -> None:
        """Brings the next piece of the text."""
        self._text = self.undecided + text
        self._start, self._at = 0, self._at - self._start

    def close(self) -> None:
        """No more pieces come."""
        self._ended = True

    def collect(self) -> list[Delta]:
        """The deltas since the last call; neighbours that continue each other are one."""
        deltas, self._deltas = self._deltas, []
        return [_joined(list(neighbours)) for _, neighbours in groupby(deltas, _continued)]

    @property
    def undecided(self) -> str:
        """What has come and has not gone out."""
        return self._text[self._start :]

    @property
    def held(self) -> str:
        """What was taken and is not decided."""
        return self._text[self._start : self._at]

    def peek(self) -> Taking[str]:
        """The next character, which stays where it is; "" at the end of the text."""
        while self._at == self._limit:
            if self._flowing is not None and self._at > self._start:
                self.release(self._flowing)
            elif self._ended or self._at < len(self._text):
                return ""
            else:
                yield
        return self._text[self._at]

    def take(self) -> None:
        """Takes the character that was peeked at."""
        self._at += 1

    def take_until(self, characters: str) -> None:
        """Takes what has come up to the first of these characters, and waits for nothing."""
        while self._at < self._limit and self._text[self._at] not in characters:
            self._at += 1

    def space(self) -> Taking[None]:
        """Takes white space."""
        while (char := (yield from self.peek())) and char in WHITE_SPACE:
            self.take()

    def literal(self, mark: str) -> Taking[bool]:
        """Takes this text, or nothing of it."""
        before = len(self.held)
        for expected in mark:
            if (yield from self.peek()) != expected:
                self._at = self._start + before
                return False
            self.take()
        return True

    def until(self, mark: str, make: Making = TextDelta) -> Taking[bool]:
        """Puts out what is held and all up to this mark, and takes the mark. False: the text ended without it."""
        self.release(make)
        while (yield from self.peek()):
            if (yield from self.literal(mark)):
                return True
            self.take()
            self.take_until(mark[0])
            self.release(make)
        return False

    def rest(self) -> Taking[None]:
        """Puts out what is held and all that comes."""
        self.release()
        while (yield from self.peek()):
            self.take_until("")
            self.release()

    def drop(self) -> None:
        """What is held was a mark: it goes nowhere."""
        self._start = self._at

    def release(self, make: Making = TextDelta) -> None:
        """What is held goes out."""
        self.put(make(self.held))
        self.drop()

    def flow(self, make: Making | None) -> None:
        """From here on, what is taken goes out before anything is waited for; None: no longer."""
        if self._flowing is not None:
            self.release(self._flowing)
        self._flowing = make

    def put(self, delta: Delta) -> None:
        """Puts a delta out; an empty one, that begins nothing, is none."""
        if _content(delta) or (isinstance(delta, ToolCallDelta) and delta.id is not None):
            self._deltas.append(delta)

    @property
    def _limit(self) -> int:
        """How far may be taken now."""
        return min(len(self._text), self._start + HELD)


Grammar: TypeAlias = Callable[[Tape], Taking[None]]


class Parser:
    """Feed it the pieces of a text; joined, what it returns is the same however the text was cut."""

    def __init__(self, grammar: Grammar) -> None:
        self._tape = Tape()
        self._steps = grammar(self._tape)

    @property
    def undecided(self) -> str:
        """What was fed and has not come out."""
        return self._tape.undecided

    def feed(self, text: str) -> list[Delta]:
        """Takes the next piece and returns what is decided now."""
        self._tape.write(text)
        next(self._steps, None)
        return self._tape.collect()

    def end(self) -> list[Delta]:
        """The text is over; returns what was still waiting."""
        self._tape.close()
        next(self._steps, None)
        return self._tape.collect()


def _content(delta: Delta) -> str:
    return delta.arguments if isinstance(delta, ToolCallDelta) else delta.text


def _continued(delta: Delta) -> tuple[type[Delta], int]:
    """Neighbours with the same of this are one delta."""
    return type(delta), delta.number if isinstance(delta, ToolCallDelta) else 0


def _joined(deltas: list[Delta]) -> Delta:
    content = "".join(map(_content, deltas))
    first = deltas[0]
    return replace(first, arguments=content) if isinstance(first, ToolCallDelta) else replace(first, text=content)
