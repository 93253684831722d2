"""WebSocket frames by hand (RFC 6455, section 5.2), over a raw connection: also those that no library would send."""

import contextlib
import json
import socket
import struct
import time
from typing import Any

from crowd import Answer, answer_in, rest_of

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x11\x22\x33\x44"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    size: int | None = None,
) -> bytes:
    """A client's frame. `size` is what it says of its length; None: the truth."""
    length = len(payload) if size is None else size
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    bit = 0x80 if masked else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", length)
    return head + (MASK + masked_with(payload) if masked else payload)


def masked_with(payload: bytes, mask: bytes = MASK) -> bytes:
    size = len(payload)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


def handshake(path: str, headers: str = "") -> bytes:
    """The head that asks for a WebSocket; `headers` are further lines, each with its line end."""
    return (
        f"GET {path} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        f"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n{headers}\r\n"
    ).encode("latin-1")


class Closed(Exception):
    """The connection ended: with a close frame's code and reason, or without one (code 1006)."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class WireSocket:
    """One connection, after its handshake."""

    def __init__(
        self,
        port: int,
        path: str,
        *,
        v1: bool = False,
        headers: str = "",
        receive_buffer: int | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.connection = socket.socket()
        if receive_buffer is not None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.connection.settimeout(20)
        self.connection.connect((host, port))
        named = "sec-websocket-protocol: headrace.v1\r\n" if v1 else ""
        self.connection.sendall(handshake(path, named + headers))
        self._received = b""
        while b"\r\n\r\n" not in self._received:
            piece = self.connection.recv(65536)
            assert piece, f"closed in the handshake, after {self._received!r}"
            self._received += piece
        self.head, _, self._received = self._received.partition(b"\r\n\r\n")
        assert b" 101 " in self.head, self.head + self._received

    def send(self, message: str | bytes) -> None:
        """One message in one frame."""
        payload = message.encode() if isinstance(message, str) else message
        self.connection.sendall(frame(TEXT if isinstance(message, str) else BINARY, payload))

    def send_json(self, value: Any) -> None:
        self.send(json.dumps(value))

    def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload.

        Raises:
            Closed: it was a close frame, or the connection ended.
        """
        first, second = self._take(2)
        assert not second & 0x80, "a server's frame is not masked"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        payload = self._take(size)
        assert first & 0xF0 == 0x80, "a server's messages are whole frames"
        if first & 0x0F == CLOSE:
            raise Closed(struct.unpack("!H", payload[:2])[0] if payload else 1005, payload[2:].decode())
        return first & 0x0F, payload

    def message(self) -> str | bytes:
        """The next message; pings are answered on the way. Raises as `frame`."""
        while True:
            opcode, payload = self.frame()
            if opcode == PING:
                self.connection.sendall(frame(PONG, payload))
            elif opcode in (TEXT, BINARY):
                return payload.decode() if opcode == TEXT else payload

    def rest(self) -> tuple[list[str | bytes], Closed]:
        """All messages to the end, and the end; the close frame is answered."""
        messages: list[str | bytes] = []
        try:
            while True:
                messages.append(self.message())
        except Closed as closed:
            with contextlib.suppress(OSError):
                self.connection.sendall(frame(CLOSE, struct.pack("!H", 1000)))
            self.connection.close()
            return messages, closed

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            try:
                piece = self.connection.recv(1 << 18)
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Closed(1006)
            self._received += piece
        taken, self._received = self._received[:size], self._received[size:]
        return taken


def ask_handshake(port: int, path: str, headers: str = "") -> Answer:
    """The answer to a handshake that is refused."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(handshake(path, headers))
        return answer_in(rest_of(connection))


def seconds_until_closed(line: WireSocket, within: float = 20.0) -> float:
    """Reads to the end; how long that took."""
    began = time.monotonic()
    line.connection.settimeout(within)
    line.rest()
    return time.monotonic() - began
