"""Takes the port before anything else starts, and says who has it when it is taken."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

NEXT_PORTS = 50
"""How many ports from the wanted one on are tried for a free one."""


class PortTaken(Exception):
    """Another process has the port; `owner` says which, as far as this system tells."""

    def __init__(self, host: str, port: int) -> None:
        self.owner = owner(port)
        super().__init__(f"port {port} on {host} is in use by {self.owner}")


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address and not yet listening: until the service is ready, clients are refused.

    While it does not listen, SO_REUSEADDR would let a second process bind beside it and fail minutes later, when its
    model is loaded. So the option is used only where the port cannot be had without it: after a server whose closed
    connections linger (TIME_WAIT). See `share`.

    Raises:
        PortTaken: another process has it.
        OSError: the address cannot be used at all.
    """
    for reuse in (False, True):
        try:
            return _bound(host, port, reuse)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise PortTaken(host, port)


def bind_next(host: str, port: int) -> socket.socket:
    """As `bind`, on the first free port from `port` on. Raises PortTaken when none of the next ones is free."""
    for candidate in range(port, min(port + NEXT_PORTS, 65_536)):
        try:
            return bind(host, candidate)
        except PortTaken:
            continue
    raise PortTaken(host, port)


def free_port(host: str, port: int) -> int | None:
    """The first port after this one that could be bound now."""
    try:
        with bind_next(host, port + 1) as listener:
            return port_of(listener)
    except (PortTaken, OSError):
        return None


def share(listener: socket.socket) -> None:
    """Lets the next server have the port while connections of this one linger. For a socket that listens."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def port_of(listener: socket.socket) -> int:
    """The port that it is bound to."""
    port: int = listener.getsockname()[1]
    return port


def url(listener: socket.socket) -> str:
    """Where a browser finds the listener."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}/"


def owner(port: int, proc: Path = Path("/proc")) -> str:
    """The process that listens on a port: `python3 (pid 4711)` on Linux, else "another process"."""
    sockets = _listening_sockets(port, proc)
    processes = sorted(proc.glob("[0-9]*"), key=lambda process: int(process.name)) if sockets else []
    for process in processes:  # the oldest first: it has started the others that share the socket
        try:
            if any(_target(link) in sockets for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue  # gone, or somebody else's
    return "another process"


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""  # closed since the folder was listed


def _bound(host: str, port: int, reuse: bool) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _listening_sockets(port: int, proc: Path) -> set[str]:
    """The sockets that listen on the port, from the kernel's tables (proc_pid_net(5): state 0A is LISTEN)."""
    found = set()
    for table in ("net/tcp", "net/tcp6"):
        try:
            rows = (proc / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found
