"""Both clients against a real server: every format, calls, uploads, errors, leaving."""

import io
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest
from readers import KINDS, call, read, within
from served import Serve, Served

from headrace.client.sync import Client
from headrace.errors import (
    BodyTooLarge,
    ConnectionFailed,
    InternalError,
    InvalidArguments,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    Overloaded,
    StreamError,
    StreamTruncated,
    Unauthorized,
)
from headrace.wire.stream_types import stream_types

FRAMED = ("frames", "ndjson", "sse")

both = pytest.mark.parametrize("kind", KINDS)


class OwnBusy(StreamError):
    """All is taken."""

    code = "own_busy"
    status = 429


def url(served: Served) -> str:
    return f"http://127.0.0.1:{served.port}"


# -- streams


@both
@pytest.mark.parametrize("format", [None, *FRAMED])
def test_a_stream_comes_whole_in_every_format(trials: Served, kind: str, format: str | None) -> None:
    done = read(kind, url(trials), "typed", {"format": format}, to=2)
    assert done.error is None
    assert done.header == {"rate": 16000}
    assert done.items == [{"text": "t0", "number": 0}, {"text": "t1", "number": 1}]
    assert done.footer == {"done": "yes"}
    assert done.id.startswith("s_")
    assert done.stats.items == 2


@both
def test_text_and_bytes_come_as_they_are(trials: Served, kind: str) -> None:
    assert "".join(read(kind, url(trials), "count", {"format": "text"}, to=3).items) == "0\n1\n2\n"
    assert b"".join(read(kind, url(trials), "sound", {"format": "bytes"}).items) == b"RIFF" + bytes(range(256))
    assert read(kind, url(trials), "sound").items == [b"RIFF", bytes(range(256))]


@both
def test_declared_types_make_the_values(trials: Served, kind: str) -> None:
    types = stream_types(dict[str, int | str], header_type=dict[str, int], footer_type=dict[str, str])
    assert read(kind, url(trials), "typed", {"types": types}, to=1).items == [{"text": "t0", "number": 0}]
    wrong = read(kind, url(trials), "tokens", {"types": stream_types(int)}, to=1)
    assert wrong.items == []
    assert isinstance(wrong.error, StreamError)
    assert wrong.error.code == "invalid_item"


@both
def test_the_numbers_of_a_stream(trials: Served, kind: str) -> None:
    stats = read(kind, url(trials), "count", to=5, pause=0.05).stats
    assert stats.items == 5
    assert stats.ttft is not None
    assert 0 < stats.ttft < 1
    assert stats.items_per_second is not None
    assert 5 < stats.items_per_second < 30
    assert 0.04 < stats.longest_gap < 0.5
    assert stats.bytes > 10


# -- calls


@both
@pytest.mark.parametrize(
    ("endpoint", "arguments", "value"),
    [
        ("add", {"a": 1, "b": 2}, 3),
        ("/add", {"a": 1, "b": 2}, 3),
        ("count", {"to": 2}, "0\n1\n"),
        ("tokens", {"to": 1}, [{"text": "t0", "number": 0}]),
        ("sound", {}, b"RIFF" + bytes(range(256))),
        ("typed", {"to": 0}, {"header": {"rate": 16000}, "items": [], "footer": {"done": "yes"}}),
        ("same", {"value": {"a": [1, None, "\u2028\U0001f600"]}}, {"a": [1, None, "\u2028\U0001f600"]}),
    ],
)
def test_a_call_gives_one_value(
    trials: Served, kind: str, endpoint: str, arguments: dict[str, Any], value: object
) -> None:
    assert call(kind, url(trials), endpoint, **arguments) == value


@both
def test_a_call_checks_its_type(trials: Served, kind: str) -> None:
    assert call(kind, url(trials), "add", {"types": stream_types(int)}, a=1, b=2) == 3
    with pytest.raises(StreamError, match="not of type str"):
        call(kind, url(trials), "add", {"types": stream_types(str)}, a=1, b=2)


@both
def test_an_endpoint_that_takes_get_alone_is_called_with_get(trials: Served, kind: str) -> None:
    assert call(kind, url(trials), "load", {"method": "GET"})["worked"] >= 0
    with pytest.raises(MethodNotAllowed) as caught:
        call(kind, url(trials), "load")
    assert caught.value.allowed == ("GET",)


# -- uploads


