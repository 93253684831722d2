"""An OpenAI-compatible server without a network: requests go in, answers are what a test wrote down."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import httpx2

Piece = bytes | BaseException | asyncio.Event
"""What a body does next: sends, breaks, or waits."""


def record(**members: Any) -> bytes:
    return b"data: " + json.dumps(members).encode() + b"\n\n"


def delta(finish: str | None = None, **members: Any) -> bytes:
    return record(choices=[{"index": 0, "delta": members, "finish_reason": finish}])


DONE = b"data: [DONE]\n\n"


def answer(*texts: str, finish: str = "stop", tokens: int | None = None) -> list[Piece]:
    """The body of a whole answer."""
    usage = [] if tokens is None else [record(choices=[], usage={"completion_tokens": tokens})]
    return [*(delta(content=text) for text in texts), delta(finish), *usage, DONE]


class Body(httpx2.AsyncByteStream):
    """The body of one response; knows whether it was closed."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            match piece:
                case bytes():
                    yield piece
                case asyncio.Event():
                    await piece.wait()
                case _:
                    raise piece

    async def aclose(self) -> None:
        self.closed = True


class ChatStub(httpx2.AsyncBaseTransport):
    """Answers chat completions in turn, and knows what it was asked.

    Attributes:
        responses: one for each completion: a body, a response, or what the transport raises.
        requests: the bodies of the completions that were asked for.
        bodies: of the answers that have one.
        headers: of the last request.
    """

    def __init__(self, *responses: list[Piece] | httpx2.Response | Exception, models: Any = ("tiny",)) -> None:
        self.responses = list(responses)
        self.models = models
        self.requests: list[dict[str, Any]] = []
        self.bodies: list[Body] = []
        self.headers: httpx2.Headers = httpx2.Headers()
        self.urls: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.headers = request.headers
        self.urls.append(f"{request.method} {request.url}")
        if request.method == "GET":
            return _response(self.models)
        self.requests.append(json.loads(await request.aread()))
        match self.responses.pop(0):
            case httpx2.Response() as response:
                return _unread(response)
            case Exception() as error:
                raise error
            case pieces:
                self.bodies.append(Body(pieces))
                return httpx2.Response(200, headers=EVENT_STREAM, stream=self.bodies[-1])


EVENT_STREAM = {"content-type": "text/event-stream; charset=utf-8"}


def _response(models: Any) -> httpx2.Response:
    if isinstance(models, tuple):
        listed = [{"id": name} for name in models]
        return _unread(httpx2.Response(200, json={"object": "list", "data": listed}))
    if isinstance(models, Exception):
        raise models
    assert isinstance(models, httpx2.Response)
    return _unread(models)


def _unread(response: httpx2.Response) -> httpx2.Response:
    """As it comes from a network. A response with a stream of its own is that already."""
    if not response.is_stream_consumed:
        return response
    return httpx2.Response(response.status_code, headers=response.headers, stream=Body([response.content]))


Ask = Callable[[str], str]


def asks(*lines: str | BaseException) -> Ask:
    """A person who types these lines, or presses Ctrl-C or Ctrl-D; then the input ends."""
    typed = iter(lines)

    def ask(_: str) -> str:
        line = next(typed, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line

    return ask
