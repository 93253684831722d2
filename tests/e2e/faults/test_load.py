"""Rows E1, E2, E5, E6: more work than places, abandoned turns, one caller that floods, and requests for absurd work."""

import http.client
import json
import socket
import statistics
import threading
import time
from typing import Any

from crowd import answer_in, crowd, p99, request, reset, rest_of
from figures import Figure
from process import resident_bytes
from served import Serve, Served, receive

TRIALS = "tests/e2e/trials.py"


def load(served: Served) -> tuple[int, int]:
    """How often `work` was run, and how many of it at the same time at most; asked for until there is a place."""
    answers: list[dict[str, int]] = []

    def asked() -> bool:
        status, _, body = served.request("GET", "/load")
        answers.append(http_json(body) if status == 200 else {})
        return status == 200

    served.until(asked, within=5)
    return answers[-1]["worked"], answers[-1]["peak"]


def http_json(body: bytes) -> Any:
    return json.loads(body)


def waiting(served: Served) -> float:
    return served.metric("headrace_queue_depth")


def occupied(served: Served, running: int, queued: int) -> list[socket.socket]:
    """Connections that fill the places and the queue."""
    connections = [served.send("/work", {"seconds": 60}) for _ in range(running)]
    for connection in connections:
        receive(connection, b"begun")
    connections += [served.send("/work", {"seconds": 60}) for _ in range(queued)]
    served.until(lambda: waiting(served) == queued, within=5)
    return connections


# E1


def test_of_a_hundred_requests_those_run_that_have_a_place(serve: Serve, figure: Figure) -> None:
    served = serve(TRIALS, "--max-concurrency", "8", "--max-queue", "16")
    answers = crowd(served.port, "/work", [{"seconds": 1.5}] * 100, accept="text/plain")
    answered = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 503]
    figure("E1", "of 100, not answered or not whole, besides 76", abs(24 - len(answered)), 0)
    assert all(answer.clean and answer.body == b"begun done" for answer in answered)
    assert len(refused) == 76
    for answer in refused:
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.error, int(answer.headers["retry-after"]) >= 1) == ("overloaded", True)
    figure("E1", "seconds to a refusal in the rush, p99", p99(answer.seconds for answer in refused), 0.5)
    worked, peak = load(served)
    figure("E1", "streams at a time", peak, 8)
    assert worked == 24
    assert served.metric("headrace_rejected_total", 'reason="overloaded"') == 76


def test_a_refusal_does_not_wait_for_the_body(serve: Serve, figure: Figure) -> None:
    served = serve(TRIALS, "--max-concurrency", "1", "--max-queue", "0")
    (holder,) = occupied(served, 1, 0)
    seconds = []
    for _ in range(50):
        connection = served.connect()
        connection.sendall(
            b"POST /work HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"content-length: 8000000\r\n\r\n"
        )
        asked_at = time.monotonic()
        assert receive(connection, b"\r\n").startswith(b"HTTP/1.1 503 ")
        seconds.append(time.monotonic() - asked_at)
        reset(connection)
    figure("E1", "seconds to a refusal without a body, median", statistics.median(seconds), 0.1)
    reset(holder)
    served.until(lambda: served.metric("headrace_streams_live") == 0, within=2)
    assert load(served)[0] == 1


# E2


def test_who_leaves_the_queue_is_gone_from_it_at_once_and_never_run(serve: Serve, figure: Figure) -> None:
    served = serve(TRIALS, "--max-concurrency", "1", "--max-queue", "20")
    holder, *queued = occupied(served, 1, 20)
    assert served.post("/work", {"seconds": 0})[0] == 503
    left_at = time.monotonic()
    for number, connection in enumerate(queued):
        if number % 2:
            reset(connection)
        else:
            connection.close()
    served.until(lambda: waiting(served) == 0, within=5)
    figure("E2", "seconds until 20 abandoned turns are free", time.monotonic() - left_at, 1.0)
    late = served.send("/work", {"seconds": 0})
    served.until(lambda: waiting(served) == 1, within=5)
    reset(holder)
    assert b"done" in receive(late, b"done")
    late.close()
    figure("E2", "abandoned requests that ran", load(served)[0] - 2, 0)
    assert served.metric("headrace_streams_total", 'end="client_gone"') == 21


