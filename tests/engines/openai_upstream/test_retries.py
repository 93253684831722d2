"""When an upstream is asked again, and how long before."""

from typing import Any

import pytest

from headrace.engines.openai_upstream.failures import final
from headrace.engines.openai_upstream.retries import Retries
from headrace.engines.refusals import UpstreamFailed
from headrace.errors import InvalidArguments, StreamError

BUSY = UpstreamFailed("busy", 503)


async def test_it_is_asked_again_as_often_as_allowed(hands: Any) -> None:
    retries = Retries(2, None, hands.clock)
    assert [await retries.again(BUSY) for _ in range(3)] == [True, True, False]
    assert retries.used == 2
    first, second = hands.slept
    assert 0.125 <= first <= 0.25
    assert 0.25 <= second <= 0.5


async def test_the_upstream_says_how_long_to_wait(hands: Any) -> None:
    assert await Retries(2, None, hands.clock).again(UpstreamFailed("busy", 429, retry_after=7))
    assert 7 < hands.slept[0] <= 7.25


async def test_who_says_a_long_time_is_not_waited_for(hands: Any) -> None:
    assert not await Retries(2, None, hands.clock).again(UpstreamFailed("busy", 429, retry_after=31))
    assert hands.slept == []


async def test_a_pause_that_the_deadline_has_no_room_for_is_not_begun(hands: Any) -> None:
    retries = Retries(2, 5.0, hands.clock)
    hands.time += 4.9
    assert retries.remaining == pytest.approx(0.1)
    assert not await retries.again(BUSY)
    assert (hands.slept, retries.used) == ([], 0)


@pytest.mark.parametrize(
    "error",
    [InvalidArguments("no", []), UpstreamFailed("no", 404), final(UpstreamFailed("silent", 504))],
    ids=["refused", "no model", "silent"],
)
async def test_what_a_retry_does_not_help_is_not_tried_again(hands: Any, error: StreamError) -> None:
    assert not await Retries(2, None, hands.clock).again(error)
    assert hands.slept == []


async def test_without_retries_there_are_none(hands: Any) -> None:
    assert not await Retries(0, None, hands.clock).again(BUSY)


def test_without_a_timeout_there_is_any_time(hands: Any) -> None:
    assert Retries(2, None, hands.clock).remaining is None
