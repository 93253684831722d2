import asyncio

import pytest

from headrace.errors import ClientGone, DeadlineExceeded, Overloaded
from headrace.streams.limits import Places


async def test_a_free_place_is_taken_at_once() -> None:
    places = Places(running=2, waiting=0)
    assert places.ask().done()
    assert places.ask().done()
    assert places.running == 2


async def test_whoever_finds_all_places_and_the_queue_full_is_refused() -> None:
    places = Places(running=1, waiting=1)
    places.ask()
    places.ask()
    with pytest.raises(Overloaded, match="all 1 places are taken and 1 requests wait"):
        places.ask()
    assert (places.running, places.waiting) == (1, 1)


async def test_a_place_that_comes_back_goes_to_the_first_in_the_queue() -> None:
    places = Places(running=1, waiting=2)
    holder, first, second = places.ask(), places.ask(), places.ask()
    places.give_back(holder)
    assert (first.done(), second.done()) == (True, False)
    assert (places.running, places.waiting) == (1, 1)


async def test_a_waiter_that_leaves_takes_no_place() -> None:
    places = Places(running=1, waiting=1)
    holder, waiter = places.ask(), places.ask()
    waiter.cancel()
    places.give_back(waiter)
    places.give_back(holder)
    assert (places.running, places.waiting) == (0, 0)


async def test_a_waiter_that_leaves_frees_its_place_in_the_queue() -> None:
    places = Places(running=1, waiting=1)
    places.ask()
    waiter = places.ask()
    waiter.cancel()
    places.give_back(waiter)
    assert places.waiting == 0
    assert not places.ask().done()


async def test_a_waiter_whose_client_left_is_passed_over() -> None:
    places = Places(running=1, waiting=2)
    holder, gone, patient = places.ask(), places.ask(), places.ask()
    gone.set_exception(ClientGone())
    places.give_back(holder)
    places.give_back(gone)
    assert patient.done()
    assert (places.running, places.waiting) == (1, 0)


async def test_a_waiter_cancelled_in_the_moment_of_its_turn_passes_the_place_on() -> None:
    places = Places(running=1, waiting=2)
    holder, next_ = places.ask(), None

    async def wait() -> None:
        turn = places.ask()
        try:
            await turn
        finally:
            places.give_back(turn)

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(0)
    next_ = places.ask()
    places.give_back(holder)  # the turn is the waiter's now, but it has not run since
    waiter.cancel()
    await asyncio.wait((waiter,))
    assert next_.done()
    assert places.running == 1


async def test_every_place_comes_back() -> None:
    places = Places(running=3, waiting=3)
    turns = [places.ask() for _ in range(6)]
    for turn in turns:
        places.give_back(turn)
    assert (places.running, places.waiting) == (0, 0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def hold(places: Places, clock: Clock, seconds: float) -> None:
    """One holder comes, stays and goes."""
    turn = places.ask()
    clock.now += seconds
    places.give_back(turn)


async def test_a_full_queue_sheds_those_who_cannot_make_their_deadline() -> None:
    clock = Clock()
    places = Places(running=1, waiting=2, clock=clock)
    await hold(places, clock, seconds=10.0)
    places.ask()
    hopeless, patient = places.ask(clock.now + 9.0), places.ask(clock.now + 12.0)
    newcomer = places.ask()
    with pytest.raises(DeadlineExceeded, match="cannot be met"):
        await hopeless
    assert (patient.done(), newcomer.done(), places.waiting) == (False, False, 2)


async def test_the_place_in_the_queue_counts() -> None:
    clock = Clock()
    places = Places(running=2, waiting=3, clock=clock)
    await hold(places, clock, seconds=10.0)
    places.ask()
    places.ask()
    turns = [places.ask(clock.now + 11.0) for _ in range(3)]
    places.ask()
    assert [turn.done() for turn in turns] == [False, False, True]
    assert isinstance(turns[2].exception(), DeadlineExceeded)


async def test_nobody_is_shed_while_the_queue_has_room_or_nothing_is_known() -> None:
    clock = Clock()
    places = Places(running=1, waiting=1, clock=clock)
    places.ask()
    waiter = places.ask(clock.now + 0.001)
    with pytest.raises(Overloaded):
        places.ask()
    assert not waiter.done()


async def test_who_was_shed_gives_back_nothing() -> None:
    clock = Clock()
    places = Places(running=1, waiting=1, clock=clock)
    await hold(places, clock, seconds=10.0)
    holder, shed = places.ask(), places.ask(clock.now + 1.0)
    waiter = places.ask()
    assert shed.exception() is not None
    places.give_back(shed)
    assert (places.running, waiter.done()) == (1, False)
    places.give_back(holder)
    assert waiter.done()
    places.give_back(waiter)
    assert (places.running, places.waiting) == (0, 0)
