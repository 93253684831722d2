"""Takes the port before anything else starts, and says who has it when it is taken."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

NEXT_PORTS = 50
"""How many ports after the wanted one `dev` tries."""


class PortTaken(Exception):
    """Another process listens there; `owner` says which, as far as this system tells."""

    def __init__(self, host: str, port: int) -> None:
        self.owner = owner(port)
        super().__init__(f"HR11 port {port} on {host} is in use by {self.owner}")


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address and not yet listening: until the service is ready, clients are refused.

    Raises:
        PortTaken: another process listens there.
        OSError: the address cannot be used at all.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host, port) from error
        raise
    return listener


def bind_next(host: str, port: int) -> socket.socket:
    """As `bind`, on the first free port from `port` on. Raises PortTaken when none of the next ones is free."""
    for candidate in range(port, min(port + NEXT_PORTS, 65_536)):
        try:
            return bind(host, candidate)
        except PortTaken:
            continue
    raise PortTaken(host, port)


def url(listener: socket.socket) -> str:
    """Where a browser finds the listener."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}/"


def owner(port: int) -> str:
    """The process that listens on a port: `python3 (pid 4711)` on Linux, else "another process"."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            links = [link.readlink().name for link in (process / "fd").iterdir()]
        except OSError:
            continue  # gone, or somebody else's
        if inodes.intersection(links):
            name = (process / "comm").read_text().strip()
            return f"{name} (pid {process.name})"
    return "another process"


def _listening_inodes(port: int) -> set[str]:
    """The sockets that listen on the port, from the kernel's tables (proc_pid_net(5): state 0A is LISTEN)."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found
