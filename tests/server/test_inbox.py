"""The receiving side: the body in pieces, reading ahead within a bound, and the moment the client leaves."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from headrace.errors import BodyTooLarge, ClientGone, RequestTimeout
from headrace.server.inbox import AHEAD, Inbox


class Script:
    """A `receive` that plays messages, and then waits for ever."""

    def __init__(self, messages: Iterable[Any]) -> None:
        self.messages = list(messages)
        self.asked = 0
        self.idle = asyncio.Event()

    async def __call__(self) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.messages:
            self.idle.set()
            await asyncio.Event().wait()
        message = self.messages.pop(0)
        if isinstance(message, Exception):
            raise message
        return message


def body(*pieces: bytes, more: bool = False) -> list[dict[str, Any]]:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages[-1]["more_body"] = more
    return messages


DISCONNECT = {"type": "http.disconnect"}


async def test_the_body_is_its_pieces_together() -> None:
    assert await Inbox(Script(body(b"ab", b"", b"c"))).body(100) == b"abc"


async def test_a_message_without_members_is_an_empty_body() -> None:
    assert await Inbox(Script([{"type": "http.request"}])).body(100) == b""


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    assert await Inbox(Script(body(b"ab", b"c"))).body(3) == b"abc"


async def test_a_body_over_the_limit_is_refused_and_not_read_on() -> None:
    script = Script(body(b"ab", b"cd", b"ef"))
    with pytest.raises(BodyTooLarge, match="larger than 3 bytes"):
        await Inbox(script).body(3)
    assert script.asked == 2


async def test_a_client_that_leaves_within_its_body_is_gone() -> None:
    inbox = Inbox(Script([*body(b"ab", more=True), DISCONNECT]))
    with pytest.raises(ClientGone):
        await inbox.body(100)
    assert inbox.gone


async def test_chunks_come_as_they_arrive() -> None:
    assert [chunk async for chunk in Inbox(Script(body(b"ab", b"", b"c"))).chunks()] == [b"ab", b"c"]


async def test_who_watches_is_called_when_the_client_leaves() -> None:
    gone = asyncio.Event()
    inbox = Inbox(Script([*body(b"ab"), DISCONNECT]))
    inbox.watch(gone.set)
    await gone.wait()
    assert await inbox.body(100) == b"ab"


async def test_who_watches_a_client_that_has_left_is_called_at_once() -> None:
    inbox = Inbox(Script([DISCONNECT]))
    with pytest.raises(ClientGone):
        await inbox.body(100)
    calls = []
    inbox.watch(lambda: calls.append("gone"))
    assert calls == ["gone"]


async def test_the_second_to_watch_takes_the_place_of_the_first() -> None:
    first, second = asyncio.Event(), asyncio.Event()
    inbox = Inbox(Script([*body(b""), DISCONNECT]))
    inbox.watch(first.set)
    inbox.watch(second.set)
    await second.wait()
    assert not first.is_set()


async def test_a_body_is_read_ahead_only_so_far() -> None:
    script = Script(body(*[b"x" * 1024] * 1000))
    inbox = Inbox(script)
    inbox.watch(lambda: None)
    for _ in range(5000):
        await asyncio.sleep(0)
    assert script.asked == AHEAD // 1024
    assert len(await inbox.body(10**7)) == 1_024_000
    inbox.close()


async def test_chunks_that_are_awaited_while_watching_come_as_they_arrive() -> None:
    script = Script(body(b"a", b"b", b"c"))
    inbox = Inbox(script)
    inbox.watch(lambda: None)
    assert [chunk async for chunk in inbox.chunks()] == [b"a", b"b", b"c"]
    inbox.close()


async def test_a_receive_that_raises_is_a_client_that_left(caplog: pytest.LogCaptureFixture) -> None:
    gone = asyncio.Event()
    inbox = Inbox(Script([RuntimeError("broken")]))
    inbox.watch(gone.set)
    await gone.wait()
    with pytest.raises(ClientGone):
        await inbox.body(100)
    assert caplog.messages == ["receive() failed; the client is taken for gone: RuntimeError('broken')"]


async def test_a_server_that_repeats_itself_after_the_body_is_not_asked_for_ever() -> None:
    async def receive() -> Any:  # returns at once, every time: a loop around it would never yield
        return {"type": "http.request", "body": b"", "more_body": False}

    gone = asyncio.Event()
    inbox = Inbox(receive)
    inbox.watch(gone.set)
    await gone.wait()
    assert await inbox.body(100) == b""


async def test_closing_leaves_no_task_and_calls_nobody() -> None:
    calls: list[str] = []
    script = Script(body(b"ab", more=True))
    inbox = Inbox(script)
    inbox.watch(lambda: calls.append("gone"))
    await script.idle.wait()
    inbox.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert calls == []


async def test_who_waits_for_the_body_when_it_closes_is_told() -> None:
    script = Script(body(b"ab", more=True))
    inbox = Inbox(script)
    inbox.watch(lambda: None)
    reader = asyncio.create_task(inbox.body(100))
    await script.idle.wait()
    inbox.close()
    with pytest.raises(ClientGone):
        await reader


async def test_a_body_that_stops_is_refused_after_the_patience() -> None:
    inbox = Inbox(Script(body(b"ab", more=True)), patience=0.01)
    with pytest.raises(RequestTimeout, match=r"nothing of the body came for 0\.01 s"):
        await inbox.body(100)


async def test_a_streamed_body_that_stops_is_refused_after_the_items_before() -> None:
    inbox = Inbox(Script(body(b"ab", more=True)), patience=0.01)
    inbox.watch(lambda: None)
    chunks = inbox.chunks()
    assert await anext(chunks) == b"ab"
    with pytest.raises(RequestTimeout):
        await anext(chunks)
    inbox.close()


# -- our own server


class Server:
    """A connection of ours, as an inbox sees it."""

    def __init__(self, whole: bytes | None, *, there: bool = True) -> None:
        self.whole = whole
        self.there = there
        self.on_gone: Callable[[], None] | None = None

    def take_body(self, receive: Any) -> bytes | None:
        return self.whole

    def call_when_gone(self, receive: Any, on_gone: Callable[[], None]) -> bool:
        self.on_gone = on_gone if self.there else None
        return self.there


def inbox_of(script: Script, server: Any) -> Inbox:
    return Inbox(script, 30.0, server)


async def test_a_body_that_the_server_has_needs_no_receive() -> None:
    script = Script([])
    inbox = inbox_of(script, Server(b"abc"))
    assert await inbox.body(3) == b"abc"
    assert [chunk async for chunk in inbox.chunks()] == []
    assert script.asked == 0


async def test_an_empty_body_that_the_server_has_needs_no_receive() -> None:
    script = Script([])
    assert await inbox_of(script, Server(b"")).body(3) == b""
    assert script.asked == 0


async def test_a_body_that_the_server_has_is_bounded_too() -> None:
    with pytest.raises(BodyTooLarge, match="larger than 2 bytes"):
        await inbox_of(Script([]), Server(b"abc")).body(2)


async def test_a_body_that_the_server_has_not_yet_is_received() -> None:
    assert await inbox_of(Script(body(b"ab", b"c")), Server(None)).body(3) == b"abc"


async def test_the_server_itself_tells_that_the_client_leaves() -> None:
    calls: list[str] = []
    server = Server(b"abc")
    inbox = inbox_of(Script([]), server)
    inbox.watch(lambda: calls.append("first"))
    inbox.watch(lambda: calls.append("second"))
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert server.on_gone is not None
    server.on_gone()
    assert (calls, inbox.gone) == (["second"], True)
    assert await inbox.body(3) == b"abc"


async def test_a_body_that_is_still_to_come_is_read_ahead_while_watching() -> None:
    gone = asyncio.Event()
    inbox = inbox_of(Script([*body(b"ab", b"c"), DISCONNECT]), Server(None))
    inbox.watch(gone.set)
    await gone.wait()
    assert await inbox.body(3) == b"abc"


async def test_a_body_that_is_being_received_is_not_taken_besides() -> None:
    server = Server(None)
    inbox = inbox_of(Script(body(b"ab", b"c")), server)
    inbox.watch(lambda: None)
    server.whole = b"twice"
    assert await inbox.body(10) == b"abc"
    inbox.close()


async def test_a_client_that_the_server_can_no_longer_watch_is_watched_by_receive() -> None:
    gone = asyncio.Event()
    script = Script([DISCONNECT])
    inbox = inbox_of(script, Server(b"abc", there=False))
    inbox.watch(gone.set)
    await gone.wait()
    assert script.asked == 1


async def test_after_closing_the_server_tells_nobody() -> None:
    calls: list[str] = []
    server = Server(b"")
    inbox = inbox_of(Script([]), server)
    inbox.watch(lambda: calls.append("gone"))
    inbox.close()
    assert server.on_gone is not None
    server.on_gone()
    assert calls == []


async def test_an_inbox_that_was_closed_is_freed_at_once() -> None:
    script = Script([])
    inbox = Inbox(script)
    inbox.watch(lambda: None)
    await script.idle.wait()
    inbox.close()
    freed = weakref.ref(inbox)
    gc.disable()
    try:
        del inbox
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert freed() is None
    finally:
        gc.enable()
