"""When a request is sent again. Only before anything of the stream came, and only when the error says that it helps.

The pauses double, half of each is chance, so that clients that failed together do not come back together. A server that
names a time (`Retry-After`) is given that time. A pause that is too long for the timeouts is not begun: the error that
is known now is worth more than a timeout later.
"""

from __future__ import annotations

from collections.abc import Callable

from headrace.client.timeouts import Patience
from headrace.errors import StreamError

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0
LONGEST_ADVICE = 30.0
"""Seconds. Whoever is told to come back later than this is told so at once."""


def pause_before(
    attempt: int, error: StreamError, advice: float | None, patience: Patience, random: Callable[[], float]
) -> float | None:
    """Seconds to wait before the next attempt; None: there is none, the error is the answer.

    Args:
        attempt: how many were made, 1 after the first.
        error: what became of the last one.
        advice: the seconds of `Retry-After`; None where the server named none.
        patience: the pause has to fit in.
        random: from 0 to 1.
    """
    if not error.retryable or (advice is not None and advice > LONGEST_ADVICE):
        return None
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)) * (0.5 + random() / 2)
    if advice is not None:
        pause += advice
    return pause if patience.fits(pause) else None


def read_advice(retry_after: str) -> float | None:
    """The seconds of a `Retry-After` header; None where it has none, or a date, which needs two clocks that agree."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10 else None
