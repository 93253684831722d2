"""Slow peers, stuck peers, and requests that are not what they should be: rows A8, A10, B1-B8, C3, H1-H3, H6."""

import http.client
import os
import random
import re
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from figures import NAIVE, Figure
from island import AVAILABLE, HERE, island
from process import cpu_seconds, descriptors, resident_bytes
from served import Served, receive

from headrace.wire.ndjson import NdjsonDecoder
from headrace.wire.stream_types import stream_types

MIB = 1024 * 1024
TARGET = "tests/e2e/faults/pond.py"
HEAD = b"host: localhost\r\ncontent-type: application/json\r\n"
BOUNDS = ("--head-timeout", "1.5", "--body-timeout", "1.5", "--write-timeout", "2", "--peer-timeout", "5")


@pytest.fixture(scope="function" if NAIVE else "module")  # what one test leaves in a plain server fails the next
def pond() -> Iterator[Served]:
    flags = ("--port", "0", "--heartbeat", "0.5", "--keep-alive", "1", *BOUNDS)
    if NAIVE:
        served = Served("pond", *flags, program=("tests/e2e/faults/naive.py",)).ready()
    else:
        served = Served("run", TARGET, *flags).ready()
    try:
        yield served
        if not NAIVE:
            served.assert_every_stream_ended()
    finally:
        served.stop(signal.SIGKILL if NAIVE else signal.SIGTERM)


def wait_for_close(connection: socket.socket, seconds: float) -> None:
    """Waits until the peer closes. What it still sends is dropped."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass


def status_of(answer: bytes) -> int:
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0


def answer_to(served: Served, data: bytes, within: float = 5.0) -> bytes:
    """All that the server answers until it closes; empty when it answers nothing."""
    connection = served.connect()
    connection.settimeout(within)
    received = b""
    try:
        connection.sendall(data)
        while piece := connection.recv(65536):
            received += piece
    except ConnectionError:
        pass
    finally:
        connection.close()
    return received


def leave(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# -- A: who leaves behind others, and who vanishes


def test_a8_a_client_that_leaves_is_noticed_behind_its_pipelined_request(pond: Served, figure: Figure) -> None:
    slowest = 0.0
    for _ in range(20):
        connection = pond.send("/drip", {"pause": 0.05})
        receive(connection, b"drop")
        connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        time.sleep(0.01)
        leave(connection)
        slowest = max(slowest, pond.until(lambda: pond.state()["running"] == 0, within=2.0))
    figure("A8", "freed after, s, slowest of 20", slowest, 2.0)


def test_a8_many_pipelined_requests_take_no_memory(pond: Served, figure: Figure) -> None:
    before = resident_bytes(pond.process.pid)
    connection = pond.send("/drip", {"pause": 0.05})
    receive(connection, b"drop")
    try:
        for _ in range(2000):
            connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nx-fill: " + b"x" * 1000 + b"\r\n\r\n")
    except ConnectionError:
        pass
    pond.until(lambda: pond.state()["running"] == 0, within=5.0)
    connection.close()
    figure("A8", "memory for 2,000 pipelined requests, MB", (resident_bytes(pond.process.pid) - before) / MIB, 20)


READERS = """
import socket, sys, time
host, port, path, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
head = f"POST {path} HTTP/1.1\\r\\nhost: {host}\\r\\ncontent-type: application/json\\r\\ncontent-length: 15\\r\\n\\r\\n"
held = []
for _ in range(count):
    held.append(socket.create_connection((host, port)))
    held[-1].sendall(head.encode() + b'{"pause": 0.05}')
print("reading", flush=True)
while True:
    for reader in held:
        reader.recv(65536)
