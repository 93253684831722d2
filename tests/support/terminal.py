"""A command in a terminal of its own, with somebody who types."""

import contextlib
import os
import pty
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

CTRL_D = "\x04"


class Terminal:
    """`python -m headrace ...` in a terminal. What it prints is kept without its escape sequences."""

    def __init__(self, *arguments: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.raw = b""
        self._seen = 0  # characters of the output that were waited for
        self._master, slave = pty.openpty()
        self._changed = threading.Condition()
        variables = {**os.environ, "TERM": "xterm", "PYTHONUTF8": "1", **(environment or {})}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-m", "headrace", *arguments],
            cwd=folder,
            env=variables,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        os.close(self._master)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: everybody on the other side has closed it
            while data := os.read(self._master, 65536):
                with self._changed:
                    self.raw += data
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def output(self) -> str:
        text = self.raw.decode("utf-8", "replace")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r\n", "\n")

    def type(self, text: str) -> None:
        """Types a text; a line needs its `\\n`."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Presses Ctrl-C as soon as the command waits: Python loses one between a prompt and the wait for a key."""
        status = Path(f"/proc/{self.process.pid}/stat")
        ends = time.monotonic() + 15
        while status.read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < ends, "the command is busy"
            time.sleep(0.001)
        self.type("\x03")

    def until(self, text: str, within: float = 15.0) -> None:
        """Waits until a text was printed after whatever was waited for before."""
        ends = time.monotonic() + within
        with self._changed:
            while (place := self.output.find(text, self._seen)) < 0:
                left = ends - time.monotonic()
                assert left > 0, f"no {text!r} within {within} s, after {self.output!r}"
                self._changed.wait(left)
            self._seen = place + len(text)

    def exit_code(self, within: float = 15.0) -> int:
        """Waits for the command to end by itself."""
        return self.process.wait(within)
