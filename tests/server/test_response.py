"""The sending side: heads, problem documents that are valid whatever the error is, and the cut."""

import contextlib
import json
import logging
import weakref
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import pytest
from shouting import Busy, Shouting

from headrace.errors import ClientGone, InternalError, MethodNotAllowed, Overloaded, StreamError, Unauthorized
from headrace.server.response import Response, error_headers, problem_body, status_of
from headrace.wire.dialect import Refusal


class Sent:
    """A `send` that keeps its messages."""

    def __init__(self, error: Exception | None = None) -> None:
        self.messages: list[Any] = []
        self._error = error

    async def __call__(self, message: Any) -> None:
        self.messages.append(message)
        if self._error is not None:
            raise self._error

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def bodies(self) -> list[tuple[bytes, bool]]:
        return [(message["body"], message["more_body"]) for message in self.messages[1:]]


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def read(body: bytes) -> Any:
    return json.loads(body, parse_constant=no_constant)


async def test_the_first_write_sends_the_head_and_the_others_do_not() -> None:
    sent = Sent()
    response = Response(sent, "r-1")
    response.prepare("text/plain", lambda: {"server-timing": "now"})
    assert response.status is None
    await response.write([b"a", b"b"])
    await response.write([b"c"])
    await response.finish([b"d"])
    assert response.status == 200
    assert sent.headers == {b"content-type": b"text/plain", b"x-request-id": b"r-1", b"server-timing": b"now"}
    assert sent.bodies == [(b"ab", True), (b"c", True), (b"d", False)]


async def test_behind_the_head_parts_are_written_in_place_where_the_connection_takes_them() -> None:
    sent, parts, takes = Sent(), [], [True, False]
    response = Response(sent, "r-1", lambda part: (parts.append(part), takes.pop(0))[1])
    assert not response.try_write([b"a"])
    assert not parts
    await response.write([b"a"])
    assert response.try_write([b"b", b"c"])
    assert not response.try_write([b"d"])
    assert parts == [b"bc", b"d"]
    assert sent.bodies == [(b"a", True)]
    assert not Response(sent, "r-1").try_write([b"a"])


async def test_a_write_of_nothing_sends_the_head_alone() -> None:
    sent = Sent()
    await Response(sent, "r-1").write([b""])
    assert [message["type"] for message in sent.messages] == ["http.response.start"]


async def test_a_response_in_one_piece_says_its_length() -> None:
    sent = Sent()
    await Response(sent, "r-1").finish([b"abc", b"d"])
    assert sent.headers[b"content-length"] == b"4"
    assert sent.bodies == [(b"abcd", False)]


async def test_no_content_has_neither_a_length_nor_a_type() -> None:
    sent = Sent()
    await Response(sent, "r-1").empty()
    assert (sent.messages[0]["status"], sent.headers) == (204, {b"x-request-id": b"r-1"})
    assert sent.bodies == [(b"", False)]


async def test_a_closed_connection_is_a_client_that_left() -> None:
    with pytest.raises(ClientGone):
        await Response(Sent(BrokenPipeError()), "r-1").write([b"a"])


async def test_a_problem_has_the_status_and_the_headers_of_its_error() -> None:
    sent = Sent()
    await Response(sent, "r-1").problem(Overloaded("full", retry_after=7), stream_id="s_1")
    assert sent.messages[0]["status"] == 503
    assert sent.headers[b"retry-after"] == b"7"
    assert sent.headers[b"content-type"] == b"application/problem+json"
    assert read(sent.bodies[0][0]) == {
        "type": "urn:headrace:error:overloaded",
        "title": "The service has no place left; try again later.",
        "status": 503,
        "detail": "full",
        "code": "overloaded",
        "retryable": True,
        "stream_id": "s_1",
        "items_sent": 0,
    }


async def test_a_cut_sends_what_no_middleware_can_pass_on_and_survives_the_refusal() -> None:
    sent = Sent(RuntimeError("not an ASGI message"))
    await Response(sent, "r-1").cut()
    assert sent.messages == [{"type": "http.response.aborted"}]


# -- errors of the user's own


