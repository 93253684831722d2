"""When an upstream is asked again: before anything of an answer came, and only when its failure says that it helps.

How long the pauses are is the rule of our own client (`headrace.client.retries`).
"""

from __future__ import annotations

import random

from headrace.client.retries import pause_before
from headrace.client.timeouts import Patience, Timeout
from headrace.engines.openai_upstream.measures import Clock
from headrace.engines.refusals import UpstreamFailed
from headrace.errors import StreamError


class Retries:
    """Those of one generation. `used`: how many were made.

    Args:
        limit: how many may be made.
        timeout: seconds for everything, pauses included; None: any time.
        clock: by which the time is measured, and which waits.
    """

    def __init__(self, limit: int, timeout: float | None, clock: Clock) -> None:
        self.used = 0
        self._limit = limit
        self._clock = clock
        self._patience = Patience(Timeout(connect=None, first_item=None, gap=None, total=timeout), clock.now)

    @property
    def remaining(self) -> float | None:
        """Seconds that are left for everything; None: any time."""
        return self._patience.total

    async def again(self, error: StreamError) -> bool:
        """Whether to ask again after this failure; returns when it is time to."""
        if self.used >= self._limit:
            return False
        advice = error.retry_after if isinstance(error, UpstreamFailed) else None
        pause = pause_before(self.used + 1, error, advice, self._patience, random.random)
        if pause is None:
            return False
        self.used += 1
        await self._clock.sleep(pause)
        return True
