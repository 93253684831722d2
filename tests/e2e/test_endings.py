"""Every stream ends once, complete or visibly failed, in every format; and stops when nobody wants it."""

import http.client
import itertools
import json
import re
import socket
import struct
import threading
import time
from typing import Any

import pytest
from served import Serve, Served, receive


def lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.splitlines() if line]


def leave(connection: socket.socket) -> None:
    """Closes with a reset, as a client does that vanishes from a page."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_to_the_end(connection: socket.socket) -> None:
    """Reads and forgets a chunked body."""
    last = b""
    while not last.endswith(b"\r\n0\r\n\r\n"):
        piece = connection.recv(1 << 20)
        assert piece
        last = (last + piece)[-8:]


# -- failures


@pytest.mark.parametrize("accept", ["text/plain", "text/event-stream", "application/x-ndjson", "application/json"])
def test_an_error_before_the_first_item_is_a_status(trials: Served, accept: str) -> None:
    status, headers, body = trials.post("/fails", {"after": 0}, accept=accept)
    document = json.loads(body)
    assert (status, document["code"]) == (500, "internal")
    assert headers["content-type"] == "application/problem+json"
    assert document["stream_id"].startswith("s_")
    assert b"4711" not in body


def test_a_public_error_keeps_its_status_and_message(trials: Served) -> None:
    status, _, body = trials.post("/fails", {"after": 0, "how": "busy"})
    document = json.loads(body)
    assert (status, document["code"], document["detail"]) == (429, "model_busy", "all slots are taken")
    assert document["retryable"] is True


def test_an_error_after_items_comes_in_band_after_all_of_them(trials: Served) -> None:
    status, _, body = trials.post("/fails", {"after": 3, "how": "busy"}, accept="application/x-ndjson")
    *items, failure = lines(body)
    assert (status, items) == (200, [{"item": "0 "}, {"item": "1 "}, {"item": "2 "}])
    assert failure["error"] == {
        "code": "model_busy",
        "message": "all slots are taken",
        "retryable": True,
        "stream_id": failure["error"]["stream_id"],
        "items_sent": 3,
    }


def test_server_sent_events_end_with_an_error_event_and_a_clean_close(trials: Served) -> None:
    _, _, body = trials.post("/fails", {"after": 1}, accept="text/event-stream")
    assert body.startswith(b'id: 1\ndata: "0 "\n\nevent: error\ndata: {"code":"internal",')
    assert b"event: end" not in body


@pytest.mark.parametrize("after", [1, 3, 200])
def test_text_that_fails_is_cut_after_all_of_it_so_that_every_client_notices(trials: Served, after: int) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        trials.post("/fails", {"after": after})
    assert cut.value.partial.decode() == "".join(f"{n} " for n in range(after))


def test_gathered_json_that_fails_is_a_status_and_no_half_answer(trials: Served) -> None:
    status, headers, body = trials.post("/fails", {"after": 3}, accept="application/json")
    assert (status, headers["content-type"]) == (500, "application/problem+json")
    assert json.loads(body)["items_sent"] == 0


def test_system_exit_in_a_generator_ends_that_stream_alone(trials: Served) -> None:
    _, _, body = trials.post("/fails", {"after": 1, "how": "exit"}, accept="application/x-ndjson")
    assert lines(body)[-1]["error"]["code"] == "internal"
    assert trials.request("GET", "/livez")[0] == 200


def test_an_item_of_the_wrong_type_is_told_with_its_number(trials: Served) -> None:
    _, _, body = trials.post("/wrong_item", {}, accept="application/x-ndjson")
    first, failure = lines(body)
    assert first == {"item": {"text": "right", "number": 1}}
    assert failure["error"]["code"] == "invalid_item"
    assert failure["error"]["message"].startswith("HR08 item 2 is dict, expected Token")
    assert re.search(r"\(tests/e2e/trials.py:\d+, Trials.wrong_item\)$", failure["error"]["message"])


def test_an_answer_that_gathers_too_much_fails_with_advice(serve: Serve) -> None:
    served = serve("tests/e2e/trials.py", "--max-answer", "1000")
    status, _, body = served.post("/count", {"to": 1000}, accept="application/json")
    assert (status, json.loads(body)["code"]) == (500, "answer_too_large")
    assert served.post("/count", {"to": 10}, accept="application/json")[0] == 200


def test_a_typed_stream_has_its_header_first_and_its_footer_last(trials: Served) -> None:
    _, _, body = trials.post("/typed", {"to": 2})
    assert [next(iter(line)) for line in lines(body)] == ["header", "item", "item", "footer", "end"]
    _, _, gathered = trials.post("/typed", {"to": 1}, accept="application/json")
    assert json.loads(gathered) == {
        "header": {"rate": 16000},
        "items": [{"text": "t0", "number": 0}],
        "footer": {"done": "yes"},
    }


# -- who leaves


def test_a_generator_that_never_awaits_stops_when_its_client_leaves(trials: Served) -> None:
    connection = trials.send("/never_awaits", {"to": 1_000_000_000})
    assert receive(connection, b"0 ").startswith(b"HTTP/1.1 200 ")
    assert trials.state()["running"] == 1
    leave(connection)
    assert trials.until(lambda: trials.state()["running"] == 0, within=1.0) < 1.0


def test_a_silent_generator_stops_when_its_client_leaves(trials: Served) -> None:
    connection = trials.send("/silent", {})
    trials.until(lambda: trials.state()["running"] == 1, within=2.0)
    leave(connection)
    trials.until(lambda: trials.state()["running"] == 0, within=1.0)


def test_a_sync_generator_is_closed_on_its_own_thread_when_its_client_leaves(trials: Served) -> None:
    connection = trials.send("/sync", {"to": 1_000_000_000, "pause": 0.001})
    receive(connection, b"0 ")
    leave(connection)
    trials.until(lambda: trials.state()["running"] == 0, within=2.0)
    assert trials.state()["last_thread"] == "headrace-sync"


def test_a_reader_that_stops_reading_pauses_its_generator(trials: Served) -> None:
    connection = trials.send("/never_awaits", {"to": 1_000_000_000})
    receive(connection, b"0 ")
    made = -1
    while made != (made := trials.state()["made"]):
        time.sleep(0.3)
    leave(connection)
    trials.until(lambda: trials.state()["running"] == 0, within=1.0)


def test_delete_stops_a_stream_and_tells_its_reader(trials: Served) -> None:
    connection = trials.send("/count", {"to": 1_000_000, "pause": 0.01}, accept="application/x-ndjson")
    found = re.search(rb"headrace-stream-id: (\S+)", receive(connection, b"item"))
    assert found is not None
    path = f"/streams/{found.group(1).decode()}"
    assert trials.request("DELETE", path)[0] == 204
    assert b'"error":{"code":"cancelled"' in receive(connection, b"\r\n0\r\n\r\n")
    assert trials.request("DELETE", path)[0] == 404
    connection.close()


def test_the_deadline_of_the_request_ends_the_stream(trials: Served) -> None:
    started = time.monotonic()
    _, _, body = trials.post(
        "/count", {"to": 1000, "pause": 0.01}, accept="application/x-ndjson", headrace_timeout="0.3"
    )
    assert 0.25 < time.monotonic() - started < 1.0
    assert lines(body)[-1]["error"]["code"] == "deadline_exceeded"
    assert trials.post("/silent", {}, headrace_timeout="0.1")[0] == 504


# -- who shares


def test_a_generator_that_never_awaits_does_not_delay_another_stream(trials: Served) -> None:
    greedy = trials.send("/never_awaits", {"to": 1_000_000})
    drain = threading.Thread(target=lambda: read_to_the_end(greedy))
    drain.start()
    patient = trials.send("/count", {"to": 40, "pause": 0.02}, accept="text/event-stream")
    arrived: list[float] = []

    def ended(received: bytes) -> bool:
        arrived.append(time.monotonic())
        return b"event: end" in received

    receive(patient, ended)
    gaps = [after - before for before, after in itertools.pairwise(arrived)]
    assert max(gaps) < 0.25
    drain.join()
    greedy.close()
    patient.close()


def test_more_than_there_are_places_wait_and_more_than_that_are_refused(serve: Serve) -> None:
    served = serve("tests/e2e/trials.py", "--max-concurrency", "2", "--max-queue", "1")
    first, second = (served.send("/silent", {}) for _ in range(2))
    served.until(lambda: served.metric("headrace_streams_live") == 2, within=2.0)
    waiting = served.send("/silent", {})
    served.until(lambda: served.metric("headrace_queue_depth") == 1, within=2.0)
    started = time.monotonic()
    status, headers, body = served.post("/add", {"a": 1, "b": 2})
    assert (status, json.loads(body)["code"], headers["retry-after"]) == (503, "overloaded", "1")
    assert time.monotonic() - started < 0.5
    leave(waiting)
    served.until(lambda: served.metric("headrace_queue_depth") == 0, within=1.0)
    leave(first)
    served.until(lambda: served.metric("headrace_streams_live") == 1, within=1.0)
    assert json.loads(served.post("/add", {"a": 1, "b": 2})[2]) == 3
    leave(second)


def test_silence_is_broken_by_heartbeats(trials: Served) -> None:
    connection = trials.send("/silent", {}, accept="text/event-stream")
    received = receive(connection, lambda received: received.count(b": keep-alive\n") == 2)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b": keep-alive\n\n" not in received
    leave(connection)


def test_a_heartbeat_sends_the_head_of_a_text_stream_and_nothing_else(trials: Served) -> None:
    connection = trials.send("/silent", {})
    received = receive(connection, b"\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"\r\n\r\n")
    leave(connection)
