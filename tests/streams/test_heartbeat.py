import asyncio
from typing import Any

from headrace.streams.heartbeat import Heartbeat
from headrace.streams.holding import HoldingOutlet
from headrace.streams.joining import JoiningOutlet, Window


def test_a_silent_stream_beats_once_per_interval(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        Heartbeat(JoiningOutlet(peer, Window()), b"~", 15.0)
        await asyncio.sleep(14.9)
        assert peer.got == ""
        await asyncio.sleep(0.2)
        assert peer.got == "~"
        await asyncio.sleep(15.1)
        assert peer.got == "~~"

    jump(main)


def test_a_write_puts_the_next_beat_off(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        Heartbeat(outlet, b"~", 15.0)
        await asyncio.sleep(10)
        waiting = outlet.put(b"a")
        assert waiting is not None
        await waiting
        await asyncio.sleep(14.9)
        assert peer.got == "a"
        await asyncio.sleep(0.2)
        assert peer.got == "a~"

    jump(main)


def test_a_busy_stream_never_beats(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        Heartbeat(outlet, b"~", 15.0)
        for _ in range(50):
            waiting = outlet.put(b"a")
            if waiting is not None:
                await waiting
            await asyncio.sleep(4)
        assert peer.got == "a" * 50

    jump(main)


def test_a_peer_that_does_not_read_gathers_no_beats(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        peer.block()
        outlet = JoiningOutlet(peer, Window())
        Heartbeat(outlet, b"~", 15.0)
        await asyncio.sleep(1000)
        peer.release()
        await outlet.flush()
        assert peer.got == "~"

    jump(main)


def test_after_stop_there_is_no_beat(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        heartbeat = Heartbeat(JoiningOutlet(peer, Window()), b"~", 15.0)
        await asyncio.sleep(14)
        heartbeat.stop()
        await asyncio.sleep(100)
        assert peer.got == ""

    jump(main)


def test_an_answer_that_waits_for_its_end_is_not_broken_by_beats(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = HoldingOutlet(peer, limit=100)
        heartbeat = Heartbeat(outlet, b"~", 15.0)
        outlet.put(b"a")
        await asyncio.sleep(100)
        heartbeat.stop()
        await outlet.finish(b".")
        assert peer.got == "a."

    jump(main)


def test_behind_its_block_there_is_no_beat(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        with Heartbeat(JoiningOutlet(peer, Window()), b"~", 15.0):
            await asyncio.sleep(16)
        await asyncio.sleep(100)
        assert peer.got == "~"

    jump(main)
