"""C7: a silent generator beats and is stopped in time. E3: a deadline holds in the queue and in the middle."""

import json
import time

import pytest
from figures import Figure
from served import Serve, Served, receive

STUCK = "tests/e2e/faults/stuck.py"


@pytest.fixture
def stuck(serve: Serve) -> Served:
    return serve(STUCK, "--heartbeat", "0.3")


def test_c7_a_silent_generator_beats_and_is_told_after_its_timeout(stuck: Served, figure: Figure) -> None:
    """The row's 9 s at 2 s are 1.5 s at 0.3 s here; the 2 s for telling stay."""
    connection = stuck.send("/silent", {"items": 3}, accept="text/event-stream")
    received = receive(connection, b'data: "2 "')
    silent_since = time.monotonic()
    received += receive(connection, b"\r\n0\r\n\r\n")
    told = time.monotonic() - silent_since
    beats = received.count(b": keep-alive\n")
    figure("C7", "told after the item timeout of 1.5 s, s", told - 1.5, 2.0)
    figure("C7", "heartbeats missing of 2 in 1.5 s at 0.3 s", max(0, 2 - beats), 0)
    assert told > 1.4
    assert b"event: error" in received
    assert b"timeout_item" in received
    assert stuck.state() == {"entered": 1, "left": 1}
    connection.close()


@pytest.mark.parametrize(
    ("path", "arguments", "timeout", "code"),
    [("/silent", {"items": 0}, 1.5, "timeout_item"), ("/late", {}, 0.5, "timeout_first_item")],
)
def test_c7_before_the_head_the_answer_is_a_504(
    serve: Serve, figure: Figure, path: str, arguments: dict[str, int], timeout: float, code: str
) -> None:
    stuck = serve(STUCK)
    started = time.monotonic()
    status, _, body = stuck.post(path, arguments)
    figure("C7", f"504 {code} after the timeout of {timeout} s, s", time.monotonic() - started - timeout, 2.0)
    assert status == 504
    assert json.loads(body)["code"] == code
    assert stuck.state() == {"entered": 1, "left": 1}
    assert stuck.metric("headrace_streams_total", 'end="timeout"') == 1


def test_c7_a_reader_that_pauses_is_not_a_silent_generator(stuck: Served) -> None:
    """The generator fills the connection and then waits for the reader, for longer than its item timeout."""
    connection = stuck.send("/silent", {"items": 3_000_000}, accept="text/event-stream")
    receive(connection, b"data: ")
    time.sleep(2.5)
    assert stuck.state() == {"entered": 0, "left": 0}
    assert stuck.metric("headrace_streams_live", "silent") == 1
    connection.close()
    stuck.until(lambda: stuck.metric("headrace_streams_live", "silent") == 0, within=5)
    assert stuck.metric("headrace_streams_total", 'end="client_gone"') == 1


def test_e3_a_deadline_in_the_queue_is_a_504_and_nothing_is_run(serve: Serve, figure: Figure) -> None:
    stuck = serve(STUCK, "--max-concurrency", "1")
    holder = stuck.send("/chatter", {})
    receive(holder, b"word")
    started = time.monotonic()
    status, _, body = stuck.post("/answer", {"after": 0}, headrace_timeout="0.5")
    figure("E3", "in the queue: off the deadline by, s", abs(time.monotonic() - started - 0.5), 0.3)
    assert (status, json.loads(body)["code"]) == (504, "deadline_exceeded")
    holder.close()
    stuck.until(lambda: stuck.metric("headrace_streams_live") == 0, within=5)
    assert stuck.metric("headrace_items_total", "answer") == 0
    assert stuck.metric("headrace_streams_total", "answer", 'end="timeout"') == 1
    state = stuck.state()
    assert state["entered"] == state["left"]


def test_e3_a_deadline_in_the_middle_is_told_in_the_stream(stuck: Served, figure: Figure) -> None:
    started = time.monotonic()
    status, _, body = stuck.post("/chatter", {}, headrace_timeout="0.7", accept="text/event-stream")
    figure("E3", "mid-stream: off the deadline by, s", abs(time.monotonic() - started - 0.7), 0.3)
    assert status == 200
    assert b"deadline_exceeded" in body
    assert body.count(b"word") > 5
    state = stuck.state()
    assert state["entered"] == state["left"]


def test_e3_an_answer_that_is_late_is_a_504(stuck: Served, figure: Figure) -> None:
    started = time.monotonic()
    status, _, body = stuck.post("/answer", {"after": 3600}, headrace_timeout="0.5")
    figure("E3", "one answer: off the deadline by, s", abs(time.monotonic() - started - 0.5), 0.3)
    assert (status, json.loads(body)["code"]) == (504, "deadline_exceeded")
    assert stuck.state() == {"entered": 1, "left": 1}


@pytest.mark.parametrize(("asked", "counts"), [("", 1.0), ("30", 1.0), ("0.4", 0.4)])
def test_e3_the_earlier_one_of_the_endpoints_and_the_clients_timeout_counts(
    stuck: Served, figure: Figure, asked: str, counts: float
) -> None:
    headers = {"headrace_timeout": asked} if asked else {}
    started = time.monotonic()
    status, _, body = stuck.post("/prompt", {"after": 3600}, accept="text/event-stream", **headers)
    figure("E3", f"timeout 1, asked {asked or 'none'}: off by, s", abs(time.monotonic() - started - counts), 0.3)
    assert status == 200
    assert b"deadline_exceeded" in body
    remaining = float(body.partition(b'data: "')[2].split()[0])
    assert counts - 0.3 < remaining <= counts


def test_e3_an_endpoints_timeout_counts_in_the_queue_too(serve: Serve, figure: Figure) -> None:
    stuck = serve(STUCK, "--max-concurrency", "1")
    holder = stuck.send("/chatter", {})
    receive(holder, b"word")
    started = time.monotonic()
    status, _, body = stuck.post("/prompt", {})
    figure("E3", "in the queue, endpoint's timeout: off by, s", abs(time.monotonic() - started - 1.0), 0.3)
    assert (status, json.loads(body)["code"]) == (504, "deadline_exceeded")
    assert stuck.metric("headrace_items_total", "prompt") == 0
    holder.close()
