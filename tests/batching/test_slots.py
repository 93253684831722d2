"""A slot gathers what the step makes for its member, until it is over."""

import asyncio
from typing import Any

import pytest

from headrace.batching.members import StreamMember
from headrace.batching.slots import STEP_ITEMS, Made, Slot, Slots


@pytest.fixture
async def member() -> StreamMember:
    return StreamMember("s_1", (), asyncio.get_running_loop())


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture
def slot(member: StreamMember, made: Made) -> Slot[str, Any]:
    return Slot("request", 2.0, 7.0, member, made)


async def test_it_shows_what_was_asked(slot: Slot[str, Any]) -> None:
    assert (slot.id, slot.request, slot.cost, slot.since, slot.state) == ("s_1", "request", 2.0, 7.0, None)
    assert (slot.over, slot.cancelled, slot.paused, repr(slot)) == (False, False, False, "<slot s_1 (live)>")


async def test_what_is_sent_is_gathered(slot: Slot[str, Any], made: Made, member: StreamMember) -> None:
    slot.send("a")
    slot.send(None)
    assert made.items == [(member, "a"), (member, None)]
    assert made


async def test_after_its_end_nothing_is_taken(slot: Slot[str, Any], made: Made, member: StreamMember) -> None:
    slot.finish()
    slot.send("late")
    slot.fail(ValueError())
    slot.finish()
    assert (made.items, made.endings, slot.over, repr(slot)) == ([], [(member, None)], True, "<slot s_1 (over)>")


async def test_a_failure_is_an_ending(slot: Slot[str, Any], made: Made, member: StreamMember) -> None:
    error = ValueError()
    slot.fail(error)
    slot.finish()
    assert made.endings == [(member, error)]


@pytest.mark.parametrize("error", ["broken", None, ValueError])
async def test_a_failure_is_an_exception(slot: Slot[str, Any], error: Any) -> None:
    with pytest.raises(TypeError, match=r"slot.fail takes an exception, as in slot.fail\(ValueError\('...'\)\), not"):
        slot.fail(error)
    assert not slot.over


async def test_it_is_cancelled_when_its_caller_left(slot: Slot[str, Any], member: StreamMember) -> None:
    member.mailbox.leave()
    assert (slot.cancelled, repr(slot)) == (True, "<slot s_1 (cancelled)>")


async def test_one_that_is_over_is_not_cancelled(slot: Slot[str, Any], member: StreamMember) -> None:
    slot.finish()
    member.finish()
    assert not slot.cancelled


async def test_it_is_paused_while_its_caller_is_256_items_behind(slot: Slot[str, Any], member: StreamMember) -> None:
    member.send_all([0] * 255)
    assert not slot.paused
    member.send(0)
    assert (slot.paused, repr(slot)) == (True, "<slot s_1 (paused)>")
    member.mailbox.items.popleft()
    member.mailbox.note()
    assert not slot.paused


async def test_a_step_has_a_bound(slot: Slot[str, Any], made: Made, member: StreamMember) -> None:
    made.items += [(member, 0)] * (STEP_ITEMS - 1)
    slot.send("the last")
    with pytest.raises(RuntimeError, match="1000000 items were sent in one step: `yield` between the steps"):
        slot.send("one more")


async def test_what_was_made_is_taken_and_added(made: Made, member: StreamMember) -> None:
    made.items.append((member, 1))
    made.endings.append((member, None))
    taken = made.take()
    assert not made
    made.items.append((member, 2))
    taken.add(made)
    assert (taken.items, taken.endings, bool(made)) == ([(member, 1), (member, 2)], [(member, None)], False)


async def test_slots_are_those_of_the_step(slot: Slot[str, Any]) -> None:
    slots: Slots[str, Any] = Slots()
    assert (len(slots), list(slots), slots.joined) == (0, [], ())
    slots.step((slot,), (slot,))
    assert (len(slots), slots[0], slots[0:], slots.joined) == (1, slot, (slot,), (slot,))
    assert repr(slots) == "<slots [<slot s_1 (live)>]>"
