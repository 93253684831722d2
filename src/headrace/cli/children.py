"""This same command in processes of its own, with the listening socket inherited.

A child holds the reading end of a pipe whose writing end is here. The end of the pipe tells it to stop: we close it, or
it closes with this process, however this process dies. A signal would not do: a service manager sends one to all
processes of the service (systemd.kill(5)), ours would be the second one, and a second one cuts open streams.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a child gets from its parent; `--inherit` carries it.

    Attributes:
        listener: the socket.
        pipe: reads its end when the child shall stop.
        ready: what the child writes to when it answers requests.
        announces: whether it also says so on the screen: of several children, one does.
    """

    listener: int
    pipe: int
    ready: int
    announces: bool

    @classmethod
    def read(cls, text: str) -> Inheritance:
        """From `LISTENER,PIPE,READY,ANNOUNCES`. Raises ValueError. What is inherited here goes no further."""
        listener, pipe, ready, announces = (int(part) for part in text.split(","))
        for descriptor in (listener, pipe, ready):
            os.set_inheritable(descriptor, False)
        return cls(listener, pipe, ready, bool(announces))

    def __str__(self) -> str:
        return f"{self.listener},{self.pipe},{self.ready},{int(self.announces)}"


class Child:
    """A child that was started.

    Args:
        pipe: the writing end of the pipe whose end stops it.
        ready: the reading end of the one that it writes to when it answers.
    """

    def __init__(self, process: subprocess.Popen[bytes], pipe: int, ready: int) -> None:
        self._process = process
        self._pipe: int | None = pipe
        self._ready: int | None = ready
        self._is_ready = False
        os.set_blocking(ready, False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """None while it runs, then its exit code as shells count: 128 and the signal where a signal ended it."""
        code = self._process.poll()
        if code is None:
            return None
        self.stop()
        return 128 - code if code < 0 else code

    def ready(self) -> bool:
        """Whether it answers requests."""
        if self._ready is not None and not self._is_ready:
            with contextlib.suppress(BlockingIOError):
                self._is_ready = os.read(self._ready, 1) != b""
        return self._is_ready

    def stop(self) -> None:
        """Asks it to drain and end. May be called again."""
        for descriptor in (self._pipe, self._ready):
            if descriptor is not None:
                os.close(descriptor)
        self._pipe = self._ready = None

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def wait(self) -> int:
        """Waits for its end; its exit code, as of `poll`."""
        self._process.wait()
        code = self.poll()
        assert code is not None
        return code


class Children:
    """Starts children.

    Args:
        arguments: of the headrace command.
        listener: bound; the children listen on it.
        output: where their standard output goes; None is our own.
    """

    def __init__(self, arguments: Sequence[str], listener: socket.socket, output: int | None = None) -> None:
        # -P: a token.py in the current folder must not come before Python's own while the command itself is imported.
        self._command = [sys.executable, "-P", "-m", "headrace", *arguments]
        self._listener = listener
        self._output = output

    def start(self, *, announces: bool = True) -> Child:
        """One more child. Its session is its own: Ctrl-C in the terminal comes to us alone."""
        read, write = os.pipe()
        ready, said = os.pipe()
        try:
            inheritance = Inheritance(self._listener.fileno(), read, said, announces)
            process = subprocess.Popen(
                [*self._command, "--inherit", str(inheritance)],
                stdout=self._output,
                pass_fds=(inheritance.listener, inheritance.pipe, inheritance.ready),
                start_new_session=True,
            )
        finally:
            os.close(read)
            os.close(said)
        return Child(process, write, ready)
