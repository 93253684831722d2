"""What is asked of a socket below its transport; on real loopback connections."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from headrace.server.transport import reset, set_peer_timeout, unacknowledged


class Peers:
    """Both ends of a connection: a transport of ours, and the peer's plain socket."""

    def __init__(self, transport: asyncio.Transport, peer: socket.socket) -> None:
        self.transport = transport
        self.peer = peer


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    made: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            made.set_result(transport)

    listener = socket.create_server(("127.0.0.1", 0))
    set_peer_timeout(listener, 8.0)
    server = await asyncio.get_running_loop().create_server(Protocol, sock=listener)
    peer = socket.create_connection(server.sockets[0].getsockname())
    try:
        yield Peers(await made, peer)
    finally:
        peer.close()
        (await made).abort()
        server.close()


async def test_a_peer_that_vanishes_is_given_up_by_tcp_itself(peers: Peers) -> None:
    sock = peers.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 8000
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 2
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 2
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3


def test_a_unix_socket_has_no_peer_that_could_vanish() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        set_peer_timeout(listener, 8.0)
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


async def test_what_the_peer_has_read_is_acknowledged(peers: Peers) -> None:
    peers.transport.write(b"x" * 1000)
    peers.peer.settimeout(5)
    assert len(peers.peer.recv(2000)) == 1000
    assert unacknowledged(peers.transport) == 0


async def test_what_waits_for_a_peer_that_does_not_read_is_counted(peers: Peers) -> None:
    peers.transport.write(b"x" * 20_000_000)
    assert unacknowledged(peers.transport) > 1_000_000


async def test_a_reset_is_noticed_as_one(peers: Peers) -> None:
    reset(peers.transport)
    await asyncio.sleep(0)
    peers.peer.settimeout(5)
    with pytest.raises(ConnectionResetError):
        peers.peer.recv(1)
