import asyncio

import pytest

from headrace.errors import ClientGone, Overloaded
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
