"""Which address is what, which one is this machine, and the bytes of a request."""

import pytest

from headrace.cli.load.chunks import chunk_reader
from headrace.cli.load.reading import LineReader
from headrace.cli.load.request import Route, address_of, ask_endpoint, ask_model
from headrace.errors import WireError


@pytest.mark.parametrize(
    ("text", "route", "url", "kind"),
    [
        ("http://localhost:8000", None, "http://localhost:8000/v1/chat/completions", "chat"),
        ("localhost:8000/", None, "http://localhost:8000/v1/chat/completions", "chat"),
        ("https://host/v1/", None, "https://host/v1/chat/completions", "chat"),
        ("http://host/api/v3", None, "http://host/api/v3/chat/completions", "chat"),
        ("http://host", "completions", "http://host/v1/completions", "completions"),
        ("http://host/openai", "chat", "http://host/openai/chat/completions", "chat"),
        ("http://host/v1/chat/completions", None, "http://host/v1/chat/completions", "chat"),
        ("http://host/v1/completions/", "completions", "http://host/v1/completions", "completions"),
        ("http://host/x/chat/completions?api-version=1", None, "http://host/x/chat/completions?api-version=1", "chat"),
        ("http://host/write", None, "http://host/write", None),
        ("http://host/v1/write?k=1", None, "http://host/v1/write?k=1", None),
    ],
)
def test_an_address_is_an_api_or_an_endpoint(text: str, route: Route | None, url: str, kind: Route | None) -> None:
    address = address_of(text, route)
    assert (str(address.url), address.route) == (url, kind)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("http://host:1", "http://host:1/v1"),
        ("http://host/x/v2", "http://host/x/v2"),
        ("http://host/w", "http://host/w"),
    ],
)
def test_the_base_is_where_the_models_are(text: str, base: str) -> None:
    assert address_of(text).base == base


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ftp://x", "'ftp://x' is no address of a server; write it like http://localhost:8000"),
        ("http://", "'http://' is no address of a server"),
        ("http://h:x", "'http://h:x' is no address: "),
        ("http://me:secret@host/", "the address of host has a user or a fragment in it"),
        ("http://host/write#a", "the address of host has a user or a fragment in it"),
        ("http://host/v1?x=1", "'http://host/v1?x=1' has a query, which the base of an API has not"),
        ("http://host/v1/completions", "'http://host/v1/completions' is the route completions, and --route says chat"),
    ],
)
def test_what_is_no_address_is_told_without_its_secrets(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"address|query|route") as error:
        address_of(text, "chat" if "completions" in text else None)
    assert str(error.value).startswith(said)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("api.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("10.0.0.7", False),
        ("[2001:db8::1]", False),
        ("localhost.example.com", False),
        ("notlocalhost", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_this_machine_is_told_by_its_address(host: str, local: bool) -> None:
    assert address_of(f"http://{host}:8000/write").local is local


def test_the_request_of_an_endpoint() -> None:
    request = ask_endpoint(address_of("http://localhost:8000/v2/wri te?x=1"), {"topic": "é", "n": 4}, "ndjson", "k-1")
    assert request.data.decode() == (
        "POST /v2/wri%20te?x=1 HTTP/1.1\r\nhost: localhost:8000\r\naccept: application/x-ndjson\r\n"
        "accept-encoding: identity\r\nuser-agent: headrace-bench\r\ncontent-type: application/json\r\n"
        "content-length: 20\r\nauthorization: Bearer k-1\r\n\r\n"
        '{"topic":"é","n":4}'
    )
    assert (request.host, request.port, request.tls) == ("localhost", 8000, False)
    assert isinstance(request.reader({"content-type": "application/x-ndjson"}), LineReader)
    with pytest.raises(WireError):
        request.reader({"content-type": "text/plain"})


def test_the_request_of_a_model_asks_for_a_stream_with_its_tokens() -> None:
    request = ask_model(address_of("https://[::1]/v1"), {"model": "tiny", "max_tokens": 5}, None)
    head, _, body = request.data.decode().partition("\r\n\r\n")
    assert head.startswith("POST /v1/chat/completions HTTP/1.1\r\nhost: [::1]\r\naccept: text/event-stream\r\n")
    assert "authorization" not in head
    assert body == '{"model":"tiny","max_tokens":5,"stream":true,"stream_options":{"include_usage":true}}'
    assert (request.host, request.port, request.tls, request.reader) == ("::1", 443, True, chunk_reader)


def test_a_key_does_not_stand_in_what_is_shown_of_a_request() -> None:
    assert "k-4711" not in repr(ask_endpoint(address_of("http://host/write"), {}, None, "k-4711"))


@pytest.mark.parametrize("key", ["", "a\nb"])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="the API key is empty or has characters"):
        ask_endpoint(address_of("http://host/write"), {}, None, key)
