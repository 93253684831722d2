"""Both clients before servers that are silent, slow, full or not there: timeouts, retries, foreign answers."""

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from readers import KINDS, call, read
from relay import CUT, HANG, LAST, RESET, Answer, Relay, chunked, whole
from served import Served

from headrace.client.aio import AsyncClient
from headrace.client.sync import Client
from headrace.client.timeouts import Timeout
from headrace.errors import (
    ConnectionFailed,
    DeadlineExceeded,
    FirstItemTimeout,
    InternalError,
    ItemTimeout,
    Overloaded,
    RequestError,
    StreamTruncated,
    WireError,
    WorkerLost,
)

both = pytest.mark.parametrize("kind", KINDS)

LINES = [("content-type", "application/x-ndjson")]
ITEM = b'{"item":1}\n'
END = b'{"end":{"items":1}}\n'


def url(served: Served) -> str:
    return f"http://127.0.0.1:{served.port}"


def in_turn(*answers: Iterable[bytes | object]) -> Answer:
    """Every request gets the next answer; the last one all that are left."""
    lock, left = threading.Lock(), list(answers)

    def answer(request: bytes) -> Iterable[bytes | object]:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return answer


def about(seconds: float, wanted: float) -> bool:
    """At the moment, or a little later: within a tenth and 50 ms, and what a busy machine adds."""
    return wanted - 0.01 <= seconds < wanted * 1.1 + 0.25


# -- timeouts


@both
def test_the_first_item_has_its_time(trials: Served, kind: str) -> None:
    done = read(kind, url(trials), "silent", {"timeout": Timeout(first_item=0.8)})
    assert type(done.error) is FirstItemTimeout
    assert about(done.seconds, 0.8)  # the head and heartbeats came long before
    trials.until(lambda: trials.state()["running"] == 0, within=1.0)


@both
def test_the_next_item_has_its_time_and_heartbeats_are_no_items(trials: Served, kind: str) -> None:
    done = read(kind, url(trials), "work", {"timeout": Timeout(gap=0.8)}, seconds=60)
    assert type(done.error) is ItemTimeout
    assert done.items == ["begun "]
    assert about(done.seconds, 0.8)
    trials.until(lambda: trials.state()["running"] == 0, within=1.0)


@both
def test_what_the_caller_does_between_two_items_is_not_the_servers_silence(trials: Served, kind: str) -> None:
    if kind == "sync":
        with Client(url(trials)) as client, client.with_options(timeout=BRISK).stream("count", **STEADY) as stream:
            next(stream)
            time.sleep(1.2)
            assert len(stream.collect()) == 9
    else:
        assert asyncio.run(_dawdle(url(trials))) == 9


BRISK = Timeout(first_item=0.5, gap=0.5)
STEADY: dict[str, Any] = {"to": 10, "pause": 0.2}


async def _dawdle(address: str) -> int:
    async with AsyncClient(address) as client, client.with_options(timeout=BRISK).stream("count", **STEADY) as stream:
        await anext(stream)
        await asyncio.sleep(1.2)
        return len(await stream.collect())


@both
def test_the_whole_has_its_time(trials: Served, kind: str) -> None:
    done = read(kind, url(trials), "count", {"timeout": Timeout(total=0.6)}, to=1000, pause=0.05)
    assert type(done.error) is DeadlineExceeded
    assert len(done.items) > 5
    assert about(done.seconds, 0.6)


@both
def test_the_server_is_told_the_time_that_is_left(trials: Served, kind: str) -> None:
    assert call(kind, url(trials), "who")["has_deadline"] is False
    assert call(kind, url(trials), "who", {"timeout": Timeout(total=5)})["has_deadline"] is True


def _heartbeats() -> Iterator[bytes | object]:
    yield from chunked([ITEM], LINES)
    ticking = threading.Event()
    while not ticking.wait(0.05):
        yield b"1\r\n\n\r\n"


@both
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(lambda request: [HANG], FirstItemTimeout, id="nothing"),
        pytest.param(lambda request: [b"HTTP/1.1 200 OK\r\n", HANG], FirstItemTimeout, id="half a head"),
        pytest.param(lambda request: [*chunked([], LINES), HANG], FirstItemTimeout, id="a head"),
        pytest.param(lambda request: [*chunked([ITEM], LINES), HANG], ItemTimeout, id="an item"),
        pytest.param(lambda request: [*chunked([ITEM[:4]], LINES), HANG], FirstItemTimeout, id="half an item"),
        pytest.param(lambda request: _heartbeats(), ItemTimeout, id="heartbeats"),
    ],
)
def test_silence_is_broken_off_at_its_moment(kind: str, answer: Answer, error: type[Exception]) -> None:
    with Relay(answer) as relay:
        done = read(kind, relay.url, "x", {"timeout": Timeout(first_item=0.5, gap=0.5)})
        assert type(done.error) is error
        assert about(done.seconds, 0.5)
        assert relay.left.wait(5)  # the server sees that nobody waits any more
        assert len(relay.requests) == 1


@both
def test_a_call_has_the_time_of_the_first_item(kind: str) -> None:
    with Relay(lambda request: [HANG]) as relay, pytest.raises(FirstItemTimeout):
        call(kind, relay.url, "x", {"timeout": Timeout(first_item=0.2)})


