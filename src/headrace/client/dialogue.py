"""A conversation from the handshake to its ending, without I/O: an `Exchange` whose caller goes on talking.

It is `headrace.v1` (`wire.websocket`). The arguments are the first message, always: the client does not know which
parameters an endpoint has, and announces it (`ARGUMENTS_FIRST`), so that no item is ever taken for them.

Reading is that of every stream. Saying something may happen meanwhile, and begins the silence anew: a server is waited
for from the last word of either side.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import httpx2

from headrace.client.arguments import JSON, Payload, pack
from headrace.client.protocol import Caller, Exchange
from headrace.client.request import Options, Request, build
from headrace.client.sockets import SWITCHED
from headrace.client.steps import Close, OutOfTime, Receive, Say, Steps
from headrace.errors import ConnectionFailed, HeadraceError, ItemTimeout, StreamTruncated, WireError
from headrace.wire.decoding import EventFeed
from headrace.wire.events import Item, StreamEvent
from headrace.wire.stream_types import StreamTypes
from headrace.wire.websocket import BINARY, SUBPROTOCOL, MessageDecoder, messages

NO_MORE = '{"end":{}}'
"""The message behind the last item."""


class Unsaid(Exception):
    """The connection did not take a message, because it is closed. What was received last tells why."""


class Dialogue(Exchange):
    """One conversation; see `Exchange`. `open` returns when the server has accepted, and nothing is retried then."""

    accepted: ClassVar[Container[int]] = (SWITCHED,)
    entering: ClassVar[str] = "with client.connect(...) as conversation"

    def __init__(self, request: Request, options: Options, clock: Callable[[], float]) -> None:
        super().__init__(request, options, _decoder, clock)
        self._input_finished = False

    @property
    def begins_with_header(self) -> bool:
        """Its caller has declared one, so that it can be waited for."""
        return self._options.types.header is not None and not self._options.types.optional

    @property
    def ended(self) -> bool:
        """It is complete."""
        return self._ended

    def begin(self) -> Steps[None]:
        """Reads until the header or the ending is there; raises as `open` does."""
        try:
            yield from self._begin()
        except HeadraceError as error:
            self._error = self._told(error)
            yield Close()
            raise

    def say(self, item: Any) -> Steps[None]:
        """Sends an item.

        Raises:
            TypeError: it cannot be sent; nothing was.
            RuntimeError: there is no input any more.
            StreamError: the stream has failed, or nobody listens any more.
            Unsaid: the connection is closed; `conclude` knows more.
        """
        if self._input_finished:
            raise RuntimeError("the input of this conversation is finished: nothing can be sent after finish_input()")
        message = _message(item)
        if self._ended:
            raise self.over()
        yield from self._say(message)

    def finish_input(self) -> Steps[None]:
        """Says that no more items come. A conversation that is complete has no use for it."""
        if self._input_finished or self._ended:
            return
        self._input_finished = True
        yield from self._say(NO_MORE)

    def conclude(self) -> Steps[None]:
        """Reads to the ending, on a connection that takes nothing any more; raises it where it is a failure."""
        try:
            while not (self._ended or self._error):
                yield from self._read()
        except HeadraceError as error:
            self._error = self._told(error)
            yield Close()
        if self._error is not None:
            raise self._error

    def over(self) -> ConnectionFailed:
        """What is said to those who go on talking to an endpoint that has ended."""
        error = ConnectionFailed("the stream is complete: its endpoint has ended and takes nothing more")
        error.retryable = False
        self._told(error)
        return error

    def _say(self, message: str | bytes) -> Steps[None]:
        self._check_open()
        if self._error is not None:
            raise self._error
        limits = (self._patience.total, self._options.timeout.gap)
        try:
            yield Say(message, min((limit for limit in limits if limit is not None), default=None))
        except OutOfTime:
            raise self._told(self._unheard()) from None
        except httpx2.TransportError as error:
            raise Unsaid from error
        self._patience.said()

    def _unheard(self) -> HeadraceError:
        total = self._patience.total
        if total is not None and total <= 0:
            return self._patience.error()
        return ItemTimeout(f"the server took nothing of what is sent for {self._options.timeout.gap:g} s")

    def _attempt(self) -> Steps[None]:
        head = yield from self._answer()
        if head.headers.get("sec-websocket-protocol") != SUBPROTOCOL:
            raise WireError(f"{self._request.url} does not speak {SUBPROTOCOL}; is it an endpoint of headrace?")
        self._decoder = self._decoding("", self._options.types)

    def _receive(self) -> Steps[bytes]:
        while True:
            left = self._patience.left
            if left is not None and left <= 0:
                raise OutOfTime
            try:
                with self._patience.waiting():
                    data: bytes = yield Receive(left)
                return data
            except OutOfTime:
                continue  # something was said meanwhile, perhaps

    def _cut(self, error: httpx2.TransportError) -> list[StreamEvent]:
        try:
            return self._decoder.finish(complete=False)
        except StreamTruncated:
            raise StreamTruncated(f"{error}; neither the stream's end nor a failure came before") from error


class ReplyDecoder(EventFeed):
    """Decoder of what a server says, fed with whole frames. A reader that does not know the types takes both kinds."""

    def __init__(self, types: StreamTypes) -> None:
        super().__init__(types)
        self._messages = MessageDecoder(types)
        self.order = self._messages.order

    def read(self, data: bytes) -> Iterator[StreamEvent]:
        """The events of frames that are messages."""
        for kind, payload in messages(data):
            if kind != BINARY:
                yield from self._messages.read(payload)
            elif self.types.optional:
                self.order.advance(Item)
                yield Item(payload)
            else:
                yield self._messages.binary(payload)


def dialogue(caller: Caller, endpoint: str, arguments: Mapping[str, Any]) -> Dialogue:
    """A conversation with an endpoint.

    Raises:
        TypeError, ValueError: the endpoint is none, or an argument cannot be sent as JSON. Nothing was sent.
    """
    for name, value in arguments.items():
        if pack({name: value}, "POST").content_type != JSON:
            raise TypeError(
                f"argument {name!r} is what the endpoint listens to, bytes or an iterator: "
                "leave it out, and send() it inside the block"
            )
    options = replace(caller.options, method="POST")
    request = build(caller.base, endpoint, arguments, options, whole=False)
    handshake = replace(request, method="GET", payload=Payload("", request.payload.content, None))
    return Dialogue(handshake, options, caller.clock)


def _decoder(content_type: str, types: StreamTypes) -> ReplyDecoder:
    return ReplyDecoder(types)


def _message(item: Any) -> str | bytes:
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    payload = pack({"item": item}, "POST")
    if payload.content_type != JSON or not isinstance(payload.content, bytes):
        raise TypeError(f"{type(item).__name__} is no item but yields them; send them one by one")
    return payload.content.decode()
