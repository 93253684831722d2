"""Rows G1-G6: the server is told to stop. What can end well does, the rest is told, and the process goes in time."""

import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from crowd import NDJSON, Answer, answer_in, crowd, request, rest_of
from figures import NAIVE, Figure
from process import children
from served import Serve, Served, receive

SIGNALS = [signal.SIGTERM, signal.SIGINT]
PROC = Path("/proc")


def end_of(served: Served, within: float) -> tuple[int, float]:
    """Waits for the end of the process: its exit code, and when that was."""
    code = served.process.wait(within)
    at = time.monotonic()
    assert served.exit_code() == code
    return code, at


def tell(served: Served, number: int = signal.SIGTERM) -> float:
    """Sends a signal; when."""
    served.process.send_signal(number)
    return time.monotonic()


# G1, G2


def test_streams_that_end_in_time_end_whole(start_ward: Serve, figure: Figure) -> None:
    ward = start_ward()
    with ThreadPoolExecutor(1) as pool:
        running: Future[list[Answer]] = pool.submit(crowd, ward.port, "/count", [{"to": 40, "pause": 0.05}] * 200)
        ward.until(lambda: ward.state()["counting"] == 200, within=5)
        told = tell(ward)
        code, ended = end_of(ward, within=15)
        answers = running.result()
    whole = sum(answer.is_whole([str(n) for n in range(40)]) for answer in answers)
    last = max(answer.ended_at for answer in answers)
    assert last > told
    figure("G1", "streams cut short of 200 that were live at SIGTERM", 200 - whole, 0)
    figure("G1", "exit code", abs(code), 0)
    figure("G1", "exit after the last stream, s", ended - last, 2.0)


def test_streams_that_do_not_end_in_time_are_told(start_ward: Serve, figure: Figure) -> None:
    ward = start_ward("--drain", "1")
    with ThreadPoolExecutor(2) as pool:
        streams = [pool.submit(crowd, ward.port, "/drip", [{"name": f"drip {n}", "pause": 0.05} for n in range(25)])]
        streams += [pool.submit(crowd, ward.port, "/silent", [{"name": f"{n}", "after": 1} for n in range(25)])]
        ward.until(lambda: ward.state()["running"] == 50, within=5)
        told = tell(ward)
        code, ended = end_of(ward, within=10)
        answers = [answer for each in streams for answer in each.result()]
    said = sum(answer.clean and answer.error == "shutting_down" for answer in answers)
    figure("G2", "streams of 50 that were not told shutting_down", 50 - said, 0)
    figure("G2", "exit after a drain of 1 s, s", ended - told, 3.0)
    assert code == 0


# G3, G4


def test_nothing_that_hangs_delays_the_end(start_ward: Serve, figure: Figure) -> None:
    ward = start_ward("--drain", "1")
    held = [ward.send("/blocking", {"name": f"{n}", "seconds": 60.0}, NDJSON) for n in range(5)]
    held += [ward.send("/flood", {"name": f"flood {n}"}, NDJSON) for n in range(5)]
    ward.until(lambda: ward.state()["running"] == 10, within=5)
    used = [ward.connect() for _ in range(5)]
    for connection in used:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        receive(connection, b"\r\n\r\n")
    idle = used + [ward.connect() for _ in range(5)]
    told = tell(ward)
    for connection in idle:
        rest_of(connection)
    figure("G3", "idle connections closed after, s", time.monotonic() - told, 1.5)
    _, ended = end_of(ward, within=15)
    figure("G3", "exit with blocked threads and stalled readers, drain 1 s, after s", ended - told, 4.0)
    for connection in held:
        connection.close()


def test_new_requests_while_draining_are_refused_cleanly(start_ward: Serve, figure: Figure) -> None:
    ward = start_ward()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(crowd, ward.port, "/count", [{"to": 30, "pause": 0.05}])
        ward.until(lambda: ward.state()["counting"] == 1, within=5)
        kept = [ward.connect() for _ in range(5)]
        for connection in kept:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            receive(connection, b'"ready"}')
        tell(ward)
        until, half, closed = time.monotonic() + 2, 0, False
        while not closed:  # what comes before the port is closed is served whole
            assert time.monotonic() < until
            (answer,) = crowd(ward.port, "/count", [{"to": 5}], within=3)
            closed = is_clean_refusal(answer)
            half += not (closed or answer.is_whole([str(n) for n in range(5)]))
        figure("G4", "new requests that were half served", half, 0)
        served = sum(not is_clean_refusal(ask_on(connection)) for connection in kept)
        for _ in range(15):
            served += not is_clean_refusal(crowd(ward.port, "/count", [{"to": 5}], within=3)[0])
            time.sleep(0.03)
        figure("G4", "new requests of 20 that were not cleanly refused", served, 0)
        (answer,) = running.result()
    assert answer.is_whole([str(n) for n in range(30)])
    end_of(ward, within=10)


