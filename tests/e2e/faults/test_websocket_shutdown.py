"""Rows G1-G4 over WebSockets: the server is told to stop. What can end well does, the rest is told, and all in time."""

import contextlib
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from crowd import answer_in, rest_of
from figures import NAIVE, Figure
from served import Serve, Served, receive
from wire_socket import Closed, WireSocket, frame, handshake

pytestmark = pytest.mark.skipif(NAIVE, reason="the naive server speaks HTTP only")

STRAIT = "tests/e2e/faults/strait.py"


def tell(served: Served) -> float:
    """SIGTERM; when."""
    served.process.send_signal(signal.SIGTERM)
    return time.monotonic()


def end_of(served: Served, within: float) -> tuple[int, float]:
    """Waits for the end of the process: its exit code, and when that was."""
    code = served.process.wait(within)
    at = time.monotonic()
    assert served.exit_code() == code
    return code, at


def read(line: WireSocket) -> tuple[list[str | bytes], Closed, float]:
    """The rest of a session, and when it ended."""
    messages, closed = line.rest()
    return messages, closed, time.monotonic()


def sessions(served: Served, count: int, path: str) -> list[WireSocket]:
    return [WireSocket(served.port, path) for _ in range(count)]


def test_sessions_that_end_in_time_end_whole(serve: Serve, figure: Figure) -> None:
    served = serve(STRAIT)
    lines = sessions(served, 100, "/count?to=40&pause=0.05")
    served.until(lambda: served.state()["running"] == 100, within=5)
    told = tell(served)
    with ThreadPoolExecutor(100) as pool:
        ends = list(pool.map(read, lines))
    code, ended = end_of(served, within=15)
    whole = sum(messages == [str(n) for n in range(40)] and closed.code == 1000 for messages, closed, _ in ends)
    last = max(at for _, _, at in ends)
    assert last > told + 0.5
    figure("G1", "WebSocket: sessions cut short of 100 that were live at SIGTERM", 100 - whole, 0)
    figure("G1", "WebSocket: exit code", abs(code), 0)
    figure("G1", "WebSocket: exit after the last session, s", ended - last, 2.0)


def test_a_peer_that_answers_no_close_frame_does_not_hold_up_the_end(serve: Serve, figure: Figure) -> None:
    served = serve(STRAIT)
    line = WireSocket(served.port, "/count?to=5&pause=0.2")
    served.until(lambda: served.state()["running"] == 1, within=5)
    told = tell(served)
    _, ended = end_of(served, within=15)
    messages, closed, _ = read(line)
    assert (messages, closed.code) == (["0", "1", "2", "3", "4"], 1000)
    figure("G1", "WebSocket: exit after a session of 1 s whose peer answers no close frame, s", ended - told - 1, 2.0)


def test_sessions_that_do_not_end_in_time_are_told(serve: Serve, figure: Figure) -> None:
    served = serve(STRAIT, "--drain", "1")
    lines = sessions(served, 20, "/echo") + sessions(served, 15, "/sing?size=2") + sessions(served, 15, "/hush?words=1")
    waiting = sessions(served, 10, "/count")  # for their arguments
    served.until(lambda: served.state()["running"] >= 35, within=5)
    lines += waiting
    told = tell(served)
    with ThreadPoolExecutor(60) as pool:
        ends = list(pool.map(read, lines))
    code, ended = end_of(served, within=10)
    said = sum(closed.code == 1012 and closed.reason.startswith("shutting_down") for _, closed, _ in ends)
    late = sum(closed.code == 1011 and closed.reason.startswith("timeout_item") for _, closed, _ in ends)
    figure("G2", "WebSocket: sessions of 60 that were not told", 60 - said - late, 0)
    figure("G2", "WebSocket: exit after a drain of 1 s, s", ended - told, 3.0)
    assert said >= 45
    assert code == 0


def test_nothing_that_hangs_delays_the_end(serve: Serve, figure: Figure) -> None:
    served = serve(STRAIT, "--drain", "1")
    blocked = sessions(served, 5, "/blocks?seconds=60")
    stalled = sessions(served, 5, "/sing?size=1000000")
    fresh = [served.connect() for _ in range(5)]
    unread = sessions(served, 5, "/deaf")
    for line in unread:
        line.connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            line.connection.send(frame(1, b"x" * 1000) * 1000)
    served.until(lambda: served.state()["running"] == 15, within=5)
    time.sleep(0.3)
    told = tell(served)
    for connection in fresh:
        rest_of(connection)
    figure("G3", "WebSocket: connections without a handshake closed after, s", time.monotonic() - told, 1.5)
    _, ended = end_of(served, within=15)
    figure("G3", "WebSocket: exit with blocked threads, stalled and unread peers, drain 1 s, s", ended - told, 4.0)
    for line in blocked + stalled + unread:
        line.connection.close()


def test_no_handshake_is_half_answered_while_draining(serve: Serve, figure: Figure) -> None:
    served = serve(STRAIT)
    running = WireSocket(served.port, "/count?to=15&pause=0.1")
    served.until(lambda: served.state()["running"] == 1, within=5)
    kept = [served.connect() for _ in range(5)]
    for connection in kept:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        receive(connection, b'"ready"}')
    fresh = [served.connect() for _ in range(5)]
    time.sleep(0.1)
    tell(served)
    time.sleep(0.15)
    wrong = 0
    for connection in kept + fresh:
        wrong += not refused_on(connection)
    for _ in range(10):
        wrong += not refused(served.port)
    figure("G4", "WebSocket: handshakes of 20 that were not cleanly refused", wrong, 0)
    messages, closed = running.rest()
    assert (messages, closed.code) == ([str(n) for n in range(15)], 1000)
    end_of(served, within=10)


def refused(port: int) -> bool:
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    except ConnectionRefusedError:
        return True
    return refused_on(connection)


def refused_on(connection: socket.socket) -> bool:
    """Not a byte was answered, or it was a 503 that closes."""
    try:
        connection.sendall(handshake("/echo"))
        received = rest_of(connection)
    except ConnectionError:
        connection.close()
        return True
    answer = answer_in(received)
    return not received or (answer.status == 503 and answer.headers.get("connection", "").lower() == "close")
