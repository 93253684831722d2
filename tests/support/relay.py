"""Servers and proxies of raw sockets, for answers that no real server gives."""

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

CUT = object()
"""In an answer: the connection is closed here, without a word."""

RESET = object()
"""In an answer: the connection is reset here."""

HANG = object()
"""In an answer: nothing more comes, until the client leaves."""

Answer = Callable[[bytes], Iterable[bytes | object]]
"""From the request, its head and its body, to what is sent back, piece by piece."""


class Relay:
    """Answers every request on a connection of its own; the threads end with the block.

    `requests` are those that came, `left` is set when a client left an answer that hangs.
    """

    def __init__(self, answer: Answer) -> None:
        self.requests: list[bytes] = []
        self.left = threading.Event()
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):  # it is over already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _run(self, target: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = _request(connection)
                self.requests.append(request)
                for piece in self._answer(request):
                    if piece is RESET:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    if piece is CUT:
                        return
                    if piece is HANG:
                        while connection.recv(65536):
                            pass
                        self.left.set()
                        return
                    assert isinstance(piece, bytes)
                    connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # closing now could reset what is on the way
                    pass
            except OSError:
                self.left.set()


def _request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            raise OSError("no request")
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def recorded(port: int, request: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """What the real server says to this request: the headers without those of the framing, and the whole body."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 200
        framing = ("content-length", "transfer-encoding", "connection")
        return [(k, v) for k, v in response.getheaders() if k.lower() not in framing], response.read()


def chunked(pieces: Iterable[bytes], headers: Iterable[tuple[str, str]] = ()) -> Iterator[bytes]:
    """A head and a chunked body, without its final chunk."""
    lines = ["HTTP/1.1 200 OK", "transfer-encoding: chunked", *(f"{name}: {value}" for name, value in headers)]
    yield ("\r\n".join(lines) + "\r\n\r\n").encode()
    for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)


LAST = b"0\r\n\r\n"
"""The final chunk."""


def whole(body: bytes, headers: Iterable[tuple[str, str]] = (), status: str = "200 OK") -> list[bytes | object]:
    """A response with a length, after which the connection closes."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    return [("\r\n".join(lines) + "\r\n\r\n").encode() + body]
