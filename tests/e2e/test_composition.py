"""Services that call services, over real servers: in one process, and with a url between them."""

import itertools
import json
import signal
import time
from typing import Any

import pytest
from served import Serve, Served, receive

TARGET = "tests/e2e/pipeline.py:"
NDJSON = "application/x-ndjson"
WAYS = ["one process", "two processes"]


@pytest.fixture(params=WAYS)
def front(request: pytest.FixtureRequest, serve: Serve) -> Served:
    return started(serve)[0] if request.param == "two processes" else serve(f"{TARGET}Front")


def started(serve: Serve, *flags: str) -> tuple[Served, Served]:
    """Front and source, each in a process of its own; the flags are the source's."""
    source = serve(f"{TARGET}Source", *flags)
    return serve(f"{TARGET}Front", environment={"SOURCE_URL": f"http://127.0.0.1:{source.port}"}), source


def lines(served: Served, path: str, arguments: Any) -> list[dict[str, Any]]:
    """The NDJSON lines of an answer."""
    status, _, body = served.post(path, arguments, accept=NDJSON)
    assert status == 200, body
    return [json.loads(line) for line in body.splitlines()]


def test_each_item_is_worked_on_before_the_next_one_is_made(front: Served) -> None:
    *events, ending = lines(front, "/worked", {"count": 6, "pause": 0.05})
    assert ending["end"]["items"] == 6
    times = [time for event in events for time in (event["item"]["made"], event["item"]["worked"])]
    assert times == sorted(times)
    delays = [event["item"]["worked"] - event["item"]["made"] for event in events]
    assert max(delays) < 0.04


def test_the_first_item_reaches_the_client_before_the_last_one_is_made(front: Served) -> None:
    with front.send("/worked", {"count": 6, "pause": 0.1}, NDJSON) as connection:
        receive(connection, b'"worked"')
        came = time.monotonic()
        last = receive(connection, b'"items":6').splitlines()
    made = max(json.loads(line)["item"]["made"] for line in last if line.startswith(b'{"item"'))
    assert made - came > 0.2


def test_a_typed_stream_keeps_its_parts(front: Served) -> None:
    *events, ending = lines(front, "/typed", {"words": ["a", "b"]})
    assert events == [{"header": {"language": "en", "by": "front"}}, {"item": "a"}, {"item": "b"}, {"footer": 3}]
    assert ending["end"]["items"] == 2


def test_a_stream_is_passed_on(front: Served) -> None:
    *events, _ = lines(front, "/passed", {"words": ["a", "b"]})
    assert events == [{"item": "A"}, {"item": "B"}]


def test_sync_services_call_sync_services(front: Served) -> None:
    *events, ending = lines(front, "/blocking", {"count": 500})
    assert events == [{"item": f"w{number}"} for number in range(500)]
    assert ending["end"]["items"] == 500


def test_an_error_of_the_other_service_is_a_status_before_the_first_item(front: Served) -> None:
    status, headers, body = front.post("/taken", {"after": 0})
    assert (status, headers["content-type"]) == (429, "application/problem+json")
    problem = json.loads(body)
    assert (problem["code"], problem["detail"]) == ("taken", "All places of the model are taken.")


def test_an_error_of_the_other_service_comes_after_its_items(front: Served) -> None:
    *events, ending = lines(front, "/taken", {"after": 2})
    assert events == [{"item": "w0"}, {"item": "w1"}]
    assert (ending["error"]["code"], ending["error"]["items_sent"]) == ("taken", 2)


@pytest.mark.parametrize("after", [0, 2])
def test_what_the_other_service_does_not_tell_nobody_tells(front: Served, after: int) -> None:
    status, _, body = front.post("/breaks", {"after": after}, accept=NDJSON)
    assert status == (200 if after else 500)
    assert b"internal" in body
    assert b"secret" not in body


def test_an_error_is_logged_once_with_both_tracebacks(serve: Serve) -> None:
    served = serve(f"{TARGET}Front")
    served.post("/breaks", {"after": 1}, accept=NDJSON)
    served.stop()
    log = "".join(served.output)
    assert log.count("RuntimeError: the secret reason") == 1
    assert log.count("Traceback (most recent call last)") == 2
    assert "Front.breaks failed" in log


def test_a_client_that_does_not_read_holds_up_the_source(front: Served) -> None:
    with front.send("/flood", {}) as connection:
        receive(connection, b"xxxx")
        counts = itertools.repeat(lambda: json.loads(front.post("/made", {})[2]))
        before = -1
        for made in counts:
            time.sleep(0.3)
            if before == made():
                break
            before = made()
        assert before < 3000  # of 10 kB each: what sockets and queues hold


def test_a_service_that_is_not_there_is_a_502_that_a_retry_may_help(serve: Serve) -> None:
    front = serve(f"{TARGET}Front", environment={"SOURCE_URL": "http://127.0.0.1:9"})
    status, _, body = front.post("/worked", {"count": 1, "pause": 0})
    problem = json.loads(body)
    assert (status, problem["code"], problem["retryable"]) == (502, "connection_failed", True)
    assert problem["detail"] == "a service that the answer needs cannot be reached"
    assert "Source.words cannot be called: cannot connect to http://127.0.0.1:9" in front.line_with("cannot be called")


def test_a_service_that_is_killed_midway_is_a_visible_failure(serve: Serve) -> None:
    front, source = started(serve)
    with front.send("/worked", {"count": 100, "pause": 0.1}, NDJSON) as connection:
        receive(connection, b'"worked"')
        source.stop(signal.SIGKILL)
        rest = receive(connection, b'"error"')
    assert b'"code":"truncated"' in rest


def test_a_service_that_comes_back_is_called_again(serve: Serve) -> None:
    front, source = started(serve)
    port = source.port
    assert lines(front, "/blocking", {"count": 1})[0] == {"item": "w0"}
    source.stop(signal.SIGKILL)
    assert front.post("/blocking", {"count": 1})[0] == 502
    serve(f"{TARGET}Source", "--port", str(port))
    assert lines(front, "/blocking", {"count": 1})[0] == {"item": "w0"}


def test_a_service_that_stops_in_order_says_so_through_the_one_that_calls_it(serve: Serve) -> None:
    front, source = started(serve, "--drain", "0.2")
    with front.send("/worked", {"count": 1000, "pause": 0.1}, NDJSON) as connection:
        receive(connection, b'"worked"')
        source.stop()
        rest = receive(connection, b'"error"')
    assert b'"code":"shutting_down"' in rest


def test_arguments_of_a_service_below_are_set_from_the_command_line(serve: Serve) -> None:
    served = serve("tests/e2e/faults/chain.py:Front", "--set", "Leaf.pause=0.001")
    with served.send("/run", {"name": "a"}) as connection:
        receive(connection, lambda received: received.count(b"a\n") >= 100)
