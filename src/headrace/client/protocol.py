"""One stream from the request to its ending, without I/O: what to do next, and what came of it.

`Exchange` is the protocol; it yields the operations of `steps`, and the drivers `aio` and `sync` carry them out. Its
rule is that nobody is fooled by a cut: a stream is complete when its ending was seen and never otherwise, and every
other way out raises, after the items that came before.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import httpx2

from headrace.client.answers import AnswerDecoder
from headrace.client.failures import MAX_REFUSAL, before_the_head, refusal
from headrace.client.request import Options, Request, build
from headrace.client.retries import pause_before, read_advice
from headrace.client.statistics import Statistics, Tally
from headrace.client.steps import Close, Head, Look, OutOfTime, Pause, Receive, Send, Steps
from headrace.client.timeouts import Patience, Remaining
from headrace.errors import HeadraceError, StreamError, StreamTruncated, WireError, received
from headrace.wire.answers import decoder_for
from headrace.wire.decoding import Decoder
from headrace.wire.events import Failure, Footer, Header, Item, StreamEvent
from headrace.wire.stream_types import StreamTypes

DRAIN = 0.05
"""Seconds that a complete stream is given to end its response too, so that the connection can be used again."""

Decoding = Callable[[str, StreamTypes], Decoder]


class Exchange:
    """One stream.

    Args:
        request: what to send, as often as the retries allow.
        options: timeouts, retries, types.
        decoding: the decoder for a content type.
        clock, chance: for tests.

    Attributes:
        accepted: the statuses behind which there is a stream.
        entering: how a caller enters its block.
        items: came and were not taken yet.
        header, footer: their values; None before they came and where there is none.
        id: the stream's, as the server calls it.
    """

    accepted: ClassVar[Container[int]] = range(200, 300)
    entering: ClassVar[str] = "with client.stream(...) as stream"

    def __init__(
        self,
        request: Request,
        options: Options,
        decoding: Decoding = decoder_for,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.items: deque[Any] = deque()
        self.header: Any = None
        self.footer: Any = None
        self.id = ""
        self._request = request
        self._options = options
        self._decoding = decoding
        self._clock = clock
        self._chance = chance
        self._state = "new"
        self._patience: Patience
        self._decoder: Decoder
        self._tally: Tally | None = None
        self._advice: float | None = None  # the seconds of Retry-After
        self._framed = True
        self._begun = False  # something of the stream came
        self._ended = False
        self._drained = False  # the response has ended too
        self._error: HeadraceError | None = None

    @property
    def statistics(self) -> Statistics:
        """So far."""
        return Statistics() if self._tally is None else self._tally.statistics(self._patience.longest)

    def take(self) -> list[Any]:
        """The items that are here, which then are not here any more."""
        items = list(self.items)
        self.items.clear()
        return items

    def check_whole(self) -> None:
        """Raises RuntimeError when some of the items were taken."""
        if self._tally is not None and self._tally.items > len(self.items):
            raise RuntimeError("some items of this stream were taken already; save() needs all of them")

    def open(self) -> Steps[None]:
        """Sends the request, again where that helps, until the header, the first item or the ending is there.

        Raises:
            StreamError: there is no stream.
            WireError: what came is not of the format.
        """
        if self._state != "new":
            raise RuntimeError("this stream was entered before; ask the client for a new one")
        self._state = "open"
        self._patience, self._tally = Patience(self._options.timeout, self._clock), Tally(self._clock)
        if (upload := self._request.upload) is not None and not upload.looked:
            upload.look((yield Look(upload)))
        attempt = 1
        while True:
            try:
                yield from self._attempt()
                return
            except HeadraceError as error:
                failure = self._told(error)
                yield Close()
                pause = self._pause_before(attempt, error)
                if pause is None:
                    self._error = failure
                    raise
            with self._patience.waiting():
                yield Pause(pause)
            attempt += 1

    def more(self) -> Steps[bool]:
        """Reads until there are items; False at the end of the stream.

        Raises:
            StreamError: the stream did not complete; all items before were handed out.
            WireError: what came is not of the format.
        """
        self._check_open()
        try:
            while not (self.items or self._ended or self._error):
                yield from self._read()
        except HeadraceError as error:
            self._error = self._told(error)
            yield Close()
        if not self.items and self._error is not None:
            raise self._error
        return bool(self.items)

    def close(self) -> Steps[None]:
        """Gives the response back; the server stops a stream that is not at its end."""
        self._state = "closed"
        if self._ended and not self._drained:
            with contextlib.suppress(httpx2.TransportError, OutOfTime):
                yield Receive(DRAIN)
        yield Close()

    def _check_open(self) -> None:
        if self._state != "open":
            reason = f"enter it first: {self.entering}" if self._state == "new" else "its block is left"
            raise RuntimeError(f"this stream cannot be read: {reason}")

    def _attempt(self) -> Steps[None]:
        head = yield from self._answer()
        coding = head.headers.get("content-encoding", "identity").lower()
        if coding != "identity":
            raise WireError(f"the answer is compressed with {coding[:40]}, which nobody asked for: is there a proxy?")
        self._decoder = self._decoding(head.headers.get("content-type", ""), self._options.types)
        yield from self._begin()

    def _begin(self) -> Steps[None]:
        """Reads until something of the stream is there; raises where that is its failure."""
        while not (self._begun or self._ended or self._error):
            yield from self._read()
        if self._error is not None and not self._begun:
            error, self._error = self._error, None
            raise error

    def _answer(self) -> Steps[Head]:
        """The head of an answer behind which there is a stream; raises what any other one says."""
        head = yield from self._head()
        self.id = head.headers.get("headrace-stream-id", "")
        self._advice = read_advice(head.headers.get("retry-after", ""))
        self._framed = head.framed
        if head.status not in self.accepted:
            raise (yield from self._refusal(head))
        return head

    def _head(self) -> Steps[Head]:
        patience, request = self._patience, self._request
        self._advice = None
        remaining = Remaining(patience)
        streamed = request.upload is not None and not request.upload.empty
        within = patience.total if streamed else patience.left
        connect = patience.connect
        with contextlib.nullcontext() if streamed else patience.waiting():
            try:
                head: Head = yield Send(request, request.head(patience.total), remaining, within)
            except OutOfTime:
                raise patience.error() from None
            except httpx2.TransportError as error:
                if isinstance(error, httpx2.ConnectTimeout) and not patience.fits(0.0):
                    raise patience.error() from error
                raise before_the_head(error, request.url, connect, body=request.large) from error
        remaining.answered = True
        return head

    def _refusal(self, head: Head) -> Steps[StreamError]:
        body = bytearray()
        with contextlib.suppress(httpx2.TransportError, OutOfTime):  # as much as comes
            while len(body) < MAX_REFUSAL and (data := (yield from self._receive())):
                body += data
        return refusal(head, bytes(body), self._request.url)

    def _receive(self) -> Steps[bytes]:
        left = self._patience.left
        if left is not None and left <= 0:
            raise OutOfTime
        with self._patience.waiting():
            data: bytes = yield Receive(left)
        return data

    def _read(self) -> Steps[None]:
        """Reads once. Raises only where no event stands before the error."""
        events = self._decoder.feed(b"")  # raises an error that waited until its items were handed out
        if not events:
            try:
                data = yield from self._receive()
            except OutOfTime:
                raise self._patience.error() from None
            except httpx2.TransportError as error:
                events = self._cut(error)
            else:
                events = self._decoder.feed(data) if data else self._decoder.finish(self._framed)
                self._drained = not data
                assert self._tally is not None
                self._tally.bytes += len(data)
        self._take(events)

    def _cut(self, error: httpx2.TransportError) -> list[StreamEvent]:
        try:
            return self._decoder.finish(complete=False)
        except StreamTruncated as truncated:
            raise truncated from error

    def _take(self, events: list[StreamEvent]) -> None:
        items = self.items
        before = len(items)
        for event in events:
            if type(event) is Item:
                items.append(event.data)
                continue
            match event:
                case Header(data):
                    self.header, self._begun = data, True
                case Footer(data):
                    self.footer, self._begun = data, True
                case Failure():
                    self._error = self._told(_error_of(event))
                case _:
                    self._ended = True
        if (came := len(items) - before) and self._tally is not None:
            self._begun = True
            self._tally.count(came)
            self._patience.item()

    def _told(self, error: HeadraceError) -> HeadraceError:
        """The error with what is known of the stream."""
        if isinstance(error, StreamError):
            error.stream_id = error.stream_id or self.id
            error.items_sent = error.items_sent or (0 if self._tally is None else self._tally.items)
        return error

    def _pause_before(self, attempt: int, error: HeadraceError) -> float | None:
        upload = self._request.upload
        if attempt > self._options.retries or (upload is not None and upload.started):
            return None
        if not isinstance(error, StreamError):
            return None
        return pause_before(attempt, error, self._advice, self._patience, self._chance)


class Reading:
    """What a stream says of itself, the same for both clients."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property
    def id(self) -> str:
        """The stream's id, which `DELETE /streams/{id}` takes; empty before the answer, and from other servers."""
        return self._exchange.id

    @property
    def header(self) -> Any:
        """The header's value; None where there is none."""
        return self._exchange.header

    @property
    def footer(self) -> Any:
        """The footer's value; None before it came and where there is none."""
        return self._exchange.footer

    @property
    def stats(self) -> Statistics:
        """The stream so far, in numbers."""
        return self._exchange.statistics


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes the exchanges of one server; what both clients are without their connections.

    `clock` is the one that their waits are measured with, in seconds.
    """

    base: str
    options: Options
    clock: Callable[[], float]

    def stream(self, endpoint: str, arguments: Mapping[str, Any]) -> Exchange:
        """One that hands out the items; see `build` for the errors."""
        request = build(self.base, endpoint, arguments, self.options, whole=False)
        return Exchange(request, self.options, clock=self.clock)

    def call(self, endpoint: str, arguments: Mapping[str, Any]) -> Exchange:
        """One whose only item is the whole answer; see `build` for the errors."""
        request = build(self.base, endpoint, arguments, self.options, whole=True)
        return Exchange(request, self.options, AnswerDecoder, clock=self.clock)

    def changed(self, headers: Mapping[str, str] | None, **changes: Any) -> Caller:
        """One with other options; see `Options.changed`."""
        return replace(self, options=self.options.changed(headers, **changes))


def joined(items: list[Any]) -> str:
    """The text of all items.

    Raises:
        TypeError: one of them is no text.
    """
    for item in items:
        if not isinstance(item, str):
            raise TypeError(f"the items are no text: one is {type(item).__name__}; use collect()")
    return "".join(items)


def _error_of(failure: Failure) -> StreamError:
    members = {
        "retryable": failure.retryable,
        "stream_id": failure.stream_id,
        "items_sent": failure.items_sent,
    }
    return received(failure.code, failure.message, members)
