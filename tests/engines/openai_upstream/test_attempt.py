"""One request and its chunks, whole, cut anywhere, and broken."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upstream import CUT, DONE, HEAD, HELLO, RESET, STALL, Gate, Status, Step, error, says, upstream

from headrace.engines.openai_upstream.attempt import Attempt
from headrace.engines.openai_upstream.clients import Address, Client, Clients
from headrace.engines.openai_upstream.failures import redaction
from headrace.engines.refusals import UpstreamFailed
from headrace.errors import InvalidArguments, StreamTruncated
from headrace.testing import run

BODY = {"model": "tiny", "stream": True, "messages": []}
A = {"choices": [], "id": "a"}
SEPARATORS = "\u2028 \u2029 \u0085 \r ü 漢"


@asynccontextmanager
async def attempted(*script: Step, gap: float = 5.0) -> AsyncIterator[Attempt]:
    """An attempt at a server with this script."""
    async with upstream(script) as server:
        clients = Clients(Address(server.url, "k-4711", None, {}, 5.0, gap))
        client = clients.take()
        try:
            attempt = await Attempt.make(client, "/chat/completions", BODY)
            try:
                yield attempt
            finally:
                await attempt.close()
        finally:
            await clients.give_back()


async def all_of(attempt: Attempt) -> list[Any]:
    chunks: list[Any] = []
    while (read := await attempt.read()) is not None:
        chunks += read
    return chunks


async def test_chunks_are_read_to_the_mark() -> None:
    async with attempted(*HELLO, says("behind the mark")) as attempt:
        assert await all_of(attempt) == list(HELLO[:-1])


async def test_chunks_are_read_to_the_end_where_there_is_no_mark() -> None:
    async with attempted(*HELLO[:-1]) as attempt:
        assert await all_of(attempt) == list(HELLO[:-1])


async def test_chunks_come_as_they_are_sent() -> None:
    gate = Gate()
    async with attempted(A, gate, DONE) as attempt:
        assert await attempt.read() == [A]
        gate.opened.set()
        assert await attempt.read() == []
        assert await attempt.read() is None


@pytest.mark.parametrize(
    "written",
    [
        b': keep-alive\ndata: {"id": "a", "choices": []}\n\n',
        b'id: 7\n: ping\r\n\r\ndata: {"id": "a", "choices": []}\r\n\r\n',
        b'\xef\xbb\xbfevent: message\ndata:{"id": "a",\ndata: "choices": []}\n\n',
        b'retry: 5\n\nevent: x\n\ndata: {"id": "a", "choices": []}\n\n',
    ],
    ids=["a comment", "a ping behind an id", "BOM, two lines, no blank", "a record without data"],
)
async def test_all_that_the_standard_allows_is_read(written: bytes) -> None:
    async with attempted(written, DONE) as attempt:
        assert await all_of(attempt) == [A]


class Cut:
    """A response in pieces, and a client for it: what is asked of both, without a network."""

    headers: dict[str, str] = {}  # noqa: RUF012  # none
    redact = staticmethod(redaction([]))

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        return None

    async def send(self, path: str, body: Any) -> "Cut":
        return self

    translated = Client.translated
    _network = __import__("httpx2")


@given(st.text(max_size=8), st.lists(st.integers(0, 200), max_size=8))
def test_wherever_the_bytes_are_cut_the_chunks_are_the_same(text: str, places: list[int]) -> None:
    said = says(text + SEPARATORS)
    whole = f"data: {json.dumps(said, ensure_ascii=False)}\n\ndata: [DONE]\n\n".encode()
    borders = sorted({0, len(whole), *(place for place in places if place < len(whole))})
    pieces = [whole[start:end] for start, end in pairwise(borders)]

    async def main() -> list[Any]:
        response: Any = Cut(pieces)
        return await all_of(await Attempt.make(response, "/chat/completions", BODY))

    assert run(main) == [said]


@pytest.mark.parametrize("ending", [CUT, RESET], ids=["closed", "reset"])
async def test_a_connection_that_breaks_in_the_middle_is_truncation(ending: Step) -> None:
    async with attempted(A, ending) as attempt:
        assert await attempt.read() == [A]
        with pytest.raises(StreamTruncated, match="broke off its answer") as broken:
            await attempt.read()
    assert not broken.value.retryable


@pytest.mark.parametrize("script", [[HEAD, CUT], [b": note\n", RESET], [b": note\n"]], ids=["closed", "reset", "ended"])
async def test_one_that_breaks_before_the_first_chunk_may_be_tried_again(script: list[Step]) -> None:
    with pytest.raises(StreamTruncated, match="broke off its answer") as broken:
        async with attempted(*script) as attempt:
            await all_of(attempt)
    assert broken.value.retryable


async def test_a_failure_in_the_stream_comes_behind_the_chunks_that_came_with_it() -> None:
    both = f"data: {json.dumps(A)}\n\ndata: {json.dumps(error('Out of memory.', code='oom'))}\n\n".encode()
    async with attempted(both, DONE) as attempt:
        assert await attempt.read() == [A]
        with pytest.raises(UpstreamFailed, match=r"^Out of memory\. \(oom\)$"):
            await attempt.read()


async def test_a_failure_before_the_first_chunk_is_the_error_that_its_status_would_be() -> None:
    async with attempted(error("Too hot.", type="invalid_request_error", param="temperature")) as attempt:
        assert await attempt.read() == []
        with pytest.raises(InvalidArguments, match=r"^Too hot\.$"):
            await attempt.read()


async def test_a_failure_in_the_middle_is_a_failure_whatever_its_code() -> None:
    async with attempted(A, error("Too hot.", type="invalid_request_error")) as attempt:
        with pytest.raises(UpstreamFailed, match="Too hot"):
            await all_of(attempt)


async def test_the_key_is_not_in_a_failure_of_the_stream() -> None:
    async with attempted(A, error("Bad key k-4711.")) as attempt:
        with pytest.raises(UpstreamFailed, match=r"^Bad key \[hidden\]\.$"):
            await all_of(attempt)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b'data: {"choices": [\n\n', "a record that is no JSON: "),
        (b"data: 7\n\n", "a record that is no JSON object"),
        (b"data: " + b"x" * (17 << 20) + b"\n\n", "what cannot be read: "),
    ],
    ids=["half of it", "a number", "endless"],
)
async def test_what_cannot_be_read_is_a_failure(written: bytes, said: str) -> None:
    async with attempted(A, written) as attempt:
        with pytest.raises(UpstreamFailed, match=f"the model's server sent {said}"):
            await all_of(attempt)


async def test_an_upstream_that_falls_silent_is_given_up() -> None:
    async with attempted(A, STALL, gap=0.2) as attempt:
        assert await attempt.read() == [A]
        with pytest.raises(UpstreamFailed, match="has said nothing for"):
            await attempt.read()


@pytest.mark.parametrize(
    "headers", [{"content-type": "application/json; charset=utf-8"}, {"content-type": "text/html"}]
)
async def test_an_answer_that_is_no_stream_is_a_failure_that_says_so(headers: dict[str, str]) -> None:
    with pytest.raises(UpstreamFailed, match=f"answered with {headers['content-type'].split(';')[0]} instead of"):
        async with attempted(Status(200, {"choices": []}, headers)):
            pass


async def test_an_answer_of_the_wrong_type_that_may_be_a_stream_is_read() -> None:
    script = Status(200, 'data: {"id": "a", "choices": []}\n\n', {"content-type": "text/plain"})
    async with attempted(script) as attempt:
        assert await all_of(attempt) == [A]


async def test_closing_stops_the_upstream() -> None:
    async with upstream([A, STALL]) as server:
        clients = Clients(Address(server.url, "k", None, {}, 5.0, 5.0))
        attempt = await Attempt.make(clients.take(), "/chat/completions", BODY)
        assert await attempt.read() == [A]
        await attempt.close()
        await server.requests[0].left(within=0.1)
        await clients.give_back()


async def test_a_connection_whose_stream_was_read_is_used_again() -> None:
    async with upstream(HELLO) as server:
        clients = Clients(Address(server.url, "k", None, {}, 5.0, 5.0))
        for _ in range(3):
            attempt = await Attempt.make(clients.take(), "/chat/completions", BODY)
            await all_of(attempt)
            await attempt.close()
        for _ in range(3):
            await clients.give_back()
    assert (len(server.requests), server.connections) == (3, 1)
