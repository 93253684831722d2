"""Nobody is fooled by a cut: a proxy that re-cuts, shortens or breaks off what a server says, before both clients."""

import json
from collections.abc import Iterable, Iterator

import pytest
from readers import KINDS, read
from relay import CUT, LAST, RESET, Relay, chunked, recorded, whole
from served import Served

from headrace.client.request import STREAMING
from headrace.errors import StreamTruncated

FRAMED = ("frames", "ndjson", "sse")

both = pytest.mark.parametrize("kind", KINDS)

Recording = tuple[list[tuple[str, str]], bytes]


@pytest.fixture(scope="module")
def recordings(trials: Served) -> dict[str, Recording]:
    """What the server says in each format: a typed stream of three items, or text."""

    def record(name: str) -> Recording:
        path, body = ("/count", json.dumps({"to": 3})) if name == "text" else ("/typed", json.dumps({"to": 3}))
        accept = STREAMING[name].media_types[0]
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\ncontent-type: application/json"
        return recorded(trials.port, f"{head}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())

    return {name: record(name) for name in (*FRAMED, "text")}


ITEMS = [{"text": f"t{n}", "number": n} for n in range(3)]


def answering(pieces: Iterable[bytes | object]) -> Relay:
    ready = list(pieces)
    return Relay(lambda request: ready)


def every(size: int, body: bytes) -> Iterator[bytes]:
    for place in range(0, len(body), size):
        yield body[place : place + size]


@both
@pytest.mark.parametrize("format", FRAMED)
@pytest.mark.parametrize("size", [1, 7])
def test_a_stream_that_is_cut_anew_is_the_same_stream(
    recordings: dict[str, Recording], kind: str, format: str, size: int
) -> None:
    headers, body = recordings[format]
    with answering([*chunked(every(size, body), headers), LAST]) as relay:
        done = read(kind, relay.url, "typed")
    assert done.error is None
    assert (done.header, done.items, done.footer) == ({"rate": 16000}, ITEMS, {"done": "yes"})


@both
@pytest.mark.parametrize("format", FRAMED)
def test_a_stream_whose_bytes_come_one_by_one_is_the_same_stream(
    recordings: dict[str, Recording], kind: str, format: str
) -> None:
    headers, body = recordings[format]
    wire = b"".join([*chunked([body], headers), LAST])
    with answering(every(1, wire)) as relay:
        assert read(kind, relay.url, "typed").items == ITEMS


ENDS: dict[str, list[object]] = {"clean": [LAST], "closed": [CUT], "reset": [RESET]}


@both
@pytest.mark.parametrize("format", FRAMED)
@pytest.mark.parametrize("end", ENDS)
def test_a_stream_without_its_ending_is_truncated(
    recordings: dict[str, Recording], kind: str, format: str, end: str
) -> None:
    headers, body = recordings[format]
    record = {"frames": b"\x05\x00\x00", "ndjson": b'{"end"', "sse": b"event: end"}[format]
    for shortened in (body[: body.index(record)], body[: body.index(record) + 3], body[: len(body) // 2]):
        with answering([*chunked([shortened], headers), *ENDS[end]]) as relay:
            done = read(kind, relay.url, "typed")
        assert type(done.error) is StreamTruncated
        assert done.items == ITEMS[: len(done.items)]
        assert done.error.items_sent == len(done.items)
        assert done.error.stream_id == done.id != ""
        if len(shortened) > len(body) // 2 and end != "reset":  # a reset may take away what was sent before
            assert done.items == ITEMS


@both
@pytest.mark.parametrize("format", FRAMED)
def test_a_connection_that_breaks_after_the_ending_does_no_harm(
    recordings: dict[str, Recording], kind: str, format: str
) -> None:
    headers, body = recordings[format]
    with answering([*chunked([body], headers), CUT]) as relay:
        done = read(kind, relay.url, "typed")
    assert (done.error, done.items) == (None, ITEMS)


@both
@pytest.mark.parametrize("end", ENDS)
def test_text_is_whole_only_with_the_final_chunk(recordings: dict[str, Recording], kind: str, end: str) -> None:
    headers, body = recordings["text"]
    with answering([*chunked([body], headers), *ENDS[end]]) as relay:
        done = read(kind, relay.url, "count", {"format": "text"})
    if end == "clean":
        assert (done.error, "".join(done.items)) == (None, "0\n1\n2\n")
    else:
        assert type(done.error) is StreamTruncated
        assert end == "reset" or "".join(done.items) == "0\n1\n2\n"


@both
def test_a_length_that_does_not_come_is_truncation(recordings: dict[str, Recording], kind: str) -> None:
    headers, body = recordings["text"]
    (wire,) = whole(body, headers)
    assert isinstance(wire, bytes)
    with answering([wire[:-1], CUT]) as relay:
        assert type(read(kind, relay.url, "count").error) is StreamTruncated


@both
def test_text_that_lasts_until_the_connection_closes_cannot_be_told_from_a_cut(
    recordings: dict[str, Recording], kind: str
) -> None:
    _, body = recordings["text"]
    with answering([b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\n" + body, CUT]) as relay:
        done = read(kind, relay.url, "count")
    assert type(done.error) is StreamTruncated
    assert "".join(done.items) == "0\n1\n2\n"


@both
@pytest.mark.parametrize("format", FRAMED)
def test_frames_events_and_lines_tell_their_ending_without_any_framing(
    recordings: dict[str, Recording], kind: str, format: str
) -> None:
    headers, body = recordings[format]
    content_type = next(value for name, value in headers if name.lower() == "content-type")
    head = f"HTTP/1.0 200 OK\r\ncontent-type: {content_type}\r\n\r\n".encode()
    with answering([head + body, CUT]) as relay:
        done = read(kind, relay.url, "typed")
    assert (done.error, done.items) == (None, ITEMS)


@both
def test_an_empty_answer_is_truncation(recordings: dict[str, Recording], kind: str) -> None:
    headers, _ = recordings["frames"]
    with answering([*chunked([], headers), LAST]) as relay:
        assert type(read(kind, relay.url, "typed").error) is StreamTruncated
