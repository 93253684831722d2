"""Rows A1-A7, A9, A12: the client goes away, at any moment and in any way; what it asked for is freed at once.

"Freed" is the moment at which the generator's own `finally` ran, written down by the generator.
"""

import itertools
import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from crowd import NDJSON, answer_in, crowd, finish, p99, request, reset, rest_of
from figures import NAIVE, ONLY_IN_FULL, Figure
from served import Serve, Served, receive

STORMS = [1_000, pytest.param(10_000, marks=ONLY_IN_FULL)]
LEAVERS = 10


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
    """Starts streams and leaves them, at any moment from the request on; when each was left."""
    dice = random.Random(leaver)
    left = {}
    for n in range(times):
        connection = served.send("/drip", {"name": f"{leaver}-{n}"}, NDJSON)
        for _ in range(dice.randrange(4)):
            connection.recv(4096)
        time.sleep(dice.random() * 0.005)
        left[f"{leaver}-{n}"] = time.monotonic()
        dice.choice([reset, finish])(connection)
    return left


@pytest.mark.parametrize("times", STORMS)
def test_a_storm_of_leaving_clients_frees_every_stream_at_once(ward: Served, figure: Figure, times: int) -> None:
    before, gone = ward.state()["started"], clients_gone(ward)
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
    figure("A1", f"generators alive 1 s after {times:,} disconnects", state["running"], 0)
    figure("A1", "others disturbed", undisturbed.count(False), 0)
    assert state["started"] - before == len(freed) >= times * 0.5
    assert NAIVE or clients_gone(ward) - gone >= len(freed)
    late = [at - left[name] for name, at in freed.items()]
    figure("A1", f"left to freed in a storm of {times:,}, p99, s", p99(late), 0.5)
    assert_no_traceback(ward)


@pytest.mark.parametrize("leave", [reset, finish])
def test_a_client_that_leaves_a_quiet_server_frees_its_stream_within_100_ms(
    ward: Served, figure: Figure, leave: type[object]
) -> None:
    left = {}
    for n in range(100):
        connection = ward.send("/drip", {"name": f"quiet {n}"}, NDJSON)
        receive(connection, b"drop")
        left[f"quiet {n}"] = time.monotonic()
        leave(connection)
        time.sleep(0.005)
    freed = releases(ward, set(left), within=5)
    figure("A1", f"left to freed when quiet ({leave.__name__}), p99, s", p99(freed[n] - left[n] for n in left), 0.1)
    assert_no_traceback(ward)


def clients_gone(served: Served) -> float:
    return 0 if NAIVE else served.metric("headrace_streams_total", 'end="client_gone"')


# A2, A3


@pytest.mark.parametrize("after", [0, 3])
def test_clients_that_leave_silent_generators_are_noticed_without_a_write(
    ward: Served, figure: Figure, after: int
) -> None:
    names = [f"silent {after} {n}" for n in range(100)]
    connections = [ward.send("/silent", {"name": name, "after": after}, NDJSON) for name in names]
    ward.until(lambda: ward.state()["running"] == 100, within=10)
    left = {}
    for name, connection, leave in zip(names, connections, itertools.cycle([reset, finish]), strict=False):
        left[name] = time.monotonic()
        leave(connection)
    freed = releases(ward, set(names), within=5)
    figure("A2", f"not freed of 100 that are silent after {after} items", 100 - len(freed), 0)
    figure("A2", f"freed after, silent after {after} items, s", max(freed[n] - left[n] for n in names), 1.0)


def test_a_generator_that_is_blocked_by_its_reader_is_not_run_to_its_end(ward: Served, figure: Figure) -> None:
    names = [f"flood {n}" for n in range(20)]
    connections = [ward.send("/flood", {"name": name}, NDJSON) for name in names]
    made = -1
    while made != (made := ward.state()["made"]):
        time.sleep(0.3)  # until everything that nobody reads stands full
    left = {}
    for name, connection in zip(names, connections, strict=True):
        left[name] = time.monotonic()
        reset(connection)
    freed = releases(ward, set(names), within=5)
    figure("A3", "not freed of 20 that were blocked", 20 - len(freed), 0)
    figure("A3", "freed after, s", max(freed[n] - left[n] for n in names), 1.0)
    figure("A3", "items made for clients that were gone", ward.state()["made"] - made, 0)


# A4, A5


def test_a_generator_that_never_awaits_leaves_the_others_their_turn(ward: Served, figure: Figure) -> None:
    connection = ward.send("/tight", {"name": "tight"}, NDJSON)
    receive(connection, b"item")
    done = threading.Event()
    reader = threading.Thread(target=read_until, args=(connection, done))
    reader.start()
    try:
        took = []
        for _ in range(100):
            (answer,) = crowd(ward.port, "/count", [{"to": 1}], within=3)
            assert answer.is_whole(["0"])
            took.append(answer.seconds)
        figure("A4", "a stream of one item beside a tight loop, p99, s", p99(took), 0.25)
    finally:
        done.set()
        reader.join()
    left = time.monotonic()
    reset(connection)
    figure("A4", "the tight loop freed after, s", releases(ward, {"tight"}, within=5)["tight"] - left, 1.0)


def read_until(connection: socket.socket, done: threading.Event) -> None:
    while not done.is_set() and connection.recv(1 << 18):
        pass


