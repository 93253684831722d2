"""What is measured of continuous batches: `docs/reference/metrics.md` says what each of the metrics means."""

from __future__ import annotations

from headrace.metrics import Metrics


class StepMeter:
    """The metrics of one continuous batch, in those of a server; without a server nothing is measured.

    Several batches of one function add up. It is used where the function runs.
    """

    def __init__(self, metrics: Metrics | None, function: str) -> None:
        self._measures = metrics is not None
        self._counts = (0, 0, 0)
        if metrics is not None:
            self._gauges = tuple(
                each.labels(function) for each in (metrics.batch_waiting, metrics.slots, metrics.slots_paused)
            )
            self._wait = metrics.batch_wait.labels(function)
            self._step = metrics.step_seconds.labels(function)

    @property
    def measures(self) -> bool:
        """Whether anybody wants to know."""
        return self._measures

    def joined(self, seconds: float) -> None:
        """A call has waited so long for its slot."""
        if self._measures:
            self._wait.observe(seconds)

    def stepped(self, seconds: float) -> None:
        """A step took so long."""
        if self._measures:
            self._step.observe(seconds)

    def count(self, waiting: int, used: int, paused: int) -> None:
        """How many calls wait, how many slots are used, and how many of those are paused."""
        if self._measures:
            now = (waiting, used, paused)
            for gauge, before, after in zip(self._gauges, self._counts, now, strict=True):
                if after != before:
                    gauge.inc(after - before)
            self._counts = now
