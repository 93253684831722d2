"""A peer that reads slowly stays; one that reads nothing does not."""

import asyncio
from collections.abc import Iterable, Iterator

import pytest

from headrace.server.progress import Progress


class Peer(asyncio.Transport):
    """A transport that knows how much its peer has not read, at each look; the last value stays."""

    def __init__(self, unread: Iterable[int]) -> None:
        super().__init__()
        self._unread: Iterator[int] = iter(unread)
        self._last = 0
        self.looks = 0
        self.looked = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        self.looks += 1
        self.looked.set()
        self._last = next(self._unread, self._last)
        return self._last


async def test_a_peer_that_takes_nothing_is_told_of_once() -> None:
    stalled, calls = asyncio.Event(), list[float]()
    loop = asyncio.get_running_loop()

    def told() -> None:
        calls.append(loop.time())
        stalled.set()

    progress, began = Progress(Peer([100]), 0.04), loop.time()
    progress.start(told)
    async with asyncio.timeout(5):
        await stalled.wait()
    assert calls[0] - began >= 0.04
    assert (len(calls), progress.watching) == (1, False)


@pytest.mark.parametrize("unread", [range(100, 80, -1), [100, 90, 95, 85, 95, 85, 95, 85, 95, 85, 95, 85]])
async def test_a_slow_and_steady_peer_stays(unread: Iterable[int]) -> None:
    calls: list[None] = []
    peer = Peer(unread)
    progress = Progress(peer, 0.04)
    progress.start(lambda: calls.append(None))
    async with asyncio.timeout(5):
        while peer.looks < 10:  # more than twice the time in which it would have been evicted
            peer.looked.clear()
            await peer.looked.wait()
    assert calls == []
    progress.stop()


async def test_a_peer_that_caught_up_is_no_longer_watched() -> None:
    calls: list[None] = []
    peer = Peer([100])
    progress = Progress(peer, 0.001)
    progress.start(lambda: calls.append(None))
    progress.stop()
    assert not progress.watching
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, later.set)
    await later.wait()
    assert (peer.looks, calls) == (1, [])


async def test_a_peer_that_stalls_after_it_took_some_is_told_of() -> None:
    stalled = asyncio.Event()
    progress = Progress(Peer([100, 90, 80]), 0.02)
    progress.start(stalled.set)
    async with asyncio.timeout(5):
        await stalled.wait()


async def test_who_starts_again_starts_anew() -> None:
    peer = Peer([100])
    progress = Progress(peer, 0.02)
    progress.start(lambda: None)
    progress.start(lambda: None)
    assert (progress.watching, peer.looks) == (True, 2)
    progress.stop()
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, later.set)
    await later.wait()
    assert (progress.watching, peer.looks) == (False, 2)
