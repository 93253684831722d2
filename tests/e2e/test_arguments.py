"""Where arguments come from: JSON, the query, the raw body, the body as it arrives."""

import json
import time

from served import Served, receive


def test_a_get_endpoint_takes_its_arguments_from_the_query(trials: Served) -> None:
    assert trials.request("GET", "/count?to=3")[2] == b"0\n1\n2\n"


def test_an_event_source_reads_a_get_endpoint(trials: Served) -> None:
    _, headers, body = trials.request("GET", "/count?to=1", headers={"accept": "text/event-stream"})
    assert headers["content-type"].startswith("text/event-stream")
    assert body.startswith(b'id: 1\ndata: "0\\n"\n\nevent: end\n')


def test_an_endpoint_that_returns_answers_once_as_json(trials: Served) -> None:
    status, headers, body = trials.post("/add", {"a": 1, "b": 2})
    assert (status, headers["content-type"], body) == (200, "application/json", b"3")
    assert headers["content-length"] == "1"


def test_a_sync_method_answers_from_a_worker_thread(trials: Served) -> None:
    assert trials.post("/slow_add", {"a": 1, "b": 2})[2] == b"3"


def test_a_bytes_parameter_takes_the_whole_body(trials: Served) -> None:
    body = bytes(300_000)
    assert trials.request("POST", "/length", body, {"content-type": "audio/wav"})[2] == b"300000"


def test_a_streamed_body_is_answered_while_it_arrives(trials: Served) -> None:
    connection = trials.connect()
    connection.sendall(
        b"POST /echo?prefix=%3E HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n"
        b"content-type: application/octet-stream\r\n\r\n5\r\nhello\r\n"
    )
    received = receive(connection, b"hello")
    assert b">" in received.partition(b"\r\n\r\n")[2]
    time.sleep(0.05)
    connection.sendall(b"5\r\nworld\r\n0\r\n\r\n")
    assert b"world" in receive(connection, b"0\r\n\r\n")
    connection.close()


def test_lines_of_the_body_are_items(trials: Served) -> None:
    lines = b'{"text": "a", "number": 1}\n\n{"text": "b", "number": 2}'
    _, _, body = trials.request("POST", "/shout", lines, {"content-type": "application/x-ndjson"})
    assert body == b"A\nB\n"


def test_declared_bytes_have_the_declared_media_type(trials: Served) -> None:
    _, headers, body = trials.post("/sound", {})
    assert headers["content-type"] == "audio/wav"
    assert body == b"RIFF" + bytes(range(256))


def test_the_code_sees_its_request(trials: Served) -> None:
    _, _, body = trials.post("/who", {}, x_request_id="r-7", user_agent="tests", headrace_timeout="5")
    assert json.loads(body) == {"request_id": "r-7", "agent": "tests", "has_deadline": True}


def test_a_request_id_that_could_forge_a_log_line_is_replaced(trials: Served) -> None:
    _, headers, _ = trials.post("/who", {}, x_request_id="a b;c")
    assert headers["x-request-id"] != "a b;c"


def test_the_service_describes_itself(trials: Served) -> None:
    document = json.loads(trials.request("GET", "/openapi.json")[2])
    assert document["openapi"] == "3.2.0"
    content = document["paths"]["/tokens"]["post"]["responses"]["200"]["content"]
    assert list(content) == [
        "application/x-ndjson",
        "application/jsonl",
        "text/event-stream",
        "application/vnd.headrace.frames",
        "application/json",
    ]
    item = content["application/x-ndjson"]["itemSchema"]["properties"]["item"]
    assert (item["title"], item["required"]) == ("Token", ["text", "number"])
    assert document["paths"]["/typed"]["post"]["x-headrace"]["footer"]["additionalProperties"] == {"type": "string"}
