import asyncio
import weakref
from typing import Any

import pytest

from headrace.errors import ClientGone
from headrace.streams.holding import HoldingOutlet
from headrace.streams.joining import NARROW, WIDE, WIDEST, JoiningOutlet, Window
from headrace.streams.outlet import HIGH_WATER


async def take(outlet: JoiningOutlet, *records: bytes) -> None:
    for record in records:
        waiting = outlet.put(record)
        if waiting is not None:
            await waiting


def test_the_first_record_of_an_idle_stream_is_written_in_place(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        waiting = JoiningOutlet(peer, Window()).put(b"a")
        assert waiting is not None
        await waiting
        assert peer.writes == [b"a"]

    jump(main)


def test_what_follows_in_the_window_leaves_in_one_write(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        await take(outlet, b"a", b"b", b"c")
        assert peer.writes == [b"a"]
        await asyncio.sleep(2 * WIDE)
        assert peer.writes == [b"a", b"bc"]

    jump(main)


def test_a_stream_that_was_idle_for_a_window_writes_at_once_again(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        await take(outlet, b"a")
        await asyncio.sleep(3 * WIDE)
        await take(outlet, b"b")
        assert peer.writes == [b"a", b"b"]

    jump(main)


def test_one_window_serves_all_outlets_of_a_loop(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        window, peers = Window(), [new_peer(), new_peer()]
        for peer in peers:
            await take(JoiningOutlet(peer, window), b"a", b"b")
        await asyncio.sleep(NARROW)
        await asyncio.sleep(0)
        assert [peer.writes for peer in peers] == [[b"a", b"b"], [b"a", b"b"]]

    jump(main)


def test_records_that_were_ready_together_leave_together(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        waiting = JoiningOutlet(peer, Window()).put_all([b"a", b"", b"b"])
        assert waiting is not None
        await waiting
        assert peer.writes == [b"ab"]

    jump(main)


def test_an_empty_record_is_no_record(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        assert JoiningOutlet(peer, Window()).put(b"") is None
        await asyncio.sleep(2 * WIDE)
        assert peer.writes == []

    jump(main)


@pytest.mark.parametrize("together", [False, True])
def test_at_high_water_the_generator_waits_for_the_peer(jump: Any, new_peer: Any, together: bool) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        await take(outlet, b"a")
        peer.block()
        half = b"x" * (HIGH_WATER // 2)
        assert outlet.put(half) is None
        waiting = outlet.put_all([half]) if together else outlet.put(half)
        assert waiting is not None
        task = asyncio.ensure_future(waiting)
        await asyncio.sleep(10)
        assert not task.done()
        peer.release()
        await task
        assert peer.writes == [b"a", half + half]

    jump(main)


def test_a_window_does_not_start_a_second_write_beside_one(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        peer.block()
        outlet = JoiningOutlet(peer, Window())
        first = asyncio.ensure_future(outlet.put(b"a"))
        await peer.entered.wait()
        outlet.put(b"b")
        outlet.put(b"c")
        await asyncio.sleep(5 * WIDE)
        peer.release()
        await first
        await outlet.flush()
        assert peer.writes == [b"a", b"bc"]

    jump(main)


async def test_a_window_that_closes_again_before_its_write_has_begun_starts_no_second_one(new_peer: Any) -> None:
    peer = new_peer()
    outlet = JoiningOutlet(peer, Window())
    await take(outlet, b"a", b"b")
    peer.block()
    before = len(asyncio.all_tasks())
    outlet.let_go()
    outlet.let_go()
    assert len(asyncio.all_tasks()) == before + 1
    peer.release()
    await outlet.flush()


def test_flush_writes_after_the_write_behind_and_in_order(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        await take(outlet, b"a", b"b")
        peer.block()
        await asyncio.sleep(2 * WIDE)
        assert outlet.writing
        outlet.put(b"c")
        flushing = asyncio.create_task(outlet.flush())
        await asyncio.sleep(1)
        assert not flushing.done()
        peer.release()
        await flushing
        assert peer.writes == [b"a", b"b", b"c"]

    jump(main)


def test_finish_waits_for_the_write_behind_and_writes_what_is_left(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        await take(outlet, b"a", b"b")
        peer.block()
        await asyncio.sleep(2 * WIDE)
        outlet.put(b"c")
        finishing = asyncio.create_task(outlet.finish(b"."))
        await asyncio.sleep(1)
        peer.release()
        await finishing
        assert peer.writes == [b"a", b"b", b"c."]
        assert peer.finished == 1

    jump(main)


def test_a_write_behind_that_fails_is_told_at_once_and_at_the_next_flush(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        told: list[Exception] = []
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        outlet.on_failure = told.append
        await take(outlet, b"a", b"b")
        gone = ClientGone()
        peer.break_with(gone)
        await asyncio.sleep(2 * WIDE)
        assert told == [gone]
        with pytest.raises(ClientGone):
            await outlet.flush()

    jump(main)


@pytest.mark.parametrize("behind", [False, True])
def test_nothing_is_written_after_a_write_that_failed(jump: Any, new_peer: Any, behind: bool) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        if behind:
            await take(outlet, b"a", b"b")
            peer.break_with(OSError("reset"))
            await asyncio.sleep(2 * WIDE)
        else:
            peer.break_with(OSError("reset"))
            with pytest.raises(OSError, match="reset"):
                await take(outlet, b"a")
        assert outlet.torn
        peer.break_with(None)
        before = list(peer.writes)
        with pytest.raises(OSError, match="reset"):
            await take(outlet, b"c" * HIGH_WATER)
        outlet.beat(b"~")
        await asyncio.sleep(10 * WIDE)
        with pytest.raises(OSError, match="reset"):
            await outlet.finish(b".")
        assert peer.writes == before

    jump(main)


def test_nothing_is_written_after_a_write_that_was_interrupted(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        peer.block()
        outlet = JoiningOutlet(peer, Window())
        writing = asyncio.ensure_future(outlet.put(b"a"))
        await peer.entered.wait()
        writing.cancel()
        await asyncio.wait((writing,))
        peer.release()
        assert (outlet.torn, outlet.writing) == (True, False)
        with pytest.raises(ClientGone, match="broken off"):
            await outlet.finish(b".")
        assert peer.writes == []

    jump(main)


def test_whoever_waits_for_a_flush_can_be_cancelled_without_tearing_the_write(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        await take(outlet, b"a", b"b")
        peer.block()
        await asyncio.sleep(2 * WIDE)
        flushing = asyncio.create_task(outlet.flush())
        await asyncio.sleep(0)
        flushing.cancel()
        await asyncio.wait((flushing,))
        peer.release()
        await outlet.finish(b".")
        assert peer.writes == [b"a", b"b", b"."]
        assert not outlet.torn

    jump(main)


def test_drop_interrupts_the_write_behind_and_leaves_no_task(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        await take(outlet, b"a", b"b")
        peer.block()
        await asyncio.sleep(2 * WIDE)
        assert len(asyncio.all_tasks()) == 2
        outlet.drop()
        assert outlet.torn
        await asyncio.sleep(10 * WIDE)
        assert len(asyncio.all_tasks()) == 1
        assert peer.writes == [b"a"]

    jump(main)


async def test_dropping_what_nobody_wrote_counts_as_torn(new_peer: Any) -> None:
    peer = new_peer()
    outlet = JoiningOutlet(peer, Window())
    await take(outlet, b"a", b"b")
    outlet.drop()
    with pytest.raises(ClientGone):
        await outlet.finish(b".")


async def test_dropping_an_outlet_that_wrote_everything_loses_nothing(new_peer: Any) -> None:
    outlet = JoiningOutlet(new_peer(), Window())
    await take(outlet, b"a")
    outlet.drop()
    assert not outlet.torn


def test_written_is_done_when_the_write_is_through(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        peer.block()
        outlet = JoiningOutlet(peer, Window())
        writing = asyncio.ensure_future(outlet.put(b"a"))
        await peer.entered.wait()
        through, also = outlet.written(), outlet.written()
        assert not through.done()
        peer.release()
        await writing
        assert (through.done(), also.done(), outlet.writing) == (True, True, False)

    jump(main)


def test_a_beat_leaves_with_the_window_and_needs_nobody_who_waits(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        outlet.beat(b"~")
        await asyncio.sleep(2 * WIDE)
        assert peer.writes == [b"~"]

    jump(main)


def test_an_empty_beat_is_written_because_it_sends_the_head(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        outlet.beat(b"")
        await asyncio.sleep(2 * WIDE)
        assert peer.writes == [b""]

    jump(main)


def test_written_at_is_the_time_of_the_last_write(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        outlet = JoiningOutlet(new_peer(), Window())
        await asyncio.sleep(7)
        await take(outlet, b"a")
        assert outlet.written_at == 7.0

    jump(main)


def test_the_largest_gap_is_the_longest_silence_between_two_writes(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        outlet = JoiningOutlet(new_peer(), Window())
        await asyncio.sleep(100)
        await take(outlet, b"a")
        assert outlet.largest_gap is None
        for pause in (1, 3, 2):
            await asyncio.sleep(pause)
            await take(outlet, b"a")
        assert outlet.largest_gap == pytest.approx(3)

    jump(main)


def test_a_heartbeat_does_not_end_a_gap(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        outlet = JoiningOutlet(new_peer(), Window())
        await take(outlet, b"a")
        for _ in range(3):
            await asyncio.sleep(2)
            outlet.beat(b"~")
        await asyncio.sleep(2)
        await take(outlet, b"b")
        assert outlet.largest_gap == pytest.approx(8)

    jump(main)


def test_the_time_that_the_peer_takes_is_no_gap(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        peer.block()
        asyncio.get_running_loop().call_later(50, peer.release)
        await take(outlet, b"a")
        await asyncio.sleep(1)
        await take(outlet, b"b")
        assert outlet.largest_gap == pytest.approx(1)

    jump(main)


def test_the_time_between_a_header_and_the_first_item_is_no_gap(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        outlet = JoiningOutlet(new_peer(), Window(), header=True)
        for pause in (0, 100, 2):
            await asyncio.sleep(pause)
            await take(outlet, b"a")
        assert outlet.largest_gap == pytest.approx(2)

    jump(main)


def test_what_an_outlet_holds_is_what_has_gathered_and_what_is_being_written(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        assert outlet.buffered == 0
        peer.block()
        writing = asyncio.ensure_future(take(outlet, b"abc"))
        await peer.entered.wait()
        outlet.put(b"de")
        assert outlet.buffered == 5
        peer.release()
        await writing
        await outlet.flush()
        assert outlet.buffered == 0
        holding = HoldingOutlet(peer, 100)
        holding.put(b"abc")
        assert (holding.buffered, holding.largest_gap) == (3, None)

    jump(main)


def test_an_idle_window_has_no_timer(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        await take(JoiningOutlet(new_peer(), Window()), b"a", b"b")
        await asyncio.sleep(10 * WIDE)
        before = loop.jumps
        await asyncio.sleep(1)
        assert loop.jumps <= before + 2  # a timer that went on would jump a hundred times

    jump(main)


def test_a_peer_that_does_not_read_keeps_no_timer_going(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        peer = new_peer()
        peer.block()
        outlet = JoiningOutlet(peer, Window())
        writing = asyncio.ensure_future(outlet.put(b"a"))
        await peer.entered.wait()
        outlet.put(b"b")
        await asyncio.sleep(10 * WIDE)
        loop: Any = asyncio.get_running_loop()
        before = loop.jumps
        await asyncio.sleep(1)
        assert loop.jumps <= before + 2  # a timer that went on would jump a hundred times
        peer.release()
        await writing
        await asyncio.sleep(2 * WIDE)
        assert peer.writes == [b"a", b"b"]

    jump(main)


def test_the_outlet_of_an_ended_stream_is_let_go(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        window, peer = Window(), new_peer()
        outlet = JoiningOutlet(peer, window)
        await take(outlet, b"a", b"b")
        await outlet.finish(b".")
        await asyncio.sleep(3 * WIDE)
        kept = weakref.ref(peer)
        del outlet, peer
        assert kept() is None
        assert window.width

    jump(main)


def test_an_item_now_and_then_needs_no_timer(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        peer = new_peer()
        outlet = JoiningOutlet(peer, Window())
        await take(outlet, b"a")
        for item in (b"b", b"c", b"d"):
            await asyncio.sleep(1)
            await take(outlet, item)
        assert peer.writes == [b"a", b"b", b"c", b"d"]
        assert loop.jumps == 3

    jump(main)


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("late", "width"), [(0.0, NARROW), (0.001, 0.008), (0.004, WIDE), (0.02, 0.04), (1.0, WIDEST)])
def test_the_window_is_as_wide_as_the_loop_is_slow_to_come_round(jump: Any, late: float, width: float) -> None:
    async def main() -> None:
        window = Window()
        window.mark(window.time() - late)
        await turn()
        assert window.width == pytest.approx(width)

    jump(main)


def test_the_window_narrows_when_the_loop_is_quick_again(jump: Any) -> None:
    async def main() -> None:
        window = Window()
        window.mark(window.time() - 1.0)
        await turn()
        widths = [window.width]
        while window.width > NARROW:
            window.mark(window.time())
            await turn()
            widths.append(window.width)
        assert widths == pytest.approx([*(WIDEST / 2**n for n in range(8)), NARROW])

    jump(main)


async def test_a_window_that_closes_late_is_wider_the_next_time(new_peer: Any) -> None:
    window, peer = Window(), new_peer()
    JoiningOutlet(peer, window).beat(b"~")
    until = window.time() + 0.005
    while window.time() < until:
        pass
    async with asyncio.timeout(5):
        await peer.entered.wait()
    assert WIDE <= window.width <= WIDEST


def test_a_window_that_opens_late_stays_as_wide_as_it_was(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        window, peer = Window(), new_peer()
        await take(JoiningOutlet(peer, window), b"a", b"b")
        await asyncio.sleep(2 * NARROW)
        window.mark(window.time() - 1.0)
        await turn()
        await asyncio.sleep(0.02)  # after the last one was due
        await take(JoiningOutlet(peer, window), b"c", b"d")
        await asyncio.sleep(WIDEST / 2)
        assert peer.writes == [b"a", b"b", b"c"]
        await asyncio.sleep(WIDEST)
        assert peer.writes == [b"a", b"b", b"c", b"d"]

    jump(main)


def test_after_a_rest_the_window_is_narrow(jump: Any, new_peer: Any) -> None:
    async def main() -> None:
        window, peer = Window(), new_peer()
        window.mark(window.time() - 1.0)
        await turn()
        await asyncio.sleep(1)
        await take(JoiningOutlet(peer, window), b"a", b"b")
        await asyncio.sleep(2 * NARROW)
        assert peer.writes == [b"a", b"b"]

    jump(main)


def test_a_loop_has_not_turned_before_it_ran(jump: Any) -> None:
    async def main() -> None:
        window = Window()
        before = window.mark(window.time())
        assert window.mark(window.time()) == window.turns == before
        await turn()
        assert window.turns == before + 1

    jump(main)
