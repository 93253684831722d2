"""One stream: one owner, one ending.

The task that calls `run` owns the stream. Whatever ends it - the last item, an exception of the user's code, a
leaving client, a deadline, a shutdown, `DELETE /streams/{id}` - goes through that one call, which sees to it that the
generator is closed, decides the ending, and decides it once.

The user's code runs in a task of its own below the owner. So stopping it never interrupts the owner, a cancellation
that it swallows or raises by itself is never taken for the owner's, and code that does not stop can be left behind.
A stop is three steps, each with a bound: the write under way may come to its end (`WRITE_GRACE`), the user's code is
cancelled, and it has `STOP_GRACE` for its cleanup.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from headrace.errors import Cancelled, ClientGone, InternalError, ShuttingDown, StreamError
from headrace.streams.children import Children
from headrace.streams.outlet import Outlet
from headrace.streams.pump import Drive
from headrace.streams.recorder import Recorder
from headrace.streams.stacks import StillRunning
from headrace.wire.encoding import Encoder
from headrace.wire.events import End, Failure

WRITE_GRACE = 1.0
"""Seconds that a stopped stream waits for a write under way before it interrupts it."""

STOP_GRACE = 5.0
"""Seconds that the user's code has for its cleanup; after that the stream ends without it."""

logger = logging.getLogger("headrace.streams")


