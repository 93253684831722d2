"""A server with the API of OpenAI, for tests: it answers as its script says, faithfully or in one of the ways to fail.

    async with upstream([says("Hello"), finish("stop"), DONE]) as server:
        ...                          # ask server.url
        server.requests[0].body      # what came
        await server.requests[0].left(within=0.1)

A script is a list of steps. Requests are answered by the scripts in their order, the last one again and again. It is
made of sockets and not of a framework, so that nothing stands between a step and its bytes: a reset is a reset, and a
client that leaves is seen in the moment when it does.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json = dict[str, Any]

CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "tiny"}


@dataclass(frozen=True)
class Status:
    """As the first step: an answer that is no stream."""

    code: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """Waits until it is opened, or the client leaves; as the first step, before the head of the answer."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)


class Act:
    """Something that a connection does, and is over."""


DONE = b"data: [DONE]\n\n"
HEAD = b""
"""The head of the answer, and nothing of its body yet."""
STALL = Act()
"""Says nothing until the client leaves; as the first step, not even the head of the answer."""
CUT = Act()
"""Closes the connection in the middle of the body."""
RESET = Act()
"""Breaks the connection off (TCP RST is what its client may see)."""

Step: TypeAlias = Status | Gate | Act | Json | bytes
Script: TypeAlias = Sequence[Step]


def chunk(*choices: Json, **more: Any) -> Json:
    """A chunk with these choices."""
    return {**CHUNK, "choices": list(choices), **more}


def delta(index: int = 0, **delta: Any) -> Json:
    """A chunk with one delta."""
    return chunk({"index": index, "delta": delta, "logprobs": None, "finish_reason": None})


def says(text: str, index: int = 0) -> Json:
    """A chunk with text."""
    return delta(index, content=text)


def finish(reason: str, index: int = 0) -> Json:
    """The chunk that ends an answer."""
    return chunk({"index": index, "delta": {}, "logprobs": None, "finish_reason": reason})


def calls(*pieces: Json) -> Json:
    """A chunk with pieces of function calls."""
    return delta(tool_calls=list(pieces))


def usage(prompt: int, completion: int, **more: Any) -> Json:
    """The chunk that tells the tokens."""
    tokens = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return chunk(usage={**tokens, **more})


def error(message: str, **more: Any) -> Json:
    """A record that tells a failure, or its body."""
    return {"error": {"message": message, "type": "server_error", "param": None, "code": None, **more}}


ROLE = delta(role="assistant", content="")
FILTERED = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
UNTOUCHED = chunk({"index": 0, "finish_reason": None, "content_filter_offsets": {}, "content_filter_results": {}})
HELLO: Script = [ROLE, says("Hello"), says(", "), says("world"), finish("stop"), usage(3, 4), DONE]
AZURE: Script = [
    FILTERED,
    ROLE,
    says("Hello"),
    UNTOUCHED,
    says(", world"),
    UNTOUCHED,
    finish("stop"),
    usage(3, 4),
    DONE,
]


class Request:
    """One request: where, with what, and when its client left it."""

    def __init__(self, path: str, headers: dict[str, str], body: Json) -> None:
        self.path = path
        self.headers = headers
        self.body = body
        self.left_at: float | None = None
        self._over = asyncio.Event()

    async def left(self, within: float) -> float:
        """Waits until the client has closed the connection before the answer's end; when it did."""
        async with asyncio.timeout(within):
            await self._over.wait()
        assert self.left_at is not None, "the answer has ended"
        return self.left_at

    def over(self, left: bool) -> None:
        """The answer has ended, or its client left."""
        self.left_at = time.monotonic() if left else None
        self._over.set()


class Upstream:
    """The server. `answer` says which script a request gets; by default, the next one."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.url = ""
        self.answer: Callable[[Request], Script] = lambda _: scripts[min(len(self.requests), len(scripts)) - 1]
        self._arrived = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def request(self, number: int = 0, within: float = 5.0) -> Request:
        """The request of this number, from 0, once it has come."""
        async with asyncio.timeout(within), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) > number)
        return self.requests[number]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Upstream"]:
        """Serves inside the block."""
        server = await asyncio.get_running_loop().create_server(lambda: _Watched(self._connected), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer, gone))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        try:
            while (request := await _read(reader)) is not None:
                async with self._arrived:
                    self.requests.append(request)
                    self._arrived.notify_all()
                if not await _play(self.answer(request), request, writer, gone):
                    break
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(head[0].split(" ")[1], headers, json.loads(body or b"{}"))


async def _play(script: Script, request: Request, writer: asyncio.StreamWriter, gone: asyncio.Event) -> bool:
    """Answers; whether the connection can be used again."""
    try:
        if script and isinstance(script[0], Status):
            _write_status(writer, script[0])
            return True
        begun = False
        for step in script:
            if isinstance(step, Act):
                if step is STALL:
                    await gone.wait()
                if step is RESET:
                    writer.transport.abort()
                return False
            if not begun and not isinstance(step, Gate):
                begun = True
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
            if isinstance(step, Gate):
                await _first(step.opened.wait(), gone.wait())
            elif step:
                data = step if isinstance(step, bytes) else b"data: %b\n\n" % json.dumps(step).encode()
                writer.write(b"%x\r\n%b\r\n" % (len(data), data))
                await writer.drain()
                await asyncio.sleep(0)
            if gone.is_set():
                return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True
    except ConnectionError:
        return False
    finally:
        request.over(gone.is_set())


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Returns when one of them does."""
    tasks = [asyncio.get_running_loop().create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class _Watched(asyncio.StreamReaderProtocol):
    """A connection that tells when its client has closed it."""

    def __init__(self, connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter, asyncio.Event], None]) -> None:
        self._gone = asyncio.Event()
        super().__init__(asyncio.StreamReader(), lambda reader, writer: connected(reader, writer, self._gone))

    def eof_received(self) -> bool | None:
        self._gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        super().connection_lost(exc)


def _write_status(writer: asyncio.StreamWriter, status: Status) -> None:
    text = isinstance(status.body, str)
    body = status.body.encode() if text else json.dumps(status.body).encode()
    headers = {"content-type": "text/plain" if text else "application/json", **status.headers}
    lines = [f"HTTP/1.1 {status.code} Status", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)


@asynccontextmanager
async def upstream(*scripts: Script) -> AsyncIterator[Upstream]:
    """A server that plays these scripts."""
    async with Upstream(scripts or [HELLO]).serving() as server:
        yield server


@contextmanager
def upstream_on_a_thread(answer: Callable[[Request], Script]) -> Iterator[Upstream]:
    """The same on a thread of its own, for tests that are not async; `answer` says what a request gets."""
    server, ready, stop = Upstream([]), threading.Event(), threading.Event()
    server.answer = answer

    async def serve() -> None:
        async with server.serving():
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10.0)
        yield server
    finally:
        stop.set()
        thread.join(10.0)
