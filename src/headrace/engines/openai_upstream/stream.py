"""One generation of an upstream: its events, what they add up to, and what was measured.

The rule of its life: whatever ends it - the last event, a failure, `cancel`, a cancelled task, `aclose` - goes through
one place, which closes the upstream's response. So the upstream stops at once, also while it is silent, and also before
its first token.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import anyio

from headrace.engines.events import EngineEvent
from headrace.engines.generation import Generation
from headrace.engines.openai_upstream.answers import Answer, Answers
from headrace.engines.openai_upstream.clients import Clients
from headrace.engines.openai_upstream.measures import Clock, Measures, Outcome, Stopwatch
from headrace.engines.openai_upstream.reading import Reading
from headrace.engines.openai_upstream.request import Terms
from headrace.engines.openai_upstream.retries import Retries
from headrace.errors import Cancelled, DeadlineExceeded, ShuttingDown, StreamError, StreamTruncated


class UpstreamStream(AsyncIterator[EngineEvent]):
    """The events of one generation. One task reads, and ends it early with `async with` or `aclose`.

    The request is made when the first event is asked for. Reading raises as `OpenAIEngine.generate` does, `Cancelled`
    after `cancel`, and `DeadlineExceeded`.

    Args:
        clients: of the upstream.
        terms: how it is asked.
        generation: what to generate.
        retries: how often it may be asked again.
        timeout: seconds for everything, from the first request on; None: any time.
        clock: by which it is measured.
        ended: is called once it is over, if it was begun.

    Attributes:
        answers: what has been read so far; it stays when the stream breaks off.
    """

    def __init__(
        self,
        clients: Clients,
        terms: Terms,
        generation: Generation,
        *,
        retries: int,
        timeout: float | None,
        clock: Clock,
        ended: Callable[[UpstreamStream], None],
    ) -> None:
        self.answers = Answers()
        self._clients = clients
        self._terms = terms
        self._generation = generation
        self._limits = retries, timeout
        self._clock = clock
        self._ended = ended
        self._stopwatch = Stopwatch(clock.now)
        self._ready: deque[EngineEvent] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None  # the reader's
        self._reading: Reading | None = None
        self._scope: anyio.CancelScope | None = None  # around the wait that is under way
        self._stopped: StreamError | None = None  # why it shall not go on
        self._outcome: Outcome | None = None

    @property
    def answer(self) -> Answer:
        """The first of the answers, as far as it was read."""
        return self.answers[0]

    @property
    def measures(self) -> Measures:
        """What was measured so far."""
        if self._reading is None:
            return self._stopwatch.measures(self._outcome, (), None, 0)
        chunks = self._reading.chunks
        return self._stopwatch.measures(self._outcome, chunks.reasons, chunks.usage, self._reading.retries.used)

    def cancel(self, error: StreamError | None = None) -> None:
        """Ends it at once, from any task or thread: its reader gets `Cancelled`, or this error."""
        self._stopped = self._stopped or error or Cancelled("the generation was cancelled")
        if self._loop is not None:  # looked at after `_stopped` was set; the reader sets and looks the other way round
            with suppress(RuntimeError):  # its event loop is closed: nobody reads
                self._loop.call_soon_threadsafe(self._wake)

    async def aclose(self) -> None:
        """Ends it; the upstream's response is closed when this returns. After the end it does nothing."""
        await self._end("cancelled")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EngineEvent:
        while self._outcome is None and (self._stopped is not None or not self._ready):
            await self._more()
        if not self._ready:
            raise StopAsyncIteration
        event = self._ready.popleft()
        self.answers.add(event)
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _more(self) -> None:
        try:
            reading = self._reading or self._begin()
            came = reading.chunks.deltas
            events = await self._step(reading)
            if reading.chunks.deltas > came:
                self._stopwatch.delta()
            if events is None:
                self._ready.extend(reading.chunks.end())
                await self._end("complete")
            else:
                self._ready.extend(events)
        except BaseException as error:
            await self._end(_outcome(error))
            raise

    def _begin(self) -> Reading:
        self._loop = asyncio.get_running_loop()
        retries, timeout = self._limits
        allowed = Retries(retries, timeout, self._clock)
        self._stopwatch = Stopwatch(self._clock.now)
        self._reading = Reading(self._clients.take(), self._terms, self._generation, allowed)
        return self._reading

    async def _step(self, reading: Reading) -> list[EngineEvent] | None:
        """One step of the reading, from which `cancel` and the deadline wake it."""
        left = reading.retries.remaining
        with anyio.CancelScope(deadline=math.inf if left is None else anyio.current_time() + left) as self._scope:
            if self._stopped is None:
                return await reading.step()
        if self._stopped is not None:
            raise self._stopped
        raise DeadlineExceeded(f"the model had not answered within {self._limits[1]:g} s")

    def _wake(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    async def _end(self, outcome: Outcome) -> None:
        if self._outcome is not None:
            return
        self._outcome = outcome
        self._stopwatch.stop()
        if outcome != "complete":
            self._ready.clear()
        if self._reading is not None:
            try:
                await self._reading.close()
            finally:
                self._ended(self)
                await self._clients.give_back()


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, (asyncio.CancelledError, Cancelled, ShuttingDown)):
        return "cancelled"
    return "truncated" if isinstance(error, StreamTruncated) else "failed"
