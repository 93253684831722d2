"""How fast an answer came: the time to its first token and the rate of the rest, which says nothing of the wait before.

Tokens are counted by who makes them. A piece that arrives may be half a token or ten, so pieces are told as pieces.
"""

from __future__ import annotations

from collections.abc import Callable

SHORTEST_SECONDS = 0.005
"""In less, a rate says nothing of the model: it is how fast the bytes that had gathered were read."""


class Pace:
    """One answer, asked for now.

    Args:
        clock: seconds; monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._asked = self._first = self._last = clock()
        self._pieces = 0

    def piece(self) -> None:
        """One more piece came: text, reasoning or whatever the model makes."""
        self._last = self._clock()
        if not self._pieces:
            self._first = self._last
        self._pieces += 1

    def told(self, tokens: int | None = None) -> str:
        """`first token 84 ms · 61 tokens/s · 128 tokens`; empty where nothing came.

        Args:
            tokens: of the answer, where they were counted.
        """
        if not self._pieces:
            return ""
        count, unit = (self._pieces, "piece") if tokens is None else (tokens, "token")
        told = [f"first token {(self._first - self._asked) * 1000:.0f} ms"]
        seconds = self._last - self._first
        if count > 1 and seconds >= SHORTEST_SECONDS:
            told.append(f"{(count - 1) / seconds:.0f} {unit}s/s")
        return " · ".join([*told, f"{count} {unit}{'' if count == 1 else 's'}"])
