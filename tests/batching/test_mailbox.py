"""A mailbox tells the reader that something came, and the batch that the reader takes or left."""

import asyncio
from typing import Any

import pytest

from headrace.batching.mailbox import Mailbox


@pytest.fixture
def stirred() -> list[str]:
    return []


@pytest.fixture
def mailbox(stirred: list[str]) -> Mailbox[Any]:
    return Mailbox(lambda: stirred.append("stirred"))


def test_it_is_paused_from_256_items_on(mailbox: Mailbox[Any]) -> None:
    mailbox.items += range(255)
    assert not mailbox.paused
    mailbox.items.append(255)
    assert mailbox.paused


def test_leaving_is_told_once(mailbox: Mailbox[Any], stirred: list[str]) -> None:
    mailbox.leave()
    mailbox.leave()
    assert (mailbox.left, stirred) == (True, ["stirred"])


def test_leaving_after_the_end_is_told_to_nobody(mailbox: Mailbox[Any], stirred: list[str]) -> None:
    mailbox.end(None)
    mailbox.leave()
    mailbox.note()
    assert (mailbox.left, stirred) == (True, [])


def test_taking_is_told(mailbox: Mailbox[Any], stirred: list[str]) -> None:
    mailbox.note()
    mailbox.note()
    assert stirred == ["stirred", "stirred"]


async def test_a_reader_that_waits_is_woken(mailbox: Mailbox[Any]) -> None:
    waiting = asyncio.create_task(mailbox.news())
    await asyncio.sleep(0)
    assert not waiting.done()
    mailbox.wake()
    mailbox.wake()
    async with asyncio.timeout(5):
        await waiting


async def test_a_reader_that_waits_is_woken_by_the_end(mailbox: Mailbox[Any]) -> None:
    waiting = asyncio.create_task(mailbox.news())
    await asyncio.sleep(0)
    error = ValueError()
    mailbox.end(error)
    async with asyncio.timeout(5):
        await waiting
    assert (mailbox.ended, mailbox.error) == (True, error)


async def test_only_one_waits(mailbox: Mailbox[Any]) -> None:
    waiting = asyncio.create_task(mailbox.news())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task is reading this call already"):
        await mailbox.news()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    mailbox.wake()  # nobody waits
    again = asyncio.create_task(mailbox.news())
    await asyncio.sleep(0)
    mailbox.wake()
    async with asyncio.timeout(5):
        await again
