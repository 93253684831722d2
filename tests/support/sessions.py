"""A WebSocket over ASGI in memory: a server of the standard's kind, as strict as it; no sockets, no frames."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from asgi import WITHIN


class Session:
    """One connection to an application.

    `start` opens it, `ended` waits until the application is through with it. In between the test can `say`, `leave`,
    `block` the client's reading and await what came with `arrived`.

    Attributes:
        accepted: the message that accepted the handshake, once there was one.
        said: what the application sent, in order.
        closed: code and reason, once the application has closed.
        denial: status and document, where the application refused the handshake with a response.
        raised: what came out of the application; None where it returned.
    """

    def __init__(
        self,
        app: Any,
        path: str,
        *messages: str | bytes,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] = {},
        tells_denials: bool = True,
        **scope: Any,
    ) -> None:
        headers = {"host": "localhost:8000", **headers}
        self.scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path.partition("?")[0],
            "query_string": path.partition("?")[2].encode(),
            "root_path": "",
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "subprotocols": list(subprotocols),
            "extensions": {"websocket.http.response": {}} if tells_denials else {},
            **scope,
        }
        self.accepted: dict[str, Any] | None = None
        self.said: list[str | bytes] = []
        self.closed: tuple[int, str] | None = None
        self.denial: tuple[int, Any] | None = None
        self.raised: BaseException | None = None
        self._app = app
        self._status = 0
        self._gone = False
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._task: asyncio.Task[None] | None = None
        self._inbox.put_nowait({"type": "websocket.connect"})
        for message in messages:
            self.say(message)

    # -- what the client does

    def start(self) -> "Session":
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    def say(self, message: str | bytes) -> None:
        key = "text" if isinstance(message, str) else "bytes"
        self._inbox.put_nowait({"type": "websocket.receive", key: message})

    def leave(self) -> None:
        """From now on every `send` fails, as the standard asks."""
        self._gone = True
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def block(self) -> None:
        """Reads no more: a `send` does not return."""
        self._reading.clear()

    def unblock(self) -> None:
        self._reading.set()

    def cancel(self) -> None:
        """What a server does at the end of its drain."""
        assert self._task is not None
        self._task.cancel()

    async def ended(self) -> "Session":
        assert self._task is not None
        async with asyncio.timeout(WITHIN):
            await asyncio.wait((self._task,))
        return self

    async def arrived(self, messages: int) -> None:
        """Waits until so many messages have come."""
        async with asyncio.timeout(WITHIN):
            while len(self.said) < messages:
                self._news.clear()
                await self._news.wait()

    # -- what it got

    @property
    def headers(self) -> dict[str, str]:
        """Of the handshake's answer."""
        assert self.accepted is not None
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self.accepted["headers"]}

    @property
    def objects(self) -> list[Any]:
        """The text messages, as JSON."""
        return [json.loads(message) for message in self.said if isinstance(message, str)]

    # -- ASGI

    async def _run(self) -> None:
        try:
            await self._app(self.scope, self._inbox.get, self._send)
        except BaseException as error:
            self.raised = error

    async def _send(self, message: dict[str, Any]) -> None:
        await self._reading.wait()
        if self._gone:
            raise ConnectionResetError("the client is gone")
        allowed = {"websocket.send", "websocket.close"} if self.accepted else _OPENING
        if self.closed or message["type"] not in allowed:
            raise RuntimeError(f"the server did not expect {message['type']}")
        match message["type"]:
            case "websocket.accept":
                self.accepted = message
            case "websocket.send":
                (kept,) = [message[key] for key in ("text", "bytes") if message.get(key) is not None]
                self.said.append(kept)
            case "websocket.close":
                self.closed = (message.get("code", 1000), message.get("reason", ""))
            case "websocket.http.response.start":
                self._status = message["status"]
            case "websocket.http.response.body":
                self.denial = (self._status, json.loads(message["body"]))
        self._news.set()


_OPENING = {
    "websocket.accept",
    "websocket.close",
    "websocket.http.response.start",
    "websocket.http.response.body",
}


async def talk(app: Any, path: str, *messages: str | bytes, **options: Any) -> Session:
    """A whole exchange."""
    return await Session(app, path, *messages, **options).start().ended()


async def talk_v1(app: Any, path: str, *messages: str | bytes, **options: Any) -> Session:
    """A whole exchange under `headrace.v1`."""
    return await talk(app, path, *messages, subprotocols=["headrace.v1"], **options)
