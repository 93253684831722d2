"""The client's messages: in order, ahead within a bound, and the moment the client leaves."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from headrace.errors import ClientGone, RequestTimeout
from headrace.server.messages import AHEAD, AHEAD_MESSAGES, Messages


class Script:
    """A `receive` that plays events, and then waits for ever."""

    def __init__(self, events: Iterable[Any]) -> None:
        self.events = list(events)
        self.asked = 0
        self.idle = asyncio.Event()
        self.more = asyncio.Event()

    def play(self, event: Any) -> None:
        self.events.append(event)
        self.more.set()

    async def __call__(self) -> Any:
        self.asked += 1
        while not self.events:
            self.idle.set()
            self.more.clear()
            await self.more.wait()
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        return event


def said(*messages: str | bytes) -> list[dict[str, Any]]:
    return [{"type": "websocket.receive", "text" if isinstance(each, str) else "bytes": each} for each in messages]


DISCONNECT = {"type": "websocket.disconnect", "code": 1005}


async def stands_still(script: Script) -> int:
    """How often it was asked, once nobody asks any more."""
    asked = -1
    while asked != script.asked:
        asked = script.asked
        for _ in range(10):
            await asyncio.sleep(0)
    return asked


async def test_messages_come_as_they_came() -> None:
    messages = Messages(Script(said("a", b"b", "", b"")))
    assert [await messages.take() for _ in range(4)] == ["a", b"b", "", b""]
    messages.close()


async def test_servers_may_name_both_kinds_in_a_message() -> None:
    events = [
        {"type": "websocket.receive", "text": "a", "bytes": None},
        {"type": "websocket.receive", "text": None, "bytes": b"b"},
    ]
    messages = Messages(Script(events))
    assert [await messages.take() for _ in range(2)] == ["a", b"b"]
    messages.close()


async def test_a_message_that_comes_later_is_waited_for() -> None:
    script = Script([])
    messages = Messages(script)
    taken = asyncio.ensure_future(messages.take())
    await script.idle.wait()
    assert not taken.done()
    script.play(said("late")[0])
    async with asyncio.timeout(5):
        assert await taken == "late"
    messages.close()


async def test_one_that_does_not_come_in_time_is_a_timeout() -> None:
    messages = Messages(Script([]))
    with pytest.raises(RequestTimeout, match=r"no message came for 0\.01 s"):
        await messages.take(0.01)
    messages.close()


async def test_what_was_said_before_leaving_can_still_be_taken() -> None:
    messages = Messages(Script([*said("a", "b"), DISCONNECT]))
    assert [await messages.take(), await messages.take()] == ["a", "b"]
    with pytest.raises(ClientGone):
        await messages.take()


async def test_a_client_that_leaves_is_told_while_nobody_takes_anything() -> None:
    script, gone = Script(said("a")), asyncio.Event()
    messages = Messages(script)
    messages.watch(gone.set)
    await script.idle.wait()
    assert not gone.is_set()
    script.play(DISCONNECT)
    async with asyncio.timeout(5):
        await gone.wait()


async def test_a_client_that_has_left_before_is_told_at_once() -> None:
    messages = Messages(Script([DISCONNECT]))
    with pytest.raises(ClientGone):
        await messages.take()
    calls: list[None] = []
    messages.watch(lambda: calls.append(None))
    assert calls == [None]


async def test_a_server_that_fails_is_a_client_that_left(caplog: pytest.LogCaptureFixture) -> None:
    messages = Messages(Script([RuntimeError("broken")]))
    with pytest.raises(ClientGone):
        await messages.take()
    assert "receive() failed; the client is taken for gone: RuntimeError('broken')" in caplog.text


@pytest.mark.parametrize(("message", "ahead"), [("x", AHEAD_MESSAGES), ("", AHEAD_MESSAGES), ("x" * AHEAD, 1)])
async def test_reading_ahead_has_a_bound_in_messages_and_in_bytes(message: str, ahead: int) -> None:
    script = Script(said(*[message] * (ahead + 50)))
    messages = Messages(script)
    assert await stands_still(script) == ahead
    assert await messages.take() == message
    assert await stands_still(script) == ahead + 1
    messages.close()


async def test_who_takes_gets_everything_past_the_bound_in_order() -> None:
    texts = [str(n) for n in range(3 * AHEAD_MESSAGES)]
    messages = Messages(Script(said(*texts)))
    assert [await messages.take() for _ in texts] == texts
    messages.close()


async def test_a_lost_connection_is_noticed_although_nothing_more_is_read() -> None:
    script, gone = Script(said(*["x"] * (AHEAD_MESSAGES + 1))), asyncio.Event()
    messages = Messages(script)
    messages.watch(gone.set)
    await stands_still(script)
    messages.leave()
    async with asyncio.timeout(5):
        await gone.wait()


async def test_a_message_after_the_last_one_is_surplus() -> None:
    script, told = Script(said("a")), asyncio.Event()
    messages = Messages(script)
    await messages.take()
    messages.end()
    messages.watch(told.set)
    await script.idle.wait()
    assert not messages.surplus
    script.play(said("b")[0])
    async with asyncio.timeout(5):
        await told.wait()
    assert messages.surplus
    messages.close()


async def test_a_surplus_message_that_was_there_before_is_told_to_who_asks() -> None:
    script, calls = Script(said("a", "b")), list[None]()
    messages = Messages(script)
    await script.idle.wait()
    await messages.take()
    messages.end()
    messages.watch(lambda: calls.append(None))
    assert (messages.surplus, calls) == (True, [None])
    messages.close()


async def test_a_second_watcher_replaces_the_first() -> None:
    script, first, second = Script([]), asyncio.Event(), asyncio.Event()
    messages = Messages(script)
    messages.watch(first.set)
    messages.watch(second.set)
    script.play(DISCONNECT)
    async with asyncio.timeout(5):
        await second.wait()
    assert not first.is_set()


async def test_after_closing_nobody_is_told_and_who_waits_is_let_go() -> None:
    script, told = Script([]), asyncio.Event()
    messages = Messages(script)
    messages.watch(told.set)
    waiting = asyncio.ensure_future(messages.take())
    await script.idle.wait()
    messages.close()
    with pytest.raises(ClientGone):
        await waiting
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not told.is_set()
