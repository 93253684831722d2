"""An endpoint that speaks another API, and paths with named parts, in a real server (`tests/support/shouting.py`)."""

import http.client
import json
import signal
import time
from collections.abc import Iterator

import pytest
from served import Serve, Served, receive
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from headrace.client.sync import Client

TARGET = "tests/support/shouting.py"


@pytest.fixture(scope="module")
def shouting() -> Iterator[Served]:
    served = Served("run", TARGET, "--port", "0", "--heartbeat", "0.2").ready()
    try:
        yield served
        served.assert_every_stream_ended()
    finally:
        served.stop()


def gone(served: Served) -> float:
    return served.metric("headrace_streams_total", 'end="client_gone"')


# -- answers


def test_the_stream_flag_of_the_body_decides(shouting: Served) -> None:
    status, headers, body = shouting.post("/shout", {"say": "it rains"}, accept="application/json")
    assert (status, headers["content-type"], body) == (200, "text/shout; charset=utf-8", b"+ IT\n+ RAINS\n.\n")
    status, headers, body = shouting.post("/shout", {"say": "it rains", "whole": True}, accept="text/event-stream")
    assert (status, headers["content-type"], json.loads(body)) == (200, "application/json", {"said": "IT RAINS"})
    assert headers["content-length"] == str(len(body))


def test_a_word_arrives_before_the_next_one_is_made(shouting: Served) -> None:
    before = gone(shouting)
    with shouting.send("/shout", {"say": "a wait"}) as connection:
        assert b"+ A\n" in receive(connection, b"+ A\n")
    assert shouting.until(lambda: gone(shouting) == before + 1, within=2) < 1


@pytest.mark.parametrize("say", ["wait", "pause wait", "a wait"])
@pytest.mark.parametrize("whole", [False, True])
def test_a_client_that_leaves_stops_the_work_at_any_time(shouting: Served, say: str, whole: bool) -> None:
    before, live = gone(shouting), lambda: shouting.metric("headrace_streams_live")
    connection = shouting.send("/shout", {"say": say, "whole": whole})
    shouting.until(lambda: live() == 1, within=5)
    connection.close()
    shouting.until(lambda: (live(), gone(shouting)) == (0, before + 1), within=2)


def test_a_silent_stream_gets_its_head_and_signs_of_life(shouting: Served) -> None:
    started = time.monotonic()
    with shouting.send("/shout", {"say": "wait"}) as connection:
        received = receive(connection, lambda data: data.count(b"~\n") >= 2)
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert 0.2 <= time.monotonic() - started < 5


def test_a_silent_stream_that_is_stopped_tells_it_in_its_own_words(shouting: Served) -> None:
    with shouting.send("/shout", {"say": "wait"}) as connection:
        head = receive(connection, b"~\n").decode()
        (stream,) = [line[20:] for line in head.splitlines() if line.lower().startswith("headrace-stream-id: ")]
        assert shouting.request("DELETE", f"/streams/{stream}")[0] == 204
        assert receive(connection, b"0\r\n\r\n").endswith(b"! The stream was stopped.\n\r\n0\r\n\r\n")


def test_a_gathered_answer_says_nothing_before_its_end(shouting: Served) -> None:
    with shouting.send("/shout", {"say": "a wait", "whole": True}) as connection:
        connection.settimeout(0.6)  # three heartbeats
        with pytest.raises(TimeoutError):
            connection.recv(1)


# -- failures


@pytest.mark.parametrize("whole", [False, True])
def test_a_failure_before_the_first_word_is_a_status(shouting: Served, whole: bool) -> None:
    status, headers, body = shouting.post("/shout", {"say": "pause busy", "whole": whole}, x_request_id="r-7")
    assert (status, json.loads(body)) == (429, {"oops": "somebody shouts"})
    assert (headers["retry-after"], headers["x-request-id"], headers["x-shout"]) == ("7", "r-7", "r-7")