async def _slowly(values: list[Any]) -> AsyncIterator[Any]:
    for value in values:
        yield value


def _source(kind: str, values: list[Any]) -> Iterator[Any] | AsyncIterator[Any]:
    return iter(values) if kind == "sync" else _slowly(values)


@both
def test_bytes_a_file_and_an_iterator_are_the_body(trials: Served, kind: str) -> None:
    assert call(kind, url(trials), "length", data=b"x" * 1000) == 1000
    assert call(kind, url(trials), "length", data=bytearray(b"abc")) == 3
    assert call(kind, url(trials), "length", data=io.BytesIO(b"y" * 200_000)) == 200_000
    assert call(kind, url(trials), "length", data=_source(kind, [b"ab", b"c"])) == 3


@both
def test_the_other_arguments_go_to_the_query(trials: Served, kind: str) -> None:
    assert call(kind, url(trials), "echo", chunks=_source(kind, [b"b", b"c"]), prefix="a & b=") == b"a & b=bc"


@both
def test_values_are_sent_as_lines(trials: Served, kind: str) -> None:
    tokens = [{"text": "a\n\u2028", "number": 1}, {"text": "b", "number": 2}]
    assert call(kind, url(trials), "shout", tokens=_source(kind, tokens)) == "A\n\u2028\nB\n"
    assert call(kind, url(trials), "shout", tokens=_source(kind, [])) == ""


def _endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


def _wrong() -> Iterator[dict[str, object]]:
    yield {"text": "a"}
    while True:
        yield {"text": "a" * 1000, "number": 1}


@pytest.mark.parametrize(
    ("endpoint", "arguments", "error"),
    [
        ("length", lambda: {"data": _endless()}, BodyTooLarge),
        ("length", lambda: {"data": b"x" * 5_000_000}, BodyTooLarge),
        ("shout", lambda: {"tokens": _wrong()}, InvalidArguments),
    ],
    ids=["endless", "large", "wrong"],
)
def test_an_upload_that_is_refused_midway_shows_why(
    serve: Serve, endpoint: str, arguments: Callable[[], dict[str, Any]], error: type[Exception]
) -> None:
    served = serve("tests/e2e/trials.py", "--max-body", "100000")
    with pytest.raises(error):
        call("sync", url(served), endpoint, **arguments())
    # On an event loop a write that fails closes the connection, with the answer that was not read yet.
    with pytest.raises((error, ConnectionFailed), match=r"refused the body|this server takes|line 1 of the body"):
        call("async", url(served), endpoint, **arguments())


@both
def test_what_the_callers_own_body_raises_reaches_the_caller(trials: Served, kind: str) -> None:
    def fails() -> Iterator[bytes]:
        yield b"x"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        call(kind, url(trials), "echo", chunks=fails())


# -- errors


@both
@pytest.mark.parametrize(
    ("endpoint", "options", "arguments", "error"),
    [
        ("nothing", {}, {}, NotFound),
        ("count", {}, {"to": "many"}, InvalidArguments),
        ("tokens", {"format": "text"}, {"to": 1}, NotAcceptable),
        ("fails", {}, {"after": 0}, InternalError),
        ("fails", {}, {"after": 2}, InternalError),
        ("fails", {"format": "sse"}, {"after": 2}, InternalError),
        ("fails", {"format": "text"}, {"after": 2}, StreamTruncated),
    ],
)
def test_failures_are_our_classes(
    trials: Served, kind: str, endpoint: str, options: dict[str, Any], arguments: dict[str, Any], error: type[Exception]
) -> None:
    done = read(kind, url(trials), endpoint, options, **arguments)
    assert type(done.error) is error
    if arguments == {"after": 2}:
        assert "".join(done.items) == "0 1 "


@both
def test_a_failure_in_the_stream_says_which_stream_and_after_how_many_items(trials: Served, kind: str) -> None:
    done = read(kind, url(trials), "fails", after=2)
    assert isinstance(done.error, StreamError)
    assert (done.error.stream_id, done.error.items_sent) == (done.id, 2)


@both
def test_an_error_of_the_users_own_is_found_by_its_code(trials: Served, kind: str) -> None:
    done = read(kind, url(trials), "forged", text="own_busy", items=0)
    assert type(done.error) is OwnBusy
    assert done.error.message == "own_busy"