# E5


def test_a_key_that_floods_is_refused_and_another_does_not_notice(serve: Serve, figure: Figure) -> None:
    limits = ("--key-concurrency", "4", "--key-rate", "20", "--key-burst", "40")
    served = serve(TRIALS, *limits, environment={"HEADRACE_API_KEY": "flood,calm,watch"})
    quiet = p99(calm(served))
    over, statuses, retries = threading.Event(), [], []

    def flood() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        while not over.is_set():
            connection.request("GET", "/count?to=1", headers={"authorization": "Bearer flood"})
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
            retries.append(response.getheader("retry-after"))
            time.sleep(0.02)
        connection.close()

    flooders = [threading.Thread(target=flood) for _ in range(4)]
    for thread in flooders:
        thread.start()
    try:
        flooded = p99(calm(served))
    finally:
        over.set()
        for thread in flooders:
            thread.join()
    figure("E5", "p99 of another key, in times of the quiet one", flooded / quiet, 1.5)
    assert set(statuses) == {200, 429}
    assert {retry for status, retry in zip(statuses, retries, strict=True) if status == 429} == {"1"}
    refused = statuses.count(429)
    assert refused > len(statuses) / 3
    headers = {"x-api-key": "watch"}
    text = served.request("GET", "/metrics", headers=headers)[2].decode()
    assert f'headrace_rejected_total{{reason="rate_limited"}} {refused:.1f}' in text.splitlines()
    assert total(text, "headrace_streams_total") == total(text, "headrace_streams_started_total")
    assert total(text, "headrace_streams_live") == 0
    served.stop()


def total(text: str, name: str) -> float:
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name}{{"))


def calm(served: Served) -> list[float]:
    """The seconds of requests of one key, one after the other, within its rate."""
    seconds = []
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    for _ in range(12):
        asked_at = time.monotonic()
        connection.request("GET", "/count?to=10&pause=0.03", headers={"authorization": "Bearer calm"})
        response = connection.getresponse()
        assert (response.status, len(response.read())) == (200, 20)
        seconds.append(time.monotonic() - asked_at)
    connection.close()
    return seconds


def test_an_address_has_its_number_of_streams_where_there_are_no_keys(serve: Serve, figure: Figure) -> None:
    served = serve(TRIALS, "--key-concurrency", "5")
    answers = crowd(served.port, "/work", [{"seconds": 1}] * 30, accept="text/plain")
    statuses = sorted(answer.status for answer in answers)
    figure("E5", "of 30 streams of one address, more than its 5", statuses.count(200) - 5, 0)
    assert statuses == [200] * 5 + [429] * 25
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status == 429)
    with socket.create_connection(("127.0.0.1", served.port), timeout=20, source_address=("127.0.0.2", 0)) as other:
        other.sendall(request("/work", {"seconds": 0}, "text/plain", "connection: close\r\n"))
        assert answer_in(rest_of(other)).body == b"begun done"


# E6


def test_absurd_work_is_refused_by_its_schema(serve: Serve, figure: Figure) -> None:
    served = serve(TRIALS)
    absurd: list[tuple[str, Any]] = [
        ("/prompts", {"prompts": ["a"], "n": 10**9}),
        ("/prompts", {"prompts": [""] * 1_000_000}),
        ("/prompts", {"prompts": ["a"], "n": -1}),
        ("/tokens", {"to": 10**30 + 0.5}),
    ]
    assert served.post("/prompts", {"prompts": ["a"] * 100, "n": 100})[0] == 200
    before = 0  # the allocator keeps what the largest body took: the figure is what is added to that
    for _ in range(4):
        served.post(*absurd[1])
        before = max(before, resident_bytes(served.process.pid))
    for path, arguments in absurd * 5:
        status, headers, body = served.post(path, arguments)
        assert (status, headers["content-type"], len(body) < 1500) == (422, "application/problem+json", True)
    figure("E6", "growth under 20 absurd requests, MB", (resident_bytes(served.process.pid) - before) / 1e6, 16)
