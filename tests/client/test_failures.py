"""Foreign errors become ours."""

import json
import ssl
from typing import Any

import httpx2
import pytest

from headrace.client.failures import before_the_head, refusal
from headrace.client.steps import Head
from headrace.errors import (
    BodyTooLarge,
    ConnectionFailed,
    FirstItemTimeout,
    InternalError,
    InvalidArguments,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RateLimited,
    RequestError,
    StreamError,
    Unauthorized,
    WorkerLost,
)

URL = "http://user:secret@here:8000/x?y=1"


def refused(status: int, body: Any = b"", **headers: str) -> StreamError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(Head(status, named, True), data, "http://here/x")


def test_a_problem_document_is_the_class_with_its_code() -> None:
    error = refused(
        422, {"code": "invalid_arguments", "detail": "no", "errors": [{"pointer": "/a"}], "example": {"a": 1}}
    )
    assert isinstance(error, InvalidArguments)
    assert (error.message, error.errors, error.example) == ("no", ({"pointer": "/a"},), {"a": 1})


def test_headers_belong_to_the_error() -> None:
    error = refused(503, {"code": "overloaded"}, retry_after="9")
    assert isinstance(error, Overloaded)
    assert error.retry_after == 9


def test_a_code_that_nobody_has_keeps_what_was_told() -> None:
    error = refused(418, {"code": "teapot", "title": "Short.", "status": 418, "retryable": True, "stream_id": "s_1"})
    assert type(error) is StreamError
    assert (error.code, error.status, error.retryable, error.message) == ("teapot", 418, True, "Short.")
    assert error.stream_id == "s_1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestError),
        (401, Unauthorized),
        (403, RequestError),
        (404, NotFound),
        (405, MethodNotAllowed),
        (413, BodyTooLarge),
        (422, InvalidArguments),
        (429, RateLimited),
        (500, InternalError),
        (501, InternalError),
        (502, WorkerLost),
        (503, Overloaded),
        (504, FirstItemTimeout),
    ],
)
def test_a_status_without_a_code_is_the_class_that_means_it(status: int, kind: type[StreamError]) -> None:
    error = refused(status, b"text")
    assert type(error) is kind
    assert error.status == status
    assert error.message == f"http://here/x answers {status}: text"


@pytest.mark.parametrize("body", [b"[]", b'{"code":7}', b'{"code":""}', b'{"detail":"x"}', b"\xff\xfe", b"{"])
def test_what_is_no_problem_of_ours_is_quoted(body: bytes) -> None:
    error = refused(400, body)
    assert type(error) is RequestError
    assert error.message.startswith("http://here/x answers 400: ")


def test_a_page_is_quoted_without_its_markup_and_shortened() -> None:
    page = b"<html><style>p{}</style><SCRIPT>x()</SCRIPT><h1>Bad\n Gateway</h1>" + b"z" * 500
    error = refused(502, page, content_type="text/html")
    assert error.message == "http://here/x answers 502: Bad Gateway " + "z" * 188 + " ..."


def test_a_redirect_names_the_other_address() -> None:
    error = refused(308, b"", location="https://there/x")
    assert error.message == "http://here/x answers 308 and sends on to https://there/x; use that address"
    assert error.status == 500


def test_members_of_wrong_types_do_no_harm() -> None:
    error = refused(422, {"code": "invalid_arguments", "detail": 7, "errors": "x", "stream_id": 5, "items_sent": "a"})
    assert isinstance(error, InvalidArguments)
    assert (error.errors, error.example, error.stream_id, error.items_sent) == ((), None, "", 0)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


REFUSED = caused(
    httpx2.ConnectError("All connection attempts failed"), ConnectionRefusedError(111, "Connection refused")
)
TLS = caused(httpx2.ConnectError("outer"), ssl.SSLError(1, "certificate verify failed"))


@pytest.mark.parametrize(
    ("error", "text", "retryable"),
    [
        (httpx2.ConnectError("refused"), "cannot connect to http://here:8000: refused; is the address right", True),
        (REFUSED, "cannot connect to http://here:8000: .*Connection refused; is the address right", True),
        (httpx2.ConnectTimeout(""), "no connection to http://here:8000 within 5 s", True),
        (TLS, "no secure connection to http://here:8000: .*certificate verify failed.*is it https", False),
        (httpx2.ProxyError("407"), "the proxy on the way to http://here:8000 fails: 407", True),
        (httpx2.LocalProtocolError("bad header"), "is none that HTTP can carry: bad header", False),
        (httpx2.RemoteProtocolError("illegal status line"), "at http://here:8000 is not HTTP as it should be", False),
        (
            httpx2.RemoteProtocolError("Server disconnected without sending a response."),
            "^http://here:8000 closed the connection before it answered$",
            True,
        ),
        (httpx2.ReadError(""), "closed the connection before it answered", True),
        (httpx2.WriteError(""), "closed the connection before it answered", True),
    ],
)
def test_what_the_transport_raises_is_told_with_the_address_and_what_to_look_at(
    error: httpx2.TransportError, text: str, retryable: bool
) -> None:
    with pytest.raises(ConnectionFailed, match=text) as caught:
        raise before_the_head(error, URL, 5.0)
    assert caught.value.retryable is retryable
    assert "secret" not in str(caught.value)


def test_a_timeout_that_is_not_the_callers_has_no_number() -> None:
    assert "in time" in before_the_head(httpx2.PoolTimeout(""), URL, None).message


def test_a_body_may_have_been_refused() -> None:
    error = before_the_head(httpx2.ReadError(""), URL, 5.0, body=True)
    assert error.message.endswith("it may have refused the body, for its size for instance")
