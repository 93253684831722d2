"""Rows H10, I1, I2 over WebSockets: frames that are none, floods, and who may open a session at all."""

import contextlib
import random
import struct
import time
from collections.abc import Iterator

import pytest
from crowd import answer_in, request, reset, rest_of
from figures import NAIVE, Figure
from process import descriptors, resident_bytes
from served import Serve, Served, receive
from wire_socket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Closed,
    WireSocket,
    ask_handshake,
    frame,
    handshake,
)

pytestmark = pytest.mark.skipif(NAIVE, reason="the naive server speaks HTTP only")

MIB = 1024 * 1024
STRAIT = "tests/e2e/faults/strait.py"
CODES_NEVER_SENT = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]
NO_TEXTS = [b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"ok \x80"]

ILLEGAL: dict[str, tuple[bytes, int]] = {
    **{f"reserved bits {bits}": (frame(TEXT, b"x", reserved=bits), 1002) for bits in (1, 2, 4, 7)},
    **{f"opcode {code}": (frame(code, b"x"), 1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    **{f"unmasked {code}": (frame(code, b"", masked=False), 1002) for code in (TEXT, BINARY, PING, CLOSE)},
    **{f"control frame {code} of 126 bytes": (frame(code, b"x" * 126), 1002) for code in (PING, PONG, CLOSE)},
    **{f"control frame {code} in fragments": (frame(code, b"", fin=False), 1002) for code in (PING, PONG, CLOSE)},
    "a control frame of 2**62 bytes": (frame(PING, size=1 << 62), 1009),
    "a close frame of one byte": (frame(CLOSE, b"x"), 1002),
    **{f"close code {code}": (frame(CLOSE, struct.pack("!H", code)), 1002) for code in CODES_NEVER_SENT},
    "a close reason that is no text": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "nothing to continue": (frame(CONTINUATION, b"x"), 1002),
    "a message in a message": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    **{f"no text {data!r}": (frame(TEXT, data), 1007) for data in NO_TEXTS},
    "no text across fragments": (frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"\xc3"), 1007),
    "2**62 bytes": (frame(TEXT, size=1 << 62), 1009),
    "2**63 bytes": (frame(TEXT, size=1 << 63), 1009),
    "one byte too many": (frame(BINARY, size=8 * MIB + 1), 1009),
    "too much in fragments": (
        frame(BINARY, b"x" * 5 * MIB, fin=False) + frame(CONTINUATION, size=5 * MIB, fin=False),
        1009,
    ),
    "endless fragments": (frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 5000, 1009),
    "a handshake again": (handshake("/echo"), 1002),
}


@pytest.fixture(scope="module")
def strait() -> Iterator[Served]:
    served = Served("run", STRAIT, "--port", "0").ready()
    try:
        yield served
        served.assert_every_stream_ended()
        assert not [line for line in served.output if "raceback" in line or "ERROR" in line]
    finally:
        served.stop()


def end_after(served: Served, path: str, data: bytes) -> Closed:
    line = WireSocket(served.port, path)
    with contextlib.suppress(ConnectionError):  # closed before all of it was taken
        line.connection.sendall(data)
    return line.rest()[1]


def test_what_is_no_frame_is_told_and_nothing_is_left(strait: Served, figure: Figure) -> None:
    warm = WireSocket(strait.port, "/swallow")
    warm.send(b"x" * 5 * MIB)
    assert warm.message() == str(5 * MIB)
    warm.connection.close()
    strait.until(lambda: strait.state()["running"] == 0, within=2)
    pid, before = strait.process.pid, strait.state()["tasks"]
    memory, opened = resident_bytes(pid), descriptors(pid)
    wrong = {}
    for name, (data, code) in ILLEGAL.items():
        for path in ("/swallow", "/count"):  # while it runs, and before its arguments
            closed = end_after(strait, path, data)
            # What cannot be read before the close is reset by the system, and the reset may overtake the close frame.
            if closed.code != code and not (closed.code == 1006 and len(data) > 65536):
                wrong[name, path] = closed.code
    assert len(ILLEGAL) >= 41
    figure("H10", f"of {len(ILLEGAL)} illegal frames, not refused with their code ({wrong})", len(wrong), 0)
    strait.until(lambda: strait.state() | {"closed": 0} == {"running": 0, "closed": 0, "tasks": before}, within=5)
    strait.until(lambda: descriptors(pid) <= opened, within=2)
    figure("H10", "memory grown by them, MB", (resident_bytes(pid) - memory) / MIB, 24)


def test_a_text_cut_in_every_place_is_the_same_text(strait: Served) -> None:
    text = "aé漢\U0001f600".encode()
    line = WireSocket(strait.port, "/echo")
    for cut in range(len(text) + 1):
        data = frame(TEXT, text[:cut], fin=False) + frame(PING, b"") + frame(CONTINUATION, text[cut:])
        for at in range(len(data)):
            line.connection.sendall(data[at : at + 1])
        assert line.message() == "aé漢\U0001f600"
    line.connection.close()


def test_random_bytes_end_a_session_or_wait_for_more(strait: Served, figure: Figure) -> None:
    dice = random.Random(10)
    pid = strait.process.pid
    memory = resident_bytes(pid)
    unknown = 0
    for _ in range(300):
        line = WireSocket(strait.port, dice.choice(["/echo", "/swallow", "/count", "/deaf"]))
        data = bytearray(frame(dice.choice([TEXT, BINARY]), dice.randbytes(dice.randrange(300))) * 3)
        for _ in range(dice.randint(1, 8)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        line.connection.sendall(data)
        line.connection.sendall(frame(CLOSE, b"\x03\xe8"))
        line.connection.settimeout(0.05)
        try:
            closed = line.rest()[1]
        except TimeoutError:  # a frame that says that it is longer
            reset(line.connection)
        else:
            unknown += closed.code not in (1000, 1002, 1003, 1005, 1006, 1007, 1008, 1009)
    figure("H10", "of 300 damaged sessions, not closed with a code that says why", unknown, 0)
    strait.until(lambda: strait.state()["running"] == 0, within=5)
    figure("H10", "memory grown by 300 damaged sessions, MB", (resident_bytes(pid) - memory) / MIB, 24)


def test_compression_is_not_offered_so_nothing_can_be_a_bomb(strait: Served) -> None:
    offer = "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n"
    line = WireSocket(strait.port, "/echo", headers=offer)
    assert b"sec-websocket-extensions" not in line.head.lower()
    line.connection.sendall(frame(TEXT, b"\x2a\x00", reserved=4))
    assert line.rest()[1].code == 1002


def test_messages_that_nobody_reads_cost_little(serve: Serve, figure: Figure) -> None:
    served = serve(STRAIT, "--ping", "0.5")
    pid = served.process.pid
    WireSocket(served.port, "/deaf").connection.close()
    for size in (0, 1, 100, 100_000):
        served.until(lambda: served.state()["running"] == 0, within=5)
        before = resident_bytes(pid)
        lines = [WireSocket(served.port, "/deaf") for _ in range(20)]
        for line in lines:
            line.connection.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                line.connection.sendall(frame(TEXT, b"x" * size) * (2 * MIB // (size + 6)))
        time.sleep(0.5)
        grown = (resident_bytes(pid) - before) / MIB
        figure("H10", f"memory for 20 floods of messages of {size} bytes that nobody reads, MB", grown, 24)
        for line in lines:
            reset(line.connection)


def test_a_flood_of_pings_beside_a_session_does_not_slow_it(strait: Served, figure: Figure) -> None:
    flooded = WireSocket(strait.port, "/echo")
    flooded.connection.settimeout(0.01)
    other = WireSocket(strait.port, "/echo")
    pings, took = frame(PING, b"x" * 100) * 100, []
    for n in range(100):
        with contextlib.suppress(TimeoutError):
            flooded.connection.sendall(pings)
        with contextlib.suppress(TimeoutError):
            flooded.connection.recv(1 << 20)
        began = time.monotonic()
        other.send(str(n))
        assert other.message() == str(n)
        took.append(time.monotonic() - began)
    figure("H10", "an answer beside a flood of pings, slowest, s", max(took), 0.5)
    flooded.connection.close()
    other.connection.close()


def test_a_first_message_that_drips_or_does_not_come_is_not_awaited_for_ever(serve: Serve, figure: Figure) -> None:
    served = serve(STRAIT, "--body-timeout", "1")
    began = time.monotonic()
    silent = WireSocket(served.port, "/count")
    dripping = WireSocket(served.port, "/count")
    dripping.connection.sendall(frame(TEXT, b"", fin=False))
    for _ in range(5):
        dripping.connection.sendall(frame(CONTINUATION, b" ", fin=False))
        time.sleep(0.1)
    assert [line.rest()[1].code for line in (silent, dripping)] == [1008, 1008]
    figure("H10", "no first message: closed after, s, at a body timeout of 1", time.monotonic() - began, 2.0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("x: y\r\n" * 200, 431),
        (f"x: {'y' * 10_000}\r\n", 431),
        (f"x: {'y' * 70_000}\r\n", 431),
        ("host: other\r\n", 400),
        ("sec-websocket-version: 8\r\n", 400),
        ("sec-websocket-key: again\r\n", 400),
    ],
)
def test_a_handshake_that_is_none_is_answered_and_closed(strait: Served, headers: str, status: int) -> None:
    assert ask_handshake(strait.port, "/echo", headers).status == status


def test_a_session_cannot_begin_behind_a_running_stream(strait: Served) -> None:
    """It would take the connection away from the stream, whose client could then leave unseen."""
    with strait.connect() as connection:
        connection.sendall(request("/count", {"to": 1000, "pause": 0.05}))
        receive(connection, b"0")
        connection.sendall(handshake("/echo"))
        rest_of(connection)
    strait.until(lambda: strait.state()["running"] == 0, within=2)


def test_a_session_may_begin_behind_a_finished_answer(strait: Served) -> None:
    with strait.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        receive(connection, b"}")
        connection.sendall(handshake("/count?to=1"))
        assert b"101 Switching" in receive(connection, b"\x88\x02\x03\xe8")


# I1


WITHOUT_KEY = ["", "authorization: Bearer wrong\r\n", "authorization: Bearer\r\n", "authorization: right-key\r\n"]
WITHOUT_KEY += ["x-api-key: right-ke\r\n", "x-api-key: right-key2\r\n", "cookie: x-api-key=right-key\r\n"]
WITHOUT_KEY += ["sec-websocket-protocol: headrace.v1, right-key\r\n"]


def test_without_the_right_key_in_a_header_no_session_begins(serve: Serve, figure: Figure) -> None:
    served = serve(STRAIT, environment={"HEADRACE_API_KEY": "other-key,right-key"})
    opened = 0
    for headers in WITHOUT_KEY:
        for path in ("/echo?api_key=right-key", "/nothing"):
            answer = ask_handshake(served.port, path, headers)
            opened += (answer.status, answer.error, answer.headers.get("www-authenticate")) != (
                401,
                "unauthorized",
                "Bearer",
            )
    figure("I1", f"WebSocket: of {2 * len(WITHOUT_KEY)} handshakes without a key, not refused", opened, 0)
    for header in ("authorization: Bearer right-key\r\n", "x-api-key: other-key\r\n"):
        messages, closed = WireSocket(served.port, "/count?to=1", headers=header).rest()
        assert (messages, closed.code) == (["0"], 1000)
    served.stop()


# I2


ORIGINS = ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1", "", "file://"]
HOSTS = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.7"]


def test_no_page_of_another_origin_opens_a_session(strait: Served, figure: Figure) -> None:
    before, opened = strait.metric("headrace_streams_started_total"), 0
    for path in ("/echo", "/count?to=1", "/nothing"):
        for origin in ORIGINS:
            answer = ask_handshake(strait.port, path, f"origin: {origin}\r\n")
            opened += (answer.status, answer.error) != (403, "forbidden_origin")
            opened += "access-control-allow-origin" in answer.headers
        for host in HOSTS:
            with strait.connect() as connection:
                head = handshake(path, f"origin: http://{host}\r\n").replace(
                    b"host: localhost", b"host: " + host.encode()
                )
                connection.sendall(head)
                answer = answer_in(rest_of(connection))
                opened += (answer.status, answer.error) != (403, "forbidden_host")
    figure("I2", f"WebSocket: of {3 * len(ORIGINS + HOSTS)} handshakes of foreign pages, not refused", opened, 0)
    started = strait.metric("headrace_streams_started_total") - before
    figure("I2", "WebSocket: generators started by them", started, 0)


def test_a_page_of_this_server_opens_one(strait: Served) -> None:
    line = WireSocket(strait.port, "/count?to=1", headers="origin: http://localhost\r\n")
    assert line.rest()[0] == ["0"]
