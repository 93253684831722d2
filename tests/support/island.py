"""A second host: a network namespace with a cable to this one. Needs root and iproute2 (Linux)."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

HERE, THERE = "10.200.77.1", "10.200.77.2"
ADDRESS = "02:00:0a:c8:4d:02"  # of its end of the cable

AVAILABLE = os.geteuid() == 0 and shutil.which("ip") is not None


class Island:
    """The other host. `HERE` is this one, as it sees us."""

    def __init__(self, name: str) -> None:
        self.name = name

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Starts a program there."""
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], stdout=subprocess.PIPE, text=True)

    def vanish(self) -> None:
        """Nothing comes from there any more, no FIN and no RST.

        What is sent there still leaves this host, as it does when a phone behind routers is gone. With our own cable
        pulled nothing would leave, and then Linux is late with its TCP_USER_TIMEOUT by a retransmission or so.
        """
        _ip("-n", self.name, "addr", "flush", "dev", f"{self.name}b")


@contextmanager
def island() -> Iterator[Island]:
    """Makes the host, and takes it away with all that it has."""
    name = f"hr{os.getpid() % 100_000}"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "address", ADDRESS, "netns", name)
        _ip("addr", "add", f"{HERE}/30", "dev", f"{name}a")
        _ip("link", "set", f"{name}a", "up")
        _ip("-n", name, "addr", "add", f"{THERE}/30", "dev", f"{name}b")
        _ip("-n", name, "link", "set", f"{name}b", "up")
        _ip("neigh", "replace", THERE, "lladdr", ADDRESS, "dev", f"{name}a", "nud", "permanent")
        yield Island(name)
    finally:
        _ip("netns", "del", name)
        subprocess.run(["ip", "link", "del", f"{name}a"], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)
