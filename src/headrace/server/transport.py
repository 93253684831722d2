"""What asyncio's transports do not offer: how much the peer has not acknowledged, its timeout, and a reset."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios


def set_peer_timeout(transport: asyncio.Transport, seconds: float) -> None:
    """Ends the connection when the peer answers nothing for that long, with data under way or without (RFC 5482)."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        quarter = max(1, round(seconds / 4))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, quarter)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, quarter)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


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
