import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from headrace.errors import DeadlineExceeded, FirstItemTimeout, ItemTimeout, StreamError
from headrace.streams.deadlines import Deadlines, Timeouts
from headrace.streams.holding import HoldingOutlet
from headrace.streams.joining import JoiningOutlet, Window
from headrace.streams.pump import drive_async, drive_call


async def told(stream: Any, drive: Any, timeouts: Timeouts, deadline: float | None = None) -> tuple[Any, float]:
    """How a stream ends, and when."""
    clock = asyncio.get_running_loop().time
    started = clock()
    deadlines = Deadlines(stream, timeouts, deadline, clock)
    try:
        return await stream.run(drive), clock() - started
    finally:
        deadlines.stop()


def pausing(*pauses: float) -> Any:
    async def say() -> AsyncIterator[str]:
        for pause in pauses:
            await asyncio.sleep(pause)
            yield "a"

    return drive_async(say)


@pytest.mark.parametrize(
    ("timeouts", "pauses", "kind", "at"),
    [
        (Timeouts(first_item=3), [4], FirstItemTimeout, 3),
        (Timeouts(first_item=3), [2.9, 100], None, 102.9),
        (Timeouts(item=3), [4], ItemTimeout, 3),
        (Timeouts(item=3), [2.9, 2.9, 4], ItemTimeout, 8.8),
        (Timeouts(first_item=10, item=3), [9, 2, 5], ItemTimeout, 14),
        (Timeouts(first_item=1, item=30), [2], FirstItemTimeout, 1),
        (Timeouts(), [1000, 1000], None, 2000),
    ],
)
def test_a_silence_is_told_on_time(
    jump: Any, new_stream: Any, new_peer: Any, timeouts: Timeouts, pauses: list[float], kind: Any, at: float
) -> None:
    async def main() -> None:
        for outlet in (JoiningOutlet(new_peer(), Window()), HoldingOutlet(new_peer(), 100)):
            error, seconds = await told(new_stream(outlet), pausing(*pauses), timeouts)
            assert type(error) is (kind or type(None))
            late = 0.1 * (timeouts.item or timeouts.first_item or 0) + 0.05
            assert at - 0.001 <= seconds <= at + late

    jump(main)


@pytest.mark.parametrize(
    ("timeouts", "pause", "code", "message"),
    [
        (Timeouts(first_item=2.5), 3, "timeout_first_item", "the first item did not come within 2.5 s"),
        (Timeouts(item=2.5), 3, "timeout_item", "no item came for 2.5 s"),
    ],
)
def test_the_message_has_the_bound(
    jump: Any, new_stream: Any, new_peer: Any, timeouts: Timeouts, pause: float, code: str, message: str
) -> None:
    async def main() -> None:
        error, _ = await told(new_stream(JoiningOutlet(new_peer(), Window())), pausing(pause), timeouts)
        assert (error.code, error.message) == (code, message)

    jump(main)


def test_a_deadline_holds_for_a_stream_that_is_never_silent(jump: Any, new_stream: Any, new_peer: Any) -> None:
    async def main() -> None:
        stream = new_stream(JoiningOutlet(new_peer(), Window()))
        deadline = asyncio.get_running_loop().time() + 5
        error, seconds = await told(stream, pausing(*[0.3] * 100), Timeouts(item=1), deadline)
        assert isinstance(error, DeadlineExceeded)
        assert seconds == pytest.approx(5, abs=0.002)

    jump(main)


def test_a_deadline_that_has_passed_stops_the_stream_before_it_runs(jump: Any, new_stream: Any, new_peer: Any) -> None:
    async def main() -> None:
        async def say() -> AsyncIterator[str]:
            raise AssertionError
            yield

        stream = new_stream(JoiningOutlet(new_peer(), Window()))
        error, seconds = await told(stream, drive_async(say), Timeouts(), asyncio.get_running_loop().time())
        assert isinstance(error, DeadlineExceeded)
        assert seconds == 0

    jump(main)


def test_a_call_that_does_not_answer_is_late_like_a_first_item(jump: Any, new_stream: Any, new_peer: Any) -> None:
    async def main() -> None:
        stream = new_stream(HoldingOutlet(new_peer(), 100))
        drive = drive_call(asyncio.Event().wait)
        error, seconds = await told(stream, drive, Timeouts(first_item=2))
        assert isinstance(error, FirstItemTimeout)
        assert seconds == pytest.approx(2, abs=0.002)

    jump(main)


def test_a_generator_that_waits_for_its_reader_is_not_silent(jump: Any, new_stream: Any, new_peer: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        peer = new_peer()
        stream = new_stream(JoiningOutlet(peer, Window()))
        peer.block()
        loop.call_later(100, peer.release)
        error, seconds = await told(stream, pausing(1, 50), Timeouts(first_item=2, item=2))
        assert isinstance(error, ItemTimeout)
        assert 102 <= seconds <= 102.25

    jump(main)


@pytest.mark.parametrize(("timeouts", "most"), [(Timeouts(total=30), 2), (Timeouts(item=10), 13)])
def test_what_is_watched_costs_ten_looks_per_timeout_however_many_items_come(
    jump: Any, new_stream: Any, new_peer: Any, timeouts: Timeouts, most: int
) -> None:
    async def main() -> None:
        looks = 0

        def clock() -> float:
            nonlocal looks
            looks += 1
            return asyncio.get_running_loop().time()

        stream = new_stream(HoldingOutlet(new_peer(), 100_000))
        deadlines = Deadlines(stream, timeouts, None, clock)
        assert await stream.run(pausing(*[0.01] * 1000)) is None
        deadlines.stop()
        assert looks <= most

    jump(main)


def test_after_stop_nothing_is_told(jump: Any, new_stream: Any, new_peer: Any) -> None:
    async def main() -> None:
        stream = new_stream(JoiningOutlet(new_peer(), Window()))
        Deadlines(stream, Timeouts(item=1), None, asyncio.get_running_loop().time).stop()
        assert await stream.run(pausing(5)) is None

    jump(main)


@pytest.mark.parametrize(
    ("total", "asked", "deadline"), [(None, None, None), (3, None, 103), (None, 4, 104), (3, 4, 103), (4, 3, 103)]
)
def test_the_earlier_deadline_counts(total: float | None, asked: float | None, deadline: float | None) -> None:
    assert Timeouts(total=total).deadline(100, asked) == deadline


@pytest.mark.parametrize("error", [FirstItemTimeout, ItemTimeout, DeadlineExceeded])
def test_each_kind_has_its_own_code_and_is_a_gateway_timeout(error: type[StreamError]) -> None:
    assert (error.code, error.status) in {
        ("timeout_first_item", 504),
        ("timeout_item", 504),
        ("deadline_exceeded", 504),
    }


async def test_a_stream_without_a_bound_is_not_looked_at(new_stream: Any, new_peer: Any) -> None:
    def clock() -> float:
        raise AssertionError("nobody has to know the time")

    Deadlines(new_stream(HoldingOutlet(new_peer(), 100)), Timeouts(total=5.0), None, clock).stop()