class Stream:
    """A run of one endpoint, from its first event to its ending.

    Attributes:
        id: names the stream in headers, logs and `DELETE /streams/{id}`.
        key: whom it belongs to; "" is everybody.
        endpoint: `Service.method`, for logs and metrics.
        ending: None while the stream runs.
        error: why the stream failed; None while it runs and when it is complete.
        abandoned: the user's code did not stop in time and was left behind; nothing it makes reaches the outlet.
        outlet: where its records leave.
        stop_seconds: how long the user's code went on after `cancel`, until it ended or was left behind; None where
            it was not stopped.
        children: the streams that its code reads; stopped with it, and waited for before it ends.
        clock: in seconds.

    `called` says that other code of this process reads the stream and gets its failure raised, with what the user's
    code raised as the cause. Then it is not logged here: the caller may well know what to do.
    """

    def __init__(
        self,
        id: str,
        endpoint: str,
        recorder: Recorder,
        outlet: Outlet,
        clock: Callable[[], float] = time.monotonic,
        *,
        key: str = "",
        called: bool = False,
    ) -> None:
        self.id = id
        self.key = key
        self.endpoint = endpoint
        self.ending: End | Failure | None = None
        self.error: StreamError | None = None
        self.abandoned = False
        self.outlet = outlet
        self.stop_seconds: float | None = None
        self.children = Children()
        self.clock = clock
        self._recorder = recorder
        self._started_at = clock()
        self._news: asyncio.Future[None] | None = None  # while it runs: the code is through, or somebody stopped it
        self._cause: StreamError | None = None
        self._cancelled_at = 0.0  # by the clock
        self._end_record: Any = None  # made before it is known that the stream ends with it
        self._told = False
        self._called = called

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
        return self.clock() - self._started_at

    @property
    def cancelled(self) -> bool:
        """Whether somebody has stopped this stream; the user's code may not have noticed yet."""
        return self._cause is not None

    @property
    def torn(self) -> bool:
        """Whether a write broke off, so that nobody knows what the peer has; only a cut connection is honest then."""
        return self.outlet.torn

    @property
    def in_band(self) -> bool:
        """Whether its encoding can tell a failure in its own bytes."""
        return self._recorder.in_band

    @property
    def heartbeat(self) -> bytes:
        """What its encoding sends after a silence; may be empty."""
        return self._recorder.heartbeat

    def cancel(self, cause: StreamError | None = None) -> None:
        """Stops the stream with `cause` as its failure. The first cause counts; a stream that ended stays as it is.

        Must be called on the stream's event loop.
        """
        if self.ending is not None or self._cause is not None:
            return
        self._cause = cause or Cancelled()
        self._cancelled_at = self.clock()
        self._recorder.stop()
        self.children.cancel(self._cause)
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def settle(self, encoder: Encoder, outlet: Outlet) -> None:
        """Takes another encoding and outlet than it was made with; comes before `run`, and nothing was written."""
        assert self._news is None, "it runs, or has run"
        self._recorder.encode_with(encoder)
        self.outlet = outlet

    async def run(self, drive: Drive) -> StreamError | None:
        """Runs the user's code to the stream's one ending. None: it is complete; else why it is not.

        Raises:
            asyncio.CancelledError: the task was cancelled from outside. The stream has failed all the same, with
                `shutting_down` unless something else had stopped it before.
        """
        assert self._news is None, "a stream runs once"
        loop = asyncio.get_running_loop()
        self._news = loop.create_future()
        error: StreamError | None = None
        interrupted: asyncio.CancelledError | None = None  # the first one is raised again: anyio knows its own by text
        if self._cause is None:
            self.outlet.on_failure = self._write_failed
            code = loop.create_task(_outcome(drive, self._recorder, self.outlet, self._news))
            code.add_done_callback(lambda _: self._wake())  # where it was cancelled before it began
            try:
                await self._news
            except asyncio.CancelledError as raised:
                interrupted = raised
                self.cancel(ShuttingDown())
            if self._cause is not None:
                interrupted = await self._stop(code, interrupted)
                self.stop_seconds = self.clock() - self._cancelled_at
            error = self._judge(code)
            self.outlet.on_failure = None
            if await self.children.end():
                interrupted = interrupted or asyncio.CancelledError()
        self._end(self._cause or error)
        if interrupted is not None:
            raise interrupted.with_traceback(None)
        return self.error

    def refuse(self, error: StreamError) -> None:
        """Ends a stream that never ran, with `error` as its failure."""
        assert self._news is None, "it runs, or has run"
        self._end(error)

    async def finish(self) -> None:
        """Writes the ending and closes the outlet cleanly. Raises what the sink raises."""
        assert self.ending is not None, "run comes first"
        assert not self._told, "a stream tells its ending once"
        self._told = True
        try:
            await self.outlet.finish(self._end_record if self.error is None else self._recorder.ending(self.ending))
        finally:
            self.outlet.drop()

    async def _stop(
        self, code: asyncio.Task[BaseException | None], interrupted: asyncio.CancelledError | None
    ) -> asyncio.CancelledError | None:
        """Stops the user's code and the writes. Returns how the owner was cancelled first, before or meanwhile."""
        loop = asyncio.get_running_loop()
        if self.outlet.writing and not isinstance(self._cause, ClientGone):
            try:
                await asyncio.wait((self.outlet.written(),), timeout=WRITE_GRACE)
            except asyncio.CancelledError as raised:
                interrupted = interrupted or raised
        if self.outlet.writing or isinstance(self._cause, ClientGone):
            self.outlet.drop()
        code.cancel()
        until = loop.time() + STOP_GRACE
        while not code.done() and (left := until - loop.time()) > 0:
            try:
                await asyncio.wait((code,), timeout=left)
            except asyncio.CancelledError as raised:  # passed on: whoever cancels us twice may be in a hurry
                interrupted = interrupted or raised
                code.cancel()
        return interrupted

    def _judge(self, code: asyncio.Task[BaseException | None]) -> StreamError | None:
        """What the user's code makes of the stream: None where it completed it."""
        if not code.done():
            self.abandoned = True
            logger.error(
                "%s did not stop within %g s and is left behind (stream %s)",
                self.endpoint,
                STOP_GRACE,
                self.id,
                exc_info=StillRunning.task(code),
            )
            return None
        raised = asyncio.CancelledError() if code.cancelled() else code.result()
        if raised is None or (isinstance(raised, StreamError) and not isinstance(raised, InternalError)):
            return raised
        if self._cause is not None and isinstance(raised, asyncio.CancelledError):
            return None
        return self._internal(raised)

    def _write_failed(self, error: Exception) -> None:
        self.cancel(error if isinstance(error, StreamError) else self._internal(error))

    def _internal(self, raised: BaseException) -> StreamError:
        stopped = self._cause is not None
        if stopped or not self._called:
            what = "raised while it was stopped" if stopped else "failed"
            logger.error("%s %s (stream %s)", self.endpoint, what, self.id, exc_info=raised)
        error = InternalError()
        error.__cause__ = raised if self._called else None
        return error

    def _end(self, error: StreamError | None) -> None:
        assert self.ending is None, "a stream ends once"
        self._recorder.stop()
        if error is None:
            error = self._complete()
        if error is None:
            return
        try:
            self.ending = self._failure(error)
        except Exception as raised:  # a class of the user's own, whose code or message cannot be read
            error = self._internal(raised)
            self.ending = self._failure(error)
        self.error = error

    def _complete(self) -> StreamError | None:
        """Ends it as complete; gives what the encoding has against that, if anything."""
        first = self.first_item_seconds
        first_ms = None if first is None else first * 1000
        end = End(items=self.items, first_item_ms=first_ms, duration_ms=self.seconds * 1000)
        try:
            self._end_record = self._recorder.ending(end)
        except StreamError as error:
            return error.with_traceback(None)
        except Exception as raised:  # an encoder of the user's own: anything can come out
            return self._internal(raised)
        self.ending = end
        return None

    def _failure(self, error: StreamError) -> Failure:
        return Failure(
            code=error.code,
            message=error.message,
            retryable=error.retryable,
            stream_id=self.id,
            items_sent=self.items,
        )


async def _outcome(
    drive: Drive, recorder: Recorder, outlet: Outlet, news: asyncio.Future[None]
) -> BaseException | None:
    """Runs the user's code and returns what it raised, SystemExit and KeyboardInterrupt too: they end this stream and
    nothing else. Knows nothing of the stream, so that the frames of a traceback do not keep it alive.

    `news` is set in its last step: a callback of its task would wake the owner a turn of the loop later.
    """
    try:
        await drive(recorder, outlet)
    except BaseException as raised:
        return raised
    finally:
        if not news.done():
            news.set_result(None)
    return None