"""


@pytest.mark.skipif(not AVAILABLE and "CI" not in os.environ, reason="needs root and iproute2 for a second host")
@pytest.mark.parametrize(("path", "asked"), [("/drip", 5.0), ("/hush", 20.0)], ids=["active", "silent"])
def test_a10_a_peer_that_vanishes_is_noticed(figure: Figure, path: str, asked: float) -> None:
    served = Served("run", TARGET, "--host", "0.0.0.0", "--port", "0", "--peer-timeout", "4", "--heartbeat", "60")
    served.ready()
    try:
        with island() as other:
            reader = other.start(sys.executable, "-c", READERS, HERE, str(served.port), path, "30")
            assert reader.stdout is not None
            assert reader.stdout.readline() == "reading\n"
            served.until(lambda: served.state()["running"] == 30, within=5.0)
            other.vanish()
            took = served.until(lambda: served.state()["running"] == 0, within=asked + 5)
            reader.kill()
            reader.communicate()
        figure("A10", f"freed after, s, 30 of 30 ({path[1:]}), at a peer timeout of 4", took, asked)
        served.assert_every_stream_ended()
    finally:
        served.stop()


# -- B: slow peers


def test_b1_a_reader_that_does_not_read_costs_little(pond: Served, figure: Figure) -> None:
    before, made = resident_bytes(pond.process.pid), pond.state()["made"]
    readers = [pond.send("/flood", {"size": 128 * MIB}) for _ in range(20)]
    pond.until(lambda: pond.state()["running"] == 20, within=5.0)
    time.sleep(1.0)
    figure("B1", "memory for 20 readers that do not read, MB", (resident_bytes(pond.process.pid) - before) / MIB, 64)
    figure("B1", "made per reader, MB", (pond.state()["made"] - made) / 20 / MIB, 8)
    for reader in readers:
        leave(reader)
    pond.until(lambda: pond.state()["running"] == 0, within=2.0)


def test_b2_a_reader_that_never_reads_is_evicted(pond: Served, figure: Figure) -> None:
    evicted = pond.metric("headrace_streams_total", 'end="slow_reader"')
    reader = pond.send("/flood", {"size": 128 * MIB})
    pond.until(lambda: pond.state()["running"] == 1, within=2.0)
    took = pond.until(lambda: pond.state()["running"] == 0, within=10.0)
    figure("B2", "freed after, s, at a write timeout of 2", took, 2 + 4)
    pond.until(lambda: pond.metric("headrace_streams_total", 'end="slow_reader"') == evicted + 1, within=2.0)
    reader.settimeout(5.0)
    with pytest.raises(ConnectionResetError):
        receive(reader, b"never there")
    reader.close()


def test_b3_a_slow_and_steady_reader_loses_nothing(pond: Served, figure: Figure) -> None:
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    reader.connect(("127.0.0.1", pond.port))
    body = b'{"count": 60, "size": 20000}'
    head = b"POST /blocks HTTP/1.1\r\naccept: application/x-ndjson\r\ncontent-length: %d\r\n" % len(body)
    reader.sendall(head + HEAD + b"\r\n" + body)
    started = time.monotonic()
    reader.settimeout(10)
    received = b""
    while b'"end"' not in received[-400:]:
        piece = reader.recv(6000)
        assert piece, "closed before the end"
        received += piece
        time.sleep(0.02)
    reader.close()
    decoder = NdjsonDecoder(stream_types(str))
    events = decoder.feed(unchunked(received.partition(b"\r\n\r\n")[2])) + decoder.finish()
    assert time.monotonic() - started > 3.0  # longer than the write timeout
    figure("B3", "items lost of 60", 61 - len(events), 0)


def test_b4_a_slow_reader_does_not_hold_up_others(pond: Served, figure: Figure) -> None:
    stuck = pond.send("/flood", {"size": 128 * MIB})
    pond.until(lambda: pond.state()["running"] == 1, within=2.0)
    started = time.monotonic()
    assert pond.post("/drip", {"pause": 0.02, "count": 50}, accept="text/plain")[2] == b"drop " * 50
    figure("B4", "50 items of 20 ms beside it, s", time.monotonic() - started, 2.0)
    leave(stuck)


def test_b5_heads_that_drip_and_connections_that_are_silent_are_closed(pond: Served, figure: Figure) -> None:
    connections = [pond.connect() for _ in range(200)]
    for number, connection in enumerate(connections):
        if number % 2:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n")
    started = time.monotonic()
    health = []
    for _ in range(20):
        asked = time.monotonic()
        assert pond.request("GET", "/readyz")[0] == 200
        health.append(time.monotonic() - asked)
        time.sleep(0.02)
    answers = []
    for connection in connections:
        connection.settimeout(10)
        answers.append(connection.recv(65536))
        connection.close()
    figure("B5", "closed after, s, at a head timeout of 1.5", time.monotonic() - started, 1.5 + 5)
    figure("B5", "health beside it, s", max(health), 0.5)
    assert [status_of(answer) for answer in answers] == [0, 408] * 100


@pytest.mark.parametrize("drips", [False, True], ids=["stops", "drips"])
def test_b6_a_body_that_does_not_come_is_408(pond: Served, figure: Figure, drips: bool) -> None:
    connections = [pond.connect() for _ in range(50)]
    head = b"POST /drip HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{"
    for connection in connections:
        connection.sendall(head)
    started = time.monotonic()
    while drips and time.monotonic() - started < 1.6:
        for connection in connections:
            connection.sendall(b" ")
        time.sleep(0.1)
    answers = []
    for connection in connections:
        if drips:
            connection.sendall(b" ")
        answers.append(receive(connection, b"}"))
        connection.close()
    assert {status_of(answer) for answer in answers} == {408}
    figure("B6", f"told after, s ({'drips' if drips else 'stops'}), at 1.5", time.monotonic() - started, 1.5 + 2)


def test_b7_idle_connections_are_closed_and_busy_ones_are_not(pond: Served, figure: Figure) -> None:
    idle = [pond.connect() for _ in range(50)]
    for connection in idle:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        receive(connection, b"ready")
    busy = pond.send("/drip", {"pause": 0.1, "count": 25}, accept="application/x-ndjson")
    started = time.monotonic()
    for connection in idle:
        wait_for_close(connection, 5.0)
        connection.close()
    figure("B7", "idle connections closed after, s, at 1", time.monotonic() - started, 1.0 + 1.5)
    assert b'"end"' in receive(busy, b"0\r\n\r\n")
    busy.close()


def is_healthy(served: Served) -> bool:
    try:
        return served.request("GET", "/readyz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_b8_a_server_out_of_descriptors_rests_and_recovers(figure: Figure) -> None:
    script = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64));"
        f"sys.argv = ['headrace', 'run', {TARGET!r}, '--port', '0']; runpy.run_module('headrace', run_name='__main__')"
    )
    served = Served(program=("-c", script)).ready()
    served.line_with("/breaks")  # the last line of what it prints when it is ready
    connections: list[socket.socket] = []
    try:
        connections += [served.connect() for _ in range(100)]
        before, logged = cpu_seconds(served.process.pid), len(served.output)
        time.sleep(3.0)
        figure("B8", "CPU in 3 s without descriptors, s", cpu_seconds(served.process.pid) - before, 1.0)
        told = [line for line in served.output[logged:] if "new clients wait" in line]
        assert told
        figure("B8", "log lines in these 3 s", len(served.output) - logged, 4)
        for connection in connections:
            connection.close()
        figure("B8", "healthy after, s", served.until(lambda: is_healthy(served), within=5.0), 3.0)
        served.assert_every_stream_ended()
    finally:
        for connection in connections:
            connection.close()
        served.stop()


# -- C3: HTTP/1.0


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream"])
def test_c3_an_old_client_gets_no_chunks_and_is_told_in_band(pond: Served, accept: str) -> None:
    body = b'{"after": 3}'
    head = f"POST /breaks HTTP/1.0\r\naccept: {accept}\r\ncontent-type: application/json\r\n"
    answer = answer_to(pond, f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    assert b"transfer-encoding" not in answer.lower()
    assert b'"code":"internal"' in answer
    assert answer.count(b"part") == 3


def test_c3_text_that_fails_resets_an_old_client_after_all_of_it(pond: Served) -> None:
    body = b'{"after": 3}'
    head = (
        b"POST /breaks HTTP/1.0\r\naccept: text/plain\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n"
    )
    connection = pond.connect()
    connection.sendall(head + body)
    receive(connection, lambda received: received.count(b"part") == 3)
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    connection.close()


# -- H: hostile input

CHUNKED = b"POST /drip HTTP/1.1\r\n" + HEAD + b"transfer-encoding: chunked\r\n\r\n"
AMBIGUOUS = [
    b"POST /drip HTTP/1.1\r\n" + HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /drip HTTP/1.1\r\n" + HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
    b"POST /drip HTTP/1.1\r\n" + HEAD + b"content-length: +2\r\n\r\n{}",
    b"POST /drip HTTP/1.1\r\n" + HEAD + b"content-length: 0x2\r\n\r\n{}",
    b"POST /drip HTTP/1.1\r\n" + HEAD + b"content-length: -1\r\n\r\n{}",
    b"POST /drip HTTP/1.1\r\n" + HEAD + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"POST /drip HTTP/1.1\r\n" + HEAD + b"transfer-encoding: chunked\r\n\r\nx\r\n\r\n",
    b"POST /drip HTTP/1.1\r\n" + HEAD + b"transfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
    b"GET /readyz HTTP/1.1\r\nhost : localhost\r\n\r\n",
    b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nhost: other\r\n\r\n",
    b"GET /readyz HTTP/1.1\r\n\r\n",
    b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n folded: x\r\n\r\n",
    b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nx: a\x00b\r\n\r\n",
    b"GET /readyz HTTP/1.1 x\r\nhost: localhost\r\n\r\n",
    b"GET /readyz HTTP/2.0\r\nhost: localhost\r\n\r\n",
    b"\r\n\r\nGARBAGE\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /readyz\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: localhost\r\nx\x01: a\r\n\r\n",
]


@pytest.mark.parametrize("data", AMBIGUOUS, ids=range(len(AMBIGUOUS)))
def test_h1_what_can_be_read_in_two_ways_is_400_and_nothing_after_it_is_answered(pond: Served, data: bytes) -> None:
    for _ in range(3):
        answer = answer_to(pond, data + b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (status_of(answer), len(re.findall(rb"HTTP/1\.\d \d\d\d ", answer))) == (400, 1)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET /" + b"a" * 100, b"a" * 4096),
        (b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nx: ", b"a" * 4096),
        (b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n", b"x: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 100),
        (CHUNKED + b"1;", b"x" * 4096),
        (CHUNKED, b"1\r\n \r\n" * 700),
        (
            CHUNKED + b"0\r\n",
            b"x: aaaaaaaaaaaaaa\r\n" * 200,
        ),
    ],
    ids=["url", "header", "headers", "chunk extension", "tiny chunks", "trailers"],
)
def test_h2_what_never_ends_is_refused_early(pond: Served, figure: Figure, start: bytes, more: bytes) -> None:
    before = resident_bytes(pond.process.pid)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)  # else the kernel takes megabytes
    connection.connect(("127.0.0.1", pond.port))
    sent = len(start)
    connection.sendall(start)
    try:
        while sent < 4 * MIB:
            connection.sendall(more)
            sent += len(more)
    except ConnectionError:
        pass
    connection.close()
    figure("H2", "taken before the refusal, MB", sent / MIB, 2)
    figure("H2", "memory, MB", (resident_bytes(pond.process.pid) - before) / MIB, 16)


def test_h3_a_body_that_is_too_large_is_413_from_its_declaration(pond: Served) -> None:
    head = b"POST /drip HTTP/1.1\r\n" + HEAD + b"content-length: 9000000\r\nexpect: 100-continue\r\n\r\n"
    connection = pond.connect()
    connection.sendall(head)
    assert status_of(receive(connection, b"}")) == 413
    connection.close()


def test_h3_a_chunked_body_that_is_too_large_is_413_at_the_limit(pond: Served, figure: Figure) -> None:
    connection = pond.connect()
    connection.sendall(CHUNKED)
    answers: list[bytes] = []
    reader = threading.Thread(target=lambda: answers.append(receive(connection, b"}")))
    reader.start()
    sent = 0
    try:
        while not answers and sent < 32 * MIB:
            connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            sent += 65536
    except ConnectionError:
        pass
    reader.join(10)
    connection.close()
    assert status_of(answers[0]) == 413
    figure("H3", "taken, MB, beside 8 MB and what the kernels hold", sent / MIB, 8 + 8)


def test_h6_heads_of_random_bytes_are_answered_or_closed(pond: Served, figure: Figure) -> None:
    chance = random.Random(20261120)
    good = (
        b"POST /drip?x=1 HTTP/1.1\r\n"
        + HEAD
        + b"accept: text/event-stream\r\ncontent-length: 14\r\n\r\n"
        + b'{"count": 1}  '
    )
    server_errors, slowest, before = 0, 0.0, descriptors(pond.process.pid)
    for _ in range(1500):
        data = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(data))
            match chance.randint(0, 3):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at]
                case 2:
                    data.insert(at, chance.randrange(256))
                case 3:
                    data[at:at] = data[chance.randrange(len(data)) :][:20]
        started = time.monotonic()
        connection = pond.connect()
        connection.settimeout(5.0)
        answer = b""
        try:
            connection.sendall(bytes(data))
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionError:
            pass
        connection.close()
        slowest = max(slowest, time.monotonic() - started)
        server_errors += status_of(answer) >= 500
    figure("H6", "5xx for 1,500 fuzzed heads", server_errors, 0)
    figure("H6", "slowest, s", slowest, 2.0)
    pond.until(lambda: descriptors(pond.process.pid) <= before + 2, within=5.0)


def unchunked(body: bytes) -> bytes:
    """The content of a chunked body, as far as it is complete."""
    content = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            break
        content, body = content + rest[:length], rest[length + 2 :]
    return content
