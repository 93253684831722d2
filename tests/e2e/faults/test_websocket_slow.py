"""Rows B1-B4 over WebSockets: peers that read slowly, or not at all."""

import socket
import time
from collections.abc import Iterator

import pytest
from crowd import reset
from figures import NAIVE, Figure
from process import resident_bytes
from served import Serve, Served
from wire_socket import PING, Closed, WireSocket, frame

pytestmark = pytest.mark.skipif(NAIVE, reason="the naive server speaks HTTP only")

MIB = 1024 * 1024
STRAIT = "tests/e2e/faults/strait.py"


@pytest.fixture(scope="module")
def pond() -> Iterator[Served]:
    served = Served("run", "tests/e2e/faults/pond.py", "--port", "0", "--write-timeout", "2", "--ping", "1").ready()
    try:
        yield served
        served.assert_every_stream_ended()
    finally:
        served.stop()


def asked(served: Served, path: str, receive_buffer: int | None = None, **arguments: object) -> WireSocket:
    line = WireSocket(served.port, path, v1=True, receive_buffer=receive_buffer)
    line.send_json(arguments)
    return line


def test_b1_a_reader_that_does_not_read_costs_little(pond: Served, figure: Figure) -> None:
    before, made = resident_bytes(pond.process.pid), pond.state()["made"]
    readers = [asked(pond, "/flood", size=128 * MIB) for _ in range(20)]
    pond.until(lambda: pond.state()["running"] == 20, within=5.0)
    time.sleep(1.0)
    grown = (resident_bytes(pond.process.pid) - before) / MIB
    figure("B1", "WebSocket: memory for 20 readers that do not read, MB", grown, 64)
    figure("B1", "WebSocket: made per reader, MB", (pond.state()["made"] - made) / 20 / MIB, 8)
    for reader in readers:
        reset(reader.connection)
    pond.until(lambda: pond.state()["running"] == 0, within=2.0)


def test_b2_a_reader_that_never_reads_is_evicted(pond: Served, figure: Figure) -> None:
    evicted = pond.metric("headrace_streams_total", 'end="slow_reader"')
    reader = asked(pond, "/flood", size=128 * MIB)
    pond.until(lambda: pond.state()["running"] == 1, within=2.0)
    took = pond.until(lambda: pond.state()["running"] == 0, within=10.0)
    figure("B2", "WebSocket: freed after, s, at a write timeout of 2", took, 2 + 4)
    pond.until(lambda: pond.metric("headrace_streams_total", 'end="slow_reader"') == evicted + 1, within=2.0)
    with pytest.raises(ConnectionResetError):
        read_all(reader.connection)
    reader.connection.close()


def read_all(connection: socket.socket) -> None:
    while connection.recv(1 << 20):
        pass


def test_b2_a_reader_that_never_reads_and_talks_on_is_evicted_too(serve: Serve, figure: Figure) -> None:
    """Its messages, which nobody takes, must not hide that it is gone."""
    served = serve(STRAIT, "--write-timeout", "2")
    reader = WireSocket(served.port, "/sing?size=100000")
    reader.connection.sendall(frame(1, b"and I say") * 50_000)
    served.until(lambda: served.state()["running"] == 1, within=2.0)
    took = served.until(lambda: served.state()["running"] == 0, within=10.0)
    figure("B2", "WebSocket: freed after, s, of one that talks, at a write timeout of 2", took, 2 + 4)
    served.until(lambda: served.metric("headrace_streams_total", 'end="slow_reader"') == 1, within=2.0)
    reader.connection.close()


def test_b3_a_slow_and_steady_reader_loses_nothing(pond: Served, figure: Figure) -> None:
    reader = asked(pond, "/blocks", receive_buffer=16 * 1024, count=60, size=20_000)
    began = time.monotonic()
    messages, closed = read_slowly(reader)
    assert closed.code == 1000
    assert time.monotonic() - began > 3.0  # longer than the write timeout, and than two pings
    figure("B3", "WebSocket: items lost of 60", 61 - len(messages), 0)
    reader.connection.close()


def read_slowly(reader: WireSocket) -> tuple[list[str | bytes], Closed]:
    """To the end, at about 300 kB/s, which leaves pings unanswered for long."""
    messages: list[str | bytes] = []
    while True:
        try:
            messages.append(reader.message())
        except Closed as closed:
            return messages, closed
        time.sleep(0.06)


def test_b4_a_slow_reader_does_not_hold_up_others(pond: Served, figure: Figure) -> None:
    stuck = asked(pond, "/flood", size=128 * MIB)
    pond.until(lambda: pond.state()["running"] == 1, within=2.0)
    began = time.monotonic()
    messages, closed = asked(pond, "/drip", pause=0.02, count=50).rest()
    assert (len(messages), closed.code) == (51, 1000)
    figure("B4", "WebSocket: 50 items of 20 ms beside it, s", time.monotonic() - began, 2.0)
    reset(stuck.connection)


def test_a_peer_that_floods_pings_and_reads_nothing_costs_little(serve: Serve, figure: Figure) -> None:
    """Its pongs fill what the kernel takes, then one is kept; after the write timeout it is gone."""
    served = serve(STRAIT, "--write-timeout", "2")
    line = WireSocket(served.port, "/deaf", receive_buffer=16 * 1024)
    served.until(lambda: served.state()["running"] == 1, within=2.0)
    before = resident_bytes(served.process.pid)
    grown, sent, pings = 0, 0, frame(PING, b"x" * 125) * 1000
    line.connection.settimeout(0.5)
    began = time.monotonic()
    try:
        while time.monotonic() - began < 10 and served.state()["running"]:
            sent += line.connection.send(pings)
            grown = max(grown, resident_bytes(served.process.pid) - before)
    except (TimeoutError, ConnectionError):
        pass  # evicted
    figure("H10", "WebSocket: memory for a flood of pings whose pongs nobody reads, MB", grown / MIB, 24)
    served.until(lambda: served.state()["running"] == 0, within=8)
    assert sent > 8 * MIB
    line.connection.close()