@both
def test_a_code_that_nobody_knows_keeps_what_was_told(trials: Served, kind: str) -> None:
    error = read(kind, url(trials), "fails", {"retries": 0}, after=0, how="odd").error
    assert type(error) is StreamError
    assert (error.code, error.status, error.retryable) == ("known_to_nobody", 429, True)
    assert error.message == "nobody expected this"


@both
def test_invalid_arguments_bring_their_pointers_and_an_example(trials: Served, kind: str) -> None:
    error = read(kind, url(trials), "add", a=1, b="two").error
    assert isinstance(error, InvalidArguments)
    assert error.errors[0]["pointer"] == "/b"
    assert set(error.example) == {"a", "b"}


@both
def test_a_key_is_sent(serve: Serve, kind: str) -> None:
    served = serve("tests/e2e/trials.py", "--api-key", "k" * 32)
    assert isinstance(read(kind, url(served), "add", a=1, b=2).error, Unauthorized)
    headers = {"Authorization": "Bearer " + "k" * 32}
    assert call(kind, url(served), "add", {"headers": headers}, a=1, b=2) == 3
    with Client(url(served), api_key="k" * 32) as client:
        assert client.call("add", a=1, b=2) == 3


@both
def test_a_full_server_is_tried_again(serve: Serve, kind: str) -> None:
    served = serve("tests/e2e/trials.py", "--max-concurrency", "1", "--max-queue", "0")

    def inside(_: list[Any]) -> None:
        assert isinstance(read(kind, url(served), "add", {"retries": 0}, a=1, b=2).error, Overloaded)
        slow = read(kind, url(served), "add", {"retries": 1}, a=1, b=2)
        assert isinstance(slow.error, Overloaded)
        assert slow.error.retry_after == 1
        assert 1.0 < slow.seconds < 2.5  # it waited as long as the server said

    within("sync", url(served), "never_awaits", inside, to=10**9)
    assert call(kind, url(served), "add", a=1, b=2) == 3


# -- leaving


@both
@pytest.mark.parametrize("endpoint", ["never_awaits", "sync"])
def test_leaving_the_block_stops_the_work(trials: Served, kind: str, endpoint: str) -> None:
    within(kind, url(trials), endpoint, lambda _: None, to=10**9)
    trials.until(lambda: trials.state()["running"] == 0, within=1.0)


@both
def test_an_error_in_the_block_stops_the_work(trials: Served, kind: str) -> None:
    def inside(_: list[Any]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        within(kind, url(trials), "never_awaits", inside, to=10**9)
    trials.until(lambda: trials.state()["running"] == 0, within=1.0)


PROGRAMS = {
    "sync": """
from headrace.client import Client
with Client({url!r}) as client, client.stream("work", seconds=60) as stream:
    for item in stream:
        print(item, flush=True)
""",
    "async": """
import asyncio
from headrace.client import AsyncClient
async def main():
    async with AsyncClient({url!r}) as client, client.stream("work", seconds=60) as stream:
        async for item in stream:
            print(item, flush=True)
asyncio.run(main())
""",
}


@both
def test_ctrl_c_stops_the_work(trials: Served, kind: str) -> None:
    program = Served(program=("-c", PROGRAMS[kind].format(url=url(trials))))
    program.line_with("begun")
    program.stop(signal.SIGINT)
    assert "KeyboardInterrupt" in "".join(program.output)
    trials.until(lambda: trials.state()["running"] == 0, within=1.0)


@both
def test_a_reader_that_does_not_read_pauses_the_generator(trials: Served, kind: str) -> None:
    def inside(_: list[Any]) -> None:
        made = -1
        while made != (made := trials.state()["made"]):
            time.sleep(0.3)

    within(kind, url(trials), "never_awaits", inside, to=10**9)
    trials.until(lambda: trials.state()["running"] == 0, within=1.0)


def test_a_connection_is_used_again_after_a_whole_stream(trials: Served) -> None:
    ports: list[int] = []

    class Looking(httpx2.HTTPTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            response = super().handle_request(request)
            ports.append(response.extensions["network_stream"].get_extra_info("client_addr")[1])
            return response

    with Client(url(trials), transport=Looking()) as client:
        for name in ("frames", "ndjson", "sse", "text"):
            with client.with_options(format=name).stream("count", to=3) as stream:
                assert stream.text() == "0\n1\n2\n"
        assert client.call("add", a=1, b=2) == 3
    assert len(ports) == 5
    assert len(set(ports)) == 1
