"""What `headrace chat` asks an OpenAI-compatible server, and what it makes of the answers."""

import asyncio
from contextlib import aclosing
from typing import Any

import httpx2
import pytest
from chat_stub import DONE, EVENT_STREAM, ChatStub, answer, delta, record

from headrace.cli.chat_server import MAX_DOCUMENT, ChatServer
from headrace.cli.completion import Completion, Piece
from headrace.client.timeouts import Timeout
from headrace.errors import (
    ConnectionFailed,
    FirstItemTimeout,
    ItemTimeout,
    StreamError,
    StreamTruncated,
    WireError,
)

HELLO = [{"role": "user", "content": "Hello?"}]


def server(stub: ChatStub, **options: Any) -> ChatServer:
    return ChatServer("http://tiny.test", transport=stub, **options)


async def answered(stub: ChatStub, completion: Completion | None = None, **options: Any) -> str:
    server_ = server(stub, **options)
    pieces = [piece async for piece in server_.answer(HELLO, {"model": "tiny"}, completion or Completion())]
    await server_.close()
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        ("localhost:8000", "http://localhost:8000/v1"),
        ("https://models.test/v1", "https://models.test/v1"),
        ("https://models.test/api/v1/", "https://models.test/api/v1"),
    ],
)
async def test_without_a_path_the_api_is_at_v1(url: str, base: str) -> None:
    server_ = ChatServer(url, transport=ChatStub())
    assert server_.base == base
    await server_.close()


@pytest.mark.parametrize("url", ["", "ftp://models.test", "http://models.test/v1?key=1", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"no address of a server|query or a fragment"):
        ChatServer(url)


async def test_the_models_are_listed() -> None:
    stub = ChatStub(models=("tiny", "large"))
    assert await server(stub).models() == ["tiny", "large"]
    assert stub.urls == ["GET http://tiny.test/v1/models"]


@pytest.mark.parametrize("document", [{"data": None}, [], {"object": "list"}])
async def test_what_is_no_list_of_models_is_told(document: Any) -> None:
    with pytest.raises(WireError, match="does not answer with a list of models"):
        await server(ChatStub(models=httpx2.Response(200, json=document))).models()


async def test_the_key_is_a_bearer_token() -> None:
    stub = ChatStub()
    await ChatServer("http://tiny.test", "k-1", transport=stub).models()
    assert stub.headers["authorization"] == "Bearer k-1"
    await server(stub).models()
    assert "authorization" not in stub.headers


async def test_an_answer_comes_piece_by_piece() -> None:
    stub, completion = ChatStub(answer("Wa", "ter", tokens=2)), Completion()
    pieces = [p async for p in server(stub).answer(HELLO, {"model": "tiny", "max_tokens": 5}, completion)]
    assert pieces == [Piece("text", "Wa"), Piece("text", "ter")]
    assert (completion.finish, completion.tokens) == ("stop", 2)
    assert stub.urls == ["POST http://tiny.test/v1/chat/completions"]
    assert stub.requests == [
        {
            "messages": HELLO,
            "stream": True,
            "stream_options": {"include_usage": True},
            "model": "tiny",
            "max_tokens": 5,
        }
    ]
    assert stub.bodies[0].closed


async def test_leaving_an_answer_closes_its_connection() -> None:
    stub = ChatStub([delta(content="Wa"), asyncio.Event()])
    async with aclosing(server(stub).answer(HELLO, {}, Completion())) as pieces:
        await anext(pieces)
        assert not stub.bodies[0].closed
    assert stub.bodies[0].closed


async def test_cancelling_a_wait_closes_the_connection() -> None:
    stub = ChatStub([asyncio.Event()])
    async with asyncio.timeout(5):
        asking = asyncio.create_task(answered(stub))
        while not stub.bodies:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert stub.bodies[0].closed


@pytest.mark.parametrize(
    ("response", "code", "message"),
    [
        (
            httpx2.Response(400, json={"error": {"message": "too long", "code": "context_length_exceeded"}}),
            "context_length_exceeded",
            "too long",
        ),
        (httpx2.Response(404, text="<h1>nothing here</h1>"), "server_error", "<h1>nothing here</h1>"),
        (httpx2.Response(503), "server_error", "http://tiny.test/v1/chat/completions answers 503"),
        (httpx2.Response(307, headers={"location": "/"}), "server_error", "answers 307"),
        (httpx2.Response(200, json={"error": {"message": "busy"}}), "server_error", "busy"),
    ],
)
async def test_a_refusal_is_told(response: httpx2.Response, code: str, message: str) -> None:
    with pytest.raises(StreamError, match=message) as caught:
        await answered(ChatStub(response))
    assert caught.value.code == code


async def test_an_answer_that_is_no_stream_is_told() -> None:
    with pytest.raises(WireError, match="answers with text/html, not with an event stream"):
        await answered(ChatStub(httpx2.Response(200, html="<p>Welcome</p>")))


async def test_a_refusal_has_a_limit() -> None:
    with pytest.raises(WireError, match="more than 1048576 bytes"):
        await answered(ChatStub(httpx2.Response(500, content=b"x" * (MAX_DOCUMENT + 1))))


async def test_no_server_is_a_failed_connection() -> None:
    with pytest.raises(ConnectionFailed, match=r"cannot connect to http://tiny\.test: refused; is the address right"):
        await answered(ChatStub(httpx2.ConnectError("refused")))


async def test_a_lost_connection_is_a_truncated_answer() -> None:
    with pytest.raises(StreamTruncated, match="the connection was lost: reset by peer"):
        await answered(ChatStub([delta(content="Wa"), httpx2.ReadError("reset by peer")]))


async def test_an_answer_without_its_ending_is_truncated() -> None:
    with pytest.raises(StreamTruncated):
        await answered(ChatStub([delta(content="Wa")]))


async def test_a_failure_in_the_stream_is_raised() -> None:
    with pytest.raises(StreamError, match="out of memory"):
        await answered(ChatStub([delta(content="Wa"), record(error={"message": "out of memory"})]))


async def test_silence_before_the_first_piece_ends() -> None:
    with pytest.raises(FirstItemTimeout, match=r"no item within 0\.02 s"):
        await answered(ChatStub([asyncio.Event()]), timeout=Timeout(first_item=0.02))


async def test_silence_between_two_pieces_ends() -> None:
    with pytest.raises(ItemTimeout, match=r"no further item within 0\.02 s"):
        await answered(ChatStub([delta(content="Wa"), asyncio.Event()]), timeout=Timeout(gap=0.02))


async def test_signs_of_life_are_no_answer() -> None:
    class ForEver(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                await asyncio.sleep(0)
                yield b": keep-alive\n"

    response = httpx2.Response(200, headers=EVENT_STREAM, stream=ForEver())
    async with asyncio.timeout(5):
        with pytest.raises(FirstItemTimeout):
            await answered(ChatStub(response), timeout=Timeout(first_item=0.02))


async def test_an_answer_in_one_write_is_whole() -> None:
    assert await answered(ChatStub([delta(content="Wa") + delta(content="ter") + delta("stop") + DONE])) == "Water"
