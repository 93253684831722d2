"""What is measured of one generation of an upstream. Time is an argument: a clock that nobody can turn back.

Tokens are those that the upstream counts: a chunk may bring many of them, or none. The rate leaves out the first token,
which is the one that waited for a place and for the prompt: (n - 1) / (last - first).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import anyio

from headrace.engines.events import Reason, Usage

Outcome: TypeAlias = Literal["complete", "failed", "cancelled", "truncated"]


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of an engine: `now` in seconds from anywhere, never backwards, and `sleep` for some."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


@dataclass(frozen=True, slots=True)
class Measures:
    """One generation, as far as it has come. Times are in seconds; None is not known, or there was nothing to measure.

    Attributes:
        outcome: `truncated`: the upstream broke off; None: it still runs.
        reasons: why its answers ended, in their order.
        retries: how often it was asked again.
        total_seconds: from the request to the end, or until now.
        first_token_seconds: from the request to the first delta of any kind.
        longest_gap_seconds: the longest silence between deltas.
        prompt_tokens: as the upstream counts them.
        tokens: of all answers, likewise.
        tokens_per_second: from the first delta to the last.
    """

    outcome: Outcome | None
    reasons: tuple[Reason, ...]
    retries: int
    total_seconds: float
    first_token_seconds: float | None
    longest_gap_seconds: float | None
    prompt_tokens: int | None
    tokens: int | None
    tokens_per_second: float | None


class Stopwatch:
    """The times of one generation, from the moment that it is made."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._started = now()
        self._first: float | None = None
        self._last: float | None = None
        self._longest: float | None = None
        self._ended: float | None = None

    def delta(self) -> None:
        """Deltas came."""
        now = self._now()
        if self._last is None:
            self._first = now
        else:
            self._longest = max(self._longest or 0.0, now - self._last)
        self._last = now

    def stop(self) -> None:
        """It is over."""
        if self._ended is None:
            self._ended = self._now()

    def measures(
        self, outcome: Outcome | None, reasons: tuple[Reason, ...], usage: Usage | None, retries: int
    ) -> Measures:
        """What was measured.

        Args:
            outcome: how it ended.
            reasons: why its answers ended.
            usage: the tokens, where the upstream has told them.
            retries: how often it was asked again.
        """
        ended = self._now() if self._ended is None else self._ended
        tokens = None if usage is None else usage.completion_tokens
        return Measures(
            outcome=outcome,
            reasons=reasons,
            retries=retries,
            total_seconds=ended - self._started,
            first_token_seconds=None if self._first is None else self._first - self._started,
            longest_gap_seconds=self._longest,
            prompt_tokens=None if usage is None else usage.prompt_tokens,
            tokens=tokens,
            tokens_per_second=self._rate(tokens),
        )

    def _rate(self, tokens: int | None) -> float | None:
        if tokens is None or tokens < 2 or self._first is None or self._last is None or self._last <= self._first:
            return None
        return (tokens - 1) / (self._last - self._first)
