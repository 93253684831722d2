"""Items reach a function in place; the task that pours them rests until there is something to await."""

import asyncio
import contextvars
import gc
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from headrace.batching.mailbox import AHEAD, Mailbox
from headrace.batching.pouring import Pouring

WITHIN = 5.0


class Taking:
    """A function that takes items, and after each of `full` has to be waited for."""

    def __init__(self, *full: str) -> None:
        self.got: list[str] = []
        self._full = full
        self.room = asyncio.Event()

    def __call__(self, item: str) -> Awaitable[None] | None:
        if item == "bad":
            raise ValueError("bad")
        self.got.append(item)
        return self._drain() if item in self._full else None

    async def _drain(self) -> None:
        await self.room.wait()


@pytest.fixture
def stirred() -> list[str]:
    return []


@pytest.fixture
def mailbox(stirred: list[str]) -> Mailbox[Any]:
    return Mailbox(lambda: stirred.append("stirred"))


def put(mailbox: Mailbox[Any], *items: str) -> None:
    mailbox.items += items
    mailbox.wake()


async def poured(mailbox: Mailbox[Any], take: Callable[[Any], Awaitable[None] | None]) -> asyncio.Task[None]:
    """The task that pours, at rest."""
    task = asyncio.create_task(Pouring(mailbox, take).run())
    await asyncio.sleep(0)
    return task


async def through(task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(WITHIN):
        await task


async def test_items_are_taken_in_place(mailbox: Mailbox[Any]) -> None:
    take = Taking()
    mailbox.items.append("before")
    task = await poured(mailbox, take)
    put(mailbox, "a", "b")
    assert take.got == ["before", "a", "b"]
    put(mailbox, "c")
    mailbox.end(None)
    assert take.got == ["before", "a", "b", "c"]
    await through(task)


async def test_of_a_mailbox_that_has_ended_the_rest_is_taken(mailbox: Mailbox[Any]) -> None:
    take = Taking()
    mailbox.items += ["a", "b"]
    mailbox.end(ValueError("for the reader to raise"))
    await through(asyncio.create_task(Pouring(mailbox, take).run()))
    assert take.got == ["a", "b"]


async def test_a_function_that_is_full_is_awaited_before_it_gets_more(mailbox: Mailbox[Any]) -> None:
    take = Taking("b")
    task = await poured(mailbox, take)
    put(mailbox, "a", "b", "c")
    put(mailbox, "d")
    for _ in range(5):
        await asyncio.sleep(0)
    assert take.got == ["a", "b"]
    assert [*mailbox.items] == ["c", "d"]
    take.room.set()
    while mailbox.items:
        await asyncio.sleep(0)
    put(mailbox, "e")
    assert take.got == ["a", "b", "c", "d", "e"]
    mailbox.end(None)
    await through(task)


async def test_an_end_behind_items_that_wait_does_not_lose_them(mailbox: Mailbox[Any]) -> None:
    take = Taking("a", "b")
    task = await poured(mailbox, take)
    put(mailbox, "a", "b", "c")
    mailbox.end(None)
    take.room.set()
    await through(task)
    assert take.got == ["a", "b", "c"]


async def test_what_the_function_raises_ends_the_pouring_and_not_the_one_who_puts(mailbox: Mailbox[Any]) -> None:
    take = Taking()
    task = await poured(mailbox, take)
    put(mailbox, "a", "bad", "b")
    with pytest.raises(ValueError, match="bad"):
        await through(task)
    put(mailbox, "c")
    assert take.got == ["a"]


async def test_a_mailbox_that_was_left_is_poured_no_more(mailbox: Mailbox[Any]) -> None:
    take = Taking()
    task = await poured(mailbox, take)
    mailbox.leave()
    put(mailbox, "a")
    await through(task)
    assert take.got == []


async def test_a_function_that_leaves_gets_nothing_more(mailbox: Mailbox[Any]) -> None:
    got: list[str] = []

    def take(item: str) -> None:
        got.append(item)
        mailbox.leave()

    task = await poured(mailbox, take)
    put(mailbox, "a", "b")
    await through(task)
    assert got == ["a"]


async def test_a_pouring_that_is_cancelled_takes_no_more(mailbox: Mailbox[Any]) -> None:
    take = Taking()
    task = await poured(mailbox, take)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await through(task)
    put(mailbox, "a")
    assert take.got == []


async def test_what_was_to_be_awaited_when_it_was_cancelled_is_closed(mailbox: Mailbox[Any]) -> None:
    take = Taking("a")
    task = await poured(mailbox, take)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        put(mailbox, "a")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await through(task)
        del task
        gc.collect()
    assert [str(each.message) for each in caught] == []
    assert take.got == ["a"]


async def test_a_mailbox_that_is_watched_hears_that_items_are_taken(mailbox: Mailbox[Any], stirred: list[str]) -> None:
    mailbox.items += ["x"] * AHEAD
    mailbox.watched = True
    task = await poured(mailbox, Taking())
    assert stirred == ["stirred"] * AHEAD
    mailbox.end(None)
    await through(task)


async def test_items_are_taken_in_the_context_of_the_one_who_pours(mailbox: Mailbox[Any]) -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")
    seen: list[str] = []

    async def pour() -> None:
        name.set("reader")
        await Pouring(mailbox, lambda _: seen.append(name.get())).run()

    task = asyncio.create_task(pour())
    await asyncio.sleep(0)
    put(mailbox, "a")
    mailbox.end(None)
    await through(task)
    assert seen == ["reader"]
