"""Rows A1-A5, A9, A10 over WebSockets: the client goes away, and what it asked for is freed at once."""

import contextlib
import itertools
import json
import os
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from crowd import crowd, finish, p99, reset, rest_of
from figures import NAIVE, ONLY_IN_FULL, Figure
from island import AVAILABLE, HERE, island
from served import Serve, Served
from wire_socket import CLOSE, WireSocket, frame, handshake

pytestmark = pytest.mark.skipif(NAIVE, reason="the naive server speaks HTTP only")

STORMS = [1_000, pytest.param(10_000, marks=ONLY_IN_FULL)]
LEAVERS = 10
STRAIT = "tests/e2e/faults/strait.py"


def asked(served: Served, path: str, **arguments: object) -> WireSocket:
    line = WireSocket(served.port, path, v1=True)
    line.send_json(arguments)
    return line


def close_frame(connection: socket.socket) -> None:
    """Leaves as the standard has it."""
    with contextlib.suppress(OSError):  # the server was faster
        connection.sendall(frame(CLOSE, struct.pack("!H", 1001)))
    rest_of(connection)


WAYS: list[Callable[[socket.socket], None]] = [reset, finish, close_frame]


def releases(served: Served, names: set[str], within: float) -> dict[str, float]:
    """When each of these was freed; those that are missing were not, in that time."""
    freed: dict[str, float] = {}
    until = time.monotonic() + within
    while not names <= freed.keys() and time.monotonic() < until:
        freed |= json.loads(served.request("GET", "/releases")[2])
        time.sleep(0.02)
    return {name: at for name, at in freed.items() if name in names}


def assert_no_traceback(served: Served) -> None:
    assert not [line for line in served.output if "raceback" in line]


# A1


def leave_at_random(served: Served, leaver: int, times: int) -> dict[str, float]:
    """Opens sessions and leaves them, at any moment from the handshake on; when each was left."""
    dice = random.Random(leaver)
    left = {}
    for n in range(times):
        name = f"ws-{leaver}-{n}"
        if dice.random() < 0.2:  # gone before the handshake was answered
            connection = served.connect()
            connection.sendall(handshake(f"/drip?name={name}"))
            ways = WAYS[:2]
        else:
            line = asked(served, "/drip", name=name)
            connection, ways = line.connection, WAYS
            for _ in range(dice.randrange(4)):
                line.frame()
        time.sleep(dice.random() * 0.005)
        left[name] = time.monotonic()
        dice.choice(ways)(connection)
    return left


