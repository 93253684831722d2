import tracemalloc
from typing import Any

import pytest

from headrace.errors import AnswerTooLarge
from headrace.streams.holding import HoldingOutlet
from headrace.streams.joining import JoiningOutlet


async def take(outlet: JoiningOutlet, *records: bytes) -> None:
    for record in records:
        waiting = outlet.put(record)
        if waiting is not None:
            await waiting


async def test_a_gathered_answer_leaves_at_the_end_in_one_write(new_peer: Any) -> None:
    peer = new_peer()
    outlet = HoldingOutlet(peer, limit=100)
    outlet.put(b"a")
    outlet.put_all([b"b", b"", b"c"])
    await outlet.flush()
    outlet.beat(b"~")
    assert (peer.writes, outlet.writing, outlet.torn) == ([], False, False)
    await outlet.finish(b".")
    assert (peer.writes, peer.finished) == ([b"abc."], 1)


async def test_a_gathered_answer_has_a_limit(new_peer: Any) -> None:
    outlet = HoldingOutlet(new_peer(), limit=3)
    outlet.put(b"abc")
    with pytest.raises(AnswerTooLarge, match="passed 3 bytes"):
        outlet.put(b"d")


async def test_a_gathered_answer_takes_about_the_memory_of_its_bytes(new_peer: Any) -> None:
    outlet = HoldingOutlet(new_peer(), limit=1_000_000)
    tracemalloc.start()
    try:
        for number in range(100_000):
            outlet.put(b"%03d" % (number % 1000))
            outlet.put(b"")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000
