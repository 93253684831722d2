"""This same command in processes of its own, with the listening socket inherited.

A child holds the reading end of a pipe whose writing end is here. The end of the pipe tells it to stop: we close it, or
it closes with this process, however this process dies. A signal would not do: a service manager sends one to all
processes of the service (systemd.kill(5)), ours would be the second one, and a second one cuts open streams.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a child gets from its parent; `--inherit` carries it.

    `announces` is whether it says when it is ready: of several children, one does.
    """

    listener: int
    pipe: int
    announces: bool

    @classmethod
    def read(cls, text: str) -> Inheritance:
        """From `LISTENER,PIPE,ANNOUNCES`. Raises ValueError. What is inherited here goes no further."""
        listener, pipe, announces = (int(part) for part in text.split(","))
        for descriptor in (listener, pipe):
            os.set_inheritable(descriptor, False)
        return cls(listener, pipe, bool(announces))

    def __str__(self) -> str:
        return f"{self.listener},{self.pipe},{int(self.announces)}"


class Child:
    """A child that was started, and the writing end of its pipe."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: int) -> None:
        self._process = process
        self._pipe: int | None = pipe

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

    def stop(self) -> None:
        """Asks it to drain and end. May be called again."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

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
        try:
            inheritance = Inheritance(self._listener.fileno(), read, announces)
            process = subprocess.Popen(
                [*self._command, "--inherit", str(inheritance)],
                stdout=self._output,
                pass_fds=(inheritance.listener, inheritance.pipe),
                start_new_session=True,
            )
        finally:
            os.close(read)
        return Child(process, write)
