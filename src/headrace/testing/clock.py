"""A clock that jumps: code that waits - timeouts, deadlines, heartbeats, pauses - is run without waiting.

    def test_a_silent_service_is_given_up() -> None:
        async def main() -> None:
            ...

        run(main)

The rule: where nothing is ready, the time of the next timer has come. So only what the event loop sees counts as work.
While `asyncio.to_thread` or `run_in_executor` is busy, the clock stands still. Other threads are not seen, and against
such a clock each of them is late: endpoints written with `def` run on threads of their own, and are tested on an
ordinary loop. `time.monotonic` is not the loop's clock; ask `asyncio.get_running_loop().time()` or `context.remaining`.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine function on a `VirtualLoop` of its own, to its result."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock begins at 0 and jumps from timer to timer. See the head of this file.

    A loop that waits for something that nobody will do raises AssertionError, instead of hanging.

    Attributes:
        patience: real seconds that it waits for a socket, a signal or a thread when no timer can come.
    """

    patience = 10.0

    def __init__(self) -> None:
        self._jumping = _JumpingSelector(self.patience)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jumping.now

    @property
    def jumps(self) -> int:
        """How often it had nothing to do but to wait for a timer."""
        return self._jumping.jumps

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """As on any loop; the clock stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._jumping.busy += 1
        future.add_done_callback(self._rested)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Waits for the executor's threads, for as long as it takes: the clock would not wait for them."""
        await super().shutdown_default_executor()

    def _rested(self, _: asyncio.Future[Any]) -> None:
        self._jumping.busy -= 1


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, patience: float) -> None:
        super().__init__()
        self._patience = patience
        self.now = 0.0
        self.jumps = 0
        self.busy = 0  # calls in the executor

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if timeout is None or self.busy:
            events = super().select(self._patience)
            if not events:
                raise AssertionError(f"the loop waits for something that nobody has done within {self._patience:g} s")
            return events
        events = super().select(0)
        if not events:
            self.jumps += 1
            self.now += timeout
        return events