def test_a_failure_after_it_is_told_in_the_stream_and_ends_cleanly(shouting: Served) -> None:
    status, _, body = shouting.post("/shout", {"say": "a busy"})
    assert (status, body) == (200, b"+ A\n! somebody shouts\n")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"content-type": "application/json"}, 400),
        (b'{"say": 4}', {"content-type": "application/json"}, 400),
        (b'{"say": "a"}', {"content-type": "text/plain"}, 415),
        (b'{"say": "a"}', {"content-type": "application/json", "host": "evil.example"}, 403),
        (b'{"say": "a"}', {"content-type": "application/json", "content-encoding": "gzip"}, 415),
        (b"[" * 100_000, {"content-type": "application/json"}, 400),
        (b'{"say": "' + b"a" * 9_000_000 + b'"}', {"content-type": "application/json"}, 413),
    ],
    ids=["broken", "type", "media type", "host", "compressed", "deep", "large"],
)
def test_every_refusal_is_in_the_dialect(shouting: Served, body: bytes, headers: dict[str, str], status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shouting.port, timeout=20)
    try:
        connection.putrequest("POST", "/shout", skip_host="host" in headers)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders()
        if len(body) < 1_000_000:  # the others are refused by the head
            connection.send(body)
        answer = connection.getresponse()
        assert (answer.status, list(json.loads(answer.read()))) == (status, ["oops"])
    finally:
        connection.close()


def test_a_websocket_is_refused_with_a_reason(shouting: Served) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{shouting.port}/shout"):
        pass
    answer = refused.value.response
    assert (answer.status_code, json.loads(answer.body or b"")["oops"][:18]) == (405, "HR14 Shouts.shout ")


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
def test_a_key_opens_the_server_in_each_of_its_headers(serve: Serve, header: str) -> None:
    served = serve(TARGET, "--api-key", "s3cret-key")
    prefix = "Bearer " if header == "authorization" else ""
    body = json.dumps({"say": "a"}).encode()
    for key, status in [("s3cret-key", 200), ("wrong", 401)]:
        sent = {"content-type": "application/json", header: prefix + key}
        assert served.request("POST", "/shout", body, sent)[0] == status
    served.stop()
    assert "s3cret-key" not in "".join(served.output)


def test_a_server_that_stops_tells_it_in_the_dialect(serve: Serve) -> None:
    served = serve(TARGET, "--drain", "0.3")
    with served.send("/shout", {"say": "a wait"}) as connection:
        receive(connection, b"+ A\n")
        served.process.send_signal(signal.SIGTERM)
        rest = receive(connection, b"0\r\n\r\n")
        assert b"! The server is shutting down; another one can answer.\n" in rest
    assert served.exit_code() == 0


def test_a_service_that_is_unwell_is_not_ready_and_still_answers(serve: Serve) -> None:
    served = serve(TARGET)
    assert served.request("GET", "/readyz")[0] == 200
    assert served.post("/shout", {"say": "unwell"})[0] == 200
    status, _, body = served.request("GET", "/readyz")
    assert (status, json.loads(body)["detail"]) == (503, "Shouts: not healthy, by its own account")
    assert served.request("GET", "/livez")[0] == 200
    assert served.post("/shout", {"say": "a"})[2] == b"+ A\n.\n"


# -- named parts of a path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/books/a/pages/1", "a|1|False|"),
        ("/books/a/b/pages/1?loud=true", "a/b|1|True|"),
        ("/books/a%2Fb/pages/1", "a/b|1|False|"),
        ("/books/a%252Fb%20%C3%A9/pages/%31", "a%2Fb \u00e9|1|False|"),
    ],
)
def test_parts_of_a_path_are_decoded_once(shouting: Served, path: str, said: str) -> None:
    status, _, body = shouting.request("GET", path)
    assert (status, body.decode()) == (200, said)


def test_a_part_that_does_not_fit_is_refused_by_its_name(shouting: Served) -> None:
    status, _, body = shouting.request("GET", "/books/a/pages/b")
    assert (status, json.loads(body)["errors"][0]["pointer"]) == (422, "/page")


def test_parts_of_a_path_reach_a_dialect(shouting: Served) -> None:
    assert shouting.request("GET", "/voices/alto")[2] == b'{"said": "ALTO"}'
    assert shouting.request("DELETE", "/voices/alto/last")[2] == b"+ ALTO\n.\n"
    status, _, body = shouting.request("GET", "/voices/falsetto")
    assert (status, json.loads(body)) == (404, {"oops": "there is no voice falsetto"})


def test_the_client_reads_a_stream_by_its_path(shouting: Served) -> None:
    with Client(f"http://127.0.0.1:{shouting.port}") as client:
        with client.stream("/books/a/b/pages/3", loud=True) as stream:
            assert list(stream) == ["a/b|", "3|", "True|"]
        assert client.call("/books/a%20b/pages/3") == "a b|3|False|"


def test_a_websocket_has_the_parts_of_its_path(shouting: Served) -> None:
    with connect(f"ws://127.0.0.1:{shouting.port}/books/a%20b/pages/3") as session:
        session.send('{"loud": true}')
        assert [session.recv(timeout=5) for _ in range(3)] == ["a b|", "3|", "True|"]
