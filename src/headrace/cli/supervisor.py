"""Child processes that serve: one that starts again when a file changes, or several that share the port.

Each child is this same command once more, with the listening socket inherited. It holds the reading end of a pipe whose
writing end is here: when this process dies, however it dies, the child reads the end of the pipe and stops.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from headrace.cli.screen import EXIT_CANNOT_START

LOOK_SECONDS = 0.2
BACKOFF_SECONDS = (0.1, 5.0)
EXIT_STOPPED = 130
SKIPPED_FOLDERS = {"node_modules", "__pycache__", "site-packages"}


class Files:
    """The Python and TOML files below a folder, hidden folders and installed packages left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._times()

    def changed(self) -> str | None:
        """A file that changed, came or went since the last look."""
        before, self._seen = self._seen, self._times()
        different = before.items() ^ self._seen.items()
        return min(os.path.relpath(path, self._folder) for path, _ in different) if different else None

    def _times(self) -> dict[str, int]:
        times = {}
        for path in self._paths():
            try:
                times[path] = os.stat(path).st_mtime_ns
            except OSError:
                continue  # went away between the listing and the look
        return times

    def _paths(self) -> Iterator[str]:
        for parent, folders, names in os.walk(self._folder):
            folders[:] = [name for name in folders if not name.startswith(".") and name not in SKIPPED_FOLDERS]
            if "pyvenv.cfg" in names:
                folders.clear()
            yield from (os.path.join(parent, name) for name in names if name.endswith((".py", ".toml")))


class Supervisor:
    """Starts the children, keeps them, and stops them with itself.

    Args:
        command: the arguments of the headrace command, without the interpreter.
        listener: bound, not listening; the children inherit it.
    """

    def __init__(self, command: list[str], listener: socket.socket) -> None:
        self._alive, self._kept = os.pipe()
        self._inherited = (listener.fileno(), self._alive)
        self._command = [
            *(sys.executable, "-m", "headrace", *command),
            *("--no-reload", "--workers", "1", "--inherit", f"{listener.fileno()},{self._alive}"),
        ]
        self._signals: list[int] = []

    def keep_one(self, files: Files) -> int:
        """One child, started again on every change.

        When it ends by itself before the first change, so do we; after that we wait for the change that mends it.
        """
        child = self._start()
        reloaded = False
        for _ in self._looks():
            if (name := files.changed()) is not None:
                click.secho(f"  {name} changed: starting again", fg="yellow", err=True)
                self._stop([child])
                child, reloaded = self._start(), True
            elif child.poll() is not None and not reloaded:
                return child.returncode
        return self._end([child])

    def keep_many(self, count: int) -> int:
        """Several children that share the port. One that cannot start ends them all; one that dies is started again."""
        children = [self._start() for _ in range(count)]
        pause, retry_at = BACKOFF_SECONDS[0], 0.0
        for now in self._looks():
            dead = [child for child in children if child.poll() is not None]
            if any(child.returncode == EXIT_CANNOT_START for child in dead):
                self._stop(children)
                return EXIT_CANNOT_START
            if dead and now >= retry_at:
                child = dead[0]
                click.secho(f"  worker {child.pid} ended with {child.returncode}: starting another", fg="red", err=True)
                children[children.index(child)] = self._start()
                retry_at, pause = now + pause, min(pause * 2, BACKOFF_SECONDS[1])
            elif not dead and now > retry_at + 60:
                pause = BACKOFF_SECONDS[0]
        return self._end(children)

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in the terminal comes to us alone, and we pass it on once.
        return subprocess.Popen(self._command, pass_fds=self._inherited, start_new_session=True)

    def _looks(self) -> Iterator[float]:
        """Comes back every `LOOK_SECONDS`, with the time, until a signal tells us to stop."""
        handler: Callable[[int, object], None] = lambda number, _: self._signals.append(number)  # noqa: E731
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handler)
        while not self._signals:
            time.sleep(LOOK_SECONDS)
            yield time.monotonic()

    def _stop(self, children: list[subprocess.Popen[bytes]]) -> None:
        """Asks the children to drain, and waits for them; a second signal to us ends them at once."""
        for child in children:
            child.terminate()
        received = len(self._signals)
        while any(child.poll() is None for child in children):
            if len(self._signals) > received:
                for child in children:
                    child.kill()
            time.sleep(LOOK_SECONDS / 10)

    def _end(self, children: list[subprocess.Popen[bytes]]) -> int:
        self._stop(children)
        return EXIT_STOPPED if signal.SIGINT in self._signals else 0
