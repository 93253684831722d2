"""Every request that cannot be answered gets a problem document that says what can; over real sockets."""

import json
from typing import Any

import pytest
from served import Serve, Served, receive

JSON = {"content-type": "application/json"}


def problem(answer: tuple[int, dict[str, str], bytes]) -> dict[str, Any]:
    status, headers, body = answer
    assert headers["content-type"] == "application/problem+json"
    assert "x-request-id" in headers
    document: dict[str, Any] = json.loads(body)
    assert document["status"] == status
    assert document["type"] == f"urn:headrace:error:{document['code']}"
    assert len(body) < 1500
    return document


def test_an_unknown_path_is_404_and_names_the_nearest_one(trials: Served) -> None:
    document = problem(trials.post("/cuont", {"to": 1}))
    assert (document["status"], document["code"]) == (404, "not_found")
    assert document["detail"] == "there is nothing at this path. Did you mean /count?"


def test_an_unknown_path_far_from_all_lists_the_endpoints(trials: Served) -> None:
    assert "Trials answers at GET /state, GET /count, POST /tokens" in problem(trials.request("GET", "/"))["detail"]


def test_a_wrong_method_is_405_with_the_command_that_works(trials: Served) -> None:
    answer = trials.request("GET", "/tokens")
    document = problem(answer)
    assert (document["status"], document["code"], answer[1]["allow"]) == (405, "method_not_allowed", "POST")
    works = f"curl -N http://127.0.0.1:{trials.port}/tokens --json '{{\"to\": 1}}' -H 'accept: */*'"
    assert document["detail"] == f"HR14 /tokens takes POST, not GET: {works}"


def test_a_preflight_without_cors_names_the_flag(trials: Served) -> None:
    headers = {"origin": "https://page.example", "access-control-request-method": "POST"}
    document = problem(trials.request("OPTIONS", "/tokens", headers=headers))
    assert document["status"] == 405
    assert "HR14 a page of https://page.example" in document["detail"]
    assert "--cors-origin" in document["detail"]


def test_no_acceptable_type_is_406_and_names_what_there_is(trials: Served) -> None:
    document = problem(trials.post("/tokens", {"to": 1}, accept="image/png"))
    assert (document["status"], document["code"]) == (406, "not_acceptable")
    assert document["available"] == [
        "application/x-ndjson",
        "application/jsonl",
        "text/event-stream",
        "application/vnd.headrace.frames",
        "application/json",
    ]


@pytest.mark.parametrize("body", [b"{", b"", b"[1,", b"\xff\xfe", b'{"to": NaN}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_400(trials: Served, body: bytes) -> None:
    document = problem(trials.request("POST", "/tokens", body or b" ", JSON))
    assert (document["status"], document["code"]) == (400, "malformed_body")
    assert document["detail"].startswith("the body is not JSON: ")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"])
def test_a_wrong_content_type_is_415_with_the_command_that_works(trials: Served, kind: str) -> None:
    document = problem(trials.request("POST", "/tokens", b"to=1", {"content-type": kind}))
    assert (document["status"], document["code"]) == (415, "unsupported_media_type")
    assert document["detail"].startswith("HR14 the body is ")
    assert "--json '{\"to\": 1}'" in document["detail"]


def test_a_compressed_body_is_415(trials: Served) -> None:
    document = problem(trials.request("POST", "/tokens", b"x", {**JSON, "content-encoding": "gzip"}))
    assert document["status"] == 415


def test_wrong_types_are_422_with_a_pointer_each_and_a_body_that_works(trials: Served) -> None:
    document = problem(trials.post("/count", {"to": "many", "pause": [], "speed": 1}))
    assert (document["status"], document["code"]) == (422, "invalid_arguments")
    assert [error["pointer"] for error in document["errors"]] == ["/to", "/pause", "/speed"]
    assert trials.post("/count", document["example"])[0] == 200


@pytest.mark.parametrize("body", [b"null", b"[]", b'"to"', b"7"])
def test_json_that_is_not_an_object_is_422(trials: Served, body: bytes) -> None:
    document = problem(trials.request("POST", "/tokens", body, JSON))
    assert document["status"] == 422
    assert document["errors"][0]["pointer"] == ""


def test_a_query_that_does_not_fit_is_422(trials: Served) -> None:
    document = problem(trials.request("GET", "/count?to=many"))
    assert (document["status"], document["errors"][0]["pointer"]) == (422, "/to")


def test_a_timeout_that_is_no_number_is_400(trials: Served) -> None:
    document = problem(trials.post("/count", {"to": 1}, headrace_timeout="soon"))
    assert document["status"] == 400
    assert "Headrace-Timeout: 'soon'" in document["detail"]


def test_a_body_declared_over_the_limit_is_413_before_it_is_read(serve: Serve) -> None:
    served = serve("tests/e2e/trials.py", "--max-body", "1000")
    connection = served.connect()
    connection.sendall(
        b"POST /tokens HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1001\r\n"
        b"expect: 100-continue\r\n\r\n"
    )
    answer = receive(connection, b"}")
    connection.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code": "body_too_large"' in answer


def test_a_chunked_body_over_the_limit_is_413_at_the_limit(serve: Serve) -> None:
    served = serve("tests/e2e/trials.py", "--max-body", "1000")
    connection = served.connect()
    connection.sendall(
        b"POST /length HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n"
        b"transfer-encoding: chunked\r\n\r\n" + (b"200\r\n" + b"x" * 512 + b"\r\n") * 2
    )
    assert receive(connection, b"}").startswith(b"HTTP/1.1 413 ")
    connection.close()


def test_a_line_that_does_not_fit_fails_the_stream_after_the_items_before_it(trials: Served) -> None:
    lines = b'{"text": "a", "number": 1}\n{"text": "b"}\n'
    headers = {"content-type": "application/x-ndjson", "accept": "application/x-ndjson"}
    status, _, body = trials.request("POST", "/shout", lines, headers)
    first, second = [json.loads(line) for line in body.splitlines()]
    assert (status, first) == (200, {"item": "A\n"})
    assert second["error"]["code"] == "invalid_arguments"
    assert "line 2 of the body" in second["error"]["message"]


def test_the_key_is_asked_for_everywhere_but_at_the_health_checks(serve: Serve) -> None:
    served = serve("tests/e2e/trials.py", "--api-key", "first", "--api-key", "second")
    assert [served.request("GET", path)[0] for path in ("/livez", "/readyz")] == [200, 200]
    for path in ("/metrics", "/openapi.json", "/state", "/nothing"):
        answer = served.request("GET", path)
        assert (answer[0], answer[1]["www-authenticate"]) == (401, "Bearer")
    assert served.request("GET", "/state", headers={"authorization": "Bearer wrong"})[0] == 401
    assert served.request("GET", "/state", headers={"authorization": "Bearer second"})[0] == 200
    assert served.request("GET", "/state", headers={"x-api-key": "first"})[0] == 200
    served.stop()
