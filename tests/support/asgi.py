"""ASGI in memory: a client with a scripted `receive` and a recording `send`, as strict as the standard; no sockets."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.server.app import Application

WITHIN = 5.0
"""Seconds after which a test that waits for something has failed."""

JSON = {"content-type": "application/json"}


class Call:
    """One request to an application.

    `start` sends it, `ended` waits until the application is through with it. In between the test can `await_text`,
    `block` the client's reading and `leave`. What arrived is in `status`, `headers`, `body`, `complete`.

    Attributes:
        raised: what came out of the application; None where it returned.
        received: how often the application has asked for a message.
    """

    def __init__(
        self,
        app: Any,
        method: str = "GET",
        path: str = "/",
        *,
        arguments: Any = None,
        pieces: Iterable[bytes] | None = None,
        unfinished: bool = False,
        headers: Mapping[str, str] = {},
        **scope: Any,
    ) -> None:
        """`arguments` go as JSON; `pieces` are the body as it is; an `unfinished` one never ends."""
        if arguments is not None:
            pieces = [json.dumps(arguments).encode()]
            headers = {**JSON, **headers}
        headers = {"host": "localhost:8000", **headers}
        listed = list(pieces or [])
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path.partition("?")[0],
            "query_string": path.partition("?")[2].encode(),
            "root_path": "",
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            **scope,
        }
        if listed and "content-length" not in headers and scope.get("http_version") != "2":
            self.scope["headers"].append((b"content-length", str(sum(map(len, listed))).encode()))
        self.messages: list[dict[str, Any]] = []
        self.raised: BaseException | None = None
        self.received = 0
        self._app = app
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._arrived = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._send_error: Exception | None = None
        self._task: asyncio.Task[None] | None = None
        self._violations: list[Any] = []
        last = [] if unfinished else [{"type": "http.request", "body": b"", "more_body": False}]
        for message in [*({"type": "http.request", "body": piece, "more_body": True} for piece in listed), *last]:
            self._inbox.put_nowait(message)

    # -- what the client does

    def start(self) -> "Call":
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    def send(self, piece: bytes, *, last: bool = False) -> None:
        self._inbox.put_nowait({"type": "http.request", "body": piece, "more_body": not last})

    def leave(self) -> None:
        self._inbox.put_nowait({"type": "http.disconnect"})

    def break_receive(self, error: Exception) -> None:
        self._inbox.put_nowait({"error": error})

    def break_send(self, error: Exception) -> None:
        self._send_error = error

    def block(self) -> None:
        """Reads no more: a `send` does not return."""
        self._reading.clear()

    def unblock(self) -> None:
        self._reading.set()

    def cancel(self) -> None:
        """What a server does at the end of its drain."""
        assert self._task is not None
        self._task.cancel()

    async def ended(self) -> "Call":
        assert self._task is not None
        async with asyncio.timeout(WITHIN):
            await asyncio.wait((self._task,))
        assert self._violations == [], "messages came out of order"
        return self

    async def await_text(self, text: bytes) -> None:
        async with asyncio.timeout(WITHIN):
            while text not in self.body:
                self._arrived.clear()
                await self._arrived.wait()

    # -- what it got

    @property
    def status(self) -> int | None:
        return self.messages[0]["status"] if self.messages else None

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def document(self) -> Any:
        return json.loads(self.body, parse_constant=_no_constant)

    @property
    def complete(self) -> bool:
        """The response was closed cleanly."""
        return len(self.messages) > 1 and not self.messages[-1]["more_body"]

    # -- ASGI

    async def _run(self) -> None:
        try:
            await self._app(self.scope, self._receive, self._send)
        except BaseException as error:
            self.raised = error

    async def _receive(self) -> dict[str, Any]:
        self.received += 1
        message = await self._inbox.get()
        if "error" in message:
            raise message["error"]
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        await self._reading.wait()
        kind = message["type"]
        if kind == "http.response.aborted":
            raise RuntimeError(f"the server does not know {kind}")
        if self.complete or kind != ("http.response.body" if self.messages else "http.response.start"):
            self._violations.append(message)
            raise RuntimeError(f"the server did not expect {kind}")
        if self._send_error is not None:
            raise self._send_error
        if kind == "http.response.start":
            assert 200 <= message["status"] <= 599
            for name, value in message["headers"]:
                assert name == name.lower()
                assert not {0, 10, 13} & {*name, *value}
        self.messages.append(message)
        self._arrived.set()


async def ask(app: Any, method: str, path: str, **options: Any) -> Call:
    """A whole exchange."""
    return await Call(app, method, path, **options).start().ended()


async def post(app: Any, path: str, arguments: Any, **headers: str) -> Call:
    """A whole exchange with JSON arguments; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ask(app, "POST", path, arguments=arguments, headers=named)


class Lifespan:
    """A server's side of the lifespan protocol."""

    def __init__(self, app: Any) -> None:
        self.messages: list[dict[str, Any]] = []
        self._app = app
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def startup(self) -> dict[str, Any]:
        self.task = asyncio.get_running_loop().create_task(
            self._app({"type": "lifespan"}, self._inbox.get, self._record)
        )
        return await self._say("lifespan.startup")

    async def shutdown(self) -> dict[str, Any]:
        return await self._say("lifespan.shutdown")

    async def _say(self, type: str) -> dict[str, Any]:
        self._news.clear()
        self._inbox.put_nowait({"type": type})
        async with asyncio.timeout(WITHIN):
            await self._news.wait()
        return self.messages[-1]

    async def _record(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        self._news.set()


def total(app: Application, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    return sum(
        sample.value
        for metric in app.runtime.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def assert_nothing_left(app: Application) -> None:
    """No place is held, no stream is live, no task runs, and every stream that began has ended."""
    runtime = app.runtime
    async with asyncio.timeout(WITHIN):
        while asyncio.all_tasks() != {asyncio.current_task()}:
            await asyncio.sleep(0)
    assert (runtime.places.running, runtime.places.waiting, runtime.live) == (0, 0, {})
    assert total(app, "headrace_streams_live") == 0
    assert total(app, "headrace_streams_total") == total(app, "headrace_streams_started_total")


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
