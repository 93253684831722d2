"""One answer: its times, and what makes it a failure."""

import pytest

from headrace.cli.load.answer import Answer, Failed
from headrace.cli.load.request import address_of, ask_endpoint
from headrace.client.steps import Head

EVENTS = {"content-type": "text/event-stream", "headrace-stream-id": "s_1"}
END = b'event: end\ndata: {"items":3}\n\n'
REQUEST = ask_endpoint(address_of("http://localhost:8000/write"), {}, "sse", None)


def begun(status: int = 200, **headers: str) -> Answer:
    answer = Answer(REQUEST, 10.0)
    answer.begin(Head(status, EVENTS | {name.replace("_", "-"): value for name, value in headers.items()}, True))
    return answer


def item(number: int) -> bytes:
    return b"id: %d\ndata: 1\n\n" % number


def test_the_times_are_those_of_the_reads_that_brought_items() -> None:
    answer = begun()
    answer.body(b"id: 1\ndata", 10.5)
    answer.body(b": 1\n\n" + item(2), 11.0)
    answer.body(b": keep-alive\n", 12.0)
    answer.body(item(3), 14.0)
    answer.body(item(4) + item(5), 15.0)
    answer.body(END, 16.0)
    answer.end(True, 17.0)
    assert (answer.started, answer.first, answer.ended) == (10.0, 11.0, 17.0)
    assert (answer.items, answer.tokens, answer.failed) == (5, 5, None)
    assert (answer.gaps.count, answer.gaps.mean) == (4, 1.0)
    assert [answer.gaps.percentile(percent) for percent in (0, 50, 100)] == [0.0, 0.5, 3.0]


@pytest.mark.parametrize(
    ("timing", "seconds"),
    [
        ("first_item;dur=84.2", 0.0842),
        ("db;dur=3, first_item;dur=7", 0.007),
        ("first_item; dur=7;desc=x", 0.007),
        ("head;dur=84.2", None),
        ("not_first_item;dur=1", None),
        ("first_item;dur=NaN", None),
        ("", None),
    ],
)
def test_the_server_tells_how_long_it_took_for_the_first_item(timing: str, seconds: float | None) -> None:
    assert begun(server_timing=timing).server_first_item == seconds


def refused(status: int, body: bytes) -> Answer:
    answer = begun(status)
    answer.body(body, 11.0)
    answer.end(True, 12.0)
    return answer


def read(*pieces: bytes, complete: bool = True, **headers: str) -> Answer:
    answer = begun(**headers)
    for piece in pieces:
        if answer.failed is None:
            answer.body(piece, 11.0)
    answer.end(complete, 12.0)
    return answer


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (refused(503, b'{"code":"overloaded","detail":"try later"}'), "status 503", "try later"),
        (refused(404, b"not here"), "status 404", "http://localhost:8000/write answers 404: not here"),
        (refused(307, b""), "status 307", "http://localhost:8000/write answers 307"),
        (read(item(1)), "truncated", "the stream was cut before its ending"),
        (read(item(1), complete=False), "truncated", "the stream was cut before its ending"),
        (read(item(1), b'event: error\ndata: {"code":"busy","message":"full"}\n\n'), "error busy", "full"),
        (read(content_type="text/html"), "malformed", "the answer is text/html, not sse"),
        (read(content_encoding="gzip"), "malformed", "the answer is compressed with gzip, which was not asked for"),
    ],
)
def test_a_failure_has_a_kind(answer: Answer, kind: str, message: str) -> None:
    assert answer.failed == Failed(kind, message)
    assert answer.ended == 12.0


def test_no_answer_at_all_is_a_failure() -> None:
    answer = Answer(REQUEST, 10.0)
    answer.end(False, 11.0)
    assert answer.failed == Failed("not answered", "the connection was closed before it was answered")


def test_what_is_kept_of_a_refusal_is_bounded() -> None:
    answer = begun(500)
    for _ in range(10):
        answer.body(b"x" * 100_000, 11.0)
    assert len(answer._refusal) == 256 * 1024


def test_a_cut_behind_the_ending_is_none() -> None:
    assert read(item(1), END, complete=False).failed is None