@pytest.mark.parametrize("status", [42, 0, -1, 100, 200, 204, 302, 399, 600, 99999, None, "429", 4.29, True])
async def test_a_status_that_tells_no_failure_becomes_500(status: Any) -> None:
    class Strange(StreamError):
        """Strange."""

        code = "strange"

    Strange.status = status
    sent = Sent()
    await Response(sent, "r-1").problem(Strange("what"))
    document = read(sent.bodies[0][0])
    assert (sent.messages[0]["status"], document["status"], document["code"]) == (500, 500, "strange")


@pytest.mark.parametrize("status", [400, 429, 499, 500, 599, HTTPStatus.TOO_MANY_REQUESTS])
def test_a_status_that_tells_a_failure_stays(status: int) -> None:
    class Mine(StreamError):
        """Mine."""

    Mine.status = status
    assert status_of(Mine()) == status
    assert read(problem_body(Mine()))["status"] == status


class WithHeaders(StreamError):
    """Has headers of its own."""

    given: Mapping[Any, Any] = {}

    @property
    def headers(self) -> Mapping[str, str]:
        return self.given


@pytest.mark.parametrize(
    "given",
    [
        {"x-reason": "caf\u00e9 \u2615"},
        {"x-reason": "a\r\nset-cookie: b"},
        {"x-reason": "a\x00"},
        {"x-reason": "\x1b[2J"},
        {"x reason": "a"},
        {"x-reason:": "a"},
        {"": "a"},
        {"x-r\u00e4": "a"},
        {"Content-Length": "0"},
        {"Content-Type": "text/html"},
        {"transfer-encoding": "chunked"},
        {"connection": "upgrade"},
    ],
)
def test_a_header_that_http_cannot_carry_or_an_error_cannot_choose_is_left_out(given: Any) -> None:
    error = WithHeaders("no")
    error.given = {**given, "X-Kept": "caf\u00e9"}
    assert error_headers(error) == {"x-kept": "caf\u00e9"}


def test_headers_of_our_own_errors_are_kept() -> None:
    assert error_headers(MethodNotAllowed("no", ("GET", "HEAD"))) == {"allow": "GET, HEAD"}
    assert error_headers(Unauthorized()) == {"www-authenticate": "Bearer"}


class WithMembers(StreamError):
    """Has members of its own."""

    given: Any = ()

    @property
    def members(self) -> Mapping[str, Any]:
        return dict(self.given)


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), CIRCLE, Unprintable(), "x" * 100_000])
def test_members_that_are_no_json_or_too_large_are_left_out(value: Any) -> None:
    error = WithMembers("no")
    error.given = {"extra": value}
    document = read(problem_body(error))
    assert (document["detail"], "extra" in document) == ("no", False)


def test_members_never_replace_the_standard_ones() -> None:
    error = WithMembers("no")
    error.given = {"status": 200, "code": "fine", "extra": "yes"}
    document = read(problem_body(error))
    assert (document["status"], document["code"], document["extra"]) == (500, "stream_error", "yes")


@pytest.mark.parametrize("message", ["\ud800", "\x00\x1b\u2028", 'quote " and \\', "\u2615"])
def test_every_message_is_valid_json_in_utf_8(message: str) -> None:
    assert read(problem_body(StreamError(message)))["status"] == 500


def test_a_long_message_is_shortened() -> None:
    body = problem_body(StreamError("x" * 1_000_000))
    assert len(body) < 3000
    assert read(body)["detail"].endswith("...")


