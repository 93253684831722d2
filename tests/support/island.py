"""A second host: a network namespace with a cable to this one, which can be pulled. Needs root and iproute2 (Linux)."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

HERE, THERE = "10.200.77.1", "10.200.77.2"

AVAILABLE = os.geteuid() == 0 and shutil.which("ip") is not None


class Island:
    """The other host. `HERE` is this one, as it sees us."""

    def __init__(self, name: str) -> None:
        self.name = name

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Starts a program there."""
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], stdout=subprocess.PIPE, text=True)

    def vanish(self) -> None:
        """Pulls the cable: nothing comes from there any more, no FIN and no RST."""
        _ip("-n", self.name, "link", "set", f"{self.name}b", "down")


@contextmanager
def island() -> Iterator[Island]:
    """Makes the host, and takes it away with all that it has."""
    name = f"hr{os.getpid() % 100_000}"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        _ip("addr", "add", f"{HERE}/30", "dev", f"{name}a")
        _ip("link", "set", f"{name}a", "up")
        _ip("-n", name, "addr", "add", f"{THERE}/30", "dev", f"{name}b")
        _ip("-n", name, "link", "set", f"{name}b", "up")
        yield Island(name)
    finally:
        _ip("netns", "del", name)
        subprocess.run(["ip", "link", "del", f"{name}a"], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)
