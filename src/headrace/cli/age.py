"""How long this process has been running, counted from its real start and not from our first line."""

from __future__ import annotations

import os
import time
from pathlib import Path

_IMPORTED = time.monotonic()


def process_age() -> float:
    """Seconds since the process was started; where the system does not tell, since this module was imported."""
    try:
        stat = Path("/proc/self/stat").read_text("utf-8")
        return started_ago(stat, os.sysconf("SC_CLK_TCK"), time.clock_gettime(time.CLOCK_BOOTTIME))
    except (OSError, AttributeError, ValueError, IndexError):
        return time.monotonic() - _IMPORTED


def started_ago(stat: str, ticks_per_second: int, since_boot: float) -> float:
    """Seconds since the start of the process that `stat` is of.

    Args:
        stat: proc_pid_stat(5). Its second field, the command, may hold anything; the 22nd is the start, in clock ticks
            since boot.
        ticks_per_second: of that clock.
        since_boot: seconds, sleep included.
    """
    ticks = int(stat.rpartition(")")[2].split()[19])
    return max(since_boot - ticks / ticks_per_second, 0.0)