async def test_an_error_that_cannot_be_read_is_internal(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(StreamError):
        """Broken."""

        @property
        def headers(self) -> Mapping[str, str]:
            raise ZeroDivisionError

    class Coded(StreamError):
        """Coded."""

    Coded.code = 5  # type: ignore[assignment]
    for error in (Broken("secret"), Coded("secret")):
        sent = Sent()
        with caplog.at_level(logging.ERROR):
            await Response(sent, "r-1").problem(error)
        document = read(sent.bodies[0][0])
        assert (sent.messages[0]["status"], document["code"]) == (500, "internal")
        assert b"secret" not in sent.bodies[0][0]
    assert "Broken cannot be told to a client" in caplog.messages[0]


def test_our_own_error_has_the_standard_members_alone() -> None:
    assert list(read(problem_body(InternalError()))) == [
        "type",
        "title",
        "status",
        "detail",
        "code",
        "retryable",
        "stream_id",
        "items_sent",
    ]


# -- errors in a dialect


def spoken(error: StreamError, dialect: Any = None) -> Any:
    response = Response(Sent(), "r-1")
    response.dialect = dialect or Shouting()
    return response.refusal(error)


def test_a_dialect_tells_errors_in_its_own_form() -> None:
    refusal = spoken(Busy("somebody shouts"))
    assert (refusal.status, read(refusal.body), refusal.content_type) == (
        429,
        {"oops": "somebody shouts"},
        "application/json",
    )


def test_the_errors_own_headers_are_sent_beside_those_of_the_dialect() -> None:
    assert spoken(Busy()).headers == {"x-shout": "r-1", "retry-after": "7"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"Retry-After": "3"}, {"retry-after": "3"}),
        ({"x-a": "a\r\nb: c"}, {"retry-after": "7"}),
        ({"Content-Length": "3", "x-request-id": "mine"}, {"retry-after": "7"}),
    ],
)
def test_headers_of_a_dialect_come_first_and_are_checked(given: dict[str, str], sent: dict[str, str]) -> None:
    class Own(Shouting):
        def refusal(self, error: StreamError, request_id: str) -> Refusal:
            return Refusal(429, b"{}", headers=given)

    assert spoken(Busy(), Own()).headers == sent


@pytest.mark.parametrize("status", [200, 99, 600, "429", None])
def test_a_status_of_a_dialect_that_tells_no_failure_becomes_500(status: Any) -> None:
    class Own(Shouting):
        def refusal(self, error: StreamError, request_id: str) -> Refusal:
            return Refusal(status, b"{}")

    assert spoken(Busy(), Own()).status == 500


@pytest.mark.parametrize("told", [None, Refusal(429, "text"), Refusal(429, b"{}", headers=None)])  # type: ignore[arg-type]
def test_what_is_no_refusal_is_made_up_for_and_logged_once(told: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Own(Shouting):
        def refusal(self, error: StreamError, request_id: str) -> Refusal:
            return told  # type: ignore[no-any-return]

    response = Response(Sent(), "r-1")
    response.dialect = Own()
    for _ in range(2):
        refusal = response.refusal(Busy("later"))
        assert (refusal.status, refusal.content_type) == (429, "application/problem+json")
        assert read(refusal.body)["detail"] == "later"
    assert [record.getMessage()[-19:] for record in caplog.records] == ["Own cannot tell Busy"[-19:]]


async def test_a_problem_in_a_dialect_is_a_whole_response() -> None:
    sent = Sent()
    response = Response(sent, "r-1")
    response.dialect = Shouting()
    await response.problem(Busy("later"))
    assert (sent.messages[0]["status"], sent.bodies) == (429, [(b'{"oops": "later"}', False)])
    assert (sent.headers[b"content-type"], sent.headers[b"x-request-id"]) == (b"application/json", b"r-1")


class Bundles:
    """Counts the blocks, and what was sent in each."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self.sent: list[list[str]] = []

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        before = len(self._sent.messages)
        yield
        self.sent.append([message["type"].rpartition(".")[2] for message in self._sent.messages[before:]])


async def test_the_head_and_the_first_part_are_bundled_and_the_others_are_not() -> None:
    sent = Sent()
    bundles = Bundles(sent)
    response = Response(sent, "r-1", None, bundles)
    await response.write([b"a"])
    await response.write([b"b"])
    await response.finish([b"c"])
    assert bundles.sent == [["start", "body"]]
    assert sent.bodies == [(b"a", True), (b"b", True), (b"c", False)]


async def test_a_whole_answer_is_bundled() -> None:
    for answer in (lambda it: it.finish([b"a"]), lambda it: it.problem(Overloaded("full"))):
        sent = Sent()
        bundles = Bundles(sent)
        await answer(Response(sent, "r-1", None, bundles))
        assert bundles.sent == [["start", "body"]]


async def test_the_headers_are_asked_once_and_not_kept() -> None:
    class Stream:
        def headers(self) -> Mapping[str, str]:
            return {"server-timing": "now"}

    sent, stream = Sent(), Stream()
    response = Response(sent, "r-1")
    response.prepare("text/plain", stream.headers)
    await response.write([b"a"])
    freed = weakref.ref(stream)
    del stream
    assert freed() is None
    assert sent.headers[b"server-timing"] == b"now"