@pytest.mark.parametrize("times", STORMS)
def test_a_storm_of_leaving_clients_frees_every_session_at_once(ward: Served, figure: Figure, times: int) -> None:
    ward.request("GET", "/releases")  # forgets those of the other tests
    with ThreadPoolExecutor(LEAVERS + 1) as pool:
        others = pool.submit(crowd, ward.port, "/count", [{"to": 100, "pause": 0.02}] * 5)
        storms = [pool.submit(leave_at_random, ward, leaver, times // LEAVERS) for leaver in range(LEAVERS)]
        left = {name: at for storm in storms for name, at in storm.result().items()}
        quiet_at = time.monotonic()
        undisturbed = [answer.is_whole([str(n) for n in range(100)]) for answer in others.result()]
    time.sleep(max(0.0, quiet_at + 1 - time.monotonic()))
    state = ward.state()
    freed = json.loads(ward.request("GET", "/releases")[2])
    figure("A1", f"WebSocket: generators alive 1 s after {times:,} disconnects", state["running"], 0)
    figure("A1", "WebSocket: others disturbed", undisturbed.count(False), 0)
    late = [at - left[name] for name, at in freed.items() if name in left]
    assert len(late) >= times * 0.5
    figure("A1", f"WebSocket: left to freed in a storm of {times:,}, p99, s", p99(late), 0.5)
    assert_no_traceback(ward)


@pytest.mark.parametrize("leave", WAYS)
def test_a_client_that_leaves_a_quiet_server_frees_its_session_within_100_ms(
    ward: Served, figure: Figure, leave: Callable[[socket.socket], None]
) -> None:
    left = {}
    for n in range(50):
        name = f"quiet ws {leave.__name__} {n}"
        line = asked(ward, "/drip", name=name)
        line.frame()
        left[name] = time.monotonic()
        leave(line.connection)
    freed = releases(ward, set(left), within=5)
    took = p99(freed[name] - left[name] for name in left)
    figure("A1", f"WebSocket: left to freed when quiet ({leave.__name__}), p99, s", took, 0.1)
    assert_no_traceback(ward)


# A2, A3


@pytest.mark.parametrize("after", [0, 3])
def test_clients_that_leave_silent_generators_are_noticed_without_a_write(
    ward: Served, figure: Figure, after: int
) -> None:
    names = [f"silent ws {after} {n}" for n in range(100)]
    lines = [asked(ward, "/silent", name=name, after=after) for name in names]
    ward.until(lambda: ward.state()["running"] == 100, within=10)
    left = {}
    for name, line, leave in zip(names, lines, itertools.cycle(WAYS), strict=False):
        left[name] = time.monotonic()
        leave(line.connection)
    freed = releases(ward, set(names), within=5)
    figure("A2", f"WebSocket: not freed of 100 that are silent after {after} items", 100 - len(freed), 0)
    took = max(freed[name] - left[name] for name in names)
    figure("A2", f"WebSocket: freed after, silent after {after} items, s", took, 1.0)


def test_a_client_that_leaves_behind_messages_that_nobody_reads_is_noticed(serve: Serve, figure: Figure) -> None:
    """Nothing is read from such a client any more, so its leaving shows in what is written to it: a ping."""
    served = serve(STRAIT, "--ping", "0.5")
    line = WireSocket(served.port, "/deaf")
    line.connection.sendall(frame(1, b"listen!") * 50_000)
    assert line.message() == "what?"
    left = time.monotonic()
    reset(line.connection)
    served.until(lambda: served.state()["running"] == 0, within=5)
    figure("A2", "WebSocket: freed behind unread messages, ping every 0.5 s, s", time.monotonic() - left, 2.0)


def test_a_generator_that_is_blocked_by_its_reader_is_not_run_to_its_end(ward: Served, figure: Figure) -> None:
    names = [f"flood ws {n}" for n in range(20)]
    lines = [asked(ward, "/flood", name=name) for name in names]
    made = -1
    while made != (made := ward.state()["made"]):
        time.sleep(0.3)  # until everything that nobody reads stands full
    left = {}
    for name, line in zip(names, lines, strict=True):
        left[name] = time.monotonic()
        reset(line.connection)
    freed = releases(ward, set(names), within=5)
    figure("A3", "WebSocket: not freed of 20 that were blocked", 20 - len(freed), 0)
    figure("A3", "WebSocket: freed after, s", max(freed[n] - left[n] for n in names), 1.0)
    figure("A3", "WebSocket: items made for clients that were gone", ward.state()["made"] - made, 0)


# A4, A5


def test_a_generator_that_never_awaits_leaves_the_others_their_turn(ward: Served, figure: Figure) -> None:
    line = asked(ward, "/tight", name="tight ws")
    done = threading.Event()
    reader = threading.Thread(target=read_until, args=(line.connection, done))
    reader.start()
    try:
        took = []
        for _ in range(50):
            began = time.monotonic()
            messages, closed = asked(ward, "/count", to=1).rest()
            took.append(time.monotonic() - began)
            assert (len(messages), closed.code) == (2, 1000)
        figure("A4", "WebSocket: a stream of one item beside a tight loop, p99, s", p99(took), 0.25)
    finally:
        done.set()
        reader.join()
    left = time.monotonic()
    reset(line.connection)
    freed = releases(ward, {"tight ws"}, within=5)["tight ws"]
    figure("A4", "WebSocket: the tight loop freed after, s", freed - left, 1.0)


def read_until(connection: socket.socket, done: threading.Event) -> None:
    while not done.is_set() and connection.recv(1 << 18):
        pass


def test_blocking_generators_are_freed_after_their_current_step(ward: Served, figure: Figure) -> None:
    names = [f"blocking ws {n}" for n in range(20)]
    lines = [asked(ward, "/blocking", name=name, seconds=0.1) for name in names]
    left = {}
    for name, line, leave in zip(names, lines, itertools.cycle(WAYS), strict=False):
        line.frame()
        left[name] = time.monotonic()
        leave(line.connection)
    freed = releases(ward, set(names), within=5)
    figure("A5", "WebSocket: not freed of 20 that block", 20 - len(freed), 0)
    figure("A5", "WebSocket: freed after, s", max(freed[n] - left[n] for n in names), 2.0)


# A9, A10


@pytest.mark.parametrize("after", [0, 3])
def test_a_half_closed_connection_counts_as_gone(ward: Served, figure: Figure, after: int) -> None:
    name = f"half ws {after}"
    line = asked(ward, "/silent", name=name, after=after)
    ward.until(lambda: ward.state()["running"] == 1, within=5)
    left = time.monotonic()
    line.connection.shutdown(socket.SHUT_WR)
    rest_of(line.connection)
    figure("A9", f"WebSocket: end seen by the client after {after} items, s", time.monotonic() - left, 1.0)
    freed = releases(ward, {name}, within=5)[name]
    figure("A9", f"WebSocket: freed after {after} items, s", freed - left, 1.0)


READERS = """
import sys, threading
sys.path.insert(0, "tests/support")
import wire_socket
lines = []
for _ in range(30):
    line = wire_socket.WireSocket(int(sys.argv[2]), sys.argv[3], host=sys.argv[1])
    line.send_json({"pause": 0.05})
    lines.append(line)
    threading.Thread(target=line.rest, daemon=True).start()
print("reading", flush=True)
threading.Event().wait()
"""


@pytest.mark.skipif(not AVAILABLE and "CI" not in os.environ, reason="needs root and iproute2 for a second host")
@pytest.mark.parametrize(("path", "bound"), [("/drip", 5.0), ("/hush", 20.0)], ids=["active", "silent"])
def test_a_peer_that_vanishes_is_noticed(launch: Serve, figure: Figure, path: str, bound: float) -> None:
    target = "tests/e2e/faults/pond.py"
    served = launch("run", target, "--host", "0.0.0.0", "--port", "0", "--peer-timeout", "4", "--ping", "60").ready()
    with island() as other:
        reader = other.start(sys.executable, "-c", READERS, HERE, str(served.port), path)
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        served.until(lambda: served.state()["running"] == 30, within=5.0)
        other.vanish()
        took = served.until(lambda: served.state()["running"] == 0, within=bound + 5)
        reader.kill()
        reader.communicate()
    figure("A10", f"WebSocket: freed after, s, 30 of 30 ({path[1:]}), at a peer timeout of 4", took, bound)
    served.assert_every_stream_ended()


def test_a_peer_whose_program_hangs_is_gone_after_two_pings(serve: Serve, figure: Figure) -> None:
    """Its system still acknowledges everything: only the pongs are missing."""
    served = serve(STRAIT, "--ping", "0.5")
    began = time.monotonic()
    lines = [WireSocket(served.port, "/echo") for _ in range(30)]
    served.until(lambda: served.state()["running"] == 30, within=5)
    served.until(lambda: served.state()["running"] == 0, within=5)
    figure("A10", "WebSocket: freed without a pong, ping every 0.5 s, s", time.monotonic() - began, 2.0)
    for line in lines:
        line.connection.close()
