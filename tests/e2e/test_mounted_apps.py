"""Applications mounted in a service: real servers, FastAPI, Starlette and a bare one, and clients that leave."""

import http.client
import json
import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from served import Serve, Served, receive
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

APPS = str(Path(__file__).with_name("mounted_apps.py"))
LEAVING = 100


@pytest.fixture(scope="module")
def fast() -> Iterator[Served]:
    served = Served("run", f"{APPS}:Fast", "--port", "0", "--heartbeat", "0.3", "--loop-limit", "0.2").ready()
    try:
        yield served
        served.assert_every_stream_ended()
    finally:
        served.stop()


@pytest.fixture(scope="module")
def star() -> Iterator[Served]:
    served = Served("run", f"{APPS}:Star", "--port", "0").ready()
    try:
        yield served
        served.assert_every_stream_ended()
    finally:
        served.stop()


def get(served: Served, path: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, received, body = served.request("GET", path, headers=named)
    return status, received, json.loads(body) if "json" in received.get("content-type", "") else body.decode()


def ask(served: Served, path: str) -> socket.socket:
    connection = served.connect()
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    return connection


def leave(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def chat(served: Served, path: str) -> AbstractContextManager[ClientConnection]:
    return connect(f"ws://127.0.0.1:{served.port}{path}", proxy=None)


def until(served: Served, holds: Callable[[dict[str, Any]], bool], within: float = 3.0) -> None:
    served.until(lambda: holds(served.state()), within)


# -- routes on methods


def test_a_route_is_called_on_the_instance(fast: Served) -> None:
    status, headers, body = fast.request("POST", "/?prompt=rain")
    assert (status, json.loads(body)) == (200, {"text": "fast: rain"})
    assert headers["content-type"] == "application/json"


def test_curl_reads_the_stream_of_a_route(fast: Served) -> None:
    command = ["curl", "-sSN", "--fail", f"http://127.0.0.1:{fast.port}/numbers?to=4&kind=sync"]
    assert subprocess.run(command, capture_output=True, check=True, timeout=20).stdout == b"0 1 2 3 "


def test_what_does_not_fit_is_fastapi_s_own_422(fast: Served) -> None:
    status, _, body = fast.request("POST", "/")
    assert status == 422
    assert json.loads(body)["detail"] == [
        {"type": "missing", "loc": ["query", "prompt"], "msg": "Field required", "input": None}
    ]


def test_path_header_and_dependencies_are_read(fast: Served) -> None:
    status, _, body = get(fast, "/items/7?style=grand", token="me")
    assert (status, body) == (200, {"number": 7, "who": "me", "how": "fast, grand"})


def test_an_included_router_has_its_methods_bound(fast: Served) -> None:
    assert get(fast, "/v1/included/item/7?style=grand")[2] == {"number": 7, "how": "fast, grand"}


def test_a_plain_function_stays_a_route(fast: Served) -> None:
    assert get(fast, "/plain?x=5")[2] == 5


def test_the_application_answers_what_is_nowhere_and_what_is_not_allowed(fast: Served) -> None:
    assert get(fast, "/nowhere")[::2] == (404, {"detail": "Not Found"})
    assert get(fast, "/")[::2] == (405, {"detail": "Method Not Allowed"})


def test_status_headers_and_media_type_of_a_stream_are_kept(fast: Served) -> None:
    status, headers, body = get(fast, "/numbers")
    assert (status, body) == (203, "0 1 2 ")
    assert (headers["x-kind"], headers["content-type"]) == ("async", "text/x-numbers; charset=utf-8")


def test_a_repeated_header_stays_repeated(fast: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", fast.port, timeout=20)
    connection.request("GET", "/cookies")
    response = connection.getresponse()
    assert response.status == 201
    assert response.headers.get_all("set-cookie") == ["a=1; Path=/; SameSite=lax", "b=2; Path=/; SameSite=lax"]
    connection.close()


def test_routes_that_yield_stream(fast: Served) -> None:
    assert fast.request("GET", "/yielded")[2] == b"0\n1\n2\n"
    assert get(fast, "/events")[2] == "data: 0\n\ndata: 1\n\n"


def test_an_endpoint_answers_beside_the_application(fast: Served) -> None:
    assert fast.post("/write", {"topic": "rain"})[2] == b"rain\n"


# -- documentation


def test_the_documentation_page_is_fastapi_s(fast: Served) -> None:
    status, headers, body = get(fast, "/docs")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<title>Poems - Swagger UI</title>" in body
    assert "url: '/openapi.json'" in body


def test_the_description_has_routes_without_self_and_the_endpoints(fast: Served) -> None:
    document = get(fast, "/openapi.json")[2]
    assert document["info"]["title"] == "Poems"
    handle = document["paths"]["/"]["post"]
    assert (handle["tags"], handle["summary"], handle["description"]) == (["poems"], "Handle", "Answers a prompt.")
    assert [each["name"] for each in handle["parameters"]] == ["prompt"]
    assert handle["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Answer"
    }
    item = document["paths"]["/items/{number}"]["get"]
    assert sorted(each["name"] for each in item["parameters"]) == ["number", "style", "token"]
    included = document["paths"]["/v1/included/item/{number}"]["get"]
    assert sorted(each["name"] for each in included["parameters"]) == ["number", "style"]
    assert document["paths"]["/write"]["post"]["operationId"] == "write"
    assert '"self"' not in json.dumps(document)


# -- the request's names


def test_a_response_has_the_ids_of_its_request_and_stream(fast: Served) -> None:
    _, headers, body = get(fast, "/left", x_request_id="mine-1")
    assert headers["x-request-id"] == body["id"] == "mine-1"
    assert re.fullmatch(r"s_[\w-]{32}", headers["headrace-stream-id"])
    fast.line_with(f"GET /left {headers['headrace-stream-id'][:8]} 200")


def test_a_stream_of_a_route_is_stopped_by_its_id(fast: Served) -> None:
    connection = ask(fast, "/numbers?to=100000&pause=0.02")
    head = receive(connection, b"\r\n\r\n")
    found = re.search(rb"headrace-stream-id: (\S+)", head)
    assert found is not None
    assert fast.request("DELETE", f"/streams/{found[1].decode()}")[0] == 204
    until(fast, lambda state: state["running"] == 0)
    connection.close()


def test_all_routes_of_an_application_share_one_label(fast: Served) -> None:
    before = fast.metric("headrace_streams_started_total", 'endpoint="Fast.app /"')
    for number in range(5):
        get(fast, f"/items/{number}")
    assert fast.metric("headrace_streams_started_total", 'endpoint="Fast.app /"') == before + 5


# -- clients that leave


@pytest.mark.parametrize(
    "path",
    [
        "/numbers?kind=async&to=1000000&pause=0.05",
        "/numbers?kind=async&to=1000000000",
        "/numbers?kind=sync&to=1000000&pause=0.05",
        "/numbers?kind=sync&to=1000000000",
        "/yielded?to=1000000&pause=0.05",
        "/events?to=1000000&pause=0.05",
    ],
)
def test_the_generators_of_a_hundred_clients_that_leave_are_closed(fast: Served, path: str) -> None:
    closed = fast.state()["closed"]
    gone = fast.metric("headrace_streams_total", 'end="client_gone"')
    connections = [ask(fast, path) for _ in range(LEAVING)]
    for connection in connections:
        receive(connection, b"\r\n\r\n")
    for connection in connections:
        leave(connection)
    until(fast, lambda state: state["running"] == 0 and state["closed"] == closed + LEAVING, within=5.0)
    fast.until(lambda: fast.metric("headrace_streams_total", 'end="client_gone"') == gone + LEAVING, within=5.0)


def test_a_client_that_leaves_before_the_body_stops_the_route(fast: Served) -> None:
    connection = ask(fast, "/waits")
    until(fast, lambda state: state["running"] == 1)
    leave(connection)
    until(fast, lambda state: state["running"] == 0, within=1.0)


def test_calls_below_a_route_stop_with_it(fast: Served) -> None:
    connection = ask(fast, "/relayed?to=100000&pause=0.02")
    receive(connection, b"0 ")
    assert fast.state()["calls"] == 1
    leave(connection)
    until(fast, lambda state: state["calls"] == 0, within=1.0)


def test_a_background_task_outlives_its_client(fast: Served) -> None:
    connection = ask(fast, "/afterwards")
    receive(connection, b"done")
    leave(connection)
    until(fast, lambda state: "the task" in state["ended"])


# -- failures and limits


def test_a_failure_before_the_body_is_a_status(fast: Served) -> None:
    status, headers, body = get(fast, "/fails")
    assert (status, headers["content-type"], body["code"]) == (500, "application/problem+json", "internal")
    assert "4711" not in json.dumps(body)


@pytest.mark.parametrize("after", [1, 3])
def test_a_failure_in_the_body_is_a_cut_after_all_of_it(fast: Served, after: int) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        get(fast, f"/fails?after={after}")
    assert cut.value.partial.decode() == "".join(f"{n} " for n in range(after))


def test_a_route_that_raises_is_the_framework_s_own_500(fast: Served) -> None:
    failed = fast.metric("headrace_streams_total", 'end="error"')
    assert get(fast, "/raises")[::2] == (500, "Internal Server Error")
    assert fast.metric("headrace_streams_total", 'end="error"') == failed + 1


@pytest.mark.parametrize("there", ["false", "true"])
def test_an_error_of_the_user_s_own_keeps_its_status(fast: Served, there: str) -> None:
    status, _, body = get(fast, f"/busy?there={there}")
    assert (status, body["code"], body["detail"]) == (429, "model_busy", "The model is busy.")


def test_a_time_limit_travels_to_calls_below(fast: Served) -> None:
    _, _, body = get(fast, "/left", headrace_timeout="30")
    assert 29 < body["there"] <= body["here"] <= 30


def test_a_time_limit_before_the_body_is_a_status(fast: Served) -> None:
    assert get(fast, "/numbers?to=1000&pause=1", headrace_timeout="x")[0] == 400
    started = time.monotonic()
    status, _, body = get(fast, "/left", headrace_timeout="0.000001")
    assert (status, body["code"]) == (504, "deadline_exceeded")
    assert time.monotonic() - started < 2


def test_a_time_limit_in_the_body_is_a_cut(fast: Served) -> None:
    with pytest.raises(http.client.IncompleteRead):
        get(fast, "/numbers?to=1000&pause=0.05", headrace_timeout="0.3")
    until(fast, lambda state: state["running"] == 0)


def test_a_silent_stream_shows_its_head_after_a_heartbeat(fast: Served) -> None:
    connection = ask(fast, "/waits")
    assert receive(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    leave(connection)
    until(fast, lambda state: state["running"] == 0)


def test_a_body_is_read_whole_and_within_the_limit(fast: Served) -> None:
    assert fast.request("POST", "/length", b"x" * 3_000_000)[2] == b"3000000"
    connection = fast.connect()
    connection.sendall(b"POST /length HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000\r\n\r\n")
    assert receive(connection, b'"body_too_large"').startswith(b"HTTP/1.1 413 ")
    connection.close()


def test_a_chunked_body_over_the_limit_is_refused(serve: Serve) -> None:
    served = serve(f"{APPS}:Fast", "--max-body", "1000")
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("POST", "/length", iter([b"x" * 600] * 2))
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (413, "body_too_large")
    connection.close()


def test_a_route_that_blocks_the_loop_is_named(fast: Served) -> None:
    get(fast, "/blocks")
    assert "mounted_apps.py" in fast.line_with("HR07")


def test_a_full_server_refuses_a_route(serve: Serve) -> None:
    served = serve(f"{APPS}:Fast", "--max-concurrency", "1", "--max-queue", "0")
    connection = ask(served, "/numbers?to=100000&pause=0.02")
    receive(connection, b"\r\n\r\n")
    status, headers, body = get(served, "/plain?x=1")
    assert (status, headers["retry-after"], body["code"]) == (503, "1", "overloaded")
    with pytest.raises(InvalidStatus) as refused, chat(served, "/chat"):
        pass
    assert refused.value.response.status_code == 503
    leave(connection)
    served.until(lambda: get(served, "/plain?x=1")[0] == 200, within=2.0)


def test_keys_and_hosts_hold_for_routes(serve: Serve) -> None:
    served = serve(f"{APPS}:Bare", "--api-key", "k", environment={"HEADRACE_API_KEY": ""})
    assert get(served, "/any")[0] == 401
    assert get(served, "/any", x_api_key="k")[0] == 200
    assert get(served, "/any", x_api_key="k", host="evil.example")[0] == 403
    served.stop()


# -- WebSockets


def test_a_websocket_route_talks(fast: Served) -> None:
    with chat(fast, "/chat?turns=2") as websocket:
        assert websocket.response is not None
        assert websocket.response.headers["headrace-stream-id"].startswith("s_")
        for text in ("Space the final", "frontier"):
            websocket.send(text)
            assert websocket.recv() == f"fast: {text}"
        with pytest.raises(ConnectionClosed):
            websocket.recv()
        assert (websocket.close_code, websocket.close_reason) == (4000, "enough")


def test_a_websocket_route_that_returns_is_closed(fast: Served) -> None:
    with chat(fast, "/returns") as websocket:
        assert websocket.recv() == b"\x00\x01"
        with pytest.raises(ConnectionClosed):
            websocket.recv()
        assert websocket.close_code == 1000


@pytest.mark.parametrize("path", ["/listens", "/works"])
def test_a_websocket_route_ends_with_its_client(fast: Served, path: str) -> None:
    gone = fast.metric("headrace_streams_total", 'end="client_gone"')
    with chat(fast, path):
        until(fast, lambda state: state["running"] == 1)
    until(fast, lambda state: state["running"] == 0, within=0.9)
    fast.until(lambda: fast.metric("headrace_streams_total", 'end="client_gone"') == gone + 1, within=1.0)


def test_a_websocket_route_that_raises_closes_with_1011(fast: Served) -> None:
    with chat(fast, "/breaks") as websocket:
        with pytest.raises(ConnectionClosed):
            websocket.recv()
        assert websocket.close_code == 1011
        assert "4711" not in str(websocket.close_reason)


@pytest.mark.parametrize(("path", "status"), [("/breaks?accept=false", 500), ("/refuses", 403), ("/nowhere", 403)])
def test_a_websocket_that_is_not_accepted_is_an_answer_to_the_handshake(fast: Served, path: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused, chat(fast, path):
        pass
    assert refused.value.response.status_code == status


# -- the life of a server


def test_the_lifespan_of_the_application_lies_within_the_service_s(launch: Serve) -> None:
    served = launch("run", f"{APPS}:Fast", "--port", "0").ready()
    assert served.state()["model"] == "tiny"
    assert served.stop() == 0
    told = [line.strip() for line in served.output if line.startswith("the ")]
    assert told == ["the service has started", "the app has started", "the app has stopped", "the service has stopped"]


def test_a_lifespan_that_fails_ends_the_server_with_3(launch: Serve) -> None:
    served = launch("run", f"{APPS}:Unable", "--port", "0")
    assert served.exit_code() == 3
    output = "".join(served.output)
    assert "HR12" in output
    assert "OSError: no database" in output
    assert "the service has stopped" in output


def test_running_responses_finish_in_the_drain(serve: Serve) -> None:
    served = serve(f"{APPS}:Fast", "--drain", "10")
    connection = ask(served, "/numbers?to=10&pause=0.1")
    receive(connection, b"0 ")
    served.process.send_signal(signal.SIGTERM)
    rest = b""
    while piece := connection.recv(65536):
        rest += piece
    assert b"9 " in rest
    assert rest.endswith(b"0\r\n\r\n")
    connection.close()
    assert served.exit_code() == 0


def test_what_outlasts_the_drain_is_cut_visibly(serve: Serve) -> None:
    served = serve(f"{APPS}:Fast", "--drain", "0.3")
    connection = ask(served, "/numbers?to=1000&pause=0.1")
    receive(connection, b"0 ")
    with chat(served, "/works") as websocket:
        assert websocket.recv() == "at work"
        served.process.send_signal(signal.SIGTERM)
        rest = b""
        while piece := connection.recv(65536):
            rest += piece
        assert not rest.endswith(b"0\r\n\r\n")
        with pytest.raises(ConnectionClosed):
            websocket.recv(timeout=10)
        assert websocket.close_code == 1012
    connection.close()
    assert served.exit_code() == 0
    assert sum("shutting_down" in line for line in served.output) == 2


# -- Starlette below a path


def test_a_starlette_route_on_a_method_of_a_base_class(star: Served) -> None:
    assert get(star, "/star/hello")[2] == "Star at /star/hello"
    assert get(star, "/star/stamped")[2] == "Star at /star/hello"
    assert get(star, "/hello")[0] == 404


def test_a_starlette_stream_behind_a_base_http_middleware(star: Served) -> None:
    _, headers, body = get(star, "/star/deeper/numbers?to=3")
    assert (headers["x-stamp"], body) == ("starlette", "0 1 2 ")


def test_a_sync_generator_behind_a_base_http_middleware_is_closed(star: Served) -> None:
    closed = star.state()["closed"]
    connections = [ask(star, "/star/deeper/numbers?to=100000&pause=0.02") for _ in range(20)]
    for connection in connections:
        receive(connection, b"\r\n\r\n")
    assert star.state()["running"] == 20
    for connection in connections:
        leave(connection)
    until(star, lambda state: state["running"] == 0 and state["closed"] == closed + 20)


def test_a_starlette_websocket_on_a_method(star: Served) -> None:
    with chat(star, "/star/echo") as websocket:
        websocket.send("hello")
        assert websocket.recv() == "Star: hello"


# -- a bare application


def test_a_bare_application_answers_every_path_that_is_not_headrace_s(serve: Serve) -> None:
    served = serve(f"{APPS}:Bare")
    assert get(served, "/any/path")[2] == "GET /any/path below '': 0"
    assert get(served, "/livez")[2] == {"status": "live"}
    assert get(served, "/openapi.json")[2]["info"]["title"] == "Bare"


def test_a_response_that_its_application_leaves_half_done_is_cut(serve: Serve) -> None:
    served = serve(f"{APPS}:Bare")
    with pytest.raises(http.client.IncompleteRead):
        get(served, "/half")
