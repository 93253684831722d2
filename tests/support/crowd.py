"""Many clients at once on raw connections, each with all that it received and when; and ways to leave."""

import asyncio
import json
import math
import resource
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

NDJSON = "application/x-ndjson"
DESCRIPTORS = 8192


@dataclass
class Answer:
    """What one client received of one response."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    clean: bool = False  # the end of the body came, and not only the end of the connection
    refused: bool = False  # nobody listened
    asked_at: float = 0.0
    ended_at: float = 0.0

    @property
    def seconds(self) -> float:
        """From the request to the last byte."""
        return self.ended_at - self.asked_at

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The body as NDJSON."""
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]

    @property
    def items(self) -> list[Any]:
        """The items of the body."""
        return [line["item"] for line in self.lines if "item" in line]

    @property
    def error(self) -> str | None:
        """The code of the failure that was told in the stream or as a problem document."""
        told = self.lines[-1] if self.body.strip() else {}
        code: str | None = told["error"]["code"] if "error" in told else told.get("code")
        return code

    def is_whole(self, items: list[Any]) -> bool:
        """Whether exactly these items came, then the end of the stream, then the end of the body."""
        lines = self.lines
        return self.clean and self.items == items and len(lines) == len(items) + 1 and "end" in lines[-1]


def crowd(port: int, path: str, asked: Iterable[Any], *, accept: str = NDJSON, within: float = 30.0) -> list[Answer]:
    """Posts every one of these arguments at the same moment; their answers, in the same order."""
    lift_descriptor_limit()

    async def gather() -> list[Answer]:
        return await asyncio.gather(*(_ask(port, path, arguments, accept, within) for arguments in asked))

    return asyncio.run(gather())


def request(path: str, arguments: Any, accept: str = NDJSON, headers: str = "") -> bytes:
    """A POST of JSON, as it goes over the connection."""
    body = json.dumps(arguments).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\ncontent-type: application/json\r\n{headers}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def reset(connection: socket.socket) -> None:
    """Leaves with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def finish(connection: socket.socket) -> None:
    """Leaves with FIN: unread bytes would make the kernel send RST, so they are read first."""
    connection.shutdown(socket.SHUT_WR)
    connection.setblocking(False)
    try:
        while connection.recv(1 << 20):
            pass
    except OSError:
        pass  # nothing is left to read
    connection.close()


def rest_of(connection: socket.socket) -> bytes:
    """Everything until the peer closes or resets."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    connection.close()
    return received


def answer_in(received: bytes) -> Answer:
    """Reads one response of which this is all that came."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    answer = Answer(status=int(first.split(" ")[1]) if " " in first else 0, headers=headers)
    if headers.get("transfer-encoding") == "chunked":
        answer.body, answer.clean = _unchunked(body)
    else:
        answer.body = body
        answer.clean = "content-length" in headers and len(body) == int(headers["content-length"])
    return answer


def p99(values: Iterable[float]) -> float:
    """The value that 99 of 100 do not pass."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * 0.99) - 1)]


def lift_descriptor_limit() -> None:
    """Lets this process, and those that it starts, have enough connections, as far as the machine allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _ask(port: int, path: str, arguments: Any, accept: str, within: float) -> Answer:
    asked_at = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    except ConnectionRefusedError:
        return Answer(refused=True, asked_at=asked_at, ended_at=time.monotonic())
    received = b""
    try:
        writer.write(request(path, arguments, accept, "connection: close\r\n"))
        async with asyncio.timeout(within):
            while piece := await reader.read(1 << 20):
                received += piece
    except (ConnectionError, TimeoutError):
        pass  # what came before it says how far it got
    finally:
        writer.transport.abort()
    answer = answer_in(received)
    answer.asked_at, answer.ended_at = asked_at, time.monotonic()
    return answer


def _unchunked(body: bytes) -> tuple[bytes, bool]:
    """The content of a chunked body, and whether its last chunk came."""
    content, at = [], 0
    while (end := body.find(b"\r\n", at)) >= 0:
        size = int(body[at:end].partition(b";")[0], 16)
        if size == 0:
            return b"".join(content), body[end:] == b"\r\n\r\n"
        content.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(content), False
