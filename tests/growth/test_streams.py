"""What a stream and its items cost does not depend on how many others there are: running, silent, waiting, leaving."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from in_memory import Server

from growth import flat
from headrace.batching import Slots, batch, continuous_batch
from headrace.services.decorators import endpoint, service
from headrace.services.dependencies import Handle, depends
from headrace.streams.limits import Places
from headrace.testing.handles import connect
from headrace.testing.server import serving

STREAMS = (5, 20, 80)
FEW_STREAMS = (4, 12, 36)
MEMBERS = (20, 80, 320)
ITEMS = 8


@service
class Source:
    """Makes a few items, in every way there is."""

    def __init__(self) -> None:
        self.waits = 0
        self.begun = asyncio.Event()

    @endpoint
    async def plain(self, count: int = ITEMS) -> AsyncIterator[str]:
        for _ in range(count):
            yield "item"

    @endpoint
    async def polite(self, count: int = ITEMS) -> AsyncIterator[str]:
        for _ in range(count):
            await asyncio.sleep(0)
            yield "item"

    @endpoint
    async def paced(self, count: int = ITEMS) -> AsyncIterator[str]:
        for _ in range(count):
            await asyncio.sleep(0.05)  # of the loop's own clock
            yield "item"

    @endpoint
    def threaded(self, count: int = ITEMS) -> Iterator[str]:
        for _ in range(count):
            yield "item"

    @endpoint
    async def silent(self) -> AsyncIterator[str]:
        self.waits += 1
        self.begun.set()
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            self.waits -= 1


class Model:
    """Makes a few items for each of its callers, together."""

    @batch(max_batch_size=1000)
    async def upper(self, texts: list[str]) -> list[str]:
        return [text.upper() for text in texts]

    @batch(max_batch_size=4)
    async def upper_in_turn(self, texts: list[str]) -> list[str]:
        return [text.upper() for text in texts]

    @batch(max_batch_size=1000)
    async def together(self, texts: list[str]) -> AsyncIterator[list[str]]:
        for _ in range(ITEMS):
            yield texts

    @continuous_batch(max_batch_size=1000, linger_s=0)
    async def decode(self, slots: Slots[str, str]) -> AsyncIterator[None]:
        while True:
            step(slots)
            yield

    @continuous_batch(max_batch_size=4, linger_s=0)
    async def decode_in_turn(self, slots: Slots[str, str]) -> AsyncIterator[None]:
        while True:
            step(slots)
            yield


def step(slots: Slots[str, str]) -> None:
    for slot in slots:
        slot.send(slot.request)
        slot.state = (slot.state or 0) + 1
        if slot.state == ITEMS:
            slot.finish()


@service
class Relay:
    """Reads many streams of another service at once."""

    source: Handle[Source] = depends(Source)

    @endpoint
    async def joined(self, streams: int) -> AsyncIterator[str]:
        calls = [self.source.polite() for _ in range(streams)]
        for call in calls:
            async for item in call:
                yield item


# -- that run


@pytest.mark.parametrize("accept", ["text/plain", "ws"])
@pytest.mark.parametrize("path", ["/polite", "/paced"])
def test_an_item_costs_the_same_beside_any_number_of_streams(path: str, accept: str) -> None:
    async def stream(streams: int, counting: Any) -> None:
        async with Server(Source) as running:
            with counting():
                await running.read(*(running.ask(path, accept, count=ITEMS) for _ in range(streams)))
            assert running.items == streams * ITEMS

    flat(stream, STREAMS)


@pytest.mark.parametrize("function", ["together", "decode", "decode_in_turn"])
def test_an_item_of_a_member_costs_the_same_in_a_batch_of_any_size(function: str) -> None:
    async def read(call: Any) -> int:
        return len([item async for item in call])

    async def run(members: int, counting: Any) -> None:
        call = getattr(Model(), function)
        with counting():
            assert sum(await asyncio.gather(*(read(call("item")) for _ in range(members)))) == members * ITEMS

    flat(run, MEMBERS)


@pytest.mark.parametrize("function", ["upper", "upper_in_turn"])
def test_an_answer_costs_the_same_in_a_batch_of_any_size(function: str) -> None:
    async def run(members: int, counting: Any) -> None:
        call = getattr(Model(), function)
        with counting():
            assert await asyncio.gather(*(call("item") for _ in range(members))) == ["ITEM"] * members

    flat(run, MEMBERS)


def test_an_item_of_a_thread_costs_the_same_beside_any_number_of_threads() -> None:
    async def stream(streams: int, counting: Any) -> None:
        async with Server(Source) as running:
            with counting():
                await running.read(*(running.ask("/threaded") for _ in range(streams)))
            assert running.items == streams * ITEMS

    flat(stream, FEW_STREAMS, threads=True)


def test_a_call_costs_the_same_however_many_its_caller_makes() -> None:
    async def stream(streams: int, counting: Any) -> None:
        async with Server(Relay) as running:
            with counting():
                await running.read(running.ask("/joined", streams=streams))
            assert running.items == 2 * streams * ITEMS

    flat(stream, STREAMS)


def test_a_client_reads_a_stream_at_the_same_cost_beside_any_number() -> None:
    async def read(streams: int, counting: Any) -> None:
        async with serving(Source) as client:

            async def one() -> None:
                async with client.stream("polite") as stream:
                    assert len([item async for item in stream]) == ITEMS

            with counting():
                await asyncio.gather(*(one() for _ in range(streams)))

    flat(read, FEW_STREAMS)


# -- that do nothing


def test_an_item_costs_the_same_beside_any_number_of_silent_streams() -> None:
    async def stream(streams: int, counting: Any) -> None:
        async with Server(Source) as running:
            silent = await begun(running, streams)
            with counting():
                await running.read(running.ask("/polite", count=streams))
            leave(silent)

    flat(stream, STREAMS)


# -- that wait


def test_a_stream_waits_its_turn_at_the_same_cost_behind_any_number() -> None:
    async def stream(streams: int, counting: Any) -> None:
        async with Server(Source, max_concurrency=2) as running:
            with counting():
                await running.read(*(running.ask("/polite", count=1) for _ in range(streams)))
            assert running.ended == streams

    flat(stream, STREAMS)


def test_who_leaves_the_queue_costs_the_same_however_many_wait() -> None:
    async def leave_all(waiting: int, counting: Any) -> None:
        places = Places(1, waiting)
        held = places.ask()
        turns = [places.ask() for _ in range(waiting)]
        with counting():
            for turn in reversed(turns):
                turn.cancel()
                places.give_back(turn)
        assert (places.running, places.waiting) == (1, 0)
        places.give_back(held)

    flat(leave_all, MEMBERS)


def test_a_refusal_costs_the_same_however_many_wait() -> None:
    async def stream(streams: int, counting: Any) -> None:
        async with Server(Source, max_concurrency=1, max_queue=streams) as running:
            silent = await begun(running, 1)
            peers = [running.ask("/polite") for _ in range(streams)]
            await until(lambda: running.application.runtime.places.waiting == streams)
            with counting():
                refused = [running.ask("/polite") for _ in range(streams)]
                for peer in refused:
                    await peer.closed.wait()
                    assert peer.head[9:12] == b"503"
            leave([*peers, *silent])

    flat(stream, STREAMS)


# -- that are left


def test_a_client_leaves_at_the_same_cost_beside_any_number_of_streams() -> None:
    async def stream(streams: int, counting: Any) -> None:
        async with Server(Source) as running:
            silent = await begun(running, streams)
            with counting():
                leave(silent)
                await until(lambda: not running.application.runtime.live)

    flat(stream, STREAMS)


def test_a_call_is_left_at_the_same_cost_however_many_there_are() -> None:
    async def read(calls: int, counting: Any) -> None:
        async with connect(Source) as source:
            silent: Any = [source.silent() for _ in range(calls)]
            for _ in range(8):
                await asyncio.sleep(0)
            with counting():
                await asyncio.gather(*(call.aclose() for call in silent))

    flat(read, STREAMS)


async def begun(running: Any, streams: int) -> list[Any]:
    """The connections of so many streams that make nothing, and are under way."""
    peers = [running.ask("/silent") for _ in range(streams)]
    source = running.application.runtime.instance
    await until(lambda: source.waits == streams)
    return peers


def leave(peers: list[Any]) -> None:
    for peer in peers:
        peer.protocol.connection_lost(ConnectionResetError())


async def until(holds: Any) -> None:
    """Lets the others run until something holds."""
    async with asyncio.timeout(100):
        while not holds():
            await asyncio.sleep(0)
