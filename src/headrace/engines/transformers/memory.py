"""How many positions the free memory has room for.

A pool takes memory for all its rows and positions, on a CPU only as they are used: then a pool that is too large would
be found out by the system, in the middle of an answer, by ending the process. So it is measured before.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

SHARE = 0.8
"""Of the free memory, for keys and values; the rest is for what a step computes with, and for others."""


class NoRoom(Exception):
    """The free memory has no room for a pool of the size that it must have."""


def fitting(rows: int, most: int, least: int, position_bytes: int, free: int) -> int:
    """The positions of each row, from `least` to `most`.

    Args:
        rows: of the pool.
        most: positions, where there is room for them.
        least: positions that it must have.
        position_bytes: of one position in one row.
        free: bytes.

    Raises:
        NoRoom: it cannot have them.
    """
    fits = min(most, int(free * SHARE) // max(1, rows * position_bytes))
    if fits < least:
        raise NoRoom(f"there is room for {fits} positions in each of {rows} rows, not for {least}")
    return fits


def free_bytes(device: torch.device, root: Path = Path("/")) -> int:
    """The memory of a device that nobody has taken; where that is not known, more than anybody has.

    On Linux, of the machine and of the control group (version 2) that the process is in, the smaller one.

    Args:
        device: as torch has it.
        root: of the file system.
    """
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    if device.type != "cpu":
        return sys.maxsize
    machine = 1024 * _numbers(root / "proc/meminfo").get("MemAvailable:", sys.maxsize)
    group = root / "sys/fs/cgroup"
    limit, used = (_number(group / name) for name in ("memory.max", "memory.current"))
    if limit is None or used is None:
        return machine
    pages = _numbers(group / "memory.stat").get("inactive_file", 0)  # of files, given back when they are needed
    return min(machine, max(0, limit - used + pages))


def _numbers(file: Path) -> dict[str, int]:
    """The first two words of each line, where the second one is a number."""
    try:
        words = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return {}
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdigit()}


def _number(file: Path) -> int | None:
    """None where the file says something else (`max`), or is not there."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
