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
    waiting = mailbox.news()
    assert not waiting.done()
    mailbox.wake()
    mailbox.wake()
    async with asyncio.timeout(5):
        await waiting


async def test_a_reader_that_waits_is_woken_by_the_end(mailbox: Mailbox[Any]) -> None:
    waiting = mailbox.news()
    error = ValueError()
    mailbox.end(error)
    async with asyncio.timeout(5):
        await waiting
    assert (mailbox.ended, mailbox.error) == (True, error)


async def test_only_one_waits(mailbox: Mailbox[Any]) -> None:
    waiting = mailbox.news()
    with pytest.raises(RuntimeError, match="another task is reading this call already"):
        mailbox.news()
    waiting.cancel()
    mailbox.wake()  # nobody waits
    again = mailbox.news()
    mailbox.wake()
    async with asyncio.timeout(5):
        await again


async def test_what_is_attached_is_called_in_place_of_waking_a_reader(mailbox: Mailbox[Any]) -> None:
    pulled: list[int] = []
    mailbox.attach(lambda: pulled.append(len(mailbox.items)))
    mailbox.items.append("a")
    mailbox.wake()
    mailbox.end(None)
    mailbox.detach()
    mailbox.wake()
    assert pulled == [1, 1]


async def test_what_is_attached_is_alone(mailbox: Mailbox[Any]) -> None:
    waiting = mailbox.news()
    with pytest.raises(RuntimeError, match="another task is reading this call already"):
        mailbox.attach(print)
    waiting.cancel()
    mailbox.attach(print)
    with pytest.raises(RuntimeError, match="another task is reading this call already"):
        mailbox.attach(print)
    with pytest.raises(RuntimeError, match="another task is reading this call already"):
        mailbox.news()
