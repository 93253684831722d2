"""Between two steps: who leaves, who joins, what is handed over, and when the function rests."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from headrace.batching.admission import Admission
from headrace.batching.boundary import STEPS_AHEAD, Ask, Boundary
from headrace.batching.members import StreamMember


@pytest.fixture
async def boundary() -> AsyncIterator[Boundary]:
    made = Boundary(asyncio.get_running_loop(), Admission(2), linger=5)
    yield made
    made.close()


def ask(name: str, cost: float = 0) -> Ask:
    return Ask(name, cost, StreamMember(name, (), asyncio.get_running_loop()), since=0.0)


def joined(boundary: Boundary, *names: str) -> list[StreamMember]:
    asked = [ask(name) for name in names]
    assert all(boundary.join(each) for each in asked)
    return [each.member for each in asked]


def step(boundary: Boundary) -> list[str]:
    """The next step; who is in it."""
    boundary.begin(0.0)
    return [slot.request for slot in boundary.slots]


async def test_those_join_that_have_waited_longest(boundary: Boundary) -> None:
    joined(boundary, "a", "b", "c")
    assert [slot.request for slot in boundary.begin(7.0)] == ["a", "b"]
    assert (boundary.waiting, boundary.stepping_since) == (1, 7.0)
    boundary.slots[0].finish()
    boundary.finish()
    assert (step(boundary), [slot.request for slot in boundary.slots.joined]) == (["b", "c"], ["c"])


async def test_one_that_is_over_stays_in_the_slots_of_its_last_step(boundary: Boundary) -> None:
    joined(boundary, "a", "b")
    boundary.begin(0.0)
    for slot in boundary.slots:
        slot.finish()
    assert len(boundary.slots) == 2


@pytest.mark.parametrize("waits", [True, False])
async def test_whoever_left_is_not_in_the_next_step(boundary: Boundary, waits: bool) -> None:
    first, second, third, _ = joined(boundary, "a", "b", "c", "d")
    step(boundary)
    boundary.finish()
    (third if waits else first).leave()
    second.leave()
    assert step(boundary) == (["a", "d"] if waits else ["c", "d"])


async def test_a_caller_that_leaves_while_it_waits_does_not_count(boundary: Boundary) -> None:
    _, second = joined(boundary, "a", "b")
    second.leave()
    assert boundary.waiting == 1


async def test_a_hand_over_is_told_once_until_it_is_taken(boundary: Boundary) -> None:
    (member, _) = joined(boundary, "a", "b")
    told = []
    for number in range(3):
        boundary.begin(0.0)
        for slot in boundary.slots:
            slot.send(number)
        told.append(boundary.finish())
    assert told == [True, False, False]
    boundary.deliver()
    assert list(member.mailbox.items) == [0, 1, 2]
    step(boundary)
    boundary.slots[0].send(3)
    assert boundary.finish()


async def test_a_step_that_made_nothing_is_not_told(boundary: Boundary) -> None:
    joined(boundary, "a")
    step(boundary)
    assert not boundary.finish()


async def test_endings_come_behind_the_items(boundary: Boundary) -> None:
    one, other = joined(boundary, "a", "b")
    step(boundary)
    error = ValueError()
    boundary.slots[0].send("last")
    boundary.slots[0].fail(error)
    boundary.slots[1].finish()
    boundary.finish()
    boundary.deliver()
    assert (list(one.mailbox.items), one.mailbox.error, other.mailbox.ended) == (["last"], error, True)
    assert [one.live, other.live] == [False, False]


async def test_a_member_that_left_gets_nothing(boundary: Boundary) -> None:
    (member,) = joined(boundary, "a")
    step(boundary)
    boundary.slots[0].send("late")
    boundary.slots[0].finish()
    member.leave()
    boundary.finish()
    boundary.deliver()
    assert (list(member.mailbox.items), member.mailbox.ended) == ([], False)


async def test_the_function_is_ahead_when_the_loop_has_not_taken_32_steps(boundary: Boundary) -> None:
    joined(boundary, "a")
    for _ in range(STEPS_AHEAD):
        assert not boundary.is_ahead()
        step(boundary)
        boundary.slots[0].send("item")
        boundary.finish()
    assert boundary.is_ahead()
    boundary.deliver()
    assert not boundary.is_ahead()


async def test_a_step_is_due_while_somebody_reads_or_may_join(boundary: Boundary) -> None:
    member, *_ = joined(boundary, "a")
    assert boundary.rest(0.0, lingers=True) == 0
    step(boundary)
    assert boundary.rest(0.0, lingers=True) == 0
    member.send_all([0] * 256)
    assert boundary.rest(0.0, lingers=True) == 0.5  # it is paused
    (other,) = joined(boundary, "b")
    assert boundary.rest(0.0, lingers=True) == 0  # there is a place
    step(boundary)
    other.send_all([0] * 256)
    assert boundary.rest(0.0, lingers=True) == 0.5
    joined(boundary, "c")
    assert boundary.rest(0.0, lingers=True) == 0.5  # there is none


async def test_the_generator_stays_for_as_long_as_it_lingers(boundary: Boundary) -> None:
    member, *_ = joined(boundary, "a")
    assert boundary.rest(100.0, lingers=True) == 0
    member.leave()
    assert [boundary.rest(now, lingers=True) for now in (200.0, 203.0)] == [5, 2]
    (member,) = joined(boundary, "b")
    assert boundary.rest(204.0, lingers=True) == 0
    member.leave()
    assert [boundary.rest(now, lingers=True) for now in (205.0, 209.5, 210.0)] == [5, 0.5, None]


async def test_those_that_come_while_the_generator_is_closed_join_and_then_it_is_over(boundary: Boundary) -> None:
    assert boundary.rest(0.0, lingers=True) == 5
    assert boundary.rest(5.0, lingers=True) is None
    (member,) = joined(boundary, "a")
    assert boundary.rest(6.0, lingers=False) == 0
    member.leave()
    assert boundary.rest(7.0, lingers=False) is None
    assert not boundary.join(ask("b"))


async def test_one_that_is_dismissed_does_not_linger(boundary: Boundary) -> None:
    member, *_ = joined(boundary, "a")
    boundary.dismiss()
    assert boundary.rest(0.0, lingers=True) == 0
    member.leave()
    assert boundary.rest(0.0, lingers=True) is None


async def test_the_end_fails_those_that_wait_and_lets_nobody_join(boundary: Boundary) -> None:
    joined(boundary, "a", "b")
    step(boundary)
    (waiting,) = joined(boundary, "c")
    error = ValueError()
    boundary.end(error)
    assert boundary.finish()
    boundary.deliver()
    assert (waiting.mailbox.error, boundary.waiting, boundary.join(ask("d"))) == (error, 0, False)
    assert [slot.request for slot in boundary.unfinished()] == ["a", "b"]


async def test_it_counts_who_waits_who_is_in_it_and_who_is_paused(boundary: Boundary) -> None:
    member, *_ = joined(boundary, "a", "b", "c")
    step(boundary)
    member.send_all([0] * 256)
    assert boundary.count() == (1, 2, 1)


@pytest.mark.parametrize("news", ["join", "left", "has_room", "deliver", "dismiss", "stop"])
async def test_whoever_rests_is_told_of_it(boundary: Boundary, news: str) -> None:
    told: list[Any] = []
    member, *_ = joined(boundary, "a")
    boundary.tell = lambda: told.append(boundary.news._is_owned())  # type: ignore[attr-defined]
    happens = {
        "join": lambda: boundary.join(ask("b")),
        "left": lambda: boundary.left(member),
        "has_room": boundary.has_room,
        "deliver": boundary.deliver,
        "dismiss": boundary.dismiss,
        "stop": boundary.stop,
    }
    happens[news]()
    assert told == [True]
