"""An application in the same process, as a server would run it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from headrace.client.asgi import AHEAD, AsgiTransport
from headrace.errors import SetupError

WITHIN = 5.0

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]}


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def request(content: Any = b"", **options: Any) -> httpx2.Request:
    return httpx2.Request("POST", "http://localhost/a%20b?c=d", content=content, **options)


async def ask(app: Any, content: Any = b"", **options: Any) -> httpx2.Response:
    return await AsgiTransport(app).handle_async_request(request(content, **options))


async def drained(receive: Any) -> None:
    """Reads the request to its end."""
    while (await receive())["more_body"]:
        pass


async def everything(response: httpx2.Response) -> bytes:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    async with asyncio.timeout(WITHIN):
        body = b"".join([data async for data in response.stream])
        await response.stream.aclose()
    return body


async def test_a_request_and_its_answer() -> None:
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        received = await receive()
        await send(START)
        await send(piece(received["body"]))
        await send(piece(b"!", more=False))

    response = await ask(app, b"body")
    assert (response.status_code, response.headers["x-a"]) == (200, "b")
    assert await everything(response) == b"body!"
    (scope,) = scopes
    assert (scope["type"], scope["method"], scope["path"], scope["query_string"]) == ("http", "POST", "/a b", b"c=d")
    assert scope["raw_path"] == b"/a%20b"
    assert (b"content-length", b"4") in scope["headers"]
    assert scope["server"] == ("localhost", 80)


async def test_pieces_arrive_as_they_are_sent() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"first"))
        await go.wait()
        await send(piece(b"second", more=False))

    response = await ask(app)
    pieces = aiter(response.stream)  # type: ignore[arg-type]
    assert await anext(pieces) == b"first"
    go.set()
    assert await anext(pieces) == b"second"
    assert await anext(pieces, None) is None


async def test_an_application_that_is_ahead_waits() -> None:
    sent = 0
    waiting = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send(START)
        for number in range(100):
            asyncio.get_running_loop().call_soon(waiting.set)
            await send(piece(b"x" * 8192, more=number < 99))
            sent += 1

    response = await ask(app)
    for _ in range(200):
        await asyncio.sleep(0)
    assert sent == AHEAD // 8192
    assert len(await everything(response)) == 100 * 8192
    assert sent == 100


async def test_a_body_is_received_as_it_is_made_while_the_answer_is_read() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send(piece(message["body"].upper(), more=more))

    turns: asyncio.Queue[bytes] = asyncio.Queue()

    async def asking() -> AsyncIterator[bytes]:
        for _ in range(2):
            yield await turns.get()

    response = await ask(echo, asking())
    pieces = aiter(response.stream)  # type: ignore[arg-type]
    for text in (b"one", b"two"):
        turns.put_nowait(text)
        assert await anext(pieces) == text.upper()
    assert await anext(pieces, None) is None


async def test_an_application_whose_reader_leaves_is_told() -> None:
    told = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await drained(receive)
        await send(START)
        await send(piece(b"x"))
        assert (await receive())["type"] == "http.disconnect"
        with pytest.raises(OSError, match="the client left"):
            await send(piece(b"y"))
        told.set()

    response = await ask(app)
    await response.aclose()
    assert told.is_set()  # leaving waits for it


async def test_who_waits_for_more_of_the_body_is_told_too() -> None:
    told = asyncio.Event()

    async def never() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        told.set()

    response = await ask(app, never())
    await response.aclose()
    assert told.is_set()


async def test_a_blocked_application_is_told_when_it_sends() -> None:
    left: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        try:
            while True:
                await send(piece(b"x" * 65536))
        except OSError as error:
            left.append(str(error))

    response = await ask(app)
    await response.aclose()
    assert left == ["the client left"]


async def _raises(scope: Any, receive: Any, send: Any) -> None:
    raise ZeroDivisionError("mine")


async def _returns(scope: Any, receive: Any, send: Any) -> None:
    pass


@pytest.mark.parametrize(("app", "cause"), [(_raises, ZeroDivisionError), (_returns, RuntimeError)])
async def test_an_application_without_a_head_has_broken_off(app: Any, cause: type[Exception]) -> None:
    with pytest.raises(httpx2.ReadError, match="broke its response off") as caught:
        await ask(app)
    assert type(caught.value.__cause__) is cause


async def _raises_midway(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(piece(b"half"))
    raise ZeroDivisionError("mine")


async def _returns_midway(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(piece(b"half"))


async def _says_so(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(piece(b"half"))
    await send({"type": "http.response.aborted"})


@pytest.mark.parametrize("app", [_raises_midway, _returns_midway, _says_so])
async def test_an_application_that_breaks_off_has_no_clean_end(app: Any) -> None:
    response = await ask(app)
    pieces = aiter(response.stream)  # type: ignore[arg-type]
    assert await anext(pieces) == b"half"
    with pytest.raises(httpx2.ReadError, match="broke its response off"):
        await anext(pieces)


async def test_what_goes_wrong_after_the_end_is_nobodys_concern() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"all", more=False))
        raise ZeroDivisionError

    assert await everything(await ask(app)) == b"all"


async def test_what_the_callers_body_raises_reaches_the_caller() -> None:
    from headrace.client.steps import SourceFailed

    seen = []

    async def fails() -> AsyncIterator[bytes]:
        yield b"x"
        raise SourceFailed(KeyError("mine"))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([(await receive())["type"], (await receive())["type"]])

    with pytest.raises(SourceFailed):
        await ask(app, fails())
    assert seen == ["http.request", "http.disconnect"]


async def test_a_head_that_does_not_come_in_time_is_a_timeout() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await drained(receive)
        await receive()

    with pytest.raises(httpx2.ReadTimeout):
        await ask(app, extensions={"timeout": {"read": 0.01}})


# -- lifespan


def living(log: list[str], state: dict[str, Any] | None = None) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            log.append(f"http {scope['state']}")
            await send(START)
            await send(piece(b"", more=False))
            return
        assert (await receive())["type"] == "lifespan.startup"
        scope["state"].update(state or {})
        log.append("start")
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        log.append("stop")
        await send({"type": "lifespan.shutdown.complete"})

    return app


async def test_entering_starts_the_application_and_closing_stops_it() -> None:
    log: list[str] = []
    async with AsgiTransport(living(log, {"a": 1})) as transport:
        assert log == ["start"]
        await everything(await transport.handle_async_request(request()))
    assert log == ["start", "http {'a': 1}", "stop"]


async def test_an_application_without_a_lifespan_is_taken_as_started() -> None:
    async with AsgiTransport(_raises), AsgiTransport(_returns):
        pass


async def test_an_application_that_cannot_start_says_why() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no model"})

    with pytest.raises(SetupError, match="no model"):
        await AsgiTransport(app).__aenter__()


async def test_closing_breaks_off_what_still_runs() -> None:
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await drained(receive)
        await send(START)
        await receive()
        ended.set()

    transport = AsgiTransport(app)
    response = await transport.handle_async_request(request())
    await transport.aclose()
    assert ended.is_set()
    with pytest.raises(httpx2.ReadError):
        await everything(response)
