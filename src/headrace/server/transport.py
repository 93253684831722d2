"""What asyncio does not offer of a socket: the peer's timeout, how much it has not acknowledged, and a reset."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios


def set_peer_timeout(listener: socket.socket, seconds: float) -> None:
    """Ends a connection when its peer answers nothing for that long, with data under way or without (RFC 5482).

    The options stand on the listening socket: those that it accepts are copies of it, so a connection pays nothing.
    """
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        quarter = max(1, round(seconds / 4))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, quarter)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, quarter)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def unacknowledged(transport: asyncio.Transport) -> int:
    """Bytes that were written and that the peer has not acknowledged: ours, and the kernel's (tcp(7), SIOCOUTQ)."""
    size = transport.get_write_buffer_size()
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return size
    (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    return size + int(queued)


def reset(transport: asyncio.Transport) -> None:
    """Closes the connection with RST: what the peer has not read is gone, and it is told so."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
