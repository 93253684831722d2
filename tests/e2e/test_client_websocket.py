"""Conversations of both clients with a real server."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from served import REPOSITORY, Serve, Served

from headrace.client import AsyncClient, Client, Timeout
from headrace.client.conversation_sync import Conversation
from headrace.errors import (
    ConnectionFailed,
    DeadlineExceeded,
    FirstItemTimeout,
    InternalError,
    InvalidArguments,
    ItemTimeout,
    NotFound,
    Overloaded,
    RequestError,
    ShuttingDown,
    StreamError,
    StreamTruncated,
    Unauthorized,
)
from headrace.wire.stream_types import stream_types


class Blocking:
    """The blocking conversation under the surface of the other one, each call on a thread."""

    def __init__(self, inner: Conversation) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def send(self, item: Any) -> None:
        await asyncio.to_thread(self.inner.send, item)

    async def finish_input(self) -> None:
        await asyncio.to_thread(self.inner.finish_input)

    async def collect(self) -> list[Any]:
        return await asyncio.to_thread(self.inner.collect)

    async def text(self) -> str:
        return await asyncio.to_thread(self.inner.text)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self  # type: ignore[return-value]

    async def __anext__(self) -> Any:
        item = await asyncio.to_thread(next, self.inner, self)
        if item is self:
            raise StopAsyncIteration
        return item


@asynccontextmanager
async def talking(
    kind: str, served: Served, endpoint: str, options: dict[str, Any] | None = None, **arguments: Any
) -> AsyncIterator[Any]:
    """A conversation of one of the clients."""
    url = f"http://127.0.0.1:{served.port}"
    async with asyncio.timeout(20):
        if kind == "async":
            async with (
                AsyncClient(url) as client,
                client.with_options(**options or {}).connect(endpoint, **arguments) as conversation,
            ):
                yield conversation
            return
        with Client(url) as blocking:
            inner = blocking.with_options(**options or {}).connect(endpoint, **arguments)
            await asyncio.to_thread(inner.__enter__)
            try:
                yield Blocking(inner)
            finally:
                await asyncio.to_thread(inner.__exit__, None, None, None)


async def _say_for_ever(chat: Any) -> None:
    while True:
        await chat.send("x" * 100_000)


async def _take(chat: Any, came: list[Any]) -> None:
    async for item in chat:
        came.append(item)  # noqa: PERF401


both = pytest.mark.parametrize("kind", ["async", "sync"])


# -- both directions


@both
async def test_each_item_is_answered_as_soon_as_it_is_sent(trials: Served, kind: str) -> None:
    async with talking(kind, trials, "parrot", prefix=">") as chat:
        for word in ("hello", "", "\u2028\U0001f600"):
            await chat.send(word)
            assert await anext(chat) == f">{word}"
        await chat.finish_input()
        assert await chat.collect() == []
    assert chat.id.startswith("s_")
    assert (chat.header, chat.footer, chat.stats.items) == (None, None, 3)


@both
@pytest.mark.parametrize(
    ("endpoint", "arguments", "said", "items"),
    [
        ("parrot", {}, ["prefix"], ["prefix"]),
        ("parrot", {"prefix": "item"}, ["a"], ["itema"]),
        ("shout", {}, [{"text": "a", "number": 1}], ["A\n"]),
        ("echo", {}, [b"a", b"\x00\xff"], [b"", b"a", b"\x00\xff"]),
        ("speak", {"seconds": 0.01}, ["a", "b"], [b"a", b"b"]),
        ("total", {}, [1, 2, 3], [6]),
        ("length", {}, [b"abc"], [3]),
    ],
    ids=["defaults", "argument", "models", "bytes", "sync", "answer", "body"],
)
async def test_no_item_is_taken_for_the_arguments(
    trials: Served, kind: str, endpoint: str, arguments: dict[str, Any], said: list[Any], items: list[Any]
) -> None:
    async with talking(kind, trials, endpoint, **arguments) as chat:
        for item in said:
            await chat.send(item)
        if endpoint != "length":
            await chat.finish_input()
        assert await chat.collect() == items


@both
async def test_an_endpoint_that_does_not_listen_answers_too(trials: Served, kind: str) -> None:
    async with talking(kind, trials, "count", to=3) as chat:
        assert await chat.text() == "0\n1\n2\n"
    async with talking(kind, trials, "sound") as chat:
        assert await chat.collect() == [b"RIFF", bytes(range(256))]
    async with talking(kind, trials, "who") as chat:
        assert (await anext(chat))["agent"] == "headrace-python"


@both
async def test_a_declared_header_is_there_inside_the_block(trials: Served, kind: str) -> None:
    types = stream_types(dict[str, int | str], header_type=dict[str, int], footer_type=dict[str, str])
    async with talking(kind, trials, "typed", {"types": types}, to=1) as chat:
        assert chat.header == {"rate": 16000}
        assert await chat.collect() == [{"text": "t0", "number": 0}]
        assert chat.footer == {"done": "yes"}
    async with talking(kind, trials, "typed", to=0) as chat:
        assert await chat.collect() == []
        assert (chat.header, chat.footer) == ({"rate": 16000}, {"done": "yes"})


@both
async def test_what_is_said_while_an_answer_is_made_can_stop_it(trials: Served, kind: str) -> None:
    async with talking(kind, trials, "interrupted") as chat:
        assert [await anext(chat) for _ in range(10)] == ["and "] * 10
        await chat.send("stop")
        assert (await chat.text()).endswith("you said stop")


def test_one_thread_sends_while_another_one_iterates(trials: Served) -> None:
    words = [f"{n} " * 100 for n in range(3000)]

    def say(conversation: Conversation) -> None:
        for word in words:
            conversation.send(word)
        conversation.finish_input()

    with Client(f"http://127.0.0.1:{trials.port}") as client, client.connect("parrot") as conversation:
        speaker = threading.Thread(target=say, args=(conversation,))
        speaker.start()
        assert list(conversation) == words
        speaker.join()


async def test_a_task_that_is_cancelled_while_it_waits_loses_nothing(trials: Served) -> None:
    async with talking("async", trials, "parrot") as chat:
        for n in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.002):
                    await anext(chat)
            await chat.send(str(n))
            assert await anext(chat) == str(n)


async def test_two_tasks_do_not_read_one_conversation(trials: Served) -> None:
    async with talking("async", trials, "parrot") as chat:
        reading = asyncio.ensure_future(anext(chat))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="read already; one task reads it"):
            await anext(chat)
        await chat.send("still")
        assert await reading == "still"


# -- endings


@both
@pytest.mark.parametrize(
    ("endpoint", "arguments", "items", "error", "code"),
    [
        ("fails", {"after": 2}, ["0 ", "1 "], InternalError, "internal"),
        ("fails", {"after": 0, "how": "busy"}, [], StreamError, "model_busy"),
        ("add", {"a": 1}, [], InvalidArguments, "invalid_arguments"),
        ("parrot", {"nobody": 1}, [], InvalidArguments, "invalid_arguments"),
        ("silent", {"item": 1}, [], InvalidArguments, "invalid_arguments"),
        ("nothing", {}, [], NotFound, "not_found"),
    ],
)
async def test_a_failure_is_the_error_of_its_code_behind_its_items(
    trials: Served, kind: str, endpoint: str, arguments: Any, items: list[str], error: type[StreamError], code: str
) -> None:
    came: list[Any] = []
    with pytest.raises(error) as caught:
        async with talking(kind, trials, endpoint, **arguments) as chat:
            await _take(chat, came)
    assert (came, caught.value.code, caught.value.items_sent) == (items, code, len(items))


@both
async def test_who_sends_to_a_stream_that_failed_gets_its_failure_and_no_item_is_lost(
    trials: Served, kind: str
) -> None:
    async with talking(kind, trials, "fails", after=2) as chat:
        await asyncio.sleep(0.3)
        with pytest.raises(InternalError):
            await chat.send("x")
        assert [await anext(chat), await anext(chat)] == ["0 ", "1 "]
        with pytest.raises(InternalError):
            await anext(chat)


@both
async def test_who_sends_to_a_stream_that_is_complete_is_told_so(trials: Served, kind: str) -> None:
    async with talking(kind, trials, "total") as chat:
        await chat.finish_input()
        assert await chat.collect() == [0]
        await chat.finish_input()
        with pytest.raises(RuntimeError, match="finish_input"):
            await chat.send(1)
    async with talking(kind, trials, "count", to=1) as chat:
        assert await chat.collect() == ["0\n"]
        with pytest.raises(ConnectionFailed, match="the stream is complete"):
            await chat.send("x")


@both
async def test_what_nobody_listens_to_is_refused(trials: Served, kind: str) -> None:
    async with talking(kind, trials, "silent") as chat:
        await chat.send("x")
        with pytest.raises(RequestError, match="a message came that nobody expects"):
            await anext(chat)


@both
async def test_a_server_that_is_killed_is_truncation_with_its_code(serve: Serve, kind: str) -> None:
    served = serve()
    async with talking(kind, served, "parrot") as chat:
        await chat.send("a")
        assert await anext(chat) == "a"
        served.process.send_signal(signal.SIGKILL)
        served.process.wait(10)
        with pytest.raises(StreamTruncated, match="1006"):
            await anext(chat)
        with pytest.raises(StreamTruncated):
            await chat.send("b")


@both
async def test_a_server_that_stops_says_so(serve: Serve, kind: str) -> None:
    served = serve("tests/e2e/trials.py", "--drain", "0.2")
    async with talking(kind, served, "parrot") as chat:
        await chat.send("a")
        assert await anext(chat) == "a"
        served.process.send_signal(signal.SIGTERM)
        with pytest.raises(ShuttingDown):
            await anext(chat)
    assert served.exit_code() == 0


# -- before the first message


@both
async def test_nobody_there_is_a_failed_connection(trials: Served, kind: str) -> None:
    nobody = Served.__new__(Served)
    nobody.port = 1
    with pytest.raises(ConnectionFailed, match=r"cannot connect to http://127\.0\.0\.1:1: .*is the address right"):
        async with talking(kind, nobody, "parrot", {"retries": 0}):
            pass


@both
async def test_a_key_that_is_missing_is_said_as_over_http(serve: Serve, kind: str) -> None:
    served = serve("tests/e2e/trials.py", environment={"HEADRACE_API_KEY": "right"})
    with pytest.raises(Unauthorized):
        async with talking(kind, served, "parrot"):
            pass
    async with talking(kind, served, "parrot", {"headers": {"authorization": "Bearer right"}}) as chat:
        await chat.finish_input()
        assert await chat.collect() == []
    served.stop()


@both
async def test_who_finds_no_place_gets_overloaded(serve: Serve, kind: str) -> None:
    served = serve("tests/e2e/trials.py", "--max-concurrency", "1", "--max-queue", "0")
    async with talking(kind, served, "parrot") as holder:
        await holder.send("a")
        assert await anext(holder) == "a"
        with pytest.raises(Overloaded):
            async with talking(kind, served, "parrot") as other:
                await anext(other)
        await holder.finish_input()
        assert await holder.collect() == []


# -- waiting


@both
@pytest.mark.parametrize(
    ("timeout", "sends", "error"),
    [
        (Timeout(first_item=0.3), 0, FirstItemTimeout),
        (Timeout(gap=0.3), 1, ItemTimeout),
        (Timeout(total=0.3), 1, DeadlineExceeded),
    ],
)
async def test_a_silence_that_is_too_long_ends_the_work(
    trials: Served, kind: str, timeout: Timeout, sends: int, error: type[StreamError]
) -> None:
    began = time.monotonic()
    async with talking(kind, trials, "parrot", {"timeout": timeout}) as chat:
        for _ in range(sends):
            await chat.send("a")
            assert await anext(chat) == "a"
        with pytest.raises(error):
            await anext(chat)
    assert 0.3 <= time.monotonic() - began < 2


@both
async def test_what_is_sent_begins_the_silence_anew(trials: Served, kind: str) -> None:
    async with talking(kind, trials, "total", {"timeout": Timeout(first_item=0.4)}) as chat:
        waiting = asyncio.ensure_future(anext(chat))
        for n in range(4):
            await asyncio.sleep(0.2)
            await chat.send(n)
        await chat.finish_input()
        assert await waiting == 6


@both
async def test_leaving_stops_the_work_at_once(trials: Served, kind: str) -> None:
    async with talking(kind, trials, "never_awaits", to=100_000_000) as chat:
        assert await anext(chat) == "0 "
        left = time.monotonic()
    assert time.monotonic() - left < 1
    trials.until(lambda: trials.state()["running"] == 0, within=1)
    async with talking(kind, trials, "speak", seconds=0.2) as chat:
        await chat.send("a")
        assert await anext(chat) == b"a"
    trials.until(lambda: trials.state()["running"] == 0, within=1)


@both
async def test_who_sends_more_than_is_listened_to_waits_and_then_is_told(trials: Served, kind: str) -> None:
    async with talking(kind, trials, "speak", {"timeout": Timeout(gap=0.3)}, seconds=1.0) as chat:
        began = time.monotonic()
        with pytest.raises(ItemTimeout, match=r"took nothing of what is sent for 0\.3 s"):
            await _say_for_ever(chat)
        assert time.monotonic() - began < 5


def test_a_program_that_does_not_close_its_client_ends_nevertheless(trials: Served) -> None:
    program = f"""
from headrace.client import Client
conversation = Client("http://127.0.0.1:{trials.port}").connect("parrot").__enter__()
conversation.send("a")
print(next(conversation))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.stdout, done.returncode) == ("a\n", 0)


def test_a_client_that_is_closed_takes_its_conversations_along(trials: Served) -> None:
    client = Client(f"http://127.0.0.1:{trials.port}")
    with client.connect("parrot") as conversation:
        client.close()
        with pytest.raises((ConnectionFailed, StreamTruncated)):
            next(conversation)
        with pytest.raises((ConnectionFailed, StreamTruncated)):
            conversation.send("x")
    with pytest.raises(RuntimeError, match="this client is closed"):
        client.connect("parrot")
