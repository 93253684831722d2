"""A real server process, and clients for it: the standard library's and raw sockets."""

import http.client
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent.parent
STARTS_WITHIN = 20.0
END = "(end of output)"


def receive(connection: socket.socket, until: bytes | Callable[[bytes], bool]) -> bytes:
    """Reads until the bytes received hold `until`; fails when the peer closes before."""
    enough = (lambda received: until in received) if isinstance(until, bytes) else until
    received = b""
    while not enough(received):
        piece = connection.recv(65536)
        assert piece, f"closed before {until!r} came, after {received!r}"
        received += piece
    return received


class Served:
    """`headrace run TARGET` in a process of its own."""

    def __init__(
        self,
        *arguments: str,
        folder: Path = REPOSITORY,
        environment: dict[str, str] | None = None,
        program: tuple[str, ...] = ("-m", "headrace"),
    ) -> None:
        self.output: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            self._lines.put(line)
        self._lines.put(END)

    def line_with(self, text: str, within: float = STARTS_WITHIN) -> str:
        """Waits for a line of output that has `text`."""
        until = time.monotonic() + within
        line = ""
        while text not in line:
            try:
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                line = END
            if line is END:
                self.stop()
                raise AssertionError(f"no line with {text!r} in:\n{''.join(self.output)}")
        return line

    def ready(self) -> "Served":
        """Waits until the server says where it is."""
        found = re.search(r"http://[^ ]*?:(\d+)/", self.line_with("➜"))
        assert found is not None
        self.port = int(found.group(1))
        return self

    def exit_code(self, within: float = 15.0) -> int:
        """Waits for the process to end by itself."""
        code = self.process.wait(within)
        self._reader.join(within)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stops the process with a signal, and waits for it."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.exit_code()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    # -- clients

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request with the standard library's client: status, headers in lower case, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def post(self, path: str, arguments: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Posts JSON; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(arguments).encode()
        return self.request("POST", path, body, {"content-type": "application/json", **named})

    def connect(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def send(self, path: str, arguments: Any, accept: str = "*/*") -> socket.socket:
        """Posts JSON on a raw connection and leaves the answer to be read from it."""
        body = json.dumps(arguments).encode()
        connection = self.connect()
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\ncontent-type: application/json\r\n"
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        return connection

    def state(self) -> dict[str, Any]:
        """What the generators of the trials did."""
        state: dict[str, Any] = json.loads(self.request("GET", "/state")[2])
        return state

    def until(self, holds: Callable[[], bool], within: float) -> float:
        """Looks until something holds; the seconds it took."""
        started = time.monotonic()
        while not holds():
            assert time.monotonic() - started < within, f"not within {within} s"
            time.sleep(0.005)
        return time.monotonic() - started

    def metric(self, name: str, *labels: str) -> float:
        """The sum of a metric's samples that have all these labels, written `end="ok"`."""
        text = self.request("GET", "/metrics")[2].decode()
        samples = [line.rsplit(" ", 1) for line in text.splitlines() if re.match(rf"{name}[ {{]", line)]
        return sum(float(value) for sample, value in samples if all(label in sample for label in labels))

    def assert_every_stream_ended(self) -> None:
        """Endings sum to starts, and nothing is live."""
        self.until(lambda: self.metric("headrace_streams_live") == 0, within=5)
        assert self.metric("headrace_streams_total") == self.metric("headrace_streams_started_total")


Serve = Callable[..., Served]
