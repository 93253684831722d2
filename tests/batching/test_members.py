"""A member ends once, and what its reader does not read is bounded."""

import asyncio
from collections.abc import Callable

import pytest

from headrace.batching.mailbox import AHEAD
from headrace.batching.members import AHEAD_OF_OTHERS, READ_TIMEOUT, AnswerMember, Member, StreamMember
from headrace.batching.reader import Reader
from headrace.errors import Cancelled, DeadlineExceeded, SlowReader
from headrace.testing.clock import run


class Seen:
    """A place that keeps what it was told."""

    def __init__(self) -> None:
        self.gone: list[Member] = []
        self.rooms = 0

    def left(self, member: Member) -> None:
        self.gone.append(member)

    def has_room(self) -> None:
        self.rooms += 1


def answering() -> tuple[AnswerMember, Seen]:
    member, seen = AnswerMember("a", (1,), asyncio.get_running_loop()), Seen()
    member.place = seen
    return member, seen


def streaming() -> tuple[StreamMember, Seen]:
    member, seen = StreamMember("s", (1,), asyncio.get_running_loop()), Seen()
    member.place = seen
    return member, seen


async def test_an_answer_is_sent_once() -> None:
    member, _ = answering()
    member.send(7)
    assert await member.answer == 7
    assert not member.live
    assert member.sent == 1


async def test_an_answer_may_be_an_error() -> None:
    member, _ = answering()
    member.fail(ValueError("no"))
    assert not member.live
    with pytest.raises(ValueError, match="no"):
        await member.answer


@pytest.mark.parametrize("make", [answering, streaming])
async def test_leaving_is_told_once(make: Callable[[], tuple[Member, Seen]]) -> None:
    member, seen = make()
    member.leave()
    member.leave()
    assert seen.gone == [member]
    assert member.cancelled
    assert not member.live


@pytest.mark.parametrize("make", [answering, streaming])
async def test_one_that_has_ended_does_not_leave(make: Callable[[], tuple[Member, Seen]]) -> None:
    member, seen = make()
    member.send(1)
    member.finish()
    member.leave()
    assert seen.gone == []
    assert not member.cancelled


async def test_an_answer_whose_caller_was_cancelled_in_this_moment_is_dropped() -> None:
    member, _ = answering()
    member.answer.cancel()
    member.send(1)
    other, _ = answering()
    other.answer.cancel()
    other.fail(ValueError("no"))


async def test_its_request_may_stop_it_with_a_cause() -> None:
    member, seen = answering()
    member.cancel(DeadlineExceeded())
    member.cancel()
    assert seen.gone == [member]
    assert member.cancelled
    with pytest.raises(DeadlineExceeded):
        await member.answer


async def test_a_stream_that_was_stopped_is_told_after_its_items() -> None:
    member, seen = streaming()
    member.send("a")
    member.cancel()
    reader = Reader(member.mailbox)
    assert await anext(reader) == "a"
    with pytest.raises(Cancelled):
        await anext(reader)
    assert seen.gone == [member]


async def test_a_dropped_reader_leaves_in_the_next_pass_of_the_loop() -> None:
    member, seen = streaming()
    Reader(member.mailbox)
    assert member.cancelled
    await asyncio.sleep(0)
    assert seen.gone == [member]


async def test_a_reader_is_behind_from_256_items_on_until_it_takes_one() -> None:
    member, seen = streaming()
    reader = Reader(member.mailbox)
    for n in range(AHEAD - 1):
        member.send(n)
    assert not member.behind
    member.send(AHEAD)
    assert member.behind
    await anext(reader)
    assert not member.behind
    assert seen.rooms == 1


def test_a_reader_that_reads_nothing_is_given_up_after_the_read_timeout() -> None:
    async def main() -> None:
        member, _ = streaming()
        for n in range(AHEAD):
            member.send(n)
        await asyncio.sleep(READ_TIMEOUT - 1)  # on a clock that jumps
        member.send("in time")
        assert member.live
        await asyncio.sleep(1)
        member.send("too late")
        assert not member.live
        assert isinstance(member.mailbox.error, SlowReader)

    run(main)


def test_a_slow_but_steady_reader_is_never_given_up_for_its_pace() -> None:
    async def main() -> None:
        member, _ = streaming()
        reader = Reader(member.mailbox)
        for n in range(AHEAD + 10):
            member.send(n)
        for n in range(5):
            await asyncio.sleep(READ_TIMEOUT - 1)  # on a clock that jumps
            assert await anext(reader) == n
            member.send("more")
        assert member.live

    run(main)


async def test_what_waits_for_one_reader_is_bounded() -> None:
    member, _ = streaming()
    for n in range(AHEAD_OF_OTHERS):
        member.send(n)
    assert member.live
    member.send("one more")
    assert not member.live
    assert isinstance(member.mailbox.error, SlowReader)


async def test_it_tells_its_id() -> None:
    member, _ = streaming()
    assert repr(member) == "<member s>"
    member.leave()
    assert repr(member) == "<member s (cancelled)>"