def is_clean_refusal(answer: Answer) -> bool:
    """Nobody listened, not a byte was answered, or it was a 503 that closes."""
    if answer.status == 503:
        return answer.headers.get("connection") == "close"
    return answer.refused or (answer.status == 0 and not answer.body)


def ask_on(connection: socket.socket) -> Answer:
    try:
        connection.sendall(request("/count", {"to": 5}))
    except ConnectionError:
        connection.close()
        return Answer(refused=True)
    return answer_in(rest_of(connection))


# G5


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_the_process_at_once(start_ward: Serve, figure: Figure, number: int) -> None:
    ward = start_ward()
    connection = ward.send("/silent", {"name": "silent", "after": 1}, NDJSON)
    receive(connection, b"item")
    first = tell(ward, number)
    time.sleep(0.3)
    assert ward.process.poll() is None
    told = tell(ward, number)
    _, ended = end_of(ward, within=10)
    figure("G5", f"exit after the second {signal.Signals(number).name}, s", ended - told, 2.0)
    assert told > first
    connection.close()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_the_start_ends_it(launch_ward: Serve, figure: Figure, number: int) -> None:
    ward = launch_ward(environment={"WARD_STARTS_SLOWLY": "1"})
    ward.line_with("the ward is being prepared")
    told = tell(ward, number)
    _, ended = end_of(ward, within=15)
    figure("G5", f"exit after {signal.Signals(number).name} during the start, s", ended - told, 5.0)


@pytest.mark.skipif(NAIVE, reason="the naive server has no workers")
@pytest.mark.parametrize("number", SIGNALS)
def test_no_worker_is_left_behind(launch_ward: Serve, figure: Figure, number: int) -> None:
    ward = launch_ward("--workers", "2").ready()
    workers = children(ward.process.pid)
    connection = ward.send("/silent", {"name": "silent", "after": 1}, NDJSON)
    receive(connection, b"item")
    tell(ward, number)
    time.sleep(0.3)
    told = tell(ward, number)
    _, ended = end_of(ward, within=10)
    figure("G5", f"exit of two workers after the second {signal.Signals(number).name}, s", ended - told, 2.0)
    assert len(workers) == 2
    ward.until(lambda: not any((PROC / str(pid)).exists() for pid in workers), within=2)
    connection.close()


# G6


@pytest.mark.skipif(NAIVE, reason="the naive server has no workers")
def test_workers_that_are_replaced_one_by_one_lose_no_request(launch_ward: Serve, figure: Figure) -> None:
    ward = launch_ward("--workers", "2").ready()
    asked, failed, seen, done = 0, 0, set[int](), threading.Event()

    def ask() -> None:
        nonlocal asked, failed
        while not done.is_set():
            asked += 2
            failed += not ask_once(ward, "/count", {"to": 3}, NDJSON).is_whole(["0", "1", "2"])
            state = ask_once(ward, "/where", {}, "application/json")
            failed += not state.clean
            seen.add(json.loads(state.body or b"0"))

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask) for _ in range(4)]
        try:
            old = children(ward.process.pid)
            for pid in old:
                os.kill(pid, signal.SIGTERM)
                ward.until(lambda pid=pid: pid not in children(ward.process.pid), within=5)
                ward.until(lambda: len(children(ward.process.pid)) == 2, within=5)
                ward.until(lambda: set(children(ward.process.pid)) <= seen, within=10)
        finally:
            done.set()
        for client in clients:
            client.result()
    assert not set(children(ward.process.pid)) & set(old)
    figure("G6", f"failed of {asked:,} requests while both workers were replaced", failed, 0)


def ask_once(served: Served, path: str, arguments: object, accept: str) -> Answer:
    """One request on a connection of its own."""
    try:
        with served.connect() as connection:
            connection.sendall(request(path, arguments, accept, "connection: close\r\n"))
            return answer_in(rest_of(connection))
    except ConnectionError:
        return Answer(refused=True)
