"""A call of another service's endpoint, as the calling code has it in its hands.

It runs from the moment it is made, so calls made together run together, and stays at most `channel.AHEAD` items ahead
of its reader. It ends with the stream whose code made it, or when nobody holds it any more.

It gives what calling the method itself would give: `Header`, the items, `Footer`, or the answer. Code on the event loop
reads a stream with `async for` and awaits an answer. Sync code, on its worker thread, reads a stream with `for` and is
given an answer when it is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from headrace.errors import InternalError, StreamError
from headrace.streams.channel import Channel
from headrace.streams.stream import Stream
from headrace.wire.events import End, Failure

T = TypeVar("T")

logger = logging.getLogger("headrace.services")


@dataclass(frozen=True, slots=True)
class Run:
    """The run of an endpoint that a call reads: its stream, where the records come out, and the task that owns it."""

    stream: Stream
    channel: Channel
    owner: asyncio.Task[None]


class Call:
    """What calls of streams and of answers share: the records come in, and the run is let go.

    Args:
        run: was started.
        place: the line of the call, `app.py:12`, to be told when it was used in the wrong way.

    Attributes:
        ready: the events that have come; the next one is the last of the list.
    """

    def __init__(self, run: Run, place: str) -> None:
        self.ready: list[Any] = []
        self._endpoint = run.stream.endpoint
        self._place = place
        self._run: Run | None = run  # None: its reader knows how it ended, or does not want to
        self._ended = False  # the record of the ending was taken

    async def refill(self) -> bool:
        """Waits until events are ready; False when there are no more. A failure is raised after all that came before.

        Raises:
            RuntimeError: another task is reading the call.
        """
        while not self.ready:
            if self._run is None:
                return False
            if self._ended:
                error = self._let_go()
                if error is None:
                    return False
                try:
                    raise error
                finally:
                    del error  # its traceback knows this frame: they would keep each other alive
            records = self._run.channel.take()
            if not records:
                await self._run.channel.news()
                continue
            if isinstance(records[-1], (End, Failure)):
                records.pop()
                self._ended = True
            records.reverse()
            self.ready = records
        return True

    def _let_go(self) -> StreamError | None:
        """Why it failed. The run is forgotten: it knows the failure, whose traceback will know this call."""
        assert self._run is not None
        stream, self._run = self._run.stream, None
        if stream.error is None or not stream.cancelled:
            return stream.error
        return stream.error.with_traceback(None)  # the cause that stopped the caller, which its other calls raise too

    async def aclose(self) -> None:
        """Stops the call, and returns when what it held is free."""
        run, self._run, self.ready = self._run, None, []
        if run is not None:
            run.stream.cancel()
            await asyncio.wait((run.owner,))
            _leave(run.stream)

    def _misused(self, how: str) -> TypeError:
        return TypeError(f"HR15 {self._endpoint} {how} ({self._place})")

    def __del__(self) -> None:
        if self._run is None:
            return
        stream, loop = self._run.stream, self._run.owner.get_loop()
        if stream.ending is not None:
            _leave(stream)
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the stream with it
                loop.call_soon_threadsafe(_leave, stream)


class StreamCall(Call):
    """One call of a stream, for code on the event loop."""

    def __aiter__(self) -> StreamCall:
        """Itself: a call is read once."""
        return self

    async def __anext__(self) -> Any:
        """The next event; raises as `refill`."""
        if not self.ready and not await self.refill():
            raise StopAsyncIteration
        return self.ready.pop()

    def __await__(self) -> Generator[Any, None, Any]:
        """Raises TypeError (HR15)."""
        raise self._misused("is a stream: read it with `async for`, instead of awaiting it")


class AnswerCall(Call, Coroutine[Any, Any, Any]):
    """One call of an endpoint that answers once, for code on the event loop.

    It is a coroutine as that of the method would be, so that `asyncio.create_task` takes it, too.
    """

    def __init__(self, run: Run, place: str) -> None:
        super().__init__(run, place)
        self._awaited = False
        self._steps: Generator[Any, Any, Any] | None = None

    def __await__(self) -> Generator[Any, Any, Any]:
        """The answer; raises TypeError (HR15) the second time."""
        if self._awaited:
            raise self._misused("was awaited before: keep its answer")
        self._awaited = True
        return self._answer().__await__()

    async def _answer(self) -> Any:
        try:
            if not await self.refill():
                raise self._misused("was closed before it was awaited")
            answer = self.ready.pop()
            await self.refill()  # its end
            return answer
        except asyncio.CancelledError:  # nobody can ask for it again
            if self._run is not None:
                self._run.stream.cancel()
            raise

    def send(self, value: Any) -> Any:
        """See `Coroutine.send`."""
        self._steps = self._steps or self.__await__()
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        """See `Coroutine.throw`."""
        self._steps = self._steps or self.__await__()
        return self._steps.throw(*error)

    def close(self) -> None:
        """See `Coroutine.close`; the call stops."""
        self._awaited = True
        if self._steps is not None:
            self._steps.close()
        if self._run is not None:
            self._run.stream.cancel()

    def __aiter__(self) -> AnswerCall:
        """Raises TypeError (HR15)."""
        self._awaited = True
        raise self._misused("answers once: await it, instead of iterating")

    def __del__(self) -> None:
        if not (self._awaited or self._run is None or self._run.stream.cancelled):
            logger.warning("HR15 %s was called and its answer never awaited (%s)", self._endpoint, self._place)
        super().__del__()


class BlockingCall:
    """One call of a stream, for sync code on a worker thread: `for event in other.write(topic)`."""

    def __init__(self, call: StreamCall, loop: asyncio.AbstractEventLoop) -> None:
        self._call = call
        self._loop = loop

    def __iter__(self) -> BlockingCall:
        """Itself: a call is read once."""
        return self

    def __next__(self) -> Any:
        """The next event; blocks the thread. Raises as `Call.refill`."""
        if not self._call.ready and not wait_for(self._call.refill(), self._loop):
            raise StopIteration
        return self._call.ready.pop()

    def close(self) -> None:
        """Stops the call, and returns when what it held is free."""
        wait_for(self._call.aclose(), self._loop)


def wait_for(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """What a coroutine gives on the event loop, for code on another thread; RuntimeError when the loop is closed."""
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
    except RuntimeError:
        coroutine.close()  # which may never have begun
        raise


def _leave(stream: Stream) -> None:
    """Nobody reads the rest of a stream: it stops, and a failure that nobody was told of is logged."""
    if stream.ending is None:
        stream.cancel()
    elif isinstance(stream.error, InternalError) and not stream.cancelled:
        logger.error("%s failed (stream %s)", stream.endpoint, stream.id, exc_info=stream.error.__cause__)
