"""What is measured of the batches of one function: `docs/reference/metrics.md` says what each of them means."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.metrics import Metrics


class Meter:
    """The metrics of one function with `@batch`, in those of a server."""

    def __init__(self, metrics: Metrics, function: str) -> None:
        self._waiting = metrics.batch_waiting.labels(function)
        self._wait = metrics.batch_wait.labels(function)
        self._size = metrics.batch_size.labels(function)
        self._utilisation = metrics.batch_utilisation.labels(function)
        self._seconds = metrics.batch_seconds.labels(function)

    def waiting(self, change: int) -> None:
        """So many more calls wait, or fewer."""
        self._waiting.inc(change)

    def started(self, waits: Iterable[float], utilisation: float) -> None:
        """A batch starts.

        Args:
            waits: the seconds that each of its calls has waited.
            utilisation: its size as a share of the largest allowed.
        """
        count = 0
        for each in waits:
            self._wait.observe(each)
            count += 1
        self._size.observe(count)
        self._utilisation.observe(utilisation)

    def ended(self, seconds: float) -> None:
        """A batch is over; its function ran for so long."""
        self._seconds.observe(seconds)