def test_blocking_generators_are_freed_after_their_current_step(ward: Served, figure: Figure) -> None:
    names = [f"blocking {n}" for n in range(20)]
    connections = [ward.send("/blocking", {"name": name, "seconds": 0.1}, NDJSON) for name in names]
    left = {}
    for name, connection in zip(names, connections, strict=True):
        receive(connection, b"item")
        left[name] = time.monotonic()
        reset(connection)
    freed = releases(ward, set(names), within=5)
    figure("A5", "not freed of 20 that block", 20 - len(freed), 0)
    figure("A5", "freed after, s", max(freed[n] - left[n] for n in names), 2.0)


def test_sixty_blocking_generators_do_not_keep_the_server_from_answering(ward: Served, figure: Figure) -> None:
    with ThreadPoolExecutor(1) as pool:
        arguments = [{"name": f"one of 60, {n}", "seconds": 0.1, "to": 20} for n in range(60)]
        sixty = pool.submit(crowd, ward.port, "/blocking", arguments)
        ward.until(lambda: ward.state()["running"] >= 30, within=5)
        took = []
        while not sixty.done() and len(took) < 100:
            asked = time.monotonic()
            assert ward.request("GET", "/readyz")[0] == 200
            took.append(time.monotonic() - asked)
            time.sleep(0.01)
        assert all(answer.is_whole([str(n) for n in range(20)]) for answer in sixty.result())
    figure("A5", "/readyz beside 60 that block, p99, s", p99(took), 0.5)
    figure("A5", "60 streams of 20 blocks of 0.1 s at once, s", max(answer.seconds for answer in sixty.result()), 6.0)


def test_a_thread_that_does_not_return_is_counted_and_made_up_for(start_ward: Serve, figure: Figure) -> None:
    ward = start_ward("--sync-threads", "1")
    connection = ward.send("/blocking", {"name": "stuck", "seconds": 4.0}, NDJSON)
    receive(connection, b"item")
    reset(connection)
    took = ward.until(lambda: ward.metric("headrace_threads_stuck") == 1, within=3)
    figure("A5", "a stuck thread counted after, s", took, 2.0)
    (answer,) = crowd(ward.port, "/blocking", [{"name": "next", "seconds": 0.0, "to": 2}])
    assert answer.is_whole(["0", "1"])
    ward.until(lambda: ward.metric("headrace_threads_stuck") == 0, within=6)


# A6, A7


def test_a_unary_call_whose_client_leaves_is_cancelled_and_logged_as_499(ward: Served, figure: Figure) -> None:
    names = [f"think {n}" for n in range(30)]
    connections = [ward.send("/think", {"name": name}) for name in names]
    ward.until(lambda: ward.state()["running"] == 30, within=5)
    seen = len(ward.output)
    left = {}
    for name, connection, leave in zip(names, connections, itertools.cycle([reset, finish]), strict=False):
        left[name] = time.monotonic()
        leave(connection)
    freed = releases(ward, set(names), within=5)
    figure("A6", "not freed of 30 calls", 30 - len(freed), 0)
    figure("A6", "freed after, s", max(freed[n] - left[n] for n in names), 2.0)

    def logged() -> int:
        return sum('"/think"' in line and '"status": 499' in line for line in ward.output[seen:])

    ward.until(lambda: logged() == 30, within=2)


def test_clients_that_leave_before_anything_started_leave_every_place_free(start_ward: Serve, figure: Figure) -> None:
    ward = start_ward("--max-concurrency", "8")
    for n in range(300):
        reset(ward.send("/silent", {"name": f"instant {n}"}, NDJSON))
    ward.until(lambda: ward.state()["running"] == 0, within=5)
    connections = [ward.send("/silent", {"name": f"after {n}", "after": 1}, NDJSON) for n in range(7)]
    for connection in connections:  # the eighth place is for the question how many run
        receive(connection, b"item")
    figure("A7", "places lost to 300 instant resets", 7 - ward.state()["running"], 0)
    for connection in connections:
        reset(connection)
    assert_no_traceback(ward)


# A9, A12


@pytest.mark.parametrize("after", [0, 3])
def test_a_half_closed_connection_counts_as_gone(ward: Served, figure: Figure, after: int) -> None:
    name = f"half {after}"
    connection = ward.send("/silent", {"name": name, "after": after}, NDJSON)
    ward.until(lambda: ward.state()["running"] == 1, within=5)
    left = time.monotonic()
    connection.shutdown(socket.SHUT_WR)
    rest_of(connection)
    figure("A9", f"end seen by the client after {after} items, s", time.monotonic() - left, 1.0)
    figure("A9", f"freed after {after} items, s", releases(ward, {name}, within=5)[name] - left, 1.0)


def test_the_next_request_of_a_session_sees_nothing_of_the_one_it_dropped(ward: Served, figure: Figure) -> None:
    dice = random.Random(12)

    def turns(session: int) -> int:
        wrong = 0
        for turn in range(25):
            headers = f"x-request-id: session-{session}\r\n"
            dropped = ward.connect()
            dropped.sendall(
                request("/count", {"to": 50, "pause": 0.001, "text": f"{session}:{turn}:dropped "}, NDJSON, headers)
            )
            if dice.random() < 0.8:
                dropped.recv(256)
            dice.choice([reset, finish])(dropped)
            following = ward.connect()
            text = f"{session}:{turn}:next "
            following.sendall(request("/count", {"to": 10, "text": text}, NDJSON, f"{headers}connection: close\r\n"))
            answer = answer_in(rest_of(following))
            wrong += not answer.is_whole([f"{text}{n}" for n in range(10)])
        return wrong

    with ThreadPoolExecutor(8) as pool:
        wrong = sum(pool.map(turns, range(8)))
    figure("A12", "wrong answers of 200 after a dropped request", wrong, 0)
    assert_no_traceback(ward)
