import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from headrace.errors import ClientGone
from headrace.server.passage import Passage

WITHIN = 5.0
HEAD = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body", "body": b"one", "more_body": True}


class Peer:
    """Takes messages when it is told to; `gone` makes it raise."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.asked = asyncio.Event()
        self.gone = False

    async def take(self, message: Mapping[str, Any]) -> None:
        self.asked.set()
        await self.reading.wait()
        if self.gone:
            raise ClientGone
        self.taken.append(message)


@pytest.fixture
async def peer() -> Peer:
    return Peer()


async def test_a_head_waits_for_the_body(peer: Peer) -> None:
    passage = Passage(peer.take)
    passage.hold(HEAD)
    assert peer.taken == []
    await passage.put_message(BODY, item=True)
    await passage.put_message(BODY, item=True)
    assert peer.taken == [HEAD, BODY, BODY]


async def test_a_beat_sends_the_head_alone_and_once(peer: Peer) -> None:
    passage = Passage(peer.take)
    passage.hold(HEAD)
    passage.beat(b"")
    passage.beat(b"")
    async with asyncio.timeout(WITHIN):
        await peer.asked.wait()
        while not peer.taken:
            await asyncio.sleep(0)
    await passage.put_message(BODY, item=True)
    assert peer.taken == [HEAD, BODY]


async def test_a_beat_without_a_head_sends_nothing(peer: Peer) -> None:
    passage = Passage(peer.take)
    passage.beat(b"")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_head_stays_before_the_body_for_a_peer_that_takes_it_slowly() -> None:
    taken: list[Any] = []
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def take(message: Mapping[str, Any]) -> None:
        if message is HEAD:
            asked.set()
            await go_on.wait()
        taken.append(message)

    passage = Passage(take)
    passage.hold(HEAD)
    passage.beat(b"")
    async with asyncio.timeout(WITHIN):
        await asked.wait()
        put = asyncio.create_task(passage.put_message(BODY, item=True))
        await asyncio.sleep(0)
        go_on.set()
        await put
    assert taken == [HEAD, BODY]


async def test_a_head_that_was_dropped_is_not_sent(peer: Peer) -> None:
    passage = Passage(peer.take)
    passage.hold(HEAD)
    passage.drop()
    passage.beat(b"")
    await asyncio.sleep(0)
    assert peer.taken == []


async def test_a_peer_that_is_gone_at_the_beat_is_told(peer: Peer) -> None:
    peer.gone = True
    passage, told = Passage(peer.take), asyncio.get_running_loop().create_future()
    passage.on_failure = told.set_result
    passage.hold(HEAD)
    passage.beat(b"")
    async with asyncio.timeout(WITHIN):
        assert isinstance(await told, ClientGone)
    assert passage.torn


async def test_a_write_is_under_way_until_the_peer_takes_it(peer: Peer) -> None:
    peer.reading.clear()
    passage = Passage(peer.take)
    put = asyncio.create_task(passage.put_message(BODY, item=True))
    async with asyncio.timeout(WITHIN):
        await peer.asked.wait()
        assert passage.writing
        assert passage.paused
        written = passage.written()
        peer.reading.set()
        await written
        await put
    assert not passage.writing
    assert not passage.torn


async def test_a_write_that_breaks_off_tears(peer: Peer) -> None:
    peer.gone = True
    passage = Passage(peer.take)
    with pytest.raises(ClientGone):
        await passage.put_message(BODY, item=True)
    assert passage.torn
    assert not passage.writing


async def test_only_the_silence_between_items_is_measured(peer: Peer) -> None:
    passage = Passage(peer.take)
    await passage.put_message(HEAD, item=False)
    await passage.put_message(BODY, item=True)
    assert passage.largest_gap is None
    await passage.put_message(HEAD, item=False)
    assert passage.largest_gap is None
    await passage.put_message(BODY, item=True)
    assert passage.largest_gap is not None
    assert 0 <= passage.largest_gap < WITHIN
