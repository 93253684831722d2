"""Ends vLLM's processes when this one is gone, however it went.

They do not notice by themselves that nobody is left who could ask them anything, and would keep a GPU's memory.
A small process of its own waits at the end of a pipe, which the system closes with whoever holds the other end. It runs
this file as a script: `python guard.py SECONDS PID ...`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence


class Guard:
    """Starts the process that waits.

    Args:
        pids: of the processes that end with this one.
        grace: seconds from the wish that they end to their end by force.
    """

    def __init__(self, pids: Sequence[int], grace: float = 4.0) -> None:
        command = [sys.executable, "-I", "-S", __file__, str(grace), *map(str, pids)]
        # A session of its own: Ctrl-C at a terminal goes to all processes of one.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    @property
    def pid(self) -> int:
        """Of the process that waits."""
        return self._process.pid

    def close(self) -> None:
        """Ends what is guarded, if it is there still; blocks until it is gone."""
        self._process.communicate()


def main(grace: float, pids: Sequence[int]) -> None:
    """Waits until its input ends, then ends these processes: with a wish, and after the grace by force."""
    handles = [handle for pid in pids if (handle := _opened(pid)) is not None]
    sys.stdin.buffer.read()
    for wish, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 0.0)):
        for handle in handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, wish)
        handles = _left(handles, patience)


def _opened(pid: int) -> int | None:
    """What stands for the process itself: its number may be another one's later."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _left(handles: list[int], seconds: float) -> list[int]:
    """Those that are still there when the last one has ended, or the time is over."""
    deadline = time.monotonic() + seconds
    while handles and (patience := deadline - time.monotonic()) > 0:
        ended, _, _ = select.select(handles, [], [], patience)
        handles = [handle for handle in handles if handle not in ended]
    return handles


if __name__ == "__main__":
    main(float(sys.argv[1]), [int(pid) for pid in sys.argv[2:]])
