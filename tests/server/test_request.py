"""What the server reads of a request's head."""

from typing import Any

import pytest

from headrace.errors import RequestError
from headrace.server.request import HttpRequest


def request(*headers: tuple[str, str], **scope: Any) -> HttpRequest:
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return HttpRequest({"method": "GET", "path": "/", "headers": encoded, **scope})


@pytest.mark.parametrize(
    ("root", "path", "below"),
    [
        ("", "/write", "/write"),
        ("/poet", "/poet/write", "/write"),
        ("/poet", "/poet/", "/"),
        ("/poet", "/poet", "/"),
        ("/poet/", "/poet/write", "/write"),
        ("/poet", "/poetry/write", "/poetry/write"),
        ("/poet", "/write", "/write"),
        ("/a/b", "/a/b/a/b/write", "/a/b/write"),
    ],
)
def test_the_path_is_the_one_below_the_mount(root: str, path: str, below: str) -> None:
    assert request(path=path, root_path=root).path == below


def test_names_of_headers_are_in_lower_case_and_repeated_ones_are_joined() -> None:
    headers = request(("Accept", "text/plain"), ("accept", "text/html"), ("X", "caf\u00e9")).headers
    assert headers == {"accept": "text/plain, text/html", "x": "caf\u00e9"}


@pytest.mark.parametrize("given", ["r-1", "a:b/c@d_e.f=g+h", "x" * 128])
def test_a_sane_request_id_is_taken_over(given: str) -> None:
    assert request(("x-request-id", given)).id == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\n", "\x1b[2J", "\u00e9", "a,b", "<script>"])
def test_another_request_id_is_replaced(given: str) -> None:
    made = request(("x-request-id", given)).id
    assert made != given
    assert len(made) == 16


@pytest.mark.parametrize(
    ("text", "length"), [("0", 0), ("17", 17), ("-1", 0), ("1.5", 0), ("\u00b2", 0), ("5, 5", 0), ("9" * 5000, 0)]
)
def test_a_length_that_is_no_number_is_no_length(text: str, length: int) -> None:
    assert request(("content-length", text)).content_length == length


def test_a_body_is_announced_by_its_length_or_by_its_chunks() -> None:
    assert request(("content-length", "1")).has_body
    assert request(("transfer-encoding", "chunked")).has_body
    assert not request(("content-length", "0")).has_body
    assert not request().has_body


def test_the_media_type_is_without_parameters() -> None:
    assert request(("content-type", "Application/JSON; charset=utf-8")).media_type == "application/json"
    assert request().media_type == ""


def test_the_query_is_decoded() -> None:
    assert request(query_string=b"a=1&b=%C3%A9&c=&a=x+y").query == [
        ("a", "1"),
        ("b", "\u00e9"),
        ("c", ""),
        ("a", "x y"),
    ]


@pytest.mark.parametrize(("text", "seconds"), [("30", 30.0), ("2.5", 2.5), (" 1 ", 1.0), ("1e3", 1000.0)])
def test_a_timeout_is_in_seconds(text: str, seconds: float) -> None:
    assert request(("headrace-timeout", text)).timeout == seconds


def test_no_timeout_is_none() -> None:
    assert request().timeout is None


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan", "inf", "1e999", "x" * 10_000])
def test_a_timeout_that_is_no_positive_number_is_refused_shortly(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        _ = request(("headrace-timeout", text)).timeout
    assert len(refused.value.message) < 150


def test_a_huge_accept_header_counts_by_its_first_ranges() -> None:
    accept = request(("accept", "text/html," * 10_000 + "text/plain")).accept
    assert accept is not None
    assert len(accept) <= 2000
    assert accept.endswith("text/html")
    assert request(("accept", "x" * 10_000)).accept == ""
    assert request().accept is None


@pytest.mark.parametrize(
    ("scope", "url"),
    [
        ({"server": ("127.0.0.1", 8000)}, "http://127.0.0.1:8000"),
        ({"server": ("::1", 8000)}, "http://[::1]:8000"),
        ({"server": ("10.0.0.1", 443), "scheme": "https", "root_path": "/poet"}, "https://10.0.0.1:443/poet"),
        ({"server": ("/run/headrace.sock", None)}, "http://localhost"),
        ({"server": None}, "http://localhost"),
        ({}, "http://localhost"),
    ],
)
def test_the_address_is_the_server_s_own(scope: dict[str, Any], url: str) -> None:
    assert request(("host", "evil.example"), **scope).base_url == url


def test_the_handshake_of_a_websocket_has_a_method_of_its_own() -> None:
    handshake = HttpRequest({"type": "websocket", "path": "/", "headers": [], "subprotocols": ["a", "b"]})
    assert (handshake.method, list(handshake.subprotocols), handshake.websocket) == ("WEBSOCKET", ["a", "b"], None)


def test_a_request_offers_no_subprotocols() -> None:
    assert list(request().subprotocols) == []
