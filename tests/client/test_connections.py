"""What both drivers do with the HTTP library."""

import ssl
from typing import Any

import httpx2
import pytest

from headrace.client.connections import address, asynchronous, blocking, incoming, outgoing
from headrace.client.request import Options, build
from headrace.client.steps import Send
from headrace.client.timeouts import Patience, Remaining, Timeout


def send(**arguments: Any) -> Send:
    request = build("http://here", "x", arguments, Options(), whole=False)
    return Send(request, request.head(None), Remaining(Patience(Timeout(connect=3), lambda: 0.0)), 60.0)


def test_who_answers_is_said_once() -> None:
    assert address("http://here/", None, None) == "http://here"
    assert address(None, object(), None) == "http://localhost"
    assert address("http://there", object(), None) == "http://there"
    assert address(None, None, object()) == "http://localhost"
    with pytest.raises(ValueError, match=r"who answers\? Give the server's address"):
        address(None, None, None)
    with pytest.raises(ValueError, match="an app and a transport"):
        address(None, object(), object())


def test_the_librarys_request_is_ours() -> None:
    request = outgoing(send(a=1), None)
    assert (request.method, str(request.url), request.content) == ("POST", "http://here/x", b'{"a":1}')
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == "7"
    assert request.extensions["timeout"].get("connect") == 3


def test_a_body_that_is_made_on_the_way_has_no_length() -> None:
    request = outgoing(send(a=1), iter([b"x"]))
    assert request.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in request.headers


@pytest.mark.parametrize(
    ("version", "headers", "framed"),
    [
        (b"HTTP/1.1", {"content-length": "3"}, True),
        (b"HTTP/1.1", {"transfer-encoding": "Chunked"}, True),
        (b"HTTP/1.1", {}, False),
        (b"HTTP/1.0", {}, False),
        (b"HTTP/1.0", {"Content-Length": "3"}, True),
        (b"HTTP/2", {}, True),
        (None, {}, True),
    ],
)
def test_a_body_that_lasts_until_the_connection_closes_has_no_frame(
    version: bytes | None, headers: dict[str, str], framed: bool
) -> None:
    extensions = {} if version is None else {"http_version": version}
    head = incoming(httpx2.Response(201, headers={"X-A": "b", **headers}, extensions=extensions))
    assert (head.status, head.headers["x-a"], head.framed) == (201, "b", framed)


async def test_the_library_follows_nothing_and_loads_no_certificates_for_plain_http() -> None:
    loaded: list[Any] = []

    class Context(ssl.SSLContext):
        def load_default_certs(self, *_: Any) -> None:
            loaded.append(self)

    with blocking("http://here", None, True) as http:
        assert http.follow_redirects is False
    async with asynchronous("http://here", None, True) as other:
        assert other.follow_redirects is False
    assert loaded == []
