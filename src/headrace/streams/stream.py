"""One stream: one owner, one ending.

The task that calls `run` owns the stream. Whatever ends it - the last item, an exception of the user's code, a
leaving client, a deadline, a shutdown, `DELETE /streams/{id}` - goes through that one call, which closes the
generator, decides the ending, and decides it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from headrace.errors import Cancelled, ClientGone, InternalError, ShuttingDown, StreamError
from headrace.streams.outlet import Outlet
from headrace.streams.pump import Drive
from headrace.streams.recorder import Recorder
from headrace.wire.events import End, Failure

WRITE_GRACE = 1.0
"""Seconds that a stopped stream waits for a write under way before it interrupts it."""

logger = logging.getLogger("headrace.streams")


class Stream:
    """A run of one endpoint, from its first event to its ending.

    Attributes:
        id: names the stream in headers, logs and `DELETE /streams/{id}`.
        endpoint: `Service.method`, for logs and metrics.
        ending: None while the stream runs.
        error: why the stream failed; None while it runs and when it is complete.
        torn: a write was interrupted, so nobody knows what the peer has; only a cut connection is honest now.
        outlet: where its records leave.
    """

    def __init__(
        self, id: str, endpoint: str, recorder: Recorder, outlet: Outlet, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.id = id
        self.endpoint = endpoint
        self.ending: End | Failure | None = None
        self.error: StreamError | None = None
        self.torn = False
        self.outlet = outlet
        self._recorder = recorder
        self._clock = clock
        self._started_at = clock()
        self._task: asyncio.Task[object] | None = None  # the owner, while it is inside the user's code
        self._cause: StreamError | None = None
        self._interrupted = False

    @property
    def items(self) -> int:
        """Items made so far."""
        return self._recorder.items

    @property
    def first_item_seconds(self) -> float | None:
        """Seconds from the start to the first item; None before it."""
        at = self._recorder.first_item_at
        return None if at is None else at - self._started_at

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started_at

    @property
    def cancelled(self) -> bool:
        """Whether somebody has stopped this stream; the user's code may not have noticed yet."""
        return self._cause is not None

    def cancel(self, cause: StreamError | None = None) -> None:
        """Stops the stream with `cause` as its failure. The first cause counts; a stream that ended stays as it is.

        Must be called on the stream's event loop.
        """
        if self.ending is not None or self._cause is not None:
            return
        self._cause = cause or Cancelled()
        if self._task is None:
            return
        if self.outlet.writing and not isinstance(self._cause, ClientGone):
            self.outlet.after_write(self._interrupt)
            self._task.get_loop().call_later(WRITE_GRACE, self._interrupt)
        else:
            self._interrupt()

    def _interrupt(self) -> None:
        if self._task is not None and not self._interrupted:
            self._interrupted = True
            self.torn = self.outlet.writing
            self._task.cancel()

    async def run(self, drive: Drive) -> StreamError | None:
        """Runs the user's code to the stream's one ending. None: it is complete; else why it is not.

        Raises:
            asyncio.CancelledError: the task was cancelled from outside; the stream has failed with `shutting_down`
            then.
        """
        owner = self._task = asyncio.current_task()
        assert owner is not None, "a stream runs in a task"
        cancelled_outside = False
        error: StreamError | None = None
        try:
            if self._cause is None:
                await drive(self._recorder, self.outlet)
                self._recorder.complete()
        except asyncio.CancelledError as raised:
            cancelled_outside = self._cause is None and owner.cancelling() > 0
            if cancelled_outside:
                error = ShuttingDown()
            elif self._cause is None:  # raised by the user's code itself
                error = self._internal(raised)
        except StreamError as raised:
            error = raised
        except BaseException as raised:  # SystemExit, KeyboardInterrupt and the like end this stream and nothing else
            error = self._internal(raised)
        self._task = None
        if self._interrupted:
            await self._absorb(owner)
        error = self._cause or error
        self._end(error)
        if cancelled_outside:
            raise asyncio.CancelledError
        return error

    @property
    def in_band(self) -> bool:
        """Whether its encoding can tell a failure in its own bytes."""
        return self._recorder.in_band

    @property
    def heartbeat(self) -> bytes:
        """What its encoding sends after a silence; may be empty."""
        return self._recorder.heartbeat

    async def finish(self) -> None:
        """Writes the ending and closes the outlet cleanly. Raises what the sink raises."""
        assert self.ending is not None, "run comes first"
        await self.outlet.finish(self._recorder.ending(self.ending))

    @staticmethod
    async def _absorb(owner: asyncio.Task[object]) -> None:
        """Takes back our own cancellation of the task, also one that was asked for and not yet delivered."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        owner.uncancel()

    def _internal(self, raised: BaseException) -> StreamError:
        if self._cause is None:
            logger.error("%s failed (stream %s)", self.endpoint, self.id, exc_info=raised)
        else:
            logger.error("%s raised while it was stopped (stream %s)", self.endpoint, self.id, exc_info=raised)
        return InternalError()

    def _end(self, error: StreamError | None) -> None:
        assert self.ending is None, "a stream ends once"
        self.error = error
        if error is None:
            first = self.first_item_seconds
            self.ending = End(
                items=self.items,
                first_item_ms=None if first is None else first * 1000,
                duration_ms=self.seconds * 1000,
            )
        else:
            self.ending = Failure(
                code=error.code,
                message=error.message,
                retryable=error.retryable,
                stream_id=self.id,
                items_sent=self.items,
            )