# -- retries


@both
@pytest.mark.parametrize("first", [[CUT], [RESET]], ids=["closed", "reset"])
def test_a_connection_that_breaks_before_the_head_is_tried_again(kind: str, first: list[object]) -> None:
    with Relay(in_turn(first, whole(ITEM + END, LINES))) as relay:
        done = read(kind, relay.url, "x")
        assert (done.error, done.items) == (None, [1])
        assert len(relay.requests) == 2


@both
def test_retries_have_a_limit(kind: str) -> None:
    with Relay(lambda request: [CUT]) as relay:
        error = read(kind, relay.url, "x", {"retries": 1}).error
        assert type(error) is ConnectionFailed
        assert len(relay.requests) == 2


@both
def test_nothing_is_tried_again_after_the_first_item(kind: str) -> None:
    with Relay(lambda request: [*chunked([ITEM], LINES), CUT]) as relay:
        assert type(read(kind, relay.url, "x").error) is StreamTruncated
        assert len(relay.requests) == 1


@both
def test_a_body_that_was_begun_is_never_sent_twice(kind: str) -> None:
    with Relay(lambda request: [CUT]) as relay:
        assert type(read(kind, relay.url, "x", data=iter([b"a", b"b"])).error) is ConnectionFailed
        assert len(relay.requests) == 1


@both
def test_a_failure_in_the_stream_before_any_item_is_tried_again(kind: str) -> None:
    busy = b'{"error":{"code":"overloaded","message":"full","retryable":true}}\n'
    with Relay(in_turn([*chunked([b"\n", busy], LINES), LAST], whole(ITEM + END, LINES))) as relay:
        assert read(kind, relay.url, "x").items == [1]


@both
def test_a_proxy_that_is_full_is_given_the_time_that_it_asks_for(kind: str) -> None:
    full = whole(b"<h1>full</h1>", [("retry-after", "1"), ("content-type", "text/html")], "503 Service Unavailable")
    with Relay(in_turn(full, whole(ITEM + END, LINES))) as relay:
        done = read(kind, relay.url, "x")
    assert done.items == [1]
    assert 1.0 < done.seconds < 2.0


@both
def test_advice_that_is_too_late_for_the_caller_is_not_waited_for(kind: str) -> None:
    full = whole(b"", [("retry-after", "20")], "503 Service Unavailable")
    with Relay(in_turn(full)) as relay:
        done = read(kind, relay.url, "x", {"timeout": Timeout(total=2)})
    assert type(done.error) is Overloaded
    assert done.seconds < 1


# -- those who are not there, and those who are no servers of ours


@both
def test_a_server_that_is_not_there_is_told_with_its_address(kind: str) -> None:
    error = read(kind, "http://127.0.0.1:1", "x", {"retries": 0}).error
    assert type(error) is ConnectionFailed
    assert error.message.startswith("cannot connect to http://127.0.0.1:1: ")
    assert error.message.endswith("; is the address right, and the server running?")


@both
def test_plain_http_where_https_is_spoken_to_is_told_and_not_tried_again(trials: Served, kind: str) -> None:
    done = read(kind, url(trials).replace("http:", "https:"), "x")
    assert type(done.error) is ConnectionFailed
    assert "is it https" in done.error.message
    assert done.error.retryable is False


@both
@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        pytest.param(
            whole(b"<html><h1>502 Bad Gateway</h1>nginx</html>", [("content-type", "text/html")], "502 Bad Gateway"),
            WorkerLost,
            "/x answers 502: 502 Bad Gateway nginx",
            id="a proxy's page",
        ),
        pytest.param(whole(b"y" * 300, [], "418 Teapot"), RequestError, "y" * 200 + " ...", id="a long text"),
        pytest.param(whole(b"", [], "500 Oh"), InternalError, "/x answers 500", id="nothing"),
        pytest.param(
            whole(b"", [("location", "https://other/x")], "307 Temporary Redirect"),
            InternalError,
            "sends on to https://other/x; use that address",
            id="a redirect",
        ),
        pytest.param(whole(b'["no", "object"]', [], "400 Bad"), RequestError, '400: ["no", "object"]', id="JSON"),
        pytest.param([b"SSH-2.0-OpenSSH\r\n\r\n", CUT], ConnectionFailed, "is not HTTP", id="no HTTP"),
        pytest.param(
            whole(b"abc", [("content-encoding", "gzip")]), WireError, "compressed with gzip", id="a compressed stream"
        ),
        pytest.param(whole(b"what?\n", LINES), WireError, "a line that is not", id="another kind of lines"),
    ],
)
def test_foreign_answers_are_told(kind: str, answer: list[bytes | object], error: type[Exception], text: str) -> None:
    with Relay(in_turn(answer)) as relay:
        raised = read(kind, relay.url, "x", {"retries": 0}).error
    assert type(raised) is error
    assert str(raised).endswith(text) or text in str(raised)


@both
def test_text_of_another_server_comes_as_text(kind: str) -> None:
    with Relay(in_turn(whole("grüß".encode(), [("content-type", "text/html; charset=utf-8")]))) as relay:
        assert read(kind, relay.url, "x").items == ["grüß"]
